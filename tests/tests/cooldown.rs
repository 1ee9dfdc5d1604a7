//! Cooldowns of commands, on real processes: the host keeps them across the end of a process and of the host.

use rosey_core::state::ChangeRequest;
use rosey_tests::{
    bot::signal_process,
    build,
    rig::{Rig, plugin},
};
use rustix::process::Signal;
use std::{path::Path, time::Duration};

async fn start(state: &Path) -> Rig {
    let mut config = plugin("p", &build::library("misbehave"));
    config.limits.backoff_first = Duration::from_millis(1);
    Rig::start_in(state, vec![config]).await
}

/// Says a line as a person in a channel, and returns the answer.
async fn ask(rig: &Rig, person: &str, channel: &str, line: &str) -> String {
    let mut channel = rig.channel(channel);
    channel.say_as(person, line).await;
    channel.answer().await.unwrap_or_default()
}

/// Whether this refuses the command: the cooldown is a minute, so less than that is left.
fn is_refusal(answer: &str, command: &str) -> bool {
    answer.starts_with("Wait ") && answer.ends_with(&format!(" before !{command}."))
}

#[tokio::test]
async fn a_wait_outlives_the_process_a_reload_and_the_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    assert_eq!(ask(&rig, "ann", "a", "!rarely").await, "now");
    assert!(is_refusal(&ask(&rig, "ann", "b", "!rarely").await, "rarely"), "in any channel");
    assert_eq!(ask(&rig, "bob", "a", "!rarely").await, "now", "only ann has to wait");
    assert_eq!(ask(&rig, "ann", "a", "!rarely-here").await, "here");
    assert!(is_refusal(&ask(&rig, "bob", "a", "!rarely-here").await, "rarely-here"), "anyone in that channel");
    assert_eq!(ask(&rig, "bob", "b", "!rarely-here").await, "here");

    let view = rig.until("p", |view| view.active().is_some()).await;
    let first = view.active().expect("waited for").number;
    signal_process(view.active().expect("waited for").pid, Signal::KILL);
    rig.until("p", |view| view.active().is_some_and(|active| active.number > first)).await;
    assert!(is_refusal(&ask(&rig, "ann", "a", "!rarely").await, "rarely"), "after a crash");
    rig.plugins.change("p", ChangeRequest::Restart, None).await.expect("it restarts");
    assert!(is_refusal(&ask(&rig, "ann", "a", "!rarely").await, "rarely"), "after a restart");
    let view = rig.until("p", |view| view.in_flight == 0).await;
    assert_eq!(view.account.cooled, 4);
    assert_eq!(view.account.response.count(), 4, "what the host answers is no response of the plugin");
    rig.stop().await;

    let rig = start(directory.path()).await;
    assert!(is_refusal(&ask(&rig, "ann", "a", "!rarely").await, "rarely"), "after a restart of the host");
    assert!(is_refusal(&ask(&rig, "ann", "a", "!rarely-here").await, "rarely-here"));
    assert_eq!(ask(&rig, "eve", "c", "!rarely").await, "now");
    rig.stop().await;
}

#[tokio::test]
async fn a_refusal_keeps_its_turn_and_wakes_no_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    let mut channel = rig.channel("c");
    assert_eq!(ask(&rig, "tester", "c", "!rarely").await, "now");
    channel.say("!later 300 first").await;
    channel.say("!rarely").await;
    assert_eq!(channel.answer().await.as_deref(), Some("first"));
    assert!(is_refusal(&channel.answer().await.expect("an answer"), "rarely"));

    // A stopped process answers nothing; a refusal needs no process.
    let view = rig.until("p", |view| view.active().is_some()).await;
    let pid = view.active().expect("waited for").pid;
    signal_process(pid, Signal::STOP);
    assert!(is_refusal(&ask(&rig, "tester", "c", "!rarely").await, "rarely"));
    signal_process(pid, Signal::CONT);
    let view = rig.until("p", |view| view.in_flight + view.queued == 0).await;
    assert_eq!(view.ledger.accepted, view.ledger.finished());
    assert_eq!(view.ledger.outcomes[0], 4, "a refusal is an answer, and no failure");
    rig.stop().await;
}
