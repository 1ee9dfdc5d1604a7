//! The time after a swap in which a new build must prove itself, and the way back when it does not.

use super::{
    BLOCKED_KEPT, Bake, ChangeError, Effect, GenerationId, Phase, ReloadMode, State, StateEvent, StateLeft, Verdict,
};
use crate::hash::Hash;
use std::time::Instant;

impl State {
    /// Notes how an event ended in a generation, for the bake.
    pub fn outcome(&mut self, now: Instant, generation: GenerationId, failed: bool) {
        if self.active() != Some(generation) {
            return;
        }
        self.events_since_active.0 += u64::from(failed);
        self.events_since_active.1 += 1;
        self.works |= !failed;
        let Some(bake) = &mut self.bake else { return };
        bake.events += 1;
        bake.failed += u64::from(failed);
        if !failed || bake.events < self.policy.bake_min_events {
            return;
        }
        let rate = bake.failed as f64 / bake.events as f64;
        if rate > self.policy.bake_failure_rate && rate > bake.usual_rate {
            let why = format!("{} of {} events failed since the reload", bake.failed, bake.events);
            self.roll_back_bake(now, Some(why));
        }
    }

    /// Goes back to what ran before the bake, and blocks what runs now: by itself for this reason, or on request. The one
    /// place that does either.
    pub(super) fn roll_back_bake(&mut self, now: Instant, why: Option<String>) -> Option<StateLeft> {
        let bake = self.bake.take()?;
        let from = self.history.active.unwrap_or(bake.previous);
        self.abort(now, ChangeError::RolledBack);
        match self.phase {
            Phase::Running { generation, artifact, .. } => self.drain(now, generation, artifact, false),
            Phase::Starting { generation, .. } => self.kill(generation, "the build before it comes back"),
            _ => {}
        }
        self.block_artifact(from);
        self.restart.reset();
        let parked = bake.old.and_then(|generation| self.unpark(generation));
        let warm = parked.is_some();
        // A process that was parked has not moved on since its snapshot, and one that is started is given that.
        let left = if bake.snapshot.is_some() { StateLeft::OfTheSwap } else { StateLeft::Nothing };
        let state = (bake.mode == ReloadMode::Handoff).then_some(left);
        if let Some(why) = why {
            self.effects.push(Effect::Emit(StateEvent::RolledBack { from, to: bake.previous, why, warm, state }));
        }
        match parked {
            Some(generation) => self.activate(now, generation, bake.previous),
            None => self.spawn_active(bake.previous, bake.snapshot),
        }
        self.history.active = Some(bake.previous);
        if self.history.is_good(&bake.previous) {
            self.remember_good(bake.previous);
        } else {
            self.bake_again(now, bake.previous, bake.mode);
        }
        state
    }

    /// Lets an artifact prove itself whose bake was cut short by one that failed. Nothing is parked for it any more.
    pub(super) fn bake_again(&mut self, now: Instant, artifact: Hash, mode: ReloadMode) {
        // A bake that goes on keeps what is parked for it.
        if self.bake.is_none()
            && let Some(previous) = self.history.last_good
            && !self.history.is_good(&artifact)
        {
            let until = now + self.policy.bake;
            self.bake =
                Some(Bake { until, previous, mode, old: None, snapshot: None, events: 0, failed: 0, usual_rate: 0.0 });
        }
    }

    pub(super) fn block_artifact(&mut self, artifact: Hash) {
        self.history.good.retain(|hash| *hash != artifact);
        self.history.blocked.retain(|hash| *hash != artifact);
        self.history.blocked.push(artifact);
        let excess = self.history.blocked.len().saturating_sub(BLOCKED_KEPT);
        self.history.blocked.drain(..excess);
        self.effects.push(Effect::Persist);
    }

    pub(super) fn remember_good(&mut self, artifact: Hash) {
        self.history.last_good = Some(artifact);
        self.history.blocked.retain(|hash| *hash != artifact);
        self.history.good.retain(|hash| *hash != artifact);
        self.history.good.push(artifact);
        let excess = self.history.good.len().saturating_sub(self.policy.artifacts_kept);
        self.history.good.drain(..excess);
        self.effects.push(Effect::Persist);
    }

    pub(super) fn end_bake(&mut self, now: Instant, verdict: Verdict) {
        let Some(bake) = self.bake.take() else { return };
        self.effects.push(Effect::Emit(StateEvent::BakeOver { verdict, events: bake.events }));
        if verdict != Verdict::Superseded
            && let Phase::Running { artifact, .. } = self.phase
        {
            self.remember_good(artifact);
        }
        self.unpark_all(now);
    }
}
