//! Requests from a plugin to the host while a handler runs, and the answers. Since version 2.
//!
//! Encoded separately inside [`crate::message::ToHost::Call`] and [`crate::message::ToShim::Returned`]; a shim passes
//! the bytes on unread. New variants and fields go last.

use crate::effect::{Effects, Scope};
use serde::{Deserialize, Serialize};

/// A request of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call<'a> {
    /// Read one key. The answer is [`Returned::Value`].
    Get {
        /// The scope of the key.
        scope: Scope,
        /// The name of the key within its scope.
        #[serde(borrow)]
        key: &'a str,
    },
    /// Read keys in order. The answer is [`Returned::Page`].
    List {
        /// The scope of the keys.
        scope: Scope,
        /// The prefix of the keys.
        prefix: &'a str,
        /// The number of entries wanted, at most; the host may give fewer.
        limit: u32,
        /// Only keys after this one; empty for the first page.
        after: &'a str,
    },
    /// The plugin's timers, by name. The answer is [`Returned::Timers`].
    Timers,
    /// Apply changes outside of an event: all or nothing. The answer is [`Returned::Done`] or [`Returned::Conflict`].
    Transaction(Effects<'a>),
    /// Read keys of all scopes in order. For a migration alone. The answer is [`Returned::Walked`].
    Walk {
        /// Only keys after this one: its scope, empty for the global one,
        scope: &'a str,
        /// and its name; empty for the first page.
        key: &'a str,
        /// At most so many; the host may give fewer.
        limit: u32,
    },
    /// Changes of a migration, to be applied in this order when it ends well, before those of its answer. The answer is
    /// [`Returned::Done`].
    Stage(Effects<'a>),
}

/// The answer to a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Returned<'a> {
    /// To [`Call::Get`].
    Value {
        /// The version of the value; 0 when there is no value.
        version: u64,
        /// The value as JSON; empty when there is no value.
        #[serde(borrow)]
        value: &'a str,
    },
    /// The answer to [`Call::List`]: keys and values.
    Page {
        /// Keys and values, in the order of the keys.
        entries: Vec<(&'a str, &'a str)>,
        /// Whether further keys follow the last one.
        more: bool,
        /// The number of keys with the prefix, including those on other pages.
        count: u64,
        /// The highest version among all of them.
        version: u64,
    },
    /// The answer to [`Call::Timers`].
    Timers(Vec<TimerInfo<'a>>),
    /// The changes are applied and durable.
    Done,
    /// Another event changed a value that was read. Nothing was applied.
    Conflict,
    /// The host refuses the request or cannot do it. The text says why.
    Failed(&'a str),
    /// To [`Call::Walk`].
    Walked {
        /// In the order of scope and key.
        entries: Vec<WalkedKey<'a>>,
        /// Whether there are more after the last one.
        more: bool,
    },
}

/// A key of any scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkedKey<'a> {
    /// Empty for the global one; else which channel or person, in the host's own words.
    pub scope: &'a str,
    /// The name within the scope.
    pub key: &'a str,
    /// JSON.
    pub value: &'a str,
    /// When it is gone, in milliseconds since 1970; 0 for never.
    pub expires_ms: u64,
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerInfo<'a> {
    /// The name that it was set under.
    pub name: &'a str,
    /// When it fires next, in milliseconds since 1970.
    pub due_ms: u64,
    /// Its cron expression; empty when it fires once.
    pub cron: &'a str,
}
