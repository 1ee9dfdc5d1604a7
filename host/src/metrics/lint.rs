//! The rules for names of metrics from `promtool check metrics`. plugin-api applies them too, so a name that fails here
//! comes from a plugin that does not use plugin-api.

/// Units that have a base unit.
const UNITS: [&str; 18] = [
    "ms",
    "us",
    "ns",
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "sec",
    "secs",
    "kb",
    "mb",
    "gb",
    "kilobytes",
    "megabytes",
    "percent",
    "fahrenheit",
];

/// Whether this is a valid name of a metric of this kind.
pub fn is_metric(kind: &str, name: &str) -> bool {
    let is_odd = |word: &str| UNITS.contains(&word) || ["counter", "gauge", "histogram", "summary"].contains(&word);
    is_name(name)
        && name.ends_with("_total") == (kind == "counter")
        && !["_bucket", "_count", "_sum", "_info"].iter().any(|end| name.ends_with(end))
        && !name.split('_').any(is_odd)
}

/// Whether this is a valid name of a label.
pub fn is_label(name: &str) -> bool {
    is_name(name) && !name.starts_with("__") && !["le", "quantile", "plugin"].contains(&name)
}

/// Whether Prometheus allows the name. Colons are for rules, and capitals are refused.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.bytes().next().is_some_and(|first| !first.is_ascii_digit()) && name.len() <= 100 && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_lint_of_plugin_api() {
        assert!(is_metric("counter", "dice_rolls_total") && is_metric("histogram", "wait_seconds"));
        for name in ["dice_rolls", "Dice_total", "1_total", "a:b_total", "dice_counter_total", "wait_ms_total", ""] {
            assert!(!is_metric("counter", name), "{name}");
        }
        assert!(!is_metric("gauge", "open_total") && !is_metric("gauge", "open_count"));
        assert!(is_label("side") && !is_label("le") && !is_label("Side") && !is_label("__a") && !is_label("plugin"));
    }
}
