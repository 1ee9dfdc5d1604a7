//! The state of the collector: measurements, events, and entries that are not written yet.

use super::{
    MOST_CHANGES, custom,
    history::History,
    host_meter::HostMeter,
    lasting::{Changes, Lasting},
    marks::{LATELY, Marks},
    now_seconds, persist,
    rollup::{Counts, HOST, Rollup},
    series::Series,
    show,
    show::Measured,
    states::States,
    totals::Totals,
};
use crate::{
    plugins::Plugins,
    slot::{
        lifecycle::{LifecycleEvent, LifecycleKind, left},
        view::View,
    },
    store::{Database, StoreError},
    time,
    view::{
        Change, Crash, Custom, Detail, Point,
        mark::{Mark, MarkKind, Severity},
    },
};
use rosey_core::{hash::Hash, state::StateEvent};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Versions remembered by artifact, to name the build that a rollback came from.
const MOST_VERSIONS: usize = 1000;

/// Points of the history in one answer: an hour and more at the default interval.
const MOST_POINTS: usize = 1000;

/// Marks in one answer.
const MOST_MARKS: usize = 200;

#[derive(Default)]
pub struct State {
    pub plugins: Option<Arc<Plugins>>,
    pub database: Option<Database>,
    /// The number of this run of the host.
    pub life: i64,
    pub unsaved: persist::Unsaved,
    pub lasting: Lasting,
    saving: bool,
    pub marks: Marks,
    pub measured: HashMap<String, Measured>,
    pub series: HashMap<String, Series>,
    /// The host itself, with the events of all plugins.
    pub host: History,
    host_meter: HostMeter,
    /// The points that are not over, by plugin, and of the host.
    pub rollups: HashMap<String, Rollup>,
    /// Since when each plugin is in its state.
    pub states: HashMap<String, States>,
    /// Seconds in which the host stood still.
    still: f64,
    versions: HashMap<String, String>,
    /// The artifact of the active generation, and that of the one before.
    runs: HashMap<String, (Option<Hash>, Option<Hash>)>,
    changes: HashMap<String, VecDeque<Change>>,
    crashes: HashMap<String, VecDeque<Crash>>,
    totals: HashMap<String, Totals>,
    /// The plugin of each command, in lower case.
    pub owners: BTreeMap<String, String>,
}

fn push<T>(all: &mut HashMap<String, VecDeque<T>>, plugin: &str, one: T) {
    let of_it = all.entry(plugin.to_owned()).or_default();
    if of_it.len() >= MOST_CHANGES {
        of_it.pop_front();
    }
    of_it.push_back(one);
}

/// The text that comes most often, `mostly` before it if others come too. Among equals, the later one.
fn most_frequent<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for text in texts {
        match counts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None => counts.push((text, 1)),
        }
    }
    let (text, _) = counts.iter().max_by_key(|(_, count)| *count)?;
    Some(if counts.len() > 1 { format!("mostly {text}") } else { (*text).to_owned() })
}

impl State {
    /// Takes the entries of earlier hosts over.
    pub fn recall(&mut self, past: persist::Past) {
        past.marks.into_iter().for_each(|mark| self.marks.keep(mark));
        self.lasting.recall(past.counts);
        for (plugin, crash) in past.crashes {
            push(&mut self.crashes, &plugin, crash);
        }
        for (plugin, change) in past.changes {
            push(&mut self.changes, &plugin, change);
        }
    }

    /// Takes the entries to write; `None` while the last ones are still being written.
    pub fn take_unsaved(&mut self) -> Option<(Database, persist::Unsaved)> {
        if self.saving || self.unsaved.is_empty() {
            return None;
        }
        let database = self.database.clone()?;
        self.saving = true;
        Some((database, std::mem::take(&mut self.unsaved)))
    }

    /// Records the result of writing. Entries that could not be written wait for the next board.
    pub fn saved(&mut self, written: Result<(), (persist::Unsaved, StoreError)>) {
        self.saving = false;
        if let Err((unsaved, error)) = written {
            tracing::warn!("events cannot be written to rosey.db; Rosey tries again: {error}");
            self.unsaved.put_back(unsaved);
        }
    }

    /// Adds a mark.
    pub fn mark(&mut self, at: SystemTime, plugin: Option<&str>, kind: MarkKind, severity: Severity, text: &str) {
        self.mark_of(at, plugin, None, (kind, severity), text);
    }

    /// Adds a mark of what a person did.
    pub fn mark_of(
        &mut self,
        at: SystemTime,
        plugin: Option<&str>,
        person: Option<&str>,
        (kind, severity): (MarkKind, Severity),
        text: &str,
    ) {
        let mark = self.marks.push(at, plugin, person, (kind, severity), text);
        self.record(mark);
    }

