//! From the set as it runs to the set that a configuration asks for: the steps, and each step done.
//!
//! New settings reach a plugin by the way of a reload: a new process of the running build is probed with them, and only
//! then takes over. If it crashes within the trial time, the settings before come back.

use super::{
    Catalog, NewPlugin, PluginConfig, PluginError, Plugins, inspect, inspect_as,
    member::Member,
    set::{self, Chosen},
    startup,
};
use crate::slot::{
    Settings,
    command::Command,
    handle::{Gone, Handle},
    lifecycle::{LifecycleEvent, LifecycleKind},
};
use rosey_core::state::{ChangeRequest, Done, GenerationId, PluginState};
use std::{sync::Arc, time::Duration};
use tokio::sync::{broadcast::Receiver, oneshot};

/// A step towards the set that a configuration asks for.
#[derive(Debug, Clone)]
pub enum Step {
    /// The plugin leaves the set.
    Unload,
    /// The plugin joins the set.
    Load(NewPlugin),
    /// The plugin goes by other settings.
    Configure {
        /// All its settings.
        config: PluginConfig,
        /// What a new process needs, such as `config.dice` and `sandbox`. Without any, no process changes.
        process: Vec<String>,
        /// What holds at once, such as `limits.queue`.
        at_once: Vec<String>,
    },
}

/// A step, and the plugin that it is about.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The plugin that joins, leaves or changes.
    pub plugin: String,
    /// What happens to it.
    pub step: Step,
}

impl Planned {
    /// The step in words: `reload dice-roller for config.dice`.
    pub fn words(&self) -> String {
        let plugin = &self.plugin;
        match &self.step {
            Step::Unload => format!("unload {plugin}"),
            Step::Load(_) => format!("load {plugin}"),
            Step::Configure { process, at_once, .. } if process.is_empty() => {
                format!("change {} of {plugin} at once", at_once.join(", "))
            }
            Step::Configure { process, at_once, .. } => {
                let all: Vec<_> = process.iter().chain(at_once).map(String::as_str).collect();
                format!("reload {plugin} for {}", all.join(", "))
            }
        }
    }
}

impl Plugins {
    /// The steps towards this configuration: first those that free commands, then new settings, then new plugins.
    ///
    /// # Errors
    /// The decisions of operators cannot be read.
    pub async fn plan(&self, catalog: &Catalog) -> Result<Vec<Planned>, PluginError> {
        let (members, decisions) = (self.members(), set::load(&self.database).await?);
        let chosen = catalog.choose(&decisions);
        let leaves = members.keys().filter(|name| !chosen.contains_key(*name));
        let mut steps: Vec<_> = leaves.map(|name| Planned { plugin: name.clone(), step: Step::Unload }).collect();
        let (mut changes, mut joins) = (Vec::new(), Vec::new());
        for (plugin, Chosen { config, .. }) in chosen {
            let Some(member) = members.get(&plugin) else {
                let library = decisions.get(&plugin).and_then(|decision| decision.library.clone());
                joins.push(Planned { plugin, step: Step::Load(NewPlugin { config, library }) });
                continue;
            };
            let (process, at_once) = member.config.differences(&config);
            if !process.is_empty() || !at_once.is_empty() {
                changes.push(Planned { plugin, step: Step::Configure { config, process, at_once } });
            }
        }
        steps.extend(changes);
        steps.extend(joins);
        Ok(steps)
    }

    /// Where the configuration and the decisions of operators differ, a sentence each.
    ///
    /// # Errors
    /// The decisions cannot be read.
    pub async fn decided_otherwise(&self, catalog: &Catalog) -> Result<Vec<String>, PluginError> {
        Ok(catalog.differences(&set::load(&self.database).await?))
    }

    /// Sets what the configuration says of the set, for later changes. Returns what it said before.
    pub fn set_catalog(&self, catalog: Catalog) -> Arc<Catalog> {
        self.catalog.swap(Arc::new(catalog))
    }

    /// Tries a plugin with other settings in a throw-away process: it loads the build that would run, and checks the
    /// settings.
    ///
    /// # Errors
    /// The build cannot be loaded, or refuses its settings.
    pub async fn try_settings(&self, name: &str, config: &PluginConfig) -> Result<(), PluginError> {
        let member = self.member(name)?;
        let runs = match member.config.library == config.library {
            true => member.handle.view().await?.current,
            false => None,
        };
        match runs {
            Some(artifact) => inspect_as(&self.starter, config, config.own(), artifact).await.map(|_| ()),
            None => inspect(&self.starter, config, config.own()).await.map(|_| ()),
        }
    }

