//! The types of the state machine: what it knows, what it wants done, what it reports. Data only.

use super::{ChangeError, Done, GenerationId, ReloadMode, StoreLost, StoreTask, Tally, Ticket};
use crate::hash::Hash;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// Times and limits of one plugin; `limits` explains each.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Time for all attempts of a probe together.
    pub probe_timeout: Duration,
    /// Attempts at a probe.
    pub probe_attempts: u32,
    /// Time for an old generation to answer what it has.
    pub drain_timeout: Duration,
    /// Time between asking a generation to stop and killing it.
    pub stop_grace: Duration,
    /// Time for a snapshot, and again for a restore.
    pub handoff_timeout: Duration,
    /// For a migration of the store.
    pub migration_timeout: Duration,
    /// How long the replaced generation stays parked.
    pub bake: Duration,
    /// Events that a bake needs to prove anything.
    pub bake_min_events: u64,
    /// Share of failed events in the bake above which the slot goes back.
    pub bake_failure_rate: f64,
    /// Time that the first artifact of a plugin must run to count as good.
    pub stable_after: Duration,
    /// How many artifacts back a rollback can go.
    pub artifacts_kept: usize,
}

/// A plugin's state in bytes, for the next generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The plugin's own version of the format.
    pub version: u32,
    /// The plugin's own bytes.
    pub bytes: Vec<u8>,
}

/// What a slot is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// A person stopped the plugin, or it has not started yet.
    Stopped,
    /// A generation is coming up, and none serves meanwhile.
    Starting {
        /// The generation that comes up.
        generation: GenerationId,
        /// The artifact that it runs.
        artifact: Hash,
    },
    /// Between a crash or a failed start and the next start.
    Backoff {
        /// When the next start is due.
        until: Instant,
        /// The artifact that will run.
        artifact: Hash,
        /// Why the last start failed, for the operator. `None` after a crash, which has its own report.
        why: Option<String>,
    },
    /// The host could not find out which artifact to run: a full disk, no more open files. The host tries again by
    /// itself.
    Waiting {
        /// The reason, for the operator.
        why: String,
    },
    /// What serves next is decided; its store is being made ready.
    Preparing {
        /// The one that will serve; `None` when it has to be started yet.
        generation: Option<GenerationId>,
        /// What it runs.
        artifact: Hash,
        /// What is being done.
        task: StoreTask,
        /// When that has failed, or is tried again.
        until: Option<Instant>,
    },
    /// A generation serves.
    Running {
        /// The active generation.
        generation: GenerationId,
        /// The artifact that it runs.
        artifact: Hash,
        /// When it began to serve.
        since: Instant,
        /// Whether it has stayed up long enough to forget the crashes before it.
        stable: bool,
    },
    /// An exclusive change has stopped the old generation and not yet started the new one.
    Replacing,
    /// The host gave up. The plugin waits for an operator or a new artifact.
    Failed {
        /// The reason, for the operator.
        why: String,
    },
}

/// What a plugin is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// A generation serves.
    Running,
    /// A generation comes up, and none serves meanwhile.
    Starting,
    /// A person stopped it, or it has not started yet.
    #[default]
    Stopped,
    /// A generation serves, but has not answered the last ping.
    Unhealthy,
    /// It went down or did not come up, and the host will start it again.
    Crashed,
    /// It stays down until a person acts.
    Failed,
    /// It changes to another generation.
    Reloading,
    /// A person stopped it, and it answers its last events.
    Draining,
}

impl PluginState {
    /// All states, in the order of `rosey_plugin_state`.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Starting,
        Self::Stopped,
        Self::Unhealthy,
        Self::Crashed,
        Self::Failed,
        Self::Reloading,
        Self::Draining,
    ];

    /// The name in chat, JSON and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Stopped => "stopped",
            Self::Unhealthy => "unhealthy",
            Self::Crashed => "crashed",
            Self::Failed => "failed",
            Self::Reloading => "reloading",
            Self::Draining => "draining",
        }
    }
}

impl fmt::Display for PluginState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

