//! Makes the read model from the view of a slot and the measurements.

use super::{Connector, secrets, series::Recent, settings, states::is_serving, usage::Usage};
use crate::{
    commit::timers::Listed,
    event::origin,
    plugins::{PluginConfig, wishes},
    process::{memory, sandbox::RuleReport},
    slot::{
        crash,
        dead_letter::DeadLetter,
        failures,
        view::{GenerationView, View},
    },
    text::clean,
    time::{of_millis, rfc3339},
    view::{
        Command, Crash, Detail, Failure, Generation, Lately, Letter, Plugin, Point, Sample, SandboxRule, Snapshot,
        Store, System, Timer, mebibytes, trouble,
    },
};
use rosey_core::state::PluginState;
use rosey_core::{ledger::Ledger, limits::Limits, outcome::OUTCOMES, state::ReloadMode};
use rosey_wire::{event::Kind, manifest::Manifest};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Longest name, in bytes, of a timer and of its owner.
const NAME: usize = 200;

/// Longest text, in bytes, of a failure and of its event.
const TEXT: usize = 500;

/// What the collector knows about a plugin besides its view.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// CPU and memory at the last poll.
    pub usage: Usage,
    /// Rates and times since then.
    pub recent: Recent,
    /// Events within the last hour.
    pub lately: Lately,
    /// Events that may wait.
    pub queue_limit: usize,
    /// Most keys and bytes of the plugin in the store.
    pub store_limits: (u64, u64),
    /// When the generation that was active last was ready.
    pub loaded_at: Option<String>,
    /// Since when it is in its state.
    pub state_since: Option<String>,
    /// The group of the configuration.
    pub group: Option<String>,
    /// Dead letters that wait.
    pub dead_letters: u64,
    /// Lines of its output that were left out.
    pub lines_left_out: u64,
    /// The plugin's own metrics that were refused.
    pub custom_refused: u64,
    /// Changes that were refused before they reached the slot.
    pub reloads_refused: u64,
}

/// Events by type: always commands, and the other types of which there were events.
fn event_types(kinds: &[u64; Kind::ALL.len()]) -> BTreeMap<&'static str, u64> {
    let counted = Kind::ALL.into_iter().zip(*kinds);
    counted
        .filter(|(kind, count)| *kind == Kind::Command || *count > 0)
        .map(|(kind, count)| (kind.name(), count))
        .collect()
}

/// Events by outcome.
pub fn outcomes(ledger: &Ledger) -> BTreeMap<&'static str, u64> {
    OUTCOMES.into_iter().zip(ledger.outcomes).collect()
}

/// Seconds rounded to the microsecond: a histogram is no more precise.
pub fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// When a plugin that is down was last ready; `None` for one that an operator stopped.
fn last_loaded(view: &View, measured: &Measured) -> Option<String> {
    measured.loaded_at.clone().filter(|_| view.state != PluginState::Stopped)
}

/// A figure of a point, without the noise of its short format.
fn tenths(value: f32, parts: f64) -> f64 {
    (f64::from(value) * parts).round() / parts
}

