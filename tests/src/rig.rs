//! A bot in this process, assembled as `rosey` does: real slots, real shims, and a connector that the test controls.

use crate::build;
use rosey::{
    app, artifact,
    event::{Event, Identity, Outgoing, Place, ReplyTo, User, What},
    journal::Journal,
    plugins::{self, PluginConfig, Plugins},
    process::{
        spawn::Spawner,
        start::{Shims, Starter},
    },
    router::{self, Router},
    slot::{
        lifecycle::{LifecycleEvent, LifecycleKind},
        view::View,
    },
    speech::Speech,
    store::Database,
};
use rosey_core::limits::Limits;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

/// Time after which a test gives up. A busy machine is slow; a broken product is slower.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running bot.
pub struct Rig {
    /// All configured plugins, running or not.
    pub plugins: Arc<Plugins>,
    /// Delivers what the user says.
    pub router: Arc<Router>,
    /// Sends the lines of plugins beside their answers.
    pub speech: Speech,
    /// The person whose lines the bot gets.
    pub user: Arc<User>,
    happened: Arc<Mutex<Vec<LifecycleEvent>>>,
    changed: watch::Receiver<usize>,
    state: PathBuf,
    run_dir: PathBuf,
    _directory: Option<TempDir>,
    ops: Option<tokio::runtime::Runtime>,
}

/// One plugin of the rig, with limits that suit tests: everything is fast unless a test asks otherwise.
pub fn plugin(name: &str, library: &Path) -> PluginConfig {
    PluginConfig {
        name: name.to_owned(),
        library: library.to_owned(),
        limits: Limits { bake: Duration::ZERO, ..Limits::default() },
        ..PluginConfig::default()
    }
}

impl Rig {
    /// Starts these plugins, and waits until each serves or has failed.
    ///
    /// # Panics
    /// When the rig itself fails.
    pub async fn start(configs: Vec<PluginConfig>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let state = directory.path().to_owned();
        let mut rig = Self::start_in(&state, configs).await;
        rig._directory = Some(directory);
        rig
    }

    /// The same in a directory that an earlier rig may have used.
    ///
    /// # Panics
    /// When the rig itself fails.
    pub async fn start_in(state: &Path, configs: Vec<PluginConfig>) -> Self {
        Self::start_as(state, configs, true, build::shim()).await
    }

    /// The same with another executable as the shim, and no spare.
    ///
    /// # Panics
    /// When the rig itself fails.
    pub async fn start_with_shim(shim: &Path, configs: Vec<PluginConfig>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut rig = Self::start_as(directory.path(), configs, false, shim.to_owned()).await;
        rig._directory = Some(directory);
        rig
    }

    async fn start_as(state: &Path, configs: Vec<PluginConfig>, spare: bool, program: PathBuf) -> Self {
        std::fs::create_dir_all(state).expect("our directory");
        // Its own directory: a rig that is dropped leaves its files, like a killed host.
        let run_dir = tempfile::Builder::new().prefix("run").tempdir_in(state).expect("our directory").keep();
        let runs_in = run_dir.clone();
        let mut ops = tokio::runtime::Builder::new_multi_thread();
        let ops = ops.worker_threads(1).enable_all().build().expect("a runtime");
        let data_dir = state.join("data");
        let shims = Shims { spawner: Spawner::start().expect("a thread"), program, run_dir, data_dir, spare };
        let store = artifact::Store::open(state.join("artifacts")).expect("a directory");
        let starter = Starter::new(shims, store, ops.handle().clone(), Journal::default());
        let schema: Vec<_> = plugins::SCHEMA.into_iter().chain([router::SCHEMA]).collect();
        let database = Database::open(&state.join("rosey.db"), &schema).expect("a database");
        let (router, happened) = (Arc::new(Router::default()), Arc::<Mutex<Vec<LifecycleEvent>>>::default());
        let (changes, changed) = watch::channel(0);
        let observe = {
            let happened = Arc::clone(&happened);
            move |event: LifecycleEvent| {
                // They are large, and no test asks for them.
                if !matches!(event.kind, LifecycleKind::Manifest(_)) {
                    happened.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                }
                changes.send_modify(|count| *count += 1);
            }
        };
        let intervals = configs.iter().map(|plugin| (plugin.name.clone(), Duration::from_millis(1))).collect();
        let speech = Speech::new(database.clone(), starter.journal.clone(), intervals, true);
        let plugins = app::assemble(configs, Arc::new(starter), &database, &router, &speech, observe);
        let plugins = plugins.await.expect("a database");
        plugins.start_all().await;
        let user = Arc::new(User { name: "tester".into(), identity: Identity::Console });
        let rig = Self {
            plugins,
            router,
            speech,
            user,
            happened,
            changed,
            state: state.to_owned(),
            run_dir: runs_in,
            _directory: None,
            ops: Some(ops),
        };
        rig.plugins.when_started().await;
        rig
    }

