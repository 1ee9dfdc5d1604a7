//! Everything said after the hello. Borrowed from the frame it was read from; variant order is the protocol.

use crate::manifest::Manifest;
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
}

/// What to load.
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
    Loaded(Box<Manifest>),
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
