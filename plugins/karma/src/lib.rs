//! Counts thanks: `bob++`, `Mondays--`, `!karma bob`, `!karma top`.
#![forbid(unsafe_code)]

mod points;

use plugin_api::{event::Message, prelude::*};
use points::{folded, points};
use std::time::Duration;

/// What the key of a thing begins with; its name in lower case follows.
const KARMA: &str = "karma/";

/// Places of `!karma top` and `!karma bottom`.
const PLACES: usize = 5;

/// The table `[plugins.karma.config]` of the operator's configuration.
#[derive(Settings)]
pub struct KarmaSettings {
    /// Whether to say the new number after each point.
    #[setting(default = true)]
    announce: bool,
    /// How long a person must wait before the next point for the same thing.
    #[setting(default = "10s", range = ..="1d")]
    pause: Duration,
}

/// The plugin. The store has the points of each channel.
pub struct Karma(KarmaSettings);

#[plugin(probe = "karma rosey")]
impl Karma {
    #[create]
    fn new(settings: KarmaSettings) -> Self {
        Self(settings)
    }

    /// The host wakes this plugin for lines that may have points in them, and for no other.
    #[on(message, regex = r"[^\s+\-](\+\+|--)([^\w+\-]|$)")]
    async fn heard(&self, cx: &Context, message: &Message) -> Result<Reply> {
        let (store, mut said) = (cx.store().channel(), Vec::new());
        let own = cx.user().to_lowercase();
        for (thing, by) in points(&message.text) {
            if thing == own {
                said.push(format!("{}, only others can give you points.", cx.user()));
                continue;
            }
            let given = format!("given/{thing}");
            if !self.0.pause.is_zero() {
                if cx.store().member().get::<i64>(&given).await?.is_some() {
                    continue;
                }
                cx.store().member().put_for(&given, &by, self.0.pause)?;
            }
            let key = format!("{KARMA}{thing}");
            store.add(&key, by)?;
            // A number that is not read never conflicts with a point of another person.
            if self.0.announce {
                said.push(format!("{thing}: {}", store.get::<i64>(&key).await?.unwrap_or(0)));
            }
        }
        Ok(if said.is_empty() { Reply::none() } else { said.join(" · ").into() })
    }

    /// Tell the points of a thing or a person: `!karma bob`, `!karma green tea`
    #[command]
    async fn karma(&self, cx: &Context, thing: Option<String>) -> Result<String> {
        let thing = thing.as_deref().unwrap_or(cx.user());
        let Some(thing) = folded(thing) else {
            return Ok(format!("{thing} cannot have points: a name has 2 to 50 characters, one of them a letter."));
        };
        let points: Option<i64> = cx.store().channel().get(&format!("{KARMA}{thing}")).await?;
        Ok(match points {
            Some(points) => format!("{thing}: {points}"),
            None => format!("{thing} has no points yet. To give one: {thing}++"),
        })
    }

    /// Tell what has the most points: `!karma top`
    #[command(path = "karma top", aliases("best"))]
    async fn top(&self, cx: &Context) -> Result<String> {
        places(cx, std::cmp::Reverse).await
    }

    /// Tell what has the fewest points: `!karma bottom`
    #[command(path = "karma bottom", aliases("worst"))]
    async fn bottom(&self, cx: &Context) -> Result<String> {
        places(cx, |points| points).await
    }
}

/// The first things of the channel in this order.
async fn places<K: Ord>(cx: &Context, order: impl Fn(i64) -> K) -> Result<String> {
    let mut first: Vec<(String, i64)> = Vec::new();
    let visit = |thing: &str, points| {
        let place = first.partition_point(|(_, other)| order(*other) <= order(points));
        if place < PLACES {
            first.insert(place, (thing.to_owned(), points));
            first.truncate(PLACES);
        }
    };
    cx.store().channel().for_each(KARMA, visit).await?;
    if first.is_empty() {
        return Ok("Nothing has points here. To give one: bob++".to_owned());
    }
    let lines = first.iter().zip(1..).map(|((thing, points), place)| format!("{place}. {thing} {points}"));
    Ok(lines.collect::<Vec<_>>().join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::{Answer, Bot};

    #[test]
    fn points_are_counted_in_each_channel() {
        let bot = Bot::<Karma>::new();
        assert_eq!(bot.hear("Bob++, and (green tea)++")[0].reply(), "bob: 1 · green tea: 1");
        assert_eq!(bot.person("carol").hear("bob++")[0].reply(), "bob: 2");
        assert_eq!(bot.person("dave").hear("mondays--")[0].reply(), "mondays: -1");
        assert_eq!(bot.say("!karma BOB").reply(), "bob: 2");
        assert_eq!(bot.say("!karma green tea").reply(), "green tea: 1");
        assert_eq!(bot.say("!karma coffee").reply(), "coffee has no points yet. To give one: coffee++");
        assert!(bot.say("!karma x").reply().starts_with("x cannot have points"));
        assert_eq!(bot.say("!karma top").reply(), "1. bob 2 · 2. green tea 1 · 3. mondays -1");
        assert_eq!(bot.say("!karma worst").reply(), "1. mondays -1 · 2. green tea 1 · 3. bob 2");
        let elsewhere = bot.person("alice").in_channel("#other");
        assert_eq!(elsewhere.say("!karma top").reply(), "Nothing has points here. To give one: bob++");
        assert!(bot.hear("C++ and ls --help").iter().all(|answer| *answer == Answer::Ignored));
        assert!(bot.probe().reply().starts_with("rosey has no points"));
    }

    #[test]
    fn a_person_gives_the_same_point_only_after_a_while_and_never_to_oneself() {
        let bot = Bot::<Karma>::new();
        assert_eq!(bot.hear("Alice++")[0].reply(), "alice, only others can give you points.");
        assert_eq!(bot.say("!karma").reply(), "alice has no points yet. To give one: alice++");
        bot.hear("bob++");
        assert_eq!(bot.hear("bob++"), [Answer::Ignored]);
        bot.advance(Duration::from_secs(10));
        assert_eq!(bot.hear("bob++")[0].reply(), "bob: 2");
    }

    #[test]
    fn an_operator_can_have_it_quiet() {
        let bot = Bot::<Karma>::with_settings(r#"{"announce": false, "pause": "0s"}"#).expect("these are right");
        assert_eq!(bot.hear("bob++"), [Answer::Ignored]);
        assert_eq!(bot.hear("bob++"), [Answer::Ignored]);
        assert_eq!(bot.say("!karma bob").reply(), "bob: 2");
    }

    #[test]
    fn only_the_first_places_are_told() {
        let bot = Bot::<Karma>::new();
        for (n, thing) in ["aa", "bb", "cc", "dd", "ee", "ff", "gg"].iter().enumerate() {
            for person in 0..=n {
                bot.person(&format!("p{person}")).hear(&format!("{thing}++"));
            }
        }
        assert_eq!(bot.say("!karma top").reply(), "1. gg 7 · 2. ff 6 · 3. ee 5 · 4. dd 4 · 5. cc 3");
        assert_eq!(bot.say("!karma bottom").reply(), "1. aa 1 · 2. bb 2 · 3. cc 3 · 4. dd 4 · 5. ee 5");
    }
}
