//! The one read model: what chat, the shell, JSON and HTML show of the plugins. Data only, in the shapes
//! that docs/openapi.json describes; and what is wrong with it all, in sentences (`trouble`).
//!
//! Times are RFC 3339 in UTC, durations seconds, memory both MiB (2^20 bytes) and bytes.

pub mod mark;
pub mod trouble;
mod waiting;

pub use waiting::{Letter, Timer};

use mark::{Mark, Severity};
use rosey_core::state::{PluginState, Role};
use serde::Serialize;
use std::collections::BTreeMap;
use trouble::Trouble;

/// Bytes in MiB, to a tenth: the unit of `memory_mb`, as a limit and as what is shown.
pub fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0
}

/// All plugins and the host at one moment: `GET /api/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// When it was measured, RFC 3339 in UTC.
    pub timestamp: String,
    /// When the host started.
    pub started_at: String,
    /// Seconds since the host started.
    pub bot_uptime: u64,
    /// By name.
    pub plugins: Vec<Plugin>,
    /// The host, and sums.
    pub system: System,
}

/// A plugin as its row and its page show it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plugin {
    /// The name that the operator gave it.
    pub name: String,
    /// What the active generation says, or the last that was active; `unknown` before any was.
    pub version: String,
    /// In one word.
    pub state: PluginState,
    /// What to know about the state.
    pub explanation: Option<String>,
    /// The active generation's process.
    pub pid: Option<u32>,
    /// Seconds since the active generation was ready; 0 while there is none.
    pub uptime: u64,
    /// When the active generation was ready.
    pub loaded_at: Option<String>,
    /// Of one core, all processes of the plugin.
    pub cpu_percent: f64,
    /// Memory of all its processes, in MiB; what they share counts once.
    pub memory_mb: f64,
    /// The same in bytes.
    pub memory_bytes: u64,
    /// Events accepted.
    pub event_count: u64,
    /// The same by type: `command`, and those of the others that there were; names as in [`rosey_wire::event::Kind`].
    pub event_types: BTreeMap<&'static str, u64>,
    /// Events accepted a second, over the last poll.
    pub events_per_second: f64,
    /// Events by outcome, names as in [`rosey_core::outcome::OUTCOMES`].
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Events waiting for a generation.
    pub queued: usize,
    /// How many may; beyond that they are rejected. 0 before the first poll.
    pub queue_limit: usize,
    /// Events that left the queue and have no outcome yet.
    pub in_flight: usize,
    /// Deliveries beyond the first.
    pub redelivered: u64,
    /// Median time from acceptance to outcome in seconds, over the last minute; `None` without events.
    pub response_p50: Option<f64>,
    /// The 95th percentile of the same.
    pub response_p95: Option<f64>,
    /// Crashes since the host started.
    pub crash_count: u64,
    /// The newest of them, also one from before the host started.
    pub last_crash: Option<Crash>,
    /// Crashes by cause, as in [`Crash::kind`].
    pub crash_causes: BTreeMap<&'static str, u64>,
    /// Starts that the host made by itself after a crash or a failed start.
    pub restarts: u64,
    /// Reloads that succeeded, restarts and rollbacks on request included.
    pub reloads: u64,
    /// Those that were refused.
    pub reloads_refused: u64,
    /// Rollbacks that the host made by itself.
    pub rollbacks: u64,
    /// How often a limit was hit, by its setting.
    pub limit_hits: BTreeMap<&'static str, u64>,
    /// The active generation.
    pub generation: Option<u64>,
    /// Its artifact's SHA-256.
    pub artifact: Option<String>,
    /// Seconds left of a bake under way.
    pub bake_left: Option<u64>,
    /// Dead letters that wait for somebody to look at them.
    pub dead_letters: u64,
    /// What it keeps.
    pub store: Store,
    /// What happened to it lately.
    pub lately: Lately,
    /// What is wrong with it, the worst first; empty when nothing is.
    pub troubles: Vec<Trouble>,
}

