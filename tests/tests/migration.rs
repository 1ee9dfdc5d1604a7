//! Migrations of the store on real processes: the old state or the new one, whatever is killed at whatever step.

use rosey::{commit, plugins::PluginConfig, slot::lifecycle::LifecycleKind};
use rosey_core::state::{Done, StateEvent, StoreLost};
use rosey_tests::{
    bot::{Bot, Folder, signal_process, wait_until},
    build,
    rig::{Rig, plugin},
};
use rusqlite::Connection;
use rustix::process::Signal;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A folder with a bot whose plugin `p` is `keeper-1`, on trial for as long as `bake` says.
struct Scene {
    directory: TempDir,
    migrate: &'static str,
    bake: Duration,
}

const LONG: Duration = Duration::from_secs(3600);

impl Scene {
    fn new(migrate: &'static str, bake: Duration) -> Self {
        let scene = Self { directory: tempfile::tempdir().expect("a directory"), migrate, bake };
        scene.build("keeper-1");
        scene
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn state(&self) -> std::path::PathBuf {
        self.path().join("state")
    }

    /// Puts a build in the place of the plugin's library, as a linker does.
    fn build(&self, keeper: &str) {
        let (library, beside) = (self.path().join("libp.so"), self.path().join("libp.new"));
        std::fs::copy(build::library(keeper), &beside).expect("it is built");
        std::fs::rename(beside, library).expect("our directory");
    }

    fn config(&self) -> PluginConfig {
        let mut config = plugin("p", &self.path().join("libp.so"));
        config.limits.bake = self.bake;
        config.limits.backoff_first = Duration::from_millis(1);
        config.config = serde_json::json!({ "migrate": self.migrate });
        config
    }

    async fn start(&self) -> Rig {
        Rig::start_in(&self.state(), vec![self.config()]).await
    }

    /// A file in the plugin's working directory.
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.state().join("data/p").join(name)
    }

    fn database(&self) -> Connection {
        let connection = Connection::open(self.state().join("rosey.db")).expect("it is there");
        connection.busy_timeout(Duration::from_secs(10)).expect("a setting");
        connection
    }

    /// The version of the store, whether the one from before is kept, and whether each value has the form of that version.
    fn store(&self) -> (Option<u32>, Option<u32>) {
        let database = self.database();
        let versions = commit::versions(&database, "p").expect("readable");
        for kept in commit::kept(&database, "p", "", 10_000).expect("readable") {
            let is_new = kept.value.starts_with("{\"number\":");
            assert_eq!(is_new, versions.now == Some(2), "{kept:?} in version {:?}", versions.now);
        }
        (versions.now, versions.before)
    }
}

/// Keeps numbers in every scope and under many keys.
async fn fill(rig: &Rig) {
    assert_eq!(rig.ask("!keep 3").await, "kept");
    for from in [0, 200, 400] {
        assert_eq!(rig.ask(&format!("!fill {from} {}", from + 200)).await, "filled");
    }
}

