//! The storm: many plugins under load while faults happen at random. Shims are killed and stopped, write garbage, leak,
//! and crash on poison events; plugins are reloaded with good and bad builds, restarted and rolled back.
//!
//! With hostile plugins, those alone misbehave, and all others must serve as if they were not there.
//!
//! At the end each event must have exactly one answer, each channel must have its answers in order, and every ledger
//! must balance.

use crate::{
    bot::signal_process,
    build,
    rig::{PATIENCE, Rig, plugin},
};
use rosey::{
    event::Place,
    plugins::{PluginConfig, Sandbox},
    slot::lifecycle::LifecycleKind,
};
use rosey_core::{limits::Limits, outcome::OUTCOMES, state::ReloadMode};
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, mpsc};

/// The storm's parameters.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Seeds every random decision.
    pub seed: u64,
    /// Plugins in the storm, a third in each reload mode.
    pub plugins: usize,
    /// Channels, each of which talks to all plugins.
    pub channels: usize,
    /// Events of one channel in flight at a time.
    pub window: usize,
    /// Duration of the storm.
    pub lasts: Duration,
    /// Time between two faults.
    pub fault_every: Duration,
    /// Hostile plugins beside the others. With some of them, they alone misbehave, and the others must lose nothing.
    pub hostile: usize,
}

/// The result of a storm that passed all checks.
#[derive(Debug, Default)]
pub struct Account {
    /// Events sent, and answers received.
    pub events: u64,
    /// Events by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Deliveries beyond the first.
    pub redelivered: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Crashes by cause.
    pub crashes: BTreeMap<&'static str, u64>,
    /// Crashes of hostile plugins, by cause.
    pub hostile: BTreeMap<&'static str, u64>,
    /// Reloads and rollbacks that were done, and those that were refused.
    pub changes: (u64, u64),
}

const FAULTS: [&str; 9] =
    ["kill", "stop", "garbage", "leak", "poison", "good build", "bad build", "restart", "rollback"];

/// What hostile plugins do: they flood, spin, fork, signal, and take memory and descriptors.
const HOSTILE: [&str; 13] = [
    "!act flood-pong",
    "!act flood-metrics",
    "!act flood-state",
    "!act flood-answer",
    "!act flood-log",
    "!act flood-call",
    "!act flood-gets",
    "!shout 50000",
    "!gobble 300",
    "!act signal-all",
    "!act many-descriptors",
    "!sh for n in 1 2; do timeout 1 sh -c 'while :; do :; done' > /dev/null 2>&1 & done; echo spins",
    "!sh for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 2 > /dev/null 2>&1 & done; echo forks",
];

const BAD: [&str; 7] = [
    "create-refuses",
    "create-panics",
    "create-exits",
    "probe-fails",
    "probe-hangs",
    "probe-crashes",
    "probe-is-silent",
];

const MODES: [ReloadMode; 3] = [ReloadMode::Overlap, ReloadMode::Handoff, ReloadMode::Exclusive];

