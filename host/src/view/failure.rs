//! Why events of a plugin ended badly.

use serde::Serialize;

/// Events that ended badly for the same reason. Reasons that differ only in their numbers are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// How they ended: `failed`, `timed_out`, `rejected` or `dead_lettered`.
    pub outcome: &'static str,
    /// The reason of the last one, for an operator.
    pub text: String,
    /// How many there were since the host started.
    pub count: u64,
    /// When the first one ended, RFC 3339 in UTC.
    pub first: String,
    /// When the last one ended, RFC 3339 in UTC.
    pub last: String,
    /// The last event as typed.
    pub line: String,
    /// The person of the last event; empty for an event without a person.
    pub user: String,
    /// The generation that had the last event; `None` if none had it.
    pub generation: Option<u64>,
}
