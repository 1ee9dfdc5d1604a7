//! Generations that are no longer active: they drain, lie parked until the bake is over, and are told to stop.

use super::{Effect, Generation, Note, OLD_KEPT, State};
use crate::plugin::artifact::Hash;
use std::time::Instant;

/// A generation that was active once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// Its number.
    pub generation: Generation,
    /// What it runs.
    pub artifact: Hash,
    /// Whether it is kept for a rollback after it has drained.
    pub parks: bool,
    /// What it still does.
    pub stay: Stay,
}

/// What keeps an old generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// It answers what it has.
    Draining {
        /// After that it is killed.
        until: Instant,
    },
    /// It waits for the end of the bake.
    Parked,
    /// It was told to stop.
    Retiring {
        /// After that it is killed.
        until: Instant,
    },
    /// It was killed.
    Killed,
}

impl Old {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stay {
            Stay::Draining { until } | Stay::Retiring { until } => Some(until),
            Stay::Parked | Stay::Killed => None,
        }
    }
}

impl State {
    /// Notes that nothing is in flight in a generation any more.
    pub fn drained(&mut self, now: Instant, generation: Generation) {
        self.change_drained(now, generation);
        if let Some(at) = self.old.iter().position(|old| old.generation == generation)
            && matches!(self.old[at].stay, Stay::Draining { .. })
        {
            if self.old[at].parks {
                self.old[at].stay = Stay::Parked;
            } else {
                self.retire(now, at);
            }
        }
    }

    /// Makes the active generation an old one. The caller gives the slot its new phase.
    pub(super) fn drain(&mut self, now: Instant, generation: Generation, artifact: Hash, parks: bool) {
        let stay = Stay::Draining { until: now + self.policy.drain_timeout };
        self.old.push(Old { generation, artifact, parks, stay });
        let excess = self.old.iter().filter(|old| old.stay != Stay::Killed).count().saturating_sub(OLD_KEPT);
        for at in (0..self.old.len()).filter(|at| self.old[*at].stay != Stay::Killed).take(excess).collect::<Vec<_>>() {
            self.kill_old(at, "too many old generations are draining");
        }
    }

    pub(super) fn tick_old(&mut self, now: Instant) {
        for at in 0..self.old.len() {
            match self.old[at].stay {
                Stay::Draining { until } if until <= now => {
                    let generation = self.old[at].generation;
                    self.effects.push(Effect::Note(Note::DrainTimedOut { generation }));
                    self.kill_old(at, "it did not finish its drain in time");
                }
                Stay::Retiring { until } if until <= now => self.kill_old(at, "it did not stop when told to"),
                _ => {}
            }
        }
    }

    pub(super) fn old_exited(&mut self, now: Instant, generation: Generation, cause: &str) {
        let Some(at) = self.old.iter().position(|old| old.generation == generation) else { return };
        let old = self.old.remove(at);
        if matches!(old.stay, Stay::Draining { .. } | Stay::Parked) {
            self.effects.push(Effect::Note(Note::OldGone { generation, cause: cause.to_owned() }));
        }
        self.change_old_gone(now, generation);
        self.finish_stopping();
    }

    /// Takes a generation back from the old ones, to be active again.
    pub(super) fn unpark(&mut self, generation: Generation) -> Option<Generation> {
        let at = self
            .old
            .iter()
            .position(|old| old.generation == generation && matches!(old.stay, Stay::Parked | Stay::Draining { .. }))?;
        Some(self.old.remove(at).generation)
    }

    /// Nothing is kept for a rollback any more.
    pub(super) fn unpark_all(&mut self, now: Instant) {
        for at in 0..self.old.len() {
            self.old[at].parks = false;
            if self.old[at].stay == Stay::Parked {
                self.retire(now, at);
            }
        }
    }

    pub(super) fn retire(&mut self, now: Instant, at: usize) {
        self.old[at].stay = Stay::Retiring { until: now + self.policy.stop_grace };
        self.effects.push(Effect::Retire { generation: self.old[at].generation });
    }

    fn kill_old(&mut self, at: usize, why: &'static str) {
        self.old[at].stay = Stay::Killed;
        self.kill(self.old[at].generation, why);
    }

    pub(super) fn finish_stopping(&mut self) {
        if self.old.is_empty() {
            for ticket in std::mem::take(&mut self.stopping) {
                self.effects.push(Effect::Finish { ticket, result: Ok(super::Done::stopped()) });
            }
        }
    }
}
