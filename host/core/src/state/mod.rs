//! The generations of a plugin: which one is active, staged, draining or parked. A pure state machine.
//!
//! Every input is a method that takes the time. [`State::effects`] returns what must be done, for the slot's task to
//! apply. The machine has no clock, no I/O and no randomness of its own, so that tests can simulate it millions of
//! times.
//!
//! A plugin has at most one *active* generation ([`Phase::Running`]), at most one *staged* (in [`Change`]), and some
//! *old* ones that drain or stay parked until the bake is over ([`OldGeneration`]). The machine knows nothing about
//! events except how many failed.

use crate::hash::Hash;
use crate::restart::{Decision, Restart, RestartPolicy};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

mod bake;
mod change;
mod drain;
mod error;
mod model;
mod reload;
mod request;
mod store;
#[cfg(test)]
mod tests;

pub use bake::{Ending, Tally};
pub use change::{Change, ChangeKind, Done, Step};
pub use drain::{OldGeneration, OldPhase};
pub use error::ChangeError;
pub use model::{
    Bake, BuildHistory, Effect, Fault, Phase, PluginState, Policy, Role, Snapshot, StartProblem, StateEvent, StateLeft,
    Verdict,
};
pub use request::{ChangeRequest, ExpectedState};
pub use rosey_wire::manifest::ReloadMode;
pub use store::{StoreFormat, StoreLost, StoreTask, StoreVersions};

/// The number of a generation. Each start gets the next one, and no number repeats within the life of a host.
pub type GenerationId = u64;

/// Identifies a request. [`Effect::Finish`] with the same number answers it.
pub type Ticket = u64;

/// Blocked artifacts that a plugin remembers. More than the store keeps.
const BLOCKED_KEPT: usize = 32;

/// Pause before the host tries to start a plugin again after it lacked something itself (disk space, processes). Trying
/// more often would not help, and an operator who frees some space does not wait long.
pub const HOST_RETRY: Duration = Duration::from_secs(5);

/// Old generations that may drain at a time. A further swap ends the oldest; each one holds memory and a window of
/// events.
const OLD_KEPT: usize = 3;

/// The state machine; see the module's documentation.
#[derive(Debug)]
pub struct State {
    policy: Policy,
    restart: Restart,
    phase: Phase,
    change: Option<Change>,
    bake: Option<Bake>,
    old: Vec<OldGeneration>,
    history: BuildHistory,
    next: GenerationId,
    stopping: Vec<Ticket>,
    /// Requests that wait for the end of a start.
    starting: Vec<Ticket>,
    /// How events ended in the active generation.
    tally: Tally,
    /// Whether an event has ended well since the last one that was set aside.
    works: bool,
    /// The artifact that the last crash blocked, until another crash shows whether the build or the event was to blame.
    accused: Option<Hash>,
    store: StoreVersions,
    /// What these artifacts say of the store.
    formats: BTreeMap<Hash, StoreFormat>,
    /// The store from before is being put back, perhaps because a migration was broken off while it was applied: which store
    /// there is, is known when that is done.
    in_doubt: bool,
    /// When that is tried again.
    put_back_at: Option<Instant>,
    going_back: Option<store::GoingBack>,
    effects: Vec<Effect>,
}

impl State {
    /// A plugin that has not started.
    pub fn new(policy: Policy, mut restart: Restart, history: BuildHistory) -> Self {
        restart.resume(history.failures);
        Self {
            policy,
            restart,
            phase: Phase::Stopped,
            change: None,
            bake: None,
            old: Vec::new(),
            history,
            next: 1,
            stopping: Vec::new(),
            starting: Vec::new(),
            tally: Tally::default(),
            works: true,
            accused: None,
            store: StoreVersions::default(),
            formats: BTreeMap::new(),
            in_doubt: false,
            put_back_at: None,
            going_back: None,
            effects: Vec::new(),
        }
    }

    /// Goes by another policy from now on. Deadlines under way stay.
    pub fn set_policy(&mut self, policy: Policy, restart: RestartPolicy) {
        self.policy = policy;
        self.restart.set_policy(restart);
    }

    /// Returns what must be done now, in order. Returns each effect once.
    pub fn effects(&mut self) -> Vec<Effect> {
        self.finish_starting();
        std::mem::take(&mut self.effects)
    }

