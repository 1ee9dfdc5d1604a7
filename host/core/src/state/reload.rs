//! A change of generation on request: reload, restart, rollback, in the three modes.
//!
//! * **overlap**: start, probe, swap; the old generation drains.
//! * **handoff**: start, probe, hold new events, let the old generation finish its events, snapshot, restore, swap.
//! * **exclusive**: hold new events, let the old generation finish its events, stop it, start the new one, probe,
//!   release the events. If that fails, the old artifact starts again.
//!
//! A restart is an exclusive change to the same artifact, or a handoff to it.
//!
//! If the new build migrates the store, it does so as the last step before the swap, after the old one has finished.
//!
//! Until the swap every failure leaves the old generation serving, or brings its artifact back.

use super::{
    Bake, Change, ChangeError, ChangeKind, Done, Effect, Fault, GenerationId, Phase, Snapshot, StartProblem, State,
    StateLeft, Step, StoreFormat, StoreTask, Ticket, Verdict, store::StoreWork,
};
use crate::hash::Hash;
use rosey_wire::manifest::ReloadMode;
use std::{sync::Arc, time::Instant};

impl State {
    pub(super) fn begin(
        &mut self,
        now: Instant,
        ticket: Ticket,
        kind: ChangeKind,
        to: Hash,
        mode: ReloadMode,
        refusal: Option<ChangeError>,
    ) {
        if let Some(change) = &self.change {
            let busy = ChangeError::Busy(change.kind);
            return self.refuse(ticket, busy);
        }
        let busy = self.is_preparing().then_some(ChangeError::StoreBusy);
        if let Some(refusal) = busy.or(refusal) {
            return self.refuse(ticket, refusal);
        }
        let from = self.running_artifact().or(self.history.last_good);
        let step = match (mode, &self.phase) {
            (ReloadMode::Exclusive, Phase::Running { generation, .. }) => {
                Step::Releasing { old: *generation, until: now + self.policy.drain_timeout }
            }
            (ReloadMode::Exclusive, Phase::Starting { generation, .. }) => {
                let starting = *generation;
                self.kill(starting, "it is replaced");
                self.phase = Phase::Replacing;
                self.stage(to)
            }
            (ReloadMode::Exclusive, Phase::Backoff { .. }) => {
                self.phase = Phase::Replacing;
                self.stage(to)
            }
            _ => self.stage(to),
        };
        let (snapshot, steps) = (None, Vec::new());
        let (began, step_began, migrated) = (now, now, false);
        self.change = Some(Change { kind, mode, to, from, began, step, ticket, migrated, snapshot, step_began, steps });
    }

    fn stage(&mut self, artifact: Hash) -> Step {
        let new = self.next_generation();
        self.effects.push(Effect::Spawn { generation: new, artifact, restore: None });
        Step::Starting { new }
    }

    pub(super) fn change_started(
        &mut self,
        now: Instant,
        new: GenerationId,
        result: Result<StoreFormat, StartProblem>,
    ) {
        if let (Ok(format), Some(to)) = (&result, self.change.as_ref().map(|change| change.to)) {
            self.reads_store(to, *format);
            if let Err(error) = self.store_for_change(to) {
                return self.abort(now, error);
            }
        }
        if let Err(problem) = result {
            let restarts = self.change.as_ref().filter(|change| change.kind == ChangeKind::Restart);
            if let (Some(artifact), Fault::Host, Phase::Replacing) =
                (restarts.map(|change| change.to), problem.fault, &self.phase)
            {
                self.retry_for_host(now, artifact, problem.why.clone());
            }
            return self.abort(now, ChangeError::Start(problem.why));
        }
        let until = now + self.policy.probe_timeout;
        if let Some(change) = &mut self.change {
            change.go(now, "start", Step::Probing { new, attempt: 1, until });
            self.effects.push(Effect::Probe { generation: new, attempt: 1 });
        }
    }

    /// Records how a probe ended.
    pub fn probed(&mut self, now: Instant, generation: GenerationId, attempt: u32, result: Result<(), String>) {
        let attempts = self.policy.probe_attempts;
        let handoff = now + self.policy.handoff_timeout;
        let active = self.active();
        let Some(change) = &self.change else { return };
        let Step::Probing { new, attempt: expected, until } = change.step else { return };
        if new != generation || attempt != expected {
            return;
        }
        let holds = change.mode == ReloadMode::Handoff || self.store_for_change(change.to) != Ok(StoreWork::Nothing);
        match (result, active) {
            (Ok(()), Some(old)) if holds => {
                if let Some(change) = &mut self.change {
                    change.go(now, "probe", Step::Emptying { old, new, until: handoff });
                }
            }
            (Ok(()), _) => self.take_over(now, new, "probe"),
            (Err(why), _) if attempt >= attempts => self.abort(now, ChangeError::Probe { attempts, why }),
            (Err(_), _) => {
                if let Some(change) = &mut self.change {
                    change.step = Step::Probing { new, attempt: attempt + 1, until };
                }
                self.effects.push(Effect::Probe { generation: new, attempt: attempt + 1 });
            }
        }
    }

