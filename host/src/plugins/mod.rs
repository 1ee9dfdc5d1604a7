//! The set of plugins: one slot each, started, changed and stopped side by side.
//!
//! [`Plugins`] is what everything above talks to. `startup` decides what a plugin runs when the host starts, `garbage`
//! removes artifacts that no plugin needs, `kept` is what an operator does to what they keep. Knows nothing of chat, admin or HTTP.

mod config;
mod garbage;
mod kept;
mod startup;
mod timers;

pub use config::PluginConfig;

use crate::{
    artifact, commit,
    journal::Journal,
    process::start::{self, OwnSettings, StartError, StartSpec, Starter},
    slot::{
        self, Setup,
        command::Command,
        cooldown,
        dead_letter::{self, DeadLetter},
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
pub const SCHEMA: [&str; 6] = [
    history::SCHEMA,
    dead_letter::SCHEMA,
    cooldown::SCHEMA,
    commit::SCHEMA,
    commit::timers::SCHEMA,
    commit::pending::SCHEMA,
];

/// Ends of bakes and swaps that a follower may be behind: each comes after an operator's change, or a crash.
const FOLLOWED: usize = 64;

/// The runtime of slots: one thread, whose slots know when it has nothing else to do.
///
/// # Errors
/// When the operating system has no more of what it takes.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Called with everything that happens, on a slot's task: it must not block.
pub type Listener = Arc<dyn Fn(LifecycleEvent) + Send + Sync>;

/// Takes in what the build left, and finds out in a process of its own what it is and whether it takes its settings. No
/// plugin is made.
///
/// # Errors
/// When the build cannot be taken in or loaded, or refuses its settings.
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
        inspect: true,
        restore: None,
        timeout: config.limits.start_timeout,
        log_lines: config.limits.log_lines,
    };
    let started = start::start(Arc::clone(starter), order).await?;
    Ok(Candidate { artifact, manifest: started.manifest })
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

/// A build that was looked at, and can be run as it was seen.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The copy in the artifact store.
    pub artifact: Hash,
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
}

