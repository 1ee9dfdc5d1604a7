//! The data of plugins: applies effects in one transaction each, and reads what was applied.
//!
//! [`Batch`] is everything that one slot wants stored at one moment. [`run`] handles it in one transaction with one sync
//! of the disk, so that a busy plugin pays for many events at once. [`ask`] reads meanwhile. `sql` has the tables of the store,
//! `table` one key of it, `migrate` brings a store to another version, `pending` has things that wait to happen, `scope` names
//! the owner of a key, `transfer` exports and imports, `values` holds what a plugin used last, and `view` is that as a batch has
//! changed it so far.
//! Knows nothing of slots, links or plugins' processes.

mod migrate;
pub mod pending;
pub mod scope;
mod sql;
mod table;
pub mod timers;
mod transfer;
pub mod values;
mod view;

pub use migrate::{BEFORE, Migration, Rewrite, WalkedEntry, forget_before, migrate, put_back, versions};
pub use sql::{SCHEMA, all_usage, count_keys, kept, kept_value, usage};
pub use transfer::{GLOBAL, Import, delete, export};

use crate::{
    event::{ConnectorId, Form, What},
    store::{Database, StoreError},
    time::Clock,
};
use std::sync::Arc;
use timers::{Listed, Pending, TimerChange, TimerQuota};
use values::Values;

/// Longest key in bytes. Long enough for a sentence, short enough for a line of `rosey store list`.
pub const MAX_KEY: usize = 256;

/// Longest value in bytes. Larger data belongs in a file.
pub const MAX_VALUE: usize = 256 << 10;

/// Most changes of one event.
pub const MAX_CHANGES: usize = 256;

/// Most keys on one page of a list.
pub const MAX_PAGE: u32 = 1000;

/// Most bytes on one page of a list: far below the limit of a frame.
pub const MAX_PAGE_BYTES: usize = 1 << 20;

/// Limits of one plugin's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Most keys.
    pub keys: u64,
    /// Most bytes of keys and values.
    pub bytes: u64,
    /// Most lines that may wait to be said.
    pub lines: u64,
}

/// The reads and changes of one event, or one transaction: all of it is applied, or nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The version of the store that the build reads and writes. It must be that of the store.
    pub store_version: u32,
    /// The values read, which must be unchanged.
    pub reads: Vec<Read>,
    /// The changes, applied in order.
    pub changes: Vec<Change>,
    /// The changes of timers, applied in order after those.
    pub timers: Vec<TimerChange>,
    /// Lines to say, in order.
    pub lines: Vec<NewLine>,
    /// Events for other plugins, in order.
    pub signals: Vec<NewEvent>,
    /// The row of `accepted` that this ends. If the row is gone, the event has ended before, and nothing is applied.
    pub ends_row: Option<i64>,
}

impl Record {
    /// Whether it needs no write.
    fn writes_nothing(&self) -> bool {
        let changes_nothing = self.changes.is_empty() && self.timers.is_empty();
        let leads_nowhere = self.lines.is_empty() && self.signals.is_empty();
        changes_nothing && leads_nowhere && self.ends_row.is_none()
    }

    /// The removal of an event that has ended, by its row of `accepted`.
    pub fn end(row: i64) -> Self {
        Self { ends_row: Some(row), ..Self::default() }
    }

    /// Whether it changes one key, and does nothing else.
    fn writes_once(&self) -> bool {
        let is_alone = self.timers.is_empty() && self.lines.is_empty() && self.signals.is_empty();
        self.changes.len() == 1 && is_alone && self.ends_row.is_none()
    }
}

/// A line to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// The connector of the channel.
    pub connector: ConnectorId,
    /// The name of the channel.
    pub channel: String,
    /// The person whom it addresses; empty for everyone.
    pub user: String,
    /// Whether it is an answer, a line, a notice or an action.
    pub form: Form,
    /// The text, within `limits.reply_bytes`.
    pub text: String,
}

/// An event to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The plugin that gets it.
    pub plugin: Arc<str>,
    /// The event, as the plugin gets it.
    pub what: What,
    /// The `pattern` of the plugin's subscription.
    pub pattern: Arc<str>,
    /// The person and the place, as [`crate::event::origin`] writes them.
    pub origin: String,
}

/// What was stored for an applied record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The numbers of its events for other plugins, in order.
    pub signals: Vec<i64>,
}

impl Record {
    /// Whether it reads or changes what the plugin keeps.
    fn has_store(&self) -> bool {
        !self.reads.is_empty() || !self.changes.is_empty()
    }
}

/// A value that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// One key in this version; 0 for a key that did not exist.
    Key {
        /// The scope as [`scope`] writes it.
        scope: Arc<str>,
        /// The name within the scope.
        key: String,
        /// The version that was read.
        version: u64,
    },
    /// All keys with this prefix.
    Prefix {
        /// The scope as [`scope`] writes it.
        scope: Arc<str>,
        /// The prefix, empty for all keys.
        prefix: String,
        /// The number of keys.
        count: u64,
        /// The highest version of these keys.
        version: u64,
    },
}

/// A change of one key.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// The scope as [`scope`] writes it.
    pub scope: Arc<str>,
    /// The name within the scope.
    pub key: String,
    /// The new state of the key.
    pub to: To,
}

