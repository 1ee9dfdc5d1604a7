//! What a slot is told, and what it tells.

use crate::{
    commit::{Results, Usage},
    event::Event,
    process::{
        spawn::Exit,
        start::{StartError, StartedGeneration},
    },
    slot::{startup::StartupChoice, view::View},
};
use rosey_core::hash::Hash;
use rosey_core::state::{ChangeError, ChangeRequest, Done, ExpectedState, GenerationId, StartProblem};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What an operator, or the host itself, wants of a slot.
#[derive(Debug)]
pub enum Command {
    /// Come up.
    Start {
        /// With this artifact.
        artifact: Hash,
        /// The store has lost these.
        lost: Vec<Hash>,
        /// Only if an earlier try left the slot waiting for this.
        retry: bool,
        /// Whether it starts; not when it is up already.
        answer: oneshot::Sender<bool>,
    },
    /// Answer when no start is under way.
    WhenStarted(oneshot::Sender<Result<Done, ChangeError>>),
    /// Say why it is this that was started.
    StartupChosen(Arc<StartupChoice>),
    /// Nothing can be started.
    CannotStart {
        /// The reason, and whose fault it is.
        problem: StartProblem,
        /// Only note this if an earlier one left the slot waiting.
        retry: bool,
        /// Whether the slot waits now.
        answer: oneshot::Sender<bool>,
    },
    /// Reload, restart, roll back or start.
    Change {
        /// The change that is asked for.
        request: ChangeRequest,
        /// How the slot was when that was decided; it is refused when that is no longer so.
        expected: Option<ExpectedState>,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Done, ChangeError>>,
    },
    /// Answer what is in flight, then stop.
    Stop {
        /// Why events are rejected from now on. When an operator asks, it is refused if it is already stopped.
        host_stops: bool,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Done, ChangeError>>,
    },
    /// Handle this, and say whether it was accepted.
    Offer {
        /// The event, whose outcome is handed to its `reply_to`.
        event: Event,
        /// Where the answer goes.
        answer: oneshot::Sender<bool>,
    },
    /// A timer was cancelled, and so many are left.
    TimersLeft(u64),
    /// Say how it goes.
    View(oneshot::Sender<Box<View>>),
    /// Take note of what the plugin keeps: somebody else than its events has changed it.
    Keeps(Usage),
    /// Ask the active generation for the plugin's own metrics; a later [`View`] has them.
    Collect,
}

/// What a slot's own helpers tell it.
#[derive(Debug)]
pub(super) enum Report {
    /// A start ended.
    Started(GenerationId, Box<Result<StartedGeneration, StartError>>),
    /// A process ended.
    Exited(GenerationId, Exit),
    /// A generation was looked at: what it uses with all that it has started, in bytes, if that is more than it may.
    Looked(GenerationId, Option<u64>),
    /// What has to outlive the host is written down; or it could not be, and is tried again.
    Saved(bool),
    /// The store has done what it was sent.
    Committed(Results),
    /// Cooldowns are written down, but for these, which could not be.
    CooldownsSaved {
        /// The waits that are tried again.
        lost: Vec<(u64, u64)>,
    },
    /// What was written down and has not ended.
    Pending(Vec<Event>),
    /// A dead letter is durable.
    Buried(u64),
}
