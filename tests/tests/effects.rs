//! The store of plugins, on real processes: changes are applied once with the outcome of their event, or not at all.

use rosey::commit;
use rosey_tests::{
    bot::signal_process,
    build,
    rig::{Rig, plugin},
};
use rusqlite::Connection;
use rustix::process::Signal;
use std::{path::Path, time::Duration};

async fn start(state: &Path) -> Rig {
    let mut config = plugin("p", &build::library("misbehave"));
    config.limits.backoff_first = Duration::from_millis(1);
    config.limits.crash_loop_starts = 1000;
    config.limits.crash_loop_hour = 100_000;
    Rig::start_in(state, vec![config]).await
}

/// The values of the plugin, by key, as `rosey store` reads them.
fn kept(state: &Path, key: &str) -> Vec<(String, String)> {
    let database = Connection::open(state.join("rosey.db")).expect("it is there");
    let all = commit::kept(&database, "p", key, 1000).expect("readable");
    all.into_iter().filter(|kept| kept.key == key).map(|kept| (kept.scope, kept.value)).collect()
}

#[tokio::test]
async fn no_count_is_lost_or_doubled_by_kills_and_restarts() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    let (mut channel, mut counted) = (rig.channel("c"), 0);
    for round in 0..20 {
        for user in 0..10 {
            channel.say_as(&format!("user{user}"), "!tally").await;
        }
        if round % 2 == 0 {
            let view = rig.until("p", |view| view.active().is_some()).await;
            signal_process(view.active().expect("waited for").pid, Signal::KILL);
        }
        for _ in 0..10 {
            counted += u32::from(channel.answer().await.as_deref() == Some("counted"));
        }
    }
    assert!(counted > 0, "nothing was counted");
    rig.stop().await;
    assert_eq!(kept(directory.path(), "tally")[0], (String::new(), counted.to_string()));
    let rig = start(directory.path()).await;
    assert_eq!(rig.ask("!kept tally").await, counted.to_string(), "it outlives the host");
    rig.stop().await;
    let people: u32 =
        kept(directory.path(), "mine").iter().map(|(_, value)| value.parse::<u32>().expect("a number")).sum();
    assert_eq!(people, counted);
}

#[tokio::test]
async fn a_handler_that_fails_panics_or_crashes_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    for how in ["error", "panic", "abort"] {
        rig.ask(&format!("!tally-then {how}")).await;
    }
    assert_eq!(rig.ask("!kept tally").await, "nothing");
    assert_eq!(rig.ask("!tally-then nothing").await, "counted");
    assert_eq!(rig.ask("!kept tally").await, "1");
    rig.stop().await;
}

#[tokio::test]
async fn of_256_events_that_read_and_write_the_same_each_sees_what_the_one_before_wrote() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    let mut channel = rig.channel("c");
    for user in 0..256 {
        channel.say_as(&format!("user{user}"), "!bump").await;
    }
    let mut numbers = Vec::new();
    for _ in 0..256 {
        let answer = channel.answer().await.expect("each is answered");
        numbers.push(answer.parse::<u32>().unwrap_or_else(|_| panic!("it failed: {answer}")));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=256).collect::<Vec<_>>(), "two saw the same number");
    assert_eq!(rig.ask("!kept bump").await, "256");
    let account = rig.plugins.view("p").await.expect("it is there").account;
    assert!(account.conflicts > 0 && account.kept.commits == 256, "{account:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_handler_may_wait_for_the_store_and_for_anything_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    let mut channel = rig.channel("c");
    for user in 0..100 {
        channel.say_as(&format!("user{user}"), "!waits").await;
    }
    for _ in 0..100 {
        assert_eq!(channel.answer().await.as_deref(), Some("28"));
    }
    assert_eq!(rig.ask("!tally").await, "counted", "and after that the plugin goes on as before");
    rig.stop().await;
}

#[tokio::test]
async fn a_store_that_is_full_fails_the_event_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = plugin("p", &build::library("misbehave"));
    config.limits.store_keys = 1;
    let rig = Rig::start_in(directory.path(), vec![config]).await;
    assert_eq!(rig.ask("!tally").await, "p could not do that; the operator can see why.", "it needs two keys");
    assert_eq!(rig.ask("!kept tally").await, "nothing");
    rig.stop().await;
}
