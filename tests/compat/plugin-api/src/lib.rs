//! What a plugin author writes against.
//!
//! A plugin is an `impl` block under [`#[plugin]`](macro@plugin), in a package with `crate-type = ["cdylib"]`:
//!
//! ```
//! #![forbid(unsafe_code)]
//! use plugin_api::prelude::*;
//! use std::time::Duration;
//!
//! /// One instance serves all events, several at a time: what changes belongs into a `Mutex` or an atomic.
//! struct Greeter {
//!     greeting: String,
//! }
//!
//! /// `[plugins.greeter.config]` of the operator's settings.
//! #[derive(serde::Deserialize)]
//! #[serde(default)]
//! struct Settings {
//!     greeting: String,
//! }
//!
//! impl Default for Settings {
//!     fn default() -> Self {
//!         Self { greeting: "Hello".into() }
//!     }
//! }
//!
//! #[plugin(probe = "hello world")]
//! impl Greeter {
//!     #[create]
//!     fn new(settings: Settings) -> Self {
//!         Self { greeting: settings.greeting }
//!     }
//!
//!     /// Greet somebody: `!hello world`
//!     #[command(aliases("hi"), cooldown = "500ms")]
//!     async fn hello(&self, cx: &Context, whom: String) -> Result<Reply> {
//!         Ok(format!("{}, {whom}! So says {}.", self.greeting, cx.user()).into())
//!     }
//!
//!     /// Say something later: `!later 2 dinner`
//!     #[command]
//!     async fn later(&self, _cx: &Context, seconds: u8, what: String) -> String {
//!         tokio::time::sleep(Duration::from_secs(seconds.into())).await;
//!         what
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! # What happens to it
//!
//! The host runs each plugin in a process of its own, and knows it by its [`manifest`]. An event becomes a call of the
//! command's method: its words become the method's [arguments](args), what it returns becomes the [reply], and what goes
//! wrong becomes an [`Error`], of which the user reads one part and the operator the other. A panic ends its event and
//! nothing else.
//!
//! An `fn` is called, and an `async fn` polled for the first time, on the one thread that serves all events, so neither
//! may block it. A handler that is not ready then moves to a second thread, where tokio's timers and tasks work as usual;
//! at the event's [deadline](Context::deadline) it is dropped.
//!
//! When a new version is loaded, it first answers the `probe` as a user would see it, and then takes over between two
//! events. [`state`] shows how it takes over the memory as well. [`testing`] runs the plugin in its own unit tests.
//!
//! Logs are `tracing` events (`debug` and above; `info` and above from other crates), [`metrics`] are statics.

pub mod abi;
pub mod args;
mod bounded;
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
pub mod testing;

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
