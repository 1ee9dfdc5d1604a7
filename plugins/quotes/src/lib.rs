//! Keeps the quotes of each channel in the store: `!addquote`, `!quote`, `!quotes search`.
#![forbid(unsafe_code)]

use plugin_api::prelude::*;
use serde::{Deserialize, Serialize};

/// The plugin. The store has all of its data, so reloads, crashes and restarts lose nothing.
#[derive(Default)]
pub struct Quotes;

/// A quote, and the person who wrote it down.
#[derive(Debug, Serialize, Deserialize)]
struct Quote {
    text: String,
    by: String,
}

/// The key of the number of quotes that a channel ever had. Numbers are not given twice, so a number means one quote.
const COUNT: &str = "quotes";

/// What the key of a quote begins with; its number follows, from 1 on.
const QUOTE: &str = "quote/";

/// Further numbers that an answer names.
const SHOWN: usize = 10;

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

    /// Read a quote, or any: `!quote 3`, `!quote`
    #[command]
    async fn quote(&self, cx: &Context, number: Option<u64>) -> Result<String> {
        let store = cx.store().channel();
        if let Some(number) = number {
            let quote: Option<Quote> = store.get(&key(number)).await?;
            return Ok(quote.map_or_else(|| format!("There is no quote {number} here."), |quote| quote.shown()));
        }
        let count = store.get::<u64>(COUNT).await?.unwrap_or(0);
        // The quote behind a number, since the quote with that number may be deleted; behind the last comes the first.
        let mut page = store.list::<Quote>(QUOTE, 1, &key(cx.random().between(0..=count))).await?;
        if page.entries.is_empty() {
            page = store.list(QUOTE, 1, "").await?;
        }
        Ok(match page.entries.first() {
            Some((key, quote)) => format!("{}: {}", &key[QUOTE.len()..], quote.shown()),
            None => "There are no quotes here. To write one down: !addquote <bob> it works on my machine".to_owned(),
        })
    }

    /// Count the quotes of the channel: `!quotes`
    #[command]
    async fn quotes(&self, cx: &Context) -> Result<String> {
        let mut count = 0;
        cx.store().channel().for_each(QUOTE, |_, _: Quote| count += 1).await?;
        Ok(match count {
            1 => "There is 1 quote here. !quote reads it.".to_owned(),
            count => format!("There are {count} quotes here. !quote reads any, !quotes search WORD finds some."),
        })
    }

    /// Find quotes by what was said or who wrote it down: `!quotes search tea`
    #[command(path = "quotes search", aliases("find"), cooldown = "1s")]
    async fn search(&self, cx: &Context, text: String) -> Result<String> {
        let (wanted, mut found) = (text.to_lowercase(), Vec::new());
        let visit = |number: &str, quote: Quote| {
            if quote.text.to_lowercase().contains(&wanted) || quote.by.to_lowercase() == wanted {
                found.extend(number.parse::<u64>().ok().map(|number| (number, quote)));
            }
        };
        cx.store().channel().for_each(QUOTE, visit).await?;
        found.sort_by_key(|(number, _)| *number);
        let Some((first, quote)) = found.first() else { return Ok(format!("No quote here has {text}.")) };
        let others: Vec<_> = found[1..].iter().take(SHOWN).map(|(number, _)| number.to_string()).collect();
        let more = if found.len() > SHOWN + 1 { ", …" } else { "" };
        let others = if others.is_empty() { String::new() } else { format!(" Also {}{more}.", others.join(", ")) };
        Ok(format!("{first}: {}{others}", quote.shown()))
    }

    /// Delete a quote: `!quotes delete 3`
    #[command(path = "quotes delete", requires = "operator")]
    async fn delete(&self, cx: &Context, number: u64) -> Result<String> {
        let store = cx.store().channel();
        if store.get::<Quote>(&key(number)).await?.is_none() {
            return Ok(format!("There is no quote {number} here."));
        }
        store.delete(&key(number))?;
        Ok(format!("Quote {number} is deleted."))
    }
}

impl Quote {
    fn shown(&self) -> String {
        format!("{} (kept by {})", self.text, self.by)
    }
}

fn key(number: u64) -> String {
    format!("{QUOTE}{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::Bot;
    use proptest::prelude::*;

    #[test]
    fn quotes_are_numbered_in_each_channel() {
        let bot = Bot::<Quotes>::new();
        assert_eq!(bot.say("!addquote it works on my machine").reply(), "That is quote 1.");
        assert_eq!(bot.say_as("bob", "!addquote ship it").reply(), "That is quote 2.");
        assert_eq!(bot.say("!quote 2").reply(), "ship it (kept by bob)");
        assert_eq!(bot.say("!quote 3").reply(), "There is no quote 3 here.");
        let elsewhere = bot.person("alice").in_channel("#other");
        assert_eq!(elsewhere.say("!quote 1").reply(), "There is no quote 1 here.");
        assert!(elsewhere.say("!quote").reply().starts_with("There are no quotes here."));
    }

    #[test]
    fn any_quote_comes_and_no_deleted_one() {
        let bot = Bot::<Quotes>::new();
        for (person, text) in [("alice", "one"), ("bob", "two"), ("carol", "three")] {
            bot.person(person).say(&format!("!addquote {text}"));
        }
        assert_eq!(bot.say("!quotes delete 2").reply(), "Quote 2 is deleted.");
        assert_eq!(bot.say("!quotes delete 2").reply(), "There is no quote 2 here.");
        let mut seen: Vec<_> = (0..50).map(|_| bot.say("!quote").reply().to_owned()).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["1: one (kept by alice)", "3: three (kept by carol)"]);
        assert!(bot.say("!quotes").reply().starts_with("There are 2 quotes here."));
        bot.advance(std::time::Duration::from_secs(1));
        assert_eq!(bot.say("!addquote four").reply(), "That is quote 4.", "a number is not given twice");
    }

    #[test]
    fn quotes_are_found_by_words_and_by_who_kept_them() {
        let bot = Bot::<Quotes>::new();
        for n in 1..=14 {
            bot.person(&format!("p{n}")).say(&format!("!addquote Tea number {n}"));
        }
        let all = "1: Tea number 1 (kept by p1) Also 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ….";
        assert_eq!(bot.say("!quotes search tea").reply(), all);
        assert_eq!(bot.person("b").say("!quotes find P12").reply(), "12: Tea number 12 (kept by p12)");
        assert_eq!(bot.person("c").say("!quotes search coffee").reply(), "No quote here has coffee.");
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read(text in "[^\\s\"“„«]\\PC{0,50}[^\\s\"”“»]") {
            let bot = Bot::<Quotes>::new();
            bot.say(&format!("!addquote {text}"));
            let answer = bot.say("!quote 1");
            prop_assert_eq!(answer.reply(), format!("{text} (kept by alice)"));
        }
    }
}
