//! What happened, and how bad it is: the marks on the time axis of the charts, and the list of events.

use rosey_core::state::ChangeKind;
use serde::Serialize;
use std::fmt;

/// Something that happened, on the time axis of the charts and in the list of events.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Mark {
    /// Counts all marks; those from before a restart of the host are counted on.
    pub number: u64,
    /// When it happened, RFC 3339 in UTC.
    pub at: String,
    /// Seconds since 1970, UTC.
    #[serde(skip)]
    pub at_seconds: u64,
    /// The plugin it is about, if it is about one.
    pub plugin: Option<String>,
    /// What it is about.
    pub kind: MarkKind,
    /// One of [`Severity::OF_MARKS`].
    pub severity: Severity,
    /// In a sentence.
    pub text: String,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Users get no answers.
    Error,
    /// An operator should look.
    Warning,
    /// Something happened as it should.
    #[default]
    Info,
    /// Nothing is wrong.
    Good,
}

impl Severity {
    /// Those that marks have, the worst first.
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

/// What a mark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A generation serves.
    #[default]
    Active,
    /// An action of an operator ended, or was denied.
    Admin,
    /// A trial of a new build ended.
    Bake,
    /// A connector connected or dropped.
    Connector,
    /// A process crashed.
    Crash,
    /// An event was set aside.
    DeadLetter,
    /// A drain took too long.
    Drain,
    /// A start failed, or the plugin was given up.
    Failed,
    /// A plugin does not answer, or does again.
    Health,
    /// The host started or stopped.
    Host,
    /// A change was refused.
    Refused,
    /// A reload was done.
    Reload,
    /// A restart was done, or is due.
    Restart,
    /// The plugin went back to an earlier build.
    Rollback,
}

impl MarkKind {
    /// All of them, in the order of their words.
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