async fn reload(rig: &Rig) -> Result<Done, String> {
    let candidate = rig.plugins.inspect("p").await.map_err(|error| error.to_string())?;
    rig.plugins.reload("p", candidate.artifact, false).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_migration_walks_through_all_scopes_and_a_rollback_puts_the_store_back_and_says_what_is_lost() {
    let scene = Scene::new("", LONG);
    let rig = scene.start().await;
    fill(&rig).await;
    scene.build("keeper-2");
    let done = reload(&rig).await.expect("good");
    let steps: Vec<_> = done.steps.iter().map(|step| step.0).collect();
    assert_eq!(steps, ["start", "probe", "finish", "migrate", "apply", "swap"]);
    assert_eq!((rig.ask("!which").await.as_str(), rig.ask("!numbers").await.as_str()), ("two", "3 3 3 3"));
    assert_eq!(scene.store(), (Some(2), Some(1)));
    for number in [7, 8] {
        rig.ask(&format!("!keep {number}")).await;
    }
    let done = rig.plugins.rollback("p").await.expect("it is kept");
    assert_eq!(done.store, Some(StoreLost { version: 1, keys: 4, commits: 2 }));
    assert_eq!((rig.ask("!which").await.as_str(), rig.ask("!numbers").await.as_str()), ("one", "3 3 3 3"));
    assert_eq!(scene.store(), (Some(1), None));

    reload(&rig).await.expect("by hand nothing is blocked");
    rig.ask("!keep 9").await;
    let view = rig.until("p", |view| view.active().is_some()).await;
    signal_process(view.active().expect("waited for").pid, Signal::KILL);
    rig.until("p", |view| view.account.rollbacks == 1 && view.active().is_some()).await;
    let lost = rig.lifecycle("p").into_iter().find_map(|what| match what {
        LifecycleKind::State(StateEvent::RolledBack { store, .. }) => store,
        _ => None,
    });
    assert_eq!(lost, Some(StoreLost { version: 1, keys: 4, commits: 1 }));
    assert_eq!((rig.ask("!which").await.as_str(), rig.ask("!numbers").await.as_str()), ("one", "3 3 3 3"));
    rig.stop().await;
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_old_build_with_its_store() {
    for (migrate, why) in [
        ("error", "its store could not be migrated: it does not want to"),
        ("panic", "its store could not be migrated: panicked at"),
        ("abort", "the new build died before it could serve: killed by signal 6"),
        ("wait", "it did not say within 300 ms what its migration changes"),
        ("crowd", "the store of the plugin is full: it may keep 1000 keys"),
    ] {
        let scene = Scene::new(migrate, LONG);
        let mut config = scene.config();
        config.limits.store_keys = 1000;
        if migrate == "wait" {
            config.limits.migration_timeout = Duration::from_millis(300);
        }
        let rig = Rig::start_in(&scene.state(), vec![config]).await;
        fill(&rig).await;
        let before = rig.plugins.view("p").await.expect("there").account.kept;
        scene.build("keeper-2");
        let error = reload(&rig).await.expect_err(migrate);
        assert!(error.contains(why), "{migrate}: {error}");
        assert_eq!((rig.ask("!which").await.as_str(), rig.ask("!numbers").await.as_str()), ("one", "3 3 3 3"));
        assert_eq!(
            (scene.store(), rig.plugins.view("p").await.expect("there").account.kept),
            ((Some(1), None), before)
        );
        rig.stop().await;
    }
}

#[tokio::test]
async fn after_the_trial_the_older_build_is_refused_with_both_versions() {
    let scene = Scene::new("", Duration::ZERO);
    let rig = scene.start().await;
    fill(&rig).await;
    scene.build("keeper-2");
    reload(&rig).await.expect("good");
    rig.plugins.collect_garbage().await;
    wait_until("the store from before is forgotten", || scene.store() == (Some(2), None));
    for error in [rig.plugins.rollback("p").await.expect_err("it cannot read the store").to_string(), {
        scene.build("keeper-1");
        reload(&rig).await.expect_err("it cannot read the store")
    }] {
        assert!(error.contains("its store has version 2, and that build reads version 1"), "{error}");
    }
    assert_eq!((rig.ask("!which").await.as_str(), rig.ask("!numbers").await.as_str()), ("two", "3 3 3 3"));
    rig.stop().await;
}

#[tokio::test]
async fn a_start_whose_build_is_newer_than_the_store_migrates() {
    let scene = Scene::new("", LONG);
    let rig = scene.start().await;
    fill(&rig).await;
    rig.stop().await;
    // As after the loss of all builds: what lies in the build folder runs.
    scene.build("keeper-2");
    std::fs::remove_dir_all(scene.state().join("artifacts")).expect("our directory");
    let rig = scene.start().await;
    assert_eq!((rig.ask("!which").await.as_str(), rig.ask("!numbers").await.as_str()), ("two", "3 3 3 3"));
    rig.stop().await;
    assert_eq!(scene.store().0, Some(2));
}

/// A lock on the whole database, as a backup program holds it.
fn lock(scene: &Scene) -> Connection {
    let database = scene.database();
    database.execute_batch("BEGIN IMMEDIATE").expect("nobody holds it for long");
    database
}

#[tokio::test]
async fn a_build_that_is_killed_at_any_step_leaves_the_old_one_with_its_store() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum At {
        Migrating,
        Applying,
    }
    for at in [At::Migrating, At::Applying] {
        for victim in ["new", "old", "both"] {
            let scene = Scene::new("wait", LONG);
            let rig = scene.start().await;
            fill(&rig).await;
            scene.build("keeper-2");
            let candidate = rig.plugins.inspect("p").await.expect("it loads");
            let reloading = rig.plugins.reload("p", candidate.artifact, false);
            let killing = async {
                let view = rig.until("p", |view| view.generations.len() == 2 && scene.file("migrating").exists()).await;
                let locked = (at == At::Applying).then(|| lock(&scene));
                if at == At::Applying {
                    std::fs::write(scene.file("go"), "").expect("our directory");
                    rig.until("p", |view| view.account.kept.keys > 0).await;
                }
                for generation in &view.generations {
                    let is_new = generation.artifact == candidate.artifact;
                    if victim == "both" || is_new == (victim == "new") {
                        signal_process(generation.pid, Signal::KILL);
                    }
                }
                if victim == "old" {
                    let old = view.generations.iter().map(|one| one.number).min().expect("two");
                    rig.until("p", |view| view.generations.iter().all(|one| one.number != old)).await;
                }
                drop(locked);
                std::fs::write(scene.file("go"), "").expect("our directory");
            };
            let (result, ()) = tokio::join!(reloading, killing);
            let (which, numbers) = (rig.ask("!which").await, rig.ask("!numbers").await);
            assert_eq!(numbers, "3 3 3 3", "{at:?} {victim}");
            let expected = if which == "two" { (Some(2), Some(1)) } else { (Some(1), None) };
            assert_eq!(scene.store(), expected, "{at:?} {victim}: {which} runs");
            assert_eq!(result.is_ok(), which == "two", "{at:?} {victim}: {result:?}");
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn a_way_back_in_which_everything_is_killed_ends_with_the_old_build_and_its_store() {
    let scene = Scene::new("", LONG);
    let rig = scene.start().await;
    fill(&rig).await;
    scene.build("keeper-2");
    reload(&rig).await.expect("good");
    rig.ask("!keep 9").await;
    let locked = lock(&scene);
    let view = rig.plugins.view("p").await.expect("there");
    for generation in &view.generations {
        signal_process(generation.pid, Signal::KILL);
    }
    rig.until("p", |view| view.generations.is_empty()).await;
    drop(locked);
    rig.until("p", |view| view.active().is_some()).await;
    assert_eq!((rig.ask("!which").await.as_str(), rig.ask("!numbers").await.as_str()), ("one", "3 3 3 3"));
    assert_eq!(scene.store(), (Some(1), None));
    rig.stop().await;
}

/// A bot as a process, whose plugin is `keeper-1`.
fn bot(folder: &Folder, bake: &str) -> Bot {
    let limits = format!("[plugins.p.limits]\nbake = {bake}\n[plugins.p]\nlibrary = \"plugins/libp.so\"\n");
    folder.start(&format!("[admin]\ncooldown = 0\nper_minute = 1000\n{limits}"))
}

#[test]
fn a_host_that_is_killed_at_any_moment_starts_with_a_build_and_a_store_that_fit() {
    let mut seen = [0, 0];
    for round in 0..24u64 {
        let folder = Folder::new(&[]);
        let put = |keeper: &str| {
            std::fs::copy(build::library(keeper), folder.library("p")).expect("it is built");
        };
        put("keeper-1");
        let bake = ["3600", "0", "0.05"][(round % 3) as usize];
        let mut running = bot(&folder, bake);
        assert_eq!(running.ask("!keep 3"), "kept");
        assert_eq!(running.ask("!fill 0 200"), "filled");
        std::fs::remove_file(folder.library("p")).expect("ours");
        put("keeper-2");
        // The packages have different names.
        running.ask("!admin reload p force");
        running.say("yes");
        // From before the swap until after the trial, and not two at the same moment.
        let wait = Duration::from_micros(round * round * 350);
        let began = Instant::now();
        wait_until("it is time", || began.elapsed() >= wait);
        running.signal(Signal::KILL);
        running.exit();

        let mut running = bot(&folder, "3600");
        let (which, numbers) = (running.ask("!which"), running.ask("!numbers"));
        assert_eq!(numbers, "3 3 3 3", "{which} in round {round}:\n{}", running.log());
        assert!(running.end().success());
        let database = Connection::open(folder.path().join("state/rosey.db")).expect("it is there");
        let versions = commit::versions(&database, "p").expect("readable");
        assert_eq!(versions.now, Some(if which == "two" { 2 } else { 1 }), "{which} in round {round}");
        seen[usize::from(which == "two")] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "all were killed before the new build was good, or after: {seen:?}");
}
