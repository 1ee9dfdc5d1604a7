//! The one read model: what chat, the shell, JSON and HTML show of the plugins. Data only, in the shapes that
//! docs/openapi.json describes. `trouble` says in sentences what is wrong.
//!
//! Times are RFC 3339 in UTC, durations are seconds, memory is in MiB (2^20 bytes) and in bytes.

mod failure;
mod figures;
pub mod mark;
mod setting;
pub mod trouble;
mod waiting;

pub use failure::Failure;
pub use figures::{Aggregates, Current, Metrics, Point, Sample, StateSpan, Sums, Window};
pub use setting::Setting;
pub use waiting::{Letter, Timer};

use mark::{Mark, Severity};
use rosey_core::state::{PluginState, Role};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use trouble::Trouble;

/// Bytes in MiB, rounded to a tenth: the unit of `memory_mb`, as a limit and in views.
pub fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0
}

/// The explanation of a plugin that an operator disabled.
pub const DISABLED: &str = "disabled";

/// Writes a figure without its decimals.
fn whole<S: Serializer>(figure: &f64, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(figure.round() as u64)
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
    /// The plugins, by name.
    pub plugins: Vec<Plugin>,
    /// The host, and sums.
    pub system: System,
}

/// A plugin as its row and its page show it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plugin {
    /// The name that the operator gave it.
    pub name: String,
    /// The version of the active generation, or of the one that was active last; `unknown` before the first.
    pub version: String,
    /// The group that the operator put it into.
    pub group: Option<String>,
    /// The state in one word.
    pub state: PluginState,
    /// Since when it is in that state, RFC 3339 in UTC; `None` before the first measurement.
    pub state_since: Option<String>,
    /// Details of the state.
    pub explanation: Option<String>,
    /// The active generation's process.
    pub pid: Option<u32>,
    /// Seconds since the active generation was ready; 0 while there is none.
    pub uptime: u64,
    /// When the generation was ready that is active, or was active before the plugin went down; `None` when it is stopped.
    pub loaded_at: Option<String>,
    /// CPU of all processes of the plugin, in percent of one core.
    pub cpu_percent: f64,
    /// Memory of all its processes, in MiB; what they share counts once. JSON has whole MiB.
    #[serde(serialize_with = "whole")]
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
    /// Events that may wait; further ones are rejected. 0 before the first poll.
    pub queue_limit: usize,
    /// Events that left the queue and have no outcome yet.
    pub in_flight: usize,
    /// Deliveries of an event beyond the first.
    pub redelivered: u64,
    /// Median time from acceptance to outcome in seconds, over the last minute; `None` without events.
    pub response_p50: Option<f64>,
    /// The 95th percentile of the same.
    pub response_p95: Option<f64>,
    /// Crashes, also those of earlier runs of the host.
    pub crash_count: u64,
    /// The newest crash, which may be from before the host started.
    pub last_crash: Option<Crash>,
    /// Why the last event that ended badly did so.
    pub last_failure: Option<Failure>,
    /// Crashes by cause, as in [`Crash::kind`].
    pub crash_causes: BTreeMap<&'static str, u64>,
    /// Starts that the host made by itself after a crash or a failed start.
    pub restarts: u64,
    /// Reloads that succeeded, restarts and rollbacks on request included.
    pub reloads: u64,
    /// Reloads that were refused.
    pub reloads_refused: u64,
    /// Rollbacks that the host made by itself.
    pub rollbacks: u64,
    /// How often the plugin hit a limit, by the limit's name.
    pub limit_hits: BTreeMap<&'static str, u64>,
    /// The active generation.
    pub generation: Option<u64>,
    /// The SHA-256 of its artifact.
    pub artifact: Option<String>,
    /// Seconds left of a bake; `None` without one.
    pub bake_left: Option<u64>,
    /// Dead letters that wait for an operator.
    pub dead_letters: u64,
    /// What the plugin keeps in the store.
    pub store: Store,
    /// What the sandbox of the active generation holds; empty while there is none.
    pub sandbox: Vec<SandboxRule>,
    /// What happened within the last minutes and hour.
    pub lately: Lately,
    /// What is wrong with the plugin, the worst first; empty when nothing is.
    pub troubles: Vec<Trouble>,
}

