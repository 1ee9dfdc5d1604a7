//! Reloads, with and without load.

use crate::limits;
use benches::{
    limit,
    table::{Row, quantile},
};
use rosey::{event::Place, router::Router};
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

/// Time from the request until the new generation is active, with the probe. The limit is measured under the same load.
pub fn reload(rows: &mut Vec<Row>) {
    limit::pin(false);
    for (spare, busy) in [(false, false), (true, false), (false, true), (true, true)] {
        let Times { mut reloads, mut least, during, quiet } = reloads(spare, busy);
        let how = if busy { "under full load" } else { "idle" };
        let start = if spare { "with a spare shim" } else { "cold" };
        let what = format!("reload to active, {start}, {how}, p50");
        let target = if spare { "≤ 1" } else { "≤ 3" };
        rows.push(Row::time(what, quantile(&mut reloads, 0.5), quantile(&mut least, 0.5), target));
        if busy {
            rows.push(Row::time(format!("slowest reply during reloads, {start} / without"), during, quiet, "≤ 2"));
        }
    }
}

/// Reloads, and starts of the limit, of each kind.
const ROUNDS: usize = 150;

/// Reloads between two measurements of the slowest reply without reloads.
const TOGETHER: usize = 10;

/// Pause between two reloads, and between two starts of the limit. People do not reload within the millisecond that a
/// new spare takes.
const PAUSE: Duration = Duration::from_millis(10);

struct Times {
    reloads: Vec<Duration>,
    /// The best cold start of the machine.
    least: Vec<Duration>,
    /// The slowest reply during reloads; the median of several runs.
    during: Duration,
    /// The slowest reply without reloads, in the same time.
    quiet: Duration,
}

fn reloads(spare: bool, busy: bool) -> Times {
    limit::runtime().block_on(async {
        let (rig, routers) = if spare { Rig::echoes(1, &limits()).await } else { Rig::cold_echoes(1, &limits()).await };
        let artifact = rig.plugins.inspect("p0").await.expect("it is built").artifact;
        let load = || busy.then(|| Load::start(&rig, &routers[0]));
        let slowest = async |load: Option<Load>| match load {
            Some(load) => load.stop().await,
            None => Duration::ZERO,
        };
        let under_way = load();
        let least = tokio::task::spawn_blocking(|| limit::cold_start(ROUNDS, PAUSE)).await.expect("it does not panic");
        slowest(under_way).await;
        let (mut reloads, mut during, mut quiet) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS / TOGETHER {
            let (under_way, began) = (load(), Instant::now());
            for _ in 0..TOGETHER {
                tokio::time::sleep(PAUSE).await;
                let began = Instant::now();
                rig.plugins.reload("p0", artifact, true).await.expect("the same artifact, by force");
                reloads.push(began.elapsed());
            }
            during.push(slowest(under_way).await);
            // For the same time, because a longer measurement finds a slower reply.
            let (lasted, under_way) = (began.elapsed(), load());
            tokio::time::sleep(if busy { lasted } else { Duration::ZERO }).await;
            quiet.push(slowest(under_way).await);
        }
        rig.stop().await;
        Times { reloads, least, during: quantile(&mut during, 0.5), quiet: quantile(&mut quiet, 0.5) }
    })
}

/// An endless load of events, one window at a time.
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
            // Answers in a channel come in order, so the first answer belongs to the first event.
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
