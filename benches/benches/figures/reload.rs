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

/// From the request to the new generation being active, probe included.
pub fn reload(rows: &mut Vec<Row>) {
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
