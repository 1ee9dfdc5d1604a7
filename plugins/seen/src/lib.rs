//! Knows when people were last in a channel (`!seen bob`), and keeps messages for them until they speak
//! (`!tell bob lunch is ready`).
#![forbid(unsafe_code)]

mod ago;

use ago::ago;
use plugin_api::{
    args::User,
    event::{Join, Nick, Part},
    prelude::*,
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// Messages that may wait for one person in one channel.
const WAITING: u32 = 5;

/// The longest name that is kept, in characters.
const NAME: usize = 64;

/// The table `[plugins.seen.config]` of the operator's configuration.
#[derive(Settings)]
pub struct SeenSettings {
    /// How long it is known when a person was there.
    #[setting(default = "90d", range = "1h"..="3650d")]
    remember: Duration,
    /// How long a message waits for its person.
    #[setting(default = "30d", range = "1h"..="3650d")]
    keep: Duration,
}

/// The plugin. The store has what each channel saw. What people say is not kept.
pub struct Seen(SeenSettings);

#[derive(Serialize, Deserialize)]
struct Sighting {
    name: String,
    /// Milliseconds since 1970.
    at: u64,
    what: What,
}

#[derive(Serialize, Deserialize)]
enum What {
    Spoke,
    Came,
    Left { reason: String },
    TookName { new: String },
    HadName { old: String },
}

#[derive(Serialize, Deserialize)]
struct Message {
    from: String,
    /// Milliseconds since 1970.
    at: u64,
    text: String,
}

#[plugin(probe = "seen rosey", store_version = 1)]
impl Seen {
    #[create]
    fn new(settings: SeenSettings) -> Self {
        Self(settings)
    }

    /// Tell when a person was last here: `!seen bob`
    #[command]
    async fn seen(&self, cx: &Context, whom: User) -> Result<String> {
        if folded(&whom) == folded(cx.user()) {
            return Ok(format!("I see you, {}.", cx.user()));
        }
        let sighting: Option<Sighting> = cx.store().channel().get(&key("seen", &whom)).await?;
        let Some(Sighting { name, at, what }) = sighting else { return Ok(format!("I have not seen {whom} here.")) };
        let when = since(cx, at);
        Ok(match what {
            What::Spoke => format!("{name} spoke here {when}."),
            What::Came => format!("{name} came in {when}."),
            What::Left { reason } if reason.is_empty() => format!("{name} left {when}."),
            What::Left { reason } => format!("{name} left {when} ({reason})."),
            What::TookName { new } => format!("{name} took the name {new} {when}."),
            What::HadName { old } => format!("{name}, who was {old} before, took this name {when}."),
        })
    }

    /// Keep a message until a person speaks here: `!tell bob lunch is ready`
    #[command(cooldown = "1s")]
    async fn tell(&self, cx: &Context, whom: User, text: String) -> Result<String> {
        if folded(&whom) == folded(cx.user()) {
            return Ok("You know it already.".to_owned());
        }
        let (store, box_of) = (cx.store().channel(), key("tell", &whom));
        if store.list::<Message>(&format!("{box_of}/"), WAITING, "").await?.entries.len() >= WAITING as usize {
            return Ok(format!("{WAITING} messages wait for {whom} already."));
        }
        // Keys are in the order of their times, and the number of the event tells two of one moment apart.
        let (at, from) = (now(cx), cx.user().to_owned());
        let message = Message { from, at, text };
        store.put_for(&format!("{box_of}/{at:015}-{}", cx.event()), &message, self.0.keep)?;
        Ok(format!("I will tell {whom} when they speak here."))
    }

    #[on(message)]
    async fn spoke(&self, cx: &Context) -> Result<Reply> {
        self.note(cx, cx.user(), What::Spoke)?;
        let (store, prefix) = (cx.store().channel(), format!("{}/", key("tell", cx.user())));
        let mut lines = Vec::new();
        for (key, Message { from, at, text }) in store.list(&prefix, WAITING, "").await?.entries {
            lines.push(format!("{}: {from} said {}: {text}", cx.user(), since(cx, at)));
            store.delete(&key)?;
        }
        Ok(if lines.is_empty() { Reply::none() } else { lines.join("\n").into() })
    }

    #[on(join)]
    fn came(&self, cx: &Context, _join: &Join) -> Result<()> {
        self.note(cx, cx.user(), What::Came)
    }

    #[on(part)]
    fn left(&self, cx: &Context, part: &Part) -> Result<()> {
        self.note(cx, cx.user(), What::Left { reason: part.reason.clone() })
    }

    #[on(nick)]
    fn renamed(&self, cx: &Context, nick: &Nick) -> Result<()> {
        self.note(cx, cx.user(), What::TookName { new: nick.new.clone() })?;
        self.note(cx, &nick.new, What::HadName { old: cx.user().to_owned() })
    }
}

impl Seen {
    fn note(&self, cx: &Context, name: &str, what: What) -> Result<()> {
        let sighting = Sighting { name: name.to_owned(), at: now(cx), what };
        cx.store().channel().put_for(&key("seen", name), &sighting, self.0.remember)
    }
}

fn key(kind: &str, name: &str) -> String {
    format!("{kind}/{}", folded(name))
}

/// A name as it is kept: upper and lower case are alike, and no name is the beginning of another one's keys.
fn folded(name: &str) -> String {
    name.to_lowercase().replace('/', "_").chars().take(NAME).collect()
}

fn now(cx: &Context) -> u64 {
    let since = cx.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn since(cx: &Context, at: u64) -> String {
    ago(Duration::from_millis(now(cx).saturating_sub(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::{Answer, Bot};

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_a_person_did_last_is_told() {
        let bot = Bot::<Seen>::new();
        assert_eq!(bot.say("!seen bob").reply(), "I have not seen bob here.");
        bot.person("Bob").hear("hello");
        bot.advance(HOUR);
        assert_eq!(bot.say("!seen @BOB").reply(), "Bob spoke here an hour ago.");
        bot.nick("Bob", "Robert");
        assert_eq!(bot.say("!seen bob").reply(), "Bob took the name Robert just now.");
        assert_eq!(bot.say("!seen robert").reply(), "Robert, who was Bob before, took this name just now.");
        bot.part("Robert", "");
        bot.advance(HOUR);
        assert_eq!(bot.say("!seen robert").reply(), "Robert left an hour ago.");
        bot.part("Robert", "for tea");
        assert_eq!(bot.say("!seen robert").reply(), "Robert left just now (for tea).");
        bot.join("Robert");
        assert_eq!(bot.say("!seen robert").reply(), "Robert came in just now.");
        assert_eq!(bot.say("!seen Alice").reply(), "I see you, alice.");
        let elsewhere = bot.person("alice").in_channel("#other");
        assert_eq!(elsewhere.say("!seen bob").reply(), "I have not seen bob here.");
        bot.advance(24 * 90 * HOUR);
        assert_eq!(bot.say("!seen bob").reply(), "I have not seen bob here.");
    }

    #[test]
    fn a_message_waits_until_its_person_speaks() {
        let bot = Bot::<Seen>::new();
        assert_eq!(bot.say("!tell Bob lunch is ready").reply(), "I will tell Bob when they speak here.");
        bot.advance(HOUR);
        assert_eq!(bot.say_as("carol", "!tell bob and tea").reply(), "I will tell bob when they speak here.");
        assert_eq!(bot.person("bo").hear("hello"), [Answer::Ignored]);
        assert_eq!(bot.person("bob").in_channel("#other").hear("hello"), [Answer::Ignored]);
        let said = bot.person("BOB").hear("hello");
        assert_eq!(said[0].reply(), "BOB: alice said an hour ago: lunch is ready\nBOB: carol said just now: and tea");
        assert_eq!(bot.person("bob").hear("thanks"), [Answer::Ignored]);
    }

    #[test]
    fn messages_do_not_pile_up() {
        let bot = Bot::<Seen>::new();
        for n in 0..5 {
            assert!(bot.person(&format!("p{n}")).say("!tell bob hi").reply().starts_with("I will"));
        }
        assert_eq!(bot.say("!tell bob hi").reply(), "5 messages wait for bob already.");
        bot.advance(24 * 30 * HOUR);
        assert!(bot.say("!tell bob hi").reply().starts_with("I will"));
        assert_eq!(bot.say_as("eve", "!tell eve hi").reply(), "You know it already.");
    }
}
