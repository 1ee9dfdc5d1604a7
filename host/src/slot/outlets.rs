//! What leaves a slot besides answers: lines to say, and events for other plugins. What is behind it stands above the slots,
//! and is handed in.

use crate::event::{ConnectorId, Event, Occurrence, What};
use std::sync::Arc;

/// The way out of a slot. Called on the slots' thread: no method may block.
pub trait Outlets: Send + Sync {
    /// The plugins that hear this, and which event it is for each.
    fn hearers(&self, what: &What) -> Vec<(Arc<str>, Occurrence)>;

    /// Hands an event to another plugin.
    fn deliver(&self, plugin: &str, event: Event);

    /// Says that lines of a plugin wait in `rosey.db` for this connector.
    fn lines_wait(&self, connector: &ConnectorId);
}

/// Where nothing leads out: plugins hear nothing of each other, and what they say waits.
#[cfg(test)]
#[derive(Debug)]
pub struct Nowhere;

#[cfg(test)]
impl Outlets for Nowhere {
    fn hearers(&self, _: &What) -> Vec<(Arc<str>, Occurrence)> {
        Vec::new()
    }

    fn deliver(&self, _: &str, _: Event) {}

    fn lines_wait(&self, _: &ConnectorId) {}
}
