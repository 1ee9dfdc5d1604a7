//! The set of plugins: one slot each, started, changed and stopped side by side.
//!
//! Other rooms use [`Plugins`]. `startup` decides which build a plugin runs when the host starts, `garbage` removes
//! artifacts that no plugin needs, and `kept` changes the data of a plugin for an operator. Knows nothing about chat, admin
//! or HTTP.

mod config;
mod garbage;
mod kept;
mod startup;
mod waiting;

pub use crate::process::start::SettingsFile;
pub use config::{PluginConfig, Sandbox};

use crate::{
    artifact, commit,
    journal::Journal,
    process::{
        sandbox::RuleReport,
        start::{self, OwnSettings, StartError, StartSpec, Starter},
    },
    slot::{
        self, Setup,
        command::Command,
        cooldown, dead_letter,
        handle::{Gone, Handle},
        history,
        lifecycle::{LifecycleEvent, LifecycleKind},
        outlets::Outlets,
        view::View,
    },
    store::Database,
    text::{clean, nearest},
    time::Clock,
};
use garbage::Garbage;
use rosey_core::{
    hash::Hash,
    state::{ChangeError, ChangeRequest, Done, ExpectedState, PluginState, StateEvent},
};
use rosey_wire::manifest::Manifest;
use std::{collections::BTreeMap, sync::Arc};
use tokio::{
    sync::{broadcast, oneshot},
    task::JoinSet,
};

/// The tables of this room in `rosey.db`.
pub const SCHEMA: [&str; 7] = [
    history::SCHEMA,
    dead_letter::SCHEMA,
    cooldown::SCHEMA,
    commit::SCHEMA,
    commit::BEFORE,
    commit::timers::SCHEMA,
    commit::pending::SCHEMA,
];

/// Lifecycle events that a follower may lag behind. Each comes after an operator's change or a crash.
const FOLLOWED: usize = 64;

/// The runtime of slots: one thread, which tells slots when it has no other work.
///
/// # Errors
/// When the operating system has no more threads or descriptors.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Called with every lifecycle event, on a slot's task: it must not block.
pub type Listener = Arc<dyn Fn(LifecycleEvent) + Send + Sync>;

/// Copies the build in the plugin folder into the store, reads its manifest in a throw-away process, and checks its
/// settings. Creates no plugin.
///
/// # Errors
/// When the build cannot be copied or loaded, or refuses its settings.
pub async fn inspect(
    starter: &Arc<Starter>,
    config: &PluginConfig,
    own: Arc<OwnSettings>,
) -> Result<Candidate, PluginError> {
    let artifact = startup::take_in(starter, config).await?;
    let order = StartSpec {
        plugin: config.name.as_str().into(),
        generation: 0,
        artifact,
        config: own,
        sandbox: config.policy(),
        inspect: true,
        restore: None,
        timeout: config.limits.start_timeout,
        log_lines: config.limits.log_lines,
    };
    let started = start::start(Arc::clone(starter), order).await?;
    Ok(Candidate { artifact, manifest: started.manifest, sandbox: started.sandbox })
}

/// All plugins of this host. The set is fixed while it runs.
pub struct Plugins {
    slots: Arc<BTreeMap<String, Slot>>,
    starter: Arc<Starter>,
    database: Database,
    followers: broadcast::Sender<LifecycleEvent>,
}

struct Slot {
    handle: Handle,
    config: PluginConfig,
    own: Arc<OwnSettings>,
}

/// A build that was inspected and can run exactly as it was then.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The artifact in the store.
    pub artifact: Hash,
    /// What the plugin says about itself: its name, its version, its commands.
    pub manifest: Arc<Manifest>,
    /// What the sandbox of its process held.
    pub sandbox: Arc<[RuleReport]>,
}

