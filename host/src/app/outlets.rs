//! Where lines and events for other plugins leave a slot, and at which rate.

use crate::{
    config::Config,
    event::{ConnectorId, Event, Occurrence, What},
    plugins::PluginConfig,
    router::Router,
    slot::outlets::Outlets,
    speech::Speech,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

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

/// The time between two lines of each plugin.
pub fn line_intervals(config: &Config) -> BTreeMap<String, Duration> {
    let interval = |plugin: PluginConfig| (plugin.name, Duration::from_secs(60) / plugin.limits.lines_per_minute);
    config.plugins().into_iter().map(interval).collect()
}
