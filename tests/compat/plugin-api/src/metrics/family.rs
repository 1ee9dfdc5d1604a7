//! One metric and its series.

use super::{LONGEST_LABEL, MOST_SERIES, registry};
use crate::bounded::cut;
use serde_json::{Map, Value, json};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What is declared, and what was recorded since.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) labels: &'static [&'static str],
    bounds: &'static [f64],
    /// Whether the registry took it; asked at the first use.
    accepted: OnceLock<bool>,
    series: Mutex<Vec<Series>>,
}

/// The values under one combination of label values.
#[derive(Debug, Default)]
pub(super) struct Series {
    labels: Vec<String>,
    /// The value, or of a histogram the sum.
    pub(super) value: f64,
    count: u64,
    /// How many values fell into each bucket, the last being without bound. Empty but for histograms.
    buckets: Vec<u64>,
}

impl Series {
    pub(super) fn observe(&mut self, bucket: usize, value: f64) {
        self.value += value;
        self.count += 1;
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
    }
}

impl Family {
    pub(super) const fn new(kind: Kind, name: &'static str, help: &'static str, bounds: &'static [f64]) -> Self {
        Self { kind, name, help, labels: &[], bounds, accepted: OnceLock::new(), series: Mutex::new(Vec::new()) }
    }

    pub(super) const fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// Changes a series, making it if there is room.
    pub(super) fn update(&'static self, labels: &[&str], change: impl FnOnce(&mut Series)) {
        if !*self.accepted.get_or_init(|| registry::register(self)) || labels.len() != self.labels.len() {
            return registry::over_limit();
        }
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        // A few dozen short entries at most: a scan is as quick as a map, and keeps their order.
        let found = all
            .iter()
            .position(|series| series.labels.iter().zip(labels).all(|(kept, value)| kept == cut(value, LONGEST_LABEL)));
        let index = match found {
            Some(index) => index,
            None if all.len() < MOST_SERIES => {
                let buckets = if self.kind == Kind::Histogram { vec![0; self.bounds.len() + 1] } else { Vec::new() };
                all.push(Series {
                    labels: labels.iter().map(|value| cut(value, LONGEST_LABEL).to_owned()).collect(),
                    buckets,
                    ..Series::default()
                });
                all.len() - 1
            }
            None => return registry::over_limit(),
        };
        change(&mut all[index]);
    }

    /// As the host reads it.
    pub(super) fn to_json(&self) -> Value {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series: Vec<_> = all.iter().map(|series| self.series_to_json(series)).collect();
        json!({"name": self.name, "help": self.help, "kind": self.kind.name(), "series": series})
    }

    fn series_to_json(&self, series: &Series) -> Value {
        let values = series.labels.iter().map(|value| Value::from(value.as_str()));
        let labels: Map<_, _> = self.labels.iter().map(|name| (*name).to_owned()).zip(values).collect();
        if self.kind != Kind::Histogram {
            return json!({"labels": labels, "value": series.value});
        }
        let mut below = 0;
        let buckets = self.bounds.iter().zip(&series.buckets).map(|(bound, count)| {
            below += count;
            json!([bound, below])
        });
        let buckets: Vec<_> = buckets.collect();
        json!({"labels": labels, "buckets": buckets, "sum": series.value, "count": series.count})
    }
}
