//! Reminds people: `!remind in 10 minutes tea`, `!remind tomorrow 9:00 tea`, `!remind every monday 9:00 tea`.
#![forbid(unsafe_code)]

mod when;

use jiff::{Timestamp, tz::TimeZone};
use plugin_api::{event::Timer, prelude::*};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};
use when::{Request, When};

/// The prefix of the key of a reminder, in its person's store. The number follows.
const REMINDER: &str = "reminder/";

/// The key of the count of all reminders ever set. The count makes the names of timers unique.
const COUNT: &str = "reminders";

/// The key of a person's time zone.
const ZONE: &str = "zone";

/// If a reminder is later than this, its text says so.
const LATE: Duration = Duration::from_secs(60);

/// The table `[plugins.remind.config]` of the operator's configuration.
#[derive(Settings)]
pub struct RemindSettings {
    /// The time zone of people who have set none, such as Europe/Berlin.
    #[setting(default = Zone("UTC".to_owned()))]
    time_zone: Zone,
    /// The reminders that a person may have at a time.
    #[setting(default = 20, range = 1..=200, unit = "reminders")]
    most: usize,
}

/// The plugin. The host keeps the timers; the store keeps the texts.
pub struct Remind(RemindSettings);

#[derive(Serialize, Deserialize)]
struct Reminder {
    text: String,
    /// Seconds since 1970; `None` for one that comes again and again.
    due: Option<i64>,
    /// The time as the person typed it.
    typed: String,
}

#[plugin(probe = "remind list", store_version = 1)]
impl Remind {
    #[create]
    fn new(settings: RemindSettings) -> Self {
        Self(settings)
    }

    /// Be reminded: `!remind in 10 minutes tea`, `!remind tomorrow 9:00 tea`, `!remind every monday at 9 tea`
    #[command(cooldown = "1s")]
    async fn remind(&self, cx: &Context, request: Request) -> Result<String> {
        let (store, zone, now) = (cx.store().user(), self.zone(cx).await?, Timestamp::try_from(cx.now())?);
        let mut count = 0;
        store.for_each(REMINDER, |_, _: Reminder| count += 1).await?;
        if count >= self.0.most {
            return Ok(format!("You already have {count} of {} reminders. To see them: !remind list", self.0.most));
        }
        let due = match request.when.due(now, &zone.zone()?) {
            Ok(due) => due,
            Err(error) => return Ok(format!("{error}.")),
        };
        let number = cx.store().get::<u64>(COUNT).await?.unwrap_or(0) + 1;
        cx.store().put(COUNT, &number)?;
        match (&request.when, due) {
            (When::Every(cron), _) => cx.every(cron, &zone.0, &timer(number), &number)?,
            (_, Some(due)) => cx.at(due.into(), &timer(number), &number)?,
            (_, None) => return Err(Error::internal("a time that comes once has no moment")),
        }
        let said = match (&request.when, due) {
            (When::On(..), Some(due)) => format!("on {}", zone.shown(due)?),
            _ => request.typed.to_lowercase(),
        };
        let reminder = Reminder { text: request.text, due: due.map(Timestamp::as_second), typed: request.typed };
        store.put(&key(number), &reminder)?;
        Ok(format!("I will remind you {said}. To cancel: !remind cancel {number}"))
    }

    /// List your reminders: `!remind list`
    #[command(path = "remind list")]
    async fn list(&self, cx: &Context) -> Result<String> {
        let zone = self.zone(cx).await?;
        let mut all = Vec::new();
        let visit = |number: &str, reminder: Reminder| all.push((number.parse::<u64>().unwrap_or(0), reminder));
        cx.store().user().for_each(REMINDER, visit).await?;
        all.sort_by_key(|(number, _)| *number);
        let mut lines = Vec::new();
        for (number, Reminder { text, due, typed }) in all {
            let when = due.map(|due| zone.shown(Timestamp::from_second(due)?)).transpose()?;
            lines.push(format!("{number}: {}: {text}", when.unwrap_or(typed)));
        }
        Ok(if lines.is_empty() { "You have no reminders.".to_owned() } else { lines.join("\n") })
    }

    /// Cancel a reminder of yours: `!remind cancel 3`
    #[command(path = "remind cancel", aliases("delete"))]
    async fn cancel(&self, cx: &Context, number: u64) -> Result<String> {
        let reminder: Option<Reminder> = cx.store().user().get(&key(number)).await?;
        let Some(reminder) = reminder else { return Ok(format!("You have no reminder {number}.")) };
        cx.cancel_timer(&timer(number))?;
        cx.store().user().delete(&key(number))?;
        Ok(format!("I will not remind you of {}.", reminder.text))
    }

    /// Show or set your time zone: `!remind zone`, `!remind zone Europe/Berlin`
    #[command(path = "remind zone")]
    async fn set_zone(&self, cx: &Context, zone: Option<Zone>) -> Result<String> {
        if let Some(zone) = &zone {
            cx.store().user().put(ZONE, &zone.0)?;
        }
        let zone = self.zone(cx).await?;
        Ok(format!("Your time is {} ({}).", zone.shown(Timestamp::try_from(cx.now())?)?, zone.0))
    }

