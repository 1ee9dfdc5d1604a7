//! One truth for every plugin, over time: for people, programs and Prometheus.
//!
//! Figures are recorded where they happen, in the slots. Every `poll_interval` the collector takes one snapshot of all of
//! them, measures the processes (`usage`), keeps a history (`history`) and writes a [`Board`]: the read model, JSON and
//! Prometheus text of one moment, shared by all who ask until the next. What happens in between (`marks`) makes a new board
//! within a quarter of a second. May import `plugin`, `view`, `event` and `time`; knows nothing of HTTP.

mod custom;
mod history;
mod marks;
mod prometheus;
mod show;
pub mod traffic;
mod usage;

use crate::{
    event::OUTCOMES,
    plugin::{
        Plugins,
        artifact::Hash,
        dead_letter,
        slot::{
            histogram::Histogram,
            message::{Command, Happening, View, What},
            state::Note,
        },
    },
    time,
    view::{Change, Detail, Mark, Plugin, Point, Snapshot, System},
};
use arc_swap::ArcSwap;
use history::History;
use marks::Marks;
use show::Measured;
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::MissedTickBehavior,
};
use traffic::Traffic;
use usage::{Meter, Usage};

/// Between something happening and the board that shows it; more that happens meanwhile is on the same board.
const SOON: Duration = Duration::from_millis(200);

/// Over which response times are summed up for people.
const MINUTE: Duration = Duration::from_secs(60);

/// Users that have a series of their own in `rosey_admin_commands_total`.
const MOST_USERS: usize = 64;

/// Versions remembered by their artifact, to name what a rollback came from.
const MOST_VERSIONS: usize = 1000;

/// Dead letters shown of a plugin.
const MOST_LETTERS: u32 = 50;

/// Changes kept of a plugin.
const MOST_CHANGES: usize = 50;

/// What is measured, and how.
#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// Between two polls.
    pub poll_interval: Duration,
    /// How far back the history goes.
    pub history_duration: Duration,
    /// Whether Prometheus text is written.
    pub prometheus: bool,
}

/// Everything at one moment.
#[derive(Debug, Default)]
pub struct Board {
    /// Counts boards; 0 is the empty one before the first poll.
    pub number: u64,
    /// The read model.
    pub snapshot: Snapshot,
    /// It as JSON, for `/api/metrics`.
    pub json: Arc<[u8]>,
    /// It as Prometheus text 0.0.4, for `/metrics`; empty when that is off.
    pub prometheus: Arc<[u8]>,
}

/// The way to what is measured. Cheap to clone.
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
}

#[derive(Default)]
struct State {
    plugins: Option<Arc<Plugins>>,
    marks: Marks,
    measured: HashMap<String, Measured>,
    series: HashMap<String, Series>,
    versions: HashMap<String, String>,
    changes: HashMap<String, VecDeque<Change>>,
}

/// One plugin over time.
#[derive(Default)]
struct Series {
    history: History,
    accepted: u64,
    polled: Option<Instant>,
    /// What the response times were at each poll of the last minute, the oldest first.
    minute: VecDeque<(Instant, Histogram)>,
}

/// What is counted here because it happens to no plugin.
#[derive(Debug, Clone, Default)]
struct Tallies {
    admin: BTreeMap<(String, String), u64>,
    audit: BTreeMap<&'static str, u64>,
    connectors: BTreeMap<&'static str, Connector>,
    /// Seconds since 1970.
    started: f64,
    poll: Duration,
}

/// One way in and out.
#[derive(Debug, Clone, Default)]
struct Connector {
    /// Whether it is connected, once it has tried.
    connected: Option<bool>,
    traffic: Arc<Traffic>,
}

impl Default for Metrics {
    /// One that was never started, for those who show plugins without measuring them.
    fn default() -> Self {
        Self::new(MetricsConfig {
            poll_interval: Duration::from_secs(5),
            history_duration: Duration::from_secs(3600),
            prometheus: false,
        })
    }
}

