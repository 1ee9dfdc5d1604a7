//! The cost of people and programs that read metrics.

use crate::{
    RUNS,
    events::{pipelined, round_trips},
    limits,
};
use benches::{
    limit,
    table::{Row, median, quantile},
};
use rosey::{
    dashboard::{self, DashboardConfig},
    journal::Journal,
    metrics::{self, Metrics, MetricsConfig},
    router::Router,
    store::Database,
};
use rosey_tests::{http, rig::Rig};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

fn config(poll_interval: Duration) -> MetricsConfig {
    MetricsConfig { poll_interval, history_duration: Duration::from_secs(3600), prometheus: true }
}

/// The duration of a poll, and the cost of polling for events.
pub fn metrics(rows: &mut Vec<Row>) {
    limit::pin(false);
    let mut polls = limit::runtime().block_on(async {
        let (rig, _) = Rig::echoes(100, &limits()).await;
        let metrics = Metrics::new(config(Duration::from_millis(200)));
        metrics.start(Arc::clone(&rig.plugins), rig.ops());
        let (mut boards, mut polls) = (metrics.subscribe(), Vec::new());
        for _ in 0..15 {
            boards.changed().await.expect("it polls");
            polls.push(poll_duration(&metrics));
        }
        rig.stop().await;
        polls
    });
    let took = quantile(&mut polls[2..], 0.5);
    rows.push(Row::time("one poll of 100 plugins", took, Duration::from_millis(10), "≤ 10 ms"));
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        without.push(pipelined(1, 1024, 5_000_000, None).per_second);
        with.push(pipelined(1, 1024, 5_000_000, Some(config(Duration::from_secs(1)))).per_second);
    }
    rows.push(Row::rate(
        "throughput with metrics polled each second / off",
        median(&mut with),
        median(&mut without),
        "≥ 0.97",
    ));
}

/// The processor time for the history of 100 plugins in a minute: the points of that minute are written when it is over.
pub fn history(rows: &mut Vec<Row>) {
    limit::pin(false);
    let spent = limit::runtime().block_on(async {
        let (rig, _) = Rig::echoes(100, &limits()).await;
        let folder = tempfile::tempdir().expect("a temporary directory");
        let database = Database::open(&folder.path().join("rosey.db"), &metrics::SCHEMA).expect("a database");
        let metrics = Metrics::new(config(Duration::from_secs(1)));
        metrics.remember(database).await.expect("a database");
        metrics.start(Arc::clone(&rig.plugins), rig.ops());
        metrics.subscribe().wait_for(|number| *number > 0).await.expect("it polls");
        let before = processor_time_of("rosey-db");
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 60;
        // The first poll of the next minute writes, within a second.
        tokio::time::sleep(Duration::from_secs(60 - second + 3)).await;
        let spent = processor_time_of("rosey-db").saturating_sub(before);
        rig.stop().await;
        spent
    });
    let what = "writing the history of 100 plugins, a minute / 1 % of a core";
    rows.push(Row::time(what, spent, Duration::from_millis(600), "≤ 1.0"));
}

/// The processor time of all threads of this process with this name.
fn processor_time_of(name: &str) -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("this system has /proc").flatten();
    let of = |thread: std::fs::DirEntry| {
        let read = |file: &str| std::fs::read_to_string(thread.path().join(file)).ok();
        let is_it = read("comm")?.trim() == name;
        let nanoseconds = read("schedstat")?.split(' ').next()?.parse().ok()?;
        is_it.then_some(Duration::from_nanos(nanoseconds))
    };
    threads.filter_map(of).sum()
}

/// The host's own figure, as it exports it.
fn poll_duration(metrics: &Metrics) -> Duration {
    let board = metrics.latest();
    let text = String::from_utf8_lossy(board.prometheus());
    let line = text.lines().find_map(|line| line.strip_prefix("rosey_metrics_poll_duration_seconds "));
    Duration::from_secs_f64(line.and_then(|value| value.parse().ok()).unwrap_or_default())
}

/// The dashboard against a bare hyper server with a body of the same size, asked by another process over 100 connections.
pub fn dashboard(rows: &mut Vec<Row>) {
    limit::pin(false);
    limit::runtime().block_on(async {
        let (rig, routers) = Rig::echoes(100, &limits()).await;
        let metrics = Metrics::new(config(Duration::from_secs(5)));
        metrics.start(Arc::clone(&rig.plugins), rig.ops());
        metrics.subscribe().wait_for(|number| *number > 0).await.expect("it polls");
        let settings = DashboardConfig {
            host: "127.0.0.1".to_owned(),
            port: 0,
            public: false,
            token: None,
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            prometheus: true,
            base_path: String::new(),
        };
        let address = dashboard::start(settings, metrics.clone(), None, Journal::default(), rig.ops()).await;
        let address = address.expect("a port is free");
        for (path, target) in [
            ("/api/metrics", "≥ 0.75"),
            ("/metrics", "≥ 0.75"),
            ("/", "≥ 0.5"),
            ("/plugin/p0", "≥ 0.5"),
            ("/events", "≥ 0.5"),
        ] {
            let size = size(address, path).await;
            let bare = limit::bare_hyper(size, rig.ops()).await;
            let (mut ours, mut most) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                most.push(ask(bare, "/").await);
                ours.push(ask(address, path).await);
            }
            let what = format!("{path}, 100 plugins, {} KB, 100 connections", size / 1000);
            rows.push(Row::rate(what, median(&mut ours), median(&mut most), target));
        }
        // Alternating, because a round trip takes a third of the time when the scheduler keeps both processes on one
        // core.
        let (mut quiet, mut busy) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            quiet.push(p99_of_a_second(&rig, &routers[0]).await);
            let lasts = Duration::from_secs(2);
            let load = tokio::task::spawn_blocking(move || limit::http_load(address, "/api/metrics", lasts));
            tokio::time::sleep(Duration::from_millis(500)).await;
            busy.push(p99_of_a_second(&rig, &routers[0]).await);
            load.await.expect("it does not panic");
        }
        let (busy, quiet) = (quantile(&mut busy, 0.5), quantile(&mut quiet, 0.5));
        rows.push(Row::time(
            "round trip p99 while the dashboard is asked as fast as it can / quiet",
            busy,
            quiet,
            "≤ 1.2",
        ));
        rig.stop().await;
    });
}

async fn p99_of_a_second(rig: &Rig, router: &Router) -> Duration {
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(1) {
        times.extend(round_trips(rig, router, 500).await);
    }
    quantile(&mut times, 0.99)
}

/// Bytes of an answer.
async fn size(address: SocketAddr, path: &'static str) -> usize {
    let answer = tokio::task::spawn_blocking(move || http::get(&address.to_string(), path));
    answer.await.expect("it does not panic").body.len()
}

async fn ask(address: SocketAddr, path: &'static str) -> f64 {
    let load = tokio::task::spawn_blocking(move || limit::http_load(address, path, Duration::from_secs(2)));
    load.await.expect("it does not panic")
}
