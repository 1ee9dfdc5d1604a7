//! Typed arguments: the words after the command become the parameters of the handler.
//!
//! Each parameter takes one word, and the last one takes the rest of the line, trimmed. So `question: String` gets a
//! whole sentence. Quotes make several words one: `!addquote "Ada Lovelace" first bug`.
//!
//! | parameter | what people type |
//! | --- | --- |
//! | `u8`, `i64`, `f64`, `String`, any `FromStr` | one word; as the last parameter the rest of the line |
//! | `Option<T>` | a `T`, or nothing |
//! | `Vec<T>` | any number of `T`, up to the end of the line; may be empty |
//! | [`Rest`] | the rest of the line exactly as it was typed; may be empty |
//! | an enum with [`#[derive(Choice)]`](macro@crate::Choice) | one of its names, in upper or lower case |
//! | [`Duration`](std::time::Duration) | `10s`, `5m`, `2h30m`, `1d` |
//! | [`User`] | a name of a person: `bob`, `@bob`, `bob:` |
//! | [`Channel`] | a name of a channel: `#tea` |
//!
//! ```
//! use plugin_api::{prelude::*, testing::Bot};
//! use std::time::Duration;
//!
//! #[derive(Clone, Copy, Debug, Choice)]
//! enum Size {
//!     Small,
//!     #[choice(name = "big", aliases("large"))]
//!     Big,
//! }
//!
//! #[derive(Default)]
//! struct Kitchen;
//!
//! #[plugin]
//! impl Kitchen {
//!     /// Order: `!order big 10m tea milk`
//!     #[command]
//!     fn order(&self, _cx: &Context, size: Size, wait: Duration, what: Vec<String>) -> String {
//!         format!("{size:?}, in {} s: {what:?}", wait.as_secs())
//!     }
//! }
//!
//! let bot = Bot::<Kitchen>::new();
//! assert_eq!(bot.say(r#"!order LARGE 1m30s tea "oat milk""#).text(), r#"Big, in 90 s: ["tea", "oat milk"]"#);
//! let usage = "Usage: !order big 10m tea milk";
//! assert_eq!(bot.say("!order").text(), usage);
//! assert_eq!(bot.say("!order huge 1m").text(), format!("size: \"huge\" is not a choice; write small or big. {usage}"));
//! ```
//!
//! A command without parameters ignores the words after it. When a word is missing or does not fit, the user gets the
//! usage from the doc comment. That is the user's mistake, and the event does not count as failed. Errors of an author's
//! `FromStr` are shown as they are. Errors of the standard library are not: the user reads `count: "x" is not a whole
//! number`.

mod choice;
mod duration;
mod place;
mod split;
mod words;

pub use choice::{Choice, Chosen};
pub use duration::Timed;
pub(crate) use duration::read as read_duration;
pub use place::{Channel, User};
pub(crate) use split::first_word;
pub(crate) use words::shown;

use std::{fmt, marker::PhantomData, ops::Deref, str::FromStr};

/// The rest of the line exactly as it was typed, which may be empty. (A `String` needs at least one word, and quotes
/// around all of it are dropped.)
///
/// ```
/// use plugin_api::args::{Args, Rest};
///
/// assert_eq!(&*Args::new(" \"to be\" he said ").last::<Rest, _>("text").unwrap(), "\"to be\" he said");
/// ```
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
///
/// ```
/// use plugin_api::args::Args;
///
/// let mut args = Args::new("3 \"red shoes\" please");
/// assert_eq!(args.word::<u8, _>("count"), Ok(3));
/// assert_eq!(args.word::<String, _>("what"), Ok("red shoes".to_owned()));
/// assert_eq!(args.last::<Option<String>, _>("more"), Ok(Some("please".to_owned())));
/// ```
#[derive(Debug)]
pub struct Args<'a>(&'a str);

impl<'a> Args<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Self(text.trim())
    }

    /// Takes the next word as the parameter `name`. What stands between quotes is one word.
    ///
    /// # Errors
    /// When the word is missing or is not a `T`.
    pub fn word<T: Arg<Via>, Via>(&mut self, name: &'static str) -> Result<T, ArgError> {
        let (word, rest) = split::next(self.0);
        self.0 = rest;
        T::read(name, word)
    }

    /// Takes the rest of the line as the parameter `name`.
    ///
    /// # Errors
    /// When nothing is left, or the rest is not a `T`.
    pub fn last<T: Arg<Via>, Via>(self, name: &'static str) -> Result<T, ArgError> {
        T::read_rest(name, self.0)
    }
}