impl Metrics {
    /// Nothing measured yet; [`Metrics::start`] begins. What happens meanwhile is kept.
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
        }))
    }

    /// Polls these plugins on `ops` from now on, for as long as that runtime lives.
    pub fn start(&self, plugins: Arc<Plugins>, ops: &Handle) {
        self.state().plugins = Some(Arc::clone(&plugins));
        let metrics = self.clone();
        ops.spawn(async move {
            let mut meter = Meter::default();
            let mut ticks = tokio::time::interval(metrics.0.config.poll_interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let is_poll = tokio::select! {
                    _ = ticks.tick() => true,
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

    /// The number of the newest board, and a way to wait for the next.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// One plugin in full; `None` when there is no such plugin.
    pub async fn detail(&self, plugin: &str) -> Option<Detail> {
        let plugins = self.state().plugins.clone()?;
        let (view, config) = (plugins.view(plugin).await.ok()?, plugins.config(plugin).ok()?);
        let letters = dead_letter::list(plugins.database(), Some(plugin), MOST_LETTERS).await.unwrap_or_default();
        let state = self.state();
        let measured = state.measured.get(plugin).cloned().unwrap_or_default();
        let mut detail = show::detail(&view, &measured, config);
        detail.letters = letters.into_iter().map(show::letter).collect();
        if let Some(series) = state.series.get(plugin) {
            detail.history = series.history.points().map(show::sample).collect();
            detail.metrics.aggregates_1h = series.history.aggregates(now_seconds().saturating_sub(3600));
        }
        detail.changes = state.changes.get(plugin).into_iter().flatten().rev().cloned().collect();
        detail.marks = state.marks.newest(Some(plugin), 200);
        detail.marks.reverse();
        Some(detail)
    }

    /// The history of a plugin, the oldest point first.
    pub fn series(&self, plugin: &str) -> Vec<Point> {
        let state = self.state();
        state.series.get(plugin).map(|series| series.history.points().copied().collect()).unwrap_or_default()
    }

    /// What happened to one plugin or to all, the newest first.
    pub fn marks(&self, plugin: Option<&str>, limit: usize) -> Vec<Mark> {
        self.state().marks.newest(plugin, limit)
    }

    /// One plugin as it is in this view, with what was measured of it at the last poll.
    pub fn plugin(&self, view: &View) -> Plugin {
        show::plugin(view, self.state().measured.get(&*view.plugin).unwrap_or(&Measured::default()))
    }

    /// What a plugin used at the last poll: percent of one core, and bytes of memory.
    pub fn usage(&self, plugin: &str) -> Option<(f64, u64)> {
        let usage = self.state().measured.get(plugin)?.usage;
        Some((usage.cpu_percent, usage.memory_bytes))
    }

    /// Takes note of something that happened to a plugin. Called on a slot's task; takes a short lock.
    pub fn happened(&self, happening: &Happening) {
        if let What::Manifest(_) = happening.what {
            return;
        }
        let mut state = self.state();
        state.marks.happened(happening);
        if let What::Note(Note::RolledBack { from, to, why, .. }) = &happening.what {
            let (from, to) = (state.version(*from), state.version(*to));
            let (at, kind, by) = (time::rfc3339(happening.at), "rollback".to_owned(), "rosey".to_owned());
            let change = Change { at, kind, by, from, to, took: None, ok: true, result: why.clone() };
            state.changed(&happening.plugin, change);
        }
        drop(state);
        self.0.something.notify_one();
    }

    /// Keeps the record of a change on request for the plugin's page. Of a plugin that does not exist nothing is kept.
    pub fn changed(&self, plugin: &str, change: Change) {
        let mut state = self.state();
        if state.plugins.as_ref().is_some_and(|plugins| plugins.handle(plugin).is_ok()) {
            state.changed(plugin, change);
        }
    }

    /// Counts a record of the audit, by its stage.
    pub fn audited(&self, stage: &'static str) {
        *self.tallies().audit.entry(stage).or_default() += 1;
    }

    /// Takes note of something else.
    pub fn mark(&self, plugin: Option<&str>, kind: &'static str, severity: &'static str, text: &str) {
        self.state().marks.push(SystemTime::now(), plugin, kind, severity, text);
        self.0.something.notify_one();
    }

    /// Counts an admin command, one of a fixed set of words. Who may not give it (`None`) is counted as
    /// `_denied`; beyond 64 users, all others as `_other`.
    pub fn admin_command(&self, command: &str, user: Option<&str>) {
        let mut tallies = self.tallies();
        let user = user.unwrap_or("_denied");
        let users: HashSet<&str> = tallies.admin.keys().map(|(_, user)| user.as_str()).collect();
        let user = if users.len() >= MOST_USERS && !users.contains(user) { "_other" } else { user }.to_owned();
        *tallies.admin.entry((command.to_owned(), user)).or_default() += 1;
    }

    /// Notes that a connector is connected, or is not any more.
    pub fn connector(&self, name: &'static str, connected: bool) {
        let before = {
            let mut tallies = self.tallies();
            let connector = tallies.connectors.entry(name).or_default();
            let before = connector.connected.replace(connected);
            if connected && before != Some(true) {
                connector.traffic.connected();
            }
            before
        };
        if before != Some(connected) {
            let (severity, text) = if connected { ("info", "connected") } else { ("warning", "disconnected") };
            self.mark(None, "connector", severity, &format!("{name} {text}"));
        }
    }

    /// Where a connector counts what goes through it.
    pub fn traffic(&self, name: &'static str) -> Arc<Traffic> {
        Arc::clone(&self.tallies().connectors.entry(name).or_default().traffic)
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a new board; with a meter, measures as well and adds to the history.
    async fn poll(&self, plugins: &Plugins, meter: Option<&mut Meter>) {
        let began = Instant::now();
        let views = plugins.views().await;
        let measures = meter.is_some();
        if let Some(meter) = meter {
            self.measure(plugins, &views, meter).await;
            // Seen at the next poll: a plugin that takes its time does not hold up the others.
            for view in &views {
                if let Ok(handle) = plugins.handle(&view.plugin) {
                    // Fails only when the host is stopping.
                    let _ = handle.tell(Command::Collect).await;
                }
            }
        }
        let (snapshot, custom) = {
            let mut state = self.state();
            for view in &views {
                state.learn_versions(view);
                state.update(view, measures, began, self.0.config.history_duration);
            }
            let none = Measured::default();
            let shown = |view: &View| show::plugin(view, state.measured.get(&*view.plugin).unwrap_or(&none));
            let shown: Vec<_> = views.iter().map(shown).collect();
            let custom: Vec<_> =
                views.iter().map(|view| (view.plugin.to_string(), custom::read(&view.account.custom))).collect();
            (self.snapshot(&views, shown), custom)
        };
        let tallies = self.tallies().clone();
        let text = match self.0.config.prometheus {
            true => prometheus::render(&snapshot, &views, &custom, &tallies),
            false => String::new(),
        };
        // The read model is plain data, and JSON has room for all of it.
        let json = serde_json::to_vec(&snapshot).unwrap_or_default();
        let number = self.0.board.load().number + 1;
        self.0.board.store(Arc::new(Board {
            number,
            snapshot,
            json: json.into(),
            prometheus: text.into_bytes().into(),
        }));
        self.0.newest.send_replace(number);
        if measures {
            self.tallies().poll = began.elapsed();
        }
    }

    /// Measures processor time and memory, and tells the slots of it, which enforce their limits.
    async fn measure(&self, plugins: &Plugins, views: &[View], meter: &mut Meter) {
        let mut groups: Vec<Vec<u32>> = Vec::with_capacity(views.len() + 1);
        let mut owners = Vec::new();
        for view in views {
            for generation in &view.generations {
                owners.push((&*view.plugin, generation.number));
                groups.push(vec![generation.pid]);
            }
        }
        let used = meter.look(&groups);
        let letters = dead_letter::counts(plugins.database()).await.unwrap_or_default();
        let mut sums: HashMap<&str, Usage> = HashMap::new();
        for ((plugin, generation), usage) in owners.into_iter().zip(used) {
            let sum = sums.entry(plugin).or_default();
            sum.cpu_percent += usage.cpu_percent;
            sum.memory_bytes += usage.memory_bytes;
            if let Ok(handle) = plugins.handle(plugin) {
                // Fails only when the host is stopping.
                let _ = handle.tell(Command::Memory { generation, bytes: usage.memory_bytes }).await;
            }
        }
        let mut state = self.state();
        for view in views {
            let measured = state.measured.entry(view.plugin.to_string()).or_default();
            measured.usage = sums.get(&*view.plugin).copied().unwrap_or_default();
            measured.lines_left_out = plugins.journal().left_out(&view.plugin);
            measured.dead_letters = letters.get(&*view.plugin).copied().map_or(0, u64::from);
        }
    }

    fn snapshot(&self, views: &[View], plugins: Vec<crate::view::Plugin>) -> Snapshot {
        let count = |states: &[&str]| plugins.iter().filter(|plugin| states.contains(&plugin.state)).count();
        let total = |at: usize| views.iter().map(|view| view.ledger.outcomes[at]).sum();
        let outcomes = OUTCOMES.iter().enumerate().map(|(at, name)| (*name, total(at))).collect();
        let connectors = {
            let tallies = self.tallies();
            let word = |one: &Connector| if one.connected == Some(true) { "connected" } else { "disconnected" };
            tallies.connectors.iter().map(|(name, one)| ((*name).to_owned(), word(one))).collect()
        };
        let pid = std::process::id();
        let system = System {
            total_events: views.iter().map(|view| view.ledger.accepted).sum(),
            total_plugins: plugins.len(),
            plugins_running: count(&["running", "reloading", "draining"]),
            plugins_crashed: count(&["crashed", "failed", "unhealthy"]),
            outcomes,
            queued: views.iter().map(|view| view.queued).sum(),
            in_flight: views.iter().map(|view| view.in_flight).sum(),
            memory_bytes: crate::plugin::output::resident_bytes(pid).unwrap_or_default(),
            pid,
            version: env!("CARGO_PKG_VERSION"),
            connectors,
        };
        Snapshot {
            timestamp: time::rfc3339(SystemTime::now()),
            started_at: time::rfc3339(self.0.began_at),
            bot_uptime: self.0.began.elapsed().as_secs(),
            plugins,
            system,
        }
    }
}

impl State {
    fn changed(&mut self, plugin: &str, change: Change) {
        let changes = self.changes.entry(plugin.to_owned()).or_default();
        if changes.len() >= MOST_CHANGES {
            changes.pop_front();
        }
        changes.push_back(change);
    }

    /// What an artifact is called, by its version if that was ever seen to run.
    fn version(&self, artifact: Hash) -> Option<String> {
        Some(self.versions.get(&artifact.to_string()).cloned().unwrap_or_else(|| artifact.short()))
    }

    fn learn_versions(&mut self, view: &View) {
        for generation in &view.generations {
            if self.versions.len() < MOST_VERSIONS {
                self.versions.entry(generation.artifact.to_string()).or_insert_with(|| generation.version.clone());
            }
        }
    }

    /// Rates and response times since the poll before; at a poll, a point of the history.
    fn update(&mut self, view: &View, is_poll: bool, now: Instant, keep: Duration) {
        if !is_poll {
            return;
        }
        let series = self.series.entry(view.plugin.to_string()).or_default();
        let measured = self.measured.entry(view.plugin.to_string()).or_default();
        let passed = series.polled.map(|polled| now.saturating_duration_since(polled).as_secs_f64());
        measured.rate =
            passed.map_or(0.0, |passed| (view.ledger.accepted - series.accepted) as f64 / passed.max(0.001));
        (series.polled, series.accepted) = (Some(now), view.ledger.accepted);
        let last = series.minute.back().map_or(Histogram::default(), |(_, last)| *last);
        let lately = view.account.response.since(&last);
        while series.minute.len() > 1 && now.saturating_duration_since(series.minute[0].0) > MINUTE {
            series.minute.pop_front();
        }
        measured.minute =
            view.account.response.since(&series.minute.front().map_or(Histogram::default(), |(_, first)| *first));
        series.minute.push_back((now, view.account.response));
        let quantile = |share| lately.quantile(share).map_or(f32::NAN, |seconds| seconds as f32);
        let point = Point {
            at: now_seconds(),
            cpu: measured.usage.cpu_percent as f32,
            memory: show::megabytes(measured.usage.memory_bytes) as f32,
            events_per_second: measured.rate as f32,
            response_p50: quantile(0.5),
            response_p95: quantile(0.95),
        };
        series.history.push(point, keep);
    }
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
