//! Why a change did not happen, with what to do next.

use super::{ChangeKind, PluginState};
use std::time::Duration;

/// Why a change did not happen. The generation that served before goes on, unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Another change of the plugin is under way.
    #[error("a {0} of this plugin is under way; wait until it is over, then try again")]
    Busy(ChangeKind),
    /// The plugin runs this artifact already.
    #[error("it already runs this build (artifact {0}); use force to replace the process anyway")]
    SameArtifact(String),
    /// The artifact was rolled back before.
    #[error("artifact {0} failed its trial and is blocked; build a new one, or use force")]
    Blocked(String),
    /// No good artifact is left to go back to.
    #[error("there is no earlier artifact to go back to")]
    NoEarlier,
    /// The plugin does not run the artifact any more that the request named.
    #[error("the plugin was changed meanwhile; ask again")]
    Changed,
    /// The plugin is already in the state that the request asks for.
    #[error("it is already {0}")]
    Already(PluginState),
    /// Only a running plugin can restart.
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
        /// How often the host tried.
        attempts: u32,
        /// Why the last attempt failed.
        why: String,
    },
    /// The plugin did not answer the probe in time.
    #[error("the health check got no answer within {}", span(*.0))]
    ProbeTimedOut(Duration),
    /// The plugin's state could not be moved.
    #[error("its state could not be handed over: {0}; the old build goes on with its state")]
    Handoff(String),
    /// The move of the plugin's state took too long.
    #[error(
        "{who} did not {what} within {}; the old build goes on with its state. Try again when it has less to do, or raise \
         limits.handoff_timeout", span(*.limit)
    )]
    HandoffTimedOut {
        /// The build that took too long.
        who: &'static str,
        /// The step that it did not finish.
        what: &'static str,
        /// How long the step may take.
        limit: Duration,
    },
    /// It reads an older store than there is.
    #[error(
        "its store has version {has}, and that build reads version {reads}. An older store comes back only by a rollback while \
         the trial of the newer build lasts; load a build that reads version {has}"
    )]
    StoreTooNew {
        /// The version of the store.
        has: u32,
        /// What the build reads.
        reads: u32,
    },
    /// It reads a newer store, and cannot make one of what there is.
    #[error(
        "its store has version {has}, and that build reads version {reads} and has no #[migrate] that brings it there"
    )]
    NoMigration {
        /// The version of the store.
        has: u32,
        /// What the build reads.
        reads: u32,
    },
    /// One migration at a time.
    #[error(
        "its store from before the last migration is still kept for a rollback; wait until the trial is over, then try again"
    )]
    StoreKept,
    /// The store could not be brought to the version of the build.
    #[error("its store could not be migrated: {0}; the old build goes on with its store")]
    Migration(String),
    /// The migration took too long.
    #[error(
        "it did not say within {} what its migration changes; raise limits.migration_timeout if it needs more", span(*.0)
    )]
    MigrationTimedOut(Duration),
    /// The store is being made ready for what serves next.
    #[error("its store is being made ready; try again in a moment")]
    StoreBusy,
    /// The generation died that was handing over its state.
    #[error("the old build crashed while its state was handed over: {0}")]
    OldDied(String),
    /// The plugin was stopped before the change ended.
    #[error("the plugin was stopped meanwhile")]
    Stopped,
    /// The slot rolled back before the change ended.
    #[error("the slot went back to an earlier build meanwhile")]
    RolledBack,
}

/// `5 s`, `250 ms`.
fn span(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}
