//! What is asked of a slot, and by whom it was seen how: a change that was confirmed for one artifact is not made to another.

use super::{ChangeError, ChangeKind, Done, Effect, Phase, State, Ticket};
use crate::hash::Hash;
use rosey_wire::manifest::ReloadMode;
use std::time::{Duration, Instant};

/// A change that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeRequest {
    /// To this artifact.
    Reload {
        /// What to run.
        to: Hash,
        /// Also when it runs already, or was rolled back from.
        force: bool,
    },
    /// To the artifact before.
    Rollback,
    /// To a new process of the same artifact.
    Restart,
}

/// A slot as it was when somebody decided on a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedState {
    /// [`State::current`].
    pub current: Option<Hash>,
    /// [`State::rollback_target`], where the change goes there.
    pub rollback_target: Option<Hash>,
}

impl ChangeRequest {
    /// Which change it is.
    pub fn kind(self) -> ChangeKind {
        match self {
            Self::Reload { .. } => ChangeKind::Reload,
            Self::Rollback => ChangeKind::Rollback,
            Self::Restart => ChangeKind::Restart,
        }
    }
}

impl State {
    /// Makes the change, unless the slot is no longer as it was expected.
    pub fn change_to(
        &mut self,
        now: Instant,
        ticket: Ticket,
        request: ChangeRequest,
        mode: ReloadMode,
        expected: Option<ExpectedState>,
    ) {
        // A change under way is the better reason, and each of the three gives it.
        if let (None, Some(expected)) = (&self.change, expected) {
            let goes_elsewhere =
                request == ChangeRequest::Rollback && expected.rollback_target != self.rollback_target();
            if goes_elsewhere || expected.current != self.current() {
                return self.refuse(ticket, ChangeError::Changed);
            }
        }
        match request {
            ChangeRequest::Reload { to, force } => self.reload(now, ticket, to, mode, force),
            ChangeRequest::Rollback => self.rollback(now, ticket, mode),
            ChangeRequest::Restart => self.restart(now, ticket, mode),
        }
    }

    /// The artifact that people see as the running one: that of a crash loop too, but none of a plugin that was stopped.
    pub fn current(&self) -> Option<Hash> {
        match self.phase {
            Phase::Stopped => None,
            Phase::Failed { .. } | Phase::Waiting { .. } | Phase::Replacing => self.history.active,
            Phase::Running { .. } | Phase::Starting { .. } | Phase::Backoff { .. } => self.running_artifact(),
        }
    }

    /// Whether an artifact has yet to prove itself, with a good one to go back to.
    pub(super) fn is_unproven(&self, artifact: Hash) -> bool {
        self.history.last_good.is_some() && !self.history.is_good(&artifact)
    }

    /// Where a rollback would go.
    pub fn rollback_target(&self) -> Option<Hash> {
        let from = self.running_artifact().or(self.history.active);
        let before_bake = self.bake.as_ref().map(|bake| bake.previous);
        before_bake.or_else(|| self.history.good.iter().rev().copied().find(|hash| Some(*hash) != from))
    }

    /// All artifacts that it runs, or could run without another build.
    pub fn artifacts(&self) -> Vec<Hash> {
        let (history, change) = (&self.history, self.change.as_ref());
        let skipped = history.good.len().saturating_sub(self.policy.artifacts_kept);
        let good = history.good.iter().skip(skipped).copied().chain(history.active).chain(history.last_good);
        let runs = self.running_artifact().into_iter().chain(self.old.iter().map(|old| old.artifact));
        let comes = change.map(|change| change.to).into_iter().chain(change.and_then(|change| change.from));
        good.chain(runs).chain(comes).chain(self.rollback_target()).collect()
    }

    /// Notes that the store has lost these artifacts: none of them can be run, or gone back to.
    pub fn lost(&mut self, artifacts: &[Hash]) {
        if artifacts.is_empty() {
            return;
        }
        self.history.good.retain(|hash| !artifacts.contains(hash));
        if self.history.last_good.is_some_and(|good| artifacts.contains(&good)) {
            self.history.last_good = self.history.good.last().copied();
        }
        self.effects.push(Effect::Persist);
    }

    /// Whether it was stopped, and nothing is to change that.
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped && self.change.is_none()
    }

    /// Notes the version that an artifact says it has; those of artifacts that are not remembered are forgotten.
    pub fn learn(&mut self, artifact: Hash, version: &str) {
        if self.history.versions.get(&artifact).is_some_and(|known| known == version) {
            return;
        }
        let history = &self.history;
        let mut kept: Vec<Hash> = history.good.iter().chain(&history.blocked).copied().collect();
        kept.extend(
            history.active.into_iter().chain(history.last_good).chain(self.bake.as_ref().map(|bake| bake.previous)),
        );
        self.history.versions.retain(|artifact, _| kept.contains(artifact));
        self.history.versions.insert(artifact, version.to_owned());
        self.effects.push(Effect::Persist);
    }

    /// Changes to another artifact.
    pub fn reload(&mut self, now: Instant, ticket: Ticket, to: Hash, mode: ReloadMode, force: bool) {
        let refusal = if self.history.blocked.contains(&to) && !force {
            Some(ChangeError::Blocked(to.short()))
        } else if self.running_artifact() == Some(to) && !force {
            Some(ChangeError::SameArtifact(to.short()))
        } else {
            None
        };
        self.begin(now, ticket, ChangeKind::Reload, to, mode, refusal);
    }

    /// Starts the same artifact in a new process. A plugin that hands its state over does so while it serves; of any other, and
    /// of one that is down, the old process goes before the new one comes. Events wait meanwhile.
    pub fn restart(&mut self, now: Instant, ticket: Ticket, mode: ReloadMode) {
        let hands_over = mode == ReloadMode::Handoff && self.active().is_some();
        let mode = if hands_over { ReloadMode::Handoff } else { ReloadMode::Exclusive };
        match self.running_artifact().or(self.history.active) {
            Some(to) => self.begin(now, ticket, ChangeKind::Restart, to, mode, None),
            None => self.refuse(ticket, ChangeError::NotRunning),
        }
    }

    /// Goes back to the artifact before, at once when its process is still there.
    pub fn rollback(&mut self, now: Instant, ticket: Ticket, mode: ReloadMode) {
        if let Some(change) = &self.change {
            let busy = ChangeError::Busy(change.kind);
            return self.refuse(ticket, busy);
        }
        let from = self.running_artifact().or(self.history.active);
        if let Some(previous) = self.bake.as_ref().map(|bake| bake.previous) {
            let state = self.roll_back_bake(now, None);
            let generation = self.active();
            let steps = if generation.is_some() { vec![("swap", Duration::ZERO)] } else { Vec::new() };
            let result = Done { generation, from, to: Some(previous), state, steps };
            self.effects.push(Effect::Finish { ticket, result: Ok(result) });
            return;
        }
        match self.rollback_target() {
            Some(to) => self.begin(now, ticket, ChangeKind::Rollback, to, mode, None),
            None => self.refuse(ticket, ChangeError::NoEarlier),
        }
    }

    pub(super) fn running_artifact(&self) -> Option<Hash> {
        match self.phase {
            Phase::Running { artifact, .. } | Phase::Starting { artifact, .. } | Phase::Backoff { artifact, .. } => {
                Some(artifact)
            }
            Phase::Stopped | Phase::Waiting { .. } | Phase::Replacing | Phase::Failed { .. } => None,
        }
    }

    /// Answers a request with no.
    pub fn refuse(&mut self, ticket: Ticket, error: ChangeError) {
        self.effects.push(Effect::Finish { ticket, result: Err(error) });
    }
}
