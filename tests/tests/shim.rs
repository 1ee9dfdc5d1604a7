//! The host with a shim that is broken, of another release, or not its own.

use rosey::plugins::PluginConfig;
use rosey_core::state::PluginState;
use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use std::{path::Path, time::Duration};

const FAKE: &str = env!("CARGO_BIN_EXE_fake-shim");

/// Why a plugin does not start with this shim.
async fn why(kind: &str) -> String {
    let folder = tempfile::tempdir().expect("a directory");
    for name in [kind, "honest"] {
        let link = folder.path().join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(FAKE, link).expect("our directory");
        }
    }
    let mut config: PluginConfig = plugin("p", &build::library("echo"));
    config.limits.start_timeout = Duration::from_millis(500);
    config.limits.crash_loop_starts = 1;
    let rig = Rig::start_with_shim(&folder.path().join(kind), vec![config]).await;
    let view = rig.until("p", |view| view.state == PluginState::Failed).await;
    assert!(view.generations.is_empty());
    let left = || std::fs::read_dir(rig.run_dir()).expect("it is there").count();
    rig.until("p", |_| left() == 0).await;
    let explanation = view.explanation.expect("it says why");
    rig.stop().await;
    explanation
}

#[tokio::test]
async fn a_shim_of_another_release_is_told_apart() {
    let why = why("of-the-future").await;
    assert!(why.contains("the shim 9.9.9 speaks protocol 900 to 901"), "{why}");
    assert!(why.contains("install host and shim of one release"), "{why}");
}

#[tokio::test]
async fn a_token_cannot_be_guessed() {
    let why = why("guesses").await;
    assert!(why.contains("connected in place of the shim"), "{why}");
}

#[tokio::test]
async fn a_stolen_token_admits_no_other_process() {
    let why = why("sends-another").await;
    assert!(why.contains("connected in place of the shim"), "{why}");
}

#[tokio::test]
async fn a_shim_that_breaks_the_protocol_is_refused() {
    let boasts = why("boasts").await;
    assert!(boasts.contains("over the limit") || boasts.contains("ended while starting"), "{boasts}");
    let garbles = why("garbles").await;
    assert!(garbles.contains("not a message") || garbles.contains("ended while starting"), "{garbles}");
}

#[tokio::test]
async fn a_shim_that_says_nothing_is_not_waited_for() {
    let why = why("is-silent").await;
    assert!(why.contains("it was not ready within"), "{why}");
}

#[tokio::test]
async fn the_last_words_of_a_shim_that_leaves_are_told() {
    let why = why("leaves").await;
    assert!(why.contains("exit status 3") && why.contains("there is no room for me here"), "{why}");
}

#[tokio::test]
async fn a_shim_that_is_not_there_is_the_hosts_fault_and_tried_again() {
    let config = plugin("p", &build::library("echo"));
    let rig = Rig::start_with_shim(Path::new("/nonexistent/rosey-shim"), vec![config]).await;
    let view = rig.until("p", |view| view.state == PluginState::Crashed).await;
    assert_eq!(view.history.failures, 0, "nothing is held against the plugin");
    rig.stop().await;
}
