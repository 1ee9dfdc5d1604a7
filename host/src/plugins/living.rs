//! Changes of the set while the host runs: a plugin is loaded, unloaded, enabled or disabled. One change at a time; each
//! is remembered before it is done, so that a host that is killed comes up with the set as it was decided.
//!
//! None of these must be cancelled: a caller that may go away runs them in a task of its own.

use super::{
    Candidate, PluginConfig, PluginError, Plugins, inspect,
    member::{Member, Members},
    set::{self, Chosen, Decision, WantedState},
};
use crate::slot::{
    command::Command,
    handle::Gone,
    lifecycle::{LifecycleEvent, LifecycleKind},
};
use rosey_core::{
    hash::Hash,
    state::{ChangeError, ChangeRequest, Done, PluginState},
};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

/// A plugin that may join the set.
#[derive(Debug, Clone)]
pub struct NewPlugin {
    /// Its settings.
    pub config: PluginConfig,
    /// The library instead of the configured one, if the operator names one.
    pub library: Option<PathBuf>,
}

impl Plugins {
    /// The settings that a plugin would have. A library whose path is relative counts from the plugin folder.
    ///
    /// # Errors
    /// The plugin belongs to the set already.
    pub fn to_load(&self, name: &str, library: Option<PathBuf>) -> Result<NewPlugin, PluginError> {
        if self.members().contains_key(name) {
            return Err(PluginError::Loaded);
        }
        let config = self.catalog.load().config(name, library.as_deref());
        let library = library.map(|_| config.library.clone());
        Ok(NewPlugin { config, library })
    }

    /// Whether the configuration has this plugin, and it does not belong to the set.
    pub fn may_join(&self, name: &str) -> bool {
        self.catalog.load().configured.contains_key(name) && !self.members().contains_key(name)
    }

    /// Copies the library of a plugin that does not belong to the set into the store, and reads its manifest in a
    /// throw-away process.
    ///
    /// # Errors
    /// The build cannot be copied or loaded, or refuses its settings.
    pub async fn inspect_new(&self, new: &NewPlugin) -> Result<Candidate, PluginError> {
        inspect(&self.starter, &new.config, new.config.own()).await
    }

    /// Adds a plugin to the set, and starts it with an artifact that was inspected. Returns when it serves. It takes up
    /// what waits for it: timers, events with a row, its data.
    ///
    /// # Errors
    /// The plugin belongs to the set already, or the build does not pass its probe; the set is as before.
    pub async fn load(&self, new: NewPlugin, artifact: Hash) -> Result<Done, PluginError> {
        let _changing = self.changing.lock().await;
        let name = new.config.name.clone();
        if self.members().contains_key(&name) {
            return Err(PluginError::Loaded);
        }
        let before = self.remember(&name, WantedState::Loaded, new.library).await?;
        let done = self.join(Chosen { config: new.config, disabled: false }, artifact).await;
        if done.is_err() {
            self.leave(&name).await;
            // The reason of the failure says more than that of this.
            let _ = set::save(&self.database, &name, before).await;
        }
        self.collect_garbage_soon();
        done
    }

    /// The same with the build in the plugin folder.
    ///
    /// # Errors
    /// As [`Plugins::load`], and when that build cannot be copied or loaded.
    pub async fn load_newest(&self, new: NewPlugin) -> Result<(), PluginError> {
        let candidate = self.inspect_new(&new).await?;
        self.load(new, candidate.artifact).await.map(|_| ())
    }

    async fn join(&self, chosen: Chosen, artifact: Hash) -> Result<Done, PluginError> {
        let member = Arc::new(self.make(chosen).await?);
        self.put(&member);
        self.announce(&member, LifecycleKind::Joined);
        // A stop of the host that began before this found all other plugins.
        if self.stopping.load(Ordering::SeqCst) {
            return Err(Gone.into());
        }
        let request = ChangeRequest::Reload { to: artifact, force: false };
        let change = |answer| Command::Change { request, expected: None, answer };
        Ok(member.handle.change(change).await??)
    }

