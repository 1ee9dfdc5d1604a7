//! Durable events compared with what the disk can do, timers, and messages that nearly no plugin wants.

use crate::{RUNS, limits};
use benches::{
    limit,
    table::{Row, median, quantile, time},
    used::Used,
};
use rosey::{
    commit,
    event::{Place, User},
    plugins::{self, PluginConfig},
    process::memory::resident_bytes,
    time::unix_millis,
};
use rosey_core::limits::Limits;
use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use rusqlite::{Connection, params};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Events that read a key and write it, each durable before it is answered.
pub fn durable(rows: &mut Vec<Row>) {
    limit::pin(false);
    let folder = tempfile::tempdir().expect("a directory");
    for (window, events, target) in [(1, 500, "≥ 0.5"), (256, 50_000, "≥ 50 k/s, ≥ 0.5")] {
        for journal in [false, true] {
            let (mut ours, mut most) = (Vec::new(), Vec::new());
            for run in 0..RUNS {
                most.push(bare(&folder.path().join(format!("bare-{window}-{journal}-{run}")), window, events));
                ours.push(bumps(window, events, journal));
            }
            let how = if journal { ", written down first too" } else { "" };
            let what = format!("durable events, a read and a write, {window} in flight{how}");
            rows.push(Row::rate(what, median(&mut ours), median(&mut most), if journal { "" } else { target }));
        }
    }
}

/// Events a second through the whole path.
fn bumps(window: usize, events: usize, journal: bool) -> f64 {
    plugins::runtime().expect("a runtime").block_on(async {
        let config = PluginConfig { journal, ..tally("tally") };
        let rig = Rig::start(vec![config]).await;
        let (outgoing, mut answers) = mpsc::channel(window);
        let place = Arc::new(Place::new("bench", "here"));
        let router = Arc::clone(&rig.router);
        let users: Vec<_> =
            (0..window).map(|n| Arc::new(User { name: n.to_string(), ..(*rig.user).clone() })).collect();
        let began = Instant::now();
        let speaking = tokio::spawn(async move {
            for n in 0..events {
                let line = format!("!bump key{}", n % window);
                router.route(&line, &users[n % users.len()], &place, &outgoing).await;
            }
        });
        let (mut answered, mut batch) = (0, Vec::with_capacity(window));
        while answered < events {
            answered += answers.recv_many(&mut batch, window).await;
            batch.clear();
        }
        let took = began.elapsed();
        speaking.await.expect("it does not panic");
        rig.stop().await;
        events as f64 / took.as_secs_f64()
    })
}

/// Reads and writes a second of SQLite alone, with this many in each synced transaction.
fn bare(path: &Path, window: usize, events: usize) -> f64 {
    let mut connection = Connection::open(path).expect("a database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a setting");
    connection.pragma_update(None, "synchronous", "FULL").expect("a setting");
    connection
        .execute_batch("CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT) STRICT, WITHOUT ROWID")
        .expect("new");
    let began = Instant::now();
    for batch in 0..events.div_ceil(window) {
        let transaction = connection.transaction().expect("no other");
        for n in 0..window {
            let key = format!("key{n}");
            let mut get = transaction.prepare_cached("SELECT value FROM kept WHERE key = ?1").expect("SQL");
            let _ = get.query_row([&key], |row| row.get::<_, String>(0));
            let mut put = transaction.prepare_cached("INSERT OR REPLACE INTO kept VALUES (?1, ?2)").expect("SQL");
            put.execute(params![key, batch.to_string()]).expect("room");
        }
        transaction.commit().expect("room");
    }
    (events.div_ceil(window) * window) as f64 / began.elapsed().as_secs_f64()
}

