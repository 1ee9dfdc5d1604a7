//! What a plugin author writes against.
//!
//! A plugin is an `impl` block under [`#[plugin]`](macro@plugin), in a package with `crate-type = ["cdylib"]`.
//! `examples/template` in Rosey's repository is such a package, to copy and begin with:
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
//! What a handler changes in the [store](Context::store), says and publishes happens with its answer or not at all.
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
//! The settings are read, with serde, before anything else: what cannot be read is refused when an operator checks the
//! configuration, and before a reload is confirmed, with the name of the setting and what it needs. So a rule belongs into the
//! type (`#[serde(try_from = "u32")]`) rather than into `#[create]`, whose errors are taken for something that may pass, and
//! tried again.
//!
//! # What it may do besides answering
//!
//! A plugin hears more than its commands: messages, people who come and go, timers, what other plugins publish. It keeps
//! values in a [`store`], says lines unasked, and sets timers ([`effects`]). All that a handler changes is applied with its
//! answer, or not at all when it fails:
//!
//! ```
//! use plugin_api::{
//!     event::{Message, Timer},
//!     prelude::*,
//! };
//! use std::time::Duration;
//!
//! #[derive(Default)]
//! struct Tea;
//!
//! #[plugin(store_version = 1)]
//! impl Tea {
//!     /// Be told when the tea is ready: `!tea 4`
//!     #[command]
//!     async fn tea(&self, cx: &Context, minutes: u8) -> Result<String> {
//!         let cups: u64 = cx.store().user().get("cups").await?.unwrap_or(0) + 1;
//!         cx.store().user().put("cups", &cups)?;
//!         cx.after(Duration::from_secs(60 * u64::from(minutes)), &format!("tea/{}", cx.event()), &cups)?;
//!         Ok(format!("Cup {cups} is on its way."))
//!     }
//!
//!     #[timer]
//!     fn ready(&self, cx: &Context, timer: &Timer) -> Result<String> {
//!         Ok(format!("{}: cup {} is ready.", cx.user(), timer.payload::<u64>()?))
//!     }
//!
//!     #[on(message, regex = "(?i)coffee")]
//!     fn coffee(&self, _cx: &Context, message: &Message) -> String {
//!         format!("{}? Have some tea.", message.text)
//!     }
//!
//!     #[every("0 16 * * 1-5", tz = "Europe/London")]
//!     fn tea_time(&self, cx: &Context) -> Result<()> {
//!         cx.say_to("irc", "#office", "Tea time!")
//!     }
//! }
//!
//! let bot = plugin_api::testing::Bot::<Tea>::new();
//! assert_eq!(bot.say("!tea 4").text(), "Cup 1 is on its way.");
//! assert_eq!(bot.fire(&bot.timers()[0].name).text(), "alice: cup 1 is ready.");
//! assert_eq!(bot.hear("coffee")[0].text(), "coffee? Have some tea.");
//! bot.fire("tea-time");
//! assert_eq!(bot.said()[0].text, "Tea time!");
//! ```
//!
//! An event whose handler was cut short by a crash runs again, from a clean slate. So what goes through the [`Context`] happens
//! once; what a handler does behind Rosey's back, in files or over the network, may happen twice.
//!
//! # Reloads
//!
//! When a new version is loaded, it first answers the `probe` as a user would see it, and then takes over between two
//! events. [`state`] shows how it takes over the memory as well. [`testing`] runs the plugin in its own unit tests.
//!
//! Its working directory is a folder of its own that stays across reloads and restarts. Two generations may use it at a
//! time while one takes over from the other. Processes that a plugin starts end with it.
//!
//! Logs are `tracing` events (`debug` and above; `info` and above from other crates), [`metrics`] are statics.

pub mod abi;
pub mod args;
mod bounded;
mod context;
mod cooldown;
pub mod effects;
pub mod error;
pub mod event;
mod guard;
mod journal;
pub mod manifest;
pub mod metrics;
mod plugin;
pub mod prelude;
pub mod reply;
mod settings;
pub mod state;
pub mod store;
pub mod testing;

pub use context::Context;
pub use error::{Error, Result};
pub use plugin::{Finished, Handling, Plugin};
pub use plugin_api_macros::plugin;
pub use reply::Reply;
pub use store::{Store, background};

/// What the code that `#[plugin]` writes needs. Not for authors: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        abi::object::lib_header,
        args::{ArgError, Args},
        event::FromBody,
        manifest::{API_VERSION, Command, Manifest, Reload, Subscription},
        plugin::Slot,
        reply::IntoReply,
        settings::settings,
    };
    pub use abi_stable::library::LibHeader;
    pub use rosey_wire::event::Body;
}
