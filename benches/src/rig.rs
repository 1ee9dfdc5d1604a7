//! A bot in this process, as `rosey` wires it, with real shims and a connector that the bench holds in its hand.

use rosey::{
    event::{Identity, Outgoing, Place, User},
    plugin::{
        self, PluginConfig, Plugins, artifact,
        generation::Forge,
        limits::Limits,
        process::Spawner,
        slot::message::{Happening, What},
    },
    router::Router,
    store::Database,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock, atomic::AtomicU64},
};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// A running bot.
pub struct Rig {
    /// Its plugins: `p0`, `p1`, …, each the echo plugin.
    pub plugins: Arc<Plugins>,
    /// A router for each, as all have the same command.
    pub routers: Vec<Arc<Router>>,
    /// Who speaks.
    pub user: Arc<User>,
    /// Where.
    pub place: Arc<Place>,
    directory: TempDir,
    ops: Option<tokio::runtime::Runtime>,
}

/// Where the release build lies. Builds the shim and the echo plugin first.
///
/// # Panics
/// When cargo cannot build them.
pub fn binaries() -> &'static Path {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "-p", "rosey-shim", "-p", "echo"])
            .current_dir(&root)
            .status();
        assert!(built.is_ok_and(|status| status.success()), "cargo could not build the shim and the echo plugin");
        let bench = std::env::current_exe().expect("this executable has a path");
        bench.ancestors().nth(2).expect("target/release/deps/figures").to_owned()
    })
}

impl Rig {
    /// Starts `count` echo plugins with these limits and waits until all serve.
    ///
    /// # Panics
    /// When anything at all goes wrong: there is nothing to measure then.
    pub async fn start(count: usize, limits: Limits) -> Self {
        let target = binaries();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state = directory.path();
        std::fs::create_dir(state.join("run")).expect("an empty directory");
        let ops =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let forge = Forge {
            spawner: Spawner::start().expect("a thread"),
            store: artifact::Store::open(state.join("artifacts")).expect("a directory"),
            run_dir: state.join("run"),
            shim: target.join("rosey-shim"),
            output_runtime: ops.handle().clone(),
            files: AtomicU64::new(0),
        };
        let database = Database::open(&state.join("rosey.db"), &plugin::SCHEMA).expect("a database");
        let config = |n| PluginConfig {
            name: format!("p{n}"),
            library: target.join("libecho.so"),
            reload: None,
            probe: None,
            config: serde_json_object(),
            limits: limits.clone(),
        };
        let (active, mut activated) = mpsc::unbounded_channel();
        let listener = Arc::new(move |happening: Happening| {
            if let What::Manifest(manifest) = happening.what {
                // Nobody listens any more once all have started.
                let _ = active.send((happening.plugin, manifest));
            }
        });
        let plugins = Plugins::new((0..count).map(config).collect(), Arc::new(forge), database, listener).await;
        let plugins = Arc::new(plugins.expect("an empty database"));
        plugins.start_all().await;
        let mut routers = Vec::with_capacity(count);
        for _ in 0..count {
            let (name, manifest) = activated.recv().await.expect("it starts");
            let router = Router::default();
            router.learn(plugins.handle(&name).expect("it is there").clone(), manifest);
            routers.push(Arc::new(router));
        }
        let user = Arc::new(User { name: "bench".into(), identity: Identity::Console });
        let place = Arc::new(Place::new("bench", "here"));
        Self { plugins, routers, user, place, directory, ops: Some(ops) }
    }

    /// A connector's outgoing queue.
    pub fn connector(&self, window: usize) -> (mpsc::Sender<Outgoing>, mpsc::Receiver<Outgoing>) {
        mpsc::channel(window)
    }

    /// Where its state lies.
    pub fn state(&self) -> &Path {
        self.directory.path()
    }

    /// Stops everything.
    pub async fn stop(mut self) {
        self.plugins.stop_all().await;
        if let Some(ops) = self.ops.take() {
            ops.shutdown_background();
        }
    }
}

fn serde_json_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}
