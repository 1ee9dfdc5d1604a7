//! The artifact store: what a host finds in it at the start, what it does when something is missing, and what it
//! removes.

use rosey::slot::lifecycle::LifecycleKind;
use rosey_core::hash::Hash;
use rosey_core::state::PluginState;
use rosey_tests::{
    bot::signal_process,
    build,
    rig::{Rig, plugin},
};
use rustix::process::Signal;
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Makes a new build of `p`, and changes to it.
async fn reload(rig: &Rig, library: &Path, variant: &str) -> Result<Hash, String> {
    build::variant(library, variant);
    let candidate = rig.plugins.inspect("p").await.map_err(|error| error.to_string())?;
    rig.plugins.reload("p", candidate.artifact, false).await.map_err(|error| error.to_string())?;
    Ok(candidate.artifact)
}

#[tokio::test]
async fn a_host_that_starts_again_runs_the_last_good_artifact() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libp.so");
    let config = || {
        let mut config = plugin("p", &library);
        config.limits.bake = Duration::from_secs(3600);
        config
    };
    let state = directory.path().join("state");
    build::variant(&library, "first");
    let rig = Rig::start_in(&state, vec![config()]).await;
    let active = reload(&rig, &library, "in its bake").await.expect("good").to_string();
    assert_eq!(rig.ask("!variant").await, "in its bake");
    // The history of builds is on disk a moment after the answer.
    let database = rusqlite::Connection::open(state.join("rosey.db")).expect("it is there");
    let saved = || database.query_row("SELECT active FROM plugin WHERE name = 'p'", [], |row| row.get::<_, String>(0));
    while saved().ok().as_ref() != Some(&active) {
        tokio::task::yield_now().await;
    }
    // Like a SIGKILL: the bake does not end.
    drop(rig);
    build::variant(&library, "whatever the build left");
    let rig = Rig::start_in(&state, vec![config()]).await;
    assert_eq!(rig.ask("!variant").await, "first");
    let view = rig.until("p", |view| view.startup.is_some()).await;
    let text = view.explanation.expect("it is told");
    assert!(text.contains("Rosey stopped before the new build finished its 1 h trial."), "{text}");
    assert!(text.ends_with("The plugin folder has another build. To use it: !admin reload p."), "{text}");
    let told = || rig.lifecycle("p").into_iter().filter(|what| matches!(what, LifecycleKind::StartupChosen(_))).count();
    signal_process(view.generations[0].pid, Signal::KILL);
    rig.until("p", |view| view.account.crash_count == 1 && view.state == PluginState::Running).await;
    assert_eq!(told(), 1, "once");
    reload(&rig, &library, "newest").await.expect("good");
    assert_eq!(rig.plugins.view("p").await.expect("there").startup, None, "the newest runs");
    rig.stop().await;
}

#[tokio::test]
async fn an_orderly_stop_within_the_bake_goes_on_with_the_trial_and_a_crash_in_it_goes_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let (state, library) = (directory.path().join("state"), directory.path().join("libp.so"));
    let start = async || {
        let mut config = plugin("p", &library);
        config.limits.bake = Duration::from_secs(3600);
        Rig::start_in(&state, vec![config]).await
    };
    build::variant(&library, "first");
    let rig = start().await;
    reload(&rig, &library, "second").await.expect("good");
    rig.stop().await;

    let rig = start().await;
    assert_eq!(rig.ask("!variant").await, "second");
    let view = rig.until("p", |view| view.startup.is_some() && view.history.on_trial.is_none()).await;
    assert!(view.bake_left.is_some(), "the trial begins again");
    let text = view.explanation.expect("it is told");
    assert_eq!(text, "Running 1.0.0. Its trial begins again: Rosey stopped before it was over.");
    signal_process(view.generations[0].pid, Signal::KILL);
    let view = rig.until("p", |view| view.account.rollbacks == 1 && view.state == PluginState::Running).await;
    assert_eq!(view.history.blocked.len(), 1);
    assert_eq!(rig.ask("!variant").await, "first");
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
        reload(&rig, &library, variant).await.expect("good");
    }
    let [first, second, third] = rig.plugins.view("p").await.expect("there").history.good[..] else { panic!("three") };
    std::fs::remove_file(find_artifact(&rig, &third.to_string())).expect("our directory");
    flip_a_byte(&find_artifact(&rig, &second.to_string()));
    rig.stop().await;

    let rig = start().await;
    assert_eq!(rig.ask("!variant").await, "first");
    let view = rig.until("p", |view| view.startup.is_some()).await;
    let choice = view.startup.expect("waited for");
    assert_eq!((choice.artifact, choice.level().as_str()), (first, "ERROR"));
    let text = choice.text("reload p");
    assert!(text.contains(&format!("artifact {} cannot be read", third.short())), "{text}");
    assert!(text.contains(&format!("artifact {} is corrupted", second.short())), "{text}");
    assert_eq!((view.history.last_good, &view.history.good[..]), (Some(first), &[first][..]));
    std::fs::remove_file(find_artifact(&rig, &first.to_string())).expect("our directory");
    rig.stop().await;

    build::variant(&library, "what was built");
    let rig = start().await;
    assert_eq!(rig.ask("!variant").await, "what was built");
    let view = rig.until("p", |view| view.startup.is_some()).await;
    assert_eq!(view.history.good.len(), 1);
    std::fs::remove_file(find_artifact(&rig, &view.history.good[0].to_string())).expect("our directory");
    rig.stop().await;

    std::fs::remove_file(&library).expect("it is there");
    let rig = start().await;
    let why = rig.until("p", |view| view.state == PluginState::Failed).await.explanation.expect("it says why");
    assert!(why.contains("cannot be read") && why.contains("build p and copy it there"), "{why}");
    rig.stop().await;
}