    /// Changes the settings of a plugin. Those that a process needs take a reload of the running build, or of the one at
    /// a new path. Returns when the plugin serves with them. Must not be cancelled.
    ///
    /// # Errors
    /// The plugin does not come up with the new settings; it goes by those before.
    pub async fn configure(self: &Arc<Self>, name: &str, config: PluginConfig) -> Result<Option<Done>, PluginError> {
        let _changing = self.changing.lock().await;
        let member = self.member(name)?;
        let (process, _) = member.config.differences(&config);
        let own = config.own();
        let followed = self.follow();
        let before = tell(&member.handle, config.settings(&own)).await?;
        let changed =
            if process.is_empty() || member.disabled { Ok(None) } else { self.restart_with(&member, &config).await };
        let done = match changed {
            Ok(done) => done,
            Err(error) => {
                tell(&member.handle, *before).await?;
                return Err(error);
            }
        };
        let new = Member { handle: member.handle.clone(), config: Arc::new(config), own, disabled: member.disabled };
        let new = Arc::new(new);
        self.put(&new);
        self.announce(&new, LifecycleKind::Configured);
        if let Some(generation) = done.as_ref().and_then(|done| done.generation) {
            let plugins = Arc::clone(self);
            let trial = Trial { before: *before, old: member, new, generation };
            self.parts.runtime.spawn(async move { plugins.watch(trial, followed).await });
        }
        Ok(done)
    }

    /// Starts a process with the settings that the slot has now, in place of the one that runs, if the plugin is to run.
    async fn restart_with(&self, member: &Member, config: &PluginConfig) -> Result<Option<Done>, PluginError> {
        let view = member.handle.view().await?;
        match view.state {
            PluginState::Stopped | PluginState::Draining => return Ok(None),
            PluginState::Failed => {
                let config = Arc::new(config.clone());
                startup::start(Arc::clone(&self.starter), member.handle.clone(), config).await?;
                return Ok(Some(member.handle.change(Command::WhenStarted).await??));
            }
            _ => {}
        }
        let artifact = match view.current.filter(|_| member.config.library == config.library) {
            Some(runs) => runs,
            None => startup::take_in(&self.starter, config).await?,
        };
        let request = ChangeRequest::Reload { to: artifact, force: true };
        let change = |answer| Command::Change { request, expected: None, answer };
        Ok(Some(member.handle.change(change).await??))
    }

    /// Takes new settings back if the process that started with them crashes within the trial time.
    async fn watch(&self, trial: Trial, mut followed: Receiver<LifecycleEvent>) {
        let name = Arc::clone(trial.new.handle.name());
        let crashed = async {
            loop {
                let Ok(LifecycleEvent { plugin, kind, .. }) = followed.recv().await else { return None };
                match kind {
                    LifecycleKind::Crash(crash) if plugin == name && crash.generation == trial.generation => {
                        return Some(format!("it crashed with them: {}", crash.cause));
                    }
                    _ => {}
                }
            }
        };
        let limit = trial.new.config.limits.bake.max(LEAST_TRIAL);
        let Ok(Some(why)) = tokio::time::timeout(limit, crashed).await else { return };
        let _changing = self.changing.lock().await;
        let is_current = self.member(&name).is_ok_and(|member| Arc::ptr_eq(&member, &trial.new));
        if !is_current || tell(&trial.new.handle, trial.before).await.is_err() {
            return;
        }
        let old = Arc::new(trial.old.with(trial.new.disabled));
        self.put(&old);
        self.announce(&old, LifecycleKind::SettingsBack { why });
        let change = |answer| Command::Change { request: ChangeRequest::Restart, expected: None, answer };
        // If another change is under way, it starts the next process with these settings.
        let _ = old.handle.change(change).await;
    }
}

/// A crash within this time takes new settings back, also where builds have no trial.
const LEAST_TRIAL: Duration = Duration::from_secs(5);

/// New settings that may be taken back.
struct Trial {
    before: Settings,
    old: Arc<Member>,
    new: Arc<Member>,
    generation: GenerationId,
}

async fn tell(handle: &Handle, settings: Settings) -> Result<Box<Settings>, Gone> {
    let (answer, before) = oneshot::channel();
    handle.tell(Command::Configure { settings: Box::new(settings), answer }).await?;
    before.await.map_err(|_| Gone)
}
