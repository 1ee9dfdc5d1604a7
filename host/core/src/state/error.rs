//! Why a change did not happen, in words that say what to do.

use super::{ChangeKind, PluginState};
use std::time::Duration;

/// Why a change did not happen. Unless it says otherwise, what ran before goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// One at a time.
    #[error("a {0} of it is under way; wait for it to finish, then try again")]
    Busy(ChangeKind),
    /// Nothing to do.
    #[error("that very build is running already (artifact {0}); force it to replace the process all the same")]
    SameArtifact(String),
    /// It was rolled back from.
    #[error("artifact {0} was rolled back before; build a new one, or force it")]
    Blocked(String),
    /// Nothing to go back to.
    #[error("there is no earlier artifact to go back to")]
    NoEarlier,
    /// It is not as whoever asked has seen it.
    #[error("it was changed meanwhile; ask again")]
    Changed,
    /// Nothing to do.
    #[error("it is {0} already")]
    Already(PluginState),
    /// Nothing to restart.
    #[error("it is not running; start it first")]
    NotRunning,
    /// The new generation did not come up.
    #[error("{0}")]
    Start(String),
    /// The new generation died before it served.
    #[error("the new build died before it could serve: {0}")]
    Died(String),
    /// The probe failed as often as it may.
    #[error("the health check failed {attempts} times: {why}")]
    Probe {
        /// How often it was tried.
        attempts: u32,
        /// The last time.
        why: String,
    },
    /// The probe did not come back.
    #[error("the health check got no answer within {}", span(*.0))]
    ProbeTimedOut(Duration),
    /// The state could not be moved.
    #[error("its state could not be handed over: {0}; the old build goes on with its state")]
    Handoff(String),
    /// The state took too long to move.
    #[error(
        "{who} did not {what} within {}; the old build goes on with its state. Try again when it has less to do, or raise \
         limits.handoff_timeout", span(*.limit)
    )]
    HandoffTimedOut {
        /// Whom it took too long.
        who: &'static str,
        /// The step that it did not finish.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The one that was to hand over its state died.
    #[error("the old build crashed while its state was handed over: {0}")]
    OldDied(String),
    /// A stop came in between.
    #[error("the plugin was stopped meanwhile")]
    Stopped,
    /// A rollback came in between.
    #[error("the slot went back to an earlier build meanwhile")]
    RolledBack,
}

/// `5 s`, `250 ms`.
fn span(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}
