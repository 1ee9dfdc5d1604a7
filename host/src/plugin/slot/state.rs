//! Which generation of a plugin runs, which comes, which goes: a pure state machine.
//!
//! Every input is a method that takes the time; what must be done about it comes out of [`State::effects`], for the task
//! to perform. No clock, no I/O, no randomness of its own, so that it can be simulated by the million.
//!
//! A plugin has at most one *active* generation ([`Phase::Running`]), at most one *staged* (in [`Change`]), and some *old*
//! ones that drain or lie parked until the bake is over ([`Old`]). Knows nothing of events but how many failed.

use super::restart::{Decision, Restart};
use crate::plugin::artifact::Hash;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

mod change;
mod error;
mod model;
mod old;
#[cfg(test)]
mod tests;
mod wish;

pub use change::{Change, ChangeKind, Done, Step};
pub use error::ChangeError;
pub use model::{Bake, Effect, Fault, Memory, Note, Phase, Policy, Snapshot, StartProblem, StateLeft, Verdict};
pub use old::{Old, Stay};
pub use rosey_wire::manifest::ReloadMode;
pub use wish::{Seen, Wish};

/// The number of a generation: grows by one with each start, never used twice in the life of a host.
pub type Generation = u64;

/// Whose request it is; the answer comes in [`Effect::Finish`] with the same number.
pub type Ticket = u64;

/// How many condemned artifacts are remembered for a plugin. More than the store keeps.
const CONDEMNED_KEPT: usize = 32;

/// Before another try to start, when it was the host that could not (a full disk, no more processes): nothing that
/// trying more often mends, and soon enough for whoever mends it.
const HOST_RETRY: Duration = Duration::from_secs(5);

/// How many old generations may be draining. A further swap ends the oldest; each holds memory and a window of events.
const OLD_KEPT: usize = 3;

/// The state machine. See the module.
#[derive(Debug)]
pub struct State {
    policy: Policy,
    restart: Restart,
    phase: Phase,
    change: Option<Change>,
    bake: Option<Bake>,
    old: Vec<Old>,
    memory: Memory,
    next: Generation,
    stopping: Vec<Ticket>,
    /// Failed and all events of the active generation, for the usual rate.
    tally: (u64, u64),
    /// Whether an event ended well since the last one that was set aside.
    works: bool,
    effects: Vec<Effect>,
}

impl State {
    /// A slot that has not started. Generations count from `next`.
    pub fn new(policy: Policy, mut restart: Restart, memory: Memory, next: Generation) -> Self {
        restart.resume(memory.failures);
        Self {
            policy,
            restart,
            phase: Phase::Stopped,
            change: None,
            bake: None,
            old: Vec::new(),
            memory,
            next,
            stopping: Vec::new(),
            tally: (0, 0),
            works: true,
            effects: Vec::new(),
        }
    }

    /// What must be done now, in order. Each is handed out once.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Starts the plugin. False when it is up, or on its way. `artifact` is what to run.
    pub fn start(&mut self, artifact: Hash) -> bool {
        let failed = matches!(self.phase, Phase::Failed { .. });
        if failed {
            // Somebody decided to try anew. A host that starts has decided nothing, and goes on counting.
            self.restart.forget();
        }
        let starts = (failed || self.phase == Phase::Stopped) && self.change.is_none();
        if starts {
            self.spawn_active(artifact, None);
        }
        starts
    }

    /// Gives up before anything ran: there is nothing that could.
    pub fn cannot_start(&mut self, why: String) {
        if self.will_run() {
            return;
        }
        self.give_up(why, Fault::Artifact);
    }

    /// Stops the plugin: what is in flight is answered, up to the drain timeout, and the ticket is answered after that.
    pub fn stop(&mut self, now: Instant, ticket: Ticket) {
        self.abort(now, ChangeError::Stopped);
        self.end_bake(now, Verdict::Superseded);
        self.restart.forget();
        match std::mem::replace(&mut self.phase, Phase::Stopped) {
            Phase::Running { generation, artifact, .. } => self.drain(now, generation, artifact, false),
            Phase::Starting { generation, .. } => self.kill(generation, "it was stopped while starting"),
            Phase::Stopped | Phase::Backoff { .. } | Phase::Replacing | Phase::Failed { .. } => {}
        }
        self.stopping.push(ticket);
        self.finish_stopping();
    }

