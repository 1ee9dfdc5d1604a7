//! Everything said after the hello. Borrowed from the frame it was read from; variant order is the protocol.

use crate::manifest::ManifestV1;
use serde::{Deserialize, Serialize};

/// From the host to a shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToShim<'a> {
    /// Handle this. The answer is a [`ToHost::Reply`] with the same id.
    #[serde(borrow)]
    Event(Event<'a>),
    /// Load this library. The answer is [`ToHost::Loaded`] or [`ToHost::LoadFailed`]. Once in the life of a shim.
    Load(Load<'a>),
    /// Answer with [`ToHost::Pong`] when everything before this has been handled.
    Ping(u64),
    /// Answer with [`ToHost::State`] or [`ToHost::StateFailed`].
    Snapshot,
    /// Take over this state; answer with [`ToHost::Restored`] or [`ToHost::StateFailed`].
    Restore {
        /// The version the state was written with.
        version: u32,
        /// The plugin's own bytes.
        state: &'a [u8],
    },
    /// Answer with [`ToHost::Metrics`].
    Collect,
    /// Say goodbye to the plugin, answer with [`ToHost::Stopped`], and exit.
    Stop,
    /// Handle an event that is no command. Answered like an [`Event`]. Since 2.
    Occur {
        /// As [`Event::id`].
        id: u64,
        /// As [`Event::probe`].
        probe: bool,
        /// As [`Event::deadline_ms`].
        deadline_ms: u32,
        /// An encoded [`Occurrence`](crate::event::Occurrence).
        event: &'a [u8],
    },
    /// The answer to a [`ToHost::Call`]. Since 2.
    Returned {
        /// The number of the call.
        call: u64,
        /// An encoded [`Returned`](crate::call::Returned).
        answer: &'a [u8],
    },
    /// Bring the store to the version of this build; answer with [`ToHost::ReplyWith`] under this id. Since 2.
    Migrate {
        /// Never 0, and not that of an event.
        id: u64,
        /// The version that the store has.
        from: u32,
    },
}

/// The library, and what the shim needs to serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load<'a> {
    /// The plugin's name, as the operator configured it.
    pub plugin: &'a str,
    /// The generation this shim becomes.
    pub generation: u64,
    /// The library, an absolute path.
    pub library: &'a str,
    /// The file that both map to know which event is being handled: [`PAGE_BYTES`] bytes, one little-endian `u64` a lane.
    pub page: &'a str,
    /// The plugin's configuration, a JSON object.
    pub config: &'a str,
    /// Only say what the library is and whether it can read its settings; do not create the plugin.
    pub inspect: bool,
}

/// Size of the page of [`Load::page`], in bytes.
pub const PAGE_BYTES: usize = 64;

/// Lanes in the page: places at which a plugin can be executing an event at one time.
pub const PAGE_LANES: usize = PAGE_BYTES / size_of::<u64>();

/// One thing for a plugin to handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<'a> {
    /// Never 0, and unique in the life of a host.
    pub id: u64,
    /// A health check: nobody sees the answer.
    pub probe: bool,
    /// How long the host will wait for the answer, in milliseconds.
    pub deadline_ms: u32,
    /// The command, without the prefix.
    pub command: &'a str,
    /// What follows the command.
    pub args: &'a str,
    /// Who said it.
    pub user: &'a str,
    /// Where it was said.
    pub channel: &'a str,
    /// What brought it: `console`, `irc`.
    pub connector: &'a str,
    /// W3C `traceparent`, or empty.
    pub traceparent: &'a str,
}

/// From a shim to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHost<'a> {
    /// How an event ended.
    Reply {
        /// The event's id.
        event: u64,
        /// How it ended.
        #[serde(borrow)]
        answer: Answer<'a>,
    },
    /// The library is loaded and the plugin stands. In a box, because every answer is moved about in the space of the
    /// largest thing that can be said.
    Loaded(Box<ManifestV1>),
    /// It does not.
    LoadFailed {
        /// Which step failed.
        step: LoadStep,
        /// Why, for the operator.
        message: &'a str,
    },
    /// Answer to a ping, with its number.
    Pong(u64),
    /// One log record of the plugin.
    Log {
        /// 1 (error) to 5 (trace).
        level: u8,
        /// The module that said it.
        target: &'a str,
        /// What it said.
        message: &'a str,
    },
    /// The plugin's state.
    State {
        /// The version it is written with.
        version: u32,
        /// The plugin's own bytes.
        state: &'a [u8],
    },
    /// The state was taken over.
    Restored,
    /// Snapshot or restore failed.
    StateFailed {
        /// Why, for the operator.
        message: &'a str,
    },
    /// The plugin's own metrics, JSON.
    Metrics(&'a str),
    /// The last frame.
    Stopped,
    /// As [`ToHost::Loaded`], with the manifest as the library wrote it. Since 2.
    Described(
        /// JSON.
        &'a str,
    ),
    /// How an event ended, and what it wants changed. Since 2.
    ReplyWith {
        /// The event's id.
        event: u64,
        /// How it ended. Nothing is changed after [`Answer::Failed`].
        answer: Answer<'a>,
        /// Encoded [`Effects`](crate::effect::Effects).
        effects: &'a [u8],
    },
    /// A question, answered by [`ToShim::Returned`]. Since 2.
    Call {
        /// A number of the plugin's choice, unique among the calls that are under way.
        call: u64,
        /// The event that it belongs to; 0 for background work.
        event: u64,
        /// An encoded [`Call`](crate::call::Call).
        request: &'a [u8],
    },
}

/// How a plugin answered an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer<'a> {
    /// With a reply.
    Replied(&'a str),
    /// With silence.
    Ignored,
    /// With an error or a panic.
    Failed {
        /// For the user in chat.
        text: &'a str,
        /// For the operator.
        detail: &'a str,
    },
}

/// The steps of loading a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadStep {
    /// `dlopen`.
    Open,
    /// Finding the root module: a library without one is not a plugin.
    FindModule,
    /// Comparing the layouts of the ABI.
    CheckAbi,
    /// Reading the manifest.
    Manifest,
    /// The plugin's own start.
    Create,
    /// Reading the plugin's settings. After [`LoadStep::Manifest`] and before [`LoadStep::Create`].
    Settings,
}
