//! Events between an answer with effects and the end: applied, or in vain and run again.
//!
//! **Contention.** When entries read and change the same value at once, one is applied and the others run again: one at a
//! time, and the flow delivers nothing else meanwhile. An entry that ran in vain twice waits until nothing is in flight. So
//! three runs are enough, unless something other than events changes the value.

use super::{Ended, Entry, Flow, RUNS, Stage, index};
use crate::outcome::Outcome;

impl<E> Entry<E> {
    /// Number of runs in vain.
    pub(super) fn conflicts(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.conflicts)
    }
}

impl<E> Flow<E> {
    /// Records that a generation answered an event with effects. From now on the generation does not have the event: no
    /// deadline and no crash affects it until [`Flow::committed`] or [`Flow::conflicted`] decides about it. Returns
    /// false for a late answer, which the ledger counts.
    pub fn begin_commit(&mut self, id: u64, generation: u64) -> bool {
        let known = self.is_in_flight(id, generation);
        if known {
            self.count_in_flight(generation, -1);
            self.committing += 1;
            self.entries[index(id)].stage = Stage::Committing(generation);
        } else {
            self.ledger.late += 1;
        }
        known
    }

    /// Ends an event whose effects were applied, or could not be, and hands out every outcome that is now due.
    pub fn committed(&mut self, id: u64, outcome: Outcome, due: &mut impl FnMut(Ended<E>)) {
        if let Some(generation) = self.committing(id) {
            self.finish(index(id), outcome, Some(generation), due);
        }
    }

    /// Queues an event again, before all events that did not run in vain, because another event changed what it had
    /// read. Returns false at the [`RUNS`]th conflict; the caller then ends it with [`Flow::committed`].
    pub fn conflicted(&mut self, id: u64) -> bool {
        if self.committing(id).is_none() {
            return true;
        }
        let entry = &mut self.entries[index(id)];
        let record = entry.record.get_or_insert_default();
        let ran_again = record.conflicts > 0;
        if record.conflicts + 1 >= RUNS {
            return false;
        }
        record.conflicts += 1;
        entry.stage = Stage::Queued;
        self.committing -= 1;
        self.contended = (self.contended.0 + 1, self.contended.1 - usize::from(ran_again));
        self.again.push_back(id);
        self.queued += 1;
        true
    }

    fn committing(&self, id: u64) -> Option<u64> {
        let entry = self.entries.get(index(id)).filter(|entry| entry.id == id)?;
        if let Stage::Committing(generation) = entry.stage { Some(generation) } else { None }
    }

    /// Whether the events that ran in vain allow one more delivery: of the next of them, or of any event when none of
    /// them is left.
    pub(super) fn is_turn_of_contended(&self) -> bool {
        match self.contended {
            (0, running) => running == 0,
            (_, 1..) => false,
            (_, 0) => {
                let calm = self.committing == 0 && self.in_flight.iter().all(|(_, count)| *count == 0);
                // An entry that ended while it waited delays no other entry.
                let is_last_run =
                    |id: &u64| self.entries.get(index(*id)).is_some_and(|entry| entry.conflicts() + 1 >= RUNS);
                calm || !self.again.iter().find(|id| self.is_queued(**id)).is_some_and(is_last_run)
            }
        }
    }
}