    /// Starts the plugin with this artifact. Returns false when it is up or coming up.
    pub fn start(&mut self, artifact: Hash) -> bool {
        let failed = matches!(self.phase, Phase::Failed { .. });
        if failed {
            // A person decided to try again. When a host starts, no person has decided, so it continues the count.
            self.restart.forget();
        }
        let starts = (failed || self.phase == Phase::Stopped || self.is_waiting()) && self.change.is_none();
        if starts {
            self.spawn_active(artifact, None);
        }
        starts
    }

    /// Answers the ticket as soon as no start is under way. The answer is a success if a generation serves then.
    pub fn when_started(&mut self, ticket: Ticket) {
        self.starting.push(ticket);
    }

    fn finish_starting(&mut self) {
        if self.starting.is_empty() || self.change.is_some() {
            return;
        }
        let result = match &self.phase {
            Phase::Starting { .. } | Phase::Preparing { .. } | Phase::Replacing => return,
            Phase::Running { generation, artifact, .. } => {
                Ok(Done { generation: Some(*generation), to: Some(*artifact), ..Done::stopped() })
            }
            Phase::Stopped => Err(ChangeError::Stopped),
            Phase::Failed { why } | Phase::Waiting { why } => Err(ChangeError::Start(why.clone())),
            Phase::Backoff { why, .. } => {
                let why = why.clone().unwrap_or_else(|| "it crashed at once".to_owned());
                Err(ChangeError::Start(format!("{why}; Rosey tries again")))
            }
        };
        for ticket in std::mem::take(&mut self.starting) {
            self.effects.push(Effect::Finish { ticket, result: result.clone() });
        }
    }

    /// Records that the plugin cannot start. If the host lacks something, the slot waits for a [`State::start`]; else
    /// it gives up.
    pub fn cannot_start(&mut self, problem: StartProblem) {
        if self.will_run() && !self.is_waiting() {
            return;
        }
        if problem.fault != Fault::Host {
            return self.give_up(problem.why, problem.fault);
        }
        let waiting = Phase::Waiting { why: problem.why.clone() };
        if self.phase != waiting {
            self.phase = waiting;
            self.effects.push(Effect::Emit(StateEvent::StartPostponed { why: problem.why }));
        }
    }

    /// Whether the host keeps trying to find out which artifact to run.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// Stops the plugin. It first answers its events, for up to the drain timeout; then the ticket is answered.
    pub fn stop(&mut self, now: Instant, ticket: Ticket) {
        self.abort(now, ChangeError::Stopped);
        if let Some(artifact) = self.on_trial() {
            self.history.on_trial = Some(artifact);
            self.effects.push(Effect::Persist);
        }
        self.end_bake(now, Verdict::Superseded);
        self.restart.forget();
        match std::mem::replace(&mut self.phase, Phase::Stopped) {
            Phase::Running { generation, artifact, .. } => self.drain(now, generation, artifact, false),
            Phase::Starting { generation, .. } => self.kill(generation, "it was stopped while starting"),
            // What is told to the store is done all the same.
            Phase::Preparing { generation: Some(generation), artifact, .. } => {
                self.drain(now, generation, artifact, false);
            }
            Phase::Preparing { generation: None, .. }
            | Phase::Stopped
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::Replacing
            | Phase::Failed { .. } => {}
        }
        if let Some(ticket) = self.going_back.take().and_then(|back| back.ticket) {
            self.refuse(ticket, ChangeError::Stopped);
        }
        self.stopping.push(ticket);
        self.finish_stopping();
    }

    /// Records that a generation came up, and what its build declares of the store; or that it did not.
    pub fn started(&mut self, now: Instant, generation: GenerationId, result: Result<StoreFormat, StartProblem>) {
        if self.staged() == Some(generation) {
            self.change_started(now, generation, result);
            return;
        }
        let Phase::Starting { generation: expected, artifact } = self.phase else { return };
        if expected != generation {
            return;
        }
        match result {
            Ok(format) => {
                self.reads_store(artifact, format);
                self.make_ready(now, generation, artifact);
            }
            Err(problem) => self.start_failed(now, generation, artifact, problem),
        }
    }

    /// A generation serves that was started, or whose store is ready.
    fn serve(&mut self, now: Instant, generation: GenerationId, artifact: Hash) {
        self.restart.on_up(now);
        self.activate(now, generation, artifact);
        if self.history.last_good.is_none() {
            self.remember_good(artifact);
        }
        self.bake_again(now, artifact, ReloadMode::Overlap);
    }

