//! What plugins keep: effects applied in one transaction each, and reads of what was applied.
//!
//! [`Batch`] is all that one slot wants of the store at one moment. [`run`] does it in one transaction and one sync of the
//! disk, so that a busy plugin pays for many events at once. `sql` knows the tables of the store, `pending` those of what
//! waits to happen, `scope` whose data a key belongs to, `transfer` what is written out and read in.
//! Knows nothing of slots, links or plugins' processes.

pub mod pending;
pub mod scope;
mod sql;
pub mod timers;
mod transfer;

pub use sql::{SCHEMA, all_usage, count_keys, kept, kept_value, usage};
pub use transfer::{GLOBAL, Import, delete, export};

use crate::{
    event::{ConnectorId, Form, What},
    store::{Database, StoreError},
    time::Clock,
};
use std::sync::Arc;
use timers::{Fired, Listed, Pending, TimerChange, TimerQuota};

/// Bytes of a key. Long enough for a sentence, short enough for a line of `rosey store list`.
pub const MAX_KEY: usize = 256;

/// Bytes of one value. What is larger belongs in a file.
pub const MAX_VALUE: usize = 256 << 10;

/// Changes of one event.
pub const MAX_CHANGES: usize = 256;

/// Keys on one page of a list.
pub const MAX_PAGE: u32 = 1000;

/// Bytes on one page of a list: far below what a frame holds.
pub const MAX_PAGE_BYTES: usize = 1 << 20;

/// How much one plugin may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many keys may be there at a time.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Lines that may wait to be said.
    pub lines: u64,
}

/// What one event, or one transaction, read and wants changed: all of it is applied, or nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What was read; it must be unchanged.
    pub reads: Vec<Read>,
    /// Applied in order.
    pub changes: Vec<Change>,
    /// Applied in order, after those.
    pub timers: Vec<TimerChange>,
    /// The timer that the event was; it is taken down before anything else.
    pub fired: Option<Fired>,
    /// What is said, in order.
    pub lines: Vec<NewLine>,
    /// What other plugins hear of it, in order.
    pub signals: Vec<NewEvent>,
    /// The row of `accepted` that this ends. When it is gone, the event has ended before, and nothing is applied.
    pub settles: Option<i64>,
}

impl Record {
    /// Whether applying it writes nothing.
    fn writes_nothing(&self) -> bool {
        let changes_nothing = self.changes.is_empty() && self.timers.is_empty();
        let leads_nowhere = self.lines.is_empty() && self.signals.is_empty();
        changes_nothing && leads_nowhere && self.settles.is_none() && self.fired.is_none()
    }
}

/// A line to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// The connector that says it.
    pub connector: ConnectorId,
    /// The channel within that.
    pub channel: String,
    /// Whom it is addressed to; empty for everyone.
    pub user: String,
    /// Whether it is an answer, a line, a notice or an action.
    pub form: Form,
    /// Bounded by `limits.reply_bytes`.
    pub text: String,
}

/// An event to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The plugin that it is for.
    pub plugin: Arc<str>,
    /// The event, as the plugin is to get it.
    pub what: What,
    /// The `pattern` of the plugin's subscription.
    pub pattern: Arc<str>,
    /// Who and where, as [`crate::event::origin`] writes it.
    pub origin: String,
}

/// What was written for a record that is applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The numbers of its signals, in order.
    pub signals: Vec<i64>,
}

/// Something that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// One key, in this version; 0 when there was none.
    Key {
        /// Whose, as [`scope`] writes it.
        scope: Arc<str>,
        /// Its name.
        key: String,
        /// The version that was seen.
        version: u64,
    },
    /// All keys with this beginning.
    Prefix {
        /// The scope as [`scope`] writes it.
        scope: Arc<str>,
        /// The beginning.
        prefix: String,
        /// How many there were.
        count: u64,
        /// The highest version of them.
        version: u64,
    },
}

