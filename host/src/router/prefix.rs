//! The prefixes of commands in channels that have another one than [`PREFIX`]. Pure.

use crate::event::{PREFIX, Place};
use std::borrow::Cow;

/// The channels with a prefix of their own, each with that prefix.
#[derive(Debug, Default)]
pub struct Prefixes(Vec<(String, String)>);

impl Prefixes {
    /// Takes pairs of `CONNECTOR:CHANNEL` and prefix.
    pub fn new(all: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(all.into_iter().collect())
    }

    /// The prefix of a channel, when it has one of its own.
    fn of(&self, place: &Place) -> Option<&str> {
        let is_it = |name: &str| {
            let rest = name.strip_prefix(place.connector.as_str()).and_then(|rest| rest.strip_prefix(':'));
            rest.is_some_and(|channel| channel.eq_ignore_ascii_case(&place.channel))
        };
        self.0.iter().find(|(name, _)| is_it(name)).map(|(_, prefix)| prefix.as_str())
    }

    /// The line with [`PREFIX`] in place of the channel's own prefix; `None` when it is no command there, although it may
    /// begin with [`PREFIX`].
    pub fn command<'a>(&self, line: &'a str, place: &Place) -> Option<Cow<'a, str>> {
        match self.of(place) {
            None => line.starts_with(PREFIX).then_some(Cow::Borrowed(line)),
            Some(own) => line.strip_prefix(own).map(|rest| Cow::Owned(format!("{PREFIX}{rest}"))),
        }
    }

    /// A text as it reads in this channel: with the channel's prefix before each command.
    pub fn shown(&self, text: String, place: &Place, is_command: impl Fn(&str) -> bool) -> String {
        let Some(own) = self.of(place) else { return text };
        let mut shown = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(PREFIX) {
            shown.push_str(before);
            let end = after.find(|c: char| !c.is_alphanumeric() && !"-_:".contains(c)).unwrap_or(after.len());
            let is_word = shown.ends_with(char::is_alphanumeric);
            if !is_word && is_command(after[..end].trim_end_matches(':')) {
                shown.push_str(own);
            } else {
                shown.push(PREFIX);
            }
            rest = after;
        }
        shown + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_may_have_a_prefix_of_its_own() {
        let prefixes = Prefixes::new([("irc:#Tea".to_owned(), "..".to_owned())]);
        let (tea, other) = (Place::new("irc", "#tea"), Place::new("irc2", "#tea"));
        let command = |line: &'static str, place: &Place| prefixes.command(line, place).map(Cow::into_owned);
        assert_eq!(command("..roll 2d6", &tea).as_deref(), Some("!roll 2d6"));
        assert_eq!((command("!roll", &tea), command(".roll", &tea), command("hello", &other)), (None, None, None));
        assert!(matches!(prefixes.command("!roll", &other), Some(Cow::Borrowed("!roll"))));
        let text = || "Wow! Type !roll or !dice:roll, not a!roll (also !help: or !help). Not !other!".to_owned();
        let shown = |place| prefixes.shown(text(), place, |name| ["roll", "dice:roll", "help"].contains(&name));
        let expected = "Wow! Type ..roll or ..dice:roll, not a!roll (also ..help: or ..help). Not !other!";
        assert_eq!((shown(&tea).as_str(), shown(&other)), (expected, text()));
    }
}
