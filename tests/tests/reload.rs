//! Reloads on real processes: what must hold from the request until the old generation is gone.

use rosey::{
    event::OUTCOMES,
    plugin::{
        PluginConfig,
        limits::Limits,
        slot::{
            message::{View, What},
            state::{Note, ReloadMode, StateLeft, Verdict},
        },
    },
};
use rosey_tests::{
    bot::signal_process,
    build,
    rig::{Rig, plugin},
};
use rustix::process::Signal;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tokio::sync::watch;

/// A rig with one misbehaving plugin `p`, whose library the test can build anew.
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

    /// As `cargo build` and `!admin reload` do.
    async fn reload(&self, variant: &str) -> Result<u64, String> {
        build::variant(&self.library, variant);
        self.reload_as_it_lies(false).await
    }

    async fn reload_as_it_lies(&self, force: bool) -> Result<u64, String> {
        let candidate = self.rig.plugins.inspect("p").await.map_err(|error| error.to_string())?;
        let done = self.rig.plugins.reload("p", candidate.artifact, force).await.map_err(|error| error.to_string())?;
        Ok(done.generation.expect("a reload ends with one"))
    }

    /// One generation, and nothing on the way.
    async fn at_rest(&self) -> View {
        self.rig.until("p", |view| view.state == "running" && view.generations.len() == 1).await
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
    let (mut said, mut answered) = (0u64, 0u64);
    while answered < said || !*stop.borrow() {
        while said < answered + 32 && !*stop.borrow() {
            channel.say(&format!("!echo {name} {said}")).await;
            said += 1;
        }
        assert_eq!(channel.answer().await, Some(format!("{name} {answered}")));
        answered += 1;
    }
    assert!(channel.is_quiet(), "an answer too many");
    said
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
    let mut said = 10;
    for talk in talks {
        said += talk.await.expect("in order");
    }
    let view = rig.until("p", |view| view.generations.len() == 1).await;
    assert_all_replied(&view);
    assert_eq!(view.ledger.accepted, said);
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
        ("probe-is-silent", "nothing to say to the probe"),
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
    refused("missing", "cargo build --release -p p").await;
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
    // The major version that follows the mark.
    other[at + header.len()] ^= 0x55;
    put(&other);
    refused("another ABI", "built against another plugin-api").await;
    put(&whole);
    let same = bench.reload_as_it_lies(false).await.expect_err("nothing changed");
    assert!(same.contains("that very build is running already"), "{same}");
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
    assert!(second.expect_err("busy").to_string().contains("reload of it is under way"));
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
    let said = bench.rig.happenings("p").into_iter().find_map(|what| match what {
        What::Note(Note::RolledBack { state, .. }) => Some(state),
        _ => None,
    });
    assert_eq!(said, Some(Some(StateLeft::OfTheSwap)));
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
async fn a_crash_in_the_bake_puts_the_parked_generation_back_and_condemns_the_build() {
    let bench = Bench::start(|config| baking(&mut config.limits)).await;
    let old = bench.rig.ask("!pid").await;
    bench.reload("echo-crashes").await.expect("its probe is fine");
    // The event that it crashes on is answered by the old one, which does not crash.
    assert_eq!(bench.rig.ask("!echo hello").await, "hello");
    assert_eq!(bench.rig.ask("!pid").await, old, "the very process");
    let view = bench.at_rest().await;
    assert_eq!((view.account.rollbacks, view.account.crash_count, view.memory.condemned.len()), (1, 1, 1));
    assert_all_replied(&view);
    let again = bench.reload("echo-crashes").await.expect_err("it is condemned");
    assert!(again.contains("was rolled back before"), "{again}");
}

#[tokio::test]
async fn too_many_failures_in_the_bake_put_the_old_generation_back() {
    let bench = Bench::start(|config| baking(&mut config.limits)).await;
    let old = bench.rig.ask("!pid").await;
    bench.reload("echo-fails").await.expect("its probe is fine");
    for _ in 0..5 {
        bench.rig.ask("!echo hello").await;
    }
    let view = bench.rig.until("p", |view| view.account.rollbacks == 1).await;
    assert_eq!(view.memory.condemned.len(), 1);
    assert_eq!(bench.rig.ask("!pid").await, old);
}

#[tokio::test]
async fn a_bake_without_events_is_inconclusive_and_one_with_good_events_is_good() {
    let bench = Bench::start(|config| {
        config.limits.bake = Duration::from_millis(200);
        config.limits.bake_min_events = 1;
    })
    .await;
    let verdicts = || {
        let all = bench.rig.happenings("p").into_iter();
        let verdict = |what| if let What::Note(Note::BakeOver { verdict, .. }) = what { Some(verdict) } else { None };
        all.filter_map(verdict).collect::<Vec<_>>()
    };
    bench.reload("quiet").await.expect("good");
    bench.rig.until("p", |_| !verdicts().is_empty()).await;
    bench.reload("busy").await.expect("good");
    bench.rig.ask("!echo hello").await;
    bench.rig.until("p", |_| verdicts().len() == 2).await;
    assert_eq!(verdicts(), [Verdict::Inconclusive, Verdict::Good]);
    let view = bench.at_rest().await;
    assert_eq!(view.memory.history.len(), 3);
}

#[tokio::test]
async fn a_rollback_on_request_goes_back_and_never_forth() {
    let bench = Bench::start(|_| {}).await;
    bench.reload("new").await.expect("good");
    bench.rig.plugins.rollback("p").await.expect("there is an earlier one");
    assert_eq!(bench.rig.ask("!variant").await, "good");
    let error = bench.rig.plugins.rollback("p").await.expect_err("there is none before the first");
    assert!(error.to_string().contains("no earlier artifact"), "{error}");
}

#[tokio::test]
async fn a_host_that_starts_again_runs_the_last_good_artifact() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libp.so");
    let config = || {
        let mut config = plugin("p", &library);
        baking(&mut config.limits);
        config
    };
    let state = directory.path().join("state");
    build::variant(&library, "first");
    let rig = Rig::start_in(&state, vec![config()]).await;
    build::variant(&library, "in its bake");
    let baking = rig.plugins.inspect("p").await.expect("good").artifact;
    rig.plugins.reload("p", baking, false).await.expect("good");
    assert_eq!(rig.ask("!variant").await, "in its bake");
    // As after a SIGKILL: nobody ends the bake.
    drop(rig);
    build::variant(&library, "whatever the build left");
    let rig = Rig::start_in(&state, vec![config()]).await;
    assert_eq!(rig.ask("!variant").await, "first");
    let view = rig.until("p", |view| view.pick.is_some()).await;
    let text = view.explanation.expect("it is told");
    assert!(text.contains(&format!("artifact {}, which ran last, had not passed its bake", baking.short())), "{text}");
    assert!(text.contains("another build lies in the build folder") && text.ends_with("reload p"), "{text}");
    let told = || rig.happenings("p").into_iter().filter(|what| matches!(what, What::Picked(_))).count();
    signal_process(view.generations[0].pid, Signal::KILL);
    rig.until("p", |view| view.account.crash_count == 1 && view.state == "running").await;
    assert_eq!(told(), 1, "once");
    let candidate = rig.plugins.inspect("p").await.expect("good");
    rig.plugins.reload("p", candidate.artifact, false).await.expect("good");
    assert_eq!(rig.plugins.view("p").await.expect("there").pick, None, "the newest runs");
    rig.stop().await;
}

