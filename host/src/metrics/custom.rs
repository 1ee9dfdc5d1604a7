//! The metrics that plugins declare themselves. Nothing of what they say is trusted: names, labels and numbers are checked
//! and bounded here again.

use crate::{plugin::clean, view::Custom};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};

/// Metrics of one plugin, as plugin-api allows.
const MOST_METRICS: usize = 64;

/// Series of one metric, as plugin-api allows.
const MOST_SERIES: usize = 64;

/// Labels of one series.
const MOST_LABELS: usize = 8;

#[derive(Deserialize)]
struct Said {
    metrics: Vec<Metric>,
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

/// What a plugin said, checked. What cannot be used is left out.
pub fn read(json: &str) -> Vec<Custom> {
    let Ok(said) = serde_json::from_str::<Said>(json) else { return Vec::new() };
    let mut names = HashSet::new();
    let mut all = Vec::new();
    for metric in said.metrics.into_iter().take(MOST_METRICS) {
        let kind = match metric.kind.as_str() {
            "counter" => "counter",
            "gauge" => "gauge",
            "histogram" => "histogram",
            _ => continue,
        };
        if !is_name(&metric.name) || !names.insert(metric.name.clone()) {
            continue;
        }
        let usable = |series: &Series| {
            let labels = series.labels.keys().all(|name| is_name(name) && !["plugin", "le"].contains(&name.as_str()));
            labels && series.labels.len() <= MOST_LABELS && series.value.is_finite() && series.sum.is_finite()
        };
        for series in metric.series.into_iter().filter(usable).take(MOST_SERIES) {
            all.push(Custom {
                name: format!("rosey_custom_{}", metric.name),
                kind,
                help: clean(&metric.help, 200),
                labels: series.labels.into_iter().map(|(name, value)| (name, clean(&value, 128))).collect(),
                value: if kind == "histogram" { series.count as f64 } else { series.value },
                sum: series.sum,
                buckets: series.buckets,
            });
        }
    }
    all
}

/// As Prometheus allows, without the colon that is for rules.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(fits)
        && !name.starts_with(|c: char| c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_says_is_checked() {
        let said = r#"{"metrics": [
            {"name": "rolls_total", "help": "Rolls.\nMany", "kind": "counter", "series": [
                {"labels": {"sides": "6"}, "value": 3.0}, {"labels": {"plugin": "mine"}, "value": 1.0}]},
            {"name": "rolls_total", "help": "", "kind": "gauge", "series": []},
            {"name": "Bad-Name", "help": "", "kind": "gauge", "series": [{"labels": {}, "value": 1.0}]},
            {"name": "odd", "help": "", "kind": "summary", "series": [{"labels": {}, "value": 1.0}]},
            {"name": "wait_seconds", "help": "", "kind": "histogram",
             "series": [{"labels": {}, "buckets": [[1.0, 2], [2.0, 3]], "sum": 4.5, "count": 4}]}]}"#;
        let [rolls, wait] = &read(said)[..] else { panic!("{:?}", read(said)) };
        assert_eq!(
            (rolls.name.as_str(), rolls.help.as_str(), rolls.value),
            ("rosey_custom_rolls_total", "Rolls. Many", 3.0)
        );
        assert_eq!((wait.kind, wait.value, wait.sum, wait.buckets.len()), ("histogram", 4.0, 4.5, 2));
        assert!(read("nonsense").is_empty() && read("").is_empty());
    }
}
