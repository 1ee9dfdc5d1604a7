//! Requests for a change. A person confirms a change of one artifact to another; the slot refuses the request if its
//! artifact has changed meanwhile.

use super::{ChangeError, ChangeKind, Effect, Phase, State, Ticket};
use crate::hash::Hash;
use rosey_wire::manifest::ReloadMode;
use std::time::Instant;

/// A change that a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeRequest {
    /// Change to this artifact.
    Reload {
        /// The artifact to run.
        to: Hash,
        /// Change also if it runs already, or was rolled back.
        force: bool,
    },
    /// Change to the artifact before.
    Rollback,
    /// Change to a new process of the same artifact.
    Restart,
}

/// The state of a slot when a person decided on a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedState {
    /// [`State::current`].
    pub current: Option<Hash>,
    /// [`State::rollback_target`], which a rollback compares.
    pub rollback_target: Option<Hash>,
}

impl ChangeRequest {
    /// The kind of change that the request starts.
    pub fn kind(self) -> ChangeKind {
        match self {
            Self::Reload { .. } => ChangeKind::Reload,
            Self::Rollback => ChangeKind::Rollback,
            Self::Restart => ChangeKind::Restart,
        }
    }
}

impl State {
    /// Makes the change, if the slot is still in the expected state.
    pub fn change_to(
        &mut self,
        now: Instant,
        ticket: Ticket,
        request: ChangeRequest,
        mode: ReloadMode,
        expected: Option<ExpectedState>,
    ) {
        // A change under way is the better reason to refuse, and each of the three calls below gives it.
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

    /// The artifact that people see as the running one. A plugin in a crash loop has one; a stopped plugin has none.
    pub fn current(&self) -> Option<Hash> {
        match self.phase {
            Phase::Stopped => None,
            Phase::Failed { .. } | Phase::Waiting { .. } | Phase::Replacing => self.history.active,
            Phase::Running { .. } | Phase::Starting { .. } | Phase::Preparing { .. } | Phase::Backoff { .. } => {
                self.running_artifact()
            }
        }
    }

    /// Whether an artifact has not finished its bake yet, and a good one exists to go back to.
    pub(super) fn is_unproven(&self, artifact: Hash) -> bool {
        self.history.last_good.is_some() && !self.history.is_good(&artifact)
    }

    /// The artifact that a rollback would go to.
    pub fn rollback_target(&self) -> Option<Hash> {
        let from = self.running_artifact().or(self.history.active);
        let before_bake = self.bake.as_ref().map(|bake| bake.previous);
        before_bake.or_else(|| self.history.good.iter().rev().copied().find(|hash| Some(*hash) != from))
    }

    /// All artifacts that the slot runs, or could run without a new build.
    pub fn artifacts(&self) -> Vec<Hash> {
        let (history, change) = (&self.history, self.change.as_ref());
        let skipped = history.good.len().saturating_sub(self.policy.artifacts_kept);
        let good = history.good.iter().skip(skipped).copied().chain(history.active).chain(history.last_good);
        let runs = self.running_artifact().into_iter().chain(self.old.iter().map(|old| old.artifact));
        let comes = change.map(|change| change.to).into_iter().chain(change.and_then(|change| change.from));
        good.chain(runs).chain(comes).chain(self.rollback_target()).collect()
    }

    /// Records that the store has lost these artifacts, so that the slot no longer runs them or goes back to them.
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

    /// Whether the plugin is stopped and no change will start it.
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped && self.change.is_none()
    }

    /// Records the version of an artifact, and forgets the versions of artifacts that the history no longer has.
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

    /// Starts the same artifact in a new process. If the plugin hands its state over and serves, it does that now.
    /// Otherwise the old process ends before the new one starts. Events wait meanwhile.
    pub fn restart(&mut self, now: Instant, ticket: Ticket, mode: ReloadMode) {
        let hands_over = mode == ReloadMode::Handoff && self.active().is_some();
        let mode = if hands_over { ReloadMode::Handoff } else { ReloadMode::Exclusive };
        match self.running_artifact().or(self.history.active) {
            Some(to) => self.begin(now, ticket, ChangeKind::Restart, to, mode, None),
            None => self.refuse(ticket, ChangeError::NotRunning),
        }
    }

    /// Goes back to the artifact before, at once if its process is still parked.
    pub fn rollback(&mut self, now: Instant, ticket: Ticket, mode: ReloadMode) {
        if let Some(change) = &self.change {
            let busy = ChangeError::Busy(change.kind);
            return self.refuse(ticket, busy);
        }
        if self.is_preparing() {
            return self.refuse(ticket, ChangeError::StoreBusy);
        }
        if self.bake.is_some() {
            return self.roll_back_bake(now, None, Some(ticket));
        }
        match self.rollback_target() {
            Some(to) => self.begin(now, ticket, ChangeKind::Rollback, to, mode, None),
            None => self.refuse(ticket, ChangeError::NoEarlier),
        }
    }

    pub(super) fn running_artifact(&self) -> Option<Hash> {
        match self.phase {
            Phase::Running { artifact, .. }
            | Phase::Starting { artifact, .. }
            | Phase::Preparing { artifact, .. }
            | Phase::Backoff { artifact, .. } => Some(artifact),
            Phase::Stopped | Phase::Waiting { .. } | Phase::Replacing | Phase::Failed { .. } => None,
        }
    }

    /// Whether the store is being made ready. No change begins meanwhile.
    pub(super) fn is_preparing(&self) -> bool {
        self.in_doubt || matches!(self.phase, Phase::Preparing { .. })
    }

    /// Answers a request with an error.
    pub fn refuse(&mut self, ticket: Ticket, error: ChangeError) {
        self.effects.push(Effect::Finish { ticket, result: Err(error) });
    }
}
