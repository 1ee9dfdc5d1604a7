//! The read model as Prometheus scrapes it: text format 0.0.4, through the `prometheus` crate.
//!
//! Counters live in the slots and survive generations, so each poll writes their values instead of counting twice. The
//! series of a plugin that is gone are gone too.

use super::{Connector, DASHBOARD_LIMITS, Tallies, traffic::Dropped};
use crate::{
    slot::{crash::Cause, view::View},
    view::{Custom, Plugin, SandboxRule, Snapshot, Store},
};
use prometheus::{
    TextEncoder,
    proto::{Bucket, Counter, Gauge, Histogram as HistogramProto, LabelPair, Metric, MetricFamily, MetricType},
};
use rosey_core::{
    histogram::{EDGES, Histogram},
    state::PluginState,
};
use rosey_wire::sandbox::{Rule, RuleState};
use std::collections::BTreeMap;

/// The limits whose hits are counted, by their names in the configuration.
pub const LIMITS: [&str; 9] = [
    "calls",
    "custom_metrics",
    "event_deadline",
    "frames",
    "hang_timeout",
    "log_lines",
    "memory_mb",
    "queue",
    "reply_bytes",
];

/// The stages of records of the audit.
const AUDIT_STAGES: [&str; 7] = ["after", "alarm", "before", "denied", "dropped", "read", "refused"];

/// The kinds of changes, each with both ends.
pub const CHANGES: [(&str, &str); 6] = [
    ("reload", "success"),
    ("reload", "failure"),
    ("restart", "success"),
    ("restart", "failure"),
    ("rollback", "success"),
    ("rollback", "failure"),
];

/// Collects families. Each is written once, in the order of the names.
#[derive(Default)]
struct Page {
    families: BTreeMap<String, MetricFamily>,
}

