//! One table of a file, from which typed values are read. A wrong value is reported and its default used, so that one
//! run names every problem.

use super::{
    Problem, Shape,
    document::{Document, Node, Table, Value},
    kind::{Ranged, Setting},
    shape,
};
use crate::text::nearest;
use serde_json::{Map, Value as Json, json};
use std::{collections::BTreeMap, ops::RangeInclusive};

/// One table. The settings that are read are the known ones; any other entry is a problem.
#[derive(Debug)]
pub struct Section<'a> {
    name: String,
    line: usize,
    table: &'a Table,
    known: Vec<&'static str>,
    /// Whether unknown names are tables with free names, and so no problems.
    has_others: bool,
    problems: &'a mut Vec<Problem>,
    /// What is asked for, if that is wanted instead of values.
    shape: Option<Shape>,
}

impl Document {
    /// Reads the whole file as a table.
    pub fn read<R>(&self, problems: &mut Vec<Problem>, read: impl FnOnce(&mut Section<'_>) -> R) -> R {
        section(String::new(), 0, &self.table, problems, read)
    }
}

fn section<R>(
    name: String,
    line: usize,
    table: &Table,
    problems: &mut Vec<Problem>,
    read: impl FnOnce(&mut Section<'_>) -> R,
) -> R {
    let mut section = Section { name, line, table, known: Vec::new(), has_others: false, problems, shape: None };
    let read = read(&mut section);
    section.name_unknown();
    read
}

impl<'a> Section<'a> {
    /// A section whose reader tells what it asks for.
    pub(super) fn of_shape(table: &'a Table, problems: &'a mut Vec<Problem>) -> Self {
        let shape = Some(Shape::default());
        Self { name: String::new(), line: 0, table, known: Vec::new(), has_others: false, problems, shape }
    }

    /// What its reader has asked for.
    pub(super) fn into_shape(self) -> Shape {
        self.shape.unwrap_or_default()
    }

    fn note(&mut self, name: &str, schema: impl FnOnce() -> Json) {
        if let Some(shape) = &mut self.shape {
            shape.add(name, schema());
        }
    }

    /// A setting, if the file has it.
    pub fn get<T: Setting>(&mut self, name: &'static str) -> Option<T> {
        self.note(name, T::schema);
        let node = self.node(name)?;
        self.read(name, node, T::wanted)
    }

    /// A setting, or its default.
    pub fn or<T: Setting>(&mut self, name: &'static str, default: T) -> T {
        self.get(name).unwrap_or(default)
    }

    /// A setting without a default. `example` shows what to write.
    pub fn needed<T: Setting + Default>(&mut self, name: &'static str, example: &str) -> T {
        if !self.table.contains_key(name) {
            self.note(name, T::schema);
            self.known.push(name);
            self.report(
                name,
                self.line,
                format!("is not set and has no default; write, for example, {name} = {example}"),
            );
            return T::default();
        }
        self.get(name).unwrap_or_default()
    }

    /// A number or a time within a range, or its default.
    pub fn within<T: Ranged>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> T {
        self.get_within(name, range).unwrap_or(default)
    }

    /// A number or a time within a range, if the file has it.
    pub fn get_within<T: Ranged>(&mut self, name: &'static str, range: RangeInclusive<T>) -> Option<T> {
        self.note(name, || shape::ranged(&range));
        let node = self.node(name)?;
        let wanted = || format!("{} from {} to {}", T::NOUN, range.start().words(), range.end().words());
        let value = self.read::<T>(name, node, wanted)?;
        if range.contains(&value) {
            return Some(value);
        }
        self.report(name, node.line, format!("needs {}", wanted()));
        None
    }

    /// One of several words, if the file has the setting.
    pub fn choice<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.note(name, || shape::one_of(words));
        let node = self.node(name)?;
        self.one_of(name, node, words)
    }

    /// The entries of a table with free names, each with one of several words.
    pub fn choices<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Vec<(String, T)> {
        self.note(name, || shape::each(&shape::one_of(words)));
        let Some(table) = self.inner(name) else { return Vec::new() };
        let read = |(entry, node): (&String, &Node)| {
            Some((entry.clone(), self.one_of(&format!("{name}.{entry}"), node, words)?))
        };
        table.iter().filter_map(read).collect()
    }

    /// The entries of a table with free names, each with a text.
    pub fn texts(&mut self, name: &'static str) -> Vec<(String, String)> {
        self.note(name, || shape::each(&String::schema()));
        let Some(table) = self.inner(name) else { return Vec::new() };
        let read = |(entry, node): (&String, &Node)| {
            Some((entry.clone(), self.read(&format!("{name}.{entry}"), node, String::wanted)?))
        };
        table.iter().filter_map(read).collect()
    }

    /// A table, if the file has it.
    pub fn table<R>(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_>) -> R) -> Option<R> {
        if let Some(shape) = &mut self.shape {
            shape.add(name, Shape::of(read).schema());
            return None;
        }
        let table = self.inner(name)?;
        Some(section(self.path(name), self.table[name].line, table, self.problems, read))
    }

