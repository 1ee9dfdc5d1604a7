//! The bake: the time after a swap in which a new build must prove itself, and the way back if it does not.

use super::{
    BLOCKED_KEPT, Bake, ChangeError, Effect, GenerationId, Phase, Policy, ReloadMode, State, StateEvent, StateLeft,
    StoreTask, Ticket, Verdict, store::GoingBack,
};
use crate::hash::Hash;
use std::time::Instant;

/// Kinds of input that a tally distinguishes. A plugin rarely has more commands; all further ones count as one kind.
pub(super) const KINDS: usize = 32;

/// What one event shows about the generation that had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Whether the plugin failed. An answer that tells the user what is wrong with the input is no failure.
    pub failed: bool,
    /// Identifies the kind of input, such as the command. Used only for equality.
    pub kind: u64,
    /// Identifies the person whose event it was. Used only for equality.
    pub person: u64,
}

/// Failed events and all events of a generation, for each kind of input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(pub(super) Vec<(u64, u32, u32)>);

impl Tally {
    pub(super) fn count(&mut self, kind: u64, failed: bool) {
        let at = self.0.iter().position(|(known, ..)| *known == kind).unwrap_or_else(|| {
            if self.0.len() < KINDS {
                self.0.push((kind, 0, 0));
            }
            self.0.len() - 1
        });
        let (_, failures, all) = &mut self.0[at];
        *failures = failures.saturating_add(u32::from(failed));
        *all = all.saturating_add(1);
    }

    /// The share of failed events of this kind; `None` without events.
    pub(super) fn rate(&self, kind: u64) -> Option<f64> {
        let found = self.0.iter().find(|(known, ..)| *known == kind);
        found.map(|(_, failures, all)| f64::from(*failures) / f64::from(*all))
    }
}

impl Bake {
    /// A trial of the build after `previous`. No generation is parked for it.
    pub(super) fn new(now: Instant, policy: &Policy, previous: Hash, mode: ReloadMode) -> Self {
        Self {
            until: now + policy.bake,
            previous,
            mode,
            old: None,
            migrated: false,
            snapshot: None,
            events: 0,
            failed: 0,
            failed_for: Vec::new(),
            usual: Tally::default(),
        }
    }

    /// Counts an event, unless events of its kind failed as often in the build before: then it shows nothing about this
    /// build.
    fn count(&mut self, ending: Ending, most: f64) {
        if self.usual.rate(ending.kind).is_some_and(|usual| usual > most) {
            return;
        }
        self.events += 1;
        self.failed += u64::from(ending.failed);
        // Two people are enough: a single person can type input that makes any build fail, so one is not.
        if ending.failed && self.failed_for.len() < 2 && !self.failed_for.contains(&ending.person) {
            self.failed_for.push(ending.person);
        }
    }

    fn fails_more_than(&self, most: f64) -> bool {
        self.failed as f64 > most * self.events as f64
    }
}

impl State {
    /// Records how an event ended in a generation, for the bake.
    pub fn outcome(&mut self, now: Instant, generation: GenerationId, ending: Ending) {
        if self.active() != Some(generation) {
            return;
        }
        self.tally.count(ending.kind, ending.failed);
        self.works |= !ending.failed;
        let (most, enough) = (self.policy.bake_failure_rate, self.policy.bake_min_events);
        let Some(bake) = &mut self.bake else { return };
        bake.count(ending, most);
        if bake.events >= enough && bake.failed_for.len() > 1 && bake.fails_more_than(most) {
            let why = format!("{} of {} events failed since the reload", bake.failed, bake.events);
            self.roll_back_bake(now, Some(why), None);
        }
    }

    /// The build on trial, if it has done well so far.
    pub(super) fn on_trial(&self) -> Option<Hash> {
        let bake = self.bake.as_ref()?;
        match self.phase {
            Phase::Running { artifact, .. } if !bake.fails_more_than(self.policy.bake_failure_rate) => Some(artifact),
            _ => None,
        }
    }

    /// Goes back to the build before the bake. With a reason, the slot does so by itself and blocks the current build;
    /// without one, a person asked for it. If the swap migrated the store, the one from before is put back first.
    pub(super) fn roll_back_bake(&mut self, now: Instant, why: Option<String>, ticket: Option<Ticket>) {
        let Some(bake) = self.bake.take() else { return };
        let from = self.running_artifact().or(self.history.active).unwrap_or(bake.previous);
        self.abort(now, ChangeError::RolledBack);
        let puts_back = self.in_doubt || bake.migrated && self.store.before.is_some();
        match self.phase {
            Phase::Running { generation, artifact, .. } => {
                self.drain(now, generation, artifact, false);
                if puts_back {
                    // It would answer from a store that it cannot read; what it has is delivered again.
                    self.kill_old(self.old.len() - 1, "its store goes back to the version before");
                }
            }
            Phase::Starting { generation, .. } | Phase::Preparing { generation: Some(generation), .. } => {
                self.kill(generation, "the build before it comes back");
            }
            _ => {}
        }
        if why.is_some() {
            self.block_artifact(from);
        }
        self.restart.reset();
        let parked = bake.old.and_then(|generation| self.unpark(generation));
        // A parked process has not changed since its snapshot, and a newly started one gets that snapshot.
        let left = if bake.snapshot.is_some() { StateLeft::OfTheSwap } else { StateLeft::Nothing };
        let state = (bake.mode == ReloadMode::Handoff).then_some(left);
        let (to, snapshot) = (bake.previous, bake.snapshot);
        let back = GoingBack { why, ticket, from: Some(from), to, state, snapshot };
        if puts_back {
            let task = StoreTask::PuttingBack;
            self.phase = Phase::Preparing { generation: parked, artifact: to, task, until: None };
            self.begin_put_back();
            self.going_back = Some(back);
        } else {
            self.arrive_back(now, parked, back, None);
        }
        self.history.active = Some(to);
        if self.history.is_good(&to) {
            self.remember_good(to);
        } else {
            self.bake_again(now, to, bake.mode);
        }
    }

    /// Begins a bake again that was cut short by a build that failed, or by the end of the host. No generation is
    /// parked for it any more.
    pub(super) fn bake_again(&mut self, now: Instant, artifact: Hash, mode: ReloadMode) {
        // A bake that continues keeps the generation that is parked for it.
        if self.bake.is_none()
            && self.is_unproven(artifact)
            && let Some(previous) = self.history.last_good
        {
            // What is kept from before a migration is the store of the last good build.
            let migrated = self.store.before.is_some();
            self.bake = Some(Bake { migrated, ..Bake::new(now, &self.policy, previous, mode) });
        }
    }

    /// Removes an artifact from those that a rollback can go to, because a person rolled it back.
    pub(super) fn pass_over(&mut self, artifact: Hash) {
        self.history.good.retain(|hash| *hash != artifact);
    }

    pub(super) fn block_artifact(&mut self, artifact: Hash) {
        self.pass_over(artifact);
        self.history.blocked.retain(|hash| *hash != artifact);
        self.history.blocked.push(artifact);
        let excess = self.history.blocked.len().saturating_sub(BLOCKED_KEPT);
        self.history.blocked.drain(..excess);
        self.effects.push(Effect::Persist);
    }

    /// Unblocks an artifact, because the event that crashed it has also crashed the build before it.
    pub(super) fn unblock(&mut self, artifact: Hash) {
        self.history.blocked.retain(|hash| *hash != artifact);
        self.effects.push(Effect::Emit(StateEvent::Unblocked { artifact }));
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
