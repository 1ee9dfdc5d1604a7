//! The library that plugins of Rosey are written with.
//!
//! A plugin is an `impl` block under [`#[plugin]`](macro@plugin), in a package with `crate-type = ["cdylib"]`.
//! Copy `examples/template` from Rosey's repository to begin with such a package:
//!
//! ```
//! #![forbid(unsafe_code)]
//! use plugin_api::prelude::*;
//! use std::time::Duration;
//!
//! /// One instance serves all events, several at a time, so keep what changes in a `Mutex` or an atomic.
//! struct Greeter {
//!     greeting: String,
//! }
//!
//! /// The table `[plugins.greeter.config]` of the operator's configuration.
//! #[derive(Settings)]
//! struct Settings {
//!     /// The word before the name.
//!     #[setting(default = "Hello")]
//!     greeting: String,
//! }
//!
//! #[plugin(probe = "hello world")]
//! impl Greeter {
//!     #[create]
//!     fn new(settings: Settings) -> Self {
//!         Self { greeting: settings.greeting }
//!     }
//!
//!     /// Greet a person: `!hello world`
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
//! The host applies what a handler changes in the [store](Context::store), says and publishes together with its answer, or not
//! at all.
//!
//! # How the host runs it
//!
//! The host runs each plugin in its own process, and learns about it from its [`manifest`]. An event becomes a call of the
//! command's method. The words of the line become the method's [arguments](args), the return value becomes the [reply], and a
//! failure becomes an [`Error`] with one text for the user and one for the operator. A panic ends its event and nothing else.
//!
//! One thread serves all events. It calls each `fn`, and polls each `async fn` for the first time, so a handler must not block
//! it. A handler that is not ready then moves to a second thread, where tokio's timers and tasks work as usual. At the event's
//! [deadline](Context::deadline) a handler that still awaits is dropped.
//!
//! The host has the [`settings`] read before anything else. `rosey check` and the question before a reload refuse settings
//! that do not fit, with the name of the setting and what it needs. So put a rule into the settings
//! (`#[setting(range = 1..=100)]`, or a type that refuses what does not fit) rather than into `#[create]`: the host assumes
//! that an error of `#[create]` may pass, and starts the plugin again.
//!
//! # What it may do besides answering
//!
//! A plugin can handle more than commands: messages, people who join and leave, timers, and signals of other plugins. It keeps
//! values in a [`store`], says lines unasked, and sets timers ([`effects`]). The host applies everything that a handler changes
//! with its answer, and nothing when it fails:
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
//!     /// Say when the tea is ready: `!tea 4`
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
//! assert_eq!(bot.sent()[0].text, "Tea time!");
//! ```
//!
//! When a crash cuts a handler short, the event runs again from the beginning. So changes through the [`Context`] happen once,
//! and anything else that a handler does, in files or over the network, may happen twice.
//!
//! A build that keeps something in another form than the one before raises `store_version`, and brings a `#[migrate]` that
//! [walks](walk) through what is kept. It runs as the last step of a reload, while events wait. Until the new build has proved
//! itself, a rollback puts the store from before back.
//!
//! # The order of answers
//!
//! Handlers run side by side, and an answer that is early waits in the host. The answers of a plugin to one person in a channel come
//! in the order in which that person asked, so a handler that waits delays the plugin's next answer to that person and no other.
//! `#[command(order = "none")]` takes a slow lookup out of this order. With `order = "channel"` the answers to everyone in the
//! channel keep their order, for a game in which it matters who was first; all commands with that order share it. A subcommand has
//! an order of its own.
//!
//! # Reloads
//!
//! When an operator loads a new build, it first answers the `probe`, and then replaces the old one between two events.
//! [`state`] shows how to hand the plugin's memory over. [`testing`] runs the plugin in its own unit tests.
//!
//! A plugin has its own folder as its working directory, which stays across reloads and restarts. During a reload two generations
//! may use it at the same time. The host ends the processes that a plugin starts when the plugin ends.
//!
//! # Logs, metrics and limits
//!
//! Log with `tracing`: the host gets events of `debug` and above, and of `info` and above from other crates. It cuts a message at
//! 4,096 bytes, and logs at most `limits.log_lines` lines a second (200 by default). [`metrics`] are statics.
//!
//! A handler has `limits.event_deadline` (30 s by default) from the acceptance of its event. A process that does not return to
//! its events for `limits.hang_timeout` (10 s by default) counts as hanging, and the host kills it and starts it again. It does
//! the same when the process needs more than `limits.memory_mb` (512 MiB by default).

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
mod random;
pub mod reply;
pub mod settings;
pub mod state;
pub mod store;
pub mod testing;
pub mod walk;

pub use args::Choice;
pub use context::Context;
pub use error::{Error, Result};
pub use plugin::{Finished, Handling, Plugin, Slot};
pub use plugin_api_macros::{Choice, Settings, plugin};
pub use random::Random;
pub use reply::Reply;
pub use settings::{Secret, Settings};
pub use store::{Store, background};

/// Exports a plugin whose [`Plugin`] is written by hand. Under `cfg(test)` it exports nothing, so that tests may have many
/// plugins. The documentation of [`Plugin`] has a whole plugin.
///
/// ```
/// # mod tea {
/// # use plugin_api::prelude::*;
/// # pub struct Tea;
/// # impl Plugin for Tea {
/// #     const MANIFEST: plugin_api::manifest::Manifest = plugin_api::manifest::Manifest::new("tea", "1.0.0");
/// #     fn create(_: &[u8]) -> Result<Self> { Ok(Self) }
/// #     fn call(&self, _: usize, cx: Context) -> Result<plugin_api::Handling<'_>, plugin_api::args::ArgError> {
/// #         Ok(plugin_api::Handling::Done(cx.finish(Ok(Reply::none()))))
/// #     }
/// #     fn slot() -> &'static plugin_api::Slot<Self> {
/// #         static SLOT: plugin_api::Slot<Tea> = plugin_api::Slot::new();
/// #         &SLOT
/// #     }
/// # }
/// # }
/// # use tea::Tea;
/// plugin_api::export!(Tea);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        // abi_stable defines this name; `plugin_api` checks that it has not changed.
        #[cfg(not(test))]
        #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
        static ROOT_MODULE: $crate::__private::LibHeader = $crate::__private::lib_header::<$plugin>();
    };
}

/// Compiles and runs the examples of the authors' guide.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/WRITING_PLUGINS.md")]
mod guide {}

/// What the code that `#[plugin]` writes needs. Not for authors: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        abi::object::lib_header,
        args::{ArgError, Args},
        event::FromBody,
        manifest::{API_VERSION, Command, Manifest, Order, Reload, Subscription, Wishes},
        plugin::Slot,
        reply::IntoReply,
        settings::{IsSecret, NoSchema, NotSecret, SchemaOf, duration, settings},
    };
    pub use abi_stable::library::LibHeader;
    pub use rosey_wire::event::Body;
    pub use serde;
}
