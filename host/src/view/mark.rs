//! The marks on the time axis of the charts and in the list of events, and their severity.

use rosey_core::state::ChangeKind;
use serde::Serialize;
use std::fmt;

/// An event of the host or of a plugin, on the time axis of the charts and in the list of events.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Mark {
    /// The number of the mark, which continues across restarts of the host.
    pub number: u64,
    /// When it happened, RFC 3339 in UTC.
    pub at: String,
    /// Seconds since 1970, UTC.
    #[serde(skip)]
    pub at_seconds: u64,
    /// The plugin, if the event concerns one.
    pub plugin: Option<String>,
    /// The kind of event.
    pub kind: MarkKind,
    /// One of [`Severity::OF_MARKS`].
    pub severity: Severity,
    /// The person who did it, or whose event it was.
    pub person: Option<String>,
    /// The event in a sentence.
    pub text: String,
}

/// The severity of an event, a trouble or a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Users get no answers.
    Error,
    /// An operator should look.
    Warning,
    /// An event that needs no action.
    #[default]
    Info,
    /// Nothing is wrong.
    Good,
}

impl Severity {
    /// The severities of marks, the worst first.
    pub const OF_MARKS: [Self; 3] = [Self::Error, Self::Warning, Self::Info];

    /// The word in pages, JSON and `rosey.db`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Good => "good",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

/// The kinds of marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A generation serves.
    #[default]
    Active,
    /// An action of an operator ended, or was denied.
    Admin,
    /// The trial of a new build ended.
    Bake,
    /// A connector connected or dropped.
    Connector,
    /// A process crashed.
    Crash,
    /// An event became a dead letter.
    DeadLetter,
    /// A drain took too long.
    Drain,
    /// A start failed, or Rosey gave the plugin up.
    Failed,
    /// A plugin does not answer, or answers again.
    Health,
    /// The host started or stopped.
    Host,
    /// A change was refused.
    Refused,
    /// A reload succeeded.
    Reload,
    /// A restart succeeded, or is due.
    Restart,
    /// The plugin went back to an earlier build.
    Rollback,
}

impl MarkKind {
    /// All kinds, in the order of their words.
    pub const ALL: [Self; 14] = [
        Self::Active,
        Self::Admin,
        Self::Bake,
        Self::Connector,
        Self::Crash,
        Self::DeadLetter,
        Self::Drain,
        Self::Failed,
        Self::Health,
        Self::Host,
        Self::Refused,
        Self::Reload,
        Self::Restart,
        Self::Rollback,
    ];

    /// The word in JSON, in URLs and in `rosey.db`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Admin => "admin",
            Self::Bake => "bake",
            Self::Connector => "connector",
            Self::Crash => "crash",
            Self::DeadLetter => "dead_letter",
            Self::Drain => "drain",
            Self::Failed => "failed",
            Self::Health => "health",
            Self::Host => "host",
            Self::Refused => "refused",
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for MarkKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

impl From<ChangeKind> for MarkKind {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Reload => Self::Reload,
            ChangeKind::Rollback => Self::Rollback,
            ChangeKind::Restart => Self::Restart,
        }
    }
}