/// One plugin of the overview.
pub fn plugin(view: &View, measured: &Measured) -> Plugin {
    let active = view.active();
    let declared = view.manifest.as_ref().map(|manifest| manifest.version.clone());
    let account = &view.account;
    let mut limit_hits = account.limit_hits.clone();
    for (limit, hits) in [("log_lines", measured.lines_left_out), ("custom_metrics", measured.custom_refused)] {
        if hits > 0 {
            *limit_hits.entry(limit).or_default() += hits;
        }
    }
    let recent = &measured.recent;
    let mut plugin = Plugin {
        name: view.plugin.to_string(),
        version: active.map(|active| active.version.clone()).or(declared).unwrap_or_else(|| "unknown".to_owned()),
        group: measured.group.clone(),
        state: view.state,
        state_since: measured.state_since.clone(),
        explanation: view.explanation.clone(),
        pid: active.map(|active| active.pid),
        uptime: active.and_then(|active| active.since.elapsed().ok()).unwrap_or_default().as_secs(),
        loaded_at: active.map(|active| rfc3339(active.since)).or_else(|| last_loaded(view, measured)),
        cpu_percent: (measured.usage.cpu_percent * 10.0).round() / 10.0,
        memory_mb: mebibytes(measured.usage.memory_bytes),
        memory_bytes: measured.usage.memory_bytes,
        event_count: view.ledger.accepted,
        event_types: event_types(&account.kinds),
        events_per_second: (recent.rate * 100.0).round() / 100.0,
        outcomes: outcomes(&view.ledger),
        queued: view.queued,
        queue_limit: measured.queue_limit,
        in_flight: view.in_flight,
        redelivered: view.ledger.redelivered,
        response_p50: recent.minute.quantile(0.5).map(rounded),
        response_p95: recent.minute.quantile(0.95).map(rounded),
        crash_count: account.crash_count,
        last_crash: account.crashes.back().map(|last| crash(last)),
        last_failure: account.failures.newest().map(failure),
        crash_causes: account.causes.clone(),
        restarts: account.restarts.values().sum(),
        reloads: account.reloads.0,
        reloads_refused: account.reloads.1 + measured.reloads_refused,
        rollbacks: account.rollbacks,
        limit_hits,
        generation: active.map(|active| active.number),
        artifact: active.map(|active| active.artifact.to_string()),
        bake_left: view.bake_left.map(|left| left.as_secs()),
        dead_letters: measured.dead_letters,
        store: Store {
            keys: account.kept.keys,
            keys_limit: measured.store_limits.0,
            bytes: account.kept.bytes,
            bytes_limit: measured.store_limits.1,
            commits: account.kept.commits,
            conflicts: account.conflicts,
            commit_p50: account.commit_times.quantile(0.5).map(rounded),
            commit_p99: account.commit_times.quantile(0.99).map(rounded),
        },
        sandbox: active.map(|active| active.sandbox.iter().map(sandbox_rule).collect()).unwrap_or_default(),
        lately: Lately {
            ended: recent.ended,
            failed: recent.failed,
            timed: recent.minute.count(),
            failure: account.failures.frequent(SystemTime::now()).map(|group| clean(&group.text, TEXT)),
            ..measured.lately.clone()
        },
        troubles: Vec::new(),
    };
    plugin.troubles = trouble::of_plugin(&plugin);
    plugin
}

fn sandbox_rule(report: &RuleReport) -> SandboxRule {
    SandboxRule { rule: report.rule.name(), state: report.state.name(), detail: report.detail.clone() }
}

impl super::Metrics {
    /// All plugins and the host now. `host` is its newest point, and `database` says why Rosey cannot write to it.
    pub fn snapshot(&self, views: &[View], plugins: Vec<Plugin>, host: Point, database: Option<String>) -> Snapshot {
        let count = |states: &[PluginState]| plugins.iter().filter(|plugin| states.contains(&plugin.state)).count();
        let total = |at: usize| views.iter().map(|view| view.ledger.outcomes[at]).sum();
        let outcomes = OUTCOMES.iter().enumerate().map(|(at, name)| (*name, total(at))).collect();
        let connectors = {
            let tallies = self.tallies();
            let word = |one: &Connector| match one.connected {
                None => "connecting",
                Some(false) => "disconnected",
                Some(true) if one.is_nowhere => "nowhere",
                Some(true) => "connected",
            };
            tallies.connectors.iter().map(|(name, one)| (name.to_string(), word(one))).collect()
        };
        let pid = std::process::id();
        let system = System {
            total_events: views.iter().map(|view| view.ledger.accepted).sum(),
            total_plugins: plugins.len(),
            plugins_running: plugins.iter().filter(|plugin| is_serving(plugin.state)).count(),
            plugins_crashed: count(&[PluginState::Crashed, PluginState::Failed, PluginState::Unhealthy]),
            plugins_failing: plugins.iter().filter(|plugin| trouble::is_failing(plugin)).count(),
            events_per_second: tenths(host.events_per_second, 100.0),
            cpu_percent: tenths(host.cpu, 10.0),
            outcomes,
            queued: views.iter().map(|view| view.queued).sum(),
            in_flight: views.iter().map(|view| view.in_flight).sum(),
            memory_bytes: memory::resident_bytes(pid).unwrap_or_default(),
            pid,
            version: env!("CARGO_PKG_VERSION"),
            connectors,
            database,
            ..System::default()
        };
        let mut snapshot = Snapshot {
            timestamp: rfc3339(SystemTime::now()),
            started_at: rfc3339(self.0.began_at),
            bot_uptime: self.0.began.elapsed().as_secs(),
            plugins,
            system,
        };
        let troubles = trouble::of_all(&snapshot);
        let verdict = trouble::verdict(&snapshot, &troubles);
        (snapshot.system.verdict, snapshot.system.severity) = (verdict.text, verdict.severity);
        snapshot.system.troubles = troubles;
        snapshot
    }
}

/// A crash as people read it.
pub fn crash(crash: &crash::Crash) -> Crash {
    Crash {
        at: rfc3339(crash.at),
        generation: crash.generation,
        version: crash.version.clone(),
        artifact: crash.artifact.to_string(),
        uptime: rounded(crash.uptime.as_secs_f64()),
        kind: crash.cause.name(),
        cause: crash.cause.to_string(),
        executing: crash.executing.clone(),
        by: crash.by.clone(),
        stderr: crash.stderr.clone(),
    }
}