    /// The new generation is ready, and the old one has finished where it had to: the store comes next, and then the swap.
    fn take_over(&mut self, now: Instant, new: GenerationId, done: &'static str) {
        let Some(to) = self.change.as_ref().map(|change| change.to) else { return };
        match self.store_for_change(to) {
            Ok(StoreWork::Nothing) => {
                if let Some(change) = &mut self.change {
                    change.go(now, done, Step::Starting { new });
                }
                self.swap(now, new);
            }
            Ok(StoreWork::Migrate(from)) => self.migrate(now, new, from, done),
            Ok(StoreWork::Begin(from)) => self.begin_store(now, new, from, done),
            Err(error) => self.abort(now, error),
        }
    }

    pub(super) fn change_drained(&mut self, now: Instant, generation: GenerationId) {
        let until = now + self.policy.handoff_timeout;
        let Some(change) = &mut self.change else { return };
        let hands_over = change.mode == ReloadMode::Handoff;
        match change.step {
            Step::Emptying { old, new, .. } if old == generation && hands_over => {
                change.go(now, "finish", Step::Snapshotting { old, new, until });
                self.effects.push(Effect::TakeSnapshot { generation: old });
            }
            Step::Emptying { old, new, .. } if old == generation => self.take_over(now, new, "finish"),
            Step::Releasing { old, .. } if old == generation => self.release(now, old),
            _ => {}
        }
    }

    /// Exclusive: stops the old generation before the new one starts.
    fn release(&mut self, now: Instant, old: GenerationId) {
        let Phase::Running { generation, artifact, .. } = self.phase else { return };
        if generation != old {
            return;
        }
        self.supersede_bake(now, artifact);
        self.phase = Phase::Replacing;
        if let Some(change) = &mut self.change {
            change.go(now, "finish", Step::Retiring { old });
        }
        self.drain(now, old, artifact, false);
        let at = self.old.len() - 1;
        self.retire(now, at);
    }

    /// Exclusive: the old generation crashed while it finished its events. It was about to stop, so the new one starts
    /// at once.
    pub(super) fn released_by_crash(&mut self, now: Instant, old: GenerationId) -> bool {
        let Some(Change { step: Step::Releasing { old: releasing, .. }, to, from, .. }) = self.change else {
            return false;
        };
        if releasing != old {
            return false;
        }
        if let Some(from) = from {
            self.supersede_bake(now, from);
        }
        self.phase = Phase::Replacing;
        let step = self.stage(to);
        if let Some(change) = &mut self.change {
            change.go(now, "finish", step);
        }
        true
    }

    /// Ends the bake of `artifact` because another artifact comes. The same artifact continues its bake.
    fn supersede_bake(&mut self, now: Instant, artifact: Hash) {
        if self.change.as_ref().is_none_or(|change| change.to != artifact) {
            self.end_bake(now, Verdict::Superseded);
        }
    }

    pub(super) fn change_old_gone(&mut self, now: Instant, generation: GenerationId) {
        let Some(change) = &self.change else { return };
        if change.step == (Step::Retiring { old: generation }) {
            let step = self.stage(change.to);
            if let Some(change) = &mut self.change {
                change.go(now, "stop", step);
            }
        }
    }

    /// Records the state that a generation was asked for.
    pub fn snapshot_taken(&mut self, now: Instant, generation: GenerationId, result: Result<Snapshot, String>) {
        let until = now + self.policy.handoff_timeout;
        let Some(change) = &mut self.change else { return };
        let Step::Snapshotting { old, new, .. } = change.step else { return };
        if old != generation {
            return;
        }
        match result {
            Ok(snapshot) => {
                let snapshot = Arc::new(snapshot);
                change.snapshot = Some(Arc::clone(&snapshot));
                change.go(now, "snapshot", Step::Restoring { new, until });
                self.effects.push(Effect::Restore { generation: new, snapshot });
            }
            Err(why) => self.abort(now, ChangeError::Handoff(why)),
        }
    }

    /// Records whether a generation took over the state.
    pub fn restored(&mut self, now: Instant, generation: GenerationId, result: Result<(), String>) {
        let Some(change) = &self.change else { return };
        if !matches!(change.step, Step::Restoring { new, .. } if new == generation) {
            return;
        }
        match result {
            Ok(()) => self.take_over(now, generation, "restore"),
            Err(why) => self.abort(now, ChangeError::Handoff(why)),
        }
    }

