//! The wiring: which parts start in which order, what ends the bot, and in which order the parts stop.
//!
//! There are two runtimes, each on one thread. The *data* runtime (the main thread) moves events: connectors, router,
//! slots. The *ops* runtime does slower work: admin, plugin output, metrics, dashboard.

use crate::{
    admin::{
        self, Admin,
        audit::{AuditError, AuditRecord, Stage},
    },
    artifact,
    config::Config,
    connect::{self, ConnectError, Connectors},
    dashboard::DashboardError,
    journal::Journal,
    metrics::{self, Metrics, MetricsConfig},
    plugins::{self, Catalog, Plugins},
    process::{
        spawn::Spawner,
        start::{Shims, Starter},
    },
    report,
    router::{self, Router},
    slot::lifecycle::{LifecycleEvent, LifecycleKind},
    speech::Speech,
    store::{Database, StoreError, is_for_want_of_room},
    view::{Change, mark::Severity},
};
use interprocess::local_socket::tokio::Listener;
use notify::Supervisor;
use outlets::{ToOthers, follow, line_interval};
use page::start_dashboard;
use rosey_core::state::HOST_RETRY;
use rustix::process::{Resource, getrlimit, setrlimit};
use signals::Signals;
use state::{Life, State};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{mpsc, oneshot},
};

pub mod check;
mod notify;
mod outlets;
mod page;
mod reload;
mod signals;
pub mod state;

/// The file name of the database in the state directory.
pub const DATABASE: &str = "rosey.db";

/// Time for actions under way to be recorded, once all plugins are down and no further wait is possible.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why the bot cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The state directory cannot be used.
    #[error("the state directory {path} cannot be used: {source}", path = .path.display())]
    State {
        /// The directory that the config names.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The state directory has files of another program or person.
    #[error(
        "state_dir {path} holds {name}, which is not Rosey's. Name a folder that is empty or does not exist yet; if this is a \
         state directory of Rosey anyway, create a file {} in it", state::MARKER, path = .path.display()
    )]
    NotOurs {
        /// The directory that the config names.
        path: PathBuf,
        /// A file in it that is not Rosey's.
        name: String,
    },
    /// A restore into the state directory was interrupted.
    #[error("a restore into {path} was interrupted, so it is not whole; empty it, and restore the backup again",
        path = .0.display())]
    HalfRestored(PathBuf),
    /// Another host uses the state directory.
    #[error("another rosey uses {}; stop that one, or set another state_dir", .0.display())]
    Taken(PathBuf),
    /// The shim's executable is missing.
    #[error("there is no rosey-shim at {}; {}, or set shim", .0.display(), artifact::make("rosey-shim", .0))]
    NoShim(PathBuf),
    /// A runtime or a thread cannot start.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dashboard cannot start, and the configuration requires it.
    #[error("the dashboard cannot start, and Rosey runs without it only with dashboard.required = false")]
    Dashboard(#[from] DashboardError),
    /// The audit cannot be used, so no action could be recorded.
    #[error("the audit cannot be used: {0}")]
    Audit(#[from] AuditError),
    /// The control socket cannot be created.
    #[error("the control socket cannot be created: {0}")]
    Control(#[source] io::Error),
    /// A connector cannot start.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl AppError {
    /// Whether the cause may go away by itself: a full disk, or a database that another program holds.
    fn may_pass(&self) -> bool {
        match self {
            Self::State { source, .. } => is_for_want_of_room(source),
            Self::Store(error) => error.may_pass(),
            _ => false,
        }
    }
}

/// Runs the bot until its input ends or a signal comes. Calls `greet` just before chat begins.
///
/// # Errors
/// [`AppError`]; everything that was started is stopped.
pub fn run(config: Config, greet: impl FnOnce(&Config, Option<SocketAddr>, &Arc<Plugins>)) -> Result<(), AppError> {
    // Whatever the umask of the parent process: other users must not read what Rosey writes.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    raise_open_files();
    // Its memory has the operator's secrets: no other process of this user reads it, and no core dump keeps it.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let (ops, end_of_ops) = start_ops().map_err(AppError::Runtime)?;
    let data = plugins::runtime().map_err(AppError::Runtime)?;
    let metrics = Metrics::new(metrics_config(&config));
    let result = data.block_on(live(config, metrics.clone(), ops, greet));
    data.block_on(metrics.finish());
    // A read of the terminal may be under way that never returns.
    data.shutdown_background();
    drop(end_of_ops);
    result
}

/// Raises the limit of open files as far as the system allows: each plugin needs some ten.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("the limit of open files cannot be raised: {error}");
    }
}

