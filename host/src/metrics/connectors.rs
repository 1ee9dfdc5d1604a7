//! Whether connectors are connected, and in their channels.

use super::{Metrics, traffic::Traffic};
use crate::{
    event::ConnectorId,
    view::mark::{MarkKind, Severity},
};
use std::sync::Arc;

/// How one connector stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Connector {
    /// Whether it is connected, once it has tried.
    pub(super) connected: Option<bool>,
    /// Whether it is connected, and in none of its channels.
    pub(super) is_nowhere: bool,
    pub(super) traffic: Arc<Traffic>,
}

impl Metrics {
    /// A connector is configured: it has a series from now on, though it is not connected yet.
    pub fn expect_connector(&self, id: impl Into<ConnectorId>) {
        self.tallies().connectors.entry(id.into()).or_default();
    }

    /// Notes that a connector is connected, or is not any more.
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

    /// Marks something else that happened to a connector.
    pub fn connector_event(&self, id: &ConnectorId, is_warning: bool, text: &str) {
        let severity = if is_warning { Severity::Warning } else { Severity::Info };
        self.mark(None, MarkKind::Connector, severity, &format!("{id}: {text}"));
    }

    /// Notes that a connector is in none of the channels where it should be, or is in one again.
    pub fn connector_nowhere(&self, id: impl Into<ConnectorId>, is_nowhere: bool) {
        self.tallies().connectors.entry(id.into()).or_default().is_nowhere = is_nowhere;
    }

    /// Where a connector counts what goes through it.
    pub fn traffic(&self, id: impl Into<ConnectorId>) -> Arc<Traffic> {
        Arc::clone(&self.tallies().connectors.entry(id.into()).or_default().traffic)
    }
}