    pub(super) fn tick_change(&mut self, now: Instant) {
        let Some(change) = &self.change else { return };
        if change.deadline().is_none_or(|until| until > now) {
            return;
        }
        match change.step {
            Step::Probing { .. } => self.abort(now, ChangeError::ProbeTimedOut(self.policy.probe_timeout)),
            Step::Releasing { old, .. } => self.release(now, old),
            Step::Emptying { .. } => self.handoff_timed_out(now, "the old build", "answer what it had"),
            Step::Snapshotting { .. } => self.handoff_timed_out(now, "the old build", "write its state"),
            Step::Restoring { .. } => self.handoff_timed_out(now, "the new build", "read the state"),
            Step::Migrating { .. } => self.abort(now, ChangeError::MigrationTimedOut(self.policy.migration_timeout)),
            Step::Retiring { .. } | Step::Starting { .. } | Step::Applying { .. } => {}
        }
    }

    fn handoff_timed_out(&mut self, now: Instant, who: &'static str, what: &'static str) {
        self.abort(now, ChangeError::HandoffTimedOut { who, what, limit: self.policy.handoff_timeout });
    }

    /// Makes the new generation the active one, and answers the ticket.
    pub(super) fn swap(&mut self, now: Instant, new: GenerationId) {
        let Some(mut change) = self.change.take() else { return };
        change.steps.push(("swap", now.saturating_duration_since(change.step_began)));
        let left = if change.snapshot.is_some() { StateLeft::HandedBack } else { StateLeft::Nothing };
        let goes_back = change.kind == ChangeKind::Rollback && change.mode == ReloadMode::Handoff;
        let state = goes_back.then_some(left);
        let is_same = change.from == Some(change.to);
        let is_new = change.kind == ChangeKind::Reload || !self.history.is_good(&change.to);
        let bakes = is_new && !self.policy.bake.is_zero() && !is_same;
        if !is_same {
            self.end_bake(now, Verdict::Superseded);
        }
        let usual = std::mem::take(&mut self.tally);
        let mut old = None;
        match self.phase {
            Phase::Running { generation, artifact, .. } => {
                self.drain(now, generation, artifact, bakes);
                old = Some(generation);
            }
            Phase::Starting { generation, .. } => self.kill(generation, "the new build was faster"),
            _ => {}
        }
        self.restart.forget();
        self.restart.on_up(now);
        self.accused = None;
        self.activate(now, new, change.to);
        match change.from {
            Some(previous) if bakes => {
                let (snapshot, migrated) = (change.snapshot, change.migrated);
                self.bake = Some(Bake {
                    old,
                    migrated,
                    snapshot,
                    usual,
                    ..Bake::new(now, &self.policy, previous, change.mode)
                });
            }
            // The same artifact in another process proves nothing new about it.
            _ if is_same && self.history.last_good.is_some() => {}
            _ => {
                if let (ChangeKind::Rollback, Some(from)) = (change.kind, change.from) {
                    self.pass_over(from);
                }
                self.remember_good(change.to);
            }
        }
        let (from, to, steps) = (change.from, Some(change.to), change.steps);
        let done = Done { generation: Some(new), from, to, state, store: None, steps };
        self.effects.push(Effect::Finish { ticket: change.ticket, result: Ok(done) });
    }

    /// Ends the change under way without a swap: the staged generation goes, and the generation before goes on.
    pub(super) fn abort(&mut self, now: Instant, error: ChangeError) {
        let Some(change) = self.change.take() else { return };
        if let Some(new) = change.staged() {
            self.kill(new, "its reload was refused");
        }
        if matches!(change.step, Step::Applying { .. }) {
            self.begin_put_back();
            if let Phase::Running { generation, artifact, .. } = self.phase {
                let task = StoreTask::PuttingBack;
                self.phase = Phase::Preparing { generation: Some(generation), artifact, task, until: None };
            }
        }
        if self.phase == Phase::Replacing && !matches!(error, ChangeError::Stopped) {
            match (change.kind, change.from) {
                // This artifact ran before and did not come up now: it gets the retries of a crash.
                (ChangeKind::Restart, _) => self.restart_after_crash(now, change.to, &error.to_string()),
                (_, Some(from)) => {
                    self.spawn_active(from, change.snapshot.clone());
                    self.bake_again(now, from, change.mode);
                }
                (_, None) => self.give_up(error.to_string(), Fault::Artifact),
            }
        }
        self.refuse(change.ticket, error);
    }
}
