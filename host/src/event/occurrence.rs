//! What happened, for each kind of event, owned.

use super::{PREFIX, first_word};
use rosey_wire::{
    event::{Body, Kind},
    manifest::Manifest,
};
use std::{borrow::Cow, sync::Arc};

/// A line that begins with a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// As typed, at most [`super::MAX_LINE`] bytes.
    text: Box<str>,
    command_end: u32,
    args_start: u32,
}

impl CommandLine {
    /// Splits a line in which [`super::command_of`] found a command.
    pub fn new(text: Box<str>) -> Self {
        let body = text.strip_prefix(PREFIX).unwrap_or(&text);
        let command_end = text.len() - body.len() + first_word(body).len();
        Self::split(text, command_end)
    }

    /// Splits a line whose command, with its prefix, ends here.
    pub fn split(text: Box<str>, command_end: usize) -> Self {
        let args_start = match text.as_bytes()[command_end..] {
            // As most lines: one space, and something to see.
            [b' ', b'!'..=b'~', ..] => command_end + 1,
            _ => text.len() - text[command_end..].trim_start().len(),
        };
        let at = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        Self { command_end: at(command_end), args_start: at(args_start), text }
    }

    /// The command, without the prefix.
    pub fn name(&self) -> &str {
        let command = &self.text[..self.command_end as usize];
        command.strip_prefix(PREFIX).unwrap_or(command)
    }

    /// The text after the command, trimmed.
    pub fn args(&self) -> &str {
        self.text[self.args_start as usize..].trim_end()
    }

    /// The body for the plugin.
    #[inline]
    pub fn body(&self) -> Body<'_> {
        Body::Command { name: self.name(), args: self.args() }
    }

    /// The whole line.
    pub fn line(&self) -> &str {
        &self.text
    }
}

/// What happened, and the handler of the plugin for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// What happened, with its data.
    pub what: What,
    /// The `pattern` of the subscription that matched. A build that replaces another may have the subscription at
    /// another place, or not at all.
    pub pattern: Arc<str>,
    /// The place of that subscription in the manifest of the build that served when the event was made.
    pub handler: u16,
    /// The row of `accepted` that holds this event until it ends, if it must outlive the host: a timer that is due, a
    /// signal, and every other event that must happen once whatever is killed.
    pub row: Option<i64>,
}

impl Occurrence {
    /// An event for the handler at this place of a manifest. The host forgets it when it ends.
    pub fn new(what: What, handler: u16, pattern: impl Into<Arc<str>>) -> Self {
        Self { what, pattern: pattern.into(), handler, row: None }
    }

    /// The place of its handler in the manifest of a build, if that build has one.
    pub fn handler_in(&self, manifest: &Manifest) -> Option<u16> {
        let kind = self.what.kind().name();
        let fits = |at: usize| {
            let found = manifest.subscriptions.get(at);
            found.is_some_and(|subscription| subscription.kind == kind && subscription.pattern == *self.pattern)
        };
        if fits(self.handler.into()) {
            return Some(self.handler);
        }
        (0..manifest.subscriptions.len()).find(|at| fits(*at)).and_then(|at| u16::try_from(at).ok())
    }
}

/// What happened, with the data of that kind. The wire's [`Body`] explains each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A command that outlives the host.
    Command(CommandLine),
    /// A line without a command.
    Message {
        /// The line.
        text: Arc<str>,
    },
    /// A person came.
    Join,
    /// A person left.
    Part {
        /// The person's parting words.
        reason: Box<str>,
    },
    /// A person changed the nick.
    Nick {
        /// The new name.
        new: Box<str>,
    },
    /// A channel got another topic.
    Topic {
        /// The new topic.
        text: Box<str>,
    },
    /// A timer is due.
    Timer {
        /// The name under which it was set.
        name: Box<str>,
        /// The plugin's data, stored with it.
        payload: Box<[u8]>,
        /// When it was due, in milliseconds since 1970.
        due_ms: u64,
    },
    /// A plugin published something.
    Signal {
        /// The plugin that published it.
        from: Arc<str>,
        /// The topic under which it was published.
        topic: Arc<str>,
        /// The plugin's data.
        payload: Arc<[u8]>,
        /// Number of signals that led to this one.
        depth: u8,
    },
    /// The plugin begins to serve.
    Start,
}

