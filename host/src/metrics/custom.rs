//! The metrics that plugins declare. The host does not trust them: it checks and bounds names, labels and numbers here
//! again, and counts what it refuses.

use super::lint;
use crate::{text::clean, view::Custom};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

/// Metrics of one plugin, as plugin-api allows.
const MOST_METRICS: usize = 64;

/// Series of one metric, as plugin-api allows.
const MOST_SERIES: usize = 64;

/// Labels of one series, as plugin-api allows.
const MOST_LABELS: usize = 8;

/// Buckets of one histogram, as plugin-api allows.
const MOST_BUCKETS: usize = 32;

#[derive(Deserialize)]
struct Collected {
    metrics: Vec<Metric>,
    /// What plugin-api itself has left out, in the plugin's process.
    #[serde(default)]
    over_limit: u64,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    help: String,
    kind: String,
    series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    value: f64,
    #[serde(default)]
    sum: f64,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    buckets: Vec<(f64, u64)>,
}

/// The valid metrics of a plugin, and the number of metrics and series that were refused here and in the plugin itself.
pub fn read(json: &str) -> (Vec<Custom>, u64) {
    if json.is_empty() {
        return (Vec::new(), 0);
    }
    let Ok(collected) = serde_json::from_str::<Collected>(json) else { return (Vec::new(), 1) };
    let (mut names, mut all, mut refused) = (HashSet::new(), Vec::new(), collected.over_limit);
    for metric in collected.metrics {
        let kinds = ["counter", "gauge", "histogram"];
        let kind = kinds.into_iter().find(|kind| *kind == metric.kind && lint::is_metric(kind, &metric.name));
        let Some(kind) = kind.filter(|_| names.len() < MOST_METRICS && names.insert(metric.name.clone())) else {
            refused += 1;
            continue;
        };
        let mut known = HashSet::new();
        for series in metric.series {
            let labels: BTreeMap<_, _> =
                series.labels.iter().map(|(name, value)| (name.clone(), clean(value, 128))).collect();
            if !is_usable(kind, &series) || known.len() >= MOST_SERIES || !known.insert(labels.clone()) {
                refused += 1;
                continue;
            }
            all.push(Custom {
                name: format!("rosey_custom_{}", metric.name),
                kind,
                help: clean(&metric.help, 200),
                labels,
                value: if kind == "histogram" { series.count as f64 } else { series.value },
                sum: series.sum,
                buckets: series.buckets,
            });
        }
    }
    (all, refused)
}

fn is_usable(kind: &str, series: &Series) -> bool {
    let numbers = series.value.is_finite() && series.sum.is_finite() && (kind != "counter" || series.value >= 0.0);
    let labels = series.labels.len() <= MOST_LABELS && series.labels.keys().all(|name| lint::is_label(name));
    let buckets = &series.buckets;
    let rises = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
    let ends = buckets.last().is_none_or(|(_, below)| *below <= series.count);
    let histogram = (1..=MOST_BUCKETS).contains(&buckets.len())
        && rises
        && ends
        && buckets.iter().all(|(bound, _)| bound.is_finite());
    numbers && labels && if kind == "histogram" { histogram } else { buckets.is_empty() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_says_is_checked() {
        let json = r#"{"over_limit": 2, "metrics": [
            {"name": "rolls_total", "help": "Rolls.\nMany", "kind": "counter", "series": [
                {"labels": {"sides": "6"}, "value": 3.0}, {"labels": {"plugin": "mine"}, "value": 1.0},
                {"labels": {"sides": "6"}, "value": 9.0}]},
            {"name": "rolls_total", "help": "", "kind": "gauge", "series": []},
            {"name": "Bad-Name", "help": "", "kind": "gauge", "series": [{"labels": {}, "value": 1.0}]},
            {"name": "odd", "help": "", "kind": "summary", "series": [{"labels": {}, "value": 1.0}]},
            {"name": "wait_seconds", "help": "", "kind": "histogram",
             "series": [{"labels": {}, "buckets": [[1.0, 2], [2.0, 3]], "sum": 4.5, "count": 4}]}]}"#;
        let (all, refused) = read(json);
        let [rolls, wait] = &all[..] else { panic!("{all:?}") };
        assert_eq!(
            (rolls.name.as_str(), rolls.help.as_str(), rolls.value),
            ("rosey_custom_rolls_total", "Rolls. Many", 3.0)
        );
        assert_eq!((wait.kind, wait.value, wait.sum, wait.buckets.len()), ("histogram", 4.0, 4.5, 2));
        assert_eq!(refused, 7, "two series and three metrics, and two that the plugin left out");
        assert_eq!((read("nonsense"), read("")), ((vec![], 1), (vec![], 0)));
    }

    #[test]
    fn a_histogram_that_spoils_the_page_is_refused() {
        let read_buckets = |buckets: &str| {
            let series = format!(r#"{{"labels": {{}}, "buckets": {buckets}, "sum": 1.0, "count": 9}}"#);
            read(&format!(
                r#"{{"metrics": [{{"name": "a_seconds", "help": "", "kind": "histogram", "series": [{series}]}}]}}"#
            ))
        };
        assert_eq!(read_buckets("[[1.0, 1], [2.0, 9]]").1, 0);
        for bad in ["[]", "[[2.0, 1], [1.0, 2]]", "[[1.0, 1], [1.0, 2]]", "[[1.0, 5], [2.0, 2]]", "[[1.0, 10]]"] {
            assert_eq!(read_buckets(bad), (vec![], 1), "{bad}");
        }
        let many: Vec<_> = (0..33).map(|n| format!("[{n}.0, 0]")).collect();
        assert_eq!(read_buckets(&format!("[{}]", many.join(","))).1, 1);
    }
}
