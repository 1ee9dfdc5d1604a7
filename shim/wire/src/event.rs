//! Events of every kind but commands, as a plugin library reads them. Since version 2.
//!
//! A command travels as [`crate::message::Event`], as it always has. Everything else is an [`Occurrence`], encoded by itself
//! inside [`crate::message::ToShim::Occur`]: a shim passes its bytes on unread, so a kind that is younger than the shim still
//! reaches a library that knows it. New variants and fields go last.

use serde::{Deserialize, Serialize};

/// What an event is. The names are those of metrics, of `#[on(…)]` and of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `!roll 2d6`: has one owner.
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
    /// The plugin serves from now on: once for each generation that becomes active.
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

    /// The kind of this name, if this version knows one.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One event that is no command, and who and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence<'a> {
    /// The place of its handler in the manifest's `subscriptions`. Timers, signals and the start have handlers of their own
    /// there as well.
    pub handler: u16,
    /// Who did it, or set the timer; empty where no person did.
    pub user: &'a str,
    /// Where it happened; empty where it belongs to no channel.
    pub channel: &'a str,
    /// What brought it: `console`, `irc`; empty for what comes from no network.
    pub connector: &'a str,
    /// The kind of event, and what belongs to it.
    #[serde(borrow)]
    pub body: Body<'a>,
}

/// What happened, with what belongs to that kind alone.
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
        /// What the person said on leaving, perhaps nothing.
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
        /// Its name, unique within the plugin.
        name: &'a str,
        /// What the plugin stored with it.
        payload: &'a [u8],
        /// When it was due, in milliseconds since 1970.
        due_ms: u64,
        /// How many milliseconds after that it was handed over.
        late_ms: u64,
    },
    /// See [`Kind::Signal`].
    Signal {
        /// The plugin that published it.
        from: &'a str,
        /// What the plugin subscribed to.
        topic: &'a str,
        /// The publisher's own bytes.
        payload: &'a [u8],
        /// How many signals led to this one: 1 for a signal that a person's event caused.
        depth: u8,
    },
    /// See [`Kind::Start`].
    Start,
}

impl Body<'_> {
    /// The kind of event that this is the body of.
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
        }
    }
}
