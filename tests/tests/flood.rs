//! Plugins that send the host more than it asks for.

use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// A plugin that misbehaves, and one beside it that does not.
async fn start() -> Rig {
    let mut hostile = plugin("p", &build::library("misbehave"));
    hostile.limits.log_lines = 10;
    Rig::start(vec![hostile, plugin("dice-roller", &build::library("dice-roller"))]).await
}

/// The time that this thread, which is the host's thread of events, has run.
fn run_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

#[tokio::test]
async fn frames_that_the_host_did_not_ask_for_end_the_process_that_sends_them() {
    for kind in ["pong", "restored", "metrics", "state", "answer", "stopped"] {
        let rig = start().await;
        // Its answer may come before the host ends the process, or not.
        rig.tell("p", &format!("!act flood-{kind}")).await;
        let view = rig.until("p", |view| view.account.crash_count >= 1).await;
        let crash = view.account.crashes.back().expect("counted");
        assert_eq!(crash.cause.name(), "protocol", "{kind}");
        assert!(crash.cause.to_string().contains("frames that the host had not asked for"), "{kind}: {}", crash.cause);
        assert!(rig.ask("!roll 1d1").await.contains('1'), "{kind}");
        assert_eq!(rig.ask("!echo hello").await, "hello", "{kind}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_plugin_that_says_too_much_waits_and_the_others_do_not() {
    for kind in ["log", "call", "reads"] {
        let rig = start().await;
        assert_eq!(rig.ask(&format!("!act flood-{kind}")).await, "done", "{kind}");
        let (ran, began) = (run_time(), Instant::now());
        rig.until("p", |view| view.account.limit_hits.get("frames").is_some_and(|hits| *hits >= 6)).await;
        let (ran, lasted) = (run_time() - ran, began.elapsed());
        assert!(ran < lasted / 2, "{kind}: the host ran {ran:?} of {lasted:?}");
        assert!(rig.ask("!roll 1d1").await.contains('1'), "{kind}");
        assert_eq!(rig.until("p", |_| true).await.account.crash_count, 0, "{kind}: it waits, and goes on");
        rig.stop().await;
    }
}

#[tokio::test]
async fn answers_that_a_plugin_does_not_read_are_bounded() {
    let rig = start().await;
    assert_eq!(rig.ask("!act hoard").await, "done");
    rig.tell("p", "!act flood-gets").await;
    let view = rig.until("p", |view| view.account.crash_count >= 1).await;
    let cause = view.account.crashes.back().expect("counted").cause.to_string();
    assert!(cause.contains("does not read the answers"), "{cause}");
    rig.stop().await;
}
