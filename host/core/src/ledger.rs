//! The account of one plugin's events: what came in, and how each ended.

use crate::outcome::{OUTCOMES, Outcome};

/// Counts since the host started. `accepted` is always the sum of `outcomes` and of what is queued and in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Events that reached the slot, the rejected ones included.
    pub accepted: u64,
    /// Events by how they ended, in the order of [`OUTCOMES`].
    pub outcomes: [u64; OUTCOMES.len()],
    /// Deliveries beyond the first: the generation that had the event died or did not finish its drain.
    pub redelivered: u64,
    /// Answers to events that had ended already or belong to another generation. They are dropped.
    pub late: u64,
}

impl Ledger {
    /// Counts an outcome.
    pub fn ended(&mut self, outcome: &Outcome) {
        self.outcomes[outcome.index()] += 1;
    }

    /// Events that ended.
    pub fn finished(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}
