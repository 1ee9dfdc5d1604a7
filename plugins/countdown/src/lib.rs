//! Counts down to dates: `!countdown add 24 dec 18:00 christmas eve`, `!countdown christmas eve`.
#![forbid(unsafe_code)]

mod date;

use date::{Named, left};
use jiff::{Timestamp, tz::TimeZone};
use plugin_api::{event::Timer, prelude::*};
use serde::{Deserialize, Serialize};

/// What the key of a date begins with, in the store of its channel; its name in lower case follows.
const DATE: &str = "date/";

/// Dates that a channel may have.
const MOST: usize = 50;

/// Seconds before a date at which the channel is told, from the first.
const TOLD: [i64; 4] = [7 * 86_400, 86_400, 3600, 0];

/// The table `[plugins.countdown.config]` of the operator's configuration.
#[derive(Settings)]
pub struct CountdownSettings {
    /// The time zone of dates, such as Europe/Berlin.
    #[setting(default = Zone(TimeZone::UTC))]
    time_zone: Zone,
}

/// The plugin. The store has the dates of each channel, and the host a timer for each.
pub struct Countdown(TimeZone);

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    /// Seconds since 1970.
    at: i64,
}

#[plugin(probe = "countdown", store_version = 1)]
impl Countdown {
    #[create]
    fn new(settings: CountdownSettings) -> Self {
        Self(settings.time_zone.0)
    }

    /// Tell how long it is until a date, or until all of them: `!countdown christmas eve`, `!countdown`
    #[command]
    async fn countdown(&self, cx: &Context, name: Option<String>) -> Result<String> {
        let (now, mut all) = (Timestamp::try_from(cx.now())?, Vec::new());
        let wanted = name.as_deref().map(folded);
        let visit = |key: &str, entry: Entry| {
            if wanted.as_deref().is_none_or(|wanted| key.starts_with(wanted)) {
                all.push(entry);
            }
        };
        cx.store().channel().for_each(DATE, visit).await?;
        all.sort_by_key(|entry| entry.at);
        let lines = all.iter().map(|entry| {
            let at = Timestamp::from_second(entry.at)?;
            Ok(format!("{}: {} to go ({})", entry.name, left(now, at), self.shown(at)))
        });
        let lines = lines.collect::<Result<Vec<_>>>()?;
        Ok(match (lines.is_empty(), name) {
            (true, Some(name)) => format!("There is no date {name} here."),
            (true, None) => "There are no dates here. To add one: !countdown add 24 dec christmas".to_owned(),
            (false, _) => lines.join("\n"),
        })
    }

    /// Add a date: `!countdown add 24 dec 18:00 christmas eve`, `!countdown add 2030-01-01 the thirties`
    #[command(path = "countdown add", cooldown = "1s")]
    async fn add(&self, cx: &Context, date: Named) -> Result<String> {
        let now = Timestamp::try_from(cx.now())?;
        let at = match date.date.moment(now, &self.0) {
            Ok(at) => at,
            Err(error) => return Ok(format!("{error}.")),
        };
        let (store, key) = (cx.store().channel(), folded(&date.name));
        let mut others = 0;
        store.for_each(DATE, |known, _: Entry| others += usize::from(known != key)).await?;
        if others >= MOST {
            return Ok(format!("There are {others} dates here, and more are not kept."));
        }
        store.put(&format!("{DATE}{key}"), &Entry { name: date.name.clone(), at: at.as_second() })?;
        tell_next(cx, now, &key, at)?;
        Ok(format!("{}: {} to go ({}).", date.name, left(now, at), self.shown(at)))
    }

    /// Delete a date: `!countdown delete christmas eve`
    #[command(path = "countdown delete", aliases("remove"))]
    async fn delete(&self, cx: &Context, name: String) -> Result<String> {
        let (store, key) = (cx.store().channel(), folded(&name));
        if store.get::<Entry>(&format!("{DATE}{key}")).await?.is_none() {
            return Ok(format!("There is no date {name} here."));
        }
        cx.cancel_timer(&timer(cx, &key))?;
        store.delete(&format!("{DATE}{key}"))?;
        Ok(format!("{name} is deleted."))
    }

    /// Tells the channel of a date a week, a day and an hour before, and when it has come.
    #[timer]
    async fn due(&self, cx: &Context, timer: &Timer) -> Result<Reply> {
        let (store, key): (_, String) = (cx.store().channel(), timer.payload()?);
        let Some(entry) = store.get::<Entry>(&format!("{DATE}{key}")).await? else { return Ok(Reply::none()) };
        let (now, at) = (Timestamp::try_from(cx.now())?, Timestamp::from_second(entry.at)?);
        if at > now {
            tell_next(cx, now, &key, at)?;
            return Ok(format!("{}: {} to go.", entry.name, left(now, at)).into());
        }
        store.delete(&format!("{DATE}{key}"))?;
        Ok(format!("{}: now!", entry.name).into())
    }
}