/// What a plugin keeps in the store, and how long that takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Store {
    /// How many keys it has.
    pub keys: u64,
    /// How many it may have: `limits.store_keys`.
    pub keys_limit: u64,
    /// Bytes of its keys and values.
    pub bytes: u64,
    /// How many it may have: `limits.store_bytes`.
    pub bytes_limit: u64,
    /// Changes that were applied, each of one event, one transaction, or one operator, in the life of the store.
    pub commits: u64,
    /// How often an event ran again because something that it had read was changed meanwhile.
    pub conflicts: u64,
    /// Median time in seconds that the store took to make a change durable, since the host started; `None` without changes.
    pub commit_p50: Option<f64>,
    /// The 99th percentile of the same.
    pub commit_p99: Option<f64>,
}

/// What happened to a plugin lately: what, beside its state, decides whether all is well with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lately {
    /// Events that ended within the last five minutes.
    pub ended: u64,
    /// Those of them that ended badly: failed, timed out, rejected or set aside.
    pub failed: u64,
    /// Events that ended within the last minute, whose times the response times are.
    pub timed: u64,
    /// Crashes within the last hour.
    pub crashes: u64,
    /// Dead letters of the last hour.
    pub dead_letters: u64,
    /// Why the host went back to the build before by itself, within the last hour and with no good change since.
    pub rolled_back: Option<String>,
    /// Why a change was refused, within the last hour and with no good change since.
    pub refused: Option<String>,
}

/// The host, and sums over all plugins.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct System {
    /// Events accepted.
    pub total_events: u64,
    /// Plugins configured.
    pub total_plugins: usize,
    /// Those that serve: `running`, `reloading` or `draining`.
    pub plugins_running: usize,
    /// Those that do not and should: `crashed`, `failed` or `unhealthy`.
    pub plugins_crashed: usize,
    /// Events by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Events waiting for a generation.
    pub queued: usize,
    /// Events that left a queue and have no outcome yet.
    pub in_flight: usize,
    /// Resident memory of the host alone, in bytes.
    pub memory_bytes: u64,
    /// The host's process.
    pub pid: u32,
    /// The host's version.
    pub version: &'static str,
    /// Where chat comes from: name and state (`connecting` before the first time, `connected`, `disconnected`).
    pub connectors: BTreeMap<String, &'static str>,
    /// Why nothing can be written to `rosey.db`, as a clause; `None` while it can.
    pub database: Option<String>,
    /// Whether all is well, in a sentence.
    pub verdict: String,
    /// How bad that is: [`Severity::Good`], a warning or an error.
    pub severity: Severity,
    /// All that is wrong, the worst first.
    pub troubles: Vec<Trouble>,
}

/// A crash as people read it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Crash {
    /// When it crashed, RFC 3339 in UTC.
    pub at: String,
    /// The generation whose process it was.
    pub generation: u64,
    /// The version it ran.
    pub version: String,
    /// What it ran.
    pub artifact: String,
    /// Seconds it had been up.
    pub uptime: f64,
    /// In a word: `exit`, `signal`, `hang`, `protocol`, `memory`.
    pub kind: &'static str,
    /// In a sentence, exit status or signal included.
    pub cause: String,
    /// What it was executing, as typed.
    pub executing: Vec<String>,
    /// Who typed each of them.
    pub by: Vec<String>,
    /// The last lines of its standard error.
    pub stderr: Vec<String>,
}

/// One plugin in full: `GET /api/plugin/{name}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Detail {
    /// What the overview says of it too.
    #[serde(flatten)]
    pub plugin: Plugin,
    /// Figures now and over the last hour.
    pub metrics: Metrics,
    /// The history within the window, the oldest first; of more than 1000 points every second, third, …
    pub history: Vec<Sample>,
    /// What happened meanwhile, the oldest first.
    pub marks: Vec<Mark>,
    /// The last crashes, the newest first.
    pub crashes: Vec<Crash>,
    /// Events that were set aside after two crashes, the newest first, at most 50.
    pub letters: Vec<Letter>,
    /// The timers that fire next, at most 50.
    pub timers: Vec<Timer>,
    /// The last reloads and other changes, the host's own rollbacks included, the newest first.
    pub changes: Vec<Change>,
    /// All generations with a process, the newest first.
    pub generations: Vec<Generation>,
    /// What it can do.
    pub commands: Vec<Command>,
    /// How it is reloaded: `overlap`, `handoff` or `exclusive`.
    pub reload_mode: &'static str,
    /// Limits in force, by name; times in seconds.
    pub limits: BTreeMap<&'static str, f64>,
    /// Its own configuration.
    pub config: serde_json::Value,
    /// Metrics that the plugin declares itself.
    pub custom: Vec<Custom>,
}