/// What is to happen to one key.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// The scope as [`scope`] writes it.
    pub scope: Arc<str>,
    /// The name within the scope.
    pub key: String,
    /// What becomes of it.
    pub to: To,
}

/// What becomes of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum To {
    /// It has this value, JSON, for so many milliseconds; 0 for ever.
    Value(String, u64),
    /// It is gone.
    Nothing,
    /// Its number is changed by this.
    Sum(i64),
}

/// What a plugin wants to know of the store.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// The value of one key.
    Get {
        /// The scope as [`scope`] writes it.
        scope: Arc<str>,
        /// The name within the scope.
        key: String,
    },
    /// Keys in order.
    List {
        /// The scope as [`scope`] writes it.
        scope: Arc<str>,
        /// How they begin.
        prefix: String,
        /// At most so many, and at most [`MAX_PAGE`].
        limit: u32,
        /// Only those after this one.
        after: String,
    },
    /// The plugin's timers.
    Timers,
}

/// What the store says to a [`Question`].
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A value and its version; an empty one with version 0 when there is none.
    Value {
        /// JSON.
        value: String,
        /// See [`Read::Key`].
        version: u64,
    },
    /// Keys with their values, as many as one page has.
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
    /// Why there is none.
    Failed(String),
}

/// Why a record was not applied. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Something that it read has changed since.
    #[error("something that it had read was changed meanwhile")]
    Conflict,
    /// The event has ended already, in the host before this one.
    #[error("it has ended before")]
    Ended,
    /// Something about it is not allowed.
    #[error("{0}")]
    Refused(String),
    /// The database cannot take it.
    #[error("its changes cannot be stored: {0}")]
    Store(String),
}

/// All that one slot wants of the store at one moment.
#[derive(Debug)]
pub struct Batch {
    /// Whose records and questions these are.
    pub plugin: Arc<str>,
    /// How much it may keep.
    pub quota: Quota,
    /// How many timers it may have.
    pub timer_quota: TimerQuota,
    /// What says when a timer is due.
    pub clock: Clock,
    /// To be written down before anything else of it happens.
    pub accepts: Vec<NewEvent>,
    /// To be applied, in this order.
    pub records: Vec<Record>,
    /// To be answered after that.
    pub questions: Vec<Question>,
}

/// What came of a [`Batch`], each in its order.
#[derive(Debug)]
pub struct Results {
    /// The numbers of the events that were written down; or why none was.
    pub accepts: Result<Vec<i64>, CommitError>,
    /// One for each record: applied and durable, or why not.
    pub records: Vec<Result<Applied, CommitError>>,
    /// Of the questions.
    pub answers: Vec<Answer>,
    /// What the plugin keeps after that, if there were records.
    pub usage: Option<Usage>,
    /// The plugin's timers, where any of them changed.
    pub timers: Option<Pending>,
}

/// Does all of a batch. What is applied is durable when this returns. Cancelled, it is done all the same.
pub async fn run(database: &Database, batch: Batch) -> Results {
    let (records, questions) = (batch.records.len(), batch.questions.len());
    match database.run(move |connection| sql::run(connection, &batch)).await {
        Ok(results) => results,
        Err(error) => failed(records, questions, &error),
    }
}

fn failed(records: usize, questions: usize, error: &StoreError) -> Results {
    let text = error.to_string();
    Results {
        accepts: Err(CommitError::Store(text.clone())),
        records: vec![Err(CommitError::Store(text.clone())); records],
        answers: (0..questions).map(|_| Answer::Failed(format!("the store cannot be read: {text}"))).collect(),
        usage: None,
        timers: None,
    }
}

/// What a plugin keeps, in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many keys it has.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Records that were applied in the life of the store.
    pub commits: u64,
}

/// One key, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The scope as [`scope`] writes it; empty for the global one.
    pub scope: String,
    /// The name within the scope.
    pub key: String,
    /// JSON.
    pub value: String,
}
