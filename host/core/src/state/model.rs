//! The words of the state machine: what it knows, what it wants done, what it tells. Data only.

use super::{ChangeError, Done, GenerationId, ReloadMode, Tally, Ticket};
use crate::hash::Hash;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// Times and limits.
#[derive(Debug, Clone)]
pub struct Policy {
    /// For all attempts of a probe together.
    pub probe_timeout: Duration,
    /// Attempts at a probe.
    pub probe_attempts: u32,
    /// For an old generation to answer what it has.
    pub drain_timeout: Duration,
    /// Between asking a generation to stop and killing it.
    pub stop_grace: Duration,
    /// For a snapshot, and again for a restore.
    pub handoff_timeout: Duration,
    /// How long the replaced generation stays parked.
    pub bake: Duration,
    /// Events below which a bake proves nothing.
    pub bake_min_events: u64,
    /// Share of failed events in the bake above which the slot goes back.
    pub bake_failure_rate: f64,
    /// How long the active generation must run before its artifact, if it was the first one, counts as good.
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
    /// On request.
    Stopped,
    /// A generation is coming up and there is none to serve meanwhile.
    Starting {
        /// The one that comes up.
        generation: GenerationId,
        /// What it runs.
        artifact: Hash,
    },
    /// Between a crash or a failed start and the next start.
    Backoff {
        /// When the next start is due.
        until: Instant,
        /// What it will run.
        artifact: Hash,
        /// Why the last start failed, for the operator; nothing after a crash, which says more itself.
        why: Option<String>,
    },
    /// The host could not find out what to run: a full disk, no more open files. The shell tries again by itself.
    Waiting {
        /// The reason, for the operator.
        why: String,
    },
    /// A generation serves.
    Running {
        /// The active one.
        generation: GenerationId,
        /// What it runs.
        artifact: Hash,
        /// When it began to serve.
        since: Instant,
        /// Whether it has stayed up for long enough to forget the crashes before it.
        stable: bool,
    },
    /// An exclusive change has stopped the old one and not yet started the new one.
    Replacing,
    /// Given up; waits for an admin or a new artifact.
    Failed {
        /// Why, for the operator.
        why: String,
    },
}

/// What a plugin is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// A generation serves.
    Running,
    /// One comes up, and none serves meanwhile.
    Starting,
    /// It was stopped, or not started yet.
    #[default]
    Stopped,
    /// A generation serves, and has not answered the last ping.
    Unhealthy,
    /// It went down, or did not come up, and is tried again.
    Crashed,
    /// It stays down until a person does something.
    Failed,
    /// It changes to another generation.
    Reloading,
    /// It was stopped, and answers what it has.
    Draining,
}

impl PluginState {
    /// All of them.
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

    /// The word in chat, JSON and metrics.
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

/// What a generation is for its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It serves.
    Active,
    /// A change brings it up.
    Staged,
    /// It answers what it has.
    Draining,
    /// It is kept for a rollback until the bake is over.
    Parked,
    /// It was told to stop, or killed.
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
    /// When it is over.
    pub until: Instant,
    /// What ran before.
    pub previous: Hash,
    /// How the two were changed.
    pub mode: ReloadMode,
    /// The generation that ran before, if its process may still be there.
    pub old: Option<GenerationId>,
    /// The state from before the swap, for a start of the previous artifact.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Events that ended in the new generation and say something about it.
    pub events: u64,
    /// Those of them that failed or timed out.
    pub failed: u64,
    /// Whose events failed; two people at most.
    pub failed_for: Vec<u64>,
    /// How events ended in the generation before.
    pub usual: Tally,
}

/// What a plugin that hands its state over (`handoff`) has left of it when the slot goes back to the build before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateLeft {
    /// All: the newer build handed it back.
    HandedBack,
    /// What it was when the newer build took over.
    OfTheSwap,
    /// Nothing is left: the older build begins anew.
    Nothing,
}

impl fmt::Display for StateLeft {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::HandedBack => "its state was handed back, nothing of it is lost",
            Self::OfTheSwap => {
                "it goes on with the state of the moment of the swap: what the newer build changed in it is lost"
            }
            Self::Nothing => "its state is lost: nothing was there to hand it back",
        })
    }
}

/// How a bake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Enough events, few enough failures.
    Good,
    /// No crash, and too few events to say more.
    Inconclusive,
    /// Another change came before its end.
    Superseded,
}