/// Why something asked of a plugin was not done.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is no such plugin.
    #[error("there is no plugin {name}{}", suggest(.nearest))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// The build cannot be taken in.
    #[error(transparent)]
    Intake(#[from] artifact::IntakeError),
    /// What is to be started is damaged or gone.
    #[error(transparent)]
    Artifact(#[from] artifact::VerifyError),
    /// The build cannot run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The slot says no.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There is no such dead letter.
    #[error("{plugin} has no dead letter {id}; deadletters {plugin} numbers them")]
    NoLetter {
        /// Whose dead letters were looked at.
        plugin: String,
        /// What was asked for.
        id: i64,
    },
    /// There is no such timer.
    #[error("{plugin} has no timer {id}; timers {plugin} numbers them")]
    NoTimer {
        /// Whose timers were looked at.
        plugin: String,
        /// What was asked for.
        id: i64,
    },
    /// A dead letter was turned away.
    #[error("{0} does not take events now; start it, or wait until its queue is shorter. The letter is kept")]
    NotAccepted(String),
    /// The database says no.
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
    /// Makes the slots on the current runtime. Nothing runs yet.
    ///
    /// # Errors
    /// As the database says.
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
            let kept = database.run(move |connection| commit::usage(connection, &owner)).await?;
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
                starter: Arc::clone(&starter),
                pacer: Arc::clone(&pacer),
                database: database.clone(),
                history,
                waits,
                clock: Clock::default(),
                manifest,
                kept,
                happened: Box::new(move |event| {
                    let (level, text) = event.line();
                    if level <= tracing::Level::INFO {
                        journal.push(&event.plugin, &text);
                    }
                    if is_followed(&event) {
                        // Mostly nobody does.
                        let _ = follow.send(event.clone());
                    }
                    listener(event);
                }),
            });
            slots.insert(config.name.clone(), Slot { handle, config, own });
        }
        Ok(Self { slots: Arc::new(slots), starter, database, followers })
    }

    /// Starts every plugin: with its last good artifact, or on its first day with what the build left. One that cannot
    /// start says so and does not keep the others from it.
    pub async fn start_all(&self) {
        let mut starts: JoinSet<_> = self.slots.values().map(|slot| self.start_slot(slot)).collect();
        // Fails only when the host is stopping already.
        while starts.join_next().await.is_some() {}
        self.collect_garbage().await;
    }

    /// Waits until no plugin is starting: each serves, or has failed, or waits before it is tried again.
    pub async fn when_started(&self) {
        let wait = |slot: &Slot| {
            let handle = slot.handle.clone();
            async move { handle.change(Command::WhenStarted).await }
        };
        let mut starts: JoinSet<_> = self.slots.values().map(wait).collect();
        // How each went, it says itself.
        while starts.join_next().await.is_some() {}
    }

    /// Starts one plugin that is stopped or has failed. Returns when it serves. Cancelled, the start goes on.
    ///
    /// # Errors
    /// When there is no such plugin, it is up already, it does not come up, or the host is stopping.
    pub async fn start(&self, name: &str) -> Result<Done, PluginError> {
        let slot = self.slot(name)?;
        if !self.start_slot(slot).await? {
            return Err(ChangeError::Already(PluginState::Running).into());
        }
        Ok(slot.handle.change(Command::WhenStarted).await??)
    }

    /// False when it was up already.
    fn start_slot(&self, slot: &Slot) -> impl Future<Output = Result<bool, Gone>> + use<> {
        startup::start(Arc::clone(&self.starter), slot.handle.clone(), slot.config.clone())
    }

    /// Takes in what the build left, and finds out in a process of its own what it is. What was seen is what
    /// [`Plugins::reload`] will run, whatever happens to the file meanwhile.
    ///
    /// # Errors
    /// When there is no such plugin, or the build cannot be taken in or loaded.
    pub async fn inspect(&self, name: &str) -> Result<Candidate, PluginError> {
        let slot = self.slot(name)?;
        let looked = inspect(&self.starter, &slot.config, Arc::clone(&slot.own)).await;
        if matches!(looked, Err(PluginError::Start(_))) {
            self.collect_garbage_soon();
        }
        looked
    }

    /// Changes a plugin to an artifact that was looked at. Returns when the new generation serves. Cancelled, the change
    /// goes on.
    ///
    /// # Errors
    /// [`PluginError`]; what ran before goes on.
    pub async fn reload(&self, name: &str, to: Hash, force: bool) -> Result<Done, PluginError> {
        self.change(name, ChangeRequest::Reload { to, force }, None).await
    }

    /// Changes a plugin, unless it is no longer as it was seen when that was decided. Returns when what is wanted serves,
    /// or is being started. Cancelled, the change goes on.
    ///
    /// # Errors
    /// [`PluginError`]; what ran before goes on.
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

    /// Makes sure that what a change is to start is whole, before anything that runs is touched for it.
    async fn verify_target(&self, handle: &Handle, request: ChangeRequest) -> Result<(), PluginError> {
        if matches!(request, ChangeRequest::Reload { .. }) {
            // It was taken in and loaded just now, to be looked at.
            return Ok(());
        }
        let view = handle.view().await?;
        let target = match request {
            // Its process is still there.
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

    /// What becomes active from now on, and how bakes end.
    pub fn follow(&self) -> broadcast::Receiver<LifecycleEvent> {
        self.followers.subscribe()
    }

    /// Goes back to the artifact before. Returns when that serves, or is being started.
    ///
    /// # Errors
    /// [`PluginError`]; what ran before goes on.
    pub async fn rollback(&self, name: &str) -> Result<Done, PluginError> {
        self.change(name, ChangeRequest::Rollback, None).await
    }

    /// Stops the process and starts the same artifact again; events wait meanwhile.
    ///
    /// # Errors
    /// [`PluginError`].
    pub async fn restart(&self, name: &str) -> Result<Done, PluginError> {
        self.change(name, ChangeRequest::Restart, None).await
    }

    /// Stops a plugin after it has answered what it has.
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

    /// Delivers a dead letter again; nobody is answered. It is removed when the slot has accepted it, so a host that is
    /// killed in between delivers it twice rather than never.
    ///
    /// # Errors
    /// [`PluginError`]; the letter is kept.
    pub async fn replay(&self, name: &str, id: i64) -> Result<DeadLetter, PluginError> {
        let slot = self.slot(name)?;
        let found = dead_letter::find(&self.database, name, id).await?;
        let letter = found.ok_or_else(|| PluginError::NoLetter { plugin: name.to_owned(), id })?;
        if !slot.handle.offer(letter.event()).await? {
            return Err(PluginError::NotAccepted(name.to_owned()));
        }
        dead_letter::remove(&self.database, id).await?;
        Ok(letter)
    }

    /// One plugin.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn view(&self, name: &str) -> Result<Box<View>, PluginError> {
        Ok(self.slot(name)?.handle.view().await?)
    }

    /// All plugins by name. One whose slot is gone already is left out.
    pub async fn views(&self) -> Vec<View> {
        views(&self.slots).await
    }

    /// The way to one slot.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn handle(&self, name: &str) -> Result<&Handle, PluginError> {
        Ok(&self.slot(name)?.handle)
    }

    /// How a plugin is configured.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn config(&self, name: &str) -> Result<&PluginConfig, PluginError> {
        Ok(&self.slot(name)?.config)
    }

    /// The names of all plugins, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// The last lines about each plugin.
    pub fn journal(&self) -> &Journal {
        &self.starter.journal
    }

    /// The database, for its dead letters.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Removes artifacts that no plugin runs or could go back to, those of plugins that are not configured now excepted.
    pub async fn collect_garbage(&self) {
        self.garbage().collect().await;
    }

    /// Does so in the background: nobody who changes a plugin waits for it.
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
    // All are asked before the first answer is awaited: one wake-up of their thread instead of one each.
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
