//! A [`Duration`] as people type it: `10s`, `2h30m`.

use super::{Arg, ArgError, invalid};
use std::time::Duration;

/// The `Via` of [`Duration`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Timed;

/// The units, and how many milliseconds each has.
const UNITS: [(&str, u64); 11] = [
    ("ms", 1),
    ("s", 1000),
    ("sec", 1000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("d", 86_400_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
];

impl Arg<Timed> for Duration {
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError> {
        if text.is_empty() {
            return Err(ArgError::Missing(name));
        }
        read(text).ok_or_else(|| invalid(name, text, "is not a duration; write 10s, 5m, 2h30m or 1d"))
    }
}

/// Reads numbers with a unit each: `ms`, `s`, `m`, `h` or `d`, in upper or lower case.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let (mut total, mut left) = (0u64, text);
    while !left.is_empty() {
        let digits = left.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = left.split_at(digits);
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(letters);
        let (_, factor) = UNITS.into_iter().find(|(name, _)| unit.eq_ignore_ascii_case(name))?;
        total = number.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(total)?;
        left = rest;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;

    #[test]
    fn durations_are_read_as_people_type_them() {
        for (text, seconds) in [("10s", 10), ("2h30m", 9000), ("1D", 86_400), ("90min", 5400), ("0s", 0)] {
            assert_eq!(read(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(read("1s500ms"), Some(Duration::from_millis(1500)));
        for text in ["", "10", "s", "10x", "-1s", "1 s", "10sé", "99999999999999999d"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_explained() {
        let error = Args::new("soon").last::<Duration, _>("wait");
        let text = "wait: \"soon\" is not a duration; write 10s, 5m, 2h30m or 1d";
        assert_eq!(error, Err(ArgError::Invalid(text.to_owned())));
        assert_eq!(Args::new("").last::<Duration, _>("wait"), Err(ArgError::Missing("wait")));
        assert_eq!(Args::new("").last::<Option<Duration>, _>("wait"), Ok(None));
    }
}
