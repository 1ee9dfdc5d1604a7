//! The set of plugins: one slot each, started, changed and stopped side by side.
//!
//! Other rooms use [`Plugins`]. `startup` decides which build a plugin runs when the host starts, `garbage` removes
//! artifacts that no plugin needs, `wishes` compares what a plugin wants with what it gets, and `kept` changes the data of a
//! plugin for an operator. Knows nothing about chat, admin
//! or HTTP.

mod config;
mod error;
mod garbage;
mod kept;
mod living;
mod member;
mod offer;
mod plan;
pub mod set;
mod startup;
mod waiting;
pub mod wishes;

pub use crate::process::start::SettingsPlaces;
pub use config::{PluginConfig, Sandbox, name_problem};
pub use error::PluginError;
pub use living::NewPlugin;
pub use plan::{Planned, Step};
pub use set::Catalog;

use crate::{
    commit,
    journal::Journal,
    process::{
        sandbox::RuleReport,
        start::{self, OwnSettings, StartSpec, Starter},
    },
    slot::{
        self,
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
};
use arc_swap::ArcSwap;
use garbage::Garbage;
use member::{Member, Members};
use rosey_core::{
    hash::Hash,
    state::{ChangeError, ChangeRequest, Done, ExpectedState, PluginState, StateEvent},
};
use rosey_wire::manifest::Manifest;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    sync::{Mutex, broadcast, oneshot},
    task::JoinSet,
};

/// The tables of this room in `rosey.db`.
pub const SCHEMA: [&str; 8] = [
    set::SCHEMA,
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
    inspect_as(starter, config, own, artifact).await
}