impl Page {
    fn family(&mut self, name: &str, help: &str, kind: MetricType) -> &mut MetricFamily {
        self.families.entry(name.to_owned()).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family
        })
    }

    fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let (mut counter, mut metric) = (Counter::default(), Metric::from_label(pairs(labels)));
        counter.set_value(value);
        metric.set_counter(counter);
        self.family(name, help, MetricType::COUNTER).mut_metric().push(metric);
    }

    fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let (mut gauge, mut metric) = (Gauge::default(), Metric::from_label(pairs(labels)));
        gauge.set_value(value);
        metric.set_gauge(gauge);
        self.family(name, help, MetricType::GAUGE).mut_metric().push(metric);
    }

    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
    ) {
        let (mut histogram, mut metric) = (HistogramProto::default(), Metric::from_label(pairs(labels)));
        let bucket = |&(bound, below): &(f64, u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(below);
            bucket
        };
        histogram.set_bucket(buckets.iter().map(bucket).collect());
        histogram.set_sample_sum(sum);
        histogram.set_sample_count(count);
        metric.set_histogram(histogram);
        self.family(name, help, MetricType::HISTOGRAM).mut_metric().push(metric);
    }

    fn times(&mut self, name: &str, help: &str, labels: &[(&str, &str)], times: &Histogram) {
        let mut below = 0;
        let cumulative = |(&edge, &count): (&f64, &u64)| {
            below += count;
            (edge, below)
        };
        let buckets: Vec<_> = EDGES.iter().zip(&times.counts).map(cumulative).collect();
        self.histogram(name, help, labels, &buckets, times.sum, times.count());
    }

    fn text(self) -> String {
        let families: Vec<_> = self.families.into_values().collect();
        // Fails only for a family without metrics, and every family has one.
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

/// All metrics as text.
pub fn render(snapshot: &Snapshot, views: &[View], custom: &[(String, Vec<Custom>)], tallies: &Tallies) -> String {
    let mut page = Page::default();
    host(&mut page, snapshot, tallies);
    snapshot.plugins.iter().for_each(|plugin| one_plugin(&mut page, plugin));
    views.iter().for_each(|view| one_slot(&mut page, view));
    own(&mut page, custom);
    page.text()
}

fn one_plugin(page: &mut Page, plugin: &Plugin) {
    let of = [("plugin", plugin.name.as_str())];
    for (kind, count) in &plugin.event_types {
        page.counter("rosey_events_total", "Events accepted.", &[of[0], ("type", kind)], *count as f64);
    }
    for (outcome, count) in &plugin.outcomes {
        let labels = [of[0], ("outcome", outcome)];
        page.counter("rosey_event_outcomes_total", "Events by how they ended.", &labels, *count as f64);
    }
    let redelivered = plugin.redelivered as f64;
    page.counter("rosey_plugin_redelivered_total", "Deliveries of an event beyond the first.", &of, redelivered);
    page.gauge("rosey_plugin_queue_length", "Events that wait for a generation.", &of, plugin.queued as f64);
    store(page, of[0], &plugin.store);
    let limit = plugin.queue_limit as f64;
    page.gauge("rosey_plugin_queue_limit", "Events that may wait; further ones are rejected.", &of, limit);
    let in_flight = plugin.in_flight as f64;
    page.gauge("rosey_plugin_in_flight", "Events that left the queue and have no outcome yet.", &of, in_flight);
    page.gauge("rosey_plugin_cpu_percent", "Processor time in percent of one core.", &of, plugin.cpu_percent);
    page.gauge("rosey_plugin_memory_mb", "Memory in MiB (2^20 bytes).", &of, plugin.memory_mb);
    page.gauge("rosey_plugin_memory_bytes", "Memory.", &of, plugin.memory_bytes as f64);
    page.gauge("rosey_plugin_uptime_seconds", "Time since the active generation was ready.", &of, plugin.uptime as f64);
    page.gauge(
        "rosey_plugin_crash_count",
        "Crashes, also those of earlier runs of the host.",
        &of,
        plugin.crash_count as f64,
    );
    page.counter(
        "rosey_plugin_rollbacks_total",
        "Rollbacks that the host made by itself.",
        &of,
        plugin.rollbacks as f64,
    );
    page.gauge(
        "rosey_plugin_dead_letters",
        "Events that were executing at two crashes and wait for an operator.",
        &of,
        plugin.dead_letters as f64,
    );
    for (status, count) in [("success", plugin.reloads), ("failure", plugin.reloads_refused)] {
        let labels = [of[0], ("status", status)];
        page.counter(
            "rosey_plugin_reloads_total",
            "Reloads, restarts and rollbacks on request.",
            &labels,
            count as f64,
        );
    }
    for limit in LIMITS {
        let count = plugin.limit_hits.get(limit).copied().unwrap_or_default();
        let labels = [of[0], ("limit", limit)];
        page.counter("rosey_plugin_limit_hits_total", "How often a limit was hit.", &labels, count as f64);
    }
    for state in PluginState::ALL {
        let labels = [of[0], ("state", state.word())];
        let is_it = f64::from(u8::from(state == plugin.state));
        page.gauge("rosey_plugin_state", "1 for the state that the plugin is in.", &labels, is_it);
    }
    sandbox(page, of[0], &plugin.sandbox);
    if let (Some(artifact), Some(generation)) = (&plugin.artifact, plugin.generation) {
        let (artifact, generation) = (artifact.get(..12).unwrap_or(artifact), generation.to_string());
        let labels = [of[0], ("version", plugin.version.as_str()), ("artifact", artifact), ("generation", &generation)];
        page.gauge("rosey_plugin_info", "The build of the active generation.", &labels, 1.0);
    }
}

/// All rules in all states, from the start: an alert must not wait for a series.
fn sandbox(page: &mut Page, plugin: (&str, &str), rules: &[SandboxRule]) {
    let help = "1 for the state of each rule of the sandbox in the active generation.";
    for rule in Rule::ALL {
        let stands = rules.iter().find(|one| one.rule == rule.name()).map(|one| one.state);
        for state in RuleState::ALL {
            let labels = [plugin, ("rule", rule.name()), ("state", state.name())];
            let is_it = f64::from(u8::from(stands == Some(state.name())));
            page.gauge("rosey_plugin_sandbox", help, &labels, is_it);
        }
    }
}

fn store(page: &mut Page, plugin: (&str, &str), store: &Store) {
    let of = [plugin];
    page.gauge("rosey_plugin_store_keys", "Keys that the plugin has in the store.", &of, store.keys as f64);
    page.gauge("rosey_plugin_store_keys_limit", "Most keys that the plugin may have.", &of, store.keys_limit as f64);
    page.gauge("rosey_plugin_store_bytes", "Bytes of keys and values in the store.", &of, store.bytes as f64);
    page.gauge("rosey_plugin_store_limit_bytes", "Most bytes of keys and values.", &of, store.bytes_limit as f64);
    let help = "Changes applied in the life of the store.";
    page.counter("rosey_plugin_store_commits_total", help, &of, store.commits as f64);
    let help = "Runs of events in vain, because another event changed what they had read.";
    page.counter("rosey_plugin_store_conflicts_total", help, &of, store.conflicts as f64);
}

fn one_slot(page: &mut Page, view: &View) {
    let of = [("plugin", &*view.plugin)];
    page.counter(
        "rosey_plugin_late_answers_total",
        "Answers to events that had ended already.",
        &of,
        view.ledger.late as f64,
    );
    // All causes from the start: if a series began at 1, Prometheus would never see the increase.
    for cause in Cause::NAMES {
        let count = view.account.causes.get(cause).copied().unwrap_or_default();
        page.counter("rosey_plugin_crashes_total", "Crashes by cause.", &[of[0], ("cause", cause)], count as f64);
    }
    for cause in Cause::NAMES.into_iter().chain(["start"]) {
        let count = view.account.restarts.get(cause).copied().unwrap_or_default();
        let help = "Starts that the host made by itself, by cause.";
        page.counter("rosey_plugin_restarts_total", help, &[of[0], ("cause", cause)], count as f64);
    }
    let help = "Time until the store had made a change durable.";
    page.times("rosey_plugin_store_commit_time_seconds", help, &of, &view.account.commit_times);
    page.gauge("rosey_plugin_timers", "Timers that are set.", &of, view.timers as f64);
    let help = "Time from when a timer was due to its event.";
    page.times("rosey_plugin_timer_lateness_seconds", help, &of, &view.account.lateness);
    page.counter(
        "rosey_plugin_cooldown_refusals_total",
        "Commands refused because of a cooldown.",
        &of,
        view.account.cooled as f64,
    );
    let help = "Time from acceptance to outcome, of events that were not rejected.";
    page.times("rosey_plugin_response_time_seconds", help, &of, &view.account.response);
    page.times(
        "rosey_reload_duration_seconds",
        "Time from request to the new generation serving.",
        &of,
        &view.account.reload_times,
    );
}

fn host(page: &mut Page, snapshot: &Snapshot, tallies: &Tallies) {
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.gauge("rosey_build_info", "The host that runs.", &version, 1.0);
    page.gauge("rosey_uptime_seconds", "Time since the host started.", &[], snapshot.bot_uptime as f64);
    page.gauge("rosey_plugins", "Plugins of the set.", &[], snapshot.system.total_plugins as f64);
    page.gauge("rosey_metrics_poll_duration_seconds", "Duration of the last poll.", &[], tallies.poll.as_secs_f64());
    let writable = f64::from(u8::from(snapshot.system.database.is_none()));
    page.gauge("rosey_database_up", "1 while rosey.db can be written to.", &[], writable);
    tallies.connectors.iter().for_each(|(name, connector)| one_connector(page, name.as_str(), connector));
    for ((command, user), count) in &tallies.admin {
        let labels = [("command", command.as_str()), ("user", user.as_str())];
        page.counter(
            "rosey_admin_commands_total",
            "Admin commands, the denied ones as user _denied.",
            &labels,
            *count as f64,
        );
    }
    for Plugin { name: plugin, .. } in &snapshot.plugins {
        for (kind, status) in CHANGES {
            let key = (plugin.clone(), kind, status == "success");
            let count = tallies.changes.get(&key).copied().unwrap_or_default();
            let labels = [("plugin", plugin.as_str()), ("kind", kind), ("status", status)];
            let help = "Changes on request, by kind and by how they ended.";
            page.counter("rosey_plugin_changes_total", help, &labels, count as f64);
        }
        let lines = tallies.lines.get(plugin).copied().unwrap_or_default();
        for (result, count) in [("said", lines.said), ("dropped", lines.dropped), ("throttled", lines.throttled)] {
            let (labels, help) =
                ([("plugin", plugin.as_str()), ("result", result)], "Lines beside answers, by what became of them.");
            page.counter("rosey_plugin_lines_total", help, &labels, count as f64);
        }
    }
    for stage in AUDIT_STAGES {
        let count = tallies.audit.get(stage).copied().unwrap_or_default();
        let labels = [("stage", stage)];
        page.counter("rosey_audit_records_total", "Records written to the audit.", &labels, count as f64);
    }
    for limit in DASHBOARD_LIMITS {
        let count = tallies.dashboard_limits.get(limit).copied().unwrap_or_default();
        let help = "How often a limit of the dashboard was hit.";
        page.counter("rosey_dashboard_limit_hits_total", help, &[("limit", limit)], count as f64);
    }
    let (processor, descriptors) = process();
    page.counter("process_cpu_seconds_total", "Processor time of the host.", &[], processor);
    page.gauge("process_open_fds", "Open file descriptors of the host.", &[], descriptors);
    page.gauge(
        "process_resident_memory_bytes",
        "Resident memory of the host.",
        &[],
        snapshot.system.memory_bytes as f64,
    );
    page.gauge("process_start_time_seconds", "When the host started, since 1970.", &[], tallies.started);
}

fn one_connector(page: &mut Page, name: &str, connector: &Connector) {
    let of = [("connector", name)];
    let connected = f64::from(u8::from(connector.connected == Some(true)));
    page.gauge("rosey_connector_up", "1 while a connector is connected.", &of, connected);
    let (received, sent, connections) = connector.traffic.read();
    page.counter("rosey_connector_received_total", "Messages of people.", &of, received as f64);
    page.counter("rosey_connector_sent_total", "Lines that the bot said.", &of, sent as f64);
    page.counter("rosey_connector_connections_total", "How often it connected.", &of, connections as f64);
    for why in Dropped::ALL {
        let (labels, count) = ([of[0], ("why", why.name())], connector.traffic.read_dropped(why));
        page.counter("rosey_connector_dropped_total", "Drops, by reason.", &labels, count as f64);
    }
}

/// Processor time in seconds, and open descriptors, of this process.
fn process() -> (f64, f64) {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    (spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9, descriptors as f64)
}

/// The plugins' own metrics. If two plugins use a name with different types, the first one counts.
fn own(page: &mut Page, custom: &[(String, Vec<Custom>)]) {
    for (plugin, series) in custom {
        for one in series {
            let kind = match one.kind {
                "counter" => MetricType::COUNTER,
                "gauge" => MetricType::GAUGE,
                _ => MetricType::HISTOGRAM,
            };
            if page.families.get(&one.name).is_some_and(|family| family.get_field_type() != kind) {
                continue;
            }
            let mut labels = vec![("plugin", plugin.as_str())];
            labels.extend(one.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            match one.kind {
                "counter" => page.counter(&one.name, &one.help, &labels, one.value),
                "gauge" => page.gauge(&one.name, &one.help, &labels, one.value),
                _ => page.histogram(&one.name, &one.help, &labels, &one.buckets, one.sum, one.value as u64),
            }
        }
    }
}
