//! The messages that a slot takes.

use crate::{
    commit::{Answer, Results, Usage, timers::Fired},
    event::Event,
    process::{
        spawn::Exit,
        start::{StartError, StartedGeneration},
    },
    slot::{Settings, migration::PutBack, startup::StartupChoice, view::View},
};
use rosey_core::hash::Hash;
use rosey_core::state::{ChangeError, ChangeRequest, Done, ExpectedState, GenerationId, StartProblem, StoreVersions};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A command from an operator, or from the host itself.
#[derive(Debug)]
pub enum Command {
    /// Starts the plugin.
    Start {
        /// The artifact to start.
        artifact: Hash,
        /// Artifacts that the store has lost.
        lost: Vec<Hash>,
        /// True if this counts only while the slot waits for a retry of an earlier try.
        retry: bool,
        /// Gets whether the plugin starts; false when it is up already.
        answer: oneshot::Sender<bool>,
    },
    /// Answers when no start is under way.
    WhenStarted(oneshot::Sender<Result<Done, ChangeError>>),
    /// Explains why this build was started.
    StartupChosen(Arc<StartupChoice>),
    /// No build can be started.
    CannotStart {
        /// The reason, and its fault.
        problem: StartProblem,
        /// True if this counts only while the slot waits for a retry of an earlier try.
        retry: bool,
        /// Gets whether the slot waits now.
        answer: oneshot::Sender<bool>,
    },
    /// Reloads, restarts, rolls back or starts.
    Change {
        /// The requested change.
        request: ChangeRequest,
        /// The state in which the decision was made; the slot refuses the change in any other state.
        expected: Option<ExpectedState>,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Done, ChangeError>>,
    },
    /// Answers the events in flight, then stops the plugin.
    Stop {
        /// Whether the host stops, which decides the reason for later rejections. A stop by an operator is refused when
        /// the plugin is stopped already.
        host_stops: bool,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Done, ChangeError>>,
    },
    /// Offers an event, and answers whether the slot accepted it.
    Offer {
        /// The event; its outcome goes to its `reply_to`.
        event: Event,
        /// Where the answer goes.
        answer: oneshot::Sender<bool>,
    },
    /// Goes by other settings from now on. A process that runs keeps its own settings and its sandbox.
    Configure {
        /// The new settings.
        settings: Box<Settings>,
        /// Gets the settings before.
        answer: oneshot::Sender<Box<Settings>>,
    },
    /// The number of timers left, after an operator cancelled one.
    TimersLeft(u64),
    /// Asks for a view.
    View(oneshot::Sender<Box<View>>),
    /// The usage of the store, after a change by anything other than the plugin's events.
    Keeps(Usage, StoreVersions),
    /// Asks the active generation for the plugin's own metrics; a later [`View`] has them.
    Collect,
}

/// A message from a task that the slot started.
#[derive(Debug)]
pub(super) enum Report {
    /// A start ended.
    Started(GenerationId, Box<Result<StartedGeneration, StartError>>),
    /// A process ended.
    Exited(GenerationId, Exit),
    /// The memory of a generation was measured: its bytes, with all its processes, if they exceed the limit.
    Looked(GenerationId, Option<u64>),
    /// `rosey.db` has the last change, or the write failed and is tried again.
    Saved(bool),
    /// The store has finished a batch.
    Committed(Results),
    /// The store has answered questions.
    Answered(Vec<Answer>),
    /// Cooldowns are saved, except those that could not be.
    CooldownsSaved {
        /// The waits to save again.
        lost: Vec<(u64, u64)>,
    },
    /// The store knows the timers of the manifest, and has so many now; or it could not be told.
    TimersTold(Option<u64>),
    /// The timers that were due have fired; or they could not.
    TimersFired(Option<Fired>),
    /// Stored events without an end.
    Pending(Vec<Event>),
    /// The changes of a migration are durable, or none of them.
    Migrated(GenerationId, Result<(StoreVersions, Usage), String>),
    /// The store from before a migration is back, or is not.
    PutBack(Result<PutBack, String>),
    /// A dead letter is durable.
    Buried(u64),
}
