//! How a build and what the plugin keeps in the store come together: by a migration, or by putting back the store from before
//! one.
//!
//! A build says which version of the store it reads. A newer one brings the store up to its version as the last step before it
//! serves, while events wait; the store from before is kept until the build has proved itself, and put back when the slot goes
//! back to the build before. The host does both in the order in which it is told, so whatever happens between, the store and the
//! build that serves are of one version.

use super::{
    ChangeError, Done, Effect, Fault, GenerationId, HOST_RETRY, Phase, Snapshot, StartProblem, State, StateEvent,
    StateLeft, Step, Ticket,
};
use crate::hash::Hash;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a build says of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreFormat {
    /// The version that it reads and writes.
    pub version: u32,
    /// Whether it can bring an older store up to that.
    pub migrates: bool,
}

/// What the plugin keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreVersions {
    /// The version of the store; `None` before anything was kept.
    pub now: Option<u32>,
    /// The version of the store from before the last migration, while that is kept for a rollback.
    pub before: Option<u32>,
}

/// What was lost when the store from before a migration was put back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreLost {
    /// The version that the store has again.
    pub version: u32,
    /// Keys that were written since.
    pub keys: u64,
    /// Events and transactions whose changes were applied since.
    pub commits: u64,
}

impl fmt::Display for StoreLost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (keys, commits) = (counted(self.keys, "key"), counted(self.commits, "event"));
        write!(out, "its store is that of version {} again: {keys} and {commits} of since are lost", self.version)
    }
}

/// What is being done to the store before a generation serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreTask {
    /// The generation says what changes.
    Migrating,
    /// That is applied.
    Applying,
    /// The store from before is put back.
    PuttingBack,
}

/// Whether a build can have the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    /// As it is.
    Fits,
    /// After a migration from this version.
    Migrates(u32),
    /// When that from before is put back.
    PutBack,
    /// Never.
    Refused(ChangeError),
}

/// What becomes of the store before a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreWork {
    /// It stays as it is.
    Nothing,
    /// The new build migrates it from this version.
    Migrate(u32),
    /// Nothing is kept, and the build that runs reads this version: a store of another version begins.
    Begin(u32),
}

/// A rollback that waits for the store.
#[derive(Debug)]
pub(super) struct GoingBack {
    /// Why, when the slot does it by itself.
    pub why: Option<String>,
    /// Whose request it is.
    pub ticket: Option<Ticket>,
    /// What ran.
    pub from: Option<Hash>,
    /// What runs next.
    pub to: Hash,
    /// What is left of the state.
    pub state: Option<StateLeft>,
    /// The state for a process that has to be started.
    pub snapshot: Option<Arc<Snapshot>>,
}

impl State {
    /// Notes what the plugin keeps: at the beginning, and when an operator has changed it.
    pub fn know_store(&mut self, store: StoreVersions) {
        self.store = store;
    }

    /// What the plugin keeps.
    pub fn store(&self) -> StoreVersions {
        self.store
    }

    /// Whether the store from before the last migration is still needed.
    pub fn keeps_store_before(&self) -> bool {
        let serves = matches!(self.phase, Phase::Running { .. });
        self.bake.is_some() || self.change.is_some() || self.in_doubt || !serves
    }

    /// Notes that the store from before the last migration is gone.
    pub fn store_before_gone(&mut self) {
        self.store.before = None;
    }

    /// Notes what a build says of the store.
    pub(super) fn reads_store(&mut self, artifact: Hash, format: StoreFormat) {
        let known = self.artifacts();
        self.formats.retain(|artifact, _| known.contains(artifact));
        self.formats.insert(artifact, format);
    }

    pub(super) fn fit(&self, artifact: Hash) -> Fit {
        let reads = self.formats.get(&artifact).copied().unwrap_or_default();
        if self.in_doubt {
            return Fit::PutBack;
        }
        match self.store.now {
            None => Fit::Fits,
            Some(has) if has == reads.version => Fit::Fits,
            Some(has) if has < reads.version && reads.migrates => Fit::Migrates(has),
            Some(has) if has < reads.version => Fit::Refused(ChangeError::NoMigration { has, reads: reads.version }),
            Some(_) if self.store.before == Some(reads.version) => Fit::PutBack,
            Some(has) => Fit::Refused(ChangeError::StoreTooNew { has, reads: reads.version }),
        }
    }