    /// A rig with `count` plugins `p0`, `p1`, …, all of them the echo example. Each has its own router, because they
    /// all have the same command.
    ///
    /// # Panics
    /// When one does not start.
    pub async fn echoes(count: usize, limits: &Limits) -> (Self, Vec<Arc<Router>>) {
        Self::echoes_as(count, limits, true).await
    }

    /// The same without a spare shim: every start is a cold one.
    ///
    /// # Panics
    /// When one does not start.
    pub async fn cold_echoes(count: usize, limits: &Limits) -> (Self, Vec<Arc<Router>>) {
        Self::echoes_as(count, limits, false).await
    }

    async fn echoes_as(count: usize, limits: &Limits, spare: bool) -> (Self, Vec<Arc<Router>>) {
        let library = build::library("echo");
        let config = |n| PluginConfig { limits: limits.clone(), ..plugin(&format!("p{n}"), &library) };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut rig = Self::start_as(directory.path(), (0..count).map(config).collect(), spare, build::shim()).await;
        rig._directory = Some(directory);
        let mut routers = Vec::with_capacity(count);
        for view in rig.plugins.views().await {
            let (router, handle) =
                (Arc::new(Router::default()), rig.plugins.handle(&view.plugin).expect("it is there"));
            router.learn(handle.clone(), view.manifest.expect("it runs"));
            routers.push(router);
        }
        (rig, routers)
    }

