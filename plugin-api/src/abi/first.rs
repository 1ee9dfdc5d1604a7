//! The contract of plugin-api 1.0.0, which never changes: what a library of then says of its types is compared with this. The
//! shim then uses the module as a [`PluginModRef`](super::module::PluginModRef), in which everything that came later is missing.
//!
//! A library is asked for at least what the host expects, so one that is older than the host is no match for the contract of
//! today.

use super::module::{RawEvent, RawState};
use abi_stable::{
    StableAbi,
    library::RootModule,
    sabi_types::VersionStrings,
    std_types::{RResult, RSlice, RStr, RString, RVec},
};

/// As [`PluginMod`](super::module::PluginMod) was.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModRef)))]
#[sabi(missing_field(panic))]
pub struct PluginMod {
    /// As today.
    pub manifest: extern "C" fn() -> RVec<u8>,
    /// As today, of a host that had less to offer.
    pub create: extern "C" fn(host: HostApiRef, config: RSlice<'_, u8>) -> RResult<(), RString>,
    /// As today.
    pub handle: extern "C" fn(event: &RawEvent<'_>),
    /// As today.
    pub snapshot: extern "C" fn() -> RResult<RawState, RString>,
    /// As today.
    pub restore: extern "C" fn(version: u32, state: RSlice<'_, u8>) -> RResult<(), RString>,
    /// As today.
    pub metrics: extern "C" fn() -> RVec<u8>,
    /// As today.
    #[sabi(last_prefix_field)]
    pub shutdown: extern "C" fn(),
}

impl RootModule for PluginModRef {
    abi_stable::declare_root_module_statics! {PluginModRef}
    const BASE_NAME: &'static str = "rosey_plugin";
    const NAME: &'static str = "rosey_plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

/// As [`HostApi`](super::module::HostApi) was.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostApiRef)))]
#[sabi(missing_field(panic))]
pub struct HostApi {
    /// As today.
    pub reply: extern "C" fn(event: u64, outcome: u8, text: RStr<'_>, detail: RStr<'_>),
    /// As today.
    pub executing: extern "C" fn(lane: u32, event: u64),
    /// As today.
    #[sabi(last_prefix_field)]
    pub log: extern "C" fn(level: u8, target: RStr<'_>, message: RStr<'_>),
}