/// The new state of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum To {
    /// This value, as JSON, for this many milliseconds; 0 for ever.
    Value(String, u64),
    /// The key is removed.
    Nothing,
    /// The number is increased by this.
    Sum(i64),
}

/// A request that reads the store.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// The value of one key.
    Get {
        /// The scope as [`scope`] writes it.
        scope: Arc<str>,
        /// The name within the scope.
        key: String,
    },
    /// Keys in order, with their values.
    List {
        /// The scope as [`scope`] writes it.
        scope: Arc<str>,
        /// Their prefix.
        prefix: String,
        /// Most keys of the answer, at most [`MAX_PAGE`].
        limit: u32,
        /// Only keys after this one.
        after: String,
    },
    /// The plugin's timers.
    Timers,
    /// Keys of all scopes in order.
    Walk {
        /// Only those after this scope
        scope: String,
        /// and key.
        key: String,
        /// At most so many, and at most [`MAX_PAGE`].
        limit: u32,
    },
}

/// The answer to a [`Question`].
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A value and its version; empty with version 0 for a key that does not exist.
    Value {
        /// The value, as JSON.
        value: String,
        /// See [`Read::Key`].
        version: u64,
        /// Whether it expires.
        expires: bool,
    },
    /// A page of keys with their values.
    Page {
        /// Keys and values.
        entries: Vec<(String, String)>,
        /// Whether more follow.
        more: bool,
        /// See [`Read::Prefix`].
        count: u64,
        /// See [`Read::Prefix`].
        version: u64,
    },
    /// The plugin's timers, by name.
    Timers(Vec<Listed>),
    /// Keys of all scopes, as many as one page has.
    Walked {
        /// In the order of scope and key.
        entries: Vec<WalkedEntry>,
        /// Whether more follow.
        more: bool,
    },
    /// The reason why there is no answer.
    Failed(String),
}

/// Why a record was not applied. No part of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A value that it had read has changed since.
    #[error("something that it had read was changed meanwhile")]
    Conflict,
    /// The event has ended before, in an earlier run of the host.
    #[error("it has ended before")]
    Ended,
    /// The store has another version than the build writes.
    #[error("the store has version {has}, and what is to be changed in it was written for version {wrote}")]
    OtherVersion {
        /// Of the store.
        has: u32,
        /// Of the build.
        wrote: u32,
    },
    /// A part of it is not allowed.
    #[error("{0}")]
    Refused(String),
    /// The database cannot store it.
    #[error("its changes cannot be stored: {0}")]
    Store(String),
}

/// Everything that one slot wants stored at one moment.
#[derive(Debug)]
pub struct Batch {
    /// The plugin of the records.
    pub plugin: Arc<str>,
    /// Limits of its data.
    pub quota: Quota,
    /// Limits of its timers.
    pub timer_quota: TimerQuota,
    /// The clock that decides when a timer is due.
    pub clock: Clock,
    /// Events to store before anything else happens to them.
    pub accepts: Vec<NewEvent>,
    /// The values that the plugin used last.
    pub values: Values,
    /// The version that the build which serves reads: of a store that is yet to begin.
    pub store_version: Option<u32>,
    /// Records to apply, in this order.
    pub records: Vec<Record>,
}

/// The results of a [`Batch`], each in its order.
#[derive(Debug)]
pub struct Results {
    /// The numbers of the stored events; or why none was stored.
    pub accepts: Result<Vec<i64>, CommitError>,
    /// For each record: applied and durable, or why not.
    pub records: Vec<Result<Applied, CommitError>>,
    /// The plugin's usage after that, if there were records.
    pub usage: Option<Usage>,
    /// The plugin's timers, if any of them changed.
    pub timers: Option<Pending>,
    /// The version of that, if there were records.
    pub version: Option<u32>,
}

/// Runs a batch. Applied records are durable when this returns. Cancelled, the batch goes on.
pub async fn run(database: &Database, batch: Batch) -> Results {
    let records = batch.records.len();
    match database.run(move |connection| sql::run(connection, &batch)).await {
        Ok(results) => results,
        Err(error) => failed(records, &error),
    }
}

fn failed(records: usize, error: &StoreError) -> Results {
    let text = error.to_string();
    Results {
        accepts: Err(CommitError::Store(text.clone())),
        records: vec![Err(CommitError::Store(text)); records],
        usage: None,
        timers: None,
        version: None,
    }
}

/// Answers questions, in their order, from what is durable. `now` is the time in milliseconds since 1970.
pub async fn ask(database: &Database, plugin: Arc<str>, questions: Vec<Question>, now: u64) -> Vec<Answer> {
    let count = questions.len();
    let answers = database.read(move |connection| sql::answer_all(connection, &plugin, &questions, now));
    answers.await.unwrap_or_else(|error| {
        (0..count).map(|_| Answer::Failed(format!("the store cannot be read: {error}"))).collect()
    })
}

/// The usage of the store by a plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Records applied in the life of the store.
    pub commits: u64,
}

/// One key, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The scope as [`scope`] writes it; empty for the global one.
    pub scope: String,
    /// The name within the scope.
    pub key: String,
    /// The value, as JSON.
    pub value: String,
}