/// Runs the storm on a current-thread runtime.
///
/// # Panics
/// When a check fails.
pub async fn play(plan: Plan) -> Account {
    let folder = tempfile::tempdir().expect("a directory");
    let names: Vec<String> = (0..plan.plugins).map(|n| format!("p{n}")).collect();
    let library = |name: &str| folder.path().join(format!("{name}.so"));
    let configs = names.iter().zip(MODES.into_iter().cycle()).map(|(name, mode)| {
        build::variant(&library(name), "good");
        let limits = if plan.hostile > 0 { plugin(name, &library(name)).limits } else { limits() };
        PluginConfig { limits, reload: Some(mode), ..plugin(name, &library(name)) }
    });
    let hostile: Vec<String> = (0..plan.hostile).map(|n| format!("h{n}")).collect();
    let sandbox = Sandbox { processes: true, ..Sandbox::default() };
    let hostile_library = build::library("misbehave");
    let hostile_configs = hostile.iter().map(|name| PluginConfig {
        limits: limits(),
        sandbox: sandbox.clone(),
        ..plugin(name, &hostile_library)
    });
    let rig = Arc::new(Rig::start(configs.chain(hostile_configs).collect()).await);
    let mut account = Account::default();
    let stop = Arc::new(AtomicBool::new(false));
    let places = (0..plan.channels).map(|n| Arc::new(Place::new("chaos", n.to_string())));
    let talks = places.flat_map(|place| names.iter().map(move |name| (name.clone(), Arc::clone(&place))));
    let talk = |(name, place)| tokio::spawn(talk(Arc::clone(&rig), name, place, plan.window, Arc::clone(&stop)));
    let talks: Vec<_> = talks.map(talk).collect();
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let (began, mut ticks) = (Instant::now(), tokio::time::interval(plan.fault_every));
    let mut changes = tokio::task::JoinSet::new();
    let building: Vec<Arc<Mutex<()>>> = names.iter().map(|_| Arc::default()).collect();
    while began.elapsed() < plan.lasts {
        ticks.tick().await;
        if let Some(name) = random.choice(&hostile) {
            let line = HOSTILE[random.usize(..HOSTILE.len())];
            *account.faults.entry(line).or_default() += 1;
            rig.tell(name, line).await;
            continue;
        }
        let (at, kind) = (random.usize(..names.len()), FAULTS[random.usize(..FAULTS.len())]);
        *account.faults.entry(kind).or_default() += 1;
        let (name, building) = (names[at].clone(), Arc::clone(&building[at]));
        let what = Fault { kind, path: library(&name), name, building, number: random.u32(..) };
        changes.spawn(what.strike(Arc::clone(&rig)));
        while changes.try_join_next().is_some() {}
    }
    while changes.join_next().await.is_some() {}
    stop.store(true, Relaxed);
    for talk in talks {
        account.events += talk.await.expect("what must hold in a channel holds");
    }
    wait_until_at_rest(&rig, &names, &mut account).await;
    account.hostile = crashes(&rig, &hostile);
    let pids: Vec<u32> =
        rig.plugins.views().await.iter().flat_map(|view| view.generations.clone()).map(|g| g.pid).collect();
    rig.plugins.stop_all().await;
    assert!(!pids.iter().any(|pid| crate::bot::runs(*pid)), "a process is left");
    account
}

fn limits() -> Limits {
    Limits {
        queue: 2000,
        event_deadline: Duration::from_secs(10),
        start_timeout: Duration::from_secs(5),
        probe_timeout: Duration::from_secs(2),
        drain_timeout: Duration::from_secs(2),
        handoff_timeout: Duration::from_millis(500),
        bake: Duration::from_secs(2),
        heartbeat: Duration::from_millis(500),
        hang_timeout: Duration::from_secs(1),
        memory_mb: 128,
        stable_after: Duration::from_millis(500),
        crash_loop_starts: 1000,
        crash_loop_hour: 100_000,
        backoff_first: Duration::from_millis(10),
        backoff_max: Duration::from_millis(100),
        ..Limits::default()
    }
}

async fn wait_until_at_rest(rig: &Rig, names: &[String], account: &mut Account) {
    let mut accepted = 0;
    for name in names {
        let view = rig.until(name, |view| view.queued == 0 && view.in_flight == 0).await;
        assert_eq!(view.ledger.accepted, view.ledger.finished(), "{name}: the ledger does not balance: {view:#?}");
        accepted += view.ledger.accepted;
        account.redelivered += view.ledger.redelivered;
        account.changes.0 += view.account.reloads.0;
        account.changes.1 += view.account.reloads.1;
        for (outcome, count) in OUTCOMES.iter().zip(view.ledger.outcomes) {
            *account.outcomes.entry(outcome).or_default() += count;
        }
    }
    account.crashes = crashes(rig, names);
    // Faults that are commands are events too, without an answer.
    let by_command = ["garbage", "leak", "poison"].iter().filter_map(|kind| account.faults.get(kind)).sum::<u64>();
    assert_eq!(accepted, account.events + by_command, "events accepted and events sent");
}

