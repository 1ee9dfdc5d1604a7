//! The root module: the one symbol a plugin library exports, and the table of host functions it is given.
//!
//! Everything here is a prefix struct of functions over bytes and numbers, so that a plain C ABI could replace
//! `abi_stable` without touching anything else. New functions go after the last field, never between.
//!
//! One process holds one plugin, so the library keeps the plugin itself and no handle crosses the boundary.

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings,
    sabi_types::VersionStrings,
    std_types::{RResult, RSlice, RStr, RString, RVec},
};

/// The functions of a plugin library, as the shim calls them.
///
/// The shim calls `manifest` first, then `create` once, then the rest from its main thread only.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModRef)))]
#[sabi(missing_field(panic))]
pub struct PluginMod {
    /// The plugin's manifest as JSON (`crate::manifest::Manifest`). Needs no instance.
    pub manifest: extern "C" fn() -> RVec<u8>,
    /// Makes the one instance. `config` is JSON (an object). The error is for the operator.
    pub create: extern "C" fn(host: HostApiRef, config: RSlice<'_, u8>) -> RResult<(), RString>,
    /// Starts handling one event. The reply goes through [`HostApi::reply`]: before this returns when the handler
    /// is ready at its first poll, from another thread later when not. Never unwinds.
    pub handle: extern "C" fn(event: &RawEvent<'_>),
    /// The plugin's state, for the generation that follows it.
    pub snapshot: extern "C" fn() -> RResult<RawState, RString>,
    /// Takes over the state of an earlier generation. Called before the first event, if at all.
    pub restore: extern "C" fn(version: u32, state: RSlice<'_, u8>) -> RResult<(), RString>,
    /// The plugin's own metrics as JSON, empty when it has none.
    pub metrics: extern "C" fn() -> RVec<u8>,
    /// The last call: says goodbye to the plugin.
    #[sabi(last_prefix_field)]
    pub shutdown: extern "C" fn(),
}

impl RootModule for PluginModRef {
    abi_stable::declare_root_module_statics! {PluginModRef}
    const BASE_NAME: &'static str = "rosey_plugin";
    const NAME: &'static str = "rosey_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// The functions of the shim, as a plugin library calls them. All may be called from any thread and never block for
/// longer than a write to the host takes.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostApiRef)))]
#[sabi(missing_field(panic))]
pub struct HostApi {
    /// Ends an event. `text` is the reply, or for [`outcome::FAILED`] what the user may read; `detail` is what the
    /// operator reads.
    pub reply: extern "C" fn(event: u64, outcome: u8, text: RStr<'_>, detail: RStr<'_>),
    /// Says which event a lane polls now, 0 when none. The host reads it after the process died, however it died.
    /// Lane 0 is the shim's main thread, lane 1 the plugin's runtime thread.
    pub executing: extern "C" fn(lane: u32, event: u64),
    /// One log record. Levels are 1 (error) to 5 (trace).
    #[sabi(last_prefix_field)]
    pub log: extern "C" fn(level: u8, target: RStr<'_>, message: RStr<'_>),
}

/// One event, as it crosses into the plugin library. Borrowed for the call only.
#[repr(C)]
#[derive(StableAbi)]
pub struct RawEvent<'a> {
    /// Never 0.
    pub id: u64,
    /// [`flags`].
    pub flags: u32,
    /// How long the host will wait for the answer, in milliseconds. A handler that waits longer is dropped; 0 gives it
    /// its first poll and no more.
    pub deadline_ms: u32,
    /// The command as typed, without the prefix: a name or alias of the manifest.
    pub command: RStr<'a>,
    /// What follows the command, trimmed.
    pub args: RStr<'a>,
    /// Who said it, as chat shows them.
    pub user: RStr<'a>,
    /// Where it was said.
    pub channel: RStr<'a>,
    /// Which connector brought it: `console`, `irc`.
    pub connector: RStr<'a>,
    /// W3C `traceparent`, or empty.
    pub traceparent: RStr<'a>,
}

/// Bits of [`RawEvent::flags`].
pub mod flags {
    /// A synthetic event of the host's health check: nobody sees the reply.
    pub const PROBE: u32 = 1;
}

/// Values of `outcome` in [`HostApi::reply`].
pub mod outcome {
    /// `text` is the reply.
    pub const REPLIED: u8 = 0;
    /// The plugin has nothing to say to this.
    pub const IGNORED: u8 = 1;
    /// The handler returned an error or panicked.
    pub const FAILED: u8 = 2;
}

/// A plugin's state on its way to the next generation.
#[repr(C)]
#[derive(StableAbi)]
pub struct RawState {
    /// The plugin's own version of the format.
    pub version: u32,
    /// The plugin's own bytes.
    pub bytes: RVec<u8>,
}
