//! What a handler wants changed. Effects travel with its answer, and the host applies all of them with it, or none.
//! Since version 2.
//!
//! Encoded separately inside [`crate::message::ToHost::ReplyWith`] and [`crate::call::Call::Transaction`]; a shim
//! passes the bytes on unread. New variants and fields go last.

use serde::{Deserialize, Serialize};

/// The owner of a key. The host takes the channel and the person from the event, so a plugin cannot name another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The plugin, the same in every event.
    Global,
    /// The channel of the event.
    Channel,
    /// The person of the event: the account if the network has verified one, else the nick on that network.
    User,
    /// The person of the event, in the channel of the event.
    Member,
}

/// Everything that one event, or one transaction, has read and wants changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects<'a> {
    /// The reads, which must be unchanged when the changes are applied.
    #[serde(borrow)]
    pub reads: Vec<Read<'a>>,
    /// The changes, in order.
    pub changes: Vec<Effect<'a>>,
}

/// Something that was read, with its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Read<'a> {
    /// The value of one key.
    Key {
        /// The scope of the key.
        scope: Scope,
        /// The name of the key within its scope.
        key: &'a str,
        /// The version that was read; 0 when there was no value.
        version: u64,
    },
    /// All keys with a prefix.
    Prefix {
        /// The scope of the keys.
        scope: Scope,
        /// The prefix of the keys.
        prefix: &'a str,
        /// The number of keys with it.
        count: u64,
        /// The highest version among them; 0 when there were none.
        version: u64,
    },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect<'a> {
    /// Store a value, in place of the present one.
    Put {
        /// The scope of the key.
        scope: Scope,
        /// The name of the key within its scope.
        key: &'a str,
        /// The value as JSON.
        value: &'a str,
        /// Time until the value expires, in milliseconds; 0 for never.
        ttl_ms: u64,
    },
    /// Remove a value. A missing value is no error.
    Delete {
        /// The scope of the key.
        scope: Scope,
        /// The name of the key within its scope.
        key: &'a str,
    },
    /// Add to a whole number; a missing value counts as 0. Needs no read, so it never conflicts.
    Add {
        /// The scope of the key.
        scope: Scope,
        /// The name of the key within its scope.
        key: &'a str,
        /// The addend, which may be negative. The sum must fit an `i64`.
        by: i64,
    },
    /// Say a line.
    Say {
        /// The readers of the line.
        to: Target<'a>,
        /// Whether it is a message, a notice or an action.
        style: Style,
        /// The text, which may have several lines.
        text: &'a str,
    },
    /// Deliver a timer event to the plugin later.
    SetTimer {
        /// The timer's name. A new timer replaces one with the same name.
        name: &'a str,
        /// When it fires.
        when: When<'a>,
        /// The plugin's own bytes, which come back with the timer.
        payload: &'a [u8],
    },
    /// Remove a timer. A missing timer is no error.
    CancelTimer {
        /// The name that it was set under.
        name: &'a str,
    },
    /// Send a signal to the plugins that subscribe to it.
    Publish {
        /// The topic that other plugins subscribe to.
        topic: &'a str,
        /// The plugin's own bytes.
        payload: &'a [u8],
    },
    /// Store or remove a value in any scope. For a migration alone.
    Rewrite {
        /// The scope as [`Call::Walk`](crate::call::Call::Walk) gives it.
        scope: &'a str,
        /// The name within the scope.
        key: &'a str,
        /// JSON; `None` removes it.
        value: Option<&'a str>,
        /// When it is gone, in milliseconds since 1970; 0 for never.
        expires_ms: u64,
    },
}

/// The readers of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target<'a> {
    /// The channel of the event; the line is not addressed to a person.
    Here,
    /// The person of the event alone.
    Privately,
    /// Another channel, if the operator allows it.
    Channel {
        /// The name of the connector.
        connector: &'a str,
        /// The name of the channel on that connector.
        channel: &'a str,
    },
}

/// The form of a line, where the network has several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Style {
    /// An ordinary message.
    #[default]
    Plain,
    /// A notice, which other bots do not answer.
    Notice,
    /// An action of the bot: `/me`.
    Action,
}

/// When a timer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When<'a> {
    /// This many milliseconds after the host applies the change.
    After(u64),
    /// At this time, in milliseconds since 1970; at once if it has passed.
    At(u64),
    /// Repeatedly.
    Every {
        /// Cron expression with five fields: minute, hour, day of the month, month, day of the week.
        cron: &'a str,
        /// Name in the time-zone database, such as `Europe/Berlin`; empty for `UTC`.
        zone: &'a str,
    },
}