    /// What becomes of the store in a change to this artifact, or why it cannot be made. The store from before comes back by a
    /// rollback alone.
    pub(super) fn store_for_change(&self, artifact: Hash) -> Result<StoreWork, ChangeError> {
        let reads = |artifact: &Hash| self.formats.get(artifact).copied().unwrap_or_default().version;
        let work = match self.fit(artifact) {
            Fit::Migrates(from) => StoreWork::Migrate(from),
            Fit::Fits => {
                // Nothing is kept: but a rollback has to find it as the build before left it, with nothing in it.
                let from =
                    self.running_artifact().or(self.history.last_good).map_or(reads(&artifact), |from| reads(&from));
                match self.store.now {
                    None if from != reads(&artifact) => StoreWork::Begin(from),
                    _ => return Ok(StoreWork::Nothing),
                }
            }
            Fit::PutBack => {
                let has = self.store.now.unwrap_or_default();
                return Err(ChangeError::StoreTooNew { has, reads: reads(&artifact) });
            }
            Fit::Refused(error) => return Err(error),
        };
        if self.store.before.is_some() { Err(ChangeError::StoreKept) } else { Ok(work) }
    }

    /// A generation has started, and nothing else serves: it does, once the store fits.
    pub(super) fn make_ready(&mut self, now: Instant, generation: GenerationId, artifact: Hash) {
        let task = match self.fit(artifact) {
            Fit::Fits => return self.serve(now, generation, artifact),
            Fit::Refused(error) => {
                self.kill(generation, "it cannot have the store");
                return self.not_ready(now, generation, artifact, error.to_string(), Fault::Artifact);
            }
            Fit::Migrates(from) => {
                self.effects.push(Effect::Migrate { generation, from });
                StoreTask::Migrating
            }
            Fit::PutBack => {
                self.begin_put_back();
                StoreTask::PuttingBack
            }
        };
        let until = (task == StoreTask::Migrating).then(|| now + self.policy.migration_timeout);
        self.phase = Phase::Preparing { generation: Some(generation), artifact, task, until };
    }

    /// Begins the last step of a change to a build that migrates.
    pub(super) fn migrate(&mut self, now: Instant, new: GenerationId, from: u32, done: &'static str) {
        let until = now + self.policy.migration_timeout;
        if let Some(change) = &mut self.change {
            change.go(now, done, Step::Migrating { new, until });
            self.effects.push(Effect::Migrate { generation: new, from });
        }
    }

    /// Begins a store of another version, where nothing is kept.
    pub(super) fn begin_store(&mut self, now: Instant, new: GenerationId, from: u32, done: &'static str) {
        if let Some(change) = &mut self.change {
            let to = change.to;
            change.go(now, done, Step::Applying { new });
            self.apply_migration(new, from, to);
        }
    }

    /// Notes that a generation has said what its migration changes, or why it cannot migrate.
    pub fn migration_said(&mut self, now: Instant, generation: GenerationId, result: Result<(), String>) {
        if let Some(change) = &mut self.change
            && matches!(change.step, Step::Migrating { new, .. } if new == generation)
        {
            match result {
                Ok(()) => {
                    let to = change.to;
                    change.go(now, "migrate", Step::Applying { new: generation });
                    self.apply_migration(generation, self.store.now.unwrap_or_default(), to);
                }
                Err(why) => self.abort(now, ChangeError::Migration(why)),
            }
            return;
        }
        let Phase::Preparing { generation: Some(ready), artifact, task: StoreTask::Migrating, .. } = self.phase else {
            return;
        };
        if ready != generation {
            return;
        }
        match result {
            Ok(()) => {
                let task = StoreTask::Applying;
                self.phase = Phase::Preparing { generation: Some(generation), artifact, task, until: None };
                self.apply_migration(generation, self.store.now.unwrap_or_default(), artifact);
            }
            Err(why) => {
                self.kill(generation, "its migration failed");
                self.migration_failed(now, generation, artifact, &why);
            }
        }
    }

    fn apply_migration(&mut self, generation: GenerationId, from: u32, to: Hash) {
        let to = self.formats.get(&to).copied().unwrap_or_default().version;
        self.effects.push(Effect::ApplyMigration { generation, from, to });
    }

    /// Notes that the changes of a migration are applied and durable, or that nothing of them is.
    pub fn migrated(&mut self, now: Instant, generation: GenerationId, result: Result<StoreVersions, String>) {
        if let Ok(store) = &result {
            self.store = *store;
        }
        if let Some(change) = &mut self.change
            && matches!(change.step, Step::Applying { new } if new == generation)
        {
            // It did not fail half-way, so there is nothing in doubt.
            change.go(now, "apply", Step::Starting { new: generation });
            match result {
                Ok(_) => {
                    change.migrated = true;
                    self.swap(now, generation);
                }
                Err(why) => self.abort(now, ChangeError::Migration(why)),
            }
            return;
        }
        let Phase::Preparing { generation: ready, artifact, task: StoreTask::Applying, .. } = self.phase else {
            return;
        };
        match (result, ready) {
            (Ok(_), Some(ready)) => self.serve(now, ready, artifact),
            (Ok(_), None) => self.spawn_active(artifact, None),
            (Err(why), ready) => {
                if let Some(ready) = ready {
                    self.kill(ready, "its migration failed");
                }
                self.migration_failed(now, generation, artifact, &why);
            }
        }
    }

