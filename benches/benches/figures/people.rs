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
    metrics::{Metrics, MetricsConfig},
    router::Router,
};
use rosey_tests::rig::Rig;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
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
        for (path, size) in
            [("/api/metrics", metrics.latest().json.len()), ("/metrics", metrics.latest().prometheus().len())]
        {
            let bare = limit::bare_hyper(size, rig.ops()).await;
            let (mut ours, mut most) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                most.push(ask(bare, "/").await);
                ours.push(ask(address, path).await);
            }
            let what = format!("{path}, 100 plugins, {} KB, 100 connections", size / 1000);
            rows.push(Row::rate(what, median(&mut ours), median(&mut most), "≥ 0.7"));
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

async fn ask(address: SocketAddr, path: &'static str) -> f64 {
    let load = tokio::task::spawn_blocking(move || limit::http_load(address, path, Duration::from_secs(2)));
    load.await.expect("it does not panic")
}
