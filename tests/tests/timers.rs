//! Timers on real processes: each fires once, whatever is killed, reloaded or stopped meanwhile.

use rosey::{
    commit::{self, timers},
    slot::view::View,
};
use rosey_core::state::ChangeRequest;
use rosey_tests::{
    bot::{Folder, signal_process, wait_until},
    build,
    rig::{Rig, plugin},
};
use rusqlite::Connection;
use rustix::process::Signal;
use std::{collections::BTreeMap, path::Path, time::Duration};

async fn start(state: &Path) -> Rig {
    let mut config = plugin("p", &build::library("misbehave"));
    config.limits.backoff_first = Duration::from_millis(1);
    config.limits.crash_loop_starts = 1000;
    config.limits.crash_loop_hour = 100_000;
    Rig::start_in(state, vec![config]).await
}

/// Number of times that each timer has fired, in the plugin's own counts.
fn fired(state: &Path) -> BTreeMap<String, u32> {
    let database = Connection::open(state.join("rosey.db")).expect("it is there");
    let kept = commit::kept(&database, "p", "fired/", 100_000).expect("readable");
    let count =
        |kept: commit::Kept| (kept.key.trim_start_matches("fired/").to_owned(), kept.value.parse().expect("a number"));
    kept.into_iter().map(count).collect()
}

/// The names of the timers that are set.
fn pending(state: &Path) -> Vec<String> {
    let database = Connection::open(state.join("rosey.db")).expect("it is there");
    timers::list(&database, "p", 100_000).expect("readable").into_iter().map(|timer| timer.name).collect()
}

/// Sets timers `0` to `count`, each due at some time within `within` milliseconds.
async fn set(rig: &Rig, count: u64, within: u64) {
    let mut channel = rig.channel("c");
    for n in 0..count {
        channel.say_as(&format!("user{}", n % 7), &format!("!remind {} {n}", n * within / count)).await;
    }
    for n in 0..count {
        let answer = channel.answer().await;
        assert_eq!(answer.as_deref(), Some("set"), "of timer {n}");
    }
}

/// Whether no timer is set, and the events of all that were have ended.
fn is_over(view: &View) -> bool {
    view.timers == 0 && view.queued + view.in_flight == 0
}

/// Waits until no timer is left, and checks that each has fired once.
async fn each_fired_once(rig: &Rig, count: u64) {
    let view = rig.until("p", is_over).await;
    assert_eq!(view.ledger.accepted, view.ledger.finished());
    let fired = fired(rig.state());
    let wrong: Vec<_> = (0..count).map(|n| n.to_string()).filter(|n| fired.get(n) != Some(&1)).collect();
    assert!(wrong.is_empty() && fired.len() as u64 == count, "not once: {wrong:?} of {}", fired.len());
}

#[tokio::test]
async fn each_fires_once_while_the_process_is_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    set(&rig, 200, 2000).await;
    let mut kills = 0;
    while kills < 20 {
        let view = rig.until("p", |view| view.active().is_some()).await;
        if is_over(&view) {
            break;
        }
        signal_process(view.active().expect("waited for").pid, Signal::KILL);
        let crashes = view.account.crash_count;
        rig.until("p", |view| view.account.crash_count > crashes).await;
        kills += 1;
    }
    assert!(kills > 3, "only {kills} kills");
    each_fired_once(&rig, 200).await;
    rig.stop().await;
}

#[tokio::test]
async fn each_fires_once_across_a_hundred_reloads() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    set(&rig, 200, 3000).await;
    for _ in 0..100 {
        rig.plugins.change("p", ChangeRequest::Restart, None).await.expect("it restarts");
    }
    each_fired_once(&rig, 200).await;
    rig.stop().await;
}

#[tokio::test]
async fn what_is_due_while_nothing_runs_fires_late_in_its_own_channel() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    assert_eq!(rig.ask("!remind 1 late").await, "set");
    assert_eq!(rig.ask("!remind 1000000 cancelled").await, "set");
    assert_eq!(rig.ask("!remind 2000000 tea").await, "set");
    assert_eq!(rig.ask("!forget cancelled").await, "gone");
    rig.until("p", |view| view.timers == 1).await;
    assert_eq!(rig.ask("!pending").await, "tea");
    rig.plugins.stop("p").await.expect("it runs");
    let past = Connection::open(directory.path().join("rosey.db")).expect("it is there");
    past.execute("UPDATE timer SET due = 1000 WHERE name = 'tea'", []).expect("it is there");
    rig.stop().await;
    let rig = start(directory.path()).await;
    rig.until("p", is_over).await;
    assert_eq!(fired(directory.path()), BTreeMap::from([("late".to_owned(), 1), ("tea".to_owned(), 1)]));
    let database = Connection::open(directory.path().join("rosey.db")).expect("it is there");
    let late = commit::kept(&database, "p", "late/", 10).expect("readable");
    let millis = |key: &str| late.iter().find(|kept| kept.key == key).map(|kept| kept.value.parse::<u64>());
    assert!(matches!(millis("late/tea"), Some(Ok(1_000_000_000_000..))), "late since 1970: {late:?}");
    assert_eq!(late[0].scope, "channel test:asking", "whoever set it, and where: {late:?}");
    rig.stop().await;
}

