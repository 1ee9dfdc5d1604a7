//! Generations that are no longer active: they drain, stay parked until the bake is over, and are then told to stop.

use super::{Effect, GenerationId, OLD_KEPT, State, StateEvent};
use crate::hash::Hash;
use std::time::Instant;

/// A generation that was active before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldGeneration {
    /// The generation's number.
    pub generation: GenerationId,
    /// The artifact that it runs.
    pub artifact: Hash,
    /// Whether it stays parked for a rollback after it has drained.
    pub parks: bool,
    /// What it still does.
    pub phase: OldPhase,
}

/// Why an old generation still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldPhase {
    /// It answers the events that it has.
    Draining {
        /// When it is killed.
        until: Instant,
    },
    /// It waits for the end of the bake.
    Parked,
    /// It was told to stop.
    Retiring {
        /// When it is killed.
        until: Instant,
    },
    /// It was killed.
    Killed,
}

impl OldGeneration {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            OldPhase::Draining { until } | OldPhase::Retiring { until } => Some(until),
            OldPhase::Parked | OldPhase::Killed => None,
        }
    }
}

impl State {
    /// Records that a generation has no event in flight any more.
    pub fn drained(&mut self, now: Instant, generation: GenerationId) {
        self.change_drained(now, generation);
        if let Some(at) = self.old.iter().position(|old| old.generation == generation)
            && matches!(self.old[at].phase, OldPhase::Draining { .. })
        {
            if self.old[at].parks {
                self.old[at].phase = OldPhase::Parked;
            } else {
                self.retire(now, at);
            }
        }
    }

    /// Makes the active generation an old one. The caller sets the new phase of the slot.
    pub(super) fn drain(&mut self, now: Instant, generation: GenerationId, artifact: Hash, parks: bool) {
        let phase = OldPhase::Draining { until: now + self.policy.drain_timeout };
        self.old.push(OldGeneration { generation, artifact, parks, phase });
        let excess = self.old.iter().filter(|old| old.phase != OldPhase::Killed).count().saturating_sub(OLD_KEPT);
        for at in
            (0..self.old.len()).filter(|at| self.old[*at].phase != OldPhase::Killed).take(excess).collect::<Vec<_>>()
        {
            self.kill_old(at, "too many old generations are draining");
        }
    }

    pub(super) fn tick_old(&mut self, now: Instant) {
        for at in 0..self.old.len() {
            match self.old[at].phase {
                OldPhase::Draining { until } if until <= now => {
                    let generation = self.old[at].generation;
                    self.effects.push(Effect::Emit(StateEvent::DrainTimedOut { generation }));
                    self.kill_old(at, "it did not finish its drain in time");
                }
                OldPhase::Retiring { until } if until <= now => self.kill_old(at, "it did not stop when told to"),
                _ => {}
            }
        }
    }

    pub(super) fn old_exited(&mut self, now: Instant, generation: GenerationId, cause: &str) {
        let Some(at) = self.old.iter().position(|old| old.generation == generation) else { return };
        let old = self.old.remove(at);
        if matches!(old.phase, OldPhase::Draining { .. } | OldPhase::Parked) {
            // A crash at the very end of a trial still fails the trial.
            self.history.on_trial.take_if(|artifact| *artifact == old.artifact);
            self.effects.push(Effect::Emit(StateEvent::OldGone { generation, cause: cause.to_owned() }));
        }
        self.change_old_gone(now, generation);
        self.finish_stopping();
    }

    /// Takes a parked generation out of the old ones, so that it can become active again.
    pub(super) fn unpark(&mut self, generation: GenerationId) -> Option<GenerationId> {
        let at = self.old.iter().position(|old| {
            old.generation == generation && matches!(old.phase, OldPhase::Parked | OldPhase::Draining { .. })
        })?;
        Some(self.old.remove(at).generation)
    }

    /// Stops all parked generations, because no rollback needs them any more.
    pub(super) fn unpark_all(&mut self, now: Instant) {
        for at in 0..self.old.len() {
            self.old[at].parks = false;
            if self.old[at].phase == OldPhase::Parked {
                self.retire(now, at);
            }
        }
    }

    pub(super) fn retire(&mut self, now: Instant, at: usize) {
        self.old[at].phase = OldPhase::Retiring { until: now + self.policy.stop_grace };
        self.effects.push(Effect::Retire { generation: self.old[at].generation });
    }

    pub(super) fn kill_old(&mut self, at: usize, why: &'static str) {
        self.old[at].phase = OldPhase::Killed;
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