/// The role of a generation within its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Serves the plugin's events.
    Active,
    /// Comes up for a change.
    Staged,
    /// Answers its last events.
    Draining,
    /// Kept for a rollback until the bake is over.
    Parked,
    /// Told to stop, or killed.
    #[default]
    Retiring,
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Active => "active",
            Self::Staged => "staged",
            Self::Draining => "draining",
            Self::Parked => "parked",
            Self::Retiring => "retiring",
        })
    }
}

/// The time after a swap in which the slot may go back by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Bake {
    /// When the bake is over.
    pub until: Instant,
    /// The artifact that ran before.
    pub previous: Hash,
    /// The reload mode of the swap.
    pub mode: ReloadMode,
    /// The generation that ran before, if its process may still be parked.
    pub old: Option<GenerationId>,
    /// Whether the swap migrated the store, so that a rollback puts the one from before back.
    pub migrated: bool,
    /// The state from before the swap, for a new start of the previous artifact.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Events that ended in the new generation and show something about it.
    pub events: u64,
    /// Those of them that failed or timed out.
    pub failed: u64,
    /// The people whose events failed; at most two are kept.
    pub failed_for: Vec<u64>,
    /// How events ended in the generation before.
    pub usual: Tally,
}

/// The state of a plugin with `handoff` after the slot went back to the build before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateLeft {
    /// The newer build handed all of its state back.
    HandedBack,
    /// The state is that of the swap.
    OfTheSwap,
    /// The older build begins without state.
    Nothing,
}

impl fmt::Display for StateLeft {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::HandedBack => "the newer build handed its state back",
            Self::OfTheSwap => "it goes on with its state at the swap; changes by the newer build are lost",
            Self::Nothing => "its state is lost, because no process was left to hand it back",
        })
    }
}

/// How a bake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Enough events, and few enough of them failed.
    Good,
    /// No crash, and too few events to show more.
    Inconclusive,
    /// Another change came before the end of the bake.
    Superseded,
}

/// Something that must be done. The slot's task applies effects in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start a generation; answer with [`State::started`](super::State::started).
    Spawn {
        /// The generation's number.
        generation: GenerationId,
        /// The artifact to run.
        artifact: Hash,
        /// State to give it before its first event.
        restore: Option<Arc<Snapshot>>,
    },
    /// Send the probe; answer with [`State::probed`](super::State::probed).
    Probe {
        /// The generation to probe.
        generation: GenerationId,
        /// The number of the attempt; 1 for the first.
        attempt: u32,
    },
    /// Ask for the state; answer with [`State::snapshot_taken`](super::State::snapshot_taken).
    TakeSnapshot {
        /// The generation whose state is wanted.
        generation: GenerationId,
    },
    /// Give the state; answer with [`State::restored`](super::State::restored).
    Restore {
        /// The generation that takes over the state.
        generation: GenerationId,
        /// The state to give.
        snapshot: Arc<Snapshot>,
    },
    /// Have a generation migrate the store; answer with [`State::migration_said`](super::State::migration_said).
    Migrate {
        /// The generation that knows how.
        generation: GenerationId,
        /// The version that the store has.
        from: u32,
    },
    /// Apply in one transaction what the generation said, nothing if it was not asked, and keep the store from before, unless an older one is kept; answer
    /// with [`State::migrated`](super::State::migrated). After all that the store was told before.
    ApplyMigration {
        /// The generation that has said what changes.
        generation: GenerationId,
        /// The version that the store has.
        from: u32,
        /// The version that it then has.
        to: u32,
    },
    /// Put back the store from before the last migration, if it is kept; answer with
    /// [`State::put_back`](super::State::put_back). After all that the store was told before.
    PutBack,
    /// Ask a generation to stop; its end comes as [`State::exited`](super::State::exited).
    Retire {
        /// The generation that is to stop.
        generation: GenerationId,
    },
    /// End a generation now. One that has started ends in [`State::exited`](super::State::exited); for one that has
    /// not, no report follows.
    Kill {
        /// The generation that is to end.
        generation: GenerationId,
        /// The reason, for the log.
        why: &'static str,
    },
    /// Answer a request.
    Finish {
        /// The ticket of the request.
        ticket: Ticket,
        /// How it ended.
        result: Result<Done, ChangeError>,
    },
    /// Persist [`State::history`](super::State::history), which changed. The store from before the last migration goes with
    /// that once nothing needs it any more ([`State::keeps_store_before`](super::State::keeps_store_before)).
    Persist,
    /// Report this event to the log and to subscribers.
    Emit(StateEvent),
}

