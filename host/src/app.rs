//! The wiring: what is started in which order, what ends it, and in which order it stops.
//!
//! Two runtimes, each on one thread. The *data* runtime (the main thread) moves events: connectors, router, slots. The *ops*
//! runtime does what may take longer: admin, plugin output, and all that people look at.

use crate::{
    admin::{
        self, Admin, AdminConfig,
        audit::{AuditError, AuditRecord, Stage},
    },
    artifact,
    config::Config,
    connect::{self, ConnectError, Connectors},
    dashboard::DashboardError,
    journal::Journal,
    metrics::{self, Metrics, MetricsConfig},
    plugins::{self, PluginConfig, Plugins},
    process::{
        spawn::Spawner,
        start::{Shims, Starter},
    },
    report,
    router::{self, Router},
    slot::lifecycle::{LifecycleEvent, LifecycleKind},
    speech::Speech,
    store::{Database, StoreError, is_for_want_of_room},
    view::{
        Change,
        mark::{MarkKind, Severity},
    },
};
use outlets::{ToOthers, line_intervals};
use page::start_dashboard;
use rosey_core::state::HOST_RETRY;
use rustix::process::{Resource, getrlimit, setrlimit};
use signals::Signals;
use state::{Life, State};
use std::{
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
mod outlets;
mod page;
mod signals;
pub mod state;

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
        /// The system's reason.
        source: io::Error,
    },
    /// It holds files of somebody else.
    #[error(
        "state_dir {path} holds {name}, which is not Rosey's. Name a folder that is empty or does not exist yet; if this is a \
         state directory of Rosey all the same, make a file {} in it", state::MARKER, path = .path.display()
    )]
    NotOurs {
        /// Where it is.
        path: PathBuf,
        /// What it holds.
        name: String,
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
    /// The audit cannot be kept, so no action could be recorded.
    #[error("the audit cannot be kept: {0}")]
    Audit(#[from] AuditError),
    /// The control socket.
    #[error("the control socket cannot be made: {0}")]
    Control(#[source] io::Error),
    /// A connector.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl AppError {
    /// Whether it passes by itself: a disk that is full, or a database that another program holds.
    fn may_pass(&self) -> bool {
        match self {
            Self::State { source, .. } => is_for_want_of_room(source),
            Self::Store(error) => error.may_pass(),
            _ => false,
        }
    }
}

/// Runs the bot until its input ends or a signal comes. `greet` is called when chat is about to begin.
///
/// # Errors
/// [`AppError`]; all that was started is stopped.
pub fn run(config: Config, greet: impl FnOnce(&Config, Option<SocketAddr>)) -> Result<(), AppError> {
    // Whatever the umask of whoever starts it: nothing that Rosey writes is for other users.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    raise_open_files();
    let (ops, end_of_ops) = start_ops().map_err(AppError::Runtime)?;
    let data = plugins::runtime().map_err(AppError::Runtime)?;
    let metrics = Metrics::new(metrics_config(&config));
    let result = data.block_on(live(config, metrics.clone(), ops, greet));
    data.block_on(metrics.finish());
    // A read of the terminal may be under way, and never ends.
    data.shutdown_background();
    drop(end_of_ops);
    result
}

/// Allows as many open files as the system lets this user have: each plugin takes some ten.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("the limit of open files cannot be raised: {error}");
    }
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
    let Some(state) = when_possible(&mut signals, async || State::open(&config.state_dir)).await? else {
        return Ok(());
    };
    let shim = shim(&config);
    if !shim.is_file() {
        return Err(AppError::NoShim(shim));
    }
    let starter = make_starter(&config, &state, shim, &ops)?;
    let schema: Vec<_> =
        plugins::SCHEMA.into_iter().chain(admin::SCHEMA).chain([metrics::SCHEMA, router::SCHEMA]).collect();
    let database = when_possible(&mut signals, async || {
        let (path, schema) = (config.state_dir.join(DATABASE), schema.clone());
        let opened = tokio::task::spawn_blocking(move || Database::open(&path, &schema)).await;
        let database = opened.expect("it does not panic, and the runtime waits for it")?;
        metrics.remember(database.clone()).await?;
        Ok(database)
    });
    let Some(database) = database.await? else { return Ok(()) };
    let router = Arc::new(Router::default());
    config.connect.names().for_each(|name| metrics.expect_connector(name));
    router.set_starting(true);
    router.expect(config.plugins.iter().filter(|(_, plugin)| plugin.enabled).map(|(name, _)| name.as_str()));
    let journal = starter.journal.clone();
    let speech = Speech::new(database.clone(), journal, line_intervals(&config), config.repeat_lines);
    metrics.set_speech(speech.clone());
    let plugins = make_plugins(&config, starter, &database, &router, &speech, &metrics).await?;
    // Before anybody looks: a plugin that is about to start is not shown as stopped.
    plugins.start_all().await;
    metrics.start(Arc::clone(&plugins), &ops);
    // Before any plugin is up: one that hangs at its start can be looked at, and stopped.
    let serving = async {
        let admin = start_admin(&config, &state, &plugins, &router, &metrics, &ops).await?;
        let dashboard = start_dashboard(&config, &metrics, &admin, plugins.journal().clone(), &ops).await?;
        let connectors = connect::start(&config.connect, &router, &metrics, &speech)?;
        Ok::<_, AppError>((admin, dashboard, connectors))
    };
    let (admin, dashboard, mut connectors) = match serving.await {
        Ok(serving) => serving,
        Err(error) => {
            // Otherwise their starts would fail as the host ends around them, and that would count against them.
            plugins.stop_all().await;
            return Err(error);
        }
    };
    let starting = async {
        plugins.when_started().await;
        state.say(Life::Running);
        greet(&config, dashboard);
        router.set_starting(false);
    };
    let ended = tokio::select! {
        (result, ()) = async { tokio::join!(connectors.ended(), starting) } => result,
        () = signals.next() => Ok(()),
    };
    tracing::info!("stopping");
    state.say(Life::Stopping);
    admin.stop();
    connectors.stop_accepting();
    let finished = stop(&plugins, signals, &admin, &database, connectors).await;
    Ok(ended.and(finished)?)
}

