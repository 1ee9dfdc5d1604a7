//! A person who talks a lot to one plugin keeps no other person from the other plugins.

use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

#[tokio::test]
async fn a_burst_for_one_plugin_gives_the_thread_away_in_between() {
    let rig = Rig::start(vec![plugin("p", &build::library("misbehave"))]).await;
    let ran = Arc::new(AtomicBool::new(false));
    tokio::spawn({
        let ran = Arc::clone(&ran);
        async move { ran.store(true, Relaxed) }
    });
    // Few enough that none has to wait for room.
    for _ in 0..1000 {
        rig.tell("p", "!echo hello").await;
    }
    assert!(ran.load(Relaxed), "other people waited for the end of the burst");
    let view = rig.until("p", |view| view.ledger.outcomes[0] == 1000).await;
    assert_eq!(view.ledger.accepted, 1000);
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_that_takes_long_holds_up_only_the_person_who_asked() {
    let rig = Rig::start(vec![plugin("p", &build::library("misbehave"))]).await;
    let mut channel = rig.channel("one");
    channel.say_as("al", "!later 1500 slow").await;
    channel.say_as("al", "!echo after it").await;
    channel.say_as("bo", "!echo at once").await;
    for answer in ["at once", "slow", "after it"] {
        assert_eq!(channel.answer().await.as_deref(), Some(answer));
    }
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_without_order_holds_up_nobody() {
    let rig = Rig::start(vec![plugin("p", &build::library("misbehave"))]).await;
    let mut channel = rig.channel("one");
    channel.say_as("al", "!lookup 1500 slow").await;
    channel.say_as("al", "!echo at once").await;
    for answer in ["at once", "slow"] {
        assert_eq!(channel.answer().await.as_deref(), Some(answer));
    }
    rig.stop().await;
}

#[tokio::test]
async fn the_order_of_a_channel_is_kept_across_persons_and_through_a_reload() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libp.so");
    build::variant(&library, "good");
    let rig = Rig::start(vec![plugin("p", &library)]).await;
    let (mut channel, mut other) = (rig.channel("one"), rig.channel("two"));
    channel.say_as("al", "!guess 1500 first").await;
    channel.say_as("bo", "!guess 0 second").await;
    channel.say_as("bo", "!echo beside it").await;
    other.say_as("bo", "!guess 0 elsewhere").await;
    assert_eq!(other.answer().await.as_deref(), Some("elsewhere"));
    assert_eq!(channel.answer().await.as_deref(), Some("beside it"));
    build::variant(&library, "better");
    let candidate = rig.plugins.inspect("p").await.expect("a good build");
    rig.plugins.reload("p", candidate.artifact, false).await.expect("a good build");
    channel.say_as("cy", "!guess 0 third").await;
    for answer in ["first", "second", "third"] {
        assert_eq!(channel.answer().await.as_deref(), Some(answer));
    }
    rig.stop().await;
}
