//! Keeps the quotes of each channel, reminds people, and counts the links that are said: what a plugin does that remembers,
//! listens and speaks unasked. It keeps nothing in its own memory, so reloads and crashes cost it nothing.
#![forbid(unsafe_code)]

use plugin_api::{
    event::{Message, Timer},
    prelude::*,
};
use serde::{Deserialize, Serialize};
use std::{str::FromStr, time::Duration};

/// The plugin. All that it remembers is in the store.
#[derive(Default)]
pub struct Quotes;

/// What somebody said, and who wrote it down.
#[derive(Debug, Serialize, Deserialize)]
struct Quote {
    text: String,
    by: String,
}

/// The number of quotes in a channel; each is under `quote/` and its own number, from 1 on.
const COUNT: &str = "quotes";

#[plugin(probe = "quote 1", store_version = 1)]
impl Quotes {
    /// Write a quote down: `!addquote <bob> it works on my machine`
    #[command(cooldown = "1s", channel_cooldown = "200ms")]
    async fn addquote(&self, cx: &Context, text: String) -> Result<String> {
        let store = cx.store().channel();
        // Two people at once read the same number: the second one is run again, and reads the next.
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

    /// Be reminded: `!remind 10s tea`, `!remind 2h call home`
    #[command]
    fn remind(&self, cx: &Context, after: Delay, what: String) -> Result<String> {
        // One reminder for each event: its number makes the name unique.
        cx.after(after.0, &format!("remind/{}", cx.event()), &what)?;
        Ok("I will.".to_owned())
    }

    #[timer]
    fn due(&self, cx: &Context, timer: &Timer) -> Result<String> {
        let what: String = timer.payload()?;
        let late = if timer.late > Duration::from_secs(60) { " (late, I was away)" } else { "" };
        Ok(format!("{}: {what}{late}", cx.user()))
    }

    /// Rosey looks for the expression before it wakes the plugin: what is no link costs nothing.
    #[on(message, regex = "https?://")]
    fn link(&self, cx: &Context, message: &Message) -> Result<()> {
        let links = message.text.matches("://").count();
        cx.store().member().add("links", i64::try_from(links)?)
    }

    /// How many links you have said in this channel: `!links`
    #[command]
    async fn links(&self, cx: &Context) -> Result<String> {
        let links = cx.store().member().get::<u64>("links").await?.unwrap_or(0);
        Ok(format!("{links} so far."))
    }
}

fn key(number: u64) -> String {
    format!("quote/{number}")
}

/// `10s`, `5m`, `2h`: at most a year.
#[derive(Debug)]
struct Delay(Duration);

impl FromStr for Delay {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        const YEAR: u64 = 365 * 24 * 3600;
        const FORM: &str = "Say how long, at most a year: 10s, 5m or 2h";
        let (number, factor) = match text.char_indices().last() {
            Some((end, 's')) => (&text[..end], 1),
            Some((end, 'm')) => (&text[..end], 60),
            Some((end, 'h')) => (&text[..end], 3600),
            _ => return Err(FORM),
        };
        let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        seconds.filter(|seconds| *seconds <= YEAR).map(|seconds| Self(Duration::from_secs(seconds))).ok_or(FORM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::{Answer, Bot};

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
    fn a_reminder_comes_to_the_person_who_set_it() {
        let bot = Bot::<Quotes>::new();
        assert_eq!(bot.say_as("bob", "!remind 10s tea").text(), "I will.");
        let [timer] = &bot.timers()[..] else { panic!("one timer is set: {:?}", bot.timers()) };
        assert_eq!(bot.fire(&timer.name).text(), "bob: tea");
        assert_eq!(bot.timers(), [], "it fires once");
        assert_eq!(
            bot.say("!remind soon tea").text(),
            "Say how long, at most a year: 10s, 5m or 2h. Usage: !remind 10s tea, !remind 2h call home"
        );
    }

    #[test]
    fn links_are_counted_for_each_person() {
        let bot = Bot::<Quotes>::new();
        assert_eq!(bot.hear("see https://rust-lang.org and http://example.org"), [Answer::Ignored]);
        assert_eq!(bot.hear("no link"), []);
        assert_eq!(bot.say("!links").text(), "2 so far.");
        assert_eq!(bot.say_as("bob", "!links").text(), "0 so far.");
    }
}