    fn start_failed(&mut self, now: Instant, generation: GenerationId, artifact: Hash, problem: StartProblem) {
        if self.is_unproven(artifact) && matches!(problem.fault, Fault::Artifact | Fault::Start) {
            self.bake_again(now, artifact, ReloadMode::Overlap);
            self.roll_back_bake(now, Some(format!("it did not start: {}", problem.why)), None);
            return;
        }
        // Where nothing is tried again, that is said with the reason.
        if matches!(problem.fault, Fault::Start | Fault::Host) {
            self.effects.push(Effect::Emit(StateEvent::StartFailed { generation, why: problem.why.clone() }));
        }
        match problem.fault {
            Fault::Artifact | Fault::Settings => self.give_up(problem.why, problem.fault),
            Fault::Start => self.restart_after_failed_start(now, artifact, problem.why),
            Fault::Host => self.retry_for_host(now, artifact, problem.why),
        }
    }

    /// Records the end of a generation that had started.
    pub fn exited(&mut self, now: Instant, generation: GenerationId, cause: &str) {
        self.ended(now, generation, cause, true);
    }

    /// Records the end of a generation by an event that had ended another generation before. That does not count
    /// against its artifact.
    pub fn poisoned(&mut self, now: Instant, generation: GenerationId, cause: &str) {
        self.ended(now, generation, cause, false);
    }

    fn ended(&mut self, now: Instant, generation: GenerationId, cause: &str, counts: bool) {
        if self.staged() == Some(generation) {
            self.abort(now, ChangeError::Died(cause.to_owned()));
            return;
        }
        if let Phase::Running { generation: active, artifact, .. } = self.phase
            && active == generation
        {
            self.effects.push(Effect::Emit(StateEvent::Crashed { generation, cause: cause.to_owned() }));
            // The process is gone: nothing below may drain it or wait for its end.
            self.phase = Phase::Backoff { until: now, artifact, why: None };
            if !self.released_by_crash(now, generation) {
                self.crashed(now, artifact, cause, counts);
            }
            return;
        }
        if !self.died_while_preparing(now, generation, cause) {
            self.old_exited(now, generation, cause);
        }
    }

