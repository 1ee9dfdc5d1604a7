//! Another person than the one of the test, or another channel.

use super::{Answer, Bot, memory::Place};
use crate::Plugin;
use rosey_wire::event::Body;

/// A person in a channel of a bot under test, from [`Bot::person`].
///
/// ```
/// use plugin_api::{prelude::*, testing::Bot};
///
/// #[derive(Default)]
/// struct Karma;
///
/// #[plugin(store_version = 1)]
/// impl Karma {
///     /// Thank the channel: `!thanks`
///     #[command]
///     async fn thanks(&self, cx: &Context) -> Result<String> {
///         let store = cx.store().channel();
///         let count: u32 = store.get("thanks").await?.unwrap_or(0) + 1;
///         store.put("thanks", &count)?;
///         Ok(format!("{}: {count} in {}", cx.user(), cx.channel()))
///     }
/// }
///
/// let bot = Bot::<Karma>::new();
/// assert_eq!(bot.person("bob").say("!thanks").text(), "bob: 1 in #test");
/// assert_eq!(bot.person("eve").in_channel("#tea").say("!thanks").text(), "eve: 1 in #tea");
/// assert_eq!(bot.say("!thanks").text(), "alice: 2 in #test");
/// assert_eq!(bot.stored_in::<u32>("channel #tea", "thanks"), Some(1));
/// ```
pub struct Person<'a, P> {
    pub(super) bot: &'a Bot<P>,
    pub(super) place: Place,
}

impl<P: Plugin> Person<'_, P> {
    /// The same person in another channel.
    #[must_use]
    pub fn in_channel(mut self, name: &str) -> Self {
        self.place.channel = name.into();
        self
    }

    /// Says a line, with or without the prefix. Like all methods here, it panics inside a tokio runtime.
    pub fn say(&self, line: &str) -> Answer {
        self.bot.block_on(self.bot.command(&self.place, line, false))
    }

    /// Says a line that is no command, and returns the answers of the handlers that hear it.
    pub fn hear(&self, line: &str) -> Vec<Answer> {
        self.bot.heard(&self.place, line)
    }

    /// The person comes into the channel.
    pub fn join(&self) -> Vec<Answer> {
        self.bot.deliver(&self.place, &Body::Join, |_| true)
    }

    /// The person leaves the channel.
    pub fn part(&self, reason: &str) -> Vec<Answer> {
        self.bot.deliver(&self.place, &Body::Part { reason }, |_| true)
    }

    /// The person takes another name.
    pub fn nick(&self, new: &str) -> Vec<Answer> {
        self.bot.deliver(&self.place, &Body::Nick { new }, |_| true)
    }
}
