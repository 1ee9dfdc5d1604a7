//! One plugin of the set: its slot, and the configuration that the slot runs with.

use super::{Listener, PluginConfig, Plugins, is_followed, set::Chosen};
use crate::{
    commit,
    process::start::OwnSettings,
    slot::{
        Setup, cooldown, handle::Handle, history, lifecycle::LifecycleEvent, outlets::Outlets, pace::Pacer, view::View,
    },
    store::StoreError,
    time::Clock,
    view::DISABLED,
};
use rosey_core::state::PluginState;
use std::{collections::BTreeMap, sync::Arc};

/// A plugin of the set. A change of the set replaces it as a whole.
pub(super) struct Member {
    pub handle: Handle,
    pub config: Arc<PluginConfig>,
    pub own: Arc<OwnSettings>,
    /// Whether an operator disabled it.
    pub disabled: bool,
}

impl Member {
    /// Adds to a view what the slot does not know.
    pub fn explain(&self, view: &mut View) {
        if self.disabled && view.state == PluginState::Stopped {
            view.explanation = Some(DISABLED.to_owned());
        }
    }
}

/// All plugins of the set, by name.
pub(super) type Members = BTreeMap<String, Arc<Member>>;

/// What slots are made of, besides the parts of [`Plugins`].
pub(super) struct Parts {
    pub outlets: Arc<dyn Outlets>,
    pub listener: Listener,
    pub pacer: Arc<Pacer>,
    /// The runtime of the slots.
    pub runtime: tokio::runtime::Handle,
}

impl Plugins {
    /// Makes the slot of a plugin, with what earlier hosts left of it. Starts nothing, and does not change the set.
    pub(super) async fn make(&self, chosen: Chosen) -> Result<Member, StoreError> {
        let Chosen { config, disabled } = chosen;
        let (history, manifest) = history::load(&self.database, &config.name).await?;
        let owner = config.name.clone();
        let read = move |connection: &mut _| {
            let usage = commit::usage(connection, &owner)?;
            Ok((usage, commit::versions(connection, &owner)?, commit::timers::count(connection, &owner)?))
        };
        let (kept, store, timers) = self.database.run(read).await?;
        let waits = cooldown::load(&self.database, &config.name).await?;
        let own = config.own();
        let setup = Setup {
            name: config.name.as_str().into(),
            settings: config.settings(&own),
            outlets: Arc::clone(&self.parts.outlets),
            starter: Arc::clone(&self.starter),
            pacer: Arc::clone(&self.parts.pacer),
            database: self.database.clone(),
            history,
            waits,
            timers,
            clock: Clock::default(),
            manifest: manifest.map(Arc::new),
            kept,
            store,
            happened: self.teller(),
        };
        // The caller may be on another runtime.
        let _runtime = self.parts.runtime.enter();
        Ok(Member { handle: Handle::spawn(setup), config: Arc::new(config), own, disabled })
    }

    /// Passes a lifecycle event on to the log of the plugin, to those who follow, and to the listener.
    pub(super) fn teller(&self) -> Arc<dyn Fn(LifecycleEvent) + Send + Sync> {
        let (listener, journal) = (Arc::clone(&self.parts.listener), self.starter.journal.clone());
        let follow = self.followers.clone();
        Arc::new(move |event: LifecycleEvent| {
            let (level, text) = event.line();
            if level <= tracing::Level::INFO {
                journal.push(&event.plugin, &text);
            }
            if is_followed(&event) {
                // Mostly there is no follower.
                let _ = follow.send(event.clone());
            }
            listener(event);
        })
    }
}