    /// Says a reminder to its person, in the channel where it was set. It fires after a restart too.
    #[timer]
    async fn due(&self, cx: &Context, timer: &Timer) -> Result<Reply> {
        let (store, key) = (cx.store().user(), key(timer.payload()?));
        let Some(reminder) = store.get::<Reminder>(&key).await? else { return Ok(Reply::none()) };
        if reminder.due.is_some() {
            store.delete(&key)?;
        }
        let late = if timer.late > LATE {
            format!(" (this was due {})", self.zone(cx).await?.shown(timer.due.try_into()?)?)
        } else {
            String::new()
        };
        Ok(format!("{}: {}{late}", cx.user(), reminder.text).into())
    }
}

impl Remind {
    /// The time zone of the person.
    async fn zone(&self, cx: &Context) -> Result<Zone> {
        Ok(cx.store().user().get(ZONE).await?.map_or_else(|| self.0.time_zone.clone(), Zone))
    }
}

/// The name of an existing time zone.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Zone(String);

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = TimeZone::get(name).ok().and_then(|zone| zone.iana_name().map(str::to_owned));
        found.map(Self).ok_or_else(|| format!("there is no time zone {name}; write a name such as Europe/Berlin"))
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Zone {
    fn zone(&self) -> Result<TimeZone> {
        Ok(TimeZone::get(&self.0)?)
    }

    /// Formats a moment in this time zone: `Mon 30 Nov 09:00`.
    fn shown(&self, moment: Timestamp) -> Result<String> {
        Ok(moment.to_zoned(self.zone()?).strftime("%a %-d %b %H:%M").to_string())
    }
}

fn key(number: u64) -> String {
    format!("{REMINDER}{number}")
}

fn timer(number: u64) -> String {
    format!("remind/{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::Bot;
    use std::time::SystemTime;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A bot on Wednesday, 25 March 2026, at 11:00 UTC.
    fn bot(settings: &str) -> Bot<Remind> {
        let bot = Bot::with_settings(settings).expect("these are right");
        bot.starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_774_436_400))
    }

    #[test]
    fn a_reminder_comes_to_the_person_who_asked_for_it() {
        let bot = bot("{}");
        let text = "I will remind you in 10 minutes. To cancel: !remind cancel 1";
        assert_eq!(bot.say("!remind in 10 minutes to drink tea").reply(), text);
        assert!(bot.advance(Duration::from_secs(599)).is_empty());
        assert_eq!(bot.advance(Duration::from_secs(1))[0].reply(), "alice: drink tea");
        assert_eq!(bot.say("!remind list").reply(), "You have no reminders.");
        let text = "I will remind you on Thu 26 Mar 09:00. To cancel: !remind cancel 2";
        assert_eq!(bot.person("bob").say("!remind tomorrow 9:00 run").reply(), text);
        assert_eq!(bot.advance(22 * HOUR)[0].reply(), "bob: run");
    }

    #[test]
    fn one_that_comes_again_comes_until_it_is_cancelled() {
        let bot = bot("{}");
        let text = "I will remind you every day at 12. To cancel: !remind cancel 1";
        assert_eq!(bot.say("!remind every day at 12 lunch").reply(), text);
        bot.advance(Duration::from_secs(1));
        bot.say("!remind in 3 days holidays");
        assert_eq!(bot.say("!remind list").reply(), "1: every day at 12: lunch\n2: Sat 28 Mar 11:00: holidays");
        let said = bot.advance(48 * HOUR);
        assert_eq!(said.iter().map(|answer| answer.reply()).collect::<Vec<_>>(), ["alice: lunch", "alice: lunch"]);
        assert_eq!(bot.say_as("bob", "!remind cancel 1").reply(), "You have no reminder 1.");
        assert_eq!(bot.say("!remind cancel 1").reply(), "I will not remind you of lunch.");
        assert_eq!(bot.advance(96 * HOUR).len(), 1);
    }

    #[test]
    fn each_person_has_a_time_zone() {
        let bot = bot(r#"{"time_zone": "America/New_York"}"#);
        assert_eq!(bot.say("!remind zone").reply(), "Your time is Wed 25 Mar 07:00 (America/New_York).");
        assert_eq!(bot.say("!remind zone europe/berlin").reply(), "Your time is Wed 25 Mar 12:00 (Europe/Berlin).");
        bot.say("!remind at 13:00 tea");
        assert_eq!(bot.advance(HOUR)[0].reply(), "alice: tea");
        let text = "there is no time zone Moon; write a name such as Europe/Berlin";
        assert!(bot.say("!remind zone Moon").reply().starts_with(text));
        let error = Bot::<Remind>::with_settings(r#"{"time_zone": "Moon"}"#).err().expect("there is none");
        assert_eq!(error.detail(), format!("time_zone: {text}"));
    }

    #[test]
    fn what_cannot_be_is_explained() {
        let bot = bot(r#"{"most": 1}"#);
        let usage = "Usage: !remind in 10 minutes tea, !remind tomorrow 9:00 tea, !remind every monday at 9 tea";
        assert_eq!(bot.say("!remind soon tea").reply(), format!("I cannot read that time. {usage}"));
        assert_eq!(bot.say_as("bob", "!remind today 9:00 tea").reply(), "That time has passed.");
        assert_eq!(bot.say_as("carol", "!remind in 400d tea").reply(), "I remember things for a year at most.");
        assert!(bot.say_as("dave", "!remind 1h tea").reply().starts_with("I will"));
        bot.advance(Duration::from_secs(1));
        assert!(bot.say_as("dave", "!remind 2h tea").reply().starts_with("You already have 1 of 1 reminders"));
        assert_eq!(bot.probe().reply(), "You have no reminders.");
    }
}