    /// Removes a plugin from the set: no further event reaches it, it answers those that it has, and stops. Its data,
    /// its timers and its dead letters stay.
    ///
    /// # Errors
    /// There is no such plugin, or the decision cannot be remembered; then nothing is done.
    pub async fn unload(&self, name: &str) -> Result<(), PluginError> {
        let _changing = self.changing.lock().await;
        self.member(name)?;
        self.remember(name, WantedState::Unloaded, None).await?;
        self.leave(name).await;
        self.collect_garbage_soon();
        Ok(())
    }

    /// Takes a plugin out of the set, after it has answered what it has.
    async fn leave(&self, name: &str) {
        let Ok(member) = self.member(name) else { return };
        self.announce(&member, LifecycleKind::Leaving);
        // It may be stopped already, and a host that stops does the same.
        let _ = member.handle.change(|answer| Command::Stop { host_stops: false, answer }).await;
        self.members.rcu(|members| {
            let mut members = Members::clone(members);
            members.remove(name);
            members
        });
        self.announce(&member, LifecycleKind::Left);
    }

    /// Stops a plugin that stays in the set, and does not start it with the host either.
    ///
    /// # Errors
    /// There is no such plugin, it is disabled already, or the decision cannot be remembered.
    pub async fn disable(&self, name: &str) -> Result<(), PluginError> {
        let _changing = self.changing.lock().await;
        let member = self.member(name)?;
        if member.disabled {
            return Err(PluginError::Disabled);
        }
        let library = self.decided_library(name).await?;
        self.remember(name, WantedState::Disabled, library).await?;
        // From now on no start and no reload begins; a change under way ends with the stop.
        self.put(&Arc::new(member.with(true)));
        match member.handle.change(|answer| Command::Stop { host_stops: false, answer }).await? {
            Ok(_) | Err(ChangeError::Already(PluginState::Stopped)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts a plugin that was disabled, now and with the host. Returns when it serves.
    ///
    /// # Errors
    /// There is no such plugin, it is not disabled, or it does not come up; then it stays enabled, and has failed.
    pub async fn enable(&self, name: &str) -> Result<Done, PluginError> {
        let _changing = self.changing.lock().await;
        let member = self.member(name)?;
        if !member.disabled {
            return Err(PluginError::Enabled);
        }
        let library = self.decided_library(name).await?;
        self.remember(name, WantedState::Loaded, library).await?;
        self.put(&Arc::new(member.with(false)));
        self.start(name).await
    }

    async fn decided_library(&self, name: &str) -> Result<Option<PathBuf>, PluginError> {
        Ok(set::load(&self.database).await?.remove(name).and_then(|decision| decision.library))
    }

    /// Remembers what was decided, if the configuration says otherwise. Returns what was remembered before.
    async fn remember(
        &self,
        name: &str,
        wanted: WantedState,
        library: Option<PathBuf>,
    ) -> Result<Option<Decision>, PluginError> {
        let before = set::load(&self.database).await?.remove(name);
        let decision = self.catalog.load().decision(name, wanted, library);
        set::save(&self.database, name, decision).await?;
        Ok(before)
    }

    pub(super) fn put(&self, member: &Arc<Member>) {
        self.members.rcu(|members| {
            let mut members = Members::clone(members);
            members.insert(member.config.name.clone(), Arc::clone(member));
            members
        });
    }

    pub(super) fn announce(&self, member: &Member, kind: LifecycleKind) {
        let plugin = Arc::clone(member.handle.name());
        self.teller()(LifecycleEvent { plugin, at: SystemTime::now(), kind });
    }
}

impl Member {
    pub(super) fn with(&self, disabled: bool) -> Self {
        let (config, own) = (Arc::clone(&self.config), Arc::clone(&self.own));
        Self { handle: self.handle.clone(), config, own, disabled }
    }
}
