//! The dead letters and the timers of a plugin, which wait in the database.

use serde::Serialize;

/// One dead letter.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Letter {
    /// The number to replay it by.
    pub id: i64,
    /// When it was set aside.
    pub at: String,
    /// When it was accepted.
    pub accepted_at: String,
    /// The line as typed.
    pub line: String,
    /// Who typed it.
    pub user: String,
    /// The connector and the channel.
    pub place: String,
    /// The crashes at which it was executing.
    pub causes: Vec<String>,
}

/// A timer of the plugin that has not fired for the last time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timer {
    /// The number to cancel it by.
    pub number: i64,
    /// The plugin's name for the timer.
    pub name: String,
    /// When it fires next.
    pub due: String,
    /// The cron expression of a repeated timer; empty for one that fires once.
    pub cron: String,
    /// The time zone of that expression; empty for UTC.
    pub zone: String,
    /// The user who set it; empty for a timer without a user.
    pub user: String,
    /// The connector and the channel in which it was set; empty for none.
    pub place: String,
    /// Whether the plugin declares it, so that no event has to set it.
    pub declared: bool,
    /// Whether the plugin has a handler for it. A timer without one does not fire.
    pub handled: bool,
}
