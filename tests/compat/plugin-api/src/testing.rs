//! Runs a plugin within its own unit tests, without a host: the same arguments, cooldowns, usage replies and caught
//! panics as in the real one.
//!
//! ```
//! use plugin_api::{prelude::*, testing::Bot};
//!
//! #[derive(Default)]
//! struct Greeter;
//!
//! #[plugin]
//! impl Greeter {
//!     /// Greet somebody: `!hello world`
//!     #[command]
//!     fn hello(&self, _cx: &Context, whom: String) -> String {
//!         format!("Hello, {whom}!")
//!     }
//! }
//!
//! let bot = Bot::<Greeter>::new();
//! assert_eq!(bot.say("!hello moon").text(), "Hello, moon!");
//! assert_eq!(bot.say("!hello").text(), "Usage: !hello world");
//! ```

use crate::{
    Context, Plugin, Result,
    context::Incoming,
    guard,
    plugin::{Handling, Instance},
};
use std::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

/// How long a handler may take in a test, in milliseconds: as long as the host waits by default.
const LIMIT_MS: u32 = 30_000;

/// A plugin, ready to be talked to by one user in one channel.
pub struct Bot<P> {
    instance: Instance<P>,
    user: String,
    channel: String,
    events: AtomicU64,
}

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The plugin said this.
    Replied(String),
    /// The plugin said nothing.
    Ignored,
    /// The handler failed or panicked.
    Failed {
        /// What the user reads.
        user: String,
        /// What the operator reads.
        detail: String,
    },
}

impl Answer {
    /// What the user reads: the reply, nothing, or the apology.
    pub fn text(&self) -> &str {
        match self {
            Self::Replied(text) => text,
            Self::Ignored => "",
            Self::Failed { user, .. } => user,
        }
    }
}

impl<P: Plugin> Default for Bot<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Plugin> Bot<P> {
    /// Makes the plugin without settings.
    ///
    /// # Panics
    /// When it cannot be made so.
    pub fn new() -> Self {
        Self::with_settings("{}").expect("the plugin is made without settings")
    }

    /// Makes the plugin with settings, a JSON object.
    ///
    /// # Errors
    /// The plugin's own.
    pub fn with_settings(json: &str) -> Result<Self> {
        let instance = Instance::create(json.as_bytes())?;
        Ok(Self { instance, user: "alice".into(), channel: "#test".into(), events: AtomicU64::new(0) })
    }

    /// Speaks as another user.
    #[must_use]
    pub fn user(mut self, name: &str) -> Self {
        self.user = name.into();
        self
    }

    /// Speaks in another channel.
    #[must_use]
    pub fn channel(mut self, name: &str) -> Self {
        self.channel = name.into();
        self
    }

    /// The plugin itself.
    pub fn plugin(&self) -> &P {
        &self.instance.plugin
    }

    /// Says a line, with or without the prefix, and waits for the answer on a tokio runtime of its own.
    ///
    /// # Panics
    /// Within a tokio runtime: use [`say_async`](Self::say_async) there.
    pub fn say(&self, line: &str) -> Answer {
        block_on(self.handle(line, false))
    }

    /// Says a line, with or without the prefix, from a test that is `async` itself.
    pub async fn say_async(&self, line: &str) -> Answer {
        self.handle(line, false).await
    }

    /// Runs the probe that the plugin declares, as the host does before it trusts a new version.
    ///
    /// # Panics
    /// When the plugin declares none, and within a tokio runtime.
    pub fn probe(&self) -> Answer {
        let line = P::MANIFEST.probe.expect("the plugin declares a probe");
        block_on(self.handle(line, true))
    }

    /// The state, as the host takes it for the next generation: its version and its bytes.
    ///
    /// # Errors
    /// The plugin's own.
    pub fn snapshot(&self) -> Result<(u32, Vec<u8>)> {
        let bytes = guard::catch(|| self.plugin().snapshot()).and_then(|done| done)?;
        Ok((P::MANIFEST.state_version, bytes))
    }

    /// Hands a state over, as the host does before the first event.
    ///
    /// # Errors
    /// The plugin's own, and when it does not read this version.
    pub fn restore(&self, version: u32, state: &[u8]) -> Result<()> {
        self.instance.restore(version, state)
    }

    async fn handle(&self, line: &str, probe: bool) -> Answer {
        let line = line.trim();
        let line = line.strip_prefix('!').unwrap_or(line);
        let (command, args) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let cx = Context::new(&Incoming {
            id: self.events.fetch_add(1, Relaxed) + 1,
            probe,
            deadline_ms: LIMIT_MS,
            command,
            args: args.trim(),
            user: &self.user,
            channel: &self.channel,
            connector: "test",
            traceparent: "",
        });
        let result = match self.instance.begin(cx) {
            Handling::Done(result) => result,
            Handling::Future(mut handler) => {
                let guarded = poll_fn(|cx| {
                    guard::catch(|| handler.as_mut().poll(cx)).unwrap_or_else(|panic| Poll::Ready(Err(panic)))
                });
                let limit = Duration::from_millis(LIMIT_MS.into());
                tokio::time::timeout(limit, guarded).await.unwrap_or_else(|late| Err(late.into()))
            }
        };
        match result {
            Ok(reply) => reply.as_text().map_or(Answer::Ignored, |text| Answer::Replied(text.to_owned())),
            Err(error) => Answer::Failed { user: error.user().to_owned(), detail: error.detail().to_owned() },
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a test may have a tokio runtime").block_on(future)
}