/// The crashes of these plugins, by cause.
fn crashes(rig: &Rig, names: &[String]) -> BTreeMap<&'static str, u64> {
    let mut causes = BTreeMap::new();
    for what in names.iter().flat_map(|name| rig.lifecycle(name)) {
        if let LifecycleKind::Crash(crash) = what {
            *causes.entry(crash.cause.name()).or_default() += 1;
        }
    }
    causes
}

struct Fault {
    kind: &'static str,
    name: String,
    path: PathBuf,
    building: Arc<Mutex<()>>,
    number: u32,
}

impl Fault {
    async fn strike(self, rig: Arc<Rig>) {
        let pid = || async {
            let view = rig.plugins.view(&self.name).await.expect("it is there");
            view.active().map(|active| active.pid)
        };
        match self.kind {
            "kill" | "stop" => {
                let signal = if self.kind == "kill" { Signal::KILL } else { Signal::STOP };
                // It may be gone by now.
                if let Some(pid) = pid().await.filter(|pid| crate::bot::runs(*pid)) {
                    let _ = std::panic::catch_unwind(|| signal_process(pid, signal));
                }
            }
            "garbage" => rig.tell(&self.name, "!garbage").await,
            "leak" => rig.tell(&self.name, "!leak 200").await,
            "poison" => rig.tell(&self.name, "!abort").await,
            // Whether a change succeeds depends on other faults; that it loses no event must not.
            "good build" => drop(self.reload(&rig, &format!("good-{}", self.number)).await),
            "bad build" => {
                let bad = BAD[self.number as usize % BAD.len()];
                assert!(self.reload(&rig, bad).await.is_err(), "{bad} was accepted");
            }
            "restart" => drop(rig.plugins.restart(&self.name).await),
            "rollback" => drop(rig.plugins.rollback(&self.name).await),
            other => unreachable!("{other}"),
        }
    }

    async fn reload(&self, rig: &Rig, variant: &str) -> Result<(), String> {
        let candidate = {
            // One build at a time, as with cargo.
            let _building = self.building.lock().await;
            let (path, variant) = (self.path.clone(), variant.to_owned());
            tokio::task::spawn_blocking(move || build::variant(&path, &variant)).await.expect("it is made");
            rig.plugins.inspect(&self.name).await.map_err(|error| error.to_string())?
        };
        rig.plugins.reload(&self.name, candidate.artifact, true).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Talks to one plugin in one channel until told to stop, and returns the number of events. Each answer must belong to
/// the next event that is due: the plugin's own answer, or the reason why there is none.
async fn talk(rig: Arc<Rig>, name: String, place: Arc<Place>, window: usize, stop: Arc<AtomicBool>) -> u64 {
    let (outgoing, mut answers) = mpsc::channel(window);
    let (mut sent, mut answered) = (0u64, 0u64);
    while answered < sent || !stop.load(Relaxed) {
        while sent < answered + window as u64 && !stop.load(Relaxed) {
            rig.send(&name, &format!("!echo {sent}"), &place, &outgoing).await;
            sent += 1;
        }
        let answer = tokio::time::timeout(2 * PATIENCE, answers.recv()).await;
        let text = answer.unwrap_or_else(|_| panic!("{name}: {answered} has no answer")).expect("open").text;
        let text = text.unwrap_or_default();
        let is_due = text.parse() == Ok(answered) || text.starts_with(&format!("{name} "));
        assert!(is_due, "{name}: {answered} was due, and {text:?} came");
        answered += 1;
    }
    assert!(answers.try_recv().is_err(), "{name}: an answer too many");
    sent
}
