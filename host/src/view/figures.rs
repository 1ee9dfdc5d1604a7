//! Figures of a plugin over time: states, points, and sums over a window.

use rosey_core::state::PluginState;
use serde::Serialize;
use std::collections::BTreeMap;

/// One state of a plugin, with its beginning and its length.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StateSpan {
    /// The state in one word.
    pub state: PluginState,
    /// When it began, RFC 3339 in UTC.
    pub since: String,
    /// How long it lasted, or lasts so far.
    pub seconds: f64,
    /// Whether it has ended.
    pub is_over: bool,
}

/// Figures of one plugin: now, over the last hour, and over the requested window.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// At the last poll.
    pub current: Current,
    /// Over the last hour.
    pub aggregates_1h: Aggregates,
    /// Over the requested window, such as `?window=15m`; without one, an hour.
    pub window: Window,
}

/// All figures over one window.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Window {
    /// The length of the window, in seconds.
    pub seconds: u64,
    /// The number of points of the history in the window.
    pub points: usize,
    /// CPU, in percent of one core.
    pub cpu: Sums,
    /// Memory, in MiB.
    pub memory: Sums,
    /// Events accepted a second.
    pub events_per_second: Sums,
    /// Median response time in seconds, of the points with events.
    pub response_p50: Sums,
    /// The 95th percentile of the same.
    pub response_p95: Sums,
    /// Events waiting.
    pub queued: Sums,
    /// Events in flight.
    pub in_flight: Sums,
    /// Events that ended, by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How often plugins crashed, also in earlier runs of the host.
    pub crashes: u32,
}

/// The least, mean, greatest and 95th percentile of a figure; `None` without points.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Sums {
    pub min: Option<f64>,
    pub avg: Option<f64>,
    pub max: Option<f64>,
    pub p95: Option<f64>,
}

/// Figures now.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Current {
    /// CPU, in percent of one core.
    pub cpu_percent: f64,
    /// Memory, in MiB. JSON has whole MiB.
    #[serde(serialize_with = "super::whole")]
    pub memory_mb: f64,
    /// Uptime, in seconds.
    pub uptime: u64,
}

/// Figures over a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Aggregates {
    pub cpu_min: f64,
    pub cpu_avg: f64,
    pub cpu_max: f64,
    pub cpu_p95: f64,
    pub memory_min: u64,
    pub memory_avg: u64,
    pub memory_max: u64,
    pub memory_p95: u64,
}

/// One point of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// Seconds since 1970, UTC.
    pub at: u64,
    /// CPU, in percent of one core.
    pub cpu: f32,
    /// Memory, in MiB.
    pub memory: f32,
    /// Events accepted a second since the point before.
    pub events_per_second: f32,
    /// Median response time in seconds; not a number without events.
    pub response_p50: f32,
    /// 95th percentile of the response time in seconds; not a number without events.
    pub response_p95: f32,
    /// Events that ended since the point before, by outcome as in [`rosey_core::outcome::OUTCOMES`].
    pub outcomes: [u32; 6],
    /// Crashes, also those of earlier runs of the host.
    pub crashes: u32,
    /// Events waiting for a generation.
    pub queued: u32,
    /// Events that left the queue and had no outcome yet.
    pub in_flight: u32,
    /// The active generation; 0 when there was none.
    pub generation: u32,
}

/// One point of the history, as JSON shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sample {
    /// When it was measured, RFC 3339 in UTC.
    pub timestamp: String,
    /// CPU, in percent of one core.
    pub cpu: f32,
    /// Memory, in MiB.
    pub memory: u64,
    /// Events accepted a second since the point before.
    pub events_per_second: f32,
    /// Median response time in seconds; `None` without events.
    pub response_p50: Option<f32>,
    /// 95th percentile of the response time in seconds; `None` without events.
    pub response_p95: Option<f32>,
    /// Events that ended since the point before, by outcome, without those that are 0.
    pub outcomes: BTreeMap<&'static str, u32>,
    /// Crashes, also those of earlier runs of the host.
    pub crash_count: u32,
    /// Events waiting for a generation.
    pub queued: u32,
    /// Events that left the queue and had no outcome yet.
    pub in_flight: u32,
    /// The active generation; `None` when there was none.
    pub generation: Option<u32>,
}