/// An event in the life of a plugin that people want to know about.
#[derive(Debug, Clone, PartialEq)]
pub enum StateEvent {
    /// A generation serves from now on.
    Active {
        /// The generation that serves.
        generation: GenerationId,
        /// The artifact that it runs.
        artifact: Hash,
    },
    /// The active generation died.
    Crashed {
        /// The generation that died.
        generation: GenerationId,
        /// How its process ended.
        cause: String,
    },
    /// A generation did not come up.
    StartFailed {
        /// The generation that did not come up.
        generation: GenerationId,
        /// The reason, for the operator.
        why: String,
    },
    /// The plugin will be started again.
    Restarting {
        /// Pause before that start.
        after: Duration,
        /// Starts in a row that did not stay up.
        failures: u32,
    },
    /// The host could not find out which artifact to run, and tries again until it can.
    StartPostponed {
        /// The reason, for the operator.
        why: String,
    },
    /// The host gave up on the plugin.
    GaveUp {
        /// The reason, for the operator.
        why: String,
        /// What was at fault.
        fault: Fault,
    },
    /// The slot went back by itself to the build before.
    RolledBack {
        /// The artifact that is blocked now.
        from: Hash,
        /// The artifact that serves again.
        to: Hash,
        /// The reason, for the operator.
        why: String,
        /// Whether the old process was still parked.
        warm: bool,
        /// The plugin's state afterwards, if it hands its state over.
        state: Option<StateLeft>,
        /// What was lost when the store from before was put back, if it was.
        store: Option<StoreLost>,
    },
    /// The store from before was put back for a build that the host has started.
    StorePutBack {
        /// What was lost by that.
        lost: StoreLost,
    },
    /// The event that ended a trial has also crashed the build before, so the newer build may run again.
    Unblocked {
        /// The artifact that is no longer blocked.
        artifact: Hash,
    },
    /// A bake ended without a rollback.
    BakeOver {
        /// What the bake has shown.
        verdict: Verdict,
        /// Events seen in it.
        events: u64,
    },
    /// An old generation did not finish its drain in time; its events are delivered again.
    DrainTimedOut {
        /// The generation whose events are delivered again.
        generation: GenerationId,
    },
    /// A generation ended that was not active.
    OldGone {
        /// The generation that ended.
        generation: GenerationId,
        /// How its process ended.
        cause: String,
    },
}

/// What the host persists about a plugin's builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildHistory {
    /// The artifact that was active last.
    pub active: Option<Hash>,
    /// The artifact that last finished its bake. A host that starts runs it, unless it continues a trial.
    pub last_good: Option<Hash>,
    /// The artifact that was on trial at an orderly stop and had done well so far. The next start continues its trial,
    /// and forgets this as soon as the artifact runs, so that it runs only once without proof.
    pub on_trial: Option<Hash>,
    /// Artifacts that finished their bake, the newest last.
    pub good: Vec<Hash>,
    /// Artifacts that were rolled back by the host, the newest last.
    pub blocked: Vec<Hash>,
    /// Starts in a row that did not stay up.
    pub failures: u32,
    /// The versions of these artifacts, where known.
    pub versions: BTreeMap<Hash, String>,
}

impl BuildHistory {
    /// Whether this artifact finished its bake.
    pub fn is_good(&self, artifact: &Hash) -> bool {
        self.last_good.as_ref() == Some(artifact) || self.good.contains(artifact)
    }
}

/// Why a generation did not come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartProblem {
    /// For the operator, in one line, with what to do next.
    pub why: String,
    /// What was at fault.
    pub fault: Fault,
}

/// What was at fault when a generation did not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The artifact: another try with it is pointless.
    Artifact,
    /// The start: another one may succeed, within the limits of a crash loop.
    Start,
    /// The host or the machine: this shows nothing about the plugin.
    Host,
    /// The operator's settings: another try is pointless until the operator corrects them and the host reads them
    /// again.
    Settings,
}
