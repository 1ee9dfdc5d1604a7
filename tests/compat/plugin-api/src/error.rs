//! What went wrong, told twice: a short text for the chat user, the whole story for the operator.

use std::{borrow::Cow, error::Error as StdError, fmt};

/// What the user reads when the author did not say anything better.
pub(crate) const APOLOGY: &str = "Sorry, something went wrong.";

/// The result of a handler or a hook.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure. `?` makes one of any [`std::error::Error`]; the user then reads a short apology and the operator the whole
/// chain of sources.
///
/// A user's mistake is not a failure: answer it with a [`Reply`](crate::Reply). Failures are counted, and many of them
/// make the host go back to the plugin's previous version.
pub struct Error {
    user: Cow<'static, str>,
    detail: String,
}

impl Error {
    /// A failure that tells the user and the operator the same.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        let user = text.into();
        Self { detail: user.to_string(), user }
    }

    /// A failure only the operator may read about; the user reads a short apology.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self { user: Cow::Borrowed(APOLOGY), detail: detail.into() }
    }

    /// Changes what the user reads; the detail stays.
    #[must_use]
    pub fn tell(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.user = text.into();
        self
    }

    /// What the user reads.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What the operator reads.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl<E: StdError> From<E> for Error {
    fn from(error: E) -> Self {
        Self::internal(chain(&error))
    }
}

// `Error` is deliberately no `std::error::Error`: that is what lets `?` convert every other one.
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

/// Says in one word what the user shall read when a step fails.
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

/// The error and its sources, outermost first. The depth is bounded because a source may be its own.
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
