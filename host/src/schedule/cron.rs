//! The five fields, and which minutes of a calendar they match.

use jiff::civil::{Date, DateTime};

/// The matching minutes: a bit for each value of each field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day matches by its date or by its weekday. As in every cron: if both are given, and neither begins
    /// with `*`.
    either: bool,
}

/// The values that one field may have.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    /// Names of its values, from `least` on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Sunday is both 0 and 7.
const WEEKDAY: Field =
    Field { name: "day of the week", least: 0, most: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// Most days of each month.
const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Cron {
    /// Reads an expression. The error is a predicate about it.
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let fields: Vec<_> = expression.split_ascii_whitespace().collect();
        let &[minute, hour, day, month, weekday] = &fields[..] else {
            return Err(format!(
                "has {} fields and needs five: minute, hour, day of the month, month, day of the week",
                fields.len()
            ));
        };
        let weekdays = WEEKDAY.read(weekday)?;
        let cron = Self {
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            weekdays: (weekdays | (weekdays >> 7)) & 0x7f,
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        let has_day = |month: usize| cron.days & ((2_u64 << LENGTHS[month - 1]) - 1) != 0;
        if !cron.either && !(1..=12).any(|month| has(cron.months, month) && has_day(month)) {
            return Err("never comes: no such month has that day".to_owned());
        }
        Ok(cron)
    }

    pub(super) fn is_every_hour(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// The first matching minute after the minute of this time; `None` after the year 9999.
    pub(super) fn after(&self, time: DateTime) -> Option<DateTime> {
        let mut date = time.date();
        if self.has(date)
            && let Some((hour, minute)) = self.later_that_day(time)
        {
            return Some(date.at(hour, minute, 0, 0));
        }
        loop {
            date = date.tomorrow().ok()?;
            while !has(self.months, date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
            }
            if self.has(date) {
                return Some(date.at(lowest(self.hours), lowest(self.minutes), 0, 0));
            }
        }
    }

    fn has(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        has(self.months, date.month()) && if self.either { day || weekday } else { day && weekday }
    }

    fn later_that_day(&self, time: DateTime) -> Option<(i8, i8)> {
        let minutes = self.minutes & (!1_u64 << time.minute());
        if has(self.hours, time.hour()) && minutes != 0 {
            return Some((time.hour(), lowest(minutes)));
        }
        let hours = self.hours & (!1_u64 << time.hour());
        (hours != 0).then(|| (lowest(hours), lowest(self.minutes)))
    }
}

/// Whether the bit of this value is set.
fn has(bits: u64, value: impl TryInto<u32>) -> bool {
    value.try_into().is_ok_and(|value| (bits >> value) & 1 == 1)
}

/// The lowest value whose bit is set. At least one bit is set, and all values are below 64.
fn lowest(bits: u64) -> i8 {
    i8::try_from(bits.trailing_zeros()).unwrap_or(0)
}

impl Field {
    /// Reads a list of values, ranges and steps.
    fn read(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part)?))
    }

    fn part(&self, text: &str) -> Result<u64, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None if step.is_some() => {
                return Err(format!("has {text:?} as {}: write {range}-{}/… for a step", self.name, self.most));
            }
            None => (self.value(range)?, self.value(range)?),
        };
        if first > last {
            return Err(format!("has {text:?} as {}, which ends before it begins", self.name));
        }
        let step = match step.map(str::parse::<u8>) {
            None => 1,
            Some(Ok(step @ 1..)) => step,
            Some(_) => return Err(format!("has {text:?} as {}: a step is a number from 1 on", self.name)),
        };
        Ok((first..=last).step_by(step.into()).fold(0, |bits, value| bits | (1 << value)))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let named = self.names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let number = named.and_then(|at| u8::try_from(at).ok()).map(|at| at + self.least);
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        number
            .or_else(|| text.parse().ok().filter(|_| is_digits))
            .filter(|value| (self.least..=self.most).contains(value))
            .ok_or_else(|| format!("has {text:?} as {}, which is {} to {}", self.name, self.least, self.most))
    }
}
