//! Typed arguments: the words after the command become the parameters of the handler.
//!
//! Each parameter takes one word, and the last one takes the rest of the line, trimmed. So `question: String` gets a
//! whole sentence. `Option<T>` may be absent, and [`Rest`] may be empty. A command without parameters ignores the words
//! after it. When a word is missing or does not parse, the user gets the usage from the doc comment. That is the user's
//! mistake, and the event does not count as failed.

use std::{fmt, ops::Deref, str::FromStr};

/// The rest of the line, which may be empty. (A `String` needs at least one word.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest(pub String);

impl Deref for Rest {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The words of a line that no parameter has taken yet.
#[derive(Debug)]
pub struct Args<'a>(&'a str);

impl<'a> Args<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Self(text.trim())
    }

    /// Takes the next word as the parameter `name`.
    ///
    /// # Errors
    /// When the word is missing or is not a `T`.
    pub fn word<T: Arg<Via>, Via>(&mut self, name: &'static str) -> Result<T, ArgError> {
        let (word, rest) = self.0.split_once(char::is_whitespace).unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        T::read(name, word)
    }

    /// Takes the rest of the line as the parameter `name`.
    ///
    /// # Errors
    /// When nothing is left, or the rest is not a `T`.
    pub fn last<T: Arg<Via>, Via>(self, name: &'static str) -> Result<T, ArgError> {
        T::read(name, self.0)
    }
}

/// Why a parameter could not be read. The reply to the user adds the usage.
#[derive(Debug, PartialEq, Eq)]
pub enum ArgError {
    /// The parameter with this name is missing.
    Missing(&'static str),
    /// The text is not valid; this is the message of its `FromStr::Err`.
    Invalid(String),
}

/// A type of a command's parameter: anything that implements `FromStr`, an `Option` of it, or [`Rest`]. `Via`
/// distinguishes these three; the compiler always infers it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a command",
    note = "implement `std::str::FromStr` for it, with an error that is `Display`"
)]
pub trait Arg<Via>: Sized {
    /// Parses `text`, which is empty when the parameter `name` is absent.
    ///
    /// # Errors
    /// When it is missing or not valid.
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError>;
}

/// The `Via` of a type with `FromStr`.
#[derive(Debug)]
pub struct Required;
/// The `Via` of an `Option`.
#[derive(Debug)]
pub struct Optional;
/// The `Via` of [`Rest`].
#[derive(Debug)]
pub struct Whole;

impl<T: FromStr<Err: fmt::Display>> Arg<Required> for T {
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError> {
        if text.is_empty() {
            return Err(ArgError::Missing(name));
        }
        text.parse().map_err(|error: T::Err| ArgError::Invalid(error.to_string()))
    }
}

impl<T: FromStr<Err: fmt::Display>> Arg<Optional> for Option<T> {
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError> {
        if text.is_empty() { Ok(None) } else { T::read(name, text).map(Some) }
    }
}

impl Arg<Whole> for Rest {
    fn read(_: &'static str, text: &str) -> Result<Self, ArgError> {
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_turn_and_the_last_takes_the_rest() {
        let mut args = Args::new("  3   red  shoes ");
        assert_eq!(args.word::<u8, _>("count"), Ok(3));
        assert_eq!(args.last::<String, _>("what"), Ok("red  shoes".into()));
    }

    #[test]
    fn absent_is_not_wrong() {
        assert_eq!(Args::new("").last::<u8, _>("count"), Err(ArgError::Missing("count")));
        assert_eq!(Args::new("").last::<Option<u8>, _>("count"), Ok(None));
        assert_eq!(Args::new("").last::<Rest, _>("text"), Ok(Rest(String::new())));
        assert!(matches!(Args::new("x").last::<Option<u8>, _>("count"), Err(ArgError::Invalid(_))));
    }
}