/// Timers that are set, and a few of them that fire.
pub fn timers(rows: &mut Vec<Row>) {
    const PENDING: u32 = 100_000;
    const FIRING: u32 = 500;
    limit::pin(false);
    let folder = tempfile::tempdir().expect("a directory");
    plugins::runtime().expect("a runtime").block_on(async {
        let config = || PluginConfig {
            limits: Limits { timers: u64::from(PENDING + FIRING), ..limits() },
            ..plugin("misbehave", &build::library("misbehave"))
        };
        let host = || resident_bytes(std::process::id()).unwrap_or_default();
        let rig = Rig::start_in(folder.path(), vec![config()]).await;
        let without = host();
        rig.stop().await;
        let path = folder.path().join("rosey.db");
        let mut database = Connection::open(&path).expect("it is there");
        let transaction = database.transaction().expect("no other");
        let day_off = unix_millis() + 24 * 3600 * 1000;
        for n in 0..PENDING {
            let sql = "INSERT INTO timer (plugin, name, due, cron, zone, payload, origin, declared)
                       VALUES ('misbehave', ?1, ?2, '', '', x'00', '', 0)";
            let mut insert = transaction.prepare_cached(sql).expect("SQL");
            insert.execute(params![format!("pending/{n}"), day_off + u64::from(n)]).expect("room");
        }
        transaction.commit().expect("room");
        let rig = Rig::start_in(folder.path(), vec![config()]).await;
        rig.until("misbehave", |view| view.timers == u64::from(PENDING)).await;
        let with = host();
        for n in 0..FIRING {
            let answer = rig.ask(&format!("!remind {} firing/{n}", 1000 + n)).await;
            assert_eq!(answer, "set");
        }
        rig.until("misbehave", |view| view.timers == u64::from(PENDING) && view.queued + view.in_flight == 0).await;
        let late = commit::kept(&database, "misbehave", "late/", u32::MAX).expect("readable");
        let millis = |kept: &commit::Kept| Duration::from_millis(kept.value.parse().expect("a number"));
        let mut late: Vec<_> = late.iter().map(millis).collect();
        assert_eq!(late.len(), FIRING as usize, "each has fired");
        let size = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        rows.push(Row {
            what: "memory of the host with 100,000 timers set, without one".to_owned(),
            figure: size(with),
            limit: size(without),
            ratio: with as f64 / without as f64,
            target: String::new(),
        });
        let (middle, worst) = (quantile(&mut late, 0.5), quantile(&mut late, 0.99));
        rows.push(Row {
            what: format!("500 timers fire beside 100,000 others: late by p50, p99 ({})", time(worst)),
            figure: time(middle),
            limit: "1 ms, the unit of a timer".to_owned(),
            ratio: middle.as_secs_f64() * 1e3,
            target: String::new(),
        });
        rig.stop().await;
    });
}

fn tally(name: &str) -> PluginConfig {
    PluginConfig { limits: limits(), ..plugin(name, &build::library("tally")) }
}

/// Messages past a hundred plugins that listen.
pub fn listening(rows: &mut Vec<Row>) {
    const MESSAGES: u32 = 20_000;
    limit::pin(false);
    plugins::runtime().expect("a runtime").block_on(async {
        let mut all: Vec<_> = (0..99).map(|n| tally(&format!("p{n}"))).collect();
        let config = serde_json::json!({"announce": false, "pause": "0s"});
        all.push(PluginConfig { limits: limits(), config, ..plugin("karma", &build::library("karma")) });
        let rig = Rig::start(all).await;
        while !rig.router.hears(rosey_wire::event::Kind::Message) {
            tokio::task::yield_now().await;
        }
        let (outgoing, mut answers) = mpsc::channel(1024);
        tokio::spawn(async move { while answers.recv().await.is_some() {} });
        let (place, router) = (Arc::new(Place::new("bench", "here")), Arc::clone(&rig.router));
        let mut pids: Vec<u32> = rig.plugins.views().await.iter().filter_map(|view| Some(view.active()?.pid)).collect();
        pids.push(std::process::id());
        for (share, every) in [("none matches", u32::MAX), ("1 % match one plugin", 100)] {
            let mut costs = Vec::new();
            for _ in 0..RUNS {
                let before = Used::by(&pids);
                for n in 0..MESSAGES {
                    let matches = n % every == every - 1;
                    let text =
                        if matches { "thanks for that, bob++" } else { "people talk of this and that, at length" };
                    router.route(text, &rig.user, &place, &outgoing).await;
                }
                rig.until("karma", |view| view.queued == 0 && view.in_flight == 0).await;
                costs.push((Used::by(&pids) - before).processor / MESSAGES);
            }
            let cost = quantile(&mut costs, 0.5);
            let share_of_core = (10_000 * cost).as_secs_f64();
            rows.push(Row {
                what: format!("10,000 messages a second past 100 plugins that listen, {share}"),
                figure: format!("{:.1} % of a core", share_of_core * 100.0),
                limit: "a core".to_owned(),
                ratio: share_of_core,
                target: "≤ 0.05".to_owned(),
            });
        }
        rig.stop().await;
    });
}
