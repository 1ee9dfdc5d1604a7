//! `cargo bench -p benches [-- NAME…]`: every figure, or those whose names contain one of the arguments.

use benches::{
    limit,
    table::{self, Row, median, quantile},
};
use rosey::{
    event::Place,
    plugin::{limits::Limits, output::resident_bytes},
    router::Router,
};
use rosey_tests::rig::Rig;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Runs of a figure; the median is printed.
const RUNS: usize = 5;

fn main() {
    if limit::play_role() {
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    type Figure = fn(&mut Vec<Row>);
    let figures: [(&str, Figure); 4] =
        [("roundtrip", round_trip), ("throughput", throughput), ("reload", reload), ("footprint", footprint)];
    let mut rows = Vec::new();
    for (name, measure) in figures {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            eprintln!("{name} …");
            measure(&mut rows);
        }
    }
    table::print(&rows);
}

/// Limits that do not get in the way of a figure.
fn limits() -> Limits {
    Limits { bake: Duration::ZERO, ..Limits::default() }
}

/// One event at a time, through router, ledger, slot, link, shim, plugin and back to the connector.
fn round_trip(rows: &mut Vec<Row>) {
    for (pinned, target) in [(true, "≤ 1.5"), (false, "≤ 1.15")] {
        limit::pin(pinned);
        for size in [64, 1024] {
            let (mut ours, mut least) = (Vec::new(), Vec::new());
            for _ in 0..RUNS {
                least.push(quantile(&mut limit::ping_pong(size, 5000), 0.5));
                ours.push(quantile(&mut one_at_a_time(size, 5000), 0.5));
            }
            let how = if pinned { "both on one core" } else { "unpinned" };
            let what = format!("round trip p50, {size} B, {how}");
            rows.push(Row::time(what, quantile(&mut ours, 0.5), quantile(&mut least, 0.5), target));
        }
    }
}

fn one_at_a_time(size: usize, rounds: usize) -> Vec<Duration> {
    limit::runtime().block_on(async {
        let (rig, routers) = Rig::echoes(1, &limits()).await;
        let (outgoing, mut answers) = mpsc::channel(1);
        let place = Arc::new(Place::new("bench", "here"));
        let line = format!("!echo {}", "x".repeat(size));
        let mut times = Vec::with_capacity(rounds);
        for round in 0..rounds + 100 {
            let began = Instant::now();
            routers[0].route(&line, &rig.user, &place, &outgoing).await;
            answers.recv().await.expect("an answer");
            if round >= 100 {
                times.push(began.elapsed());
            }
        }
        rig.stop().await;
        times
    })
}

/// A window of 1,024 events under way, over one plugin and over many.
fn throughput(rows: &mut Vec<Row>) {
    const EVENTS: usize = 1_000_000;
    limit::pin(false);
    for count in [1, 10, 100] {
        let (mut ours, mut most) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            most.push(limit::pipelined(64, 1024, 4 * EVENTS));
            ours.push(pipelined(count, 1024, EVENTS));
        }
        let what = format!("throughput, window 1,024, 64 B, {count} plugins");
        rows.push(Row::rate(what, median(&mut ours), median(&mut most), "≥ 1,500 k/s"));
    }
}

fn pipelined(count: usize, window: usize, events: usize) -> f64 {
    limit::runtime().block_on(async {
        let (rig, routers) = Rig::echoes(count, &limits()).await;
        let (outgoing, mut answers) = mpsc::channel(window);
        let line = format!("!echo {}", "x".repeat(64));
        let user = Arc::clone(&rig.user);
        let places: Vec<_> = (0..64).map(|n| Arc::new(Place::new("bench", format!("{n}")))).collect();
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
        let rate = events as f64 / began.elapsed().as_secs_f64();
        speaking.await.expect("it does not panic");
        rig.stop().await;
        rate
    })
}

