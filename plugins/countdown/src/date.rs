//! Dates as people type them, and the time until then.

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use std::{fmt, str::FromStr};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The longest name of a date, in characters.
const LONGEST: usize = 60;

/// A date with its name: `24 dec 18:00 christmas eve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub date: When,
    pub name: String,
}

/// A date without a year is the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    year: Option<i16>,
    month: i8,
    day: i8,
    time: Time,
}

/// Why a text is no date with a name, or the date does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateError {
    Nonsense,
    NoName,
    TooLong,
    Past,
}

impl fmt::Display for DateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nonsense => write!(f, "I cannot read that date"),
            Self::NoName => write!(f, "The date needs a name"),
            Self::TooLong => write!(f, "A name has at most {LONGEST} characters"),
            Self::Past => write!(f, "That date has passed"),
        }
    }
}

impl FromStr for Named {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (mut date, taken) = date(&words).ok_or(DateError::Nonsense)?;
        let mut rest = &words[taken..];
        if let Some(time) = rest.first().and_then(|word| clock(word)) {
            date.time = time;
            rest = &rest[1..];
        }
        let name = rest.join(" ");
        match name.chars().count() {
            0 => Err(DateError::NoName),
            1..=LONGEST => Ok(Self { date, name }),
            _ => Err(DateError::TooLong),
        }
    }
}

/// The date at the start of these words, and how many of them it takes: `2026-12-24`, `24 dec 2026`, `dec 24`.
fn date(words: &[&str]) -> Option<(When, usize)> {
    let when = |year, month, day, taken| Some((When { year, month, day, time: Time::midnight() }, taken));
    let first = words.first()?;
    if let Ok(date) = first.parse::<Date>() {
        return when(Some(date.year()), date.month(), date.day(), 1);
    }
    let second = words.get(1)?;
    let (month, day) = match (month(first), month(second)) {
        (Some(month), _) => (month, day(second)?),
        (None, month) => (month?, day(first)?),
    };
    let year = words.get(2).filter(|word| word.len() == 4).and_then(|word| word.parse().ok());
    // 29 February is a date of some years.
    Date::new(year.unwrap_or(2024), month, day).ok()?;
    when(year, month, day, 2 + usize::from(year.is_some()))
}

fn month(word: &str) -> Option<i8> {
    let short: String = word.to_lowercase().chars().take(3).collect();
    MONTHS.iter().zip(1..).find(|(name, _)| **name == short).map(|(_, month)| month)
}

fn day(word: &str) -> Option<i8> {
    word.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

fn clock(word: &str) -> Option<Time> {
    let (hour, minute) = word.split_once(':').filter(|(_, minute)| minute.len() == 2)?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

impl When {
    /// The moment that is meant.
    ///
    /// # Errors
    /// When it has passed.
    pub fn moment(&self, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, DateError> {
        let this = now.to_zoned(zone.clone()).year();
        // A leap day is at most eight years away.
        let years = self.year.map_or(this..=this + 8, |year| year..=year);
        let dates = years.filter_map(|year| Date::new(year, self.month, self.day).ok());
        let moments = dates.filter_map(|date| date.to_datetime(self.time).to_zoned(zone.clone()).ok());
        moments.map(|moment| moment.timestamp()).find(|moment| *moment > now).ok_or(DateError::Past)
    }
}

/// The time until then, in the two longest units: `23 days and 4 hours`.
pub fn left(now: Timestamp, moment: Timestamp) -> String {
    let mut seconds = moment.as_second().saturating_sub(now.as_second()).max(0);
    let mut parts = Vec::new();
    for (unit, each) in [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)] {
        let count = seconds / each;
        seconds %= each;
        if count > 0 {
            parts.push(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }));
        }
        // A unit is told only beside the next longer one.
        if parts.len() == 2 || (parts.len() == 1 && count == 0) {
            break;
        }
    }
    if parts.is_empty() { "no time".to_owned() } else { parts.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-29T12:00:00Z".parse().expect("a time")
    }

    fn read(text: &str) -> Result<(String, String), DateError> {
        let named: Named = text.parse()?;
        Ok((named.date.moment(now(), &TimeZone::UTC)?.to_string(), named.name))
    }

    #[test]
    fn dates_are_read_as_people_type_them() {
        for (text, moment, name) in [
            ("2026-12-24 18:00 christmas eve", "2026-12-24T18:00:00Z", "christmas eve"),
            ("24 dec 2026 christmas", "2026-12-24T00:00:00Z", "christmas"),
            ("24. December christmas", "2026-12-24T00:00:00Z", "christmas"),
            ("Dec 24th, 18:00 christmas", "2026-12-24T18:00:00Z", "christmas"),
            ("1 jan new year", "2027-01-01T00:00:00Z", "new year"),
            ("29 nov 11:59 tea", "2027-11-29T11:59:00Z", "tea"),
            ("29 feb leap day", "2028-02-29T00:00:00Z", "leap day"),
        ] {
            assert_eq!(read(text), Ok((moment.to_owned(), name.to_owned())), "{text}");
        }
        for (text, error) in [
            ("", DateError::Nonsense),
            ("christmas", DateError::Nonsense),
            ("31 feb tea", DateError::Nonsense),
            ("2026-02-30 tea", DateError::Nonsense),
            ("24 dec", DateError::NoName),
            ("2026-12-24 18:00", DateError::NoName),
            ("2026-11-29 11:00 tea", DateError::Past),
            ("29 feb 2025 tea", DateError::Nonsense),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
        assert_eq!(read(&format!("1 jan {}", "x".repeat(61))), Err(DateError::TooLong));
    }

    #[test]
    fn what_is_left_is_told_in_two_units() {
        let told = |seconds: i64| left(now(), Timestamp::from_second(now().as_second() + seconds).expect("a time"));
        for (seconds, text) in [
            (0, "no time"),
            (1, "1 second"),
            (61, "1 minute and 1 second"),
            (3600, "1 hour"),
            (3601, "1 hour"),
            (90_000, "1 day and 1 hour"),
            (25 * 86_400 + 60, "25 days"),
        ] {
            assert_eq!(told(seconds), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,40}") {
            let _ = read(&text);
        }

        #[test]
        fn words_in_any_order_are_no_panic(
            words in prop::collection::vec("[0-9]{1,5}|dec|feb|1st|-?[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}:[0-9]{2}|tea|é", 0..6),
        ) {
            let _ = read(&words.join(" "));
        }

        #[test]
        fn every_day_of_the_year_comes_within_a_year(day in 0..365i64) {
            let date = Timestamp::from_second(now().as_second() + 86_400 * (day + 1)).expect("a time").to_zoned(TimeZone::UTC);
            let text = format!("{} {} tea", date.day(), MONTHS[usize::try_from(date.month() - 1).expect("a month")]);
            let (moment, _) = read(&text).expect("it is a date");
            prop_assert!(moment.starts_with(&date.date().to_string()), "{} is {}", text, moment);
        }
    }
}
