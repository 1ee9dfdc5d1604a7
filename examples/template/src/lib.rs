//! Greets people: `!hello world`.
#![forbid(unsafe_code)]

use plugin_api::prelude::*;

/// One instance serves all events, several at a time, so keep what changes in a `Mutex` or an atomic.
pub struct Greeter {
    greeting: String,
}

/// The table `[plugins.my-plugin.config]` of the bot's configuration.
#[derive(Settings)]
pub struct Settings {
    /// The word before the name.
    #[setting(default = "Hello")]
    greeting: String,
}

// A new build must answer the probe before it replaces the one that serves.
#[plugin(probe = "hello world")]
impl Greeter {
    #[create]
    fn new(settings: Settings) -> Self {
        Self { greeting: settings.greeting }
    }

    // `!help` shows the doc comment.
    /// Greet a person, or yourself: `!hello`, `!hello world`
    #[command(aliases("hi"))]
    fn hello(&self, cx: &Context, whom: Option<String>) -> String {
        format!("{}, {}!", self.greeting, whom.as_deref().unwrap_or(cx.user()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::Bot;

    #[test]
    fn it_greets_the_named_and_otherwise_who_asks() {
        let bot = Bot::<Greeter>::new();
        assert_eq!(bot.say("!hello world").text(), "Hello, world!");
        assert_eq!(bot.user("bob").say("!hi").text(), "Hello, bob!");
    }

    #[test]
    fn its_settings_and_its_probe_work() {
        let bot = Bot::<Greeter>::with_settings(r#"{"greeting": "Salve"}"#).expect("these settings are right");
        assert_eq!(bot.probe().text(), "Salve, world!");
    }
}