#[tokio::test]
async fn a_host_whose_store_has_lost_artifacts_runs_the_good_one_before_and_at_last_what_was_built() {
    let directory = tempfile::tempdir().expect("a directory");
    let (state, library) = (directory.path().join("state"), directory.path().join("libp.so"));
    build::variant(&library, "first");
    let start = async || Rig::start_in(&state, vec![plugin("p", &library)]).await;
    let rig = start().await;
    for variant in ["second", "third"] {
        build::variant(&library, variant);
        let candidate = rig.plugins.inspect("p").await.expect("good");
        rig.plugins.reload("p", candidate.artifact, false).await.expect("good");
    }
    let [first, second, third] = rig.plugins.view("p").await.expect("there").memory.history[..] else {
        panic!("three")
    };
    std::fs::remove_file(find_artifact(&rig, &third.to_string())).expect("our directory");
    flip_a_byte(&find_artifact(&rig, &second.to_string()));
    rig.stop().await;

    let rig = start().await;
    assert_eq!(rig.ask("!variant").await, "first");
    let view = rig.until("p", |view| view.pick.is_some()).await;
    let pick = view.pick.expect("waited for");
    assert_eq!((pick.artifact, pick.level().as_str()), (first, "ERROR"));
    let text = pick.text("reload p");
    assert!(text.contains(&format!("artifact {} cannot be read", third.short())), "{text}");
    assert!(text.contains(&format!("artifact {} is corrupted", second.short())), "{text}");
    assert_eq!((view.memory.last_good, &view.memory.history[..]), (Some(first), &[first][..]));
    std::fs::remove_file(find_artifact(&rig, &first.to_string())).expect("our directory");
    rig.stop().await;

    build::variant(&library, "what was built");
    let rig = start().await;
    assert_eq!(rig.ask("!variant").await, "what was built");
    let view = rig.until("p", |view| view.pick.is_some()).await;
    assert_eq!(view.memory.history.len(), 1);
    std::fs::remove_file(find_artifact(&rig, &view.memory.history[0].to_string())).expect("our directory");
    rig.stop().await;

    std::fs::remove_file(&library).expect("it is there");
    let rig = start().await;
    let why = rig.until("p", |view| view.state == "failed").await.explanation.expect("it says why");
    assert!(why.contains("cannot be read") && why.contains("cargo build --release -p p"), "{why}");
    rig.stop().await;
}