#[tokio::test]
async fn one_that_fails_or_crashes_has_fired_all_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    for name in ["fail", "abort", "good"] {
        assert_eq!(rig.ask(&format!("!remind 1 {name}")).await, "set");
    }
    rig.until("p", is_over).await;
    assert_eq!(fired(directory.path()), BTreeMap::from([("good".to_owned(), 1)]));
    let view = rig.until("p", is_over).await;
    assert_eq!((view.ledger.outcomes[2], view.ledger.outcomes[5]), (1, 1), "failed, and set aside");
    rig.stop().await;
}

#[tokio::test]
async fn one_without_a_handler_stays_until_a_build_has_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("p.so");
    std::fs::copy(build::library("echo"), &library).expect("it is built");
    let rig = Rig::start_in(&directory.path().join("state"), vec![plugin("p", &library)]).await;
    let database = Connection::open(rig.state().join("rosey.db")).expect("it is there");
    let row = "INSERT INTO timer (plugin, name, due, cron, zone, payload, origin, declared)
               VALUES ('p', 'tea', 1000, '', '', x'', '', 0)";
    database.execute(row, []).expect("it is there");
    rig.plugins.change("p", ChangeRequest::Restart, None).await.expect("it restarts");
    rig.until("p", |view| view.timers == 1).await;
    assert_eq!(rig.ask("!echo a").await, "a");
    assert_eq!(pending(rig.state()), ["tea"]);
    std::fs::remove_file(&library).and_then(|()| std::fs::copy(build::library("misbehave"), &library)).expect("ours");
    let seen = rig.plugins.inspect("p").await.expect("it is a plugin");
    rig.plugins.reload("p", seen.artifact, true).await.expect("it runs");
    rig.until("p", is_over).await;
    assert_eq!(fired(rig.state()), BTreeMap::from([("tea".to_owned(), 1)]));
    rig.stop().await;
}

#[test]
fn each_fires_once_though_the_host_is_killed() {
    let folder = Folder::new(&["misbehave"]);
    let settings = "[plugins.misbehave]\n";
    let state = folder.path().join("state");
    let mut bot = folder.start(settings);
    for n in 0..40 {
        assert_eq!(bot.ask(&format!("!remind {} {n}", 1500 + n * 30)), "set");
    }
    let left = || {
        let database = Connection::open(state.join("rosey.db")).expect("it is there");
        timers::list(&database, "misbehave", 1000).map_or(usize::MAX, |timers| timers.len())
    };
    for limit in [35, 25, 15] {
        wait_until("some have fired", || left() <= limit);
        bot.signal(Signal::KILL);
        bot.exit();
        bot = folder.start(settings);
    }
    wait_until("all have fired", || left() == 0);
    bot.end();
    let database = Connection::open(state.join("rosey.db")).expect("it is there");
    let kept = commit::kept(&database, "misbehave", "fired/", 1000).expect("readable");
    assert_eq!(kept.len(), 40);
    assert!(kept.iter().all(|kept| kept.value == "1"), "{kept:?}");
}

#[tokio::test]
async fn one_of_the_manifest_fires_once_at_each_time_and_goes_with_its_handler() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libp.so");
    std::fs::copy(build::library("tally"), &library).expect("it is built");
    let state = directory.path().join("state");
    let rig = Rig::start_in(&state, vec![plugin("p", &library)]).await;
    rig.until("p", |view| view.timers == 1).await;
    let database = Connection::open(state.join("rosey.db")).expect("it is there");
    let due = || timers::list(&database, "p", 10).expect("readable").into_iter().map(|timer| timer.due).next();
    let first = due().expect("the manifest has one");
    rig.stop().await;
    database.execute("UPDATE timer SET due = 1000", []).expect("it is there");

    let rig = Rig::start_in(&state, vec![plugin("p", &library)]).await;
    let fired = || commit::kept_value(&database, "p", "", "every").expect("readable");
    rig.until("p", |view| fired().is_some() && view.timers == 1 && view.queued + view.in_flight == 0).await;
    assert_eq!(fired().as_deref(), Some("1"), "once, however many times have passed");
    assert!(due().is_some_and(|due| due >= first), "{:?}, and before {first}", due());

    std::fs::remove_file(&library).expect("ours");
    std::fs::copy(build::library("misbehave"), &library).expect("it is built");
    let candidate = rig.plugins.inspect("p").await.expect("it loads");
    rig.plugins.reload("p", candidate.artifact, true).await.expect("a good build");
    rig.until("p", |view| view.timers == 0).await;
    rig.stop().await;
}

#[test]
fn an_operator_lists_and_cancels_them() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder.start("[admin]\ncooldown = 0\n[plugins.misbehave]\n");
    assert_eq!(bot.ask("!admin timers misbehave"), "misbehave has no timers.");
    assert_eq!(bot.ask("!remind 3600000 Tea"), "set");
    let listed = bot.ask("!admin timers misbehave");
    assert!(listed.starts_with("1 Tea in 59 m 59 s, set by alice in console/"), "{listed}");
    let question = bot.ask("!admin timers misbehave cancel 1");
    assert!(question.starts_with("Cancel timer 1 of misbehave: 1 Tea in "), "{question}");
    assert_eq!(bot.ask("yes"), "Cancelling timer 1 of misbehave …");
    assert_eq!(bot.answer(), "timer 1 of misbehave is cancelled: Tea.");
    assert_eq!(bot.ask("!pending"), "none");
    let again = bot.ask("!admin timers misbehave cancel 1");
    assert!(again.contains("misbehave has no timer 1; timers misbehave numbers them"), "{again}");
    assert!(bot.end().success());
}