impl What {
    /// The kind of event.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Command(_) => Kind::Command,
            Self::Message { .. } => Kind::Message,
            Self::Join => Kind::Join,
            Self::Part { .. } => Kind::Part,
            Self::Nick { .. } => Kind::Nick,
            Self::Topic { .. } => Kind::Topic,
            Self::Timer { .. } => Kind::Timer,
            Self::Signal { .. } => Kind::Signal,
            Self::Start => Kind::Start,
        }
    }

    /// The body for the plugin. `now_ms` is the time, in milliseconds since 1970.
    pub fn body(&self, now_ms: u64) -> Body<'_> {
        match self {
            Self::Command(command) => command.body(),
            Self::Message { text } => Body::Message { text },
            Self::Join => Body::Join,
            Self::Part { reason } => Body::Part { reason },
            Self::Nick { new } => Body::Nick { new },
            Self::Topic { text } => Body::Topic { text },
            Self::Timer { name, payload, due_ms } => {
                Body::Timer { name, payload, due_ms: *due_ms, late_ms: now_ms.saturating_sub(*due_ms) }
            }
            Self::Signal { from, topic, payload, depth } => Body::Signal { from, topic, payload, depth: *depth },
            Self::Start => Body::Start,
        }
    }

    /// An owned copy of a [`Body`].
    pub fn of(body: &Body<'_>) -> Self {
        match *body {
            Body::Message { text } => Self::Message { text: text.into() },
            Body::Join => Self::Join,
            Body::Part { reason } => Self::Part { reason: reason.into() },
            Body::Nick { new } => Self::Nick { new: new.into() },
            Body::Topic { text } => Self::Topic { text: text.into() },
            Body::Timer { name, payload, due_ms, .. } => {
                Self::Timer { name: name.into(), payload: payload.into(), due_ms }
            }
            Body::Signal { from, topic, payload, depth } => {
                Self::Signal { from: from.into(), topic: topic.into(), payload: payload.into(), depth }
            }
            Body::Start => Self::Start,
            Body::Command { name, args } => Self::Command(CommandLine::new(format!("{PREFIX}{name} {args}").into())),
        }
    }

    /// The text for people.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Command(command) => Cow::Borrowed(command.line()),
            Self::Message { text } => Cow::Borrowed(text),
            Self::Join => Cow::Borrowed("(join)"),
            Self::Part { reason } if reason.is_empty() => Cow::Borrowed("(part)"),
            Self::Part { reason } => Cow::Owned(format!("(part: {reason})")),
            Self::Nick { new } => Cow::Owned(format!("(nick: {new})")),
            Self::Topic { text } => Cow::Owned(format!("(topic: {text})")),
            Self::Timer { name, .. } => Cow::Owned(format!("(timer {name})")),
            Self::Signal { from, topic, .. } => Cow::Owned(format!("(signal {topic} from {from})")),
            Self::Start => Cow::Borrowed("(start)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_wire::manifest::Subscription;

    fn manifest(subscriptions: &[(&str, &str)]) -> Manifest {
        let subscription = |(kind, pattern): &(&str, &str)| Subscription {
            kind: (*kind).to_owned(),
            pattern: (*pattern).to_owned(),
            ..Subscription::default()
        };
        Manifest { subscriptions: subscriptions.iter().map(subscription).collect(), ..Manifest::default() }
    }

    #[test]
    fn a_build_that_takes_over_gets_an_event_at_the_place_that_its_handler_has_there() {
        let event = Occurrence::new(What::Message { text: "x".into() }, 1, "x+");
        let before = manifest(&[("join", ""), ("message", "x+")]);
        assert_eq!(event.handler_in(&before), Some(1));
        let after = manifest(&[("message", "x+"), ("message", "y")]);
        assert_eq!(event.handler_in(&after), Some(0));
        assert_eq!(event.handler_in(&manifest(&[("message", "y"), ("join", "x+")])), None);
    }

    #[test]
    fn what_happened_survives_the_way_through_the_wire() {
        let all = [
            What::Command(CommandLine::new("!roll 2d6 x".into())),
            What::Message { text: "a".into() },
            What::Join,
            What::Part { reason: "b".into() },
            What::Nick { new: "c".into() },
            What::Topic { text: "d".into() },
            What::Timer { name: "e".into(), payload: [1, 2][..].into(), due_ms: 3 },
            What::Signal { from: "f".into(), topic: "g".into(), payload: [4][..].into(), depth: 5 },
            What::Start,
        ];
        for what in all {
            assert_eq!(What::of(&what.body(10)), what);
            assert_eq!(what.body(10).kind(), what.kind());
        }
    }
}