/// Starts the ops runtime on its own thread. It ends when the sender is dropped.
///
/// # Errors
/// The system has no room for a thread.
pub fn start_ops() -> io::Result<(Handle, oneshot::Sender<()>)> {
    let ops: Runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = ops.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::Builder::new().name("rosey-ops".to_owned()).spawn(move || {
        // The sender is only dropped, so this waits for the error.
        let _ = ops.block_on(ended);
        ops.shutdown_background();
    })?;
    Ok((handle, end))
}

async fn live(
    config: Config,
    metrics: Metrics,
    ops: Handle,
    greet: impl FnOnce(&Config, Option<SocketAddr>, &Arc<Plugins>),
) -> Result<(), AppError> {
    let mut signals = Signals::watch().map_err(AppError::Runtime)?;
    let reopening = signals::reopening().map_err(AppError::Runtime)?;
    let supervisor = Arc::new(Supervisor::of_environment());
    let alive = Arc::clone(&supervisor);
    tokio::spawn(async move { alive.give_signs_of_life().await });
    let Some(state) = when_possible(&mut signals, async || State::open(&config.state_dir)).await? else {
        return Ok(());
    };
    let shim = shim(&config);
    if !shim.is_file() {
        return Err(AppError::NoShim(shim));
    }
    let starter = make_starter(&config, &state, shim, &ops)?;
    let database = when_possible(&mut signals, async || open_database(&config, &state, &metrics).await);
    let Some(database) = database.await? else { return Ok(()) };
    let router = Arc::new(Router::new(config.prefixes.clone()));
    config.connect.names().for_each(|name| metrics.expect_connector(name));
    router.set_starting(true);
    let journal = starter.journal.clone();
    let speech = Speech::new(database.clone(), journal, BTreeMap::new(), config.repeat_lines);
    metrics.set_speech(speech.clone());
    let plugins = make_plugins(&config, starter, &database, &router, &speech, &metrics).await?;
    // Plugins may take the last file descriptors that there are, and then no operator could stop one.
    let control = (control_socket(&state, &ops)?, state.run_dir.clone());
    // Before any view is possible: a plugin that is about to start must not show as stopped.
    plugins.start_all().await;
    metrics.start(Arc::clone(&plugins), &ops);
    // Before any plugin is up, so that an operator can inspect and stop a plugin that hangs at its start.
    let serving = async {
        let admin = start_admin(&config, control, &plugins, &router, &metrics, &ops).await?;
        let dashboard = start_dashboard(&config, &metrics, &admin, plugins.journal().clone(), &ops).await?;
        let connectors = connect::start(&config.connect, &router, &metrics, &speech)?;
        Ok::<_, AppError>((admin, dashboard, connectors))
    };
    let (admin, dashboard, mut connectors) = match serving.await {
        Ok(serving) => serving,
        Err(error) => {
            // Otherwise their starts would fail while the host ends, and would count against them.
            plugins.stop_all().await;
            return Err(error);
        }
    };
    ops.spawn(signals::reopen_files(reopening, Arc::clone(&admin)));
    ops.spawn(reload::on_hangup(Arc::clone(&admin), signals.hangups()));
    let starting = async {
        plugins.when_started().await;
        state.say(Life::Running);
        supervisor.tell("READY=1");
        greet(&config, dashboard, &plugins);
        router.set_starting(false);
    };
    let ended = tokio::select! {
        (result, ()) = async { tokio::join!(connectors.ended(), starting) } => result,
        () = signals.next() => Ok(()),
        never = state.keep_whole() => match never {},
    };
    tracing::info!("stopping");
    state.say(Life::Stopping);
    supervisor.tell("STOPPING=1");
    admin.stop();
    connectors.stop_accepting();
    let finished = stop(&plugins, signals, &admin, &database, connectors).await;
    Ok(ended.and(finished)?)
}

