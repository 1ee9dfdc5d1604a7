//! A file of settings as a tree in which each value knows its line.

use super::Problem;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    io::{self, Read},
};
use toml::de::{DeTable, DeValue};

/// The longest file that is read, in bytes. A hundred plugins with all their limits need a tenth of it.
pub const MAX_BYTES: usize = 1 << 20;

const TWICE: &str = "this name occurs twice in its table";

/// The names of a table with their values.
pub type Table = BTreeMap<String, Node>;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The line of its name; for an element of a list, its own line.
    pub line: usize,
    /// What the file gives it.
    pub value: Value,
}

/// The types that TOML and JSON have in common.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON's `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without a decimal point.
    Integer(i128),
    /// A number with a decimal point.
    Float(f64),
    /// A text in quotes.
    Text(String),
    /// A text of the environment, without quotes. The setting decides of which type it is.
    Loose(String),
    /// A date or a time of TOML, as written.
    Date(String),
    /// `[1, 2]`
    List(Vec<Node>),
    /// `[table]` of TOML, `{ }` of both.
    Table(Table),
}

impl Value {
    /// The name of the type, for an operator.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a point",
            Self::Text(_) | Self::Loose(_) => "text",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The value that a text without quotes has in TOML, or the text itself if it has none.
    pub fn typed(text: &str) -> Self {
        let parsed = toml(&format!("value = {text}")).ok().filter(|document| document.table.len() == 1);
        let value = parsed.and_then(|mut document| document.table.remove("value"));
        value.map_or_else(|| Self::Text(text.to_owned()), |node| node.value)
    }

    /// The value as JSON, for a plugin. A date becomes text. `None` for numbers that JSON does not have.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Integer(value) => serde_json::Number::from_i128(*value)?.into(),
            Self::Float(value) => serde_json::Number::from_f64(*value)?.into(),
            Self::Text(text) | Self::Date(text) => text.as_str().into(),
            Self::Loose(text) => Self::typed(text).to_json()?,
            Self::List(all) => all.iter().map(|node| node.value.to_json()).collect::<Option<_>>()?,
            Self::Table(table) => {
                let entries = table.iter().map(|(name, node)| Some((name.clone(), node.value.to_json()?)));
                serde_json::Value::Object(entries.collect::<Option<_>>()?)
            }
        })
    }
}

/// A whole file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// The outermost table.
    pub table: Table,
    /// Names that occur twice in a table. The first one counts.
    pub twice: Vec<Problem>,
}

impl Document {
    /// Parses TOML or JSON, and skips a byte-order mark.
    ///
    /// # Errors
    /// Why it is neither, with all errors that the parser finds.
    pub fn parse(bytes: &[u8], is_json: impl FnOnce(&str) -> bool) -> Result<Self, Vec<Problem>> {
        if bytes.len() > MAX_BYTES {
            return Err(vec![Problem::new("", format!("the file is longer than {} MiB", MAX_BYTES >> 20))]);
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + newlines(&bytes[..error.valid_up_to()]);
            vec![Problem { line, ..Problem::new("", "this is not UTF-8 text; save the file as UTF-8") }]
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if is_json(text) { json(text) } else { toml(text) }
    }

    /// Each value by its path, as text that is the same only for the same value.
    pub fn values(&self) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        flatten("", &self.table, &mut values);
        values
    }

    /// Adds the line to a problem: that of its setting, or of the innermost table around it that exists.
    pub fn place(&self, mut problem: Problem) -> Problem {
        if problem.line == 0 {
            problem.line = self.line(&problem.setting);
        }
        problem
    }

    fn line(&self, setting: &str) -> usize {
        let (mut table, mut rest, mut line) = (&self.table, setting, 0);
        loop {
            // A name may contain dots itself, such as one of `[roles]`, so the longest fit counts.
            let fits = |name: &&String| {
                rest.strip_prefix(name.as_str()).is_some_and(|more| more.is_empty() || more.starts_with('.'))
            };
            let Some(name) = table.keys().filter(fits).max_by_key(|name| name.len()) else { return line };
            let node = &table[name];
            line = node.line;
            rest = rest[name.len()..].trim_start_matches('.');
            match &node.value {
                Value::Table(inner) => table = inner,
                _ => return line,
            }
        }
    }
}

