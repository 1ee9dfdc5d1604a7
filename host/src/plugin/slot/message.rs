//! What a slot is told, and what it tells.

use super::{
    account::Account,
    crash::Crash,
    ledger::Ledger,
    state::{ChangeError, Done, Generation, Memory, Note, ReloadMode, Seen, Wish},
};
use crate::{
    event::Event,
    plugin::{
        artifact::Hash,
        generation::{StartError, Started},
        pick::Pick,
        process::Exit,
    },
};
use rosey_wire::manifest::Manifest;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
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
        /// Whether it starts; not when it is up already.
        answer: oneshot::Sender<bool>,
    },
    /// Say why it is this that was started.
    Picked(Arc<Pick>),
    /// Nothing can be started, for this reason.
    CannotStart(String),
    /// Change.
    Change {
        /// To what.
        wish: Wish,
        /// How the slot was when that was decided; it is refused when that is no longer so.
        seen: Option<Seen>,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Done, ChangeError>>,
    },
    /// Answer what is in flight, then stop.
    Stop {
        /// Why events are rejected from now on. When an operator asks, it is refused if it is stopped already.
        host_stops: bool,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<Done, ChangeError>>,
    },
    /// Handle this, and say whether it was accepted.
    Offer {
        /// It.
        event: Event,
        /// Where the answer goes.
        answer: oneshot::Sender<bool>,
    },
    /// Say how it goes.
    View(oneshot::Sender<Box<View>>),
    /// A generation uses this much memory, in bytes.
    Memory {
        /// Which.
        generation: Generation,
        /// How much.
        bytes: u64,
    },
    /// Ask the active generation for the plugin's own metrics; a later [`View`] has them.
    Collect,
}

/// What a slot's own helpers tell it.
#[derive(Debug)]
pub(super) enum Report {
    /// A start ended.
    Started(Generation, Box<Result<Started, StartError>>),
    /// A process ended.
    Exited(Generation, Exit),
    /// What has to outlive the host is written down; or it could not be, and is tried again.
    Saved(bool),
    /// A dead letter is durable.
    Buried(u64),
}

/// Something that happened to a plugin, for the log, the metrics and the timeline.
#[derive(Debug, Clone)]
pub struct Happening {
    /// The plugin.
    pub plugin: Arc<str>,
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: What,
}

/// What can happen to a plugin.
#[derive(Debug, Clone)]
pub enum What {
    /// The slot says so.
    Note(Note),
    /// A crash, in full.
    Crash(Arc<Crash>),
    /// It runs something else than the newest build.
    Picked(Arc<Pick>),
    /// Another manifest is in force.
    Manifest(Arc<Manifest>),
    /// A change on request ended.
    Changed {
        /// What was asked for: `reload`, `rollback`, `restart`.
        kind: &'static str,
        /// How it ended.
        result: Result<Done, ChangeError>,
        /// How long it took.
        took: Duration,
    },
    /// The active generation answers no more, or does again.
    Health {
        /// Which of the two.
        answers: bool,
    },
    /// An event was executing at two crashes, and is set aside.
    DeadLetter {
        /// The line as typed.
        text: String,
    },
}

/// One generation, as shown.
#[derive(Debug, Clone)]
pub struct GenerationView {
    /// Its number.
    pub number: Generation,
    /// What it runs.
    pub artifact: Hash,
    /// The version the plugin says.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// `active`, `staged`, `draining`, `parked`, `retiring`.
    pub role: &'static str,
    /// When it was ready.
    pub since: SystemTime,
    /// How long it took to be ready.
    pub start_took: Duration,
    /// Events it has.
    pub in_flight: usize,
}

/// A slot as it is at one moment: all figures belong together.
#[derive(Debug, Clone)]
pub struct View {
    /// The plugin.
    pub plugin: Arc<str>,
    /// The state in the PRD's words.
    pub state: &'static str,
    /// What to know about the state: why it failed, when the next start is due, what a change waits for.
    pub explanation: Option<String>,
    /// Why something else runs than the newest build, when that is so since the start.
    pub pick: Option<Arc<Pick>>,
    /// What the plugin says of itself, from its last good start.
    pub manifest: Option<Arc<Manifest>>,
    /// How it is reloaded.
    pub reload: ReloadMode,
    /// The artifact that people see as the running one, if it was not stopped.
    pub standing: Option<Hash>,
    /// Where a rollback would go.
    pub earlier: Option<Hash>,
    /// All that it runs, or could run without another build: the store keeps them.
    pub artifacts: Vec<Hash>,
    /// All generations with a process that stands.
    pub generations: Vec<GenerationView>,
    /// The account.
    pub ledger: Ledger,
    /// Events waiting for a generation.
    pub queued: usize,
    /// Events that left the queue and have no outcome yet.
    pub in_flight: usize,
    /// What is counted beside the ledger.
    pub account: Account,
    /// What is remembered across restarts of the host.
    pub memory: Memory,
    /// When a bake under way is over.
    pub bake_left: Option<Duration>,
}

impl View {
    /// The generation that serves.
    pub fn active(&self) -> Option<&GenerationView> {
        self.generations.iter().find(|generation| generation.role == "active")
    }

    /// The version of an artifact, if a process of it stands or it is remembered.
    pub fn version(&self, artifact: Hash) -> Option<&str> {
        let stands = self.generations.iter().find(|generation| generation.artifact == artifact);
        let stands = stands.map(|generation| generation.version.as_str());
        stands.or_else(|| self.memory.versions.get(&artifact).map(String::as_str))
    }
}
