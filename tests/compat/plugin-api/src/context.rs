//! Who said it, where, and how long the answer may take.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// The circumstances of one event. It owns its texts, so a handler may keep it over an `await`.
pub struct Context {
    /// All texts end to end: one allocation per event instead of six.
    text: String,
    /// Where each text ends in `text`, in the order of `Part`.
    ends: [usize; PARTS],
    id: u64,
    probe: bool,
    limit: Duration,
    since: Instant,
}

/// The texts of an event, in the order in which they are packed.
#[derive(Clone, Copy)]
enum Part {
    Command,
    Args,
    User,
    Channel,
    Connector,
    Traceparent,
}
const PARTS: usize = 6;

/// An event as it arrives: borrowed, to be packed into a [`Context`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Incoming<'a> {
    pub(crate) id: u64,
    pub(crate) probe: bool,
    pub(crate) deadline_ms: u32,
    pub(crate) command: &'a str,
    pub(crate) args: &'a str,
    pub(crate) user: &'a str,
    pub(crate) channel: &'a str,
    pub(crate) connector: &'a str,
    pub(crate) traceparent: &'a str,
}

impl Context {
    pub(crate) fn new(event: &Incoming<'_>) -> Self {
        let parts = [event.command, event.args, event.user, event.channel, event.connector, event.traceparent];
        let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
        let ends = parts.map(|part| {
            text.push_str(part);
            text.len()
        });
        let limit = Duration::from_millis(event.deadline_ms.into());
        Self { text, ends, id: event.id, probe: event.probe, limit, since: Instant::now() }
    }

    fn part(&self, part: Part) -> &str {
        let index = part as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// The command as the user typed it, without the prefix: its name or one of its aliases.
    pub fn command(&self) -> &str {
        self.part(Part::Command)
    }

    /// What follows the command, trimmed, before it was split into arguments.
    pub fn args(&self) -> &str {
        self.part(Part::Args)
    }

    /// Who said it, as chat shows them. Not trusted: it may be anything.
    pub fn user(&self) -> &str {
        self.part(Part::User)
    }

    /// Where it was said.
    pub fn channel(&self) -> &str {
        self.part(Part::Channel)
    }

    /// Which connector brought it: `console`, `irc`.
    pub fn connector(&self) -> &str {
        self.part(Part::Connector)
    }

    /// The W3C `traceparent` of the event, if it has one.
    pub fn traceparent(&self) -> Option<&str> {
        Some(self.part(Part::Traceparent)).filter(|text| !text.is_empty())
    }

    /// The host's number for this event; it stands in the host's logs too. Never 0.
    pub fn event(&self) -> u64 {
        self.id
    }

    /// Whether this is the host's health check: nobody sees the reply, and it must leave no trace.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// When the host stops waiting for the answer, and a handler that is still waiting is dropped.
    pub fn deadline(&self) -> Instant {
        self.since + self.limit
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("event", &self.id)
            .field("command", &self.command())
            .field("args", &self.args())
            .field("user", &self.user())
            .field("channel", &self.channel())
            .field("connector", &self.connector())
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_comes_back_out() {
        let event = Incoming {
            id: 7,
            probe: true,
            deadline_ms: 1500,
            command: "roll",
            args: "2d6 é",
            user: "alice",
            channel: "#dice",
            connector: "irc",
            traceparent: "",
        };
        let cx = Context::new(&event);
        assert_eq!((cx.command(), cx.args(), cx.user()), ("roll", "2d6 é", "alice"));
        assert_eq!((cx.channel(), cx.connector(), cx.traceparent()), ("#dice", "irc", None));
        assert_eq!((cx.event(), cx.is_probe()), (7, true));
        assert_eq!(cx.deadline() - cx.since, Duration::from_millis(1500));
    }
}
