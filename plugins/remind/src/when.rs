//! Times as people type them: `in 10 minutes tea`, `tomorrow 9:00 tea`, `every monday at 9 tea`.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use std::{fmt, str::FromStr};

/// The longest wait, in seconds: a year and a day.
const LONGEST: i64 = 366 * 86_400;

/// The time of a day that is named without a time.
const MORNING: Time = Time::constant(9, 0, 0, 0);

/// A time, and the text after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub when: When,
    /// The time as it was typed.
    pub typed: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// In so many seconds.
    In(i64),
    On(Day, Time),
    /// Again and again, as a cron expression.
    Every(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// Today, or tomorrow if the time has passed.
    Next,
    Today,
    Tomorrow,
    Weekday(Weekday),
    Date(Date),
}

/// Why a text is no time, or the time does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenError {
    Nonsense,
    NoText,
    Past,
    TooFar,
}

impl fmt::Display for WhenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nonsense => "I cannot read that time",
            Self::NoText => "Say what to remind you of",
            Self::Past => "That time has passed",
            Self::TooFar => "I remember things for a year at most",
        })
    }
}

impl When {
    /// The moment that is meant; `None` for one that comes again and again.
    ///
    /// # Errors
    /// When it has passed, or is more than a year away.
    pub fn due(&self, now: Timestamp, zone: &TimeZone) -> Result<Option<Timestamp>, WhenError> {
        let due = match self {
            Self::Every(_) => return Ok(None),
            Self::In(seconds) => now.checked_add(SignedDuration::from_secs(*seconds)).map_err(|_| WhenError::TooFar)?,
            Self::On(day, time) => on(*day, *time, now, zone)?,
        };
        match due.as_second() - now.as_second() {
            ..0 => Err(WhenError::Past),
            0..=LONGEST => Ok(Some(due)),
            _ => Err(WhenError::TooFar),
        }
    }
}

fn on(day: Day, time: Time, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, WhenError> {
    let today = now.to_zoned(zone.clone()).date();
    // A time that the clock skips is as much later.
    let at = |date: Date| {
        let zoned = date.to_datetime(time).to_zoned(zone.clone());
        zoned.map(|zoned| zoned.timestamp()).map_err(|_| WhenError::TooFar)
    };
    let later = |days: i32| today.checked_add(days.days()).map_err(|_| WhenError::TooFar);
    match day {
        Day::Today => at(today),
        Day::Tomorrow => at(later(1)?),
        Day::Date(date) => at(date),
        Day::Next => Ok(at(today)?).and_then(|due| if due > now { Ok(due) } else { at(later(1)?) }),
        Day::Weekday(weekday) => {
            let days = i32::from(today.weekday().until(weekday));
            Ok(at(later(days)?)?).and_then(|due| if due > now { Ok(due) } else { at(later(days + 7)?) })
        }
    }
}

impl FromStr for Request {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        let text = text.trim();
        let mut words = Words(text);
        let when = read(&mut words)?;
        let typed = text[..text.len() - words.0.len()].trim().to_owned();
        words.take("to");
        match words.0 {
            "" => Err(WhenError::NoText),
            rest => Ok(Self { when, typed, text: rest.to_owned() }),
        }
    }
}

/// The words that are left.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// Takes the next word if it means something.
    fn read<T>(&mut self, meaning: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let (word, rest) = self.0.split_once(char::is_whitespace).unwrap_or((self.0, ""));
        let read = meaning(&word.to_lowercase()).filter(|_| !word.is_empty())?;
        self.0 = rest.trim_start();
        Some(read)
    }

    /// Takes the next word if it is this one.
    fn take(&mut self, wanted: &str) -> bool {
        self.read(|word| (word == wanted).then_some(())).is_some()
    }
}

fn read(words: &mut Words<'_>) -> Result<When, WhenError> {
    if words.take("every") {
        return every(words).ok_or(WhenError::Nonsense);
    }
    let is_wait = words.take("in");
    if let Some(wait) = wait(words) {
        return Ok(When::In(wait));
    }
    let begins_day = words.take("on");
    if let Some(day) = words.read(day) {
        return Ok(When::On(day, at(words).unwrap_or(MORNING)));
    }
    match at(words) {
        Some(time) if !is_wait && !begins_day => Ok(When::On(Day::Next, time)),
        _ => Err(WhenError::Nonsense),
    }
}

/// `10 minutes`, `an hour and 5 minutes`, `1h30m`, in seconds.
fn wait(words: &mut Words<'_>) -> Option<i64> {
    if let Some(seconds) = words.read(compact) {
        return Some(seconds);
    }
    let (mut total, before) = (0i64, words.0);
    while let Some(count) = words.read(count) {
        let Some(unit) = words.read(unit) else { break };
        total = total.checked_add(count.checked_mul(unit)?)?;
        words.take("and");
    }
    if total == 0 {
        words.0 = before;
    }
    (total > 0).then_some(total)
}