/// Why a parameter could not be read. The reply to the user adds the usage.
///
/// ```
/// use plugin_api::args::{ArgError, Args};
///
/// assert_eq!(Args::new("").last::<u8, _>("count"), Err(ArgError::Missing("count")));
/// let text = "count: \"x\" is not a whole number".to_owned();
/// assert_eq!(Args::new("x").last::<u8, _>("count"), Err(ArgError::Invalid(text)));
/// ```
#[derive(Debug, PartialEq, Eq)]
pub enum ArgError {
    /// The parameter with this name is missing.
    Missing(&'static str),
    /// The text is not valid. This says why, for the user.
    Invalid(String),
    /// The command has only subcommands, and this is none of them.
    Subcommand,
}

/// A type of a command's parameter; the [module](self) lists them. An author's type implements `FromStr` or [`Choice`]
/// rather than this. `Via` distinguishes the implementations, so that they do not overlap; the compiler always infers
/// it.
///
/// ```
/// use plugin_api::args::Arg;
///
/// fn read<T: Arg<Via>, Via>(text: &str) -> Option<T> {
///     T::read("words", text).ok()
/// }
/// assert_eq!(read::<Option<u8>, _>("3"), Some(Some(3)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a command",
    note = "for an enum, add `#[derive(Clone, Copy, Choice)]`; for another type, implement `std::str::FromStr` with an error that is `Display`"
)]
pub trait Arg<Via>: Sized {
    /// Parses one word, which is empty when the parameter `name` is absent.
    ///
    /// # Errors
    /// When it is missing or not valid.
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError>;

    /// Parses the rest of the line, for the last parameter. By default, quotes around all of it are dropped.
    ///
    /// # Errors
    /// When it is missing or not valid.
    fn read_rest(name: &'static str, text: &str) -> Result<Self, ArgError> {
        Self::read(name, split::unquoted(text))
    }
}

/// The `Via` of a type with `FromStr`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Required;
/// The `Via` of an `Option`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Optional<Via>(PhantomData<Via>);
/// The `Via` of a `Vec`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Repeated<Via>(PhantomData<Via>);
/// The `Via` of [`Rest`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Whole;

impl<T: FromStr<Err: fmt::Display + 'static>> Arg<Required> for T {
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError> {
        if text.is_empty() {
            return Err(ArgError::Missing(name));
        }
        text.parse().map_err(|error: T::Err| ArgError::Invalid(words::explain::<T>(name, text, &error)))
    }
}

impl<T: Arg<Via>, Via> Arg<Optional<Via>> for Option<T> {
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError> {
        if text.is_empty() { Ok(None) } else { T::read(name, text).map(Some) }
    }

    fn read_rest(name: &'static str, text: &str) -> Result<Self, ArgError> {
        if text.is_empty() { Ok(None) } else { T::read_rest(name, text).map(Some) }
    }
}

impl<T: Arg<Via>, Via> Arg<Repeated<Via>> for Vec<T> {
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError> {
        if text.is_empty() { Ok(Self::new()) } else { T::read(name, text).map(|one| vec![one]) }
    }

    fn read_rest(name: &'static str, text: &str) -> Result<Self, ArgError> {
        let (mut all, mut left) = (Self::new(), text);
        while !left.is_empty() {
            let (word, rest) = split::next(left);
            // Quotes around nothing are no word.
            if !word.is_empty() {
                all.push(T::read(name, word)?);
            }
            left = rest;
        }
        Ok(all)
    }
}

impl Arg<Whole> for Rest {
    fn read(_: &'static str, text: &str) -> Result<Self, ArgError> {
        Ok(Self(text.to_owned()))
    }

    fn read_rest(name: &'static str, text: &str) -> Result<Self, ArgError> {
        Self::read(name, text)
    }
}

/// An error about the parameter `name`, in words for the user.
fn invalid(name: &str, text: &str, why: &str) -> ArgError {
    ArgError::Invalid(format!("{name}: {} {why}", shown(text)))
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
        assert_eq!(Args::new("").last::<Vec<u8>, _>("count"), Ok(vec![]));
        assert_eq!(Args::new("").last::<Rest, _>("text"), Ok(Rest(String::new())));
        assert!(matches!(Args::new("x").last::<Option<u8>, _>("count"), Err(ArgError::Invalid(_))));
    }

    #[test]
    fn quotes_make_one_word_of_several() {
        let mut args = Args::new(r#" "red  shoes" “two” x"y "an end"#);
        assert_eq!(args.word::<String, _>("a"), Ok("red  shoes".into()));
        assert_eq!(args.word::<String, _>("b"), Ok("two".into()));
        assert_eq!(args.word::<String, _>("c"), Ok("x\"y".into()));
        assert_eq!(args.last::<Vec<String>, _>("d"), Ok(vec!["\"an".into(), "end".into()]));
        let whole = |text: &str| Args::new(text).last::<String, _>("text").expect("not empty");
        assert_eq!(whole(r#""all of it""#), "all of it");
        assert_eq!(whole(r#""one" and "two""#), r#""one" and "two""#, "a sentence keeps its quotes");
        assert_eq!(Args::new("\"\"").last::<String, _>("text"), Err(ArgError::Missing("text")));
    }

    #[test]
    fn a_list_reads_each_word() {
        assert_eq!(Args::new("1 2  3").last::<Vec<u8>, _>("numbers"), Ok(vec![1, 2, 3]));
        let error = ArgError::Invalid("numbers: \"x\" is not a whole number".into());
        assert_eq!(Args::new("1 x 3").last::<Vec<u8>, _>("numbers"), Err(error));
        assert_eq!(Args::new("1 2").last::<Option<Vec<u8>>, _>("numbers"), Ok(Some(vec![1, 2])));
    }
}
