//! A thousand reloads under load leave nothing behind.

use rosey::process::memory::resident_bytes;
use rosey_tests::{
    bot::children,
    build,
    rig::{Rig, plugin},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::watch;

/// Reloads before the first measurement: buffers and tables have their size by then.
const WARM_UP: usize = 300;

/// Reloads between the first and the last measurement.
const RELOADS: usize = 1000;

/// The plugin's shim, and the spare.
const SHIMS: usize = 2;

/// The artifact.
const FILES: usize = 1;

/// The things that could be left behind.
#[derive(Debug)]
struct Look {
    files: usize,
    descriptors: usize,
    processes: usize,
    memory: u64,
}

impl Look {
    async fn at(rig: &Rig) -> Self {
        let count = |path: &str| std::fs::read_dir(path).expect("it is there").count();
        let inside = |folder: &std::path::Path| count(folder.to_str().expect("a plain path"));
        let files = || inside(rig.run_dir()) + inside(&rig.state().join("artifacts"));
        // A new spare has its socket until it has connected.
        let rests = || children(std::process::id()).len() == SHIMS && files() == FILES;
        rig.until("p", |view| view.generations.len() == 1 && rests()).await;
        Self {
            files: files(),
            descriptors: count("/proc/self/fd"),
            processes: children(std::process::id()).len(),
            memory: resident_bytes(std::process::id()).expect("it runs"),
        }
    }
}

#[tokio::test]
async fn a_thousand_reloads_under_load_leave_nothing_behind() {
    let rig = Arc::new(Rig::start(vec![plugin("p", &build::library("misbehave"))]).await);
    let artifact = rig.plugins.inspect("p").await.expect("it is built").artifact;
    let (stop, stopped) = watch::channel(false);
    let talking = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move {
            let (mut channel, mut sent) = (rig.channel("load"), 0u64);
            while !*stopped.borrow() {
                for n in 0..64 {
                    channel.say(&format!("!echo {}", sent + n)).await;
                }
                for n in 0..64 {
                    assert_eq!(channel.answer().await, Some((sent + n).to_string()));
                }
                sent += 64;
            }
            sent
        }
    });
    let reload = async |times: usize| {
        for _ in 0..times {
            rig.plugins.reload("p", artifact, true).await.expect("the same artifact, by force");
            rig.forget();
        }
    };
    reload(WARM_UP).await;
    let before = Look::at(&rig).await;
    reload(RELOADS).await;
    let after = Look::at(&rig).await;
    stop.send_replace(true);
    let sent = talking.await.expect("every answer is the one due");
    println!("{sent} events; before {before:?}, after {after:?}");
    assert_eq!((after.files, after.processes), (before.files, before.processes));
    // tokio's pool of blocking threads grows and shrinks.
    assert!(after.descriptors <= before.descriptors + 2, "{before:?} {after:?}");
    assert!(after.memory <= before.memory + before.memory / 10, "{before:?} {after:?}");
    let view = rig.until("p", |view| view.in_flight == 0).await;
    assert_eq!(view.ledger.outcomes[0], sent);
    assert_eq!((view.ledger.accepted, view.account.crash_count, view.account.reloads.1), (sent, 0, 0));
    let pids: BTreeSet<_> = children(std::process::id()).into_iter().collect();
    assert_eq!(pids.len(), SHIMS);
}