    /// Notes that a generation came up or did not.
    pub fn started(&mut self, now: Instant, generation: Generation, result: Result<(), StartProblem>) {
        if self.staged() == Some(generation) {
            self.change_started(now, generation, result);
            return;
        }
        let Phase::Starting { generation: expected, artifact } = self.phase else { return };
        if expected != generation {
            return;
        }
        match result {
            Ok(()) => {
                self.restart.on_up(now);
                self.activate(now, generation, artifact);
                if self.memory.last_good.is_none() {
                    self.remember_good(artifact);
                }
            }
            Err(problem) => {
                // What is wrong with settings is said once: nothing is tried again.
                if problem.fault != Fault::Settings {
                    self.effects.push(Effect::Note(Note::StartFailed { generation, why: problem.why.clone() }));
                }
                match problem.fault {
                    Fault::Artifact | Fault::Settings => self.give_up(problem.why, problem.fault),
                    Fault::Start => self.restart_after_crash(now, artifact, &problem.why),
                    Fault::Host => {
                        let failures = self.restart.failures();
                        self.effects.push(Effect::Note(Note::Restarting { after: HOST_RETRY, failures }));
                        self.phase = Phase::Backoff { until: now + HOST_RETRY, artifact };
                    }
                }
            }
        }
    }

    /// Notes the end of a generation that had started.
    pub fn exited(&mut self, now: Instant, generation: Generation, cause: &str) {
        self.ended(now, generation, cause, true);
    }

    /// Notes the end of a generation by an event that had ended another one before: that says nothing against its artifact.
    pub fn poisoned(&mut self, now: Instant, generation: Generation, cause: &str) {
        self.ended(now, generation, cause, false);
    }

    fn ended(&mut self, now: Instant, generation: Generation, cause: &str, counts: bool) {
        if self.staged() == Some(generation) {
            self.abort(now, ChangeError::Died(cause.to_owned()));
            return;
        }
        if let Phase::Running { generation: active, artifact, .. } = self.phase
            && active == generation
        {
            self.effects.push(Effect::Note(Note::Crashed { generation, cause: cause.to_owned() }));
            // It is gone: nothing below may drain it or wait for its end.
            self.phase = Phase::Backoff { until: now, artifact };
            if !self.released_by_crash(now, generation) {
                self.crashed(now, artifact, cause, counts);
            }
            return;
        }
        self.old_exited(now, generation, cause);
    }

