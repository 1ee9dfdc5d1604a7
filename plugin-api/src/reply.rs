//! The reply of a handler.

use crate::{Error, Result};
use std::borrow::Cow;

/// A reply to one event: a text, or nothing. The text may have several lines; the connector splits it. The host cuts a
/// text that is longer than `limits.reply_bytes` (4,096 bytes by default).
///
/// ```
/// use plugin_api::Reply;
///
/// let answer = |count: u32| if count > 0 { Reply::text(format!("{count} cups")) } else { Reply::none() };
/// assert_eq!(answer(2).as_text(), Some("2 cups"));
/// assert_eq!(answer(0).as_text(), None);
/// assert_eq!(Reply::from("tea"), Reply::text("tea"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(Option<Cow<'static, str>>);

impl Reply {
    /// Replies with `text`. An empty text is a reply too, which a connector may not be able to show.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Some(text.into()))
    }

    /// Does not reply: the event ends as *ignored*.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The text; `None` for no reply.
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

/// The types that a handler may return: anything that is `Into<Reply>`, or a `Result` of it with an error that is
/// `Into<Error>`. `Via` distinguishes the two; the compiler always infers it.
///
/// ```
/// use plugin_api::{Reply, reply::IntoReply};
///
/// assert_eq!("tea".into_reply().unwrap(), Reply::text("tea"));
/// assert!("tea".parse::<u8>().map(|cups| cups.to_string()).into_reply().is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "a command cannot return `{Self}`",
    note = "return `Reply`, `String`, `&'static str`, `()`, or `Result` of one of them"
)]
pub trait IntoReply<Via> {
    /// Converts the value into the one form that the host takes.
    ///
    /// # Errors
    /// The handler's own.
    fn into_reply(self) -> Result<Reply>;
}

/// The `Via` of a type that is `Into<Reply>`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Plain;
/// The `Via` of a `Result`.
#[doc(hidden)]
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
        let text = |reply: Result<Reply>| reply.expect("these are all fine").as_text().map(str::to_owned);
        assert_eq!(text("a".into_reply()).as_deref(), Some("a"));
        assert_eq!(text(String::from("b").into_reply()).as_deref(), Some("b"));
        assert_eq!(text(Ok::<_, Error>(Reply::text("c")).into_reply()).as_deref(), Some("c"));
        assert_eq!(text(Ok::<_, std::fmt::Error>(()).into_reply()), None);
        assert!(Err::<String, _>(std::fmt::Error).into_reply().is_err());
    }
}