    /// Waits until a plugin is in the state that the test wants.
    ///
    /// # Panics
    /// When that takes longer than [`PATIENCE`].
    pub async fn until(&self, plugin: &str, wanted: impl Fn(&View) -> bool) -> View {
        let mut last = None;
        let waiting = async {
            // Events are reported; what merely passes (a deadline, a drain) shows at the next interval.
            let (mut looks, mut changed) = (tokio::time::interval(Duration::from_millis(10)), self.changed.clone());
            loop {
                let view = *self.plugins.view(plugin).await.expect("it is there");
                if wanted(&view) {
                    return view;
                }
                last = Some(view);
                tokio::select! {
                    _ = looks.tick() => {}
                    _ = changed.changed() => {}
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(view) => view,
            Err(_) => panic!("{plugin} never became what was waited for: {last:#?}\n{:#?}", self.lifecycle(plugin)),
        }
    }

    /// All lifecycle events of a plugin, without its manifests.
    pub fn lifecycle(&self, plugin: &str) -> Vec<LifecycleKind> {
        let happened = self.happened.lock().unwrap_or_else(PoisonError::into_inner);
        happened.iter().filter(|one| &*one.plugin == plugin).map(|one| one.kind.clone()).collect()
    }

    /// Forgets all lifecycle events: a test that measures the product must not measure its own records.
    pub fn forget(&self) {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A connector for one channel.
    pub fn channel(&self, name: &str) -> Channel {
        let (outgoing, answers) = mpsc::channel(2048);
        let place = Arc::new(Place::new("test", name));
        let plugins = Arc::clone(&self.plugins);
        Channel { plugins, router: Arc::clone(&self.router), user: Arc::clone(&self.user), place, outgoing, answers }
    }

    /// The lines of plugins beside their answers, from now on, for a connector with this name.
    pub fn listen(&self, connector: &str) -> Lines {
        let (outgoing, lines) = mpsc::channel(64);
        self.speech.serve(&connector.into(), outgoing.clone());
        Lines { _connector: outgoing, lines }
    }

    /// Says one line in a new channel, and waits for its answer.
    ///
    /// # Panics
    /// When there is none within [`PATIENCE`].
    pub async fn ask(&self, line: &str) -> String {
        let mut channel = self.channel("asking");
        channel.say(line).await;
        channel.answer().await.unwrap_or_default()
    }

    /// Sends a line to a plugin past the router, answered to this queue.
    ///
    /// # Panics
    /// When the queue is closed, or there is no such plugin.
    pub async fn send(&self, plugin: &str, line: &str, place: &Arc<Place>, outgoing: &mpsc::Sender<Outgoing>) {
        let permit = outgoing.clone().reserve_owned().await.expect("the test listens");
        self.deliver(plugin, line, Arc::clone(place), ReplyTo::Connector(permit)).await;
    }

    /// Sends a line to a plugin past the router, and drops its answer.
    ///
    /// # Panics
    /// When there is no such plugin.
    pub async fn tell(&self, plugin: &str, line: &str) {
        self.deliver(plugin, line, Arc::new(Place::new("test", "telling")), ReplyTo::Nowhere).await;
    }

    async fn deliver(&self, plugin: &str, line: &str, place: Arc<Place>, reply_to: ReplyTo) {
        let event = Event::new(line, Arc::clone(&self.user), place, reply_to);
        self.plugins.handle(plugin).expect("it is there").deliver(event).await;
    }

    /// The ops runtime.
    ///
    /// # Panics
    /// After it has stopped.
    pub fn ops(&self) -> &tokio::runtime::Handle {
        self.ops.as_ref().expect("it has not stopped").handle()
    }

    /// The folder of its sockets and pages.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Its state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Stops everything.
    pub async fn stop(mut self) {
        self.plugins.stop_all().await;
        if let Some(ops) = self.ops.take() {
            ops.shutdown_background();
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A runtime must not be dropped inside another one, but a test that fails does.
        if let Some(ops) = self.ops.take() {
            ops.shutdown_background();
        }
    }
}

/// A connector that only takes lines.
pub struct Lines {
    /// What is said ends when this is gone.
    _connector: mpsc::Sender<Outgoing>,
    lines: mpsc::Receiver<Outgoing>,
}

impl Lines {
    /// The next line, which counts as said from now on: its channel, whom it is for, and the text.
    ///
    /// # Panics
    /// When there is none within [`PATIENCE`].
    pub async fn next(&mut self) -> (String, String, String) {
        let line =
            tokio::time::timeout(PATIENCE, self.lines.recv()).await.expect("a line in time").expect("held above");
        // Fails when the host has ended.
        let _ = line.receipt.map(|receipt| receipt.send(()));
        (line.place.channel.clone(), line.user.name.clone(), line.text.unwrap_or_default())
    }

    /// Whether no line waits.
    pub fn is_quiet(&mut self) -> bool {
        self.lines.try_recv().is_err()
    }
}

/// One channel of a connector.
pub struct Channel {
    plugins: Arc<Plugins>,
    router: Arc<Router>,
    user: Arc<User>,
    place: Arc<Place>,
    outgoing: mpsc::Sender<Outgoing>,
    answers: mpsc::Receiver<Outgoing>,
}

impl Channel {
    /// Says a line.
    pub async fn say(&self, line: &str) {
        self.router.route(line, &self.user, &self.place, &self.outgoing).await;
    }

    /// Reports an occurrence other than a line in this channel.
    pub async fn occurs(&self, what: &What) {
        self.router.occur(what, &self.user, &self.place, &self.outgoing).await;
    }

    /// Says a line as another person in the same channel.
    pub async fn say_as(&self, name: &str, line: &str) {
        let user = Arc::new(User { name: name.to_owned(), identity: Identity::Console });
        self.router.route(line, &user, &self.place, &self.outgoing).await;
    }

    /// Says a line to one plugin, past the router.
    ///
    /// # Panics
    /// When there is no such plugin.
    pub async fn say_to(&self, plugin: &str, line: &str) {
        let permit = self.outgoing.clone().reserve_owned().await.expect("this end holds a receiver");
        let event = Event::new(line, Arc::clone(&self.user), Arc::clone(&self.place), ReplyTo::Connector(permit));
        self.plugins.handle(plugin).expect("it is there").deliver(event).await;
    }

    /// The next answer; `None` for an event that ended without one.
    ///
    /// # Panics
    /// When there is none within [`PATIENCE`].
    pub async fn answer(&mut self) -> Option<String> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await.expect("an answer in time");
        answer.expect("this end holds a sender").text
    }

    /// Whether there is an answer that no event asked for.
    pub fn is_quiet(&mut self) -> bool {
        self.answers.try_recv().is_err()
    }
}
