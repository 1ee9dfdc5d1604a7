//! The rules for names that `promtool check metrics` applies, so that a plugin's metrics cannot spoil the host's page.

use super::{
    MOST_BUCKETS,
    family::{Family, Kind},
};

/// Units that have a base unit, and which.
const UNITS: [(&str, &str); 18] = [
    ("ms", "seconds"),
    ("us", "seconds"),
    ("ns", "seconds"),
    ("milliseconds", "seconds"),
    ("microseconds", "seconds"),
    ("nanoseconds", "seconds"),
    ("minutes", "seconds"),
    ("hours", "seconds"),
    ("days", "seconds"),
    ("sec", "seconds"),
    ("secs", "seconds"),
    ("kb", "bytes"),
    ("mb", "bytes"),
    ("gb", "bytes"),
    ("kilobytes", "bytes"),
    ("megabytes", "bytes"),
    ("percent", "ratio"),
    ("fahrenheit", "celsius"),
];

/// What is wrong with a metric, in words for its author.
pub(super) fn check(family: &Family) -> Result<(), String> {
    let Family { kind, name, help, labels, .. } = family;
    if help.is_empty() || help.len() > 512 {
        return Err("it needs a help text of at most 512 bytes".into());
    }
    if !is_name(name) {
        return Err("a name is at most 100 of `a-z`, `0-9` and `_`, not beginning with a digit".into());
    }
    check_words(*kind, name)?;
    let mut seen = Vec::new();
    for label in *labels {
        if !is_name(label)
            || label.starts_with("__")
            || ["le", "quantile", "plugin"].contains(label)
            || seen.contains(label)
        {
            return Err(format!("the label {label:?} is no name, is reserved, or is there twice"));
        }
        seen.push(label);
    }
    if labels.len() > 8 {
        return Err("it has more than 8 labels".into());
    }
    check_bounds(family)
}

fn check_words(kind: Kind, name: &str) -> Result<(), String> {
    match (kind, name.ends_with("_total")) {
        (Kind::Counter, false) => return Err("a counter's name ends in `_total`".into()),
        (Kind::Gauge | Kind::Histogram, true) => return Err("only a counter's name ends in `_total`".into()),
        _ => {}
    }
    if ["_bucket", "_count", "_sum", "_info"].iter().any(|end| name.ends_with(end)) {
        return Err("`_bucket`, `_count`, `_sum` and `_info` are reserved endings".into());
    }
    for word in name.split('_') {
        if ["counter", "gauge", "histogram", "summary"].contains(&word) {
            return Err(format!("a name does not have its type ({word}) in it"));
        }
        if let Some((unit, base)) = UNITS.iter().find(|(unit, _)| *unit == word) {
            return Err(format!("use the base unit {base}, not {unit}"));
        }
    }
    Ok(())
}

fn check_bounds(family: &Family) -> Result<(), String> {
    let bounds = family.bounds();
    let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]) && bounds.iter().all(|bound| bound.is_finite());
    match family.kind {
        Kind::Histogram if bounds.is_empty() || bounds.len() > MOST_BUCKETS || !ascending => {
            Err(format!("a histogram has 1 to {MOST_BUCKETS} ascending, finite bounds"))
        }
        _ => Ok(()),
    }
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|byte| !byte.is_ascii_digit())
        && name.len() <= 100
        && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(kind: Kind, name: &'static str, bounds: &'static [f64]) -> bool {
        check(&Family::new(kind, name, "Help.", bounds)).is_ok()
    }

    #[test]
    fn names_follow_the_lint() {
        assert!(verdict(Kind::Counter, "dice_rolls_total", &[]));
        assert!(verdict(Kind::Histogram, "wait_seconds", &[0.1, 1.0]));
        for name in ["dice_rolls", "Dice_total", "1_total", "a:b_total", "dice_counter_total", "wait_ms_total", ""] {
            assert!(!verdict(Kind::Counter, name, &[]), "{name}");
        }
        assert!(!verdict(Kind::Gauge, "open_total", &[]));
        assert!(!verdict(Kind::Gauge, "open_count", &[]));
    }

    #[test]
    fn bounds_and_labels_are_checked() {
        assert!(!verdict(Kind::Histogram, "wait_seconds", &[]));
        assert!(!verdict(Kind::Histogram, "wait_seconds", &[1.0, 1.0]));
        assert!(!verdict(Kind::Histogram, "wait_seconds", &[1.0, f64::INFINITY]));
        let labelled = |labels| {
            let mut family = Family::new(Kind::Gauge, "open", "Help.", &[]);
            family.labels = labels;
            check(&family).is_ok()
        };
        assert!(labelled(&["side"]));
        assert!(!labelled(&["le"]) && !labelled(&["Side"]) && !labelled(&["a", "a"]) && !labelled(&["__a"]));
    }
}
