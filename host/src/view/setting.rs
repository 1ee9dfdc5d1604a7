//! The settings that a plugin declares, as people see them.

use serde::Serialize;

/// A setting that a plugin declares.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Setting {
    /// The name in the operator's file.
    pub name: String,
    /// What it is for, in the words of the plugin.
    pub help: String,
    /// The kind of value in plain words; may be empty.
    pub kind: String,
    /// What a number counts; may be empty.
    pub unit: String,
    /// The values that it may have: `1 to 14`; empty for all.
    pub range: String,
    /// The default, as the operator would write it, if it is known.
    pub default: Option<String>,
    /// Whether it must be set.
    pub required: bool,
    /// Whether its value is secret, and never shown.
    pub secret: bool,
    /// The value in force, as the operator would write it; `None` when it is not set and no default is known.
    pub value: Option<String>,
    /// Whether the operator left it out.
    pub is_default: bool,
    /// Where the operator set it: `rosey.toml:12`.
    pub place: Option<String>,
}

impl Setting {
    /// The value in force with its unit, or why there is none.
    pub fn in_force(&self) -> String {
        match &self.value {
            Some(value) if self.unit.is_empty() => value.clone(),
            Some(value) => format!("{value} {}", self.unit),
            None => "not set".to_owned(),
        }
    }

    /// What it may be, in words: `whole number, 1 to 14 days`. May be empty.
    pub fn allowed(&self) -> String {
        let range = match self.range.is_empty() {
            true => String::new(),
            false => format!("{} {}", self.range, self.unit).trim_end().to_owned(),
        };
        let parts = [self.kind.as_str(), range.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }
}
