//! Processes: the time until they serve, the time until they serve again, and their memory.

use crate::limits;
use benches::{
    limit,
    table::{Row, quantile},
    used::Used,
};
use rosey::process::memory::resident_bytes;
use rosey_core::limits::Limits;
use rosey_tests::{bot::signal_process, rig::Rig};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Time from SIGKILL to the answer of an event that was sent right after it.
pub fn crash_to_serving(rows: &mut Vec<Row>) {
    limit::pin(false);
    let least = quantile(&mut limit::cold_start(50, Duration::ZERO), 0.5);
    let mut times = limit::runtime().block_on(async {
        // Each start counts as good at once, so that each restart is a first one.
        let limits = Limits { stable_after: Duration::ZERO, crash_loop_hour: 100_000, ..limits() };
        let (rig, _) = Rig::echoes(1, &limits).await;
        let mut times = Vec::new();
        for _ in 0..50 {
            let pid = rig.until("p0", |view| view.active().is_some()).await.active().expect("waited for").pid;
            let began = Instant::now();
            signal_process(pid, Signal::KILL);
            rig.until("p0", |view| view.active().is_none_or(|active| active.pid != pid)).await;
            assert_eq!(rig.ask("!echo hello").await, "hello");
            times.push(began.elapsed());
        }
        rig.stop().await;
        times
    });
    rows.push(Row::time("SIGKILL to serving again, p50 (target 20 ms)", quantile(&mut times, 0.5), least, ""));
}

/// Time from nothing to all plugins serving.
pub fn startup(rows: &mut Vec<Row>) {
    limit::pin(false);
    let least = quantile(&mut limit::cold_start(50, Duration::ZERO), 0.5);
    let took = limit::runtime().block_on(async {
        let began = Instant::now();
        let (rig, _) = Rig::echoes(100, &limits()).await;
        let took = began.elapsed();
        rig.stop().await;
        took
    });
    rows.push(Row::time("100 plugins to serving, cold", took, least * 100, "≤ 1 s"));
}

/// Memory of idle processes.
pub fn footprint(rows: &mut Vec<Row>) {
    for count in [1, 100] {
        weigh(rows, count);
    }
}

/// A thousand idle plugins.
pub fn scale(rows: &mut Vec<Row>) {
    weigh(rows, 1000);
}

fn weigh(rows: &mut Vec<Row>, count: usize) {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let (host, shim, share, used) = limit::runtime().block_on(async {
        let (rig, _) = Rig::echoes(count, &limits()).await;
        let mut pids: Vec<u32> = rig.plugins.views().await.iter().filter_map(|view| Some(view.active()?.pid)).collect();
        assert_eq!(pids.len(), count, "all serve");
        let middle = |mut sizes: Vec<u64>| {
            sizes.sort_unstable();
            sizes[sizes.len() / 2]
        };
        let shim = middle(pids.iter().filter_map(|pid| resident_bytes(*pid)).collect());
        let share = middle(pids.iter().map(|pid| proportional_bytes(*pid)).collect());
        let host = resident_bytes(std::process::id()).unwrap_or_default();
        pids.push(std::process::id());
        let before = Used::by(&pids);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let used = (Used::by(&pids) - before).processor.as_secs_f64() / 2.0;
        rig.stop().await;
        (host, shim, share, used)
    });
    let target = if count == 100 { "host ≤ 60 MB, shim ≤ 4 MB" } else { "shim ≤ 4 MB" };
    rows.push(Row {
        what: format!("memory: an idle shim of {count}, resident (proportional)"),
        figure: format!("{} ({})", megabytes(shim), megabytes(share)),
        limit: format!("host {}; all together {:.2} % of a processor", megabytes(host), used * 100.0),
        ratio: shim as f64 / 4e6,
        target: target.to_owned(),
    });
}

/// The proportional memory of a process.
fn proportional_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let pss = text.lines().find_map(|line| line.strip_prefix("Pss:")).and_then(|rest| rest.split_whitespace().next());
    pss.and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or_default() << 10
}
