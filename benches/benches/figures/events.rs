//! Events: one at a time, as many as possible, and more than possible.

use crate::{RUNS, limits};
use benches::{
    limit,
    syscalls::Count,
    table::{Row, median, quantile, time},
    used::Used,
};
use rosey::{
    event::Place,
    metrics::{Metrics, MetricsConfig},
    plugins::{self, PluginConfig},
    process::memory::resident_bytes,
    router::Router,
};
use rosey_core::limits::Limits;
use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, sync::mpsc};

/// One event at a time, through router, ledger, slot, link, shim, plugin and back to the connector.
pub fn round_trip(rows: &mut Vec<Row>) {
    for (pinned, target) in [(true, "≤ 1.5"), (false, "≤ 1.15")] {
        limit::pin(pinned);
        let (mut ours, mut least) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            least.push(quantile(&mut limit::ping_pong(64, 5000), 0.5));
            ours.push(quantile(&mut one_at_a_time(64, 5000), 0.5));
        }
        let how = if pinned { "both on one core" } else { "unpinned" };
        let what = format!("round trip p50, 64 B, {how}");
        rows.push(Row::time(what, quantile(&mut ours, 0.5), quantile(&mut least, 0.5), target));
    }
}

fn one_at_a_time(size: usize, rounds: usize) -> Vec<Duration> {
    plugins::runtime().expect("a runtime").block_on(async {
        let (rig, routers) = Rig::echoes(1, &limits()).await;
        trips(&rig, &routers[0], &"x".repeat(size), 100).await;
        let times = trips(&rig, &routers[0], &"x".repeat(size), rounds).await;
        rig.stop().await;
        times
    })
}

/// Round trips of 64 bytes, one at a time.
pub async fn round_trips(rig: &Rig, router: &Router, rounds: usize) -> Vec<Duration> {
    trips(rig, router, &"x".repeat(64), rounds).await
}

async fn trips(rig: &Rig, router: &Router, text: &str, rounds: usize) -> Vec<Duration> {
    let (outgoing, mut answers) = mpsc::channel(1);
    let (place, line) = (Arc::new(Place::new("bench", "here")), format!("!echo {text}"));
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        router.route(&line, &rig.user, &place, &outgoing).await;
        answers.recv().await.expect("an answer");
        times.push(began.elapsed());
    }
    times
}

/// A window of 1,024 events in flight, with one plugin and with many; then a hundred events, and a whole window, for
/// each plugin.
pub fn throughput(rows: &mut Vec<Row>) {
    limit::pin(false);
    for (count, window, events) in
        [(1, 1024, 1_000_000), (10, 1024, 500_000), (100, 1024, 200_000), (100, 102_400, 1_000_000)]
    {
        let (mut ours, mut most) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            most.push(limit::pipelined(count, 64, window, 10 * events));
            ours.push(pipelined(count, window, events, None).per_second);
        }
        let what = format!("throughput, window {window}, 64 B, {count} plugins");
        let target = if count == 1 { "≥ 1,500 k/s" } else { "" };
        rows.push(Row::rate(what, median(&mut ours), median(&mut most), target));
    }
}

/// The cost of an event on a busy machine, which should not depend on the number of plugins.
pub fn cost(rows: &mut Vec<Row>) {
    limit::pin(false);
    let mut alone = None;
    for (count, window) in [(1, 1024), (10, 1024), (100, 1024), (100, 102_400), (300, 307_200)] {
        let mut runs: Vec<Run> = (0..3).map(|_| pipelined(count, window, 200_000, None)).collect();
        let runtime = plugins::runtime().expect("a runtime");
        let counted = pipelined_on(&runtime, count, window, 200_000, None, true).syscalls;
        runs.sort_by(|a, b| a.processor.total_cmp(&b.processor));
        let Run { processor, switches, allocations, .. } = runs[runs.len() / 2];
        let least = *alone.get_or_insert(processor);
        let syscalls = counted.map_or("uncounted".to_owned(), |calls| format!("{calls:.3}"));
        rows.push(Row {
            what: format!("processor time of an event, window {window}, {count} plugins"),
            figure: format!("{:.2} µs", processor * 1e6),
            limit: format!(
                "{switches:.3} context switches, {syscalls} system calls, {allocations:.1} allocations in the host"
            ),
            ratio: processor / least,
            target: "flat".to_owned(),
        });
    }
}

