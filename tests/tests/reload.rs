//! Reloads on real processes: the promises from the request until the old generation is gone.

use rosey::{
    plugins::PluginConfig,
    slot::{lifecycle::LifecycleKind, view::View},
};
use rosey_core::state::{PluginState, Role};
use rosey_core::{
    limits::Limits,
    outcome::OUTCOMES,
    state::{ReloadMode, StateEvent, StateLeft, Verdict},
};
use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::sync::watch;

/// A rig with one misbehaving plugin `p`, whose library the test can replace.
struct Bench {
    rig: Rig,
    library: PathBuf,
    _directory: TempDir,
}

impl Bench {
    async fn start(change: impl FnOnce(&mut PluginConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let library = directory.path().join("libp.so");
        build::variant(&library, "good");
        let mut config = plugin("p", &library);
        change(&mut config);
        Self { rig: Rig::start(vec![config]).await, library, _directory: directory }
    }

    /// Like `cargo build` and `!admin reload`.
    async fn reload(&self, variant: &str) -> Result<u64, String> {
        build::variant(&self.library, variant);
        self.reload_as_it_lies(false).await
    }

    async fn reload_as_it_lies(&self, force: bool) -> Result<u64, String> {
        let candidate = self.rig.plugins.inspect("p").await.map_err(|error| error.to_string())?;
        let done = self.rig.plugins.reload("p", candidate.artifact, force).await.map_err(|error| error.to_string())?;
        Ok(done.generation.expect("a reload ends with one"))
    }

    /// Waits until one generation serves and one is parked.
    async fn at_rest_in_the_bake(&self) -> View {
        let parked = |view: &View| view.generations.iter().any(|generation| generation.role == Role::Parked);
        self.rig.until("p", |view| view.state == PluginState::Running && parked(view)).await
    }

    /// Waits until there is one generation, and no change under way.
    async fn at_rest(&self) -> View {
        self.rig.until("p", |view| view.state == PluginState::Running && view.generations.len() == 1).await
    }
}

fn baking(limits: &mut Limits) {
    limits.bake = Duration::from_secs(3600);
    limits.bake_min_events = 5;
}

/// The ledger balances, and every event was answered by the plugin.
fn assert_all_replied(view: &View) {
    assert_eq!(view.ledger.accepted, view.ledger.finished() + (view.queued + view.in_flight) as u64, "{view:#?}");
    assert_eq!(view.ledger.accepted, view.ledger.outcomes[0], "not all were {}: {view:#?}", OUTCOMES[0]);
    assert_eq!(view.ledger.late, 0);
}

/// Talks in one channel until told to stop: every answer must be the next one due. Returns how many there were.
async fn talk(rig: Arc<Rig>, name: String, stop: watch::Receiver<bool>) -> u64 {
    let mut channel = rig.channel(&name);
    let (mut sent, mut answered) = (0u64, 0u64);
    while answered < sent || !*stop.borrow() {
        while sent < answered + 32 && !*stop.borrow() {
            channel.say(&format!("!echo {name} {sent}")).await;
            sent += 1;
        }
        assert_eq!(channel.answer().await, Some(format!("{name} {answered}")));
        answered += 1;
    }
    assert!(channel.is_quiet(), "an answer too many");
    sent
}

#[tokio::test]
async fn a_stream_of_events_crosses_reloads_in_order_and_none_is_lost_or_doubled() {
    let bench = Bench::start(|_| {}).await;
    let (stop, stopped) = watch::channel(false);
    let (library, directory) = (bench.library.clone(), bench._directory);
    let rig = Arc::new(bench.rig);
    let talks: Vec<_> =
        (0..8).map(|n| tokio::spawn(talk(Arc::clone(&rig), format!("channel-{n}"), stopped.clone()))).collect();
    for round in 0..10 {
        build::variant(&library, &format!("good-{round}"));
        let candidate = rig.plugins.inspect("p").await.expect("a good build");
        rig.plugins.reload("p", candidate.artifact, false).await.expect("a good build");
        assert_eq!(rig.ask("!variant").await, format!("good-{round}"));
    }
    stop.send_replace(true);
    let mut sent = 10;
    for talk in talks {
        sent += talk.await.expect("in order");
    }
    let view = rig.until("p", |view| view.generations.len() == 1).await;
    assert_all_replied(&view);
    assert_eq!(view.ledger.accepted, sent);
    assert_eq!(view.active().map(|active| active.number), Some(11));
    assert_eq!(view.account.crash_count, 0);
    drop(directory);
}

#[tokio::test]
async fn a_bad_build_is_refused_with_what_to_do_and_the_old_one_never_notices() {
    let bench = Bench::start(|config| {
        config.limits.start_timeout = Duration::from_secs(2);
        config.limits.probe_timeout = Duration::from_secs(2);
    })
    .await;
    let pid = bench.rig.ask("!pid").await;
    let cases = [
        ("create-refuses", "the plugin refused to start: the moon is not full"),
        ("create-panics", "create panics"),
        ("create-hangs", "not ready within 2s"),
        ("create-exits", "exit status 7"),
        ("create-aborts", "that could not unwind); its last words: no moon at all"),
        ("probe-fails", "health check failed 3 times: the probe finds nothing"),
        ("probe-hangs", "health check got no answer within 2 s"),
        ("probe-crashes", "that could not unwind); its last words: the probe is too much for me"),
        ("probe-is-silent", "no answer to the probe"),
    ];
    for (variant, why) in cases {
        let error = bench.reload(variant).await.expect_err(variant);
        assert!(error.contains(why), "{variant}: {error}");
        assert_eq!(bench.rig.ask("!pid").await, pid, "{variant}");
    }
    let view = bench.at_rest().await;
    assert_eq!((view.account.crash_count, view.account.reloads), (0, (0, cases.len() as u64)));
    assert_all_replied(&view);
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_refused_with_what_to_do() {
    let bench = Bench::start(|_| {}).await;
    let whole = std::fs::read(&bench.library).expect("it is there");
    let put = |bytes: &[u8]| std::fs::write(&bench.library, bytes).expect("our directory");
    let refused = async |what: &str, why: &str| {
        let error = bench.reload_as_it_lies(false).await.expect_err(what);
        assert!(error.contains(why), "{what}: {error}");
        assert_eq!(bench.rig.ask("!echo still here").await, "still here", "{what}");
    };
    std::fs::remove_file(&bench.library).expect("it is there");
    refused("missing", "build p and copy it there").await;
    put(b"");
    refused("empty", "is cargo still building?").await;
    put(b"#!/bin/sh\necho hello\n");
    refused("a script", "is cargo still building?").await;
    for percent in [1, 10, 25, 50, 75, 90, 99] {
        put(&whole[..whole.len() * percent / 100]);
        refused(&format!("cut at {percent} %"), "is cargo still building?").await;
    }
    put(&std::fs::read(build::shim()).expect("it is built"));
    refused("an executable", "").await;
    let header = b"abi stable library for Rust     ";
    let at = whole.windows(header.len()).position(|window| window == header).expect("abi_stable's mark");
    let mut other = whole.clone();
    // The major version, which follows the mark.
    other[at + header.len()] ^= 0x55;
    put(&other);
    refused("another ABI", "built with another plugin-api").await;
    put(&whole);
    let same = bench.reload_as_it_lies(false).await.expect_err("nothing changed");
    assert!(same.contains("it already runs this build"), "{same}");
    assert_eq!(bench.reload_as_it_lies(true).await, Ok(2), "by force");
}

#[tokio::test]
async fn of_two_reloads_at_once_the_second_is_refused() {
    let bench = Bench::start(|_| {}).await;
    build::variant(&bench.library, "one");
    let one = bench.rig.plugins.inspect("p").await.expect("good").artifact;
    build::variant(&bench.library, "two");
    let two = bench.rig.plugins.inspect("p").await.expect("good").artifact;
    let (first, second) =
        tokio::join!(bench.rig.plugins.reload("p", one, false), bench.rig.plugins.reload("p", two, false));
    assert!(first.is_ok());
    assert!(second.expect_err("busy").to_string().contains("reload of this plugin is under way"));
}

#[tokio::test]
async fn two_plugins_reload_side_by_side() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = |name: &str| directory.path().join(format!("{name}.so"));
    for name in ["a", "b"] {
        build::variant(&library(name), "good");
    }
    let rig = Rig::start(["a", "b"].map(|name| plugin(name, &library(name))).into()).await;
    build::variant(&library("a"), "new");
    build::variant(&library("b"), "new");
    let (a, b) = tokio::join!(rig.plugins.inspect("a"), rig.plugins.inspect("b"));
    let (a, b) = (a.expect("good").artifact, b.expect("good").artifact);
    let (a, b) = tokio::join!(rig.plugins.reload("a", a, false), rig.plugins.reload("b", b, false));
    assert!(a.is_ok() && b.is_ok());
    rig.stop().await;
}

#[tokio::test]
async fn what_is_in_flight_is_answered_by_the_old_generation() {
    let bench = Bench::start(|_| {}).await;
    let (mut slow, mut other) = (bench.rig.channel("slow"), bench.rig.channel("other"));
    slow.say("!later 1000 from the old one").await;
    slow.say("!variant").await;
    bench.reload("new").await.expect("good");
    other.say("!variant").await;
    assert_eq!(other.answer().await.as_deref(), Some("new"), "another channel does not wait");
    assert_eq!(slow.answer().await.as_deref(), Some("from the old one"));
    assert!(slow.answer().await.is_some());
    assert_all_replied(&bench.at_rest().await);
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_cut_short_and_its_events_are_delivered_again() {
    let bench = Bench::start(|config| config.limits.drain_timeout = Duration::from_millis(100)).await;
    let mut slow = bench.rig.channel("slow");
    slow.say("!later 3000 at last").await;
    bench.reload("new").await.expect("good");
    assert_eq!(slow.answer().await.as_deref(), Some("at last"));
    let view = bench.at_rest().await;
    assert_eq!(view.ledger.redelivered, 1);
    assert_all_replied(&view);
}

#[tokio::test]
async fn a_handoff_moves_the_state_and_holds_events_meanwhile() {
    let bench = Bench::start(|config| config.reload = Some(ReloadMode::Handoff)).await;
    for n in 1..=3 {
        assert_eq!(bench.rig.ask("!count").await, n.to_string());
    }
    bench.reload("new").await.expect("good");
    assert_eq!(bench.rig.ask("!count").await, "4");
    assert_eq!(bench.rig.ask("!variant").await, "new");
    assert_all_replied(&bench.at_rest().await);
}

#[tokio::test]
async fn a_handoff_under_load_counts_every_event_once() {
    let bench = Bench::start(|config| config.reload = Some(ReloadMode::Handoff)).await;
    let mut channel = bench.rig.channel("counting");
    let counting = async {
        for n in 1..=2000u32 {
            channel.say("!count").await;
            assert_eq!(channel.answer().await, Some(n.to_string()));
        }
    };
    let reloading = async {
        for n in 0..5 {
            bench.reload(&format!("new-{n}")).await.expect("good");
        }
    };
    tokio::join!(counting, reloading);
    assert_all_replied(&bench.at_rest().await);
}

#[tokio::test]
async fn a_handoff_that_fails_leaves_the_old_generation_with_its_state() {
    let bench = Bench::start(|config| {
        config.reload = Some(ReloadMode::Handoff);
        config.limits.handoff_timeout = Duration::from_millis(300);
    })
    .await;
    assert_eq!(bench.rig.ask("!count").await, "1");
    let error = bench.reload("restore-fails").await.expect_err("it cannot restore");
    assert!(error.contains("cannot make sense of it") && error.contains("goes on with its state"), "{error}");
    assert_eq!(bench.rig.ask("!count").await, "2");
    // An event that takes longer than a handoff may.
    let mut slow = bench.rig.channel("slow");
    slow.say("!later 2000 done").await;
    let error = bench.reload("new").await.expect_err("the old one does not finish");
    assert!(error.contains("the old build did not answer what it had within 300 ms"), "{error}");
    assert!(error.contains("raise limits.handoff_timeout"), "{error}");
    assert_eq!(slow.answer().await.as_deref(), Some("done"));
    assert_eq!(bench.rig.ask("!count").await, "3");
    assert_all_replied(&bench.at_rest().await);
}

#[tokio::test]
async fn a_snapshot_that_fails_leaves_the_old_generation() {
    let bench = Bench::start(|config| config.reload = Some(ReloadMode::Handoff)).await;
    bench.reload("snapshot-fails").await.expect("it is asked for none yet");
    let error = bench.reload("new").await.expect_err("the old one cannot remember");
    assert!(error.contains("cannot remember"), "{error}");
    assert_eq!(bench.rig.ask("!variant").await, "snapshot-fails");
}

#[tokio::test]
async fn a_rollback_of_a_handoff_says_what_is_left_of_the_state() {
    let bench = Bench::start(|config| {
        config.reload = Some(ReloadMode::Handoff);
        baking(&mut config.limits);
    })
    .await;
    let count = async || bench.rig.ask("!count").await;
    assert_eq!(count().await, "1");
    bench.reload("new").await.expect("good");
    assert_eq!((count().await, count().await), ("2".into(), "3".into()));
    let done = bench.rig.plugins.rollback("p").await.expect("it is parked");
    assert_eq!(done.state, Some(StateLeft::OfTheSwap));
    assert_eq!(count().await, "2", "what the newer build counted is lost");

    bench.reload("echo-crashes").await.expect("its probe is fine");
    assert_eq!(count().await, "3");
    bench.rig.ask("!echo hello").await;
    let left = bench.rig.lifecycle("p").into_iter().find_map(|what| match what {
        LifecycleKind::State(StateEvent::RolledBack { state, .. }) => Some(state),
        _ => None,
    });
    assert_eq!(left, Some(Some(StateLeft::OfTheSwap)));
    assert_eq!(count().await, "3", "as before the swap");
}

#[tokio::test]
async fn a_rollback_after_the_bake_hands_the_state_back() {
    let bench = Bench::start(|config| config.reload = Some(ReloadMode::Handoff)).await;
    bench.reload("new").await.expect("good");
    assert_eq!(bench.rig.ask("!count").await, "1");
    bench.at_rest().await;
    let done = bench.rig.plugins.rollback("p").await.expect("the store has it");
    assert_eq!(done.state, Some(StateLeft::HandedBack));
    assert_eq!(bench.rig.ask("!count").await, "2");
    bench.rig.plugins.stop("p").await.expect("it runs");
}

#[tokio::test]
async fn an_exclusive_reload_never_has_two_processes() {
    let bench = Bench::start(|config| config.reload = Some(ReloadMode::Exclusive)).await;
    let mut channel = bench.rig.channel("here");
    channel.say("!later 100 first").await;
    let (reloaded, ()) = tokio::join!(bench.reload("new"), channel.say("!variant"));
    reloaded.expect("good");
    assert_eq!(channel.answer().await.as_deref(), Some("first"));
    assert!(channel.answer().await.is_some());
    assert_eq!(bench.rig.ask("!variant").await, "new");
    assert_all_replied(&bench.at_rest().await);
}

#[tokio::test]
async fn an_exclusive_reload_that_fails_brings_the_old_artifact_back() {
    let bench = Bench::start(|config| config.reload = Some(ReloadMode::Exclusive)).await;
    bench.reload("probe-fails").await.expect_err("its probe fails");
    assert_eq!(bench.rig.ask("!variant").await, "good");
    assert_all_replied(&bench.at_rest().await);
}

#[tokio::test]
async fn a_crash_in_the_bake_puts_the_parked_generation_back_and_blocks_the_build() {
    let bench = Bench::start(|config| baking(&mut config.limits)).await;
    let old = bench.rig.ask("!pid").await;
    bench.reload("echo-crashes").await.expect("its probe is fine");
    // The old generation answers the event that crashes the new one.
    assert_eq!(bench.rig.ask("!echo hello").await, "hello");
    assert_eq!(bench.rig.ask("!pid").await, old, "the very process");
    let view = bench.at_rest().await;
    assert_eq!((view.account.rollbacks, view.account.crash_count, view.history.blocked.len()), (1, 1, 1));
    assert_all_replied(&view);
    let again = bench.reload("echo-crashes").await.expect_err("it is blocked");
    assert!(again.contains("failed its trial"), "{again}");
}

#[tokio::test]
async fn too_many_failures_in_the_bake_put_the_old_generation_back() {
    let bench = Bench::start(|config| baking(&mut config.limits)).await;
    let old = bench.rig.ask("!pid").await;
    bench.reload("echo-fails").await.expect("its probe is fine");
    let mut channel = bench.rig.channel("here");
    for person in ["al", "bo", "al", "bo", "al"] {
        channel.say_as(person, "!echo hello").await;
        channel.answer().await;
    }
    let view = bench.rig.until("p", |view| view.account.rollbacks == 1).await;
    assert_eq!(view.history.blocked.len(), 1);
    assert_eq!(bench.rig.ask("!pid").await, old);
}

#[tokio::test]
async fn the_input_of_one_person_vetoes_no_build() {
    let bench = Bench::start(|config| baking(&mut config.limits)).await;
    let mut channel = bench.rig.channel("here");
    bench.reload("new").await.expect("good");
    for _ in 0..20 {
        channel.say_as("mallory", "!fail").await;
        channel.answer().await;
    }
    let view = bench.at_rest_in_the_bake().await;
    assert_eq!((view.account.rollbacks, view.ledger.outcomes[2]), (0, 20), "one person");

    // A line that crashes every build.
    channel.say_as("mallory", "!abort").await;
    channel.answer().await;
    let view = bench.rig.until("p", |view| view.account.crash_count == 2 && view.state == PluginState::Running).await;
    assert_eq!((view.account.rollbacks, view.history.blocked.len()), (1, 0), "the build before crashed on it, too");
    bench.reload_as_it_lies(false).await.expect("it is not blocked");
}

#[tokio::test]
async fn a_restart_of_a_plugin_that_hands_its_state_over_keeps_the_state() {
    let bench = Bench::start(|config| config.reload = Some(ReloadMode::Handoff)).await;
    let before = bench.rig.ask("!pid").await;
    assert_eq!(bench.rig.ask("!count").await, "1");
    bench.rig.plugins.restart("p").await.expect("it runs");
    assert_eq!(bench.rig.ask("!count").await, "2");
    assert_ne!(bench.rig.ask("!pid").await, before);
    let view = bench.at_rest().await;
    assert_eq!(view.history.good.len(), 1);
    assert_all_replied(&view);
}

#[tokio::test]
async fn a_bake_without_events_is_inconclusive_and_one_with_good_events_is_good() {
    let bench = Bench::start(|config| {
        config.limits.bake = Duration::from_millis(200);
        config.limits.bake_min_events = 1;
    })
    .await;
    let verdicts = || {
        let all = bench.rig.lifecycle("p").into_iter();
        let verdict = |what| {
            if let LifecycleKind::State(StateEvent::BakeOver { verdict, .. }) = what { Some(verdict) } else { None }
        };
        all.filter_map(verdict).collect::<Vec<_>>()
    };
    bench.reload("quiet").await.expect("good");
    bench.rig.until("p", |_| !verdicts().is_empty()).await;
    bench.reload("busy").await.expect("good");
    bench.rig.ask("!echo hello").await;
    bench.rig.until("p", |_| verdicts().len() == 2).await;
    assert_eq!(verdicts(), [Verdict::Inconclusive, Verdict::Good]);
    let view = bench.at_rest().await;
    assert_eq!(view.history.good.len(), 3);
}

#[tokio::test]
async fn a_rollback_on_request_goes_back_and_never_forth() {
    let bench = Bench::start(|_| {}).await;
    bench.reload("new").await.expect("good");
    bench.rig.plugins.rollback("p").await.expect("there is an earlier one");
    assert_eq!(bench.rig.ask("!variant").await, "good");
    bench.reload_as_it_lies(false).await.expect("what a person went back from is not blocked");
    assert_eq!(bench.rig.ask("!variant").await, "new");
    bench.rig.plugins.rollback("p").await.expect("there is an earlier one");
    let error = bench.rig.plugins.rollback("p").await.expect_err("there is none before the first");
    assert!(error.to_string().contains("no earlier artifact"), "{error}");
}
