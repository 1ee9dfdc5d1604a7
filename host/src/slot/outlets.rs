//! What leaves a slot besides answers: lines, and events for other plugins. The rooms that take them are above the
//! slots, so the host passes this trait in.

use crate::event::{ConnectorId, Event, Occurrence, What};
use std::sync::Arc;

/// Takes what leaves a slot. Called on the slots' thread: no method may block.
pub trait Outlets: Send + Sync {
    /// The plugins that hear an occurrence, with the event for each.
    fn hearers(&self, what: &What) -> Vec<(Arc<str>, Occurrence)>;

    /// Delivers an event to another plugin.
    fn deliver(&self, plugin: &str, event: Event);

    /// Reports that lines of a plugin wait in `rosey.db` for this connector.
    fn lines_wait(&self, connector: &ConnectorId);
}

/// An outlet that leads nowhere: plugins hear nothing of each other, and lines wait.
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
