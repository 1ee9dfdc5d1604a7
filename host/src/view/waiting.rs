//! What waits in the database for a plugin: events that were set aside, and timers.

use serde::Serialize;

/// One event that was set aside.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Letter {
    /// By which it is replayed.
    pub id: i64,
    /// When it was set aside.
    pub at: String,
    /// When it was accepted.
    pub accepted_at: String,
    /// The line as typed.
    pub line: String,
    /// Who typed it.
    pub user: String,
    /// Where: the connector and the channel.
    pub place: String,
    /// The crashes it was executing at.
    pub causes: Vec<String>,
}

/// A timer that is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timer {
    /// By which it is cancelled.
    pub number: i64,
    /// The name that the plugin gave it.
    pub name: String,
    /// When it fires next.
    pub due: String,
    /// The cron expression by which it fires again and again; empty when it fires once.
    pub cron: String,
    /// The time zone of that; empty for UTC.
    pub zone: String,
    /// Who set it; empty for nobody.
    pub user: String,
    /// Where: the connector and the channel; empty for nowhere.
    pub place: String,
    /// Whether the plugin declares it, so that it is there without being set.
    pub declared: bool,
    /// Whether the plugin has a handler for it. Without one it does not fire.
    pub handled: bool,
}
