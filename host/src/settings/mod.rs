//! Reads a file of settings strictly, and names every problem in it. `document` makes a tree from TOML or JSON,
//! `section` takes typed values from it, and `name` checks names of people and hosts. Pure.

mod document;
mod name;
mod section;

pub use document::{Document, MAX_BYTES, Value};
pub use name::{host_problem, in_link, person_problem};
pub use section::{Ranged, Section, Setting};

use std::{fmt, io};

/// One problem in a file of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 when the problem concerns the whole file.
    pub line: usize,
    /// The setting with the tables around it: `dashboard.port`. Empty when the problem concerns the whole file.
    pub setting: String,
    /// What is wrong, and what would be right. It never quotes a value that may be a secret.
    pub text: String,
}

impl Problem {
    /// A problem whose line [`Document::place`] finds.
    pub fn new(setting: impl Into<String>, text: impl Into<String>) -> Self {
        Self { line: 0, setting: setting.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.setting.is_empty() { out.write_str(&self.text) } else { write!(out, "{}: {}", self.setting, self.text) }
    }
}

/// Why a file cannot be read.
pub fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}