/// From the request to the new generation being active, probe included.
fn reload(rows: &mut Vec<Row>) {
    limit::pin(false);
    let least = quantile(&mut limit::cold_start(50), 0.5);
    for busy in [false, true] {
        let (mut reloads, during, quiet) = reloads(busy, 50);
        let how = if busy { "under full load" } else { "idle" };
        let what = |share| format!("reload to active, {how}, {share}");
        rows.push(Row::time(what("p50"), quantile(&mut reloads, 0.5), least, "≤ 3"));
        rows.push(Row::time(what("p99"), quantile(&mut reloads, 0.99), least, ""));
        if busy {
            rows.push(Row::time("slowest reply during reloads / without", during, quiet, "≤ 2"));
        }
    }
}

/// Times of reloads, and the slowest reply with and without them.
fn reloads(busy: bool, rounds: usize) -> (Vec<Duration>, Duration, Duration) {
    limit::runtime().block_on(async {
        let (rig, routers) = Rig::echoes(1, &limits()).await;
        let artifact = rig.plugins.inspect("p0").await.expect("it is built").artifact;
        let mut times = Vec::new();
        let mut slowest = [Duration::ZERO; 2];
        for (with_reloads, slowest) in [false, true].into_iter().zip(&mut slowest) {
            let load = busy.then(|| Load::start(&rig, &routers[0]));
            if with_reloads {
                for _ in 0..rounds {
                    let began = Instant::now();
                    rig.plugins.reload("p0", artifact, true).await.expect("the same artifact, by force");
                    times.push(began.elapsed());
                }
            } else if busy {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            if let Some(load) = load {
                *slowest = load.stop().await;
            }
        }
        rig.stop().await;
        let [quiet, during] = slowest;
        (times, during, quiet)
    })
}

/// Events without end, a window at a time.
struct Load {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Duration>,
}

impl Load {
    fn start(rig: &Rig, router: &Arc<Router>) -> Self {
        const WINDOW: usize = 1024;
        let stop = Arc::new(AtomicBool::new(false));
        let (router, user, stopped) = (Arc::clone(router), Arc::clone(&rig.user), Arc::clone(&stop));
        let (outgoing, mut answers) = mpsc::channel(WINDOW);
        let places: Vec<_> = (0..64).map(|n| Arc::new(Place::new("bench", format!("{n}")))).collect();
        let task = tokio::spawn(async move {
            // One channel is answered in its order, so the first that was sent there is the first that comes back.
            let mut sent: HashMap<u64, VecDeque<Instant>> = HashMap::new();
            let (mut slowest, mut under_way, mut n) = (Duration::ZERO, 0, 0);
            while under_way > 0 || !stopped.load(Ordering::Relaxed) {
                while under_way < WINDOW && !stopped.load(Ordering::Relaxed) {
                    let place = &places[n % places.len()];
                    sent.entry(place.key).or_default().push_back(Instant::now());
                    router.route("!echo hello", &user, place, &outgoing).await;
                    (under_way, n) = (under_way + 1, n + 1);
                }
                let answer = answers.recv().await.expect("an answer");
                let began = sent.get_mut(&answer.place.key).and_then(VecDeque::pop_front).expect("it was sent");
                assert_eq!(answer.text.as_deref(), Some("hello"), "an event was not answered by the plugin");
                slowest = slowest.max(began.elapsed());
                under_way -= 1;
            }
            slowest
        });
        Self { stop, task }
    }

    async fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("it does not panic")
    }
}

/// Memory of what runs, idle.
fn footprint(rows: &mut Vec<Row>) {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    for count in [1, 10, 100] {
        let (host, shim) = limit::runtime().block_on(async {
            let (rig, _) = Rig::echoes(count, &limits()).await;
            let pids: Vec<u32> = rig.plugins.views().await.iter().filter_map(|view| Some(view.active()?.pid)).collect();
            let mut shims: Vec<u64> = pids.iter().filter_map(|pid| resident_bytes(*pid)).collect();
            shims.sort_unstable();
            let host = resident_bytes(std::process::id()).unwrap_or_default();
            rig.stop().await;
            (host, shims[shims.len() / 2])
        });
        let target = if count == 100 { "host ≤ 60 MB, shim ≤ 4 MB" } else { "shim ≤ 4 MB" };
        rows.push(Row {
            what: format!("memory: an idle shim of {count}"),
            figure: megabytes(shim),
            limit: format!("host {}", megabytes(host)),
            ratio: shim as f64 / 4e6,
            target: target.to_owned(),
        });
    }
}
