//! Runs a plugin in its own unit tests, without a host, with the same arguments, cooldowns of a person, usage replies and
//! caught panics as in a bot. What the host checks before it wakes a plugin is not checked here: roles, and the cooldowns
//! of a channel and of everyone.
//!
//! ```
//! use plugin_api::{prelude::*, testing::Bot};
//!
//! #[derive(Default)]
//! struct Greeter;
//!
//! #[plugin]
//! impl Greeter {
//!     /// Greet a person: `!hello world`
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
//!
//! Events of all kinds, settings, and what the store holds:
//!
//! ```
//! use plugin_api::{
//!     event::{Join, Message, Nick, Part, Signal, Timer, Topic},
//!     prelude::*,
//!     state,
//!     testing::{Answer, Bot, Person, SentLine},
//! };
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! #[derive(Settings)]
//! struct Limits {
//!     /// The most cups.
//!     #[setting(default = 3)]
//!     cups: u64,
//! }
//!
//! struct Tea(Limits);
//!
//! #[plugin(store_version = 2, reload = "handoff")]
//! impl Tea {
//!     #[create]
//!     fn new(limits: Limits) -> Self {
//!         Self(limits)
//!     }
//!
//!     /// Take a cup: `!cup`
//!     #[command]
//!     async fn cup(&self, cx: &Context) -> Result<String> {
//!         let cups: u64 = cx.store().get("cups").await?.unwrap_or(0) + 1;
//!         if cups > self.0.cups {
//!             return Err(Error::new("The pot is empty."));
//!         }
//!         cx.store().put("cups", &cups)?;
//!         cx.say("Tea!")?;
//!         Ok(format!("{} has cup {cups}, biscuit {}.", cx.user(), cx.random().between(1..=6)))
//!     }
//!
//!     #[on(message)]
//!     fn heard(&self, _cx: &Context, message: &Message) -> String {
//!         message.text.to_uppercase()
//!     }
//!
//!     #[on(join)]
//!     fn came(&self, _cx: &Context, _join: &Join) -> &'static str {
//!         "came"
//!     }
//!
//!     #[on(part)]
//!     fn left(&self, _cx: &Context, _part: &Part) -> &'static str {
//!         "left"
//!     }
//!
//!     #[on(nick)]
//!     fn renamed(&self, _cx: &Context, nick: &Nick) -> String {
//!         nick.new.clone()
//!     }
//!
//!     #[on(topic)]
//!     fn about(&self, _cx: &Context, topic: &Topic) -> String {
//!         topic.text.clone()
//!     }
//!
//!     #[on(signal, topic = "kettle")]
//!     fn kettle(&self, _cx: &Context, signal: &Signal) -> Result<String> {
//!         signal.payload()
//!     }
//!
//!     #[every("0 16 * * *")]
//!     fn tea_time(&self, _cx: &Context, _timer: &Timer) -> &'static str {
//!         "Tea time!"
//!     }
//!
//!     #[migrate]
//!     fn migrate(&self, _cx: &Context, _from: u32) {}
//!
//!     #[snapshot]
//!     fn save(&self) -> Result<Vec<u8>> {
//!         state::to_bytes(&())
//!     }
//!
//!     #[restore]
//!     fn load(&self, _version: u32, bytes: &[u8]) -> Result<()> {
//!         state::from_bytes(bytes)
//!     }
//! }
//!
//! let bot = Bot::<Tea>::with_settings(r#"{"cups": 2}"#)?.user("eve").channel("#tea").seed(7).starting_at(UNIX_EPOCH);
//! assert!(bot.say("!cup").reply().starts_with("eve has cup 1, biscuit "));
//! assert!(bot.say_as("bob", "!cup").reply().starts_with("bob has cup 2"));
//! assert!(matches!(bot.say("!cup"), Answer::Failed { user, .. } if user == "The pot is empty."));
//! assert_eq!((bot.stored::<u64>("cups"), bot.stored_in::<u64>("user eve", "cups")), (Some(2), None));
//! assert_eq!(bot.take_sent()[0], SentLine { to: "#tea".into(), text: "Tea!".into() });
//!
//! let bob: Person<'_, Tea> = bot.person("bob");
//! assert_eq!((bob.hear("tea")[0].reply(), bot.hear("tea")[0].reply()), ("TEA", "TEA"));
//! assert_eq!((bob.nick("rob")[0].reply(), bob.part("dinner")[0].reply()), ("rob", "left"));
//! assert_eq!((bot.join("rob")[0].reply(), bot.nick("rob", "bob")[0].reply()), ("came", "bob"));
//! assert_eq!((bot.part("bob", "")[0].reply(), bot.topic("tea")[0].reply()), ("left", "tea"));
//! assert_eq!(bot.signal("stove", "kettle", &"it boils")[0].reply(), "it boils");
//! assert_eq!((bot.fire("tea-time").reply(), bot.migrate(1)), ("Tea time!", Answer::Ignored));
//! let (version, bytes) = bot.snapshot()?;
//! bot.restore(version, &bytes)?;
//! # Ok::<(), Error>(())
//! ```
//!
//! A test that is `async` itself says its lines with [`Bot::say_async`]:
//!
//! ```
//! # use plugin_api::{Plugin, testing::{Answer, Bot}};
//! async fn twice<P: Plugin>(bot: &Bot<P>, line: &str) -> [Answer; 2] {
//!     [bot.say_async(line).await, bot.say_async(line).await]
//! }
//! ```