    /// A migration before a start came to nothing: it counts as a start that failed.
    fn migration_failed(&mut self, now: Instant, generation: GenerationId, artifact: Hash, why: &str) {
        self.not_ready(now, generation, artifact, format!("its store could not be migrated: {why}"), Fault::Start);
    }

    /// A generation that had started does not get to serve. Its process is gone, or killed.
    fn not_ready(&mut self, now: Instant, generation: GenerationId, artifact: Hash, why: String, fault: Fault) {
        self.phase = Phase::Backoff { until: now, artifact, why: None };
        self.start_failed(now, generation, artifact, StartProblem { why, fault });
    }

    /// Until that is done, it is unknown which store there is.
    pub(super) fn begin_put_back(&mut self) {
        (self.in_doubt, self.put_back_at) = (true, None);
        self.effects.push(Effect::PutBack);
    }

    /// Notes that the store from before is back, with what was lost by that; nothing when there was none to put back.
    pub fn put_back(&mut self, now: Instant, result: Result<(StoreVersions, Option<StoreLost>), String>) {
        let waits = match self.phase {
            Phase::Preparing { generation, artifact, task: StoreTask::PuttingBack, .. } => Some((generation, artifact)),
            _ => None,
        };
        let (store, lost) = match result {
            Ok(done) => done,
            Err(why) => {
                self.put_back_at = Some(now + HOST_RETRY);
                let why = format!("the store from before cannot be put back: {why}");
                return self.effects.push(Effect::Emit(StateEvent::StartPostponed { why }));
            }
        };
        (self.store, self.in_doubt, self.put_back_at) = (store, false, None);
        let Some((generation, artifact)) = waits else { return };
        if let Some(back) = self.going_back.take() {
            return self.arrive_back(now, generation, back, lost);
        }
        if let Some(lost) = lost.filter(|lost| lost.keys + lost.commits > 0) {
            self.effects.push(Effect::Emit(StateEvent::StorePutBack { lost }));
        }
        match generation {
            // What it reads may be another version than that which is back.
            Some(generation) => self.make_ready(now, generation, artifact),
            None => self.spawn_active(artifact, None),
        }
    }

    /// Ends a rollback: what ran before serves again, or is started.
    pub(super) fn arrive_back(
        &mut self,
        now: Instant,
        parked: Option<GenerationId>,
        back: GoingBack,
        store: Option<StoreLost>,
    ) {
        let GoingBack { why, ticket, from, to, state, snapshot } = back;
        if let (Some(why), Some(from)) = (why, from) {
            let warm = parked.is_some();
            self.effects.push(Effect::Emit(StateEvent::RolledBack { from, to, why, warm, state, store }));
        }
        match parked {
            Some(generation) => self.activate(now, generation, to),
            None => self.spawn_active(to, snapshot),
        }
        if let Some(ticket) = ticket {
            let generation = self.active();
            let steps = if generation.is_some() { vec![("swap", Duration::ZERO)] } else { Vec::new() };
            let done = Done { generation, from, to: Some(to), state, store, steps };
            self.effects.push(Effect::Finish { ticket, result: Ok(done) });
        }
    }

    /// The generation that waits for the store is gone.
    pub(super) fn died_while_preparing(&mut self, now: Instant, generation: GenerationId, cause: &str) -> bool {
        let Phase::Preparing { generation: Some(ready), artifact, task, until } = self.phase else { return false };
        if ready != generation {
            return false;
        }
        if task == StoreTask::Migrating {
            self.migration_failed(now, generation, artifact, cause);
        } else {
            // The store decides: another process is started when that is done.
            self.phase = Phase::Preparing { generation: None, artifact, task, until };
        }
        true
    }

    /// Does what has become due for the store.
    pub(super) fn tick_store(&mut self, now: Instant) {
        if self.put_back_at.is_some_and(|at| at <= now) {
            self.begin_put_back();
        }
        let Phase::Preparing { generation, artifact, task, until: Some(until) } = self.phase else { return };
        if until > now {
            return;
        }
        if let (StoreTask::Migrating, Some(generation)) = (task, generation) {
            let why = ChangeError::MigrationTimedOut(self.policy.migration_timeout).to_string();
            self.kill(generation, "its migration took too long");
            self.migration_failed(now, generation, artifact, &why);
        }
    }
}
