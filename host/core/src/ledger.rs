//! The counts of one plugin's events: how many were accepted, and how each ended.

use crate::outcome::{OUTCOMES, Outcome};

/// Counts since the host started. `accepted` always equals the sum of `outcomes`, the queued events and those in
/// flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Events that reached the slot, including rejected ones.
    pub accepted: u64,
    /// Events by outcome, in the order of [`OUTCOMES`].
    pub outcomes: [u64; OUTCOMES.len()],
    /// Deliveries of an event beyond the first: the generation that had it died or did not finish its drain.
    pub redelivered: u64,
    /// Answers to events that had ended or belong to another generation. They are dropped.
    pub late: u64,
}

impl Ledger {
    /// Counts an outcome.
    pub fn ended(&mut self, outcome: &Outcome) {
        self.outcomes[outcome.index()] += 1;
    }

    /// Events that have an outcome.
    pub fn finished(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}
