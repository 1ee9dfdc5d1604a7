//! Libraries of yesterday and of tomorrow in the host of today.

use rosey_core::state::PluginState;
use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A library of before protocol 2, built against the plugin-api of then.
fn veteran() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| built(&folder(), "veteran"))
}

/// The source of that library.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compat")
}

/// Builds the library in a folder.
fn built(folder: &Path, name: &str) -> PathBuf {
    let target = build::target().join("compat");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--locked", "--target-dir"]).arg(&target).current_dir(folder);
    assert!(cargo.status().is_ok_and(|status| status.success()), "cargo could not build it");
    target.join(format!("debug/lib{name}.so"))
}

/// Copies a folder with all in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("our directory");
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        let copied = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &copied);
        } else {
            fs::copy(entry.path(), copied).expect("our directory");
        }
    }
}

#[tokio::test]
async fn a_library_of_before_protocol_2_loads_answers_hands_over_and_hears_nothing_that_it_does_not_know() {
    let rig = Rig::start(vec![plugin("p", veteran())]).await;
    let manifest = rig.plugins.view("p").await.expect("there").manifest.expect("it runs");
    assert_eq!((manifest.api.as_str(), manifest.subscriptions.len(), manifest.store_version), ("1.0.0", 0, 0));
    assert_eq!(rig.ask("!echo hello").await, "tester says hello");
    assert_eq!(rig.ask("!fail").await, "Sorry, something went wrong.");
    for count in ["1", "2"] {
        assert_eq!(rig.ask("!count").await, count);
    }
    let before = rig.plugins.view("p").await.expect("there").ledger.accepted;
    rig.channel("c").say("a line that is no command").await;
    assert_eq!(rig.ask("!echo still here").await, "tester says still here");
    assert_eq!(rig.plugins.view("p").await.expect("there").ledger.accepted, before + 1, "and nothing else");

    let candidate = rig.plugins.inspect("p").await.expect("it loads");
    let done = rig.plugins.reload("p", candidate.artifact, true).await.expect("its probe is answered");
    let steps: Vec<_> = done.steps.iter().map(|step| step.0).collect();
    assert_eq!(steps, ["start", "probe", "finish", "snapshot", "restore", "swap"]);
    assert_eq!(rig.ask("!tally").await, "3", "its state came along");
    rig.stop().await;
}

#[tokio::test]
async fn a_library_that_wants_a_kind_of_event_of_tomorrow_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().expect("a directory");
    let shim = folder.path().join("wants-reactions");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fake-shim"), &shim).expect("our directory");
    let rig = Rig::start_with_shim(&shim, vec![plugin("p", &build::library("echo"))]).await;
    let why = rig.until("p", |view| view.state == PluginState::Failed).await.explanation.expect("it says why");
    assert!(why.contains("built with plugin-api 9.9.9 and wants events of the kind \"reaction\""), "{why}");
    assert!(
        why.contains(&format!("which Rosey {} does not know; install a newer Rosey", env!("CARGO_PKG_VERSION"))),
        "{why}"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_library_of_a_major_version_of_tomorrow_is_refused_with_both_versions() {
    let tomorrow = tempfile::tempdir().expect("a directory");
    copy(&folder(), tomorrow.path());
    for file in ["Cargo.toml", "Cargo.lock", "plugin-api/Cargo.toml"] {
        let path = tomorrow.path().join(file);
        let text = fs::read_to_string(&path).expect("copied");
        let text = text.replace("name = \"veteran\"", "name = \"tomorrow\"");
        let (before, after) =
            ("name = \"plugin-api\"\nversion = \"1.0.0\"", "name = \"plugin-api\"\nversion = \"9.0.0\"");
        let text = match file {
            "plugin-api/Cargo.toml" => text.replace("version = \"1.0.0\"", "version = \"9.0.0\""),
            _ => text.replace(before, after),
        };
        fs::write(&path, text).expect("ours");
    }
    let rig = Rig::start(vec![plugin("p", &built(tomorrow.path(), "tomorrow"))]).await;
    let why = rig.until("p", |view| view.state == PluginState::Failed).await.explanation.expect("it says why");
    assert!(why.contains("built with another plugin-api: 9.0.0, and this Rosey has 1."), "{why}");
    rig.stop().await;
}