mod answer;
mod cron;
mod events;
mod memory;
mod person;
mod reload;
mod time;

use crate::{
    Context, Error, Finished, Plugin, Result,
    effects::TimerInfo,
    guard,
    plugin::{Handling, Instance},
    random::Random,
};
pub use answer::Answer;
use answer::answer;
pub use memory::SentLine;
pub(crate) use memory::current;
use memory::{Commit, Entered, Memory, Place, since_1970};
pub use person::Person;
use rosey_wire::event::{Body, Event};
use serde::de::DeserializeOwned;
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

/// Time that a handler may take in a test, in milliseconds: the host's default.
const LIMIT_MS: u32 = 30_000;
/// How often an event runs whose reads others change, as in the host.
const ATTEMPTS: u32 = 3;
/// The connector of the events in a test.
const CONNECTOR: &str = "test";

/// A plugin under test, with one user in one channel. [`person`](Self::person) gives more of both,
/// [`advance`](Self::advance) lets time pass, and [`reload`](Self::reload) loads another build. When a handler fails,
/// the test's output has the operator's text.
pub struct Bot<P> {
    instance: Instance<P>,
    place: Place,
    events: AtomicU64,
    memory: Arc<Memory>,
    /// A JSON object.
    settings: String,
    seed: u64,
}

impl<P: Plugin> Default for Bot<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Plugin> Bot<P> {
    /// Creates the plugin without settings.
    ///
    /// # Panics
    /// When the plugin needs settings or fails to start.
    pub fn new() -> Self {
        Self::with_settings("{}").expect("the plugin is made without settings")
    }

    /// Creates the plugin with settings, a JSON object.
    ///
    /// # Errors
    /// The plugin's own.
    pub fn with_settings(json: &str) -> Result<Self> {
        let instance = Instance::create(json.as_bytes(), false)?;
        let place = Place { user: "alice".into(), channel: "#test".into() };
        Ok(Self {
            instance,
            place,
            events: AtomicU64::new(0),
            memory: Arc::default(),
            settings: json.to_owned(),
            seed: 0,
        })
    }

    /// Sets the seed of [`Context::random`]. The default is 0, so that a test repeats itself.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the user. The default is `alice`.
    #[must_use]
    pub fn user(mut self, name: &str) -> Self {
        self.place.user = name.into();
        self
    }

    /// Sets the channel. The default is `#test`.
    #[must_use]
    pub fn channel(mut self, name: &str) -> Self {
        self.place.channel = name.into();
        self
    }

    /// The plugin itself.
    pub fn plugin(&self) -> &P {
        &self.instance.plugin
    }