    /// The tables within a table, with free names.
    pub fn tables<R>(&mut self, name: &'static str, read: impl FnMut(&mut Section<'_>) -> R) -> Vec<(String, R)> {
        if let Some(shape) = &mut self.shape {
            shape.add(name, shape::each(&Shape::of(read).schema()));
            return Vec::new();
        }
        let Some(outer) = self.inner(name) else { return Vec::new() };
        self.each(&format!("{name}."), outer.iter(), read)
    }

    /// The tables that no other call has read; their names are free.
    pub fn others<R>(&mut self, read: impl FnMut(&mut Section<'_>) -> R) -> Vec<(String, R)> {
        if let Some(shape) = &mut self.shape {
            shape.set_others(Shape::of(read).schema());
            return Vec::new();
        }
        self.has_others = true;
        let (table, known) = (self.table, self.known.clone());
        self.each("", table.iter().filter(|(name, _)| !known.contains(&name.as_str())), read)
    }

    fn each<R>(
        &mut self,
        prefix: &str,
        tables: impl Iterator<Item = (&'a String, &'a Node)>,
        mut read: impl FnMut(&mut Section<'_>) -> R,
    ) -> Vec<(String, R)> {
        let mut all = Vec::new();
        for (entry, node) in tables {
            let path = format!("{prefix}{entry}");
            match &node.value {
                Value::Table(table) => {
                    all.push((entry.clone(), section(self.path(&path), node.line, table, self.problems, &mut read)));
                }
                other => self.report(&path, node.line, format!("needs a table, not {}", other.kind())),
            }
        }
        all
    }

    /// A table whose settings belong to a plugin, as JSON.
    pub fn foreign(&mut self, name: &'static str) -> Map<String, Json> {
        self.note(name, || json!({ "type": "object" }));
        let mut all = Map::new();
        for (entry, node) in self.inner(name).into_iter().flatten() {
            match node.value.to_json() {
                Some(value) => drop(all.insert(entry.clone(), value)),
                None => {
                    self.report(&format!("{name}.{entry}"), node.line, "has a number that JSON cannot write".to_owned())
                }
            }
        }
        all
    }

    /// The line of each setting of such a table, and under the empty name that of the table itself.
    pub fn lines(&self, name: &str) -> BTreeMap<String, usize> {
        let Some(node) = self.table.get(name) else { return BTreeMap::new() };
        let inner = match &node.value {
            Value::Table(table) => Some(table),
            _ => None,
        };
        let inner = inner.into_iter().flatten().map(|(entry, node)| (entry.clone(), node.line));
        inner.chain([(String::new(), node.line)]).collect()
    }

    fn node(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let table = self.table;
        table.get(name)
    }

    fn inner(&mut self, name: &'static str) -> Option<&'a Table> {
        let node = self.node(name)?;
        match &node.value {
            Value::Table(table) => Some(table),
            other => {
                self.report(name, node.line, format!("needs a table, not {}", other.kind()));
                None
            }
        }
    }

    fn read<T: Setting>(&mut self, name: &str, node: &Node, wanted: impl FnOnce() -> String) -> Option<T> {
        let (value, is_loose) = match &node.value {
            Value::Loose(text) => (T::loosely(text), true),
            value => (T::read(value), false),
        };
        if value.is_none() {
            let kind = node.value.kind();
            let not = if is_loose || T::takes(&node.value) { String::new() } else { format!(", not {kind}") };
            self.report(name, node.line, format!("needs {}{not}", wanted()));
        }
        value
    }

    fn one_of<T: Copy>(&mut self, name: &str, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = if let Value::Text(text) | Value::Loose(text) = &node.value { text } else { "" };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let meant = nearest(text, words.iter().map(|(word, _)| *word)).filter(|_| !text.is_empty());
            let meant = meant.map(|word| format!("; did you mean \"{word}\"?")).unwrap_or_default();
            self.report(name, node.line, format!("needs one of {}{meant}", known.join(", ")));
        }
        found
    }

    fn name_unknown(&mut self) {
        if self.has_others {
            return;
        }
        for (name, node) in self.table {
            if self.known.contains(&name.as_str()) {
                continue;
            }
            let meant = match nearest(name, self.known.iter().copied()) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("there are {}", self.known.join(", ")),
            };
            self.report(&name.escape_debug().to_string(), node.line, format!("there is no such setting; {meant}"));
        }
    }

    fn report(&mut self, name: &str, line: usize, text: String) {
        let setting = self.path(name);
        self.problems.push(Problem { line, ..Problem::new(setting, text) });
    }

    fn path(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn problems(text: &str, read: impl FnOnce(&mut Section<'_>)) -> Vec<(usize, String)> {
        let document = Document::parse(text.as_bytes(), |_| false).expect("TOML");
        let mut problems = Vec::new();
        document.read(&mut problems, read);
        problems.iter().map(|problem| (problem.line, problem.to_string())).collect()
    }

    #[test]
    fn values_are_taken_with_their_defaults() {
        let text = "on = true\nname = \"x\"\nn = 3\nwait = \"250ms\"\nlist = [\"a\"]\nmode = \"fast\"\n[a.b]\nn = 1";
        let found = problems(text, |section| {
            assert_eq!((section.get("on"), section.or("off", false)), (Some(true), false));
            assert_eq!(section.needed::<String>("name", ""), "x");
            assert_eq!((section.within("n", 1u32, 1..=5), section.within("m", 2u64, 1..=5)), (3, 2));
            assert_eq!(section.or("wait", Duration::ZERO), Duration::from_millis(250));
            assert_eq!(section.or("list", Vec::<String>::new()), ["a"]);
            assert_eq!(section.choice("mode", &[("slow", 1), ("fast", 2)]), Some(2));
            let tables = section.tables("a", |inner| inner.or("n", 0u16));
            assert_eq!(tables, [("b".to_owned(), 1)]);
        });
        assert_eq!(found, []);
    }

    #[test]
    fn every_problem_is_named_with_its_line_and_what_is_needed() {
        let text = "on = \"yes\"\nn = 9\nm = -1\nwait = \"5x\"\nlong = 99999999\nlist = [1]\nmode = \"fest\"\nnmae = 1\n[a]\n\
                    b = 1\n[c.d]\ntpyo = 1\n";
        let found = problems(text, |section| {
            section.or("on", false);
            section.within("n", 1u32, 1..=5);
            section.or("m", 0u16);
            section.or("wait", Duration::ZERO);
            section.within("long", Duration::ZERO, Duration::from_millis(100)..=Duration::from_secs(3600));
            section.get::<Vec<String>>("list");
            section.choice("mode", &[("slow", 1), ("fast", 2)]);
            section.tables("a", |_| ());
            section.tables("c", |inner| inner.get::<bool>("typo"));
            section.needed::<String>("server", "\"irc.example\"");
            section.get::<String>("name");
        });
        let expected = [
            (1, "on: needs true or false, not text"),
            (2, "n: needs a whole number from 1 to 5"),
            (3, "m: needs a whole number from 0 to 65535"),
            (
                4,
                "wait: needs a time: seconds, such as 0.5, or text with a unit, such as \"250ms\", \"30s\", \"5m\", \"1h\"",
            ),
            (5, "long: needs a time (seconds, or text such as \"250ms\") from 100 ms to 1 h"),
            (6, "list: needs a list of texts in quotes: [\"one\", \"two\"]"),
            (7, "mode: needs one of \"slow\", \"fast\"; did you mean \"fast\"?"),
            (10, "a.b: needs a table, not a whole number"),
            (12, "c.d.tpyo: there is no such setting; did you mean typo?"),
            (0, "server: is not set and has no default; write, for example, server = \"irc.example\""),
            (8, "nmae: there is no such setting; did you mean name?"),
        ];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }
}
