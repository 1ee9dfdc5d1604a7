//! Keeps the quotes and the last link of each channel in the store, and reminds people, so reloads, crashes and restarts lose nothing.
#![forbid(unsafe_code)]

use plugin_api::{
    event::{Message, Timer},
    prelude::*,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The plugin. The store has all of its data.
#[derive(Default)]
pub struct Quotes;

/// A quote, and the person who wrote it down.
#[derive(Debug, Serialize, Deserialize)]
struct Quote {
    text: String,
    by: String,
}

/// The key of the last link of a channel.
const LINK: &str = "link";

/// The key of the number of quotes in a channel. Each quote is under `quote/` and its own number, from 1 on.
const COUNT: &str = "quotes";

/// The longest wait of a reminder.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

#[plugin(probe = "quote 1")]
impl Quotes {
    /// Write a quote down: `!addquote <bob> it works on my machine`
    #[command(cooldown = "1s", channel_cooldown = "200ms")]
    async fn addquote(&self, cx: &Context, text: String) -> Result<String> {
        let store = cx.store().channel();
        // Two people may read the same number at once. Then the host runs the second event again, which reads the next
        // number.
        let number = store.get::<u64>(COUNT).await?.unwrap_or(0) + 1;
        store.put(COUNT, &number)?;
        store.put(&key(number), &Quote { text, by: cx.user().to_owned() })?;
        Ok(format!("That is quote {number}."))
    }

    /// Read a quote: `!quote 3`
    #[command]
    async fn quote(&self, cx: &Context, number: u64) -> Result<String> {
        let quote: Option<Quote> = cx.store().channel().get(&key(number)).await?;
        Ok(match quote {
            Some(Quote { text, by }) => format!("{text} (kept by {by})"),
            None => format!("There is no quote {number} here."),
        })
    }

    /// Read the last link of the channel: `!link`
    #[command]
    async fn link(&self, cx: &Context) -> Result<String> {
        let link: Option<Quote> = cx.store().channel().get(LINK).await?;
        Ok(match link {
            Some(Quote { text, by }) => format!("{text} (from {by})"),
            None => "There has been no link here.".to_owned(),
        })
    }

    /// Be reminded of something: `!remind 10s tea`
    #[command(cooldown = "1s")]
    fn remind(&self, cx: &Context, wait: Duration, what: String) -> Result<String> {
        if wait > LONGEST {
            return Ok("I remember things for a year at most.".to_owned());
        }
        // A name of its own for each: a person may be reminded of several things.
        cx.after(wait, &format!("remind/{}/{}", cx.user(), cx.event()), &what)?;
        Ok(format!("In {}.", cx.args().split_whitespace().next().unwrap_or_default()))
    }

    /// Comes in the channel and with the person of `!remind`, also when Rosey was stopped meanwhile.
    #[timer]
    fn due(&self, cx: &Context, timer: &Timer) -> Result<String> {
        Ok(format!("{}: {}", cx.user(), timer.payload::<String>()?))
    }

    /// The host wakes this plugin for lines that have a link in them, and for no other.
    #[on(message, regex = r"https?://\S")]
    fn heard(&self, cx: &Context, message: &Message) -> Result<()> {
        let mut words = message.text.split_whitespace();
        let link =
            words.find(|word| word.starts_with("http")).unwrap_or(&message.text).trim_end_matches([',', '.', ')']);
        cx.store().channel().put(LINK, &Quote { text: link.to_owned(), by: cx.user().to_owned() })
    }
}

fn key(number: u64) -> String {
    format!("quote/{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::Bot;

    #[test]
    fn quotes_are_numbered_in_each_channel() {
        let bot = Bot::<Quotes>::new();
        assert_eq!(bot.say("!addquote it works on my machine").text(), "That is quote 1.");
        assert_eq!(bot.say_as("bob", "!addquote ship it").text(), "That is quote 2.");
        assert_eq!(bot.say("!quote 2").text(), "ship it (kept by bob)");
        assert_eq!(bot.say("!quote 3").text(), "There is no quote 3 here.");
        let elsewhere = bot.channel("#other");
        assert_eq!(elsewhere.say("!quote 1").text(), "There is no quote 1 here.");
    }

    #[test]
    fn a_reminder_comes_to_the_person_who_asked_for_it() {
        let bot = Bot::<Quotes>::new();
        assert_eq!(bot.say("!remind 10s tea").text(), "In 10s.");
        assert!(bot.advance(Duration::from_secs(9)).is_empty());
        assert_eq!(bot.advance(Duration::from_secs(1))[0].text(), "alice: tea");
        let usage = "Usage: !remind 10s tea";
        assert_eq!(bot.person("eve").say("!remind 400d tea").text(), "I remember things for a year at most.");
        let text = "wait: \"soon\" is not a duration; write 10s, 5m, 2h30m or 1d";
        assert_eq!(bot.say_as("bob", "!remind soon tea").text(), format!("{text}. {usage}"));
    }

    #[test]
    fn the_last_link_is_kept() {
        let bot = Bot::<Quotes>::new();
        assert_eq!(bot.say("!link").text(), "There has been no link here.");
        bot.hear("see https://example.org, it is fine");
        bot.hear("no link here");
        assert_eq!(bot.say("!link").text(), "https://example.org (from alice)");
        assert_eq!(bot.channel("#other").say("!link").text(), "There has been no link here.");
    }
}