/// One rule of a sandbox, as its process found out before it opened the library.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SandboxRule {
    /// The name of the rule.
    pub rule: &'static str,
    /// `enforced`, `unavailable` on this machine, or `off` by the configuration.
    pub state: &'static str,
    /// More for the operator; may be empty.
    pub detail: String,
}

/// The data of a plugin in the store, and the time that commits take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Store {
    /// Keys that the plugin has.
    pub keys: u64,
    /// The most that it may have: `limits.store_keys`.
    pub keys_limit: u64,
    /// Bytes of its keys and values.
    pub bytes: u64,
    /// The most that it may have: `limits.store_bytes`.
    pub bytes_limit: u64,
    /// Changes applied in the life of the store, each of one event, one transaction, or one operator.
    pub commits: u64,
    /// Runs in vain, because another event changed what they had read.
    pub conflicts: u64,
    /// Median time in seconds until a change was durable, since the host started; `None` without changes.
    pub commit_p50: Option<f64>,
    /// The 99th percentile of the same.
    pub commit_p99: Option<f64>,
}

/// Recent events of a plugin, which the verdict uses besides the state.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lately {
    /// Events that ended within the last five minutes.
    pub ended: u64,
    /// Events of these that ended badly: failed, timed out, rejected or dead-lettered.
    pub failed: u64,
    /// The most frequent reason of these, as far back as the host started.
    pub failure: Option<String>,
    /// Events that ended within the last minute. The response times are theirs.
    pub timed: u64,
    /// Crashes within the last hour.
    pub crashes: u64,
    /// The most frequent cause of these.
    pub crash_cause: Option<String>,
    /// Dead letters of the last hour.
    pub dead_letters: u64,
    /// Why the host rolled back by itself, within the last hour and without a later good change.
    pub rolled_back: Option<String>,
    /// Why a change was refused, within the last hour and without a later good change.
    pub refused: Option<String>,
}

/// The host, and sums over all plugins.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct System {
    /// Events accepted.
    pub total_events: u64,
    /// Plugins of the set.
    pub total_plugins: usize,
    /// Plugins that serve: `running`, `reloading` or `draining`.
    pub plugins_running: usize,
    /// Plugins that should serve and do not: `crashed`, `failed` or `unhealthy`.
    pub plugins_crashed: usize,
    /// Plugins that run, and yet fail much or crashed often.
    pub plugins_failing: usize,
    /// Events of all plugins accepted a second, over the last poll.
    pub events_per_second: f64,
    /// CPU of the host alone, in percent of one core.
    pub cpu_percent: f64,
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
    /// The connectors, by name, with their state (`connecting` before the first connection, `connected`,
    /// `disconnected`, `nowhere`).
    pub connectors: BTreeMap<String, &'static str>,
    /// Plugins whose library lies in the plugin folder, and which are not loaded.
    pub not_loaded: Vec<String>,
    /// Why Rosey cannot write to `rosey.db`, as a clause; `None` while it can.
    pub database: Option<String>,
    /// Whether all is well, in a sentence.
    pub verdict: String,
    /// The severity of the verdict: good, a warning or an error.
    pub severity: Severity,
    /// Everything that is wrong, the worst first.
    pub troubles: Vec<Trouble>,
}

/// A crash as people read it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Crash {
    /// When it crashed, RFC 3339 in UTC.
    pub at: String,
    /// The generation whose process it was.
    pub generation: u64,
    /// The version that it ran.
    pub version: String,
    /// The artifact that it ran.
    pub artifact: String,
    /// Seconds that it had been up.
    pub uptime: f64,
    /// The cause in a word: `exit`, `signal`, `hang`, `protocol`, `memory`.
    pub kind: &'static str,
    /// The cause in a sentence, with the exit status or signal.
    pub cause: String,
    /// The events that it was executing, as typed.
    pub executing: Vec<String>,
    /// The user of each of these events.
    pub by: Vec<String>,
    /// The last lines of its standard error.
    pub stderr: Vec<String>,
}

