//! How long ago something was, as people say it.

use std::time::Duration;

/// The units, from the longest, with their seconds.
const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)];

/// `just now`, `a minute ago`, `3 hours ago`, `12 days ago`.
pub fn ago(time: Duration) -> String {
    let Some((unit, count)) = UNITS.iter().map(|(unit, each)| (unit, time.as_secs() / each)).find(|(_, n)| *n > 0)
    else {
        return "just now".to_owned();
    };
    match (count, *unit) {
        (1, "hour") => "an hour ago".to_owned(),
        (1, unit) => format!("a {unit} ago"),
        (count, unit) => format!("{count} {unit}s ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_told_as_people_do() {
        for (seconds, text) in [
            (0, "just now"),
            (1, "a second ago"),
            (59, "59 seconds ago"),
            (60, "a minute ago"),
            (3599, "59 minutes ago"),
            (3600, "an hour ago"),
            (86_399, "23 hours ago"),
            (2 * 86_400, "2 days ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn no_time_is_a_panic(seconds in any::<u64>()) {
            prop_assert!(!ago(Duration::from_secs(seconds)).is_empty());
        }
    }
}
