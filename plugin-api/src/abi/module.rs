//! The root module: the one symbol that a plugin library exports, and the table of host functions that it gets.
//!
//! Everything here is a prefix struct of functions over bytes and numbers, so that a plain C ABI could replace
//! `abi_stable` without other changes. New functions go after the last field, never in between.
//!
//! One process holds one plugin, so the library owns the plugin and no handle crosses the boundary.

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings,
    sabi_types::VersionStrings,
    std_types::{RResult, RSlice, RStr, RString, RVec},
};

/// The functions of a plugin library, as the shim calls them.
///
/// The shim calls `manifest` first, then `create` once, and then the others, all from its main thread.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModRef)))]
#[sabi(missing_field(panic))]
pub struct PluginMod {
    /// Returns the plugin's manifest as JSON (`crate::manifest::Manifest`). Needs no instance.
    pub manifest: extern "C" fn() -> RVec<u8>,
    /// Creates the one instance. `config` is a JSON object. The error is for the operator.
    pub create: extern "C" fn(host: HostApiRef, config: RSlice<'_, u8>) -> RResult<(), RString>,
    /// Starts to handle one event. The reply goes through [`HostApi::reply`]: before this returns if the handler is
    /// ready at its first poll, else later from another thread. Never unwinds.
    pub handle: extern "C" fn(event: &RawEvent<'_>),
    /// Returns the plugin's state for the next generation.
    pub snapshot: extern "C" fn() -> RResult<RawState, RString>,
    /// Takes over the state of an earlier generation. The shim calls it at most once, before the first event.
    pub restore: extern "C" fn(version: u32, state: RSlice<'_, u8>) -> RResult<(), RString>,
    /// Returns the plugin's own metrics as JSON; empty when it has none.
    pub metrics: extern "C" fn() -> RVec<u8>,
    /// The last call. The plugin runs its `#[shutdown]` hook.
    #[sabi(last_prefix_field)]
    pub shutdown: extern "C" fn(),
    /// Checks whether the plugin can read `config` as its settings. Needs no instance and creates none. The error is
    /// the name of the setting, a colon, and what it needs. Libraries built with plugin-api 1.0.0 may lack this
    /// function.
    #[sabi(missing_field(option))]
    pub check_settings: extern "C" fn(config: RSlice<'_, u8>) -> RResult<(), RString>,
    /// Starts to handle one event that is no command; the answer comes as for `handle`. `event` is an encoded
    /// `rosey_wire::event::Occurrence`; `flags` and `deadline_ms` are those of [`RawEvent`]. Since plugin-api 1.1.
    #[sabi(missing_field(option))]
    pub occur: extern "C" fn(id: u64, flags: u32, deadline_ms: u32, event: RSlice<'_, u8>),
    /// Delivers the answer to a call of [`HostApi::call`], an encoded `rosey_wire::call::Returned`. Since plugin-api
    /// 1.1.
    #[sabi(missing_field(option))]
    pub returned: extern "C" fn(call: u64, answer: RSlice<'_, u8>),
    /// Migrates the store from version `from` to that of the manifest. The answer comes through [`HostApi::reply_with`]
    /// with this id. Since plugin-api 1.1.
    #[sabi(missing_field(option))]
    pub migrate: extern "C" fn(id: u64, from: u32),
}

impl RootModule for PluginModRef {
    abi_stable::declare_root_module_statics! {PluginModRef}
    const BASE_NAME: &'static str = "rosey_plugin";
    const NAME: &'static str = "rosey_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// The functions of the shim, as a plugin library calls them. Any thread may call them. They block for at most the time
/// of a write to the host.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostApiRef)))]
#[sabi(missing_field(panic))]
pub struct HostApi {
    /// Ends an event. `text` is the reply, or for [`outcome::FAILED`] the text for the user; `detail` is the text for
    /// the operator.
    pub reply: extern "C" fn(event: u64, outcome: u8, text: RStr<'_>, detail: RStr<'_>),
    /// Records which event a lane polls now, or none (0). The host can read it after the process died, however it died.
    /// Lane 0 is the shim's main thread, lane 1 the plugin's runtime thread.
    pub executing: extern "C" fn(lane: u32, event: u64),
    /// Logs one record. Levels are 1 (error) to 5 (trace).
    #[sabi(last_prefix_field)]
    pub log: extern "C" fn(level: u8, target: RStr<'_>, message: RStr<'_>),
    /// As [`HostApi::reply`], with the handler's effects: an encoded `rosey_wire::effect::Effects`. Since plugin-api
    /// 1.1.
    #[sabi(missing_field(option))]
    pub reply_with: extern "C" fn(event: u64, outcome: u8, text: RStr<'_>, detail: RStr<'_>, effects: RSlice<'_, u8>),
    /// Sends a call to the host. `request` is an encoded `rosey_wire::call::Call`, `event` the event that it belongs to
    /// or 0 for background work, and `call` a number that no other open call has. The answer comes through
    /// `PluginMod::returned`. Since plugin-api 1.1.
    #[sabi(missing_field(option))]
    pub call: extern "C" fn(call: u64, event: u64, request: RSlice<'_, u8>),
}

/// One command, in the form that crosses into the plugin library. Borrowed for the call only.
#[repr(C)]
#[derive(StableAbi)]
pub struct RawEvent<'a> {
    /// Never 0.
    pub id: u64,
    /// A sum of the constants in [`flags`].
    pub flags: u32,
    /// Time that the host waits for the answer, in milliseconds. The library drops a handler that takes longer; with 0
    /// a handler gets its first poll only.
    pub deadline_ms: u32,
    /// The command as typed, without the prefix: a name or an alias from the manifest.
    pub command: RStr<'a>,
    /// The text after the command, trimmed.
    pub args: RStr<'a>,
    /// The person who typed it, as chat shows the name.
    pub user: RStr<'a>,
    /// The channel where it was typed.
    pub channel: RStr<'a>,
    /// The connector that brought it: `console`, `irc`.
    pub connector: RStr<'a>,
    /// W3C `traceparent`, or empty.
    pub traceparent: RStr<'a>,
}

/// Bits of [`RawEvent::flags`].
pub mod flags {
    /// A probe: the reply does not reach chat.
    pub const PROBE: u32 = 1;
}

/// Values of `outcome` in [`HostApi::reply`].
pub mod outcome {
    /// `text` is the reply.
    pub const REPLIED: u8 = 0;
    /// The plugin has nothing to say.
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