#[tokio::test]
async fn a_build_that_was_rolled_back_from_is_never_what_a_host_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let (state, library) = (directory.path().join("state"), directory.path().join("libp.so"));
    build::variant(&library, "first");
    let start = async || Rig::start_in(&state, vec![plugin("p", &library)]).await;
    let rig = start().await;
    build::variant(&library, "second");
    let candidate = rig.plugins.inspect("p").await.expect("good");
    rig.plugins.reload("p", candidate.artifact, false).await.expect("good");
    rig.plugins.rollback("p").await.expect("there is one");
    rig.stop().await;

    let rig = start().await;
    assert_eq!(rig.ask("!variant").await, "first");
    let pick = rig.until("p", |view| view.pick.is_some()).await.pick.expect("waited for");
    assert!(pick.text("").contains("was rolled back from; build a new one"), "{pick:?}");
    let first = rig.plugins.view("p").await.expect("there").memory.last_good.expect("the first");
    std::fs::remove_file(find_artifact(&rig, &first.to_string())).expect("our directory");
    rig.stop().await;

    let rig = start().await;
    let why = rig.until("p", |view| view.state == "failed").await.explanation.expect("it says why");
    assert!(why.contains("in the build folder was rolled back from; build a new one"), "{why}");
    rig.stop().await;
}

#[tokio::test]
async fn a_corrupted_artifact_is_noticed_and_refused() {
    let bench = Bench::start(|_| {}).await;
    bench.reload("new").await.expect("good");
    let view = bench.at_rest().await;
    let previous = view.memory.history[0];
    flip_a_byte(&find_artifact(&bench.rig, &previous.to_string()));
    let error = bench.rig.plugins.rollback("p").await.expect_err("it is corrupted").to_string();
    assert!(error.contains("corrupted") && error.contains("build the plugin again"), "{error}");
    assert_eq!(bench.rig.ask("!variant").await, "new");
}