/// Something that must be done. The task performs them in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start a generation; answer with [`State::started`](super::State::started).
    Spawn {
        /// Its number.
        generation: GenerationId,
        /// What it runs.
        artifact: Hash,
        /// State to give it before its first event.
        restore: Option<Arc<Snapshot>>,
    },
    /// Send the probe; answer with [`State::probed`](super::State::probed).
    Probe {
        /// Whom to ask.
        generation: GenerationId,
        /// 1 for the first.
        attempt: u32,
    },
    /// Ask for the state; answer with [`State::snapshot_taken`](super::State::snapshot_taken).
    TakeSnapshot {
        /// Whom to ask.
        generation: GenerationId,
    },
    /// Give the state; answer with [`State::restored`](super::State::restored).
    Restore {
        /// The generation that takes over the state.
        generation: GenerationId,
        /// The state.
        snapshot: Arc<Snapshot>,
    },
    /// Ask a generation to stop; its end comes as [`State::exited`](super::State::exited).
    Retire {
        /// The generation that is to stop.
        generation: GenerationId,
    },
    /// End a generation now. One that has started ends in [`State::exited`](super::State::exited); one that has not is just gone.
    Kill {
        /// The generation that is to end.
        generation: GenerationId,
        /// Why, for the log.
        why: &'static str,
    },
    /// Answer a request.
    Finish {
        /// The ticket of the request.
        ticket: Ticket,
        /// How it ended.
        result: Result<Done, ChangeError>,
    },
    /// Write down [`State::history`](super::State::history): it changed.
    Persist,
    /// Say this, loudly where it deserves it.
    Emit(StateEvent),
}

/// What people want to know.
#[derive(Debug, Clone, PartialEq)]
pub enum StateEvent {
    /// A generation serves from now on.
    Active {
        /// The generation that serves.
        generation: GenerationId,
        /// What it runs.
        artifact: Hash,
    },
    /// The active generation died.
    Crashed {
        /// The generation that died.
        generation: GenerationId,
        /// How its process ended.
        cause: String,
    },
    /// It did not come up.
    StartFailed {
        /// The generation that did not come up.
        generation: GenerationId,
        /// The reason, for the operator.
        why: String,
    },
    /// A start is due.
    Restarting {
        /// In how long.
        after: Duration,
        /// How many starts in a row did not stay up.
        failures: u32,
    },
    /// The host could not find out what to run, and tries again until it can.
    StartPostponed {
        /// The reason, for the operator.
        why: String,
    },
    /// No more restarts.
    GaveUp {
        /// The reason, for the operator.
        why: String,
        /// Whose fault it is.
        fault: Fault,
    },
    /// The slot went back by itself to what ran before.
    RolledBack {
        /// The artifact that is blocked now.
        from: Hash,
        /// The artifact that serves again.
        to: Hash,
        /// The reason, for the operator.
        why: String,
        /// Whether the old process was still there.
        warm: bool,
        /// What is left of its state, if it has one to hand over.
        state: Option<StateLeft>,
    },
    /// The event that ended a trial crashed the build before, too: the newer build may run again.
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
    /// An old generation did not finish in time; what it had is delivered again.
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

/// What outlives the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildHistory {
    /// What was active last.
    pub active: Option<Hash>,
    /// What last finished its bake: a host that starts runs this, unless it goes on with a trial.
    pub last_good: Option<Hash>,
    /// What was on trial, and had done well so far, at an orderly stop: the next start goes on with the trial. Forgotten as
    /// soon as it runs, so that it runs only once without proving itself.
    pub on_trial: Option<Hash>,
    /// Artifacts that were good, the newest last.
    pub good: Vec<Hash>,
    /// Artifacts that were rolled back from, the newest last.
    pub blocked: Vec<Hash>,
    /// Starts in a row that did not stay up.
    pub failures: u32,
    /// The versions of these artifacts, where they are known.
    pub versions: BTreeMap<Hash, String>,
}

impl BuildHistory {
    /// Whether an artifact has proved itself.
    pub fn is_good(&self, artifact: &Hash) -> bool {
        self.last_good.as_ref() == Some(artifact) || self.good.contains(artifact)
    }
}

/// Why a generation did not come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartProblem {
    /// For the operator, in one line, with what to do next.
    pub why: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Whose fault it is that a generation did not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The artifact's: another try with it is pointless.
    Artifact,
    /// The start's: another one may do better, within the limits of a crash loop.
    Start,
    /// The host's or the machine's: it says nothing about the plugin.
    Host,
    /// The operator's settings: another try is pointless before they are corrected and the host has read them.
    Settings,
}