fn count(word: &str) -> Option<i64> {
    if word == "a" || word == "an" { Some(1) } else { word.parse().ok().filter(|count| *count > 0) }
}

fn unit(word: &str) -> Option<i64> {
    Some(match word.trim_end_matches([',', '.']).strip_suffix('s').filter(|one| !one.is_empty()).unwrap_or(word) {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        "w" | "week" => 7 * 86_400,
        _ => return None,
    })
}

/// `1h30m`.
fn compact(word: &str) -> Option<i64> {
    let (mut total, mut left) = (0i64, word);
    while !left.is_empty() {
        let digits = left.find(|c: char| !c.is_ascii_digit())?;
        let letters = left[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(left.len() - digits);
        let seconds = left[..digits].parse::<i64>().ok()?.checked_mul(unit(&left[digits..digits + letters])?)?;
        total = total.checked_add(seconds)?;
        left = &left[digits + letters..];
    }
    (total > 0).then_some(total)
}

fn day(word: &str) -> Option<Day> {
    match word {
        "today" => Some(Day::Today),
        "tomorrow" => Some(Day::Tomorrow),
        _ => weekday(word).map(Day::Weekday).or_else(|| word.parse().ok().map(Day::Date)),
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "mon" => Weekday::Monday,
        "tuesday" | "tue" => Weekday::Tuesday,
        "wednesday" | "wed" => Weekday::Wednesday,
        "thursday" | "thu" => Weekday::Thursday,
        "friday" | "fri" => Weekday::Friday,
        "saturday" | "sat" => Weekday::Saturday,
        "sunday" | "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// `9:00`, `9:30pm`, `noon`, and `at 9`.
fn at(words: &mut Words<'_>) -> Option<Time> {
    let before = words.0;
    let said_at = words.take("at");
    let time =
        words.read(|word| clock(word).or_else(|| word.parse().ok().filter(|_| said_at).and_then(|h| time(h, 0))));
    if time.is_none() {
        words.0 = before;
    }
    time
}

fn clock(word: &str) -> Option<Time> {
    match word {
        "noon" => return time(12, 0),
        "midnight" => return time(0, 0),
        _ => {}
    }
    let (digits, half) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(0)),
        (_, Some(digits)) => (digits, Some(12)),
        _ => (word, None),
    };
    let (hour, minute) = match digits.split_once(':') {
        Some((hour, minute)) => (hour.parse().ok()?, minute.parse().ok().filter(|_| minute.len() == 2)?),
        None => (digits.parse().ok().filter(|_| half.is_some())?, 0),
    };
    match half {
        Some(after) if (1..=12).contains(&hour) => time(hour % 12 + after, minute),
        Some(_) => None,
        None => time(hour, minute),
    }
}

fn time(hour: i8, minute: i8) -> Option<Time> {
    Time::new(hour, minute, 0, 0).ok()
}

/// `hour`, `day 9:00`, `weekday at 9`, `monday noon`.
fn every(words: &mut Words<'_>) -> Option<When> {
    let days = words.read(|word| {
        Some(match word {
            "hour" => None,
            "day" => Some("*".to_owned()),
            "weekday" | "workday" => Some("1-5".to_owned()),
            _ => Some(weekday(word)?.to_sunday_zero_offset().to_string()),
        })
    })?;
    Some(When::Every(match days {
        None => "0 * * * *".to_owned(),
        Some(days) => {
            let time = at(words).unwrap_or(MORNING);
            format!("{} {} * * {days}", time.minute(), time.hour())
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Wednesday, 25 March 2026, 12:00 in Berlin, four days before the clocks change.
    const NOW: &str = "2026-03-25T11:00:00Z";

    fn due(text: &str) -> Result<String, WhenError> {
        let (now, zone) = (NOW.parse().expect("a time"), TimeZone::get("Europe/Berlin").expect("it is known"));
        let request: Request = text.parse()?;
        assert_eq!(request.text, "tea", "{text}");
        let due = request.when.due(now, &zone)?.expect("it comes once");
        Ok(due.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string())
    }

    #[test]
    fn times_are_read_as_people_type_them() {
        for (text, meant) in [
            ("in 10 minutes tea", "2026-03-25 12:10:00"),
            ("10m tea", "2026-03-25 12:10:00"),
            ("in 1h30m to tea", "2026-03-25 13:30:00"),
            ("IN an hour and 5 min tea", "2026-03-25 13:05:00"),
            ("in 2 weeks tea", "2026-04-08 13:00:00"),
            ("90s tea", "2026-03-25 12:01:30"),
            ("tomorrow 9:00 tea", "2026-03-26 09:00:00"),
            ("tomorrow at 9 tea", "2026-03-26 09:00:00"),
            ("tomorrow tea", "2026-03-26 09:00:00"),
            ("today 18:30 tea", "2026-03-25 18:30:00"),
            ("at 18 tea", "2026-03-25 18:00:00"),
            ("11:59 tea", "2026-03-26 11:59:00"),
            ("at 9:15pm tea", "2026-03-25 21:15:00"),
            ("12am tea", "2026-03-26 00:00:00"),
            ("noon tea", "2026-03-26 12:00:00"),
            ("friday noon tea", "2026-03-27 12:00:00"),
            ("on wed 13:00 tea", "2026-03-25 13:00:00"),
            ("wednesday 11:00 tea", "2026-04-01 11:00:00"),
            ("on 2026-12-24 18:00 tea", "2026-12-24 18:00:00"),
            // The clock goes from 2 to 3.
            ("sunday 2:30 tea", "2026-03-29 03:30:00"),
        ] {
            assert_eq!(due(text).as_deref(), Ok(meant), "{text}");
        }
    }

    #[test]
    fn what_comes_again_is_a_cron_expression() {
        for (text, cron) in [
            ("every day 9:00 tea", "0 9 * * *"),
            ("every weekday at 8:30 tea", "30 8 * * 1-5"),
            ("every sunday tea", "0 9 * * 0"),
            ("every hour tea", "0 * * * *"),
        ] {
            let request: Request = text.parse().expect(text);
            assert_eq!((request.when, request.text.as_str()), (When::Every(cron.to_owned()), "tea"), "{text}");
        }
        let request: Request = "Every  Monday at 9 stand up".parse().expect("it is right");
        assert_eq!((request.typed.as_str(), request.text.as_str()), ("Every  Monday at 9", "stand up"));
    }

    #[test]
    fn what_is_no_time_is_told_apart() {
        for (text, error) in [
            ("", WhenError::Nonsense),
            ("soon tea", WhenError::Nonsense),
            ("in tea", WhenError::Nonsense),
            ("in 0 minutes tea", WhenError::Nonsense),
            ("9 tea", WhenError::Nonsense),
            ("13pm tea", WhenError::Nonsense),
            ("25:00 tea", WhenError::Nonsense),
            ("9:0 tea", WhenError::Nonsense),
            ("every moon tea", WhenError::Nonsense),
            ("in 10 minutes", WhenError::NoText),
            ("tomorrow 9:00", WhenError::NoText),
            ("today 11:00 tea", WhenError::Past),
            ("2026-03-24 tea", WhenError::Past),
            ("in 400 days tea", WhenError::TooFar),
            ("on 9999-12-31 23:59 tea", WhenError::TooFar),
            ("in 9223372036854775807 weeks tea", WhenError::Nonsense),
            ("in 11000000000 minutes tea", WhenError::TooFar),
        ] {
            assert_eq!(due(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<Request>();
        }

        #[test]
        fn words_in_any_order_are_no_panic(words in prop::collection::vec(
            "in|on|at|every|day|tomorrow|monday|[0-9]{1,20}|[0-9]{1,3}[smhdw]|[0-9]{1,2}:[0-9]{2}|noon|minutes|and|tea|é|2026-02-30", 0..8,
        )) {
            if let Ok(request) = words.join(" ").parse::<Request>() {
                let _ = request.when.due(NOW.parse().expect("a time"), &TimeZone::UTC);
            }
        }

        #[test]
        fn a_wait_is_the_sum_of_its_parts(hours in 1..100i64, minutes in 1..100i64, compact in any::<bool>()) {
            let text = match compact {
                true => format!("{hours}h{minutes}m tea"),
                false => format!("in {hours} hours and {minutes} minutes tea"),
            };
            let request: Request = text.parse().expect("it is right");
            prop_assert_eq!(request.when, When::In(hours * 3600 + minutes * 60));
        }

        #[test]
        fn a_named_time_comes_within_a_day_and_is_that_time(hour in 0..24i8, minute in 0..60i8, now in 0..4_000_000_000i64) {
            let (now, zone) = (Timestamp::from_second(now).expect("a time"), TimeZone::UTC);
            let request: Request = format!("{hour}:{minute:02} tea").parse().expect("it is right");
            let due = request.when.due(now, &zone).expect("soon").expect("once");
            prop_assert!((1..=86_400).contains(&(due.as_second() - now.as_second())));
            let time = due.to_zoned(zone).time();
            prop_assert_eq!((time.hour(), time.minute()), (hour, minute));
        }
    }
}
