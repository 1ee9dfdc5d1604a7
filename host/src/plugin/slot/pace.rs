//! When to send: at once while the thread has time, and together when it has none.
//!
//! A write wakes a process, and that costs more than all else about an event. While the thread is idle most of the time,
//! each event leaves at once. When one is busy, the few events that a slot has wait for company: until there are enough
//! of them, or the thread has nothing else to do, or they have waited for a few rounds. So a hundred plugins under load
//! share wake-ups as one plugin under load does by itself.

use std::cell::Cell;

/// Events that are worth a write of their own.
const ENOUGH: usize = 128;

/// Turns of all slots on this thread since it last slept, up to which it counts as idle: an event and its answer are two.
const IDLE: u64 = 16;

/// Rounds of everything that is ready on the thread, for which an event waits for company at most. Counted in rounds, not
/// in time: a thread that others keep from running has no reason to hurry when it runs at last. A round is at most 61 turns
/// of tasks (tokio's `event_interval`), so this is about 2 ms. Eight rounds cost twice the processor time at 100 plugins;
/// 256 gave nothing more there.
const LONGEST: u32 = 64;

thread_local! {
    /// Turns of all slots on this thread.
    static TURNS: Cell<u64> = const { Cell::new(0) };
    /// Of these, when it last slept.
    static SLEPT: Cell<u64> = const { Cell::new(0) };
}

/// To be called when the thread of slots goes to sleep.
pub fn sleeps() {
    SLEPT.set(TURNS.get());
}

/// Notes a turn in which a slot had something to do.
pub(super) fn turn() {
    TURNS.set(TURNS.get() + 1);
}

/// One slot's patience.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// For how many rounds events have waited for company, and the turns there had been at the last.
    waiting: Option<(u32, u64)>,
}

impl Pace {
    /// Whether the events that wait should go now. If not, ask again after a round of everything else that is ready.
    pub fn is_time(&mut self, events: usize) -> bool {
        let turns = TURNS.get();
        let is_idle = turns - SLEPT.get() <= IDLE;
        let goes = events >= ENOUGH
            || is_idle
            || self.waiting.is_some_and(|(rounds, seen)| seen == turns || rounds >= LONGEST);
        let rounds = self.waiting.map_or(0, |(rounds, _)| rounds + 1);
        self.waiting = (!goes).then_some((rounds, turns));
        goes
    }

    /// Whether events wait for company.
    pub fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// Nothing is there to be sent.
    pub fn rest(&mut self) {
        self.waiting = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_thread_sends_at_once_and_a_busy_one_waits_for_company_for_a_while() {
        let mut pace = Pace::default();
        sleeps();
        assert!(pace.is_time(1), "idle");
        for _ in 0..=IDLE {
            turn();
        }
        assert!(pace.is_time(ENOUGH), "enough");
        assert!(!pace.is_time(1) && pace.waits());
        assert!(pace.is_time(1), "nothing else was done meanwhile");
        let mut rounds = 0;
        while !pace.is_time(1) {
            turn();
            rounds += 1;
        }
        assert_eq!(rounds, LONGEST + 1);
        assert!(!pace.waits());
    }
}