fn flatten(prefix: &str, table: &Table, values: &mut BTreeMap<String, String>) {
    for (name, node) in table {
        let path = format!("{prefix}{name}");
        match &node.value {
            Value::Table(inner) => flatten(&format!("{path}."), inner, values),
            value => drop(values.insert(path, value.to_json().map(|json| json.to_string()).unwrap_or_default())),
        }
    }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn toml(text: &str) -> Result<Document, Vec<Problem>> {
    let line = |at: usize| 1 + newlines(&text.as_bytes()[..at.min(text.len())]);
    let (table, errors) = DeTable::parse_recoverable(text);
    let (twice, wrong): (Vec<_>, Vec<_>) = errors.iter().partition(|error| error.message() == "duplicate key");
    let problem = |error: &&toml::de::Error, setting: &str, text: String| {
        let line = error.span().map_or(0, |span| line(span.start));
        Problem { line, ..Problem::new(setting, text) }
    };
    if wrong.is_empty() {
        let twice = twice.iter().map(|error| {
            let name = error.span().and_then(|span| text.get(span)).unwrap_or_default();
            problem(error, name, TWICE.to_owned())
        });
        return Ok(Document { twice: twice.collect(), table: toml_table(table.into_inner(), &line) });
    }
    let mut wrong: Vec<_> =
        wrong.iter().map(|error| problem(error, "", format!("this is not TOML: {}", error.message()))).collect();
    wrong.dedup();
    Err(wrong)
}

fn toml_table(table: DeTable<'_>, line: &impl Fn(usize) -> usize) -> Table {
    let node = |at: usize, value| Node { line: line(at), value: toml_value(value, line) };
    let entries = table.into_iter();
    entries.map(|(name, value)| (name.get_ref().to_string(), node(name.span().start, value.into_inner()))).collect()
}

fn toml_value(value: DeValue<'_>, line: &impl Fn(usize) -> usize) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            // The parser has checked the digits. A number that does not fit is too large for any setting.
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(all) => {
            let node = |(at, value)| Node { line: line(at), value: toml_value(value, line) };
            Value::List(all.into_iter().map(|one| node((one.span().start, one.into_inner()))).collect())
        }
        DeValue::Table(table) => Value::Table(toml_table(table, line)),
    }
}

fn json(text: &str) -> Result<Document, Vec<Problem>> {
    let (line, path, twice) = (Cell::new(1), RefCell::default(), RefCell::default());
    let reader = Lines { rest: text.as_bytes(), line: &line, after_break: false };
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let seed = Json { line: &line, path: &path, twice: &twice };
    let read = seed.deserialize(&mut deserializer).and_then(|node| deserializer.end().map(|()| node));
    let problem = |line, text: String| vec![Problem { line, ..Problem::new("", text) }];
    let node = read.map_err(|error| {
        // serde_json's text ends with the line, which the problem shows in front.
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        let what = if error.is_eof() { "the file ends before its last brace" } else { what };
        problem(error.line(), format!("this is not JSON: {what}"))
    })?;
    match node.value {
        Value::Table(table) => Ok(Document { table, twice: twice.into_inner() }),
        _ => Err(problem(1, "a configuration in JSON begins with a brace: {".to_owned())),
    }
}

/// A reader that returns one byte at a time, as serde_json requests them, and so knows the line that it has reached.
struct Lines<'a> {
    rest: &'a [u8],
    line: &'a Cell<usize>,
    after_break: bool,
}

impl Read for Lines<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (Some((byte, rest)), Some(room)) = (self.rest.split_first(), into.first_mut()) else { return Ok(0) };
        // The line of the byte before this one: a number ends only when the byte behind it is read.
        self.line.set(self.line.get() + usize::from(self.after_break));
        self.after_break = *byte == b'\n';
        self.rest = rest;
        *room = *byte;
        Ok(1)
    }
}