#[tokio::test]
async fn a_build_that_was_rolled_back_from_is_never_what_a_host_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let (state, library) = (directory.path().join("state"), directory.path().join("libp.so"));
    build::variant(&library, "first");
    let start = async || {
        let mut config = plugin("p", &library);
        config.limits.bake = Duration::from_secs(3600);
        Rig::start_in(&state, vec![config]).await
    };
    let rig = start().await;
    reload(&rig, &library, "echo-crashes").await.expect("its probe is fine");
    rig.ask("!echo hello").await;
    rig.stop().await;

    let rig = start().await;
    assert_eq!(rig.ask("!variant").await, "first");
    let choice = rig.until("p", |view| view.startup.is_some()).await.startup.expect("waited for");
    assert!(choice.text("").contains("was rolled back; build a new one"), "{choice:?}");
    let first = rig.plugins.view("p").await.expect("there").history.last_good.expect("the first");
    std::fs::remove_file(find_artifact(&rig, &first.to_string())).expect("our directory");
    rig.stop().await;

    let rig = start().await;
    let why = rig.until("p", |view| view.state == PluginState::Failed).await.explanation.expect("it says why");
    assert!(why.contains("in the plugin folder was rolled back; build a new one"), "{why}");
    rig.stop().await;
}

#[tokio::test]
async fn a_corrupted_artifact_is_noticed_and_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libp.so");
    build::variant(&library, "good");
    let rig = Rig::start(vec![plugin("p", &library)]).await;
    reload(&rig, &library, "new").await.expect("good");
    let previous = rig.plugins.view("p").await.expect("there").history.good[0];
    flip_a_byte(&find_artifact(&rig, &previous.to_string()));
    let error = rig.plugins.rollback("p").await.expect_err("it is corrupted").to_string();
    assert!(error.contains("corrupted") && error.contains("build the plugin again"), "{error}");
    assert_eq!(rig.ask("!variant").await, "new");
}

#[tokio::test]
async fn old_artifacts_are_collected_and_the_active_one_never() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libp.so");
    build::variant(&library, "good");
    let mut config = plugin("p", &library);
    config.limits.artifacts_kept = 2;
    let rig = Rig::start(vec![config]).await;
    for n in 0..6 {
        reload(&rig, &library, &format!("number {n}")).await.expect("good");
    }
    rig.plugins.collect_garbage().await;
    assert_eq!(artifacts(rig.state()).len(), 7, "what is new may be about to be used");
    age_artifacts(rig.state());
    rig.plugins.collect_garbage().await;
    assert_eq!(artifacts(rig.state()).len(), 2);
    assert_eq!(rig.ask("!variant").await, "number 5");
    rig.plugins.rollback("p").await.expect("one is kept");
    assert_eq!(rig.ask("!variant").await, "number 4");
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
        config.limits.bake = Duration::from_secs(3600);
        config
    };
    let rig = Rig::start_in(&state, vec![config("p"), config("other")]).await;
    let reload = async |variant: &str| reload(&rig, &library, variant).await;
    // The running build and the new one; the others are collected in the background.
    let three = async || rig.until("p", |_| artifacts(&state).len() == 3).await;
    for refused in ["create-refuses", "probe-fails"] {
        reload("create-aborts").await.expect_err("it cannot start");
        three().await;
        age_artifacts(&state);
        reload(refused).await.expect_err(refused);
        three().await;
        age_artifacts(&state);
    }
    reload("baking").await.expect("good");
    age_artifacts(&state);
    rig.plugins.collect_garbage().await;
    assert_eq!(artifacts(&state).len(), 3, "the active ones and the parked one");
    // An orderly stop would continue the trial.
    drop(rig);

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

/// New artifacts may be about to be used, and so are kept; this makes them old.
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
    // Artifacts are read-only, but the owner of the folder can replace one.
    std::fs::remove_file(path).and_then(|()| std::fs::write(path, bytes)).expect("our directory");
}
