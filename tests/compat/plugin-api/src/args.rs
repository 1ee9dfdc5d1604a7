//! Typed arguments: the words after the command, turned into what the handler asks for.
//!
//! Each parameter takes one word, and the last one all that is left, trimmed. So `question: String` gets a whole
//! sentence, `Option<T>` may be absent, and [`Rest`] may be empty. A command without parameters ignores what follows it.
//! What cannot be read is answered with the usage from the doc comment; it is the user's mistake, not a failure.

use std::{fmt, ops::Deref, str::FromStr};

/// What is left of the line, perhaps nothing. (A `String` demands at least one word.)
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

/// The words not yet taken.
#[derive(Debug)]
pub struct Args<'a>(&'a str);

impl<'a> Args<'a> {
    /// Reads from `text`.
    pub fn new(text: &'a str) -> Self {
        Self(text.trim())
    }

    /// Takes the next word as a parameter called `name`.
    ///
    /// # Errors
    /// When the word is absent or not a `T`.
    pub fn word<T: Arg<Via>, Via>(&mut self, name: &'static str) -> Result<T, ArgError> {
        let (word, rest) = self.0.split_once(char::is_whitespace).unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        T::read(name, word)
    }

    /// Takes all that is left as a parameter called `name`.
    ///
    /// # Errors
    /// When there is nothing left, or it is not a `T`.
    pub fn last<T: Arg<Via>, Via>(self, name: &'static str) -> Result<T, ArgError> {
        T::read(name, self.0)
    }
}

/// Why a parameter could not be read. The dispatch adds the usage.
#[derive(Debug, PartialEq, Eq)]
pub enum ArgError {
    /// The parameter of this name is absent.
    Missing(&'static str),
    /// It is there, but wrong: the words of its `FromStr::Err`.
    Invalid(String),
}

/// What a command may take: anything that is `FromStr`, an `Option` of it, or [`Rest`]. `Via` only keeps them apart and
/// is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a command",
    note = "implement `std::str::FromStr` for it, with an error that is `Display`"
)]
pub trait Arg<Via>: Sized {
    /// Reads `text`, which is empty when the parameter called `name` is absent.
    ///
    /// # Errors
    /// When it is absent or wrong.
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError>;
}

/// See [`Arg`].
#[derive(Debug)]
pub struct Required;
/// See [`Arg`].
#[derive(Debug)]
pub struct Optional;
/// See [`Arg`].
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