/// Does what the start takes, and does it again every few seconds while the disk is full or another program holds the
/// database. `None` when a signal came meanwhile.
async fn when_possible<T>(
    signals: &mut Signals,
    attempt: impl AsyncFn() -> Result<T, AppError>,
) -> Result<Option<T>, AppError> {
    let mut said = String::new();
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.may_pass() => report::chain(&error),
            Err(error) => return Err(error),
        };
        if error != said {
            tracing::error!("not started yet: {error}; tried again every {} s", HOST_RETRY.as_secs());
            said = error;
        }
        tokio::select! {
            () = tokio::time::sleep(HOST_RETRY) => {}
            () = signals.next() => return Ok(None),
        }
    }
}

/// Waits until what was accepted is answered, recorded and sent. A signal hurries that.
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
        tracing::warn!("an admin's action is still under way; the next start will record that it was cut short");
    }
    if tokio::time::timeout(LAST_WORDS, database.flush()).await.is_err() {
        tracing::warn!("{DATABASE} does not keep up; the last changes may not be in it");
    }
    // Last: what was accepted is answered by now, and so is what admins did.
    tokio::select! {
        result = connectors.finish() => result,
        () = signals.next() => {
            tracing::warn!("stopping at once");
            Ok(())
        }
    }
}

/// What starts generations.
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

/// The plugins, none of them started, with a router that knows the commands of each. `observe` is called with each thing that
/// happens, after the router has learned from it, on a slot's task: it must not block. On the runtime of the slots.
///
/// # Errors
/// As the database says.
pub async fn assemble(
    configs: Vec<PluginConfig>,
    starter: Arc<Starter>,
    database: &Database,
    router: &Arc<Router>,
    speech: &Speech,
    observe: impl Fn(LifecycleEvent) + Send + Sync + 'static,
) -> Result<Arc<Plugins>, StoreError> {
    let known: Arc<OnceLock<Arc<Plugins>>> = Arc::default();
    let listener = {
        let (known, router) = (Arc::clone(&known), Arc::clone(router));
        Arc::new(move |event: LifecycleEvent| {
            if let (LifecycleKind::Manifest(manifest), Some(plugins)) = (&event.kind, known.get())
                && let Ok(handle) = plugins.handle(&event.plugin)
            {
                router.learn(handle.clone(), Arc::clone(manifest));
            }
            observe(event);
        })
    };
    router.recall(database).await?;
    tokio::spawn(Arc::clone(router).keep_owners(database.clone()));
    let outlets = Arc::new(ToOthers { router: Arc::clone(router), speech: speech.clone() });
    let plugins = Arc::new(Plugins::new(configs, starter, database.clone(), outlets, listener).await?);
    for view in plugins.views().await {
        if let (Some(manifest), Ok(handle)) = (view.manifest, plugins.handle(&view.plugin)) {
            router.learn(handle.clone(), manifest);
        }
    }
    // The first time, and the last.
    let _ = known.set(Arc::clone(&plugins));
    Ok(plugins)
}

/// What happens to the plugins goes to the log and to the metrics.
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
            if let LifecycleKind::Manifest(_) = event.kind {
                metrics.set_owners(router.owners());
            }
        }
    };
    let plugins = assemble(config.plugins(), starter, database, router, speech, observe).await?;
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

async fn start_admin(
    config: &Config,
    state: &State,
    plugins: &Arc<Plugins>,
    router: &Arc<Router>,
    metrics: &Metrics,
    ops: &Handle,
) -> Result<Arc<Admin>, AppError> {
    let settings = config.admin.clone();
    let admin = AdminConfig {
        owner: config.owner.clone(),
        admins: config.admins.clone(),
        roles: config.roles.clone(),
        trust_nicks: settings.trust_nicks,
        per_minute: settings.per_minute,
        cooldown: settings.cooldown,
        audit_file: settings.audit_file,
    };
    let admin = Admin::open(admin, Arc::clone(plugins), Some(metrics.clone())).await?;
    let counts = metrics.clone();
    admin.on_action(Box::new(move |record| count(&counts, record)));
    let (lines, waiting) = mpsc::channel(admin::chat::QUEUE);
    router.set_admin(lines);
    admin.set_router(Arc::clone(router));
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
    // What it keeps belongs to no build.
    let is_of_build = !command.starts_with("store ");
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
        // The name in a denied command may be anything.
        Stage::Denied => metrics.mark(None, MarkKind::Admin, Severity::Warning, &text),
        Stage::After if record.ok == Some(false) => {
            metrics.mark(plugin.as_deref(), MarkKind::Admin, Severity::Warning, &text)
        }
        Stage::After => metrics.mark(plugin.as_deref(), MarkKind::Admin, Severity::Info, &text),
        Stage::Alarm => metrics.mark(None, MarkKind::Admin, Severity::Error, &text),
        Stage::Read | Stage::Refused | Stage::Dropped | Stage::Before => {}
    }
}

/// The shim's executable, whether it is there or not.
fn shim(config: &Config) -> PathBuf {
    let beside_me = || std::env::current_exe().unwrap_or_default().with_file_name("rosey-shim");
    config.shim.clone().unwrap_or_else(beside_me)
}