/// By this argument the bench runs only so many events, for [`instructions`].
const COUNTED: &str = "--counted-events=";

/// Runs the events that [`instructions`] counts, in a process of its own. False when this process is not that one.
pub fn play_counted() -> bool {
    let counted = std::env::args().find_map(|argument| argument.strip_prefix(COUNTED)?.parse().ok());
    let Some(events) = counted else { return false };
    pipelined(1, 1024, events, None);
    true
}

/// Instructions of the host for an event, counted by callgrind: unlike a time they are the same on a machine that is busy.
pub fn instructions(rows: &mut Vec<Row>) {
    const EVENTS: usize = 20_000;
    let (Some(few), Some(many)) = (counted(EVENTS), counted(3 * EVENTS)) else {
        eprintln!("valgrind is not installed, or too old to know pidfd_open (3.24 does): instructions are not counted");
        return;
    };
    let figure = many.saturating_sub(few) as f64 / (2 * EVENTS) as f64;
    rows.push(Row {
        what: "instructions of an event in the host, window 1024, 1 plugins".to_owned(),
        figure: format!("{figure:.0}"),
        limit: "counted by callgrind".to_owned(),
        ratio: 1.0,
        target: String::new(),
    });
}

/// All instructions of a host that handles so many events and ends.
fn counted(events: usize) -> Option<u64> {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .arg(format!("{COUNTED}{events}"))
        .output()
        .ok()?;
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    let line = stderr.lines().rfind(|line| line.contains("Collected :"))?.to_owned();
    line.split(':').next_back()?.trim().parse().ok()
}

/// The result of keeping a window of events in flight.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Events.
    pub per_second: f64,
    /// Seconds of all processes for an event.
    pub processor: f64,
    /// Context switches of all processes for an event.
    pub switches: f64,
    /// Allocations in the host for an event.
    pub allocations: f64,
    /// System calls of all processes for an event, where they were counted.
    pub syscalls: Option<f64>,
}

/// Events through the whole path, with metrics polled if there are any.
pub fn pipelined(count: usize, window: usize, events: usize, metrics: Option<MetricsConfig>) -> Run {
    pipelined_on(&plugins::runtime().expect("a runtime"), count, window, events, metrics, false)
}

fn pipelined_on(
    runtime: &Runtime,
    count: usize,
    window: usize,
    events: usize,
    metrics: Option<MetricsConfig>,
    counts_syscalls: bool,
) -> Run {
    runtime.block_on(async {
        let (rig, routers) = Rig::echoes(count, &limits()).await;
        let mut pids: Vec<u32> = rig.plugins.views().await.iter().filter_map(|view| Some(view.active()?.pid)).collect();
        pids.push(std::process::id());
        if let Some(config) = metrics {
            Metrics::new(config).start(Arc::clone(&rig.plugins), rig.ops());
        }
        let (outgoing, mut answers) = mpsc::channel(window);
        let line = format!("!echo {}", "x".repeat(64));
        let user = Arc::clone(&rig.user);
        let places: Vec<_> = (0..64).map(|n| Arc::new(Place::new("bench", format!("{n}")))).collect();
        let used = Used::by(&pids);
        let syscalls = if counts_syscalls { Count::of(&pids) } else { None };
        let began = Instant::now();
        let speaking = tokio::spawn(async move {
            for n in 0..events {
                routers[n % routers.len()].route(&line, &user, &places[n % places.len()], &outgoing).await;
            }
        });
        let mut batch = Vec::with_capacity(window);
        let mut answered = 0;
        while answered < events {
            answered += answers.recv_many(&mut batch, window).await;
            batch.clear();
        }
        let took = began.elapsed();
        let syscalls = syscalls.and_then(Count::end);
        let used = Used::by(&pids) - used;
        speaking.await.expect("it does not panic");
        rig.stop().await;
        let events = events as f64;
        Run {
            per_second: events / took.as_secs_f64(),
            processor: used.processor.as_secs_f64() / events,
            switches: used.switches as f64 / events,
            allocations: used.allocations as f64 / events,
            syscalls: syscalls.map(|calls| calls as f64 / events),
        }
    })
}

