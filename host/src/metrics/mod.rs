//! Measurements of every plugin, over time, for people, programs and Prometheus.
//!
//! The slots count where events happen. Every `poll_interval` the collector takes a view of all slots, measures the
//! processes (`usage`), keeps a history (`series`, `history`; `rollup` for a week, in `rosey.db`; `range` reads both) and makes a [`Board`]: the read model, JSON and
//! Prometheus text of one moment. All readers share it until the next. A lifecycle event (`marks`) makes a new board
//! within a quarter of a second, and outlives the host (`persist`), as the counts of plugins do (`lasting`). A plugin's own metrics are checked (`custom`,
//! `lint`) and added up across its generations (`totals`). Knows nothing about HTTP.

mod board;
mod connectors;
pub mod custom;
mod history;
mod host_meter;
mod lasting;
mod lint;
pub mod marks;
mod persist;
mod prometheus;
mod range;
mod rollup;
pub mod secrets;
mod series;
mod settings;
mod show;
mod state;
mod states;
mod still;
mod totals;
pub mod traffic;
mod usage;

use crate::{
    event::ConnectorId,
    plugins::Plugins,
    slot::{
        command::Command,
        dead_letter,
        lifecycle::{LifecycleEvent, LifecycleKind},
        view::View,
    },
    speech::{LineCounts, Speech},
    store::{Database, StoreError},
    text::clean,
    time,
    view::{
        Change, Plugin, Point,
        mark::{Mark, MarkKind, Severity},
    },
};
use arc_swap::ArcSwap;
use board::Source;
use connectors::Connector;
use lasting::Changes;
use show::Measured;
use state::State;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::MissedTickBehavior,
};
use usage::{Meter, Usage};

pub use board::Board;
pub use range::History;
pub use rollup::{LONGEST, Served};
pub use settings::settings;
pub use show::timer;

/// The tables of this room.
pub const SCHEMA: [&str; 5] = [lasting::SCHEMA, persist::SCHEMA, rollup::SCHEMA, persist::PERSON, rollup::DOWN];

/// Time between an event and the board that shows it. Further events in that time are on the same board.
const SOON: Duration = Duration::from_millis(200);

/// Time for plugins to report their own metrics before a poll reads them. A shim answers within a millisecond, and one
/// that is stuck does not delay the others.
const COLLECT_WITHIN: Duration = Duration::from_millis(20);

/// Users with their own series in `rosey_admin_commands_total`.
const MOST_USERS: usize = 64;

/// Bytes of a user's name as a label.
const MAX_USER: usize = 64;

/// Dead letters of a plugin that a page shows.
const MOST_LETTERS: u32 = 50;

/// Timers shown of a plugin.
const MOST_TIMERS: u32 = 50;

/// Changes, and crashes, kept for each plugin.
const MOST_CHANGES: usize = 50;

/// The limits of the dashboard whose hits are counted.
pub const DASHBOARD_LIMITS: [&str; 8] =
    ["body_time", "connections", "connections_per_address", "guesses", "head_time", "pages", "requests", "write_time"];

/// The configuration of the metrics.
#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// Time between two polls.
    pub poll_interval: Duration,
    /// How far back the history goes.
    pub history_duration: Duration,
    /// Whether Prometheus text is written.
    pub prometheus: bool,
}

/// Access to the measurements. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    config: MetricsConfig,
    began: Instant,
    began_at: SystemTime,
    board: ArcSwap<Board>,
    newest: watch::Sender<u64>,
    something: Notify,
    state: Mutex<State>,
    tallies: Mutex<Tallies>,
    speech: OnceLock<Speech>,
}

/// Counts of events that concern no plugin.
#[derive(Debug, Clone, Default)]
struct Tallies {
    admin: BTreeMap<(String, String), u64>,
    audit: BTreeMap<&'static str, u64>,
    connectors: BTreeMap<ConnectorId, Connector>,
    dashboard_limits: BTreeMap<&'static str, u64>,
    changes: Changes,
    lines: BTreeMap<String, LineCounts>,
    /// The start of the host, in seconds since 1970.
    started: f64,
    poll: Duration,
}