/// The same for an artifact in the store.
async fn inspect_as(
    starter: &Arc<Starter>,
    config: &PluginConfig,
    own: Arc<OwnSettings>,
    artifact: Hash,
) -> Result<Candidate, PluginError> {
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

/// All plugins of this host, and the one owner of their set. Whoever needs the set reads it here each time; a lifecycle
/// event tells when a plugin joins and leaves.
pub struct Plugins {
    members: ArcSwap<Members>,
    /// Held while the set changes.
    changing: Mutex<()>,
    catalog: ArcSwap<Catalog>,
    stopping: AtomicBool,
    parts: member::Parts,
    starter: Arc<Starter>,
    database: Database,
    followers: broadcast::Sender<LifecycleEvent>,
    offers: offer::Offers,
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

fn is_followed(event: &LifecycleEvent) -> bool {
    matches!(
        event.kind,
        LifecycleKind::Crash(_)
            | LifecycleKind::State(
                StateEvent::Active { .. } | StateEvent::RolledBack { .. } | StateEvent::BakeOver { .. }
            )
    )
}

impl Plugins {
    /// Makes the slots on the current runtime, which runs those of plugins that are loaded later, too. Starts no plugin.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn new(
        catalog: impl Into<Catalog>,
        starter: Arc<Starter>,
        database: Database,
        outlets: Arc<dyn Outlets>,
        listener: Listener,
    ) -> Result<Self, crate::store::StoreError> {
        let catalog = catalog.into();
        let followers = broadcast::Sender::new(FOLLOWED);
        let parts = member::Parts {
            outlets,
            listener,
            pacer: slot::pace::Pacer::start(),
            runtime: tokio::runtime::Handle::current(),
        };
        let chosen = catalog.choose(&set::load(&database).await?);
        let plugins = Self {
            members: ArcSwap::default(),
            changing: Mutex::default(),
            catalog: ArcSwap::from_pointee(catalog),
            stopping: AtomicBool::new(false),
            parts,
            starter,
            database,
            followers,
            offers: offer::Offers::default(),
        };
        let mut members = Members::new();
        for (name, chosen) in chosen {
            members.insert(name, Arc::new(plugins.make(chosen).await?));
        }
        plugins.members.store(Arc::new(members));
        Ok(plugins)
    }

    /// Starts every plugin with its last good artifact, or, if it has none, with the build in the plugin folder. A
    /// plugin that cannot start reports that, and the others start anyway.
    pub async fn start_all(&self) {
        let members = self.members();
        let enabled = members.values().filter(|member| !member.disabled);
        let mut starts: JoinSet<_> = enabled.map(|member| self.start_member(member)).collect();
        // Fails only when the host is already stopping.
        while starts.join_next().await.is_some() {}
        self.collect_garbage().await;
    }

    /// Waits until no plugin is starting: each serves, has failed, or waits for its next try.
    pub async fn when_started(&self) {
        let wait = |member: &Arc<Member>| {
            let handle = member.handle.clone();
            async move { handle.change(Command::WhenStarted).await }
        };
        let mut starts: JoinSet<_> = self.members().values().map(wait).collect();
        // Each start reports its own result.
        while starts.join_next().await.is_some() {}
    }

    /// Starts one plugin that is stopped or has failed. Returns when it serves. Cancellation does not stop the start.
    ///
    /// # Errors
    /// When there is no such plugin, it is already up, it does not come up, or the host is stopping.
    pub async fn start(&self, name: &str) -> Result<Done, PluginError> {
        let member = self.member(name)?;
        if member.disabled {
            return Err(PluginError::Disabled);
        }
        if !self.start_member(&member).await? {
            return Err(ChangeError::Already(PluginState::Running).into());
        }
        Ok(member.handle.change(Command::WhenStarted).await??)
    }

    /// Returns false when it was already up.
    fn start_member(&self, member: &Member) -> impl Future<Output = Result<bool, Gone>> + use<> {
        startup::start(Arc::clone(&self.starter), member.handle.clone(), Arc::clone(&member.config))
    }

    /// Copies the build in the plugin folder into the store, and reads its manifest in a throw-away process.
    /// [`Plugins::reload`] runs exactly this artifact, whatever happens to the file meanwhile.
    ///
    /// # Errors
    /// When there is no such plugin, or the build cannot be copied or loaded.
    pub async fn inspect(&self, name: &str) -> Result<Candidate, PluginError> {
        let member = self.member(name)?;
        let looked = inspect(&self.starter, &member.config, Arc::clone(&member.own)).await;
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
        let member = self.member(name)?;
        if member.disabled {
            return Err(PluginError::Disabled);
        }
        let handle = &member.handle;
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

    /// Subscribes to generations that become active, to crashes, and to the ends of bakes.
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
        Ok(self.member(name)?.handle.change(|answer| Command::Stop { host_stops: false, answer }).await??)
    }

    /// Stops all plugins side by side, and loads no further one. Returns when all processes are gone.
    pub async fn stop_all(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        let mut stops = JoinSet::new();
        for member in self.members().values() {
            let handle = member.handle.clone();
            stops.spawn(async move { handle.change(|answer| Command::Stop { host_stops: true, answer }).await });
        }
        while stops.join_next().await.is_some() {}
    }

    /// The view of one plugin.
    ///
    /// # Errors
    /// When there is no plugin with this name.
    pub async fn view(&self, name: &str) -> Result<Box<View>, PluginError> {
        let member = self.member(name)?;
        let mut view = member.handle.view().await?;
        member.explain(&mut view);
        Ok(view)
    }

    /// The views of all plugins, by name. Leaves out a plugin whose slot is gone.
    pub async fn views(&self) -> Vec<View> {
        views(&self.members()).await
    }

    /// The handle of one slot. Whoever keeps it keeps the slot of a plugin that is unloaded.
    ///
    /// # Errors
    /// When there is no plugin with this name.
    pub fn handle(&self, name: &str) -> Result<Handle, PluginError> {
        Ok(self.member(name)?.handle.clone())
    }

    /// The configuration of one plugin.
    ///
    /// # Errors
    /// When there is no plugin with this name.
    pub fn config(&self, name: &str) -> Result<Arc<PluginConfig>, PluginError> {
        Ok(Arc::clone(&self.member(name)?.config))
    }

    /// Whether an operator disabled this plugin.
    pub fn is_disabled(&self, name: &str) -> bool {
        self.members().get(name).is_some_and(|member| member.disabled)
    }

    /// The names of all plugins, in order.
    pub fn names(&self) -> Vec<String> {
        self.members().keys().cloned().collect()
    }

    /// The last lines of each plugin.
    pub fn journal(&self) -> &Journal {
        &self.starter.journal
    }

    /// The database of this host.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Removes artifacts that no plugin runs or could go back to. Keeps those of plugins that do not belong to the set
    /// now.
    pub async fn collect_garbage(&self) {
        self.garbage().collect().await;
    }

    /// Collects in the background, so that a change does not wait for it.
    fn collect_garbage_soon(&self) {
        tokio::spawn(self.garbage().collect());
    }

    fn garbage(&self) -> Garbage {
        Garbage { members: self.members(), starter: Arc::clone(&self.starter), database: self.database.clone() }
    }

    fn members(&self) -> Arc<Members> {
        self.members.load_full()
    }

    fn member(&self, name: &str) -> Result<Arc<Member>, PluginError> {
        let members = self.members();
        let unknown = || {
            let nearest = nearest(name, members.keys().map(String::as_str));
            PluginError::Unknown { name: clean(name, 64), nearest }
        };
        members.get(name).cloned().ok_or_else(unknown)
    }
}

async fn views(members: &Members) -> Vec<View> {
    // Sends all requests before it awaits the first answer: one wake-up of the slots' thread instead of one for each.
    let mut asked = Vec::with_capacity(members.len());
    for member in members.values() {
        let (answer, answered) = oneshot::channel();
        if member.handle.tell(Command::View(answer)).await.is_ok() {
            asked.push((member, answered));
        }
    }
    let mut views = Vec::with_capacity(asked.len());
    for (member, answered) in asked {
        if let Ok(mut view) = answered.await {
            member.explain(&mut view);
            views.push(*view);
        }
    }
    views
}