/// Opens the database, and the metrics' part of it. In place of a damaged one it opens an empty one that keeps nothing.
async fn open_database(config: &Config, state: &State, metrics: &Metrics) -> Result<Database, AppError> {
    let schema: Vec<_> =
        plugins::SCHEMA.into_iter().chain(admin::SCHEMA).chain(metrics::SCHEMA).chain([router::SCHEMA]).collect();
    let (path, instead) = (config.state_dir.join(DATABASE), state.run_dir.join(DATABASE));
    let open = move || match Database::check(&path).and_then(|()| Database::open(&path, &schema)) {
        Err(StoreError::Damaged(damaged)) => Database::open_in_place_of(&damaged, &instead, &schema),
        opened => opened,
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let database = opened.expect("it does not panic, and the runtime waits for it")?;
    if let (true, Some(trouble)) = (database.is_in_place_of_another(), database.trouble()) {
        tracing::error!("{trouble}. Until then Rosey answers chat, and refuses whatever it would have to keep");
        return Ok(database);
    }
    metrics.remember(database.clone()).await?;
    Ok(database)
}

/// Runs a step of the start, again every few seconds while the disk is full or another program holds the database. Returns
/// `None` when a signal comes meanwhile.
async fn when_possible<T>(
    signals: &mut Signals,
    attempt: impl AsyncFn() -> Result<T, AppError>,
) -> Result<Option<T>, AppError> {
    let mut last_error = String::new();
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.may_pass() => report::chain(&error),
            Err(error) => return Err(error),
        };
        if error != last_error {
            tracing::error!("not started yet: {error}; tried again every {} s", HOST_RETRY.as_secs());
            last_error = error;
        }
        tokio::select! {
            () = tokio::time::sleep(HOST_RETRY) => {}
            () = signals.next() => return Ok(None),
        }
    }
}

/// Waits until accepted events are answered, recorded and sent. A signal shortens the wait.
async fn stop(
    plugins: &Plugins,
    mut signals: Signals,
    admin: &Admin,
    database: &Database,
    connectors: Connectors,
) -> Result<(), ConnectError> {
    tokio::select! {
        () = plugins.stop_all() => {}
        () = signals.next() => tracing::warn!("stopping at once"),
    }
    if tokio::time::timeout(LAST_WORDS, admin.finish()).await.is_err() {
        tracing::warn!("an admin's action is still under way; the next start records that its end is unknown");
    }
    if tokio::time::timeout(LAST_WORDS, database.flush()).await.is_err() {
        tracing::warn!("{DATABASE} is too slow; it may lack the last changes");
    }
    // Last, because by now all accepted events are answered and all admin actions are done.
    tokio::select! {
        result = connectors.finish() => result,
        () = signals.next() => {
            tracing::warn!("stopping at once");
            Ok(())
        }
    }
}

/// Makes the starter of generations.
fn make_starter(config: &Config, state: &State, program: PathBuf, ops: &Handle) -> Result<Arc<Starter>, AppError> {
    let store = artifact::Store::open(config.state_dir.join("artifacts")).map_err(|source| state.problem(source))?;
    let shims = Shims {
        spawner: Spawner::start_with_keeper(program.clone()).map_err(AppError::Runtime)?,
        program,
        run_dir: state.run_dir.clone(),
        data_dir: state.data_dir(),
        spare: config.spare_shim,
    };
    Ok(Arc::new(Starter::new(shims, store, ops.clone(), Journal::default())))
}

/// Assembles the plugins, none of them started, with a router that learns the commands of each. Calls `observe` with
/// each lifecycle event, after the router has learned from it. That happens on a slot's task, so `observe` must not
/// block. Call this on the runtime of the slots.
///
/// # Errors
/// Those of the database.
pub async fn assemble(
    catalog: impl Into<Catalog>,
    starter: Arc<Starter>,
    database: &Database,
    router: &Arc<Router>,
    speech: &Speech,
    observe: impl Fn(LifecycleEvent) + Send + Sync + 'static,
) -> Result<Arc<Plugins>, StoreError> {
    let known: Arc<OnceLock<Arc<Plugins>>> = Arc::default();
    let listener = {
        let (known, router, speech) = (Arc::clone(&known), Arc::clone(router), speech.clone());
        Arc::new(move |event: LifecycleEvent| {
            if let Some(plugins) = known.get() {
                follow(&event, plugins, &router, &speech);
            }
            observe(event);
        })
    };
    router.recall(database).await?;
    tokio::spawn(Arc::clone(router).keep_owners(database.clone()));
    let outlets = Arc::new(ToOthers { router: Arc::clone(router), speech: speech.clone() });
    let plugins = Arc::new(Plugins::new(catalog, starter, database.clone(), outlets, listener).await?);
    for name in plugins.names() {
        router.expect(&name);
        if let Ok(config) = plugins.config(&name) {
            speech.expect_interval(&name, line_interval(&config));
        }
    }
    for view in plugins.views().await {
        if let (Some(manifest), Ok(handle)) = (view.manifest, plugins.handle(&view.plugin)) {
            router.learn(handle, manifest);
        }
    }
    // Set only here, once.
    let _ = known.set(Arc::clone(&plugins));
    Ok(plugins)
}

