//! Reads a file of settings strictly, and names every problem in it. `document` makes a tree from TOML or JSON,
//! `section` takes typed values (`kind`) from it, and `name` checks names of people and hosts. Pure.

mod document;
mod kind;
mod name;
mod section;
mod shape;

pub use document::{Document, MAX_BYTES, Node, Table, Value};
pub use kind::{Ranged, Setting};
pub use name::{host_problem, in_link, person_problem};
pub use section::Section;
pub use shape::Shape;

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// A place of settings besides the file itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Another file, in which lines count.
    File(PathBuf),
    /// A variable of the environment, or a credential.
    Whole(String),
}

impl Origin {
    /// The place with a line, where it has lines.
    pub fn at(&self, line: usize) -> String {
        match self {
            Self::File(path) if line > 0 => format!("{}:{line}", path.display()),
            Self::File(path) => path.display().to_string(),
            Self::Whole(name) => name.clone(),
        }
    }
}

/// One problem in a file of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 when the problem concerns the whole file.
    pub line: usize,
    /// The setting with the tables around it: `dashboard.port`. Empty when the problem concerns the whole file.
    pub setting: String,
    /// Where the setting comes from, if not from the file itself.
    pub origin: Option<Origin>,
    /// What is wrong, and what would be right. It never quotes a value that may be a secret.
    pub text: String,
}

impl Problem {
    /// A problem whose line [`Document::place`] finds.
    pub fn new(setting: impl Into<String>, text: impl Into<String>) -> Self {
        Self { line: 0, setting: setting.into(), origin: None, text: text.into() }
    }

    /// The same problem of a setting with this origin.
    pub fn of(self, origin: &Origin) -> Self {
        Self { origin: Some(origin.clone()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.setting.is_empty() { out.write_str(&self.text) } else { write!(out, "{}: {}", self.setting, self.text) }
    }
}

/// What a file has, up to a little more than the longest file of settings.
///
/// # Errors
/// Why it cannot be read.
pub fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(file).map_err(|error| unreadable(&error))?;
    // One byte more than the limit, to notice a longer file.
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    Ok(bytes)
}

/// The secret in a file, without line breaks at its end.
///
/// # Errors
/// Why it cannot be read.
pub fn secret_in(file: &Path) -> Result<String, String> {
    let text = bytes(file).and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned()));
    text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|why| format!("{} cannot be read: {why}", file.display()))
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