    fn record(&mut self, mark: Mark) {
        if self.database.is_some() {
            self.unsaved.marks.push(mark);
        }
    }

    /// Records a lifecycle event of a plugin.
    pub fn happened(&mut self, event: &LifecycleEvent) {
        if let Some(mark) = self.marks.happened(event) {
            self.record(mark);
        }
        match &event.kind {
            LifecycleKind::Crash(crash) => {
                let crash = show::crash(crash);
                if self.database.is_some() {
                    self.unsaved.crashes.push((event.plugin.to_string(), crash.clone()));
                }
                push(&mut self.crashes, &event.plugin, crash);
            }
            LifecycleKind::State(StateEvent::Active { artifact, .. }) => {
                let runs = self.runs.entry(event.plugin.to_string()).or_default();
                *runs = (runs.1.take(), Some(*artifact));
            }
            LifecycleKind::Left => self.forget(&event.plugin),
            LifecycleKind::State(StateEvent::RolledBack { from, to, why, state, store, .. }) => {
                let change = Change {
                    at: time::rfc3339(event.at),
                    kind: "rollback".to_owned(),
                    by: "rosey".to_owned(),
                    from: self.version(*from),
                    to: self.version(*to),
                    from_artifact: Some(from.to_string()),
                    to_artifact: Some(to.to_string()),
                    ok: true,
                    result: format!("{why}{}", left(*state, *store)),
                    ..Change::default()
                };
                self.keep(&event.plugin, change);
            }
            _ => {}
        }
    }

    /// Forgets the measurements of a plugin that was unloaded. Its events stay on the time axis, and so do its changes
    /// and crashes, for when it is loaded again.
    fn forget(&mut self, plugin: &str) {
        self.measured.remove(plugin);
        self.series.remove(plugin);
        self.runs.remove(plugin);
        self.totals.remove(plugin);
        self.states.remove(plugin);
        self.lasting.leave(plugin);
        if let Some(mut rollup) = self.rollups.remove(plugin) {
            let points = rollup.finish(plugin);
            if self.database.is_some() {
                self.unsaved.history.extend(points);
            }
        }
    }

    /// Adds the counts of earlier runs of the host, and keeps the sums for the next one.
    pub fn last(&mut self, views: &mut [View], changes: &mut Changes) {
        self.lasting.add_changes(changes);
        for view in views {
            self.lasting.add_to(view);
            let measured = self.measured.get(&*view.plugin).cloned().unwrap_or_default();
            let counts = self.lasting.take(view, &measured, changes).filter(|_| self.database.is_some());
            self.unsaved.counts.extend(counts.map(|counts| (view.plugin.to_string(), counts)));
        }
    }

    /// Records a change on request.
    pub fn changed(&mut self, plugin: &str, mut change: Change) {
        if let Some((Some(before), Some(after))) = self.runs.get(plugin).filter(|_| change.ok) {
            (change.from_artifact, change.to_artifact) = (Some(before.to_string()), Some(after.to_string()));
        }
        self.keep(plugin, change);
    }

    fn keep(&mut self, plugin: &str, change: Change) {
        if self.database.is_some() {
            self.unsaved.changes.push((plugin.to_owned(), change.clone()));
        }
        push(&mut self.changes, plugin, change);
    }

    /// The version of an artifact, if a generation ever ran it.
    fn version(&self, artifact: Hash) -> Option<String> {
        Some(self.versions.get(&artifact.to_string()).cloned().unwrap_or_else(|| artifact.short()))
    }

    /// Counts a time in which the host stood still: no plugin served.
    pub fn stood_still(&mut self, span: Duration) {
        self.still += span.as_secs_f64();
        self.states.values_mut().for_each(|states| states.stood_still(span));
    }

    /// Records the states of the plugins, what they run, and how many dead letters they have.
    pub fn learn(&mut self, views: &[View], letters: &BTreeMap<String, u32>, now: Instant) {
        let clock = SystemTime::now();
        for view in views {
            let states = self.states.entry(view.plugin.to_string()).or_default();
            states.see(view.state, now, clock);
            let measured = self.measured.entry(view.plugin.to_string()).or_default();
            measured.state_since = states.since();
            if let Some(active) = view.active() {
                measured.loaded_at = Some(time::rfc3339(active.since));
            }
            measured.dead_letters = letters.get(&*view.plugin).copied().map_or(0, u64::from);
            for generation in &view.generations {
                if self.versions.len() < MOST_VERSIONS {
                    self.versions.entry(generation.artifact.to_string()).or_insert_with(|| generation.version.clone());
                }
            }
        }
    }

