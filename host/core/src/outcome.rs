//! How the handling of an event ends.

use std::time::Duration;

/// How the handling of an event ended. Each accepted event ends in exactly one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The plugin answered.
    Replied(String),
    /// The plugin had nothing to say.
    Ignored,
    /// The plugin's handler returned an error or panicked.
    Failed {
        /// The text for the user; empty if the user should read only that something went wrong.
        text: String,
        /// The text for the operator.
        detail: String,
    },
    /// A generation had the event and did not answer in time.
    TimedOut,
    /// No generation got the event.
    Rejected(Rejection),
    /// The event was executing at two crashes, and is now a dead letter.
    DeadLettered,
}

/// Why no generation got an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The queue is at its limit.
    QueueFull,
    /// The event waited in the queue for as long as it may.
    WaitedTooLong,
    /// The plugin is stopped or has failed.
    NotRunning,
    /// The host is stopping.
    Stopping,
    /// It could not be written down first, as the operator wants it.
    NotRecorded,
}

impl Outcome {
    /// Whether this outcome counts against the build. When the user reads the same text as the operator, the plugin
    /// refused the input on purpose, and that does not count.
    pub fn speaks_against_build(&self) -> bool {
        match self {
            Self::Failed { text, detail } => text.is_empty() || text != detail,
            Self::TimedOut => true,
            Self::Replied(_) | Self::Ignored | Self::Rejected(_) | Self::DeadLettered => false,
        }
    }

    /// The name in metrics and logs.
    pub fn name(&self) -> &'static str {
        OUTCOMES[self.index()]
    }

    /// The place in [`OUTCOMES`].
    pub fn index(&self) -> usize {
        match self {
            Self::Replied(_) => 0,
            Self::Ignored => 1,
            Self::Failed { .. } => 2,
            Self::TimedOut => 3,
            Self::Rejected(_) => 4,
            Self::DeadLettered => 5,
        }
    }

    /// What the user in chat reads; `None` if that is nothing.
    pub fn into_chat(self, plugin: &str, waited: Duration) -> Option<String> {
        match self {
            Self::Replied(text) => Some(text),
            Self::Ignored => None,
            Self::Failed { text, .. } if !text.is_empty() => Some(text),
            Self::Failed { .. } => Some(format!("{plugin} could not do that; the operator can see why.")),
            Self::TimedOut => Some(format!("{plugin} did not answer within {} s.", waited.as_secs().max(1))),
            Self::Rejected(Rejection::QueueFull) => Some(format!("{plugin} is busy, try again in a moment.")),
            Self::Rejected(Rejection::WaitedTooLong) => Some(format!("{plugin} is not available, try again later.")),
            Self::Rejected(Rejection::NotRunning) => Some(format!("{plugin} is not running.")),
            Self::Rejected(Rejection::NotRecorded) => {
                Some(format!("{plugin} cannot take that now, try again later; the operator can see why."))
            }
            Self::Rejected(Rejection::Stopping) => Some("Rosey is stopping, try again later.".to_owned()),
            Self::DeadLettered => Some(format!(
                "That command crashed {plugin} twice, so Rosey does not try it again. The operator can see it."
            )),
        }
    }
}

/// The names of the outcomes, by [`Outcome::index`].
pub const OUTCOMES: [&str; 6] = ["replied", "ignored", "failed", "timed_out", "rejected", "dead_lettered"];