    /// Notes how an event ended in a generation, for the bake.
    pub fn outcome(&mut self, now: Instant, generation: Generation, failed: bool) {
        if self.active() != Some(generation) {
            return;
        }
        self.tally.0 += u64::from(failed);
        self.tally.1 += 1;
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
            self.roll_back(now, Some(why));
        }
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Instant) {
        if let Phase::Backoff { until, artifact } = self.phase
            && until <= now
        {
            self.spawn_active(artifact, None);
        }
        if let Phase::Running { since, stable, .. } = &mut self.phase
            && !*stable
            && now.saturating_duration_since(*since) >= self.policy.stable_after
        {
            *stable = true;
            self.restart.reset();
            if self.memory.failures > 0 {
                self.memory.failures = 0;
                self.effects.push(Effect::Remember);
            }
        }
        self.tick_change(now);
        self.tick_old(now);
        if let Some(bake) = &self.bake
            && bake.until <= now
        {
            let verdict =
                if bake.events >= self.policy.bake_min_events { Verdict::Good } else { Verdict::Inconclusive };
            self.end_bake(now, verdict);
        }
    }

    /// When [`State::tick`] has something to do next.
    pub fn next_tick(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Backoff { until, .. } => Some(until),
            Phase::Running { since, stable: false, .. } => Some(since + self.policy.stable_after),
            _ => None,
        };
        let change = self.change.as_ref().and_then(Change::deadline);
        let bake = self.bake.as_ref().map(|bake| bake.until);
        self.old.iter().map(Old::deadline).chain([phase, change, bake]).flatten().min()
    }

    /// The generation that gets the next event; `None` while there is none, or while events are held.
    pub fn route(&self) -> Option<Generation> {
        if self.change.as_ref().is_some_and(Change::holds) { None } else { self.active() }
    }

    /// The active generation.
    pub fn active(&self) -> Option<Generation> {
        if let Phase::Running { generation, .. } = self.phase { Some(generation) } else { None }
    }

    /// The staged generation.
    pub fn staged(&self) -> Option<Generation> {
        self.change.as_ref().and_then(Change::staged)
    }

    /// Whether events that wait have something to wait for.
    pub fn will_run(&self) -> bool {
        self.change.is_some() || !matches!(self.phase, Phase::Stopped | Phase::Failed { .. })
    }

    /// What the slot is doing.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The change under way.
    pub fn change(&self) -> Option<&Change> {
        self.change.as_ref()
    }

    /// The bake under way.
    pub fn bake(&self) -> Option<&Bake> {
        self.bake.as_ref()
    }

    /// Old generations, the oldest first.
    pub fn old(&self) -> &[Old] {
        &self.old
    }

    /// What must be written down.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The state in the PRD's words.
    pub fn word(&self) -> &'static str {
        match (&self.phase, &self.change) {
            (_, Some(_)) => "reloading",
            (Phase::Stopped, None) if !self.old.is_empty() => "draining",
            (Phase::Stopped, None) => "stopped",
            (Phase::Starting { .. } | Phase::Replacing, None) => "starting",
            (Phase::Backoff { .. }, None) => "crashed",
            (Phase::Running { .. }, None) => "running",
            (Phase::Failed { .. }, None) => "failed",
        }
    }

    fn spawn_active(&mut self, artifact: Hash, restore: Option<Arc<Snapshot>>) {
        let generation = self.next_generation();
        self.phase = Phase::Starting { generation, artifact };
        self.effects.push(Effect::Spawn { generation, artifact, restore });
    }

    fn next_generation(&mut self) -> Generation {
        self.next += 1;
        self.next - 1
    }

    fn kill(&mut self, generation: Generation, why: &'static str) {
        self.effects.push(Effect::Kill { generation, why });
    }

    fn activate(&mut self, now: Instant, generation: Generation, artifact: Hash) {
        self.phase = Phase::Running { generation, artifact, since: now, stable: false };
        self.memory.active = Some(artifact);
        self.tally = (0, 0);
        self.effects.push(Effect::Remember);
        self.effects.push(Effect::Note(Note::Active { generation, artifact }));
    }

    fn crashed(&mut self, now: Instant, artifact: Hash, cause: &str, counts: bool) {
        if self.change.as_ref().is_some_and(Change::needs_old) {
            self.abort(now, ChangeError::OldDied(cause.to_owned()));
        }
        if self.bake.is_some() && counts {
            self.roll_back(now, Some(format!("it crashed: {cause}")));
        } else if !counts && std::mem::take(&mut self.works) {
            self.restart.on_poison();
            self.restart_now(artifact);
        } else {
            // Also for an event that was set aside when none ended well since the one before: this plugin fails at all.
            self.restart_after_crash(now, artifact, cause);
        }
    }

    fn restart_now(&mut self, artifact: Hash) {
        let failures = self.restart.failures();
        self.memory.failures = failures;
        self.effects.push(Effect::Remember);
        self.effects.push(Effect::Note(Note::Restarting { after: Duration::ZERO, failures }));
        self.spawn_active(artifact, None);
    }

    fn restart_after_crash(&mut self, now: Instant, artifact: Hash, cause: &str) {
        let decision = self.restart.on_down(now);
        match decision {
            Decision::After(Duration::ZERO) => self.restart_now(artifact),
            Decision::After(after) => {
                let failures = self.restart.failures();
                self.memory.failures = failures;
                self.effects.push(Effect::Remember);
                self.effects.push(Effect::Note(Note::Restarting { after, failures }));
                self.phase = Phase::Backoff { until: now + after, artifact };
            }
            Decision::GiveUp(reason) => {
                self.memory.failures = self.restart.failures();
                self.effects.push(Effect::Remember);
                self.give_up(format!("{reason}; the last time: {cause}"), Fault::Start);
            }
        }
    }

    fn give_up(&mut self, why: String, fault: Fault) {
        self.effects.push(Effect::Note(Note::GaveUp { why: why.clone(), fault }));
        self.phase = Phase::Failed { why };
    }

    /// Goes back to what ran before the bake, and condemns what runs now: by itself for this reason, or on request. The one
    /// place that does either.
    fn roll_back(&mut self, now: Instant, why: Option<String>) -> Option<StateLeft> {
        let bake = self.bake.take()?;
        let from = self.memory.active.unwrap_or(bake.previous);
        self.abort(now, ChangeError::RolledBack);
        match self.phase {
            Phase::Running { generation, artifact, .. } => self.drain(now, generation, artifact, false),
            Phase::Starting { generation, .. } => self.kill(generation, "the build before it comes back"),
            _ => {}
        }
        self.condemn(from);
        self.restart.reset();
        let parked = bake.old.and_then(|generation| self.unpark(generation));
        let warm = parked.is_some();
        // A process that was parked has not moved on since its snapshot, and one that is started is given that.
        let left = if bake.snapshot.is_some() { StateLeft::OfTheSwap } else { StateLeft::Nothing };
        let state = (bake.mode == ReloadMode::Handoff).then_some(left);
        if let Some(why) = why {
            self.effects.push(Effect::Note(Note::RolledBack { from, to: bake.previous, why, warm, state }));
        }
        match parked {
            Some(generation) => self.activate(now, generation, bake.previous),
            None => self.spawn_active(bake.previous, bake.snapshot),
        }
        self.memory.active = Some(bake.previous);
        if self.memory.is_good(&bake.previous) {
            self.remember_good(bake.previous);
        } else {
            self.bake_again(now, bake.previous, bake.mode);
        }
        state
    }

    /// Lets an artifact prove itself whose bake was cut short by one that failed. Nothing is parked for it any more.
    pub(super) fn bake_again(&mut self, now: Instant, artifact: Hash, mode: ReloadMode) {
        if let Some(previous) = self.memory.last_good
            && !self.memory.is_good(&artifact)
        {
            let until = now + self.policy.bake;
            self.bake =
                Some(Bake { until, previous, mode, old: None, snapshot: None, events: 0, failed: 0, usual_rate: 0.0 });
        }
    }

    fn condemn(&mut self, artifact: Hash) {
        self.memory.history.retain(|hash| *hash != artifact);
        self.memory.condemned.retain(|hash| *hash != artifact);
        self.memory.condemned.push(artifact);
        let excess = self.memory.condemned.len().saturating_sub(CONDEMNED_KEPT);
        self.memory.condemned.drain(..excess);
        self.effects.push(Effect::Remember);
    }

    fn remember_good(&mut self, artifact: Hash) {
        self.memory.last_good = Some(artifact);
        self.memory.condemned.retain(|hash| *hash != artifact);
        self.memory.history.retain(|hash| *hash != artifact);
        self.memory.history.push(artifact);
        let excess = self.memory.history.len().saturating_sub(self.policy.artifacts_kept);
        self.memory.history.drain(..excess);
        self.effects.push(Effect::Remember);
    }

    fn end_bake(&mut self, now: Instant, verdict: Verdict) {
        let Some(bake) = self.bake.take() else { return };
        self.effects.push(Effect::Note(Note::BakeOver { verdict, events: bake.events }));
        if verdict != Verdict::Superseded
            && let Phase::Running { artifact, .. } = self.phase
        {
            self.remember_good(artifact);
        }
        self.unpark_all(now);
    }
}
