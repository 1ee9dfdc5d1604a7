//! The settings of a table with their types, as its reader asks for them: the JSON Schema of a file.

use super::{Ranged, Section, Table};
use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;

/// What a reader takes from a table.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    properties: Map<String, Value>,
    /// What tables with free names have.
    others: Option<Value>,
}

/// A table without entries.
static EMPTY: Table = Table::new();

impl Shape {
    /// The settings that this reader takes.
    pub fn of<R>(read: impl FnOnce(&mut Section<'_>) -> R) -> Self {
        let mut problems = Vec::new();
        let mut section = Section::of_shape(&EMPTY, &mut problems);
        read(&mut section);
        section.into_shape()
    }

    /// The JSON Schema of the table.
    pub fn schema(self) -> Value {
        let others = self.others.unwrap_or(Value::Bool(false));
        json!({ "type": "object", "properties": self.properties, "additionalProperties": others })
    }

    /// Adds a setting.
    pub fn add(&mut self, name: &str, schema: Value) {
        self.properties.insert(name.to_owned(), schema);
    }

    /// Says what tables with free names have.
    pub fn set_others(&mut self, schema: Value) {
        self.others = Some(schema);
    }
}

/// The schema of a number or a time within a range.
pub fn ranged<T: Ranged>(range: &RangeInclusive<T>) -> Value {
    let mut schema = T::schema();
    for (word, bound) in [("minimum", range.start()), ("maximum", range.end())] {
        if let Some(number) = bound.number() {
            schema[word] = number;
        }
    }
    schema["description"] = format!("{} from {} to {}", T::NOUN, range.start().words(), range.end().words()).into();
    schema
}

/// The schema of one of several words.
pub fn one_of<T>(words: &[(&str, T)]) -> Value {
    json!({ "enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

/// The schema of a table whose entries have free names.
pub fn each(entry: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": entry })
}
