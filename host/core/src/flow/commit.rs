//! Events that were answered with effects: applied, or in vain and run again.

use super::{Ended, Flow, RUNS, Stage, index};
use crate::outcome::Outcome;

impl<E> Flow<E> {
    /// Notes that a generation has answered an event with effects. It has the event no longer, and what becomes of the event is
    /// said by [`Flow::committed`] or [`Flow::conflicted`]; until then neither a deadline nor a crash touches it. False, and
    /// counted as late, when nothing waits for this answer.
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
            self.settle(index(id), outcome, Some(generation), due);
        }
    }

    /// Has an event run again, before all that did not run in vain: something that it had read was changed meanwhile. False
    /// when that happened [`RUNS`] times; the caller then ends it by [`Flow::committed`].
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

    /// Whether those that ran in vain let another event be delivered: the next of them, or any when there are none.
    pub(super) fn is_turn_of_contended(&self) -> bool {
        match self.contended {
            (0, running) => running == 0,
            (_, 1..) => false,
            (_, 0) => {
                let calm = self.committing == 0 && self.in_flight.iter().all(|(_, count)| *count == 0);
                // Of an entry that ended while it waited, there is nothing to wait for.
                let is_last_run =
                    |id: &u64| self.entries.get(index(*id)).is_some_and(|entry| entry.conflicts() + 1 >= RUNS);
                calm || !self.again.iter().find(|id| self.is_queued(**id)).is_some_and(is_last_run)
            }
        }
    }
}