impl Default for Metrics {
    /// Metrics that were never started, for views of plugins without measurements.
    fn default() -> Self {
        Self::new(MetricsConfig {
            poll_interval: Duration::from_secs(5),
            history_duration: Duration::from_secs(3600),
            prometheus: false,
        })
    }
}

impl Metrics {
    /// Metrics without measurements. [`Metrics::start`] begins to measure; events before that are kept.
    pub fn new(config: MetricsConfig) -> Self {
        let now = SystemTime::now();
        let started = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Self(Arc::new(Inner {
            config,
            began: Instant::now(),
            began_at: now,
            board: ArcSwap::default(),
            newest: watch::Sender::new(0),
            something: Notify::new(),
            state: Mutex::default(),
            tallies: Mutex::new(Tallies { started, ..Tallies::default() }),
            speech: OnceLock::new(),
        }))
    }

    /// Sets the sender of plugins' lines, which counts them.
    pub fn set_speech(&self, speech: Speech) {
        // The first one stays.
        let _ = self.0.speech.set(speech);
    }

    /// Reads what earlier hosts left in the database, and persists events there from now on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remember(&self, database: Database) -> Result<(), StoreError> {
        let past = persist::begin(&database, time::rfc3339(self.0.began_at)).await?;
        let mut state = self.state();
        state.database = Some(database);
        let cut_short = past.cut_short.clone();
        state.life = past.life;
        state.recall(past);
        if let Some(began) = cut_short {
            let text =
                format!("the host before, started at {began}, ended without stopping: it was killed or lost power");
            state.mark(self.0.began_at, None, MarkKind::Host, Severity::Warning, &text);
        }
        let text = format!("started: Rosey {}, pid {}", env!("CARGO_PKG_VERSION"), std::process::id());
        state.mark(self.0.began_at, None, MarkKind::Host, Severity::Info, &text);
        Ok(())
    }

    /// Persists the remaining events, and the end of this host. Persists nothing after that, so that a copy of the one
    /// file is complete.
    pub async fn finish(&self) {
        let plugins = self.state().plugins.clone();
        if let Some(plugins) = plugins {
            // The last counts. A slot that does not answer any more has none.
            let _ = tokio::time::timeout(SOON, self.poll(&plugins, None)).await;
        }
        let (database, life, unsaved) = {
            let mut state = self.state();
            state.mark(SystemTime::now(), None, MarkKind::Host, Severity::Info, "stopped");
            state.finish_history();
            (state.database.take(), state.life, std::mem::take(&mut state.unsaved))
        };
        let Some(database) = database else { return };
        if let Err(error) = persist::finish(&database, life, unsaved, time::rfc3339(SystemTime::now())).await {
            tracing::warn!("the last events cannot be written to rosey.db: {error}");
        }
        database.flush().await;
    }

    /// Polls these plugins on `ops` from now on, as long as that runtime lives.
    pub fn start(&self, plugins: Arc<Plugins>, ops: &Handle) {
        self.state().plugins = Some(Arc::clone(&plugins));
        // Where events are moved, and not where they are shown: a busy dashboard is no standstill.
        tokio::spawn(still::watch(self.clone()));
        let metrics = self.clone();
        ops.spawn(async move {
            let mut meter = Meter::default();
            // Makes the first board at once. With an interval, earlier events could come before its first tick.
            metrics.poll(&plugins, Some(&mut meter)).await;
            let interval = metrics.0.config.poll_interval;
            let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let is_poll = tokio::select! {
                    _ = ticks.tick() => {
                        collect(&plugins).await;
                        true
                    }
                    () = metrics.0.something.notified() => {
                        tokio::time::sleep(SOON).await;
                        false
                    }
                };
                metrics.poll(&plugins, is_poll.then_some(&mut meter)).await;
            }
        });
    }

    /// The newest board.
    pub fn latest(&self) -> Arc<Board> {
        self.0.board.load_full()
    }

    /// The number of the newest board; changes with each board.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// The history of a plugin, the oldest point first.
    pub fn series(&self, plugin: &str) -> Vec<Point> {
        let state = self.state();
        state.series.get(plugin).map(|series| series.history.points().copied().collect()).unwrap_or_default()
    }

    /// The marks of one plugin or of all, the newest first.
    pub fn marks(&self, plugin: Option<&str>, limit: usize) -> Vec<Mark> {
        self.state().marks.newest(plugin, limit)
    }

    /// The marks that `passes` accepts, the newest first.
    pub fn marks_that(&self, passes: impl Fn(&Mark) -> bool, limit: usize) -> Vec<Mark> {
        self.state().marks.passing(passes, limit)
    }

    /// Time between two polls.
    pub fn poll_interval(&self) -> Duration {
        self.0.config.poll_interval
    }

    /// How far back the history goes.
    pub fn history_duration(&self) -> Duration {
        self.0.config.history_duration
    }

    /// The plugin of this view, with its measurements of the last poll.
    pub fn plugin(&self, view: &View) -> Plugin {
        let (state, mut view) = (self.state(), view.clone());
        state.lasting.add_to(&mut view);
        show::plugin(&view, state.measured.get(&*view.plugin).unwrap_or(&Measured::default()))
    }

    /// A plugin's usage at the last poll: percent of one core, and bytes of memory.
    pub fn usage(&self, plugin: &str) -> Option<(f64, u64)> {
        let usage = self.state().measured.get(plugin)?.usage;
        Some((usage.cpu_percent, usage.memory_bytes))
    }

    /// Sets the plugin of each command, in lower case.
    pub fn set_owners(&self, owners: BTreeMap<String, String>) {
        self.state().owners = owners;
    }

    /// Records a lifecycle event of a plugin. Called on a slot's task; takes a short lock.
    pub fn happened(&self, event: &LifecycleEvent) {
        match event.kind {
            LifecycleKind::Manifest(_) => return,
            LifecycleKind::Left => self.tallies().changes.retain(|(plugin, ..), _| **plugin != *event.plugin),
            _ => {}
        }
        if let LifecycleKind::Changed { kind, result, .. } = &event.kind {
            self.count_change(&event.plugin, MarkKind::from(*kind).word(), result.is_ok());
        }
        self.state().happened(event);
        self.0.something.notify_one();
    }

    /// Records a change on request for the plugin's page. Ignores a plugin that does not exist.
    pub fn changed(&self, plugin: &str, change: Change) {
        let mut state = self.state();
        if state.plugins.as_ref().is_some_and(|plugins| plugins.handle(plugin).is_ok()) {
            state.changed(plugin, change);
        }
        drop(state);
        self.0.something.notify_one();
    }

    /// Counts a reload, restart or rollback that was refused before it reached its slot. The slot counts the others.
    pub fn change_refused(&self, plugin: &str, kind: &'static str) {
        self.count_change(plugin, kind, false);
        if let Some(measured) = self.state().measured.get_mut(plugin) {
            measured.reloads_refused += 1;
        }
    }

    /// Counts a hit of one of [`DASHBOARD_LIMITS`].
    pub fn dashboard_limit(&self, limit: &'static str) {
        *self.tallies().dashboard_limits.entry(limit).or_default() += 1;
    }

    /// Counts a record of the audit by its stage.
    pub fn audited(&self, stage: &'static str) {
        *self.tallies().audit.entry(stage).or_default() += 1;
    }

    /// Records any other event.
    pub fn mark(&self, plugin: Option<&str>, kind: MarkKind, severity: Severity, text: &str) {
        self.state().mark(SystemTime::now(), plugin, kind, severity, text);
        self.0.something.notify_one();
    }

    /// Records what a person did.
    pub fn mark_of(&self, person: &str, plugin: Option<&str>, severity: Severity, text: &str) {
        let kind = (MarkKind::Admin, severity);
        self.state().mark_of(SystemTime::now(), plugin, Some(person), kind, text);
        self.0.something.notify_one();
    }

    /// Counts an admin command, one of a fixed set of words. Denied commands (`None`) count as `_denied`, and beyond 64
    /// users all others as `_other`.
    pub fn admin_command(&self, command: &str, user: Option<&str>) {
        let mut tallies = self.tallies();
        let mut user = user.map_or_else(|| "_denied".to_owned(), |user| clean(user, MAX_USER));
        let users: HashSet<&str> = tallies.admin.keys().map(|(_, user)| user.as_str()).collect();
        if users.len() >= MOST_USERS && !users.contains(user.as_str()) {
            "_other".clone_into(&mut user);
        }
        *tallies.admin.entry((command.to_owned(), user)).or_default() += 1;
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a new board. With a meter it also measures, and adds points to the history.
    async fn poll(&self, plugins: &Plugins, meter: Option<&mut Meter>) {
        let began = Instant::now();
        let mut views = plugins.views().await;
        let measures = meter.is_some();
        if let Some(meter) = meter {
            self.measure(plugins, &views, meter);
        }
        let letters = dead_letter::counts(plugins.database()).await.unwrap_or_default();
        if measures {
            plugins.database().retry().await;
        }
        let offered = plugins.offered().await;
        let mut tallies = self.tallies().clone();
        let (mut snapshot, custom) = {
            let mut state = self.state();
            views.retain(|view| plugins.handle(&view.plugin).is_ok());
            state.learn(&views, &letters, began);
            if measures {
                state.poll(&views, began, self.0.config.history_duration);
            }
            state.judge();
            state.last(&mut views, &mut tallies.changes);
            let none = Measured::default();
            let shown = |view: &View| show::plugin(view, state.measured.get(&*view.plugin).unwrap_or(&none));
            let shown: Vec<_> = views.iter().map(shown).collect();
            let custom =
                views.iter().map(|view| (view.plugin.to_string(), state.custom(&view.plugin))).collect::<Vec<_>>();
            let host = state.host.last().copied().unwrap_or_default();
            (self.snapshot(&views, shown, host, plugins.database().trouble()), custom)
        };
        snapshot.system.not_loaded = offered;
        self.save();
        tallies.lines = self.0.speech.get().map(Speech::counts).unwrap_or_default();
        let source = self.0.config.prometheus.then_some(Source { views, custom, tallies });
        // The read model is plain data that JSON can represent.
        let json = serde_json::to_vec(&snapshot).unwrap_or_default();
        let number = self.0.board.load().number + 1;
        self.0.board.store(Arc::new(Board {
            number,
            snapshot,
            json: json.into(),
            source,
            prometheus: OnceLock::new(),
        }));
        self.0.newest.send_replace(number);
        if measures {
            self.tallies().poll = began.elapsed();
        }
    }

    /// Measures processor time and memory.
    fn measure(&self, plugins: &Plugins, views: &[View], meter: &mut Meter) {
        let mut groups: Vec<Vec<u32>> = Vec::with_capacity(views.len() + 1);
        let mut owners = Vec::new();
        for view in views {
            for generation in &view.generations {
                owners.push(&*view.plugin);
                groups.push(vec![generation.pid]);
            }
        }
        let used = meter.measure(&groups);
        let mut sums: HashMap<&str, Usage> = HashMap::new();
        for (plugin, usage) in owners.into_iter().zip(used) {
            let sum = sums.entry(plugin).or_default();
            sum.cpu_percent += usage.cpu_percent;
            sum.memory_bytes += usage.memory_bytes;
        }
        let mut state = self.state();
        for view in views {
            // A plugin that has left the set meanwhile is not measured.
            let Ok(config) = plugins.config(&view.plugin) else { continue };
            let measured = state.measured.entry(view.plugin.to_string()).or_default();
            measured.usage = sums.get(&*view.plugin).copied().unwrap_or_default();
            measured.lines_left_out = plugins.journal().left_out(&view.plugin);
            measured.queue_limit = config.limits.queue;
            measured.store_limits = (config.limits.store_keys, config.limits.store_bytes);
            measured.group.clone_from(&config.group);
        }
    }

    /// Persists new events, without waiting for the end.
    fn save(&self) {
        if let Some((database, unsaved)) = self.state().take_unsaved() {
            let metrics = self.clone();
            tokio::spawn(async move {
                let written = persist::save(&database, unsaved).await;
                metrics.state().saved(written);
            });
        }
    }
}

/// Asks all plugins for their own metrics, and waits a moment for the answers.
async fn collect(plugins: &Plugins) {
    for name in plugins.names() {
        if let Ok(handle) = plugins.handle(&name) {
            // Fails only when the host is stopping.
            let _ = handle.tell(Command::Collect).await;
        }
    }
    tokio::time::sleep(COLLECT_WITHIN).await;
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