    /// Says a line, with or without the prefix, and waits for the answer in a new tokio runtime.
    ///
    /// # Panics
    /// Inside a tokio runtime: use [`say_async`](Self::say_async) there.
    pub fn say(&self, line: &str) -> Answer {
        self.block_on(self.command(&self.place, line, false))
    }

    /// Says a line as another user of the same plugin and the same store.
    ///
    /// # Panics
    /// Inside a tokio runtime.
    pub fn say_as(&self, user: &str, line: &str) -> Answer {
        self.person(user).say(line)
    }

    /// Another person, in the same channel until [`Person::in_channel`] says another.
    pub fn person(&self, name: &str) -> Person<'_, P> {
        Person { bot: self, place: Place { user: name.to_owned(), ..self.place.clone() } }
    }

    /// Says a line, with or without the prefix, in an `async` test.
    pub async fn say_async(&self, line: &str) -> Answer {
        self.command(&self.place, line, false).await
    }

    /// Runs the probe that the plugin declares, as the host does before it trusts a new build.
    ///
    /// # Panics
    /// When the plugin declares no probe, and inside a tokio runtime.
    pub fn probe(&self) -> Answer {
        let line = P::MANIFEST.probe.expect("the plugin declares a probe");
        self.block_on(self.command(&self.place, line, true))
    }

    /// The state for the next generation: its version and its bytes.
    ///
    /// # Errors
    /// The plugin's own.
    pub fn snapshot(&self) -> Result<(u32, Vec<u8>)> {
        let bytes = guard::catch(|| self.plugin().snapshot()).and_then(|done| done)?;
        Ok((P::MANIFEST.state_version, bytes))
    }

    /// Hands a state over to the plugin, as the host does before the first event.
    ///
    /// # Errors
    /// The plugin's own, and when the plugin does not read this version.
    pub fn restore(&self, version: u32, state: &[u8]) -> Result<()> {
        self.instance.restore(version, state)
    }

    /// Fires a timer now, on time: one that a handler has set, or an `#[every(…)]`.
    ///
    /// # Panics
    /// When there is no such timer, or no handler for it.
    pub fn fire(&self, name: &str) -> Answer {
        let of =
            |pattern: &str| P::MANIFEST.subscriptions.iter().find(|it| it.kind == "timer" && it.pattern == pattern);
        let handler = of(name).or_else(|| of("*"));
        let handler = handler.unwrap_or_else(|| panic!("there is no handler for the timer {name:?}"));
        let (due, payload, place) = match self.memory.fire(name) {
            Some(timer) => (timer.due, timer.payload, timer.place),
            None if handler.cron.is_empty() => panic!("no handler has set a timer {name:?}"),
            None => (self.memory.now(), Vec::new(), Place::default()),
        };
        let body = Body::Timer { name, payload: &payload, due_ms: since_1970(due), late_ms: 0 };
        let mut answers = self.deliver(&place, &body, |it| it.pattern == handler.pattern);
        answers.pop().expect("its handler was found above")
    }

    /// Migrates the store from version `from`.
    pub fn migrate(&self, from: u32) -> Answer {
        let place = Place::default();
        let begin = |id| self.instance.migrate(Context::of_no_event(id, LIMIT_MS), from);
        self.block_on(self.handle(&place, false, begin))
    }

    /// All lines that handlers said besides their answers, in order.
    pub fn sent(&self) -> Vec<SentLine> {
        self.memory.sent()
    }

    /// The lines since the last call, in order.
    ///
    /// ```
    /// use plugin_api::{prelude::*, testing::Bot};
    ///
    /// #[derive(Default)]
    /// struct Gossip;
    ///
    /// #[plugin]
    /// impl Gossip {
    ///     /// Tell another channel: `!tell news`
    ///     #[command]
    ///     fn tell(&self, cx: &Context, news: String) -> Result<()> {
    ///         cx.say_to("irc", "#tea", &news)
    ///     }
    /// }
    ///
    /// let bot = Bot::<Gossip>::new();
    /// bot.say("!tell one");
    /// assert_eq!(bot.take_sent()[0].text, "one");
    /// bot.say("!tell two");
    /// assert_eq!(bot.take_sent()[0].text, "two");
    /// ```
    pub fn take_sent(&self) -> Vec<SentLine> {
        self.memory.take_sent()
    }

    /// The timers that handlers have set, by name.
    pub fn timers(&self) -> Vec<TimerInfo> {
        self.memory.timers()
    }

    /// All signals that handlers have published: topic and JSON.
    pub fn published(&self) -> Vec<(String, String)> {
        self.memory.published()
    }

    /// The value of a key in the global scope of the store.
    ///
    /// # Panics
    /// When it is not a `T`.
    pub fn stored<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.stored_in("", key)
    }

    /// The value of a key in a scope, named as in a [walk](crate::walk): `channel #test`, `user alice`, `member #test
    /// alice`, or empty for the global scope.
    ///
    /// # Panics
    /// When it is not a `T`.
    pub fn stored_in<T: DeserializeOwned>(&self, scope: &str, key: &str) -> Option<T> {
        let json = self.memory.stored(scope, key)?;
        Some(serde_json::from_str(&json).unwrap_or_else(|error| panic!("the value of {key:?}: {error}")))
    }

    async fn command(&self, place: &Place, line: &str, probe: bool) -> Answer {
        let line = line.trim();
        let line = line.strip_prefix('!').unwrap_or(line);
        let (command, args) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let begin = |id| {
            self.begin(&Event {
                id,
                probe,
                deadline_ms: LIMIT_MS,
                handler: 0,
                user: &place.user,
                channel: &place.channel,
                connector: CONNECTOR,
                traceparent: "",
                body: Body::Command { name: command, args: args.trim() },
            })
        };
        self.handle(place, probe, begin).await
    }

    fn begin(&self, event: &Event<'_>) -> Handling<'_> {
        self.instance.begin(Context::new(event), event)
    }

    /// Runs a handler and applies its effects. Runs it again if another event changed what it read.
    async fn handle<'a>(&'a self, place: &Place, probe: bool, begin: impl Fn(u64) -> Handling<'a>) -> Answer {
        let id = self.events.fetch_add(1, Relaxed) + 1;
        for _ in 0..ATTEMPTS {
            // The numbers of one event say nothing about those of the next.
            self.memory.begin(id, place, Random::seeded(self.seed).next_u64() ^ Random::seeded(id).next_u64());
            let finished = self.finish(|| begin(id)).await;
            self.memory.end(id);
            let committed = finished.effects().and_then(|effects| match effects {
                // A probe leaves no trace.
                Some(effects) if !probe => self.memory.commit(place, &effects),
                _ => Ok(Commit::Applied),
            });
            match committed {
                Ok(Commit::Applied) => return answer(finished.result),
                Ok(Commit::Conflict) => {}
                Err(error) => return answer(Err(error)),
            }
        }
        answer(Err(Error::internal(format!("other events changed what it read {ATTEMPTS} times"))))
    }

    async fn finish<'a>(&'a self, begin: impl FnOnce() -> Handling<'a>) -> Finished {
        let handling = {
            let _entered = Entered::new(&self.memory);
            begin()
        };
        let mut handler = match handling {
            Handling::Done(finished) => return finished,
            Handling::Future(handler) => handler,
        };
        let guarded = poll_fn(|cx| {
            let _entered = Entered::new(&self.memory);
            guard::catch(|| handler.as_mut().poll(cx)).unwrap_or_else(|panic| Poll::Ready(panic.into()))
        });
        let limit = Duration::from_millis(LIMIT_MS.into());
        tokio::time::timeout(limit, guarded).await.unwrap_or_else(|late| Error::from(late).into())
    }

    /// Tasks that a handler spawns run here too, and have the same store.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let _entered = Entered::new(&self.memory);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a test may have a tokio runtime").block_on(future)
    }
}

/// The time for cooldowns: that of the clock of the bot under test, if there is one.
pub(crate) fn now() -> Instant {
    current().map_or_else(Instant::now, |memory| memory.instant())
}
