//! When a repeated timer fires in a test: the five fields of the host's schedule, always in UTC, without changes of the
//! clock.

/// The minutes that one expression names: the values of each field.
pub(super) struct Cron {
    minutes: Vec<u64>,
    hours: Vec<u64>,
    days: Vec<u64>,
    months: Vec<u64>,
    weekdays: Vec<u64>,
    /// Whether a day matches by its date or by its weekday, as in the host.
    either: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Days that are searched for the next time: a leap day is at most eight years away.
const SEARCHED: u64 = 9 * 366;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is none. The host says more about it.
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let fields: Vec<_> = expression.split_ascii_whitespace().collect();
        let wrong = || format!("the cron expression {expression:?} cannot be read");
        let &[minute, hour, day, month, weekday] = &fields[..] else { return Err(wrong()) };
        let field = |text, least, most, names| field(text, least, most, names).ok_or_else(wrong);
        Ok(Self {
            minutes: field(minute, 0, 59, &[])?,
            hours: field(hour, 0, 23, &[])?,
            days: field(day, 1, 31, &[])?,
            months: field(month, 1, 12, &MONTHS)?,
            weekdays: field(weekday, 0, 7, &WEEKDAYS)?.into_iter().map(|day| day % 7).collect(),
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }

    /// The first time after this one, in milliseconds since 1970; `None` when it never comes.
    pub(super) fn next(&self, after: u64) -> Option<u64> {
        let first = (after / MINUTE_MS + 1) * MINUTE_MS;
        let today = first / DAY_MS;
        (today..today + SEARCHED).filter(|day| self.has_day(*day)).find_map(|day| {
            let times = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| hour * 60 + minute));
            times.map(|minute| day * DAY_MS + minute * MINUTE_MS).filter(|at| *at >= first).min()
        })
    }

    /// Whether it fires on this day, counted from 1970.
    fn has_day(&self, day: u64) -> bool {
        let (month, date) = calendar(day);
        // 1 January 1970 was a Thursday.
        let (by_date, by_weekday) = (self.days.contains(&date), self.weekdays.contains(&((day + 4) % 7)));
        let fits = if self.either { by_date || by_weekday } else { by_date && by_weekday };
        self.months.contains(&month) && fits
    }
}

/// The values of a list of values, ranges and steps.
fn field(text: &str, least: u64, most: u64, names: &[&str]) -> Option<Vec<u64>> {
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name)).map(|at| at as u64 + least);
        named.or_else(|| text.parse().ok()).filter(|value| (least..=most).contains(value))
    };
    let mut values = Vec::new();
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, Some(1)), |(range, step)| (range, step.parse().ok()));
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((first, last)) => (value(first)?, value(last)?),
            None => (value(range)?, value(range)?),
        };
        values.extend((first..=last).step_by(step.filter(|step| *step > 0)?));
    }
    Some(values)
}

/// The month and the day of the month of a day, counted from 1970.
fn calendar(day: u64) -> (u64, u64) {
    // Years begin in March here, so that the leap day is the last of its year.
    let day = day + 719_468;
    let of_era = day % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, date)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 5 January 2026, 00:00.
    const MONDAY: u64 = 1_767_571_200_000;
    const HOUR_MS: u64 = 60 * MINUTE_MS;

    fn next(expression: &str, after: u64) -> Option<u64> {
        Cron::parse(expression).expect(expression).next(after).map(|at| at - MONDAY)
    }

    #[test]
    fn the_next_time_is_after_the_last() {
        assert_eq!(next("0 9 * * 1-5", MONDAY), Some(9 * HOUR_MS));
        assert_eq!(next("0 9 * * mon-fri", MONDAY + 9 * HOUR_MS), Some(DAY_MS + 9 * HOUR_MS));
        assert_eq!(next("*/20 * * * *", MONDAY + MINUTE_MS), Some(20 * MINUTE_MS));
        assert_eq!(next("30 8,18 * * sun", MONDAY), Some(6 * DAY_MS + 8 * HOUR_MS + 30 * MINUTE_MS));
        assert_eq!(next("0 0 1 feb *", MONDAY), Some(27 * DAY_MS));
        assert_eq!(next("0 0 8 * 7", MONDAY), Some(3 * DAY_MS), "the 8th or a Sunday");
        assert_eq!(next("0 0 29 2 *", MONDAY), Some(785 * DAY_MS), "29 February 2028");
        assert_eq!(next("0 0 30 2 *", MONDAY), None);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "* * * *", "60 * * * *", "* * 0 * *", "x * * * *", "*/0 * * * *", "5-1x * * * *"] {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
    }
}
