//! The wiring: what is started in which order, what ends it, and in which order it stops.
//!
//! Two runtimes, each on one thread. The *data* runtime (the main thread) moves events: connectors, router, slots. The *ops*
//! runtime does what may take longer: admin, plugin output, and all that people look at.

use crate::{
    admin::{
        self, Admin, AdminConfig,
        audit::{AuditError, AuditRecord, Stage},
    },
    config::Config,
    connect::console,
    dashboard::{self, DashboardConfig, DashboardError},
    metrics::{self, Metrics, MetricsConfig},
    plugin::{
        self, Plugins, artifact,
        generation::{Forge, Shims},
        journal::Journal,
        process::Spawner,
        slot::message::What,
    },
    report,
    router::Router,
    store::{Database, StoreError},
    view::Change,
};
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot, watch},
};

/// The longest path of a Unix socket, less the longest name that is made in the run directory.
const LONGEST_RUN_DIR: usize = 107 - "/18446744073709551615.sock".len();

/// The database's name in the state directory.
pub const DATABASE: &str = "rosey.db";

/// For actions under way to be recorded, once all plugins are down and nothing can be waited for any more.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why the bot cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The state directory.
    #[error("the state directory {path} cannot be used: {source}", path = .path.display())]
    State {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another host has it.
    #[error("another rosey uses {} already; stop that one, or set another state_dir", .0.display())]
    Taken(PathBuf),
    /// The shim is not there.
    #[error("there is no rosey-shim at {}; build it with: cargo build --release -p rosey-shim, or set shim", .0.display())]
    NoShim(PathBuf),
    /// A runtime or a thread.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dashboard, without which the bot is not to run.
    #[error("Rosey does not run without its dashboard, unless dashboard.required = false")]
    Dashboard(#[from] DashboardError),
    /// The audit.
    #[error("the audit cannot be kept: {0}")]
    Audit(#[from] AuditError),
    /// The control socket.
    #[error("the control socket cannot be made: {0}")]
    Control(#[source] io::Error),
    /// A connector.
    #[error("the console cannot be written to: {0}")]
    Console(#[source] io::Error),
}

/// Runs the bot until its input ends or a signal comes. `greet` is called when chat is about to begin.
///
/// # Errors
/// [`AppError`]; all that was started is stopped.
pub fn run(config: Config, greet: impl FnOnce(&Config, Option<SocketAddr>)) -> Result<(), AppError> {
    let (ops, end_of_ops) = start_ops().map_err(AppError::Runtime)?;
    let data = plugin::runtime().map_err(AppError::Runtime)?;
    let metrics = Metrics::new(metrics_config(&config));
    let result = data.block_on(live(config, metrics.clone(), ops, greet));
    data.block_on(metrics.finish());
    // A read of the terminal may be under way, and never ends.
    data.shutdown_background();
    drop(end_of_ops);
    result
}

/// The ops runtime on a thread of its own; it ends when the sender is dropped.
fn start_ops() -> io::Result<(Handle, oneshot::Sender<()>)> {
    let ops: Runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = ops.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::Builder::new().name("rosey-ops".to_owned()).spawn(move || {
        // An error is the sender being dropped, which is what is waited for.
        let _ = ops.block_on(ended);
        ops.shutdown_background();
    })?;
    Ok((handle, end))
}

async fn live(
    config: Config,
    metrics: Metrics,
    ops: Handle,
    greet: impl FnOnce(&Config, Option<SocketAddr>),
) -> Result<(), AppError> {
    let mut signals = Signals::watch().map_err(AppError::Runtime)?;
    let state = State::open(&config.state_dir)?;
    let shim = config.shim.clone().unwrap_or_else(beside_me);
    if !shim.is_file() {
        return Err(AppError::NoShim(shim));
    }
    let store = artifact::Store::open(config.state_dir.join("artifacts")).map_err(|source| state.problem(source))?;
    let shims = Shims {
        spawner: Spawner::start().map_err(AppError::Runtime)?,
        program: shim,
        run_dir: state.run_dir.clone(),
        spare: config.spare_shim,
    };
    let forge = Arc::new(Forge::new(shims, store, ops.clone(), Journal::default()));
    let schema: Vec<_> = plugin::SCHEMA.into_iter().chain(admin::SCHEMA).chain([metrics::SCHEMA]).collect();
    let database = Database::open(&config.state_dir.join(DATABASE), &schema)?;
    let last_words = database.clone();
    let router = Arc::new(Router::default());
    metrics.remember(database.clone()).await?;
    if config.connect.console.is_some() {
        metrics.expect_connector("console");
    }
    let (plugins, changed) = start_plugins(&config, forge, database, &router, metrics.clone()).await?;
    metrics.start(Arc::clone(&plugins), &ops);
    tokio::select! {
        () = settled(&plugins, changed) => {}
        () = signals.next() => {
            plugins.stop_all().await;
            return Ok(());
        }
    }
    let admin = start_admin(&config, &state, &plugins, &router, &metrics, &ops).await?;
    let dashboard = start_dashboard(&config, &metrics, &admin, plugins.journal().clone(), &ops).await?;
    greet(&config, dashboard);
    if config.connect.console.is_some() {
        metrics.connector("console", true);
    }
    let result = chat(&config, router, &mut signals).await;
    tracing::info!("stopping");
    tokio::select! {
        () = plugins.stop_all() => {}
        () = signals.next() => tracing::warn!("stopping at once"),
    }
    if tokio::time::timeout(LAST_WORDS, admin.finish()).await.is_err() {
        tracing::warn!("an admin's action is still under way; the next start will record that it was cut short");
    }
    if tokio::time::timeout(LAST_WORDS, last_words.flush()).await.is_err() {
        tracing::warn!("{DATABASE} does not keep up; the last changes may not be in it");
    }
    result
}

async fn start_plugins(
    config: &Config,
    forge: Arc<Forge>,
    database: Database,
    router: &Arc<Router>,
    metrics: Metrics,
) -> Result<(Arc<Plugins>, watch::Receiver<u64>), AppError> {
    let (changes, changed) = watch::channel(0);
    let known: Arc<OnceLock<Arc<Plugins>>> = Arc::default();
    let listener = {
        let (known, router) = (Arc::clone(&known), Arc::clone(router));
        Arc::new(move |happening: plugin::slot::message::Happening| {
            happening.log();
            metrics.happened(&happening);
            if let (What::Manifest(manifest), Some(plugins)) = (&happening.what, known.get())
                && let Ok(handle) = plugins.handle(&happening.plugin)
            {
                router.learn(handle.clone(), Arc::clone(manifest));
            }
            changes.send_modify(|count| *count += 1);
        })
    };
    let plugins = Arc::new(Plugins::new(config.plugins(), forge, database, listener).await?);
    for view in plugins.views().await {
        if let (Some(manifest), Ok(handle)) = (view.manifest, plugins.handle(&view.plugin)) {
            router.learn(handle.clone(), manifest);
        }
    }
    // The first time, and the last.
    let _ = known.set(Arc::clone(&plugins));
    plugins.start_all().await;
    Ok((plugins, changed))
}

/// Waits until no plugin is starting any more: each is up, or has failed, or waits before it is tried again.
async fn settled(plugins: &Plugins, mut changed: watch::Receiver<u64>) {
    loop {
        changed.mark_unchanged();
        if plugins.views().await.iter().all(|view| view.state != "starting") || changed.changed().await.is_err() {
            break;
        }
    }
}

/// The dashboard's address, if there is one.
async fn start_dashboard(
    config: &Config,
    metrics: &Metrics,
    admin: &Arc<Admin>,
    journal: Journal,
    ops: &Handle,
) -> Result<Option<SocketAddr>, AppError> {
    let wanted = &config.dashboard;
    if !wanted.enabled {
        return Ok(None);
    }
    let settings = DashboardConfig {
        host: wanted.host.clone(),
        port: wanted.port,
        public: wanted.public,
        token: wanted.token.clone(),
        allowed_hosts: wanted.allowed_hosts.clone(),
        prometheus: config.metrics.prometheus_enabled,
    };
    match dashboard::start(settings, metrics.clone(), Some(Arc::clone(admin)), journal, ops).await {
        Ok(address) => {
            tracing::info!("dashboard: http://{address}/");
            Ok(Some(address))
        }
        Err(error) if wanted.required => Err(error.into()),
        Err(error) => {
            tracing::warn!("{}", report::chain(&error));
            Ok(None)
        }
    }
}

fn metrics_config(config: &Config) -> MetricsConfig {
    MetricsConfig {
        poll_interval: config.metrics.poll_interval,
        history_duration: config.metrics.history_duration,
        prometheus: config.metrics.prometheus_enabled,
    }
}

async fn start_admin(
    config: &Config,
    state: &State,
    plugins: &Arc<Plugins>,
    router: &Router,
    metrics: &Metrics,
    ops: &Handle,
) -> Result<Arc<Admin>, AppError> {
    let (dashboard, settings) = (&config.dashboard, config.admin.clone());
    let admin = AdminConfig {
        owner: config.owner.clone(),
        admins: config.admins.clone(),
        roles: config.roles.clone(),
        trust_nicks: settings.trust_nicks,
        per_minute: settings.per_minute,
        cooldown: settings.cooldown,
        audit_file: settings.audit_file,
        dashboard: dashboard.enabled.then(|| format!("http://{}:{}/", dashboard.host, dashboard.port)),
    };
    let admin = Admin::open(admin, Arc::clone(plugins), Some(metrics.clone())).await?;
    let counts = metrics.clone();
    admin.on_action(Box::new(move |record| count(&counts, record)));
    let (lines, waiting) = mpsc::channel(admin::chat::QUEUE);
    router.set_admin(lines);
    ops.spawn(Arc::clone(&admin).run(waiting));
    let listener = {
        let _runtime = ops.enter();
        admin::socket::listen(&state.run_dir).map_err(AppError::Control)?
    };
    ops.spawn(admin::socket::serve(Arc::clone(&admin), listener));
    Ok(admin)
}

/// Counts a command once, and puts what came of it on the time axis and into the history of its plugin.
fn count(metrics: &Metrics, record: &AuditRecord) {
    let AuditRecord { stage, user, command, plugin, .. } = record;
    if *stage != Stage::Read {
        metrics.audited(stage.name());
    }
    if let (Stage::After | Stage::Refused, Some(plugin)) = (stage, plugin) {
        let change = Change {
            at: record.at.clone(),
            kind: command.clone(),
            by: format!("{user}, {}", record.via),
            from: record.from.clone(),
            to: record.to.clone(),
            took: record.took_us.map(|took| took as f64 / 1e6),
            ok: record.ok == Some(true),
            result: record.result.clone().unwrap_or_default(),
            ..Change::default()
        };
        metrics.changed(plugin, change);
    }
    if *stage != Stage::After {
        let user = (*stage != Stage::Denied).then_some(user.as_str());
        metrics.admin_command(admin::command::known(command), user);
    }
    let text = format!("{user}, {}: {}", record.via, record.result.as_deref().unwrap_or_default());
    match stage {
        // The name in a denied command may be anything.
        Stage::Denied => metrics.mark(None, "admin", "warning", &text),
        Stage::After if record.ok == Some(false) => metrics.mark(plugin.as_deref(), "admin", "warning", &text),
        Stage::After => metrics.mark(plugin.as_deref(), "admin", "info", &text),
        Stage::Read | Stage::Refused | Stage::Before => {}
    }
}

/// Chats until the console's input ends or a signal comes. Without a console only a signal ends it.
async fn chat(config: &Config, router: Arc<Router>, signals: &mut Signals) -> Result<(), AppError> {
    let Some(console) = &config.connect.console else {
        tracing::warn!("no connector is configured: nobody can talk to this bot; see [connect.console]");
        signals.next().await;
        return Ok(());
    };
    tokio::select! {
        result = console::run(&console.user, router, tokio::io::stdin(), io::stdout()) => result.map_err(AppError::Console),
        () = signals.next() => Ok(()),
    }
}

/// Ctrl-C and requests to terminate. Made once: a signal between two waits is not lost.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn beside_me() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("rosey-shim")
}

/// The state directory, locked for as long as this lives.
struct State {
    path: PathBuf,
    run_dir: PathBuf,
    _lock: File,
}

impl State {
    fn open(path: &Path) -> Result<Self, AppError> {
        let problem = |source| AppError::State { path: path.to_owned(), source };
        private_dir(path).map_err(problem)?;
        let path = path.canonicalize().map_err(problem)?;
        let lock = File::create(path.join("lock")).map_err(problem)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => AppError::Taken(path.clone()),
            TryLockError::Error(error) => problem(error),
        })?;
        let run_dir = run_dir(&path);
        private_dir(&run_dir).and_then(|()| empty(&run_dir)).map_err(problem)?;
        Ok(Self { path, run_dir, _lock: lock })
    }

    fn problem(&self, source: io::Error) -> AppError {
        AppError::State { path: self.path.clone(), source }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // What is left over is removed at the next start.
        let _ = empty(&self.run_dir);
    }
}

/// Where sockets lie: in the state directory, unless its path is too long for a socket. The path must be canonical.
pub fn run_dir(state: &Path) -> PathBuf {
    let inside = state.join("run");
    if inside.as_os_str().len() <= LONGEST_RUN_DIR {
        return inside;
    }
    use std::hash::BuildHasher;
    std::env::temp_dir().join(format!("rosey-{:016x}", rustc_hash::FxBuildHasher.hash_one(state)))
}

/// Makes a directory that only this user may look into, or checks that it is one.
fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{} belongs to somebody else", path.display())));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

/// Removes the files of a host before this one.
fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
