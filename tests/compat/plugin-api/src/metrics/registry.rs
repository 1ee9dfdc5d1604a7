//! The metrics of this library, in the order of their first use.

use super::{MOST_METRICS, family::Family, lint};
use serde_json::{Value, json};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

static FAMILIES: Mutex<Vec<&'static Family>> = Mutex::new(Vec::new());
/// What was not recorded because of a limit or a bad name.
static OVER_LIMIT: AtomicU64 = AtomicU64::new(0);

/// Takes a metric, or logs why not.
pub(super) fn register(family: &'static Family) -> bool {
    let mut families = FAMILIES.lock().unwrap_or_else(PoisonError::into_inner);
    let verdict = if families.len() >= MOST_METRICS {
        Err(format!("there are {MOST_METRICS} already"))
    } else if families.iter().any(|other| other.name == family.name) {
        Err("there is one of this name already".into())
    } else {
        lint::check(family)
    };
    match verdict {
        Ok(()) => {
            families.push(family);
            true
        }
        Err(why) => {
            // The log goes through the author's subscriber in tests; it must not wait for this lock.
            drop(families);
            tracing::error!("metric {:?} is not recorded: {why}", family.name);
            false
        }
    }
}

pub(super) fn over_limit() {
    OVER_LIMIT.fetch_add(1, Relaxed);
}

/// All metrics as JSON; nothing at all when none was ever used.
pub(crate) fn render() -> Vec<u8> {
    let families = FAMILIES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let over_limit = OVER_LIMIT.load(Relaxed);
    if families.is_empty() && over_limit == 0 {
        return Vec::new();
    }
    let metrics: Vec<Value> = families.iter().map(|family| family.to_json()).collect();
    json!({"metrics": metrics, "over_limit": over_limit}).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counter, Gauge, Histogram, MOST_SERIES};

    static HITS: Counter = Counter::new("hits_total", "Hits.").labels(&["side"]);
    static OPEN: Gauge = Gauge::new("open", "Open.");
    static WAIT: Histogram = Histogram::new("wait_seconds", "Waits.", &[1.0, 2.0]);
    static BAD: Counter = Counter::new("bad_ms_total", "Bad.");

    // One test, because the registry is one per process.
    #[test]
    fn what_is_recorded_is_rendered_within_the_limits() {
        HITS.with(&["left"]).inc();
        HITS.with(&["left"]).add(-5.0);
        OPEN.set(3.0);
        OPEN.add(-1.0);
        for value in [0.5, 1.0, 1.5, 9.0, f64::NAN] {
            WAIT.observe(value);
        }
        let read = || serde_json::from_slice::<Value>(&render()).expect("render writes JSON");
        let text = read();
        assert_eq!(text["metrics"][0]["series"], json!([{"labels": {"side": "left"}, "value": 1.0}]));
        assert_eq!(text["metrics"][1]["series"], json!([{"labels": {}, "value": 2.0}]));
        let wait = json!({"labels": {}, "buckets": [[1.0, 2], [2.0, 3]], "sum": 12.0, "count": 4});
        assert_eq!(text["metrics"][2]["series"], json!([wait]));
        assert_eq!(text["metrics"][2]["kind"], "histogram");
        assert_eq!(text["over_limit"], 0);

        BAD.inc();
        HITS.inc();
        for side in 0..MOST_SERIES + 4 {
            HITS.with(&[&side.to_string()]).inc();
        }
        let text = read();
        assert_eq!(text["metrics"].as_array().map(Vec::len), Some(3));
        assert_eq!(text["metrics"][0]["series"].as_array().map(Vec::len), Some(MOST_SERIES));
        assert_eq!(text["over_limit"], 7, "a bad name, missing labels, five series too many");
    }
}
