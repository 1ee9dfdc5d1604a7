//! What a plugin author writes against.
pub mod abi;
pub mod args;
mod context;
mod cooldown;
pub mod error;
mod guard;
pub mod manifest;
pub mod metrics;
mod plugin;
pub mod prelude;
pub mod reply;
pub mod state;

pub use context::Context;
pub use error::{Error, Result};
pub use plugin::{Handling, Plugin};
pub use plugin_api_macros::plugin;
pub use reply::Reply;

/// What the code that `#[plugin]` writes needs. Not for authors: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        abi::object::lib_header,
        args::{ArgError, Args},
        manifest::{API_VERSION, Command, Manifest, Reload},
        plugin::Slot,
        reply::IntoReply,
        state::settings,
    };
    pub use abi_stable::library::LibHeader;
}

// The macro writes `::plugin_api`, in this crate's own tests too.
extern crate self as plugin_api;