#[tokio::test]
async fn old_artifacts_are_collected_and_the_active_one_never() {
    let bench = Bench::start(|config| config.limits.artifacts_kept = 2).await;
    for n in 0..6 {
        bench.reload(&format!("number {n}")).await.expect("good");
    }
    bench.rig.plugins.collect_garbage().await;
    assert_eq!(artifacts(bench.rig.state()).len(), 7, "what is new may be about to be used");
    age_artifacts(bench.rig.state());
    bench.rig.plugins.collect_garbage().await;
    assert_eq!(artifacts(bench.rig.state()).len(), 2);
    assert_eq!(bench.rig.ask("!variant").await, "number 5");
    bench.rig.plugins.rollback("p").await.expect("one is kept");
    assert_eq!(bench.rig.ask("!variant").await, "number 4");
}

#[tokio::test]
async fn artifacts_are_collected_after_a_refused_reload_and_when_a_host_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let (state, library) = (directory.path().join("state"), directory.path().join("libp.so"));
    build::variant(&library, "good");
    build::variant(&directory.path().join("libother.so"), "the other one");
    let config = |name: &str| {
        let mut config = plugin(name, &directory.path().join(format!("lib{name}.so")));
        config.limits.artifacts_kept = 1;
        baking(&mut config.limits);
        config
    };
    let rig = Rig::start_in(&state, vec![config("p"), config("other")]).await;
    let reload = async |variant: &str| {
        build::variant(&library, variant);
        let candidate = rig.plugins.inspect("p").await.map_err(|error| error.to_string())?;
        rig.plugins.reload("p", candidate.artifact, false).await.map_err(|error| error.to_string())
    };
    for refused in ["create-refuses", "probe-fails"] {
        reload("create-aborts").await.expect_err("it cannot start");
        assert_eq!(artifacts(&state).len(), 3);
        age_artifacts(&state);
        reload(refused).await.expect_err(refused);
        assert_eq!(artifacts(&state).len(), 3, "{refused}: what runs, and what is new");
        age_artifacts(&state);
    }
    reload("baking").await.expect("good");
    age_artifacts(&state);
    rig.plugins.collect_garbage().await;
    assert_eq!(artifacts(&state).len(), 3, "the active ones and the parked one");
    rig.stop().await;

    let garbage = state.join("artifacts").join(format!("{}.so", "ab".repeat(32)));
    std::fs::write(&garbage, "of a host that was killed").expect("our directory");
    age_artifacts(&state);
    let rig = Rig::start_in(&state, vec![config("p")]).await;
    assert!(!garbage.exists());
    assert_eq!(rig.ask("!variant").await, "good");
    rig.stop().await;
    age_artifacts(&state);
    std::fs::remove_file(directory.path().join("libother.so")).expect("it is there");
    let rig = Rig::start_in(&state, vec![config("other")]).await;
    assert_eq!(rig.ask("!variant").await, "the other one", "what was not configured for a while is kept");
    rig.stop().await;
}

fn artifacts(state: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(state.join("artifacts")).expect("it is there").flatten();
    entries.map(|entry| entry.path()).collect()
}

/// What is new may be about to be used, and is kept.
fn age_artifacts(state: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(120);
    for artifact in artifacts(state) {
        std::fs::File::open(artifact).and_then(|file| file.set_modified(long_ago)).expect("ours");
    }
}

fn find_artifact(rig: &Rig, hash: &str) -> PathBuf {
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(hash));
    artifacts(rig.state()).into_iter().find(is_it).expect("it is kept")
}

fn flip_a_byte(path: &Path) {
    let mut bytes = std::fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // Artifacts are read-only; the owner of the folder can replace one all the same.
    std::fs::remove_file(path).and_then(|()| std::fs::write(path, bytes)).expect("our directory");
}