/// A group of failures as people read it.
fn failure(group: &failures::Failure) -> Failure {
    Failure {
        outcome: group.outcome,
        text: clean(&group.text, TEXT),
        count: group.count,
        first: rfc3339(group.first),
        last: rfc3339(group.last),
        line: clean(&group.line, TEXT),
        user: clean(&group.user, NAME),
        generation: group.generation,
    }
}

/// The details of a plugin beyond the overview. The collector adds everything that comes from the history.
pub fn detail(view: &View, measured: &Measured, config: &PluginConfig) -> Detail {
    let plugin = plugin(view, measured);
    let declared = view.manifest.as_ref().map(|manifest| manifest.settings.as_slice()).unwrap_or_default();
    let mut detail = Detail {
        failures: view.account.failures.largest_first().into_iter().map(failure).collect(),
        failures_left_out: view.account.failures.others,
        generations: view.generations.iter().map(generation).collect(),
        commands: view.manifest.iter().flat_map(|manifest| &manifest.commands).map(command).collect(),
        reload_mode: match view.reload {
            ReloadMode::Overlap => "overlap",
            ReloadMode::Handoff => "handoff",
            ReloadMode::Exclusive => "exclusive",
        },
        rollback_to: view.rollback_target.map(|hash| hash.to_string()),
        wishes: view.manifest.as_ref().map(|manifest| wishes::told(&manifest.wishes, config)).unwrap_or_default(),
        limits: limits(&config.limits),
        settings: settings::settings(declared, &config.config, &config.config_places),
        config: secrets::hidden_of(&config.config, declared),
        ..Detail::default()
    };
    detail.metrics.current.cpu_percent = plugin.cpu_percent;
    detail.metrics.current.memory_mb = plugin.memory_mb;
    detail.metrics.current.uptime = plugin.uptime;
    detail.plugin = plugin;
    detail
}

/// One dead letter.
pub fn letter(letter: DeadLetter) -> Letter {
    Letter {
        id: letter.id,
        at: rfc3339(letter.buried_at),
        accepted_at: rfc3339(letter.accepted_at),
        line: letter.line,
        user: letter.user,
        place: format!("{}/{}", letter.connector, letter.channel),
        causes: letter.causes,
    }
}

/// One timer. The manifest says whether it has a handler.
pub fn timer(timer: &Listed, manifest: Option<&Manifest>) -> Timer {
    let (user, place) = origin::read(&timer.origin);
    let place = Some(place).filter(|place| !place.channel.is_empty());
    let mut handlers = manifest.into_iter().flat_map(|manifest| &manifest.subscriptions);
    Timer {
        number: timer.id,
        name: clean(&timer.name, NAME),
        due: rfc3339(of_millis(timer.due)),
        cron: timer.cron.clone(),
        zone: timer.zone.clone(),
        user: clean(&user.name, NAME),
        place: place.map(|place| format!("{}/{}", place.connector, place.channel)).unwrap_or_default(),
        declared: timer.declared,
        handled: handlers.any(|it| it.kind == Kind::Timer.name() && (it.pattern == timer.name || it.pattern == "*")),
    }
}

fn generation(view: &GenerationView) -> Generation {
    Generation {
        number: view.number,
        role: view.role,
        version: view.version.clone(),
        artifact: view.artifact.to_string(),
        pid: view.pid,
        since: rfc3339(view.since),
        in_flight: view.in_flight,
    }
}

fn command(command: &rosey_wire::manifest::Command) -> Command {
    Command {
        name: command.name.clone(),
        aliases: command.aliases.clone(),
        usage: command.usage.clone(),
        help: command.help.clone(),
        taken: BTreeMap::new(),
    }
}

/// Limits in force by name; times in seconds.
fn limits(limits: &Limits) -> BTreeMap<&'static str, f64> {
    Limits::rows().iter().filter_map(|row| Some((row.name, limits.get(row.name)?.number()))).collect()
}

/// One point as JSON shows it.
pub fn sample(point: &Point) -> Sample {
    let some = |value: f32| (!value.is_nan()).then_some(value);
    Sample {
        timestamp: rfc3339(UNIX_EPOCH + Duration::from_secs(point.at)),
        cpu: point.cpu,
        memory: point.memory.round() as u64,
        events_per_second: point.events_per_second,
        response_p50: some(point.response_p50),
        response_p95: some(point.response_p95),
        outcomes: OUTCOMES.into_iter().zip(point.outcomes).filter(|(_, count)| *count > 0).collect(),
        crash_count: point.crashes,
        queued: point.queued,
        in_flight: point.in_flight,
        generation: (point.generation > 0).then_some(point.generation),
    }
}