    /// Does everything that is due.
    pub fn tick(&mut self, now: Instant) {
        if let Phase::Backoff { until, artifact, .. } = self.phase
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
            if self.history.failures > 0 {
                self.history.failures = 0;
                self.effects.push(Effect::Persist);
            }
        }
        self.tick_change(now);
        self.tick_store(now);
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
            Phase::Preparing { until, .. } => until,
            _ => None,
        };
        let change = self.change.as_ref().and_then(Change::deadline);
        let bake = self.bake.as_ref().map(|bake| bake.until);
        self.old.iter().map(OldGeneration::deadline).chain([phase, change, bake, self.put_back_at]).flatten().min()
    }

    /// The generation that gets the next event; `None` while there is none, or while events are held.
    pub fn route(&self) -> Option<GenerationId> {
        if self.change.as_ref().is_some_and(Change::holds) { None } else { self.active() }
    }

    /// The generation that serves, if one does.
    pub fn active(&self) -> Option<GenerationId> {
        if let Phase::Running { generation, .. } = self.phase { Some(generation) } else { None }
    }

    /// The generation that a change brings up.
    pub fn staged(&self) -> Option<GenerationId> {
        self.change.as_ref().and_then(Change::staged)
    }

    /// Whether a generation will come for the events that wait.
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
    pub fn old(&self) -> &[OldGeneration] {
        &self.old
    }

    /// The history that must be persisted.
    pub fn history(&self) -> &BuildHistory {
        &self.history
    }

    /// The plugin's state in one word. The machine does not know whether a generation answers, so it never says
    /// `Unhealthy`.
    pub fn plugin_state(&self) -> PluginState {
        match (&self.phase, &self.change) {
            (_, Some(_)) => PluginState::Reloading,
            (Phase::Stopped, None) if !self.old.is_empty() => PluginState::Draining,
            (Phase::Stopped, None) => PluginState::Stopped,
            (Phase::Starting { .. } | Phase::Preparing { .. } | Phase::Replacing, None) => PluginState::Starting,
            (Phase::Backoff { .. } | Phase::Waiting { .. }, None) => PluginState::Crashed,
            (Phase::Running { .. }, None) => PluginState::Running,
            (Phase::Failed { .. }, None) => PluginState::Failed,
        }
    }

    /// The role of a generation. One that the machine no longer knows is retiring.
    pub fn role(&self, generation: GenerationId) -> Role {
        if self.active() == Some(generation) {
            return Role::Active;
        }
        let prepares = matches!(self.phase, Phase::Preparing { generation: Some(ready), .. } if ready == generation);
        if self.staged() == Some(generation) || prepares {
            return Role::Staged;
        }
        match self.old.iter().find(|old| old.generation == generation).map(|old| old.phase) {
            Some(OldPhase::Draining { .. }) => Role::Draining,
            Some(OldPhase::Parked) => Role::Parked,
            _ => Role::Retiring,
        }
    }

    fn spawn_active(&mut self, artifact: Hash, restore: Option<Arc<Snapshot>>) {
        let generation = self.next_generation();
        self.phase = Phase::Starting { generation, artifact };
        self.effects.push(Effect::Spawn { generation, artifact, restore });
    }

    fn next_generation(&mut self) -> GenerationId {
        self.next += 1;
        self.next - 1
    }

    fn kill(&mut self, generation: GenerationId, why: &'static str) {
        self.effects.push(Effect::Kill { generation, why });
    }

    fn activate(&mut self, now: Instant, generation: GenerationId, artifact: Hash) {
        self.phase = Phase::Running { generation, artifact, since: now, stable: false };
        self.history.active = Some(artifact);
        self.tally = Tally::default();
        self.history.on_trial = None;
        self.effects.push(Effect::Persist);
        self.effects.push(Effect::Emit(StateEvent::Active { generation, artifact }));
    }

    fn crashed(&mut self, now: Instant, artifact: Hash, cause: &str, counts: bool) {
        if self.change.as_ref().is_some_and(Change::needs_old) {
            self.abort(now, ChangeError::OldDied(cause.to_owned()));
        }
        if let Some(accused) = self.accused.take().filter(|_| !counts) {
            self.unblock(accused);
        }
        if self.bake.is_some() && counts {
            self.roll_back_bake(now, Some(format!("it crashed: {cause}")), None);
            self.accused = self.history.blocked.last().copied();
        } else if !counts && std::mem::take(&mut self.works) {
            self.restart.on_poison();
            self.restart_now(artifact);
        } else {
            // Also when the event was set aside but none has ended well since the one before: then the plugin fails at
            // everything.
            self.restart_after_crash(now, artifact, cause);
        }
    }

    fn restart_now(&mut self, artifact: Hash) {
        let failures = self.restart.failures();
        self.history.failures = failures;
        self.effects.push(Effect::Persist);
        self.effects.push(Effect::Emit(StateEvent::Restarting { after: Duration::ZERO, failures }));
        self.spawn_active(artifact, None);
    }

    fn restart_after_crash(&mut self, now: Instant, artifact: Hash, cause: &str) {
        let decision = self.restart.on_down(now);
        match decision {
            Decision::After(Duration::ZERO) => self.restart_now(artifact),
            Decision::After(after) => {
                let failures = self.restart.failures();
                self.history.failures = failures;
                self.effects.push(Effect::Persist);
                self.effects.push(Effect::Emit(StateEvent::Restarting { after, failures }));
                self.phase = Phase::Backoff { until: now + after, artifact, why: None };
            }
            Decision::GiveUp(reason) => {
                self.history.failures = self.restart.failures();
                self.effects.push(Effect::Persist);
                // The end of the last start has just been reported.
                self.give_up(reason.clone(), Fault::Start);
                self.phase = Phase::Failed { why: format!("{reason}; the last one: {cause}") };
            }
        }
    }

    fn restart_after_failed_start(&mut self, now: Instant, artifact: Hash, cause: String) {
        self.restart_after_crash(now, artifact, &cause);
        if let Phase::Backoff { why, .. } = &mut self.phase {
            *why = Some(cause);
        }
    }

    /// Tries again after the host lacked something. That does not count against the plugin.
    fn retry_for_host(&mut self, now: Instant, artifact: Hash, why: String) {
        let failures = self.restart.failures();
        self.effects.push(Effect::Emit(StateEvent::Restarting { after: HOST_RETRY, failures }));
        self.phase = Phase::Backoff { until: now + HOST_RETRY, artifact, why: Some(why) };
    }

    fn give_up(&mut self, why: String, fault: Fault) {
        self.effects.push(Effect::Emit(StateEvent::GaveUp { why: why.clone(), fault }));
        self.phase = Phase::Failed { why };
    }
}
