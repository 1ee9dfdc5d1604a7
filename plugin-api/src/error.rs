//! Errors with two texts: a short one for the chat user, and a full one for the operator.
//!
//! ```
//! use plugin_api::{
//!     Error, Result,
//!     error::OrTell,
//! };
//!
//! fn port(text: &str) -> Result<u16> {
//!     if text == "0" {
//!         return Err(Error::new("port 0 is no port"));
//!     }
//!     text.parse().or_tell("the port is set wrongly")
//! }
//!
//! let error = port("x").unwrap_err();
//! assert_eq!((error.user(), error.detail()), ("the port is set wrongly", "invalid digit found in string"));
//! assert_eq!(port("0").unwrap_err().user(), "port 0 is no port");
//! let error = Error::internal("the service answers 503");
//! assert_eq!(error.user(), "Sorry, something went wrong.");
//! assert_eq!(error.tell("no weather today").user(), "no weather today");
//! ```

use std::{borrow::Cow, error::Error as StdError, fmt};

/// What the user reads when the author gave no text.
pub(crate) const APOLOGY: &str = "Sorry, something went wrong.";

/// The result of a handler or a hook.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of a handler or a hook. `?` converts any [`std::error::Error`] into one; then the user reads a short
/// apology, and the operator the error with all its sources.
///
/// A user's mistake is not a failure: answer it with a [`Reply`](crate::Reply). The host counts failures, and many of
/// them during a trial make it go back to the build before.
pub struct Error {
    user: Cow<'static, str>,
    detail: String,
}

impl Error {
    /// A failure with the same text for the user and the operator.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        let user = text.into();
        Self { detail: user.to_string(), user }
    }

    /// A failure with a text for the operator alone. The user reads a short apology.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self { user: Cow::Borrowed(APOLOGY), detail: detail.into() }
    }

    /// Replaces the text for the user. The operator's text stays.
    #[must_use]
    pub fn tell(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.user = text.into();
        self
    }

    /// The text for the user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The text for the operator.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl<E: StdError> From<E> for Error {
    fn from(error: E) -> Self {
        Self::internal(chain(&error))
    }
}

// `Error` does not implement `std::error::Error` on purpose: only so can `?` convert every type that does.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (the user reads: {})", self.detail, self.user)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Adds the text for the user to an error.
pub trait OrTell<T> {
    /// Turns an error into [`Error`] with this text for the user.
    ///
    /// ```
    /// use plugin_api::prelude::*;
    ///
    /// fn port(text: &str) -> Result<u16> {
    ///     text.parse::<u16>().or_tell("the port is set wrongly, please tell the operator")
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of `self`.
    fn or_tell(self, text: impl Into<Cow<'static, str>>) -> Result<T>;
}

impl<T, E: Into<Error>> OrTell<T> for std::result::Result<T, E> {
    fn or_tell(self, text: impl Into<Cow<'static, str>>) -> Result<T> {
        self.map_err(|error| error.into().tell(text))
    }
}

/// The error and its sources, the outermost first. The depth is bounded, because an error may be its own source.
fn chain(error: &dyn StdError) -> String {
    const DEPTH: usize = 16;
    let mut text = error.to_string();
    let sources = std::iter::successors(error.source(), |&cause| cause.source());
    for source in sources.take(DEPTH) {
        text.push_str(": ");
        text.push_str(&source.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("reading the answer")
        }
    }
    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn failing() -> Result<i32> {
        Ok("x".parse::<i32>().map_err(Outer)?)
    }

    #[test]
    fn the_operator_reads_the_chain_and_the_user_an_apology() {
        let error = failing().expect_err("x is no number");
        assert_eq!(error.user(), APOLOGY);
        assert_eq!(error.detail(), "reading the answer: invalid digit found in string");
    }

    #[test]
    fn or_tell_keeps_the_detail() {
        let error = failing().or_tell("no answer today").expect_err("x is no number");
        assert_eq!(error.user(), "no answer today");
        assert_eq!(error.detail(), "reading the answer: invalid digit found in string");
    }
}
