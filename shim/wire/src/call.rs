//! What a plugin asks the host while a handler runs, and the answers. Since version 2.
//!
//! Encoded by themselves inside [`crate::message::ToHost::Call`] and [`crate::message::ToShim::Returned`]; a shim passes the
//! bytes on unread. New variants and fields go last.

use crate::effect::{Effects, Scope};
use serde::{Deserialize, Serialize};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call<'a> {
    /// Read one key. The answer is [`Returned::Value`].
    Get {
        /// Where the key is looked for.
        scope: Scope,
        /// Its name.
        #[serde(borrow)]
        key: &'a str,
    },
    /// Read keys in order. The answer is [`Returned::Page`].
    List {
        /// Where the keys are looked for.
        scope: Scope,
        /// How they begin.
        prefix: &'a str,
        /// At most so many; the host may give fewer.
        limit: u32,
        /// Only keys after this one; empty for the first page.
        after: &'a str,
    },
    /// The plugin's timers, by name. The answer is [`Returned::Timers`].
    Timers,
    /// Apply changes outside of an event: all or nothing. The answer is [`Returned::Done`] or [`Returned::Conflict`].
    Transaction(Effects<'a>),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Returned<'a> {
    /// To [`Call::Get`].
    Value {
        /// Its version; 0 when there is none.
        version: u64,
        /// JSON; empty when there is none.
        #[serde(borrow)]
        value: &'a str,
    },
    /// Keys and values.
    Page {
        /// In the order of the keys.
        entries: Vec<(&'a str, &'a str)>,
        /// Whether there are more after the last one.
        more: bool,
        /// How many keys begin with the prefix, those on other pages included.
        count: u64,
        /// The highest version among all of them.
        version: u64,
    },
    /// To [`Call::Timers`].
    Timers(Vec<TimerInfo<'a>>),
    /// The changes are applied and durable.
    Done,
    /// Something that was read has changed since. Nothing was applied.
    Conflict,
    /// It cannot be done.
    Failed(&'a str),
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