    /// Adds a point to each history, and sums up.
    pub fn poll(&mut self, views: &[View], now: Instant, keep: Duration) {
        for view in views {
            let name = &*view.plugin;
            let measured = self.measured.entry(name.to_owned()).or_default();
            measured.recent = self.series.entry(name.to_owned()).or_default().poll(view, measured.usage, now, keep);
            let (generation, json) = &view.account.custom;
            let (mut metrics, refused) = custom::read(json);
            if view.generations.is_empty() {
                // A gauge shows the present, and a plugin that does not run has none.
                metrics.retain(|one| one.kind != "gauge");
            }
            measured.custom_refused = measured.custom_refused.max(refused);
            self.totals.entry(name.to_owned()).or_default().take(*generation, metrics);
        }
        self.roll(views, keep);
    }

    /// Adds the newest points to the history of a week, and makes the point of the host.
    fn roll(&mut self, views: &[View], keep: Duration) {
        let (cpu, memory) = self.host_meter.measure();
        let nan = f32::NAN;
        let mut host = Point { response_p50: nan, response_p95: nan, at: now_seconds(), ..Point::default() };
        (host.cpu, host.memory) = (cpu as f32, memory as f32);
        let (mut all, mut over) = (Counts::default(), Vec::new());
        for view in views {
            let Some(point) = self.series.get(&*view.plugin).and_then(|series| series.history.last()) else { continue };
            let down = self.states.get(&*view.plugin).map_or(0.0, States::down);
            let counts = Counts::of(view, down);
            all.add(&counts);
            host.events_per_second += point.events_per_second;
            (host.queued, host.in_flight) = (host.queued + point.queued, host.in_flight + point.in_flight);
            for (sum, count) in host.outcomes.iter_mut().zip(point.outcomes) {
                *sum = sum.saturating_add(count);
            }
            over.extend(self.rollups.entry(view.plugin.to_string()).or_default().poll(&view.plugin, point, counts));
        }
        all.down = self.still;
        over.extend(self.rollups.entry(HOST.to_owned()).or_default().poll(HOST, &host, all));
        self.host.push(host, keep);
        if self.database.is_some() {
            self.unsaved.history.extend(over);
        }
    }

    /// Ends the points that are not over, because the host ends.
    pub fn finish_history(&mut self) {
        for (plugin, rollup) in &mut self.rollups {
            self.unsaved.history.extend(rollup.finish(plugin));
        }
    }

    /// Sums up the events of the last hour.
    pub fn judge(&mut self) {
        let now = SystemTime::now();
        let mut lately = self.marks.lately(now);
        let hour = time::rfc3339(now.checked_sub(LATELY).unwrap_or(UNIX_EPOCH));
        for (name, measured) in &mut self.measured {
            measured.lately = lately.remove(name.as_str()).unwrap_or_default();
            let recent = self.crashes.get(name).into_iter().flatten().filter(|crash| crash.at >= hour);
            measured.lately.crash_cause = most_frequent(recent.map(|crash| crash.cause.as_str()));
        }
        for (name, lately) in lately {
            self.measured.insert(name.to_owned(), Measured { lately, ..Measured::default() });
        }
    }

    /// A plugin's own metrics.
    pub fn custom(&self, plugin: &str) -> Vec<Custom> {
        self.totals.get(plugin).map(Totals::shown).unwrap_or_default()
    }

    /// Adds the history to a plugin's detail. `long` has the points of a window that is longer than the memory.
    pub fn fill(&self, detail: &mut Detail, window: Duration, long: &History) {
        let plugin = detail.plugin.name.clone();
        let now = now_seconds();
        detail.metrics.window.seconds = window.as_secs();
        if let Some(series) = self.series.get(&plugin) {
            let since = now.saturating_sub(window.as_secs());
            let history = if long.last().is_some() { long } else { &series.history };
            let points = history.since(since);
            let every = points.len().div_ceil(MOST_POINTS).max(1);
            // The newest point is always included.
            let skip = points.len().saturating_sub(1) % every;
            detail.history = points.skip(skip).step_by(every).map(show::sample).collect();
            detail.metrics.aggregates_1h = series.history.aggregates(now.saturating_sub(3600));
            detail.metrics.window = history.window(since, window);
        }
        for command in &mut detail.commands {
            for name in std::iter::once(&command.name).chain(&command.aliases) {
                if let Some(owner) = self.owners.get(&name.to_lowercase()).filter(|owner| **owner != plugin) {
                    command.taken.insert(name.clone(), owner.clone());
                }
            }
        }
        detail.custom = self.custom(&plugin);
        detail.states = self.states.get(&plugin).map(States::newest_first).unwrap_or_default();
        detail.crashes = self.crashes.get(&plugin).into_iter().flatten().rev().cloned().collect();
        detail.changes = self.changes.get(&plugin).into_iter().flatten().rev().cloned().collect();
        detail.marks = self.marks.newest(Some(&plugin), MOST_MARKS);
        detail.marks.reverse();
    }
}
