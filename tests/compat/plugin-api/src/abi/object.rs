//! A library's root module, made for one plugin.

use super::{
    glue,
    module::{PluginMod, PluginModRef},
};
use crate::Plugin;
use abi_stable::{
    library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult},
    prefix_type::PrefixTypeTrait,
};

/// What `#[plugin]` exports under the symbol that the shim looks for.
pub const fn lib_header<P: Plugin>() -> LibHeader {
    // SAFETY: `root_module::<P>` returns what `__call_root_module_loader` made of a `PluginModRef`, which is the module
    // type named here.
    unsafe { LibHeader::from_constructor::<PluginModRef>(root_module::<P>, CheckTypeLayout::Yes) }
}

extern "C" fn root_module<P: Plugin>() -> RootModuleResult {
    __call_root_module_loader(module::<P>)
}

fn module<P: Plugin>() -> PluginModRef {
    PluginMod {
        manifest: glue::manifest::<P>,
        create: glue::create::<P>,
        handle: glue::handle::<P>,
        snapshot: glue::snapshot::<P>,
        restore: glue::restore::<P>,
        metrics: glue::metrics,
        shutdown: glue::shutdown::<P>,
    }
    .leak_into_prefix()
}

/// The macro writes the symbol as a literal, because `export_name` takes nothing else: here it is checked.
const _: () = {
    let (ours, theirs) = (SYMBOL.as_bytes(), abi_stable::library::ROOT_MODULE_LOADER_NAME.as_bytes());
    assert!(ours.len() == theirs.len(), "abi_stable changed the name of its symbol");
    let mut i = 0;
    while i < ours.len() {
        assert!(ours[i] == theirs[i], "abi_stable changed the name of its symbol");
        i += 1;
    }
};

/// The literal in `plugin-api/macros/src/expand.rs`.
const SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";