/// Figures of one plugin: now, over the last hour, and over the window that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// At the last poll.
    pub current: Current,
    /// Over the last hour.
    pub aggregates_1h: Aggregates,
    /// Over the window that was asked for, such as `?window=15m`; an hour unless it was.
    pub window: Window,
}

/// All figures over one window.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Window {
    /// How long it is.
    pub seconds: u64,
    /// How many points of the history lie in it.
    pub points: usize,
    /// Of one core.
    pub cpu: Sums,
    /// In MiB.
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
    /// How often plugins crashed since the host started.
    pub crashes: u32,
}

/// Least, mean, greatest and 95th percentile of a figure; `None` of no points.
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
    /// Of one core.
    pub cpu_percent: f64,
    /// In MiB.
    pub memory_mb: f64,
    /// In seconds.
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
    pub memory_min: f64,
    pub memory_avg: f64,
    pub memory_max: f64,
    pub memory_p95: f64,
}

/// One point of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// Seconds since 1970, UTC.
    pub at: u64,
    /// Of one core.
    pub cpu: f32,
    /// In MiB.
    pub memory: f32,
    /// Events accepted a second since the point before.
    pub events_per_second: f32,
    /// Seconds; not a number without events.
    pub response_p50: f32,
    /// Seconds; not a number without events.
    pub response_p95: f32,
    /// Events that ended since the point before, by outcome as in [`rosey_core::outcome::OUTCOMES`].
    pub outcomes: [u32; 6],
    /// Crashes since the host started.
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
    /// Of one core.
    pub cpu: f32,
    /// In MiB.
    pub memory: f32,
    /// Events accepted a second since the point before.
    pub events_per_second: f32,
    /// Seconds; `None` without events.
    pub response_p50: Option<f32>,
    /// Seconds; `None` without events.
    pub response_p95: Option<f32>,
    /// Events that ended since the point before, by outcome; those that are 0 are left out.
    pub outcomes: BTreeMap<&'static str, u32>,
    /// Crashes since the host started.
    pub crash_count: u32,
    /// Events waiting for a generation.
    pub queued: u32,
    /// Events that left the queue and had no outcome yet.
    pub in_flight: u32,
    /// The active generation; `None` when there was none.
    pub generation: Option<u32>,
}

/// One change on request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Change {
    /// When it ended.
    pub at: String,
    /// `reload`, `rollback`, `restart`, `start`, `stop`, `replay`.
    pub kind: String,
    /// Who asked, and by which way: `alice, chat`; `rosey` for a rollback that the host made by itself.
    pub by: String,
    /// The version before.
    pub from: Option<String>,
    /// The version after, or the one that was refused.
    pub to: Option<String>,
    /// The artifact before, of a change that was done.
    pub from_artifact: Option<String>,
    /// The artifact after, of a change that was done.
    pub to_artifact: Option<String>,
    /// In seconds; `None` of what was refused before it began.
    pub took: Option<f64>,
    /// Whether it was done.
    pub ok: bool,
    /// What came of it, as whoever asked has read it: the steps with their times, or why it was refused.
    pub result: String,
}

/// A process of a plugin, and what it is there for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Generation {
    /// Counts from 1 in each life of the host.
    pub number: u64,
    /// What it is for the plugin.
    pub role: Role,
    /// The version it runs.
    pub version: String,
    /// What it runs.
    pub artifact: String,
    /// Its process.
    pub pid: u32,
    /// When it was ready.
    pub since: String,
    /// Events it has.
    pub in_flight: usize,
}

/// A command as `!help` shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Command {
    /// Without the prefix.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// An example.
    pub usage: String,
    /// What it does.
    pub help: String,
    /// Those of its names that are somebody else's, and whose.
    pub taken: BTreeMap<String, String>,
}

/// One metric that a plugin declares itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Custom {
    /// As exported.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it means.
    pub help: String,
    /// Labels that the plugin gave it, by name.
    pub labels: BTreeMap<String, String>,
    /// Its value; of a histogram how many were observed.
    pub value: f64,
    /// Of a histogram, the sum of what was observed.
    pub sum: f64,
    /// Of a histogram, how many are at most as large as each bound.
    pub buckets: Vec<(f64, u64)>,
}
