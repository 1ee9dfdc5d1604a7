//! What a handler wants to change. Travels with its answer, and is applied with it or not at all. Since version 2.
//!
//! Encoded by itself inside [`crate::message::ToHost::ReplyWith`] and [`crate::call::Call::Transaction`]; a shim passes the
//! bytes on unread. New variants and fields go last.

use serde::{Deserialize, Serialize};

/// Whose data a key belongs to. The host knows the channel and the person of the event, so a plugin cannot name another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The plugin's own, the same in every event.
    Global,
    /// The channel of the event.
    Channel,
    /// The person of the event: the account where the network has verified one, else the nick on that network.
    User,
    /// That person in that channel.
    Member,
}

/// All that one event, or one transaction, read and wants to change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects<'a> {
    /// What it read, to be found unchanged when the changes are applied.
    #[serde(borrow)]
    pub reads: Vec<Read<'a>>,
    /// What it wants, in order.
    pub changes: Vec<Effect<'a>>,
}

/// Something that was read, and in which state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Read<'a> {
    /// The value of one key.
    Key {
        /// Where the key was looked for.
        scope: Scope,
        /// Its name.
        key: &'a str,
        /// The version that was seen; 0 when there was none.
        version: u64,
    },
    /// All keys that begin like this.
    Prefix {
        /// Where the keys were looked for.
        scope: Scope,
        /// How they begin.
        prefix: &'a str,
        /// How many there were.
        count: u64,
        /// The highest version among them; 0 when there were none.
        version: u64,
    },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect<'a> {
    /// Store a value, in place of the one that is there.
    Put {
        /// Where the value is stored.
        scope: Scope,
        /// Its name.
        key: &'a str,
        /// JSON.
        value: &'a str,
        /// After so many milliseconds it is gone; 0 for never.
        ttl_ms: u64,
    },
    /// Remove a value; nothing happens where there is none.
    Delete {
        /// Where the value is.
        scope: Scope,
        /// Its name.
        key: &'a str,
    },
    /// Add to a whole number; what is not there counts as 0. Needs no read, so it never conflicts.
    Add {
        /// Where the number is.
        scope: Scope,
        /// Its name.
        key: &'a str,
        /// How much; may be negative. The sum stays within an `i64`.
        by: i64,
    },
    /// Say a line.
    Say {
        /// Who reads it.
        to: Target<'a>,
        /// Whether it is a message, a notice or an action.
        style: Style,
        /// What, perhaps in several lines.
        text: &'a str,
    },
    /// Have a timer fire.
    SetTimer {
        /// Its name; a timer of this name that is there already is replaced.
        name: &'a str,
        /// The time at which it fires, or the times.
        when: When<'a>,
        /// The plugin's own bytes, handed back when it is due.
        payload: &'a [u8],
    },
    /// Remove a timer; nothing happens where there is none.
    CancelTimer {
        /// The name that it was set under.
        name: &'a str,
    },
    /// Send a signal to the plugins that subscribe to it.
    Publish {
        /// What the other plugins subscribe to.
        topic: &'a str,
        /// The plugin's own bytes.
        payload: &'a [u8],
    },
}

/// Where a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target<'a> {
    /// To the channel of the event, not addressed to a person.
    Here,
    /// To the person of the event alone.
    Privately,
    /// To another channel. The operator grants that.
    Channel {
        /// The connector's name.
        connector: &'a str,
        /// The channel within it.
        channel: &'a str,
    },
}

/// How a line is said, where the network tells these apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Style {
    /// As a person says it.
    #[default]
    Plain,
    /// As a notice, which other bots do not answer.
    Notice,
    /// As what the bot does: `/me`.
    Action,
}

/// When a timer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When<'a> {
    /// So many milliseconds after the change is applied.
    After(u64),
    /// At this time, in milliseconds since 1970; at once when that is over.
    At(u64),
    /// Again and again.
    Every {
        /// Five fields: minute, hour, day of the month, month, day of the week.
        cron: &'a str,
        /// A name of the time-zone database: `Europe/Berlin`; `UTC` when empty.
        zone: &'a str,
    },
}