#[derive(Clone, Copy)]
struct Json<'a> {
    line: &'a Cell<usize>,
    /// The names around the value that is being read.
    path: &'a RefCell<Vec<String>>,
    twice: &'a RefCell<Vec<Problem>>,
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Json<'_> {
    fn node<E>(self, value: Value) -> Result<Node, E> {
        Ok(Node { line: self.line.get(), value })
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        self.node(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        self.node(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        self.node(Value::Integer(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        self.node(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        self.node(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        self.node(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let (line, mut all) = (self.line.get(), Vec::new());
        while let Some(node) = list.next_element_seed(self)? {
            all.push(node);
        }
        Ok(Node { line, value: Value::List(all) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let (line, mut table) = (self.line.get(), Table::new());
        while let Some(name) = map.next_key::<String>()? {
            let line = self.line.get();
            self.path.borrow_mut().push(name.clone());
            let value = map.next_value_seed(self)?.value;
            match table.entry(name) {
                Entry::Vacant(free) => drop(free.insert(Node { line, value })),
                Entry::Occupied(_) => {
                    let setting = self.path.borrow().join(".").escape_debug().to_string();
                    self.twice.borrow_mut().push(Problem { line, ..Problem::new(setting, TWICE) });
                }
            }
            self.path.borrow_mut().pop();
        }
        Ok(Node { line, value: Value::Table(table) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document, Vec<(usize, String)>> {
        let parsed = Document::parse(text.as_bytes(), |text| text.starts_with('{'));
        parsed.map_err(|problems| problems.iter().map(|problem| (problem.line, problem.to_string())).collect())
    }

    const TOML: &str = "a = 1\n[b]\nc = [\n  true,\n  0.5,\n]\nd = \"x\"\n[b.\"e.f\"]\n";
    const JSON: &str = "{\n\"a\": 1\n,\"b\": {\n\"c\": [\n  true,\n  0.5\n],\n\"d\": \"x\",\n\"e.f\": {}}}";

    #[test]
    fn toml_and_json_give_the_same_tree_with_lines() {
        let (toml, json) = (parse(TOML).expect("TOML"), parse(JSON).expect("JSON"));
        let to_json = |document: &Document| Value::Table(document.table.clone()).to_json();
        assert_eq!(to_json(&toml), to_json(&json));
        let lines =
            |document: &Document| ["a", "b.c", "b.d", "b.e.f", "b.e.f.g", "b.z", "z"].map(|at| document.line(at));
        assert_eq!(lines(&toml), [1, 3, 7, 8, 8, 2, 0]);
        assert_eq!(lines(&json), [2, 4, 8, 9, 9, 3, 0]);
        for (document, line) in [(&toml, 4), (&json, 5)] {
            let Value::Table(b) = &document.table["b"].value else { panic!("a table") };
            let Value::List(c) = &b["c"].value else { panic!("a list") };
            assert_eq!(c.iter().map(|node| node.line).collect::<Vec<_>>(), [line, line + 1]);
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_a_name_that_stands_twice_is_not() {
        for text in [TOML, JSON] {
            assert_eq!(parse(&format!("\u{feff}{text}")), parse(text));
        }
        let twice = |text| {
            let document = parse(text).expect("readable");
            let twice = document.twice.into_iter().map(|problem| (problem.line, problem.setting));
            (document.table["c"].value.clone(), twice.collect::<Vec<_>>())
        };
        let (first, json) = twice("{\"a\": {\"b\": 1,\n\"b\": 2}, \"c\": 1,\n\n\"c\": 2}");
        assert_eq!((first, json), (Value::Integer(1), vec![(2, "a.b".to_owned()), (4, "c".to_owned())]));
        let (first, toml) = twice("c = 1\n\nc = 2\n[t]\n[t]");
        assert_eq!((first, toml), (Value::Integer(1), vec![(3, "c".to_owned()), (5, "t".to_owned())]));
    }

    #[test]
    fn what_is_neither_is_refused_with_its_line_and_without_its_text() {
        for (text, line, what) in [
            ("{\"a\": 1,}", 1, "not JSON: trailing comma"),
            ("{\"a\":\n{", 2, "not JSON: the file ends"),
            ("{} {}", 1, "not JSON: trailing characters"),
            ("a = 1\nsecret = \"hunter2\n", 2, "not TOML: invalid basic string"),
            ("hunter2", 1, "not TOML: key with no value"),
        ] {
            let problems = parse(text).expect_err(text);
            assert!(problems[0].0 == line && problems[0].1.contains(what), "{text}: {problems:?}");
            assert!(!format!("{problems:?}").contains("hunter2"));
        }
        assert_eq!(parse("a = \"\n[b]\nc = \n").expect_err("two").len(), 2);
        let not_text = Document::parse(b"a = 1\n\xff", |_| false).expect_err("not UTF-8");
        assert!(not_text[0].line == 2 && not_text[0].text.contains("UTF-8"), "{not_text:?}");
        assert!(Document::parse(&vec![b'#'; MAX_BYTES + 1], |_| false).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err() && parse(&"{\"a\":".repeat(100_000)).is_err());
    }
}
