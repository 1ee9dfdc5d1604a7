//! The state of connectors: whether each is connected, and in its channels.

use super::{Metrics, traffic::Traffic};
use crate::{
    event::ConnectorId,
    view::mark::{MarkKind, Severity},
};
use std::sync::Arc;

/// The state of one connector.
#[derive(Debug, Clone, Default)]
pub(super) struct Connector {
    /// Whether it is connected; `None` before it has tried.
    pub(super) connected: Option<bool>,
    /// Whether it is connected but in none of its channels.
    pub(super) is_nowhere: bool,
    pub(super) traffic: Arc<Traffic>,
}

impl Metrics {
    /// Registers a configured connector: it has a series from now on, even before it is connected.
    pub fn expect_connector(&self, id: impl Into<ConnectorId>) {
        self.tallies().connectors.entry(id.into()).or_default();
    }

    /// Announces the admin commands, so that each has its series from the start.
    pub fn expect_admin_commands(&self, words: impl IntoIterator<Item = &'static str>) {
        let mut tallies = self.tallies();
        for word in words {
            tallies.admin.entry((word.to_owned(), "_denied".to_owned())).or_default();
        }
    }

    /// Counts a change that someone asked for.
    pub(super) fn count_change(&self, plugin: &str, kind: &'static str, is_done: bool) {
        *self.tallies().changes.entry((plugin.to_owned(), kind, is_done)).or_default() += 1;
    }

    /// Records that a connector connected or disconnected.
    pub fn connector(&self, id: impl Into<ConnectorId>, connected: bool) {
        let id = id.into();
        let before = {
            let mut tallies = self.tallies();
            let connector = tallies.connectors.entry(id.clone()).or_default();
            let before = connector.connected.replace(connected);
            if connected && before != Some(true) {
                connector.traffic.connected();
            }
            before
        };
        if before != Some(connected) {
            let (severity, text) = match (before, connected) {
                (None, true) => (Severity::Info, "connected"),
                (Some(_), true) => (Severity::Info, "is back"),
                (None, false) => (Severity::Error, "cannot connect"),
                (Some(_), false) => (Severity::Error, "dropped"),
            };
            self.mark(None, MarkKind::Connector, severity, &format!("{id} {text}"));
        }
    }

    /// Records any other event of a connector.
    pub fn connector_event(&self, id: &ConnectorId, is_warning: bool, text: &str) {
        let severity = if is_warning { Severity::Warning } else { Severity::Info };
        self.mark(None, MarkKind::Connector, severity, &format!("{id}: {text}"));
    }

    /// Records whether a connector is in none of the channels where it should be.
    pub fn connector_nowhere(&self, id: impl Into<ConnectorId>, is_nowhere: bool) {
        self.tallies().connectors.entry(id.into()).or_default().is_nowhere = is_nowhere;
    }

    /// The counters of a connector.
    pub fn traffic(&self, id: impl Into<ConnectorId>) -> Arc<Traffic> {
        Arc::clone(&self.tallies().connectors.entry(id.into()).or_default().traffic)
    }
}