/// Sends far more events to a plugin that takes 50 ms for each than it can handle, while a channel talks to another
/// plugin.
pub fn overload(rows: &mut Vec<Row>) {
    limit::pin(false);
    plugins::runtime().expect("a runtime").block_on(async {
        let slow = PluginConfig {
            limits: Limits { event_deadline: Duration::from_secs(2), ..limits() },
            ..plugin("slow", &build::library("misbehave"))
        };
        let quick = PluginConfig { limits: limits(), ..plugin("quick", &build::library("echo")) };
        let rig = Arc::new(Rig::start(vec![slow, quick]).await);
        let mut quiet = talk(&rig).await;
        let before = resident_bytes(std::process::id()).unwrap_or_default();
        let stop = Arc::new(AtomicBool::new(false));
        let flood = tokio::spawn({
            let (rig, stop) = (Arc::clone(&rig), Arc::clone(&stop));
            async move {
                // 1,024 in flight at 50 ms each are 20,000 events a second; this sends ten times as many.
                let mut ticks = tokio::time::interval(Duration::from_millis(5));
                while !stop.load(Relaxed) {
                    ticks.tick().await;
                    for _ in 0..1000 {
                        rig.tell("slow", "!later 50 x").await;
                    }
                }
            }
        });
        rig.until("slow", |view| view.ledger.outcomes[4] > 10_000).await;
        let mut busy = talk(&rig).await;
        let mut views = Vec::new();
        for _ in 0..50 {
            let began = Instant::now();
            rig.plugins.views().await;
            views.push(began.elapsed());
        }
        let growth = resident_bytes(std::process::id()).unwrap_or_default().saturating_sub(before);
        stop.store(true, Relaxed);
        flood.await.expect("it does not panic");
        let view = rig.until("slow", |view| view.queued == 0 && view.in_flight == 0).await;
        assert_eq!(view.ledger.accepted, view.ledger.finished(), "the ledger balances");
        rig.plugins.stop_all().await;
        let (busy, quiet) = (quantile(&mut busy, 0.99), quantile(&mut quiet, 0.99));
        rows.push(Row::time("another plugin's round trip p99, one at 10 × overload / quiet", busy, quiet, ""));
        let slowest = quantile(&mut views, 1.0);
        rows.push(Row::time("all views under overload, slowest", slowest, Duration::from_millis(100), "≤ 1"));
        rows.push(Row {
            what: format!(
                "memory of the queue under overload ({} of {} rejected)",
                view.ledger.outcomes[4], view.ledger.accepted
            ),
            figure: format!("{:.1} MB", growth as f64 / 1e6),
            limit: "10,000 events queued".to_owned(),
            ratio: growth as f64 / 1e4 / 1024.0,
            target: "KB an event".to_owned(),
        });
        eprintln!("overload: quiet p99 {}, overloaded p99 {}", time(quiet), time(busy));
    });
}

/// Round trips of the quick plugin.
async fn talk(rig: &Rig) -> Vec<Duration> {
    let mut channel = rig.channel("talk");
    let mut times = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        // Both plugins have an echo; this is asked of the quick one.
        channel.say_to("quick", "!echo hello").await;
        channel.answer().await;
        times.push(began.elapsed());
    }
    times
}
