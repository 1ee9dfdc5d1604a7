//! Events of every kind, from the host to the handler of a plugin.
//!
//! Host and plugin library have one type for all of them, [`Event`], which borrows its parts. Only the bytes between them
//! differ: a command travels as [`crate::message::Command`], as in version 1. All other events are an [`Occurrence`],
//! encoded separately inside [`crate::message::ToShim::Occur`]: a shim passes its bytes on unread, so a kind that is newer
//! than the shim still reaches a library that knows it. New variants and fields go last.

use serde::{Deserialize, Serialize};

/// The kind of an event. Metrics, `#[on(…)]` and the manifest use these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `!roll 2d6`. Exactly one plugin owns it.
    Command,
    /// A line in a channel that is no command.
    Message,
    /// A person came into a channel.
    Join,
    /// A person left a channel, or the network.
    Part,
    /// A person took another name.
    Nick,
    /// A channel got another topic.
    Topic,
    /// A timer of the plugin is due.
    Timer,
    /// Another plugin published something.
    Signal,
    /// The plugin's generation became active. Each generation gets this once.
    Start,
}

impl Kind {
    /// Every kind that this version knows, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Command,
        Self::Message,
        Self::Join,
        Self::Part,
        Self::Nick,
        Self::Topic,
        Self::Timer,
        Self::Signal,
        Self::Start,
    ];

    /// `command`, `message` and so on.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Message => "message",
            Self::Join => "join",
            Self::Part => "part",
            Self::Nick => "nick",
            Self::Topic => "topic",
            Self::Timer => "timer",
            Self::Signal => "signal",
            Self::Start => "start",
        }
    }

    /// The kind with this name, if this version knows it.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One event for one handler of one process. [`crate::frame::encode_event`] writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// Never 0, and unique in the life of a host.
    pub id: u64,
    /// Whether this is a probe: the reply does not reach chat, and its effects are not applied.
    pub probe: bool,
    /// Time that the host waits for the answer, in milliseconds.
    pub deadline_ms: u32,
    /// As [`Occurrence::handler`]; 0 for a command, whose name finds its handler.
    pub handler: u16,
    /// As [`Occurrence::user`].
    pub user: &'a str,
    /// As [`Occurrence::channel`].
    pub channel: &'a str,
    /// As [`Occurrence::connector`].
    pub connector: &'a str,
    /// W3C `traceparent`, or empty. Only a command carries one to the plugin.
    pub traceparent: &'a str,
    /// The kind of event, with its data.
    pub body: Body<'a>,
}

/// One event that is no command, with its origin, as it is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence<'a> {
    /// The index of its handler in the manifest's `subscriptions`. Timers, signals and the start have handlers there
    /// too.
    pub handler: u16,
    /// The person who did it, or set the timer; empty without a person.
    pub user: &'a str,
    /// The channel where it happened; empty without a channel.
    pub channel: &'a str,
    /// The connector that brought it: `console`, `irc`; empty if it comes from no network.
    pub connector: &'a str,
    /// The kind of event, with its data.
    #[serde(borrow)]
    pub body: Body<'a>,
}

impl<'a> Occurrence<'a> {
    /// The event that it belongs to.
    pub fn into_event(self, id: u64, probe: bool, deadline_ms: u32) -> Event<'a> {
        let Self { handler, user, channel, connector, body } = self;
        Event { id, probe, deadline_ms, handler, user, channel, connector, traceparent: "", body }
    }
}

/// What happened, with the data of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body<'a> {
    /// See [`Kind::Message`].
    Message {
        /// The line, without formatting.
        text: &'a str,
    },
    /// See [`Kind::Join`].
    Join,
    /// See [`Kind::Part`].
    Part {
        /// The person's message on leaving; may be empty.
        reason: &'a str,
    },
    /// See [`Kind::Nick`].
    Nick {
        /// The new name; `user` is the old one.
        new: &'a str,
    },
    /// See [`Kind::Topic`].
    Topic {
        /// The new topic.
        text: &'a str,
    },
    /// See [`Kind::Timer`].
    Timer {
        /// The timer's name, unique within the plugin.
        name: &'a str,
        /// The bytes that the plugin stored with it.
        payload: &'a [u8],
        /// When it was due, in milliseconds since 1970.
        due_ms: u64,
        /// How late the host delivers it, in milliseconds.
        late_ms: u64,
    },
    /// See [`Kind::Signal`].
    Signal {
        /// The plugin that published it.
        from: &'a str,
        /// The topic that the plugin subscribed to.
        topic: &'a str,
        /// The publisher's own bytes.
        payload: &'a [u8],
        /// The length of the chain of signals: 1 for a signal that a person's event caused.
        depth: u8,
    },
    /// See [`Kind::Start`].
    Start,
    /// See [`Kind::Command`]. Since 3; the host sends commands as [`crate::message::Command`] all the same.
    Command {
        /// The command, without the prefix.
        name: &'a str,
        /// The text after the command, trimmed.
        args: &'a str,
    },
}

impl Body<'_> {
    /// The kind of event that this body belongs to.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Message { .. } => Kind::Message,
            Self::Join => Kind::Join,
            Self::Part { .. } => Kind::Part,
            Self::Nick { .. } => Kind::Nick,
            Self::Topic { .. } => Kind::Topic,
            Self::Timer { .. } => Kind::Timer,
            Self::Signal { .. } => Kind::Signal,
            Self::Start => Kind::Start,
            Self::Command { .. } => Kind::Command,
        }
    }
}
