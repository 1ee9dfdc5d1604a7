//! All messages after the hello. They borrow from the frame. The order of variants is the protocol.

use crate::{
    manifest::ManifestV1,
    sandbox::{Finding, SandboxPolicy},
};
use serde::{Deserialize, Serialize};

/// From the host to a shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToShim<'a> {
    /// Handle this command. The answer is a [`ToHost::Reply`] with the same id.
    #[serde(borrow)]
    Command(Command<'a>),
    /// Load this library. The answer is [`ToHost::Loaded`] or [`ToHost::LoadFailed`]. Once in the life of a shim.
    Load(Load<'a>),
    /// Answer with [`ToHost::Pong`] after everything before this.
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
    /// Shut the plugin down, answer with [`ToHost::Stopped`], and exit.
    Stop,
    /// Handle an event that is no command. The answer is like that to a [`Command`]. Since 2.
    Occur {
        /// As [`Command::id`].
        id: u64,
        /// As [`Command::probe`].
        probe: bool,
        /// As [`Command::deadline_ms`].
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
    /// Migrate the store to the version of this build; answer with [`ToHost::ReplyWith`] with this id. Since 2.
    Migrate {
        /// Never 0, and never the id of an event.
        id: u64,
        /// The present version of the store.
        from: u32,
    },
    /// Give up all rights but these, and answer with [`ToHost::Confined`]. Comes once, before [`ToShim::Load`]. Since 3.
    Confine(SandboxPolicy),
}

/// The library, and everything that the shim needs to serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load<'a> {
    /// The plugin's name, as the operator configured it.
    pub plugin: &'a str,
    /// The number of the generation.
    pub generation: u64,
    /// The absolute path of the library.
    pub library: &'a str,
    /// Empty since 3. Before, the path of the page that host and shim share.
    pub page: &'a str,
    /// The plugin's own settings, a JSON object.
    pub config: &'a str,
    /// Whether to read only the manifest and the settings, and not create the plugin.
    pub inspect: bool,
}

/// Size in bytes of the page that host and shim share, with the events in execution: one little-endian `u64` a lane. It is
/// the beginning of the sealed memory that a shim gets as its standard input. The line with the token follows it.
pub const PAGE_BYTES: usize = 64;

/// Lanes in the page: how many events a plugin can execute at a time.
pub const PAGE_LANES: usize = PAGE_BYTES / size_of::<u64>();

/// One command for a plugin to handle: an [`Event`](crate::event::Event), as it is encoded since version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command<'a> {
    /// Never 0, and unique in the life of a host.
    pub id: u64,
    /// Whether this is a probe: the reply does not reach chat.
    pub probe: bool,
    /// Time that the host waits for the answer, in milliseconds.
    pub deadline_ms: u32,
    /// The command, without the prefix.
    pub command: &'a str,
    /// What follows the command.
    pub args: &'a str,
    /// The person who typed it.
    pub user: &'a str,
    /// The channel where it was typed.
    pub channel: &'a str,
    /// The connector that brought it: `console`, `irc`.
    pub connector: &'a str,
    /// W3C `traceparent`, or empty.
    pub traceparent: &'a str,
}

/// From a shim to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHost<'a> {
    /// The end of an event.
    Reply {
        /// The event's id.
        event: u64,
        /// The plugin's answer.
        #[serde(borrow)]
        answer: Answer<'a>,
    },
    /// The library is loaded and the plugin exists. Boxed, because every message takes the space of the largest
    /// variant.
    Loaded(Box<ManifestV1>),
    /// The library did not load, or the plugin was not created.
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
        /// The module that logged it.
        target: &'a str,
        /// The text of the record.
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
    /// A snapshot or a restore failed.
    StateFailed {
        /// Why, for the operator.
        message: &'a str,
    },
    /// The plugin's own metrics, as JSON.
    Metrics(&'a str),
    /// The last frame of a shim.
    Stopped,
    /// As [`ToHost::Loaded`], with the manifest as the library wrote it. Since 2.
    Described(
        /// The manifest as JSON.
        &'a str,
    ),
    /// The end of an event, and what it wants changed. Since 2.
    ReplyWith {
        /// The event's id.
        event: u64,
        /// The plugin's answer. After [`Answer::Failed`] the host applies no effects.
        answer: Answer<'a>,
        /// Encoded [`Effects`](crate::effect::Effects).
        effects: &'a [u8],
    },
    /// A request, answered by [`ToShim::Returned`]. Since 2.
    Call {
        /// A number of the plugin's choice, unique among its open calls.
        call: u64,
        /// The event that the call belongs to; 0 for background work.
        event: u64,
        /// An encoded [`Call`](crate::call::Call).
        request: &'a [u8],
    },
    /// What holds of the rules of [`ToShim::Confine`]. The first frame after it; the library is not open yet. Since 3.
    Confined(
        /// One for each rule.
        Vec<Finding<'a>>,
    ),
}

/// A plugin's answer to an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer<'a> {
    /// The plugin replied.
    Replied(&'a str),
    /// The plugin has nothing to say.
    Ignored,
    /// The handler returned an error or panicked.
    Failed {
        /// The text for the user in chat; empty for none.
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
    /// Comparing the layout of the ABI.
    CheckAbi,
    /// Reading the manifest.
    Manifest,
    /// Creating the plugin.
    Create,
    /// Reading the plugin's settings. After [`LoadStep::Manifest`] and before [`LoadStep::Create`].
    Settings,
    /// Applying the sandbox, before [`LoadStep::Open`]: a required rule does not hold. Since 3.
    Sandbox,
}