/// Why a request about a plugin was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is no plugin with this name.
    #[error("there is no plugin {name}{}", suggest(.nearest))]
    Unknown {
        /// The name in the request.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// The build cannot be copied into the store.
    #[error(transparent)]
    Intake(#[from] artifact::IntakeError),
    /// The artifact to start is damaged or gone.
    #[error(transparent)]
    Artifact(#[from] artifact::VerifyError),
    /// The build cannot run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The slot refuses or fails the change.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There is no dead letter with this number.
    #[error("{plugin} has no dead letter {id}; deadletters {plugin} numbers them")]
    NoLetter {
        /// The plugin that the request names.
        plugin: String,
        /// The number in the request.
        id: i64,
    },
    /// There is no timer with this number.
    #[error("{plugin} has no timer {id}; timers {plugin} numbers them")]
    NoTimer {
        /// The plugin that the request names.
        plugin: String,
        /// The number in the request.
        id: i64,
    },
    /// The slot did not accept a dead letter.
    #[error("{0} does not take events now; start it, or wait until its queue is shorter. The letter is kept")]
    NotAccepted(String),
    /// The database reports an error.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The host is stopping.
    #[error(transparent)]
    Gone(#[from] Gone),
}

fn is_followed(event: &LifecycleEvent) -> bool {
    matches!(
        event.kind,
        LifecycleKind::State(StateEvent::Active { .. } | StateEvent::RolledBack { .. } | StateEvent::BakeOver { .. })
    )
}

fn suggest(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

impl Plugins {
    /// Makes the slots on the current runtime. Starts no plugin.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn new(
        configs: Vec<PluginConfig>,
        starter: Arc<Starter>,
        database: Database,
        outlets: Arc<dyn Outlets>,
        listener: Listener,
    ) -> Result<Self, crate::store::StoreError> {
        let mut slots = BTreeMap::new();
        let followers = broadcast::Sender::new(FOLLOWED);
        let pacer = slot::pace::Pacer::start();
        for config in configs {
            let (history, manifest) = history::load(&database, &config.name).await?;
            let owner = config.name.clone();
            let read = move |connection: &mut _| {
                let usage = commit::usage(connection, &owner)?;
                Ok((usage, commit::versions(connection, &owner)?, commit::timers::count(connection, &owner)?))
            };
            let (kept, store, timers) = database.run(read).await?;
            let waits = cooldown::load(&database, &config.name).await?;
            let name: Arc<str> = config.name.as_str().into();
            let manifest = manifest.map(Arc::new);
            if let Some(manifest) = manifest.clone() {
                let kind = LifecycleKind::Manifest(manifest);
                listener(LifecycleEvent { plugin: Arc::clone(&name), at: std::time::SystemTime::now(), kind });
            }
            let follow = followers.clone();
            let own = config.own();
            let (listener, journal) = (Arc::clone(&listener), starter.journal.clone());
            let handle = Handle::spawn(Setup {
                name,
                limits: config.limits.clone(),
                reload: config.reload,
                probe: config.probe.clone(),
                journal: config.journal,
                speaks_in: config.speaks_in.clone(),
                outlets: Arc::clone(&outlets),
                config: Arc::clone(&own),
                sandbox: config.policy(),
                starter: Arc::clone(&starter),
                pacer: Arc::clone(&pacer),
                database: database.clone(),
                history,
                waits,
                timers,
                clock: Clock::default(),
                manifest,
                kept,
                store,
                happened: Box::new(move |event| {
                    let (level, text) = event.line();
                    if level <= tracing::Level::INFO {
                        journal.push(&event.plugin, &text);
                    }
                    if is_followed(&event) {
                        // Mostly there is no follower.
                        let _ = follow.send(event.clone());
                    }
                    listener(event);
                }),
            });
            slots.insert(config.name.clone(), Slot { handle, config, own });
        }
        Ok(Self { slots: Arc::new(slots), starter, database, followers })
    }

    /// Starts every plugin with its last good artifact, or, if it has none, with the build in the plugin folder. A
    /// plugin that cannot start reports that, and the others start anyway.
    pub async fn start_all(&self) {
        let mut starts: JoinSet<_> = self.slots.values().map(|slot| self.start_slot(slot)).collect();
        // Fails only when the host is already stopping.
        while starts.join_next().await.is_some() {}
        self.collect_garbage().await;
    }

    /// Waits until no plugin is starting: each serves, has failed, or waits for its next try.
    pub async fn when_started(&self) {
        let wait = |slot: &Slot| {
            let handle = slot.handle.clone();
            async move { handle.change(Command::WhenStarted).await }
        };
        let mut starts: JoinSet<_> = self.slots.values().map(wait).collect();
        // Each start reports its own result.
        while starts.join_next().await.is_some() {}
    }

    /// Starts one plugin that is stopped or has failed. Returns when it serves. Cancellation does not stop the start.
    ///
    /// # Errors
    /// When there is no such plugin, it is already up, it does not come up, or the host is stopping.
    pub async fn start(&self, name: &str) -> Result<Done, PluginError> {
        let slot = self.slot(name)?;
        if !self.start_slot(slot).await? {
            return Err(ChangeError::Already(PluginState::Running).into());
        }
        Ok(slot.handle.change(Command::WhenStarted).await??)
    }

    /// Returns false when it was already up.
    fn start_slot(&self, slot: &Slot) -> impl Future<Output = Result<bool, Gone>> + use<> {
        startup::start(Arc::clone(&self.starter), slot.handle.clone(), slot.config.clone())
    }

    /// Copies the build in the plugin folder into the store, and reads its manifest in a throw-away process.
    /// [`Plugins::reload`] runs exactly this artifact, whatever happens to the file meanwhile.
    ///
    /// # Errors
    /// When there is no such plugin, or the build cannot be copied or loaded.
    pub async fn inspect(&self, name: &str) -> Result<Candidate, PluginError> {
        let slot = self.slot(name)?;
        let looked = inspect(&self.starter, &slot.config, Arc::clone(&slot.own)).await;
        if matches!(looked, Err(PluginError::Start(_))) {
            self.collect_garbage_soon();
        }
        looked
    }

    /// Changes a plugin to an artifact that was inspected. Returns when the new generation serves. Cancellation does
    /// not stop the change.
    ///
    /// # Errors
    /// [`PluginError`]; the build before goes on.
    pub async fn reload(&self, name: &str, to: Hash, force: bool) -> Result<Done, PluginError> {
        self.change(name, ChangeRequest::Reload { to, force }, None).await
    }

    /// Changes a plugin, if it is still in the state that was seen at the decision. Returns when the wanted build
    /// serves, or is starting. Cancellation does not stop the change.
    ///
    /// # Errors
    /// [`PluginError`]; the build before goes on.
    pub async fn change(
        &self,
        name: &str,
        request: ChangeRequest,
        expected: Option<ExpectedState>,
    ) -> Result<Done, PluginError> {
        let handle = &self.slot(name)?.handle;
        self.verify_target(handle, request).await?;
        let result = handle.change(|answer| Command::Change { request, expected, answer }).await?;
        if matches!(request, ChangeRequest::Reload { .. }) {
            self.collect_garbage_soon();
        }
        Ok(result?)
    }

    /// Verifies the artifact that a change will start, before the change touches the running process.
    async fn verify_target(&self, handle: &Handle, request: ChangeRequest) -> Result<(), PluginError> {
        if matches!(request, ChangeRequest::Reload { .. }) {
            // It was copied and loaded just now, at the inspection.
            return Ok(());
        }
        let view = handle.view().await?;
        let target = match request {
            // Its process is still parked.
            ChangeRequest::Rollback if view.bake_left.is_some() => None,
            ChangeRequest::Rollback => view.rollback_target,
            ChangeRequest::Restart | ChangeRequest::Reload { .. } => view.current,
        };
        let Some(target) = target.filter(|target| self.starter.store.unchanged(target).is_none()) else {
            return Ok(());
        };
        let starter = Arc::clone(&self.starter);
        let verified = tokio::task::spawn_blocking(move || starter.store.verify(&target)).await;
        verified.expect("it does not panic, and the runtime waits for it")?;
        Ok(())
    }

    /// Subscribes to generations that become active, and to the ends of bakes.
    pub fn follow(&self) -> broadcast::Receiver<LifecycleEvent> {
        self.followers.subscribe()
    }

    /// Goes back to the artifact before. Returns when it serves, or is starting.
    ///
    /// # Errors
    /// [`PluginError`]; the build before goes on.
    pub async fn rollback(&self, name: &str) -> Result<Done, PluginError> {
        self.change(name, ChangeRequest::Rollback, None).await
    }

    /// Replaces the process by a new one of the same artifact. Events wait meanwhile.
    ///
    /// # Errors
    /// [`PluginError`].
    pub async fn restart(&self, name: &str) -> Result<Done, PluginError> {
        self.change(name, ChangeRequest::Restart, None).await
    }

    /// Stops a plugin after it has answered its events.
    ///
    /// # Errors
    /// [`PluginError`].
    pub async fn stop(&self, name: &str) -> Result<Done, PluginError> {
        Ok(self.slot(name)?.handle.change(|answer| Command::Stop { host_stops: false, answer }).await??)
    }

    /// Stops all plugins side by side. Returns when all processes are gone.
    pub async fn stop_all(&self) {
        let mut stops = JoinSet::new();
        for slot in self.slots.values() {
            let handle = slot.handle.clone();
            stops.spawn(async move { handle.change(|answer| Command::Stop { host_stops: true, answer }).await });
        }
        while stops.join_next().await.is_some() {}
    }

    /// The view of one plugin.
    ///
    /// # Errors
    /// When there is no plugin with this name.
    pub async fn view(&self, name: &str) -> Result<Box<View>, PluginError> {
        Ok(self.slot(name)?.handle.view().await?)
    }

    /// The views of all plugins, by name. Leaves out a plugin whose slot is gone.
    pub async fn views(&self) -> Vec<View> {
        views(&self.slots).await
    }

    /// The handle of one slot.
    ///
    /// # Errors
    /// When there is no plugin with this name.
    pub fn handle(&self, name: &str) -> Result<&Handle, PluginError> {
        Ok(&self.slot(name)?.handle)
    }

    /// The configuration of one plugin.
    ///
    /// # Errors
    /// When there is no plugin with this name.
    pub fn config(&self, name: &str) -> Result<&PluginConfig, PluginError> {
        Ok(&self.slot(name)?.config)
    }

    /// The names of all plugins, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// The last lines of each plugin.
    pub fn journal(&self) -> &Journal {
        &self.starter.journal
    }

    /// The database of this host.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Removes artifacts that no plugin runs or could go back to. Keeps those of plugins that are not in the
    /// configuration now.
    pub async fn collect_garbage(&self) {
        self.garbage().collect().await;
    }

    /// Collects in the background, so that a change does not wait for it.
    fn collect_garbage_soon(&self) {
        tokio::spawn(self.garbage().collect());
    }

    fn garbage(&self) -> Garbage {
        Garbage { slots: Arc::clone(&self.slots), starter: Arc::clone(&self.starter), database: self.database.clone() }
    }

    fn slot(&self, name: &str) -> Result<&Slot, PluginError> {
        self.slots
            .get(name)
            .ok_or_else(|| PluginError::Unknown { name: clean(name, 64), nearest: nearest(name, self.names()) })
    }
}

async fn views(slots: &BTreeMap<String, Slot>) -> Vec<View> {
    // Sends all requests before it awaits the first answer: one wake-up of the slots' thread instead of one for each.
    let mut asked = Vec::with_capacity(slots.len());
    for slot in slots.values() {
        let (answer, answered) = oneshot::channel();
        if slot.handle.tell(Command::View(answer)).await.is_ok() {
            asked.push(answered);
        }
    }
    let mut views = Vec::with_capacity(asked.len());
    for answered in asked {
        views.extend(answered.await.ok().map(|view| *view));
    }
    views
}
