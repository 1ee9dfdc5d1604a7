//! A change of generation: what was asked for, where it is, and how it ended.

use super::{GenerationId, Snapshot, StateLeft, StoreLost, Ticket};
use crate::hash::Hash;
use rosey_wire::manifest::ReloadMode;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// Which artifact a change starts: a new one, the one before, or the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A change to a new artifact.
    Reload,
    /// A change to the artifact before.
    Rollback,
    /// A change to a new process of the same artifact.
    Restart,
}

/// A change under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The kind of change.
    pub kind: ChangeKind,
    /// The mode of the change.
    pub mode: ReloadMode,
    /// The artifact that will run.
    pub to: Hash,
    /// The artifact that ran before.
    pub from: Option<Hash>,
    /// The time of the request. The reported duration counts from here.
    pub began: Instant,
    /// The step that the change has reached.
    pub step: Step,
    pub(super) ticket: Ticket,
    /// Whether the store was migrated for it.
    pub(super) migrated: bool,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) step_began: Instant,
    pub(super) steps: Vec<(&'static str, Duration)>,
}

/// The steps of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Exclusive: the old generation answers the events that it has.
    Releasing {
        /// The generation that served until now.
        old: GenerationId,
        /// When it is stopped with events unanswered.
        until: Instant,
    },
    /// Exclusive: the old generation was told to stop, and has not ended yet.
    Retiring {
        /// The generation that served until now.
        old: GenerationId,
    },
    /// The new generation comes up.
    Starting {
        /// The staged generation.
        new: GenerationId,
    },
    /// The new generation answers the probe.
    Probing {
        /// The staged generation.
        new: GenerationId,
        /// The number of the attempt; 1 for the first.
        attempt: u32,
        /// When the change fails.
        until: Instant,
    },
    /// Handoff: the old generation answers the events that it has.
    Emptying {
        /// The generation that served until now.
        old: GenerationId,
        /// The staged generation.
        new: GenerationId,
        /// When the change fails.
        until: Instant,
    },
    /// Handoff: the old generation writes its state.
    Snapshotting {
        /// The generation that served until now.
        old: GenerationId,
        /// The staged generation.
        new: GenerationId,
        /// When the change fails.
        until: Instant,
    },
    /// Handoff: the new generation reads the state.
    Restoring {
        /// The staged generation.
        new: GenerationId,
        /// When the change fails.
        until: Instant,
    },
    /// The new generation says what changes in the store.
    Migrating {
        /// The staged generation.
        new: GenerationId,
        /// When the change fails.
        until: Instant,
    },
    /// The store applies that. Whatever happens now, the store decides.
    Applying {
        /// The staged generation.
        new: GenerationId,
    },
}

/// The successful end of a change, a start or a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The generation that serves now; `None` after a stop.
    pub generation: Option<GenerationId>,
    /// The artifact that ran before.
    pub from: Option<Hash>,
    /// The artifact that runs now.
    pub to: Option<Hash>,
    /// The plugin's state after a change to an earlier build, if the plugin hands its state over.
    pub state: Option<StateLeft>,
    /// What was lost when the store from before was put back, if it was.
    pub store: Option<StoreLost>,
    /// How long each step took, in order.
    pub steps: Vec<(&'static str, Duration)>,
}

impl Done {
    pub(super) fn stopped() -> Self {
        Self { generation: None, from: None, to: None, state: None, store: None, steps: Vec::new() }
    }
}

/// The name of the admin command.
impl fmt::Display for ChangeKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Reload => "reload",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
        })
    }
}

impl Change {
    /// Whether events wait in the queue during this step.
    pub(super) fn holds(&self) -> bool {
        let holds = |step| {
            matches!(
                step,
                Step::Releasing { .. } | Step::Retiring { .. } | Step::Migrating { .. } | Step::Applying { .. }
            )
        };
        self.needs_old() || holds(self.step)
    }

    /// Whether the change needs the old generation from here on.
    pub(super) fn needs_old(&self) -> bool {
        matches!(self.step, Step::Emptying { .. } | Step::Snapshotting { .. } | Step::Restoring { .. })
    }

    pub(super) fn staged(&self) -> Option<GenerationId> {
        match self.step {
            Step::Releasing { .. } | Step::Retiring { .. } => None,
            Step::Starting { new }
            | Step::Probing { new, .. }
            | Step::Emptying { new, .. }
            | Step::Snapshotting { new, .. }
            | Step::Restoring { new, .. }
            | Step::Migrating { new, .. }
            | Step::Applying { new } => Some(new),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Releasing { until, .. }
            | Step::Probing { until, .. }
            | Step::Emptying { until, .. }
            | Step::Snapshotting { until, .. }
            | Step::Restoring { until, .. }
            | Step::Migrating { until, .. } => Some(until),
            // Each ends by itself: a start has its own timeout, a generation that was told to stop is killed after a
            // grace, and the database answers.
            Step::Retiring { .. } | Step::Starting { .. } | Step::Applying { .. } => None,
        }
    }

    pub(super) fn go(&mut self, now: Instant, done: &'static str, step: Step) {
        self.steps.push((done, now.saturating_duration_since(self.step_began)));
        self.step_began = now;
        self.step = step;
    }
}
