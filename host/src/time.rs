//! Times for people, for JSON, and in a configuration. Imports nothing of this crate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The source of the time of the day: the system, or a test that sets it. Clones of a test's clock are one clock.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// A clock that stands still at this time, in milliseconds since 1970, until it is set.
    pub fn standing(at: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(at))))
    }

    /// Sets a clock that stands still. Leaves the system's clock alone.
    pub fn set(&self, to: u64) {
        if let Some(at) = &self.0 {
            at.store(to, Relaxed);
        }
    }

    /// The time of the day, in milliseconds since 1970.
    pub fn now(&self) -> u64 {
        self.0.as_ref().map_or_else(|| millis(SystemTime::now()), |at| at.load(Relaxed))
    }
}

/// A time in milliseconds since 1970.
pub fn millis(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// The time at this many milliseconds since 1970. A time beyond the system's range becomes 1970.
pub fn of_millis(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}

/// RFC 3339 in UTC, to the millisecond: `2026-03-01T12:00:00.250Z`. Sorts as text.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second, milli) = (second / 3600, second / 60 % 60, second % 60, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Now, in milliseconds since 1970.
pub fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The date of a day since 1970, by Howard Hinnant's `civil_from_days`: years begin in March, eras have 400 of them.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// A duration in its two largest units: `41 s`, `2 m 5 s`, `2 h 34 m`, `3 d 1 h`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Parses a number with a unit.
pub fn parse_time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..unit_at].trim().parse().ok()?;
    let seconds = match &text[unit_at..] {
        "ms" => number / 1000.0,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// A duration that can be configured, in the largest unit that gives a whole number: `250 ms`, `30 s`, `10 min`, `1 h`.
pub fn exact(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [(3_600_000, "h"), (60_000, "min"), (1000, "s")];
    let whole = units.into_iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    let (unit, name) = whole.unwrap_or(if millis == 0 { (1000, "s") } else { (1, "ms") });
    format!("{} {name}", millis / unit)
}

/// A measured duration with two or three significant digits: `88 µs`, `4.1 ms`, `675 ms`, `1.2 s`, `30 s`.
pub fn short(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        seconds if seconds < 0.000_999_5 => (seconds * 1e6, "µs"),
        seconds if seconds < 0.999_5 => (seconds * 1e3, "ms"),
        seconds => (seconds, "s"),
    };
    let is_whole = value >= 9.95 || unit == "µs" || (value - value.round()).abs() < 0.05;
    if is_whole { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        let at = |seconds, millis: u32| rfc3339(UNIX_EPOCH + Duration::new(seconds, millis * 1_000_000));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_772_366_400, 250), "2026-03-01T12:00:00.250Z");
        assert_eq!(at(4_107_542_399, 0), "2100-02-28T23:59:59.000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn spans_have_two_units() {
        let text = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([text(41), text(125), text(9240), text(262_800)], ["41 s", "2 m 5 s", "2 h 34 m", "3 d 1 h"]);
    }

    #[test]
    fn times_are_read_with_units_and_written_exactly() {
        for (text, millis, exactly) in [
            ("250ms", 250, "250 ms"),
            ("1.5 s", 1500, "1500 ms"),
            ("5m", 300_000, "5 min"),
            ("24h", 86_400_000, "24 h"),
        ] {
            assert_eq!(parse_time(text), Some(Duration::from_millis(millis)));
            assert_eq!(exact(Duration::from_millis(millis)), exactly);
        }
        assert_eq!(exact(Duration::ZERO), "0 s");
        for bad in ["", "5", "5x", "-1s", "s", "1e400s"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_took_long_is_said_short() {
        let text = |seconds| short(Duration::from_secs_f64(seconds));
        assert_eq!([text(0.000_088), text(0.004_12), text(0.675), text(0.002)], ["88 µs", "4.1 ms", "675 ms", "2 ms"]);
        assert_eq!([text(0.999_7), text(1.24), text(30.0), text(0.0)], ["1 s", "1.2 s", "30 s", "0 µs"]);
    }
}