/// One plugin in full: `GET /api/plugin/{name}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Detail {
    /// The figures of the overview.
    #[serde(flatten)]
    pub plugin: Plugin,
    /// Figures now, over the last hour, and over the requested window.
    pub metrics: Metrics,
    /// The history within the window, the oldest point first. Of more than 1000 points only every second, third, …
    pub history: Vec<Sample>,
    /// The events within the window, the oldest first.
    pub marks: Vec<Mark>,
    /// Its states since the host started, the newest first, at most 50.
    pub states: Vec<StateSpan>,
    /// The last crashes, the newest first.
    pub crashes: Vec<Crash>,
    /// Why events ended badly, at most 12 reasons, the most frequent first.
    pub failures: Vec<Failure>,
    /// Events that ended badly for further reasons.
    pub failures_left_out: u64,
    /// The newest dead letters, at most 50, the newest first.
    pub letters: Vec<Letter>,
    /// The timers that fire next, at most 50.
    pub timers: Vec<Timer>,
    /// The last reloads and other changes, the host's own rollbacks included, the newest first.
    pub changes: Vec<Change>,
    /// All generations with a process, the newest first.
    pub generations: Vec<Generation>,
    /// What users can type.
    pub commands: Vec<Command>,
    /// The reload mode: `overlap`, `handoff` or `exclusive`.
    pub reload_mode: &'static str,
    /// The artifact that a rollback would go to, if there is one.
    pub rollback_to: Option<String>,
    /// What the plugin wants of its sandbox, and whether that is granted; empty without wishes.
    pub wishes: String,
    /// Limits in force, by name; times in seconds.
    pub limits: BTreeMap<&'static str, f64>,
    /// The settings that the plugin declares, with the values in force.
    pub settings: Vec<Setting>,
    /// The plugin's own settings as the operator wrote them.
    pub config: serde_json::Value,
    /// Metrics that the plugin declares itself.
    pub custom: Vec<Custom>,
}

/// One change that a person asked for, or a rollback that the host made by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Change {
    /// When it ended.
    pub at: String,
    /// `reload`, `rollback`, `restart`, `start`, `stop`, `replay`.
    pub kind: String,
    /// The person and the way: `alice, chat`; `rosey` for a rollback that the host made by itself.
    pub by: String,
    /// The version before.
    pub from: Option<String>,
    /// The version after, or the one that was refused.
    pub to: Option<String>,
    /// The artifact before, if the change was done.
    pub from_artifact: Option<String>,
    /// The artifact after, if the change was done.
    pub to_artifact: Option<String>,
    /// The duration in seconds; `None` if it was refused before it began.
    pub took: Option<f64>,
    /// Whether it was done.
    pub ok: bool,
    /// The result as the person read it: the steps with their times, or why it was refused.
    pub result: String,
}

/// A process of a plugin, with its role.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Generation {
    /// Counts from 1 in each life of the host.
    pub number: u64,
    /// The role of the generation.
    pub role: Role,
    /// The version that it runs.
    pub version: String,
    /// The artifact that it runs.
    pub artifact: String,
    /// The process id.
    pub pid: u32,
    /// The time at which it was ready, RFC 3339 in UTC.
    pub since: String,
    /// Events in flight in it.
    pub in_flight: usize,
}

/// A command as `!help` shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Command {
    /// The name, without the prefix.
    pub name: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// How a user writes the command, for example `!roll 2d6`.
    pub usage: String,
    /// What the command does, in the words of its plugin.
    pub help: String,
    /// Its names that belong to another plugin, with that plugin.
    pub taken: BTreeMap<String, String>,
}

/// One metric that a plugin declares itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Custom {
    /// The exported name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The help text.
    pub help: String,
    /// The labels, by name.
    pub labels: BTreeMap<String, String>,
    /// The value; for a histogram the number of observations.
    pub value: f64,
    /// For a histogram, the sum of the observations.
    pub sum: f64,
    /// For a histogram, the number of observations up to each bound.
    pub buckets: Vec<(f64, u64)>,
}