/// Makes the plugins, whose lifecycle events go to the log and to the metrics.
async fn make_plugins(
    config: &Config,
    starter: Arc<Starter>,
    database: &Database,
    router: &Arc<Router>,
    speech: &Speech,
    metrics: &Metrics,
) -> Result<Arc<Plugins>, AppError> {
    let observe = {
        let (router, metrics) = (Arc::clone(router), metrics.clone());
        move |event: LifecycleEvent| {
            event.log();
            metrics.happened(&event);
            if let LifecycleKind::Manifest(_) | LifecycleKind::Left = event.kind {
                metrics.set_owners(router.owners());
            }
        }
    };
    let plugins = assemble(config.catalog(), starter, database, router, speech, observe).await?;
    metrics.set_owners(router.owners());
    Ok(plugins)
}

fn metrics_config(config: &Config) -> MetricsConfig {
    MetricsConfig {
        poll_interval: config.metrics.poll_interval,
        history_duration: config.metrics.history_duration,
        prometheus: config.metrics.prometheus_enabled,
    }
}

fn control_socket(state: &State, ops: &Handle) -> Result<Listener, AppError> {
    let _runtime = ops.enter();
    admin::socket::listen(&state.run_dir).map_err(AppError::Control)
}

async fn start_admin(
    config: &Config,
    control: (Listener, PathBuf),
    plugins: &Arc<Plugins>,
    router: &Arc<Router>,
    metrics: &Metrics,
    ops: &Handle,
) -> Result<Arc<Admin>, AppError> {
    metrics.expect_admin_commands(admin::command::words());
    let mut settings = reload::admin_config(config);
    // It has records that the empty database lacks.
    settings.audit_file = settings.audit_file.filter(|_| !plugins.database().is_in_place_of_another());
    let admin = Admin::open(settings, Arc::clone(plugins), Some(metrics.clone())).await?;
    let counts = metrics.clone();
    admin.on_action(Box::new(move |record| count(&counts, record)));
    let (lines, waiting) = mpsc::channel(admin::chat::QUEUE);
    router.set_admin(lines);
    // The admin has the router, too.
    let roles = Arc::downgrade(&admin);
    router.set_roles(move |user, role| roles.upgrade().is_some_and(|admin| admin.permissions().has(user, role)));
    admin.set_config_source(reload::reader(config));
    admin.set_router(Arc::clone(router));
    ops.spawn(Arc::clone(&admin).run(waiting));
    ops.spawn(Arc::clone(&admin).record_own_rollbacks());
    let (control, run_dir) = control;
    ops.spawn(admin::socket::serve(Arc::clone(&admin), control, run_dir));
    Ok(admin)
}

/// Counts a command once, and adds its result to the marks and to the history of its plugin.
fn count(metrics: &Metrics, record: &AuditRecord) {
    let AuditRecord { stage, user, command, plugin, .. } = record;
    if *stage != Stage::Read {
        metrics.audited(stage.name());
    }
    if *stage == Stage::After && record.via == admin::Via::Host.to_string() {
        // What Rosey does by itself is counted where it happens.
        return;
    }
    // A change of the data or of the log belongs to no build.
    let is_of_build = !command.starts_with("store ") && !command.starts_with("log ");
    if let (Stage::After | Stage::Refused, Some(plugin), true) = (stage, plugin, is_of_build) {
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
        // A denied command may name anything.
        Stage::Denied => metrics.mark_of(user, None, Severity::Warning, &text),
        Stage::After if record.ok == Some(false) => metrics.mark_of(user, plugin.as_deref(), Severity::Warning, &text),
        Stage::After => metrics.mark_of(user, plugin.as_deref(), Severity::Info, &text),
        Stage::Alarm => metrics.mark_of(user, None, Severity::Error, &text),
        Stage::Read | Stage::Refused | Stage::Dropped | Stage::Before => {}
    }
}

/// The path of the shim's executable, whether it exists or not.
fn shim(config: &Config) -> PathBuf {
    let beside_me = || std::env::current_exe().unwrap_or_default().with_file_name("rosey-shim");
    // A package puts programs that no one types by name elsewhere.
    let shims = || [beside_me(), beside_me().with_file_name("../lib/rosey/rosey-shim")];
    let of_this_build = || shims().into_iter().find(|path| path.is_file()).unwrap_or_else(beside_me);
    config.shim.clone().unwrap_or_else(of_this_build)
}
