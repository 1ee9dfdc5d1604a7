//! The events of handlers with `#[on(…)]`, `#[timer]`, `#[every(…)]` and `#[start]`: the data of each kind. The
//! [`Context`](crate::Context) has the person and the channel.
//!
//! ```
//! use plugin_api::{
//!     event::{Join, Message, Nick, Part, Signal, Start, Timer, Topic},
//!     prelude::*,
//!     testing::Bot,
//! };
//!
//! #[derive(Default)]
//! struct Porter;
//!
//! #[plugin]
//! impl Porter {
//!     #[on(message, regex = "(?i)^hello")]
//!     fn greeted(&self, _cx: &Context, message: &Message) -> String {
//!         format!("{} to you!", message.text)
//!     }
//!
//!     #[on(join)]
//!     fn came(&self, cx: &Context, _join: &Join) -> String {
//!         format!("Welcome, {}.", cx.user())
//!     }
//!
//!     #[on(part)]
//!     fn left(&self, cx: &Context, part: &Part) -> String {
//!         format!("{} left: {}", cx.user(), part.reason)
//!     }
//!
//!     #[on(nick)]
//!     fn renamed(&self, cx: &Context, nick: &Nick) -> String {
//!         format!("{} is {} now.", cx.user(), nick.new)
//!     }
//!
//!     #[on(topic)]
//!     fn topic(&self, _cx: &Context, topic: &Topic) -> String {
//!         format!("It is about {}.", topic.text)
//!     }
//!
//!     #[on(signal, topic = "build-done")]
//!     fn built(&self, _cx: &Context, signal: &Signal) -> Result<String> {
//!         Ok(format!("{} built {}.", signal.from, signal.payload::<String>()?))
//!     }
//!
//!     #[timer]
//!     fn due(&self, _cx: &Context, timer: &Timer) -> Result<String> {
//!         Ok(format!("{}, {:?} late", timer.name, timer.late))
//!     }
//!
//!     #[start]
//!     fn started(&self, cx: &Context, _start: &Start) -> Result<()> {
//!         cx.say_to("irc", "#door", "The door is open.")
//!     }
//! }
//!
//! let bot = Bot::<Porter>::new();
//! assert_eq!(bot.hear("Hello")[0].reply(), "Hello to you!");
//! assert_eq!(bot.join("bob")[0].reply(), "Welcome, bob.");
//! assert_eq!(bot.part("bob", "dinner")[0].reply(), "bob left: dinner");
//! assert_eq!(bot.nick("bob", "rob")[0].reply(), "bob is rob now.");
//! assert_eq!(bot.topic("tea")[0].reply(), "It is about tea.");
//! assert_eq!(bot.signal("builder", "build-done", &"1.2.0")[0].reply(), "builder built 1.2.0.");
//! bot.start();
//! assert_eq!(bot.sent()[0].text, "The door is open.");
//! ```

use crate::{Error, Result};
use rosey_wire::event::Body;
pub use rosey_wire::event::Kind;
use serde::de::DeserializeOwned;
use std::time::{Duration, SystemTime};

/// A line in a channel that is no command: `#[on(message)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The line, without formatting.
    pub text: String,
}

/// A person came into the channel: `#[on(join)]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Join;

/// A person left the channel, or the network: `#[on(part)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The person's message on leaving; may be empty.
    pub reason: String,
}

/// A person took another name: `#[on(nick)]`. [`Context::user`](crate::Context::user) is the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nick {
    /// The new name.
    pub new: String,
}

/// The channel got another topic: `#[on(topic)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topic {
    /// The new topic; may be empty.
    pub text: String,
}

/// A timer is due: `#[timer]` and `#[every(…)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timer {
    /// The name that it was set under. For `#[every(…)]` it is the name of the method, with `-` for `_`.
    pub name: String,
    /// When it was due.
    pub due: SystemTime,
    /// How late the host delivers it. A timer that is due while the plugin or the host is down fires once, late.
    pub late: Duration,
    payload: Vec<u8>,
}

impl Timer {
    /// The value that was stored with the timer.
    ///
    /// # Errors
    /// When it is not a `T`. The payload of an `#[every(…)]` is `()`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        payload(&self.payload, "the timer", &self.name)
    }
}

/// Another plugin published something: `#[on(signal, topic = "…")]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signal {
    /// The plugin that published it.
    pub from: String,
    /// The topic that the handler subscribes to.
    pub topic: String,
    /// The length of the chain of signals: 1 for a signal that a person's event caused.
    pub depth: u8,
    payload: Vec<u8>,
}

impl Signal {
    /// The value that was published.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        payload(&self.payload, "the signal", &self.topic)
    }
}

/// The plugin's generation became active: `#[start]`, once for each generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Start;

fn payload<T: DeserializeOwned>(bytes: &[u8], what: &str, name: &str) -> Result<T> {
    let bytes = if bytes.is_empty() { b"null" } else { bytes };
    serde_json::from_slice(bytes)
        .map_err(|error| Error::internal(format!("what came with {what} {name:?} is not what is read: {error}")))
}

/// Converts the body of an event into the type of one kind. Not for authors.
#[doc(hidden)]
pub trait FromBody: Sized {
    /// `None` when the body is of another kind.
    fn from_body(body: &Body<'_>) -> Option<Self>;
}

macro_rules! from_body {
    ($($kind:ident { $($field:ident: $value:expr),* };)*) => {
        $(impl FromBody for $kind {
            fn from_body(body: &Body<'_>) -> Option<Self> {
                match *body {
                    Body::$kind { $($field),* } => Some(from_body!(@make $kind $($field: $value),*)),
                    _ => None,
                }
            }
        })*
    };
    (@make $kind:ident) => { $kind };
    (@make $kind:ident $($field:ident: $value:expr),+) => { $kind { $($field: $value),+ } };
}

from_body! {
    Message { text: text.to_owned() };
    Join {};
    Part { reason: reason.to_owned() };
    Nick { new: new.to_owned() };
    Topic { text: text.to_owned() };
    Start {};
}

impl FromBody for Timer {
    fn from_body(body: &Body<'_>) -> Option<Self> {
        let Body::Timer { name, payload, due_ms, late_ms } = *body else { return None };
        // The host never sends a time beyond the clock's range; such a time would read as 1970.
        let due = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(due_ms)).unwrap_or(SystemTime::UNIX_EPOCH);
        let late = Duration::from_millis(late_ms);
        Some(Self { name: name.to_owned(), due, late, payload: payload.to_owned() })
    }
}

impl FromBody for Signal {
    fn from_body(body: &Body<'_>) -> Option<Self> {
        let Body::Signal { from, topic, payload, depth } = *body else { return None };
        Some(Self { from: from.to_owned(), topic: topic.to_owned(), depth, payload: payload.to_owned() })
    }
}
