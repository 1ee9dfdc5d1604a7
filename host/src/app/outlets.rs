//! Where lines and events for other plugins leave a slot, and at which rate.

use crate::{
    event::{ConnectorId, Event, Occurrence, What},
    plugins::{PluginConfig, Plugins},
    router::Router,
    slot::{
        lifecycle::{LifecycleEvent, LifecycleKind},
        outlets::Outlets,
    },
    speech::Speech,
};
use std::{sync::Arc, time::Duration};

/// Passes events on to the router and lines to the speech.
pub struct ToOthers {
    /// Finds the plugins that hear an occurrence.
    pub router: Arc<Router>,
    /// Sends the waiting lines.
    pub speech: Speech,
}

impl Outlets for ToOthers {
    fn hearers(&self, what: &What) -> Vec<(Arc<str>, Occurrence)> {
        self.router.hearers(what)
    }

    fn deliver(&self, plugin: &str, event: Event) {
        self.router.deliver(plugin, event);
    }

    fn lines_wait(&self, connector: &ConnectorId) {
        self.speech.lines_wait(connector);
    }
}

/// The time between two lines of a plugin.
pub fn line_interval(config: &PluginConfig) -> Duration {
    Duration::from_secs(60) / config.limits.lines_per_minute
}

/// Keeps router and speech in step with the set of plugins. Called with each lifecycle event before anything else hears
/// of it, so a plugin whose load has been answered has its commands.
pub fn follow(event: &LifecycleEvent, plugins: &Plugins, router: &Arc<Router>, speech: &Speech) {
    match &event.kind {
        LifecycleKind::Manifest(manifest) => {
            if let Ok(handle) = plugins.handle(&event.plugin) {
                router.learn(handle, Arc::clone(manifest));
            }
        }
        LifecycleKind::Joined | LifecycleKind::Configured | LifecycleKind::SettingsBack { .. } => {
            router.expect(&event.plugin);
            if let Ok(config) = plugins.config(&event.plugin) {
                speech.set_interval(&event.plugin, line_interval(&config));
            }
        }
        LifecycleKind::Leaving => router.forget(&event.plugin),
        LifecycleKind::Left => speech.forget(&event.plugin),
        _ => {}
    }
}