impl Countdown {
    /// A moment as a clock in the time zone shows it: `Thu 24 Dec 2026 18:00`.
    fn shown(&self, moment: Timestamp) -> String {
        moment.to_zoned(self.0.clone()).strftime("%a %-d %b %Y %H:%M").to_string()
    }
}

/// Sets the timer for the next time at which the channel is told.
fn tell_next(cx: &Context, now: Timestamp, key: &str, at: Timestamp) -> Result<()> {
    let moments = TOLD.iter().map(|before| at.as_second() - before);
    let next = moments.filter(|moment| *moment > now.as_second()).min().unwrap_or(at.as_second());
    cx.at(Timestamp::from_second(next)?.into(), &timer(cx, key), key)
}

/// The name of the timer of a date.
fn timer(cx: &Context, key: &str) -> String {
    format!("{}/{}/{key}", cx.connector(), cx.channel())
}

/// A name as it is kept: upper and lower case are alike.
fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// A time zone, read by its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Zone(TimeZone);

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let none = |_| format!("there is no time zone {name}; write a name such as Europe/Berlin");
        TimeZone::get(&name).map(Self).map_err(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::{Answer, Bot};
    use std::time::{Duration, SystemTime};

    const HOUR: Duration = Duration::from_secs(3600);

    /// A bot on Sunday, 29 November 2026, at 12:00 UTC.
    fn bot(settings: &str) -> Bot<Countdown> {
        let bot = Bot::with_settings(settings).expect("these are right");
        bot.starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_953_600))
    }

    fn texts(answers: &[Answer]) -> Vec<&str> {
        answers.iter().map(Answer::reply).collect()
    }

    #[test]
    fn a_date_is_counted_down_to() {
        let bot = bot("{}");
        assert!(bot.say("!countdown").reply().starts_with("There are no dates here."));
        let text = "Christmas Eve: 25 days and 6 hours to go (Thu 24 Dec 2026 18:00).";
        assert_eq!(bot.say("!countdown add 24 dec 18:00 Christmas Eve").reply(), text);
        bot.say_as("bob", "!countdown add 30 nov Monday");
        let line = "Christmas Eve: 25 days and 6 hours to go (Thu 24 Dec 2026 18:00)";
        assert_eq!(bot.say("!countdown christmas").reply(), line);
        let both = format!("Monday: 12 hours to go (Mon 30 Nov 2026 00:00)\n{line}");
        assert_eq!(bot.say("!countdown").reply(), both);
        assert_eq!(texts(&bot.advance(12 * HOUR)), ["Monday: 1 hour to go.", "Monday: now!"]);
        let said = [
            "Christmas Eve: 7 days to go.",
            "Christmas Eve: 1 day to go.",
            "Christmas Eve: 1 hour to go.",
            "Christmas Eve: now!",
        ];
        assert_eq!(texts(&bot.advance(24 * 30 * HOUR)), said);
        assert_eq!(bot.say("!countdown christmas").reply(), "There is no date christmas here.");
    }

    #[test]
    fn a_deleted_date_is_not_told() {
        let bot = bot("{}");
        bot.say("!countdown add 1 jan new year");
        assert_eq!(bot.say("!countdown delete New  Year").reply(), "New  Year is deleted.");
        assert_eq!(bot.say("!countdown delete new year").reply(), "There is no date new year here.");
        assert!(bot.advance(24 * 60 * HOUR).is_empty());
    }

    #[test]
    fn dates_are_in_the_zone_of_the_bot() {
        let bot = bot(r#"{"time_zone": "Europe/Berlin"}"#);
        let text = "tea: 1 hour to go (Sun 29 Nov 2026 14:00).";
        assert_eq!(bot.say("!countdown add 2026-11-29 14:00 tea").reply(), text);
        assert_eq!(bot.say_as("bob", "!countdown add 2026-11-29 12:30 tea").reply(), "That date has passed.");
        let usage = "Usage: !countdown add 24 dec 18:00 christmas eve, !countdown add 2030-01-01 the thirties";
        assert_eq!(bot.say_as("eve", "!countdown add soon").reply(), format!("I cannot read that date. {usage}"));
        let error = Bot::<Countdown>::with_settings(r#"{"time_zone": "Moon"}"#).err().expect("there is none");
        assert_eq!(error.detail(), "time_zone: there is no time zone Moon; write a name such as Europe/Berlin");
        assert!(bot.probe().reply().starts_with("tea: 1 hour to go"));
    }
}
