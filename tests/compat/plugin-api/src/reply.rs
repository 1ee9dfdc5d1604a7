//! What a handler says back.

use crate::{Error, Result};
use std::borrow::Cow;

/// An answer to one event: a text, or nothing. Line breaks are the connector's to handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(Option<Cow<'static, str>>);

impl Reply {
    /// Says `text`. An empty text is said too, where the connector can.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Some(text.into()))
    }

    /// Says nothing: the event ends as *ignored*.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The text, if there is one.
    pub fn as_text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&'static str> for Reply {
    fn from(text: &'static str) -> Self {
        Self::text(text)
    }
}

impl From<Cow<'static, str>> for Reply {
    fn from(text: Cow<'static, str>) -> Self {
        Self::text(text)
    }
}

impl From<()> for Reply {
    fn from((): ()) -> Self {
        Self::none()
    }
}

/// What a handler may return: anything that is `Into<Reply>`, or a `Result` of such with an error that is
/// `Into<Error>`. `Via` only keeps the two apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "a command cannot return `{Self}`",
    note = "return `Reply`, `String`, `&'static str`, `()`, or `Result` of one of them"
)]
pub trait IntoReply<Via> {
    /// The one form the dispatch knows.
    ///
    /// # Errors
    /// The handler's own.
    fn into_reply(self) -> Result<Reply>;
}

/// See [`IntoReply`].
#[derive(Debug)]
pub struct Plain;
/// See [`IntoReply`].
#[derive(Debug)]
pub struct Fallible;

impl<T: Into<Reply>> IntoReply<Plain> for T {
    fn into_reply(self) -> Result<Reply> {
        Ok(self.into())
    }
}

impl<T: Into<Reply>, E: Into<Error>> IntoReply<Fallible> for std::result::Result<T, E> {
    fn into_reply(self) -> Result<Reply> {
        self.map(Into::into).map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_handler_returns_becomes_a_reply() {
        let said = |reply: Result<Reply>| reply.expect("these are all fine").as_text().map(str::to_owned);
        assert_eq!(said("a".into_reply()).as_deref(), Some("a"));
        assert_eq!(said(String::from("b").into_reply()).as_deref(), Some("b"));
        assert_eq!(said(Ok::<_, Error>(Reply::text("c")).into_reply()).as_deref(), Some("c"));
        assert_eq!(said(Ok::<_, std::fmt::Error>(()).into_reply()), None);
        assert!(Err::<String, _>(std::fmt::Error).into_reply().is_err());
    }
}
