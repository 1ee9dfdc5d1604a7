//! Another version of the store: what a build says of its migration is collected, and applied in one transaction.

use super::{
    actor::Task,
    command::Report,
    record::{self, Cause, unreadable},
};
use crate::commit::{self, Migration, Quota, Record, Rewrite, Usage};
use rosey_core::{
    flow::MIGRATION,
    state::{GenerationId, StoreLost, StoreVersions},
};
use rosey_wire::{
    effect::{Effect, Effects},
    frame::decode,
    message::ToShim,
};
use std::{sync::Arc, time::Instant};
use tokio::task::JoinHandle;

/// Bytes of what a migration says at its end; what it changed on the way is with the host already.
const MAX_END: usize = 8 << 20;

/// What is being done to the store beside the effects of events.
#[derive(Debug, Default)]
pub(super) struct Migrations {
    under_way: Option<UnderWay>,
    /// What the store was told last: the next thing waits for it.
    last: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct UnderWay {
    generation: GenerationId,
    /// Records that were applied when it began.
    commits: u64,
    rewrites: Vec<Rewrite>,
    bytes: u64,
    end: Record,
}

/// How the store from before was put back: the versions there are, what was lost, and what the plugin keeps now.
pub(super) type PutBack = (StoreVersions, Option<StoreLost>, Usage);

impl Task {
    /// Has a generation migrate the store.
    pub(super) fn migrate(&mut self, generation: GenerationId, from: u32) {
        let (commits, rewrites, end) = (self.account.kept.commits, Vec::new(), Record::default());
        self.migrations.under_way = Some(UnderWay { generation, commits, rewrites, bytes: 0, end });
        self.push(generation, &ToShim::Migrate { id: MIGRATION, from });
    }

    /// Whether it is this generation that migrates.
    pub(super) fn is_migrating(&self, generation: GenerationId) -> bool {
        self.migrations.under_way.as_ref().is_some_and(|one| one.generation == generation)
    }

    /// Takes changes of the migration under way.
    pub(super) fn stage(&mut self, effects: &Effects<'_>) -> Result<(), String> {
        let most = 2 * self.setup.limits.store_bytes + self.setup.limits.store_keys;
        let Some(one) = &mut self.migrations.under_way else { return Err(not_a_migration()) };
        for effect in &effects.changes {
            let Effect::Rewrite { scope, key, value, expires_ms } = *effect else { return Err(unreadable()) };
            let value = value.map(str::to_owned);
            let rewrite = Rewrite { scope: scope.to_owned(), key: key.to_owned(), value, expires: expires_ms };
            one.bytes += rewrite.bytes();
            if one.bytes > most {
                return Err("the migration changes more than the plugin may keep; raise limits.store_bytes".to_owned());
            }
            one.rewrites.push(rewrite);
        }
        Ok(())
    }

    /// A generation has ended its migration: with its last effects, or with why it failed.
    pub(super) fn migration_said(&mut self, now: Instant, generation: GenerationId, said: Result<Vec<u8>, String>) {
        if !self.is_migrating(generation) {
            return;
        }
        let result = said.and_then(|effects| self.end_migration(&effects));
        if result.is_err() {
            self.migrations.under_way = None;
        }
        self.state.migration_said(now, generation, result);
    }

    fn end_migration(&mut self, effects: &[u8]) -> Result<(), String> {
        if effects.is_empty() {
            return Ok(());
        }
        if effects.len() > MAX_END {
            return Err(format!("its last changes have {} bytes, and may have {MAX_END}", effects.len()));
        }
        let Effects { reads, changes } = decode(effects).map_err(|_| unreadable())?;
        let (rewrites, changes) = changes.into_iter().partition(|effect| matches!(effect, Effect::Rewrite { .. }));
        self.stage(&Effects { reads: Vec::new(), changes: rewrites })?;
        let cause = Cause { event: None };
        let end = record::of(&self.setup, &mut self.account, &Effects { reads, changes }, &cause)?;
        if !end.timers.is_empty() || !end.lines.is_empty() || !end.signals.is_empty() {
            let text = "a migration changes the store alone; timers, lines and signals are for #[start]";
            return Err(text.to_owned());
        }
        if let Some(one) = &mut self.migrations.under_way {
            one.end = end;
        }
        Ok(())
    }

    /// Applies what the migration said.
    pub(super) fn apply_migration(&mut self, generation: GenerationId, from: u32, to: u32) {
        let (commits, rewrites, end) = match self.migrations.under_way.take() {
            Some(UnderWay { commits, rewrites, end, .. }) => (commits, rewrites, end),
            // It was not asked, because nothing is kept.
            None => (self.account.kept.commits, Vec::new(), Record::default()),
        };
        let limits = &self.setup.limits;
        let quota = Quota { keys: limits.store_keys, bytes: limits.store_bytes, lines: limits.lines };
        let Record { reads, changes, .. } = end;
        let plugin = Arc::clone(&self.setup.name);
        let migration = Migration { plugin, quota, from, to, commits, rewrites, reads, changes };
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        self.then(async move {
            let done = database.run(move |connection| commit::migrate(connection, &migration)).await;
            let done = match done {
                Ok(done) => done.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            // Fails only when the slot is gone.
            let _ = reports.send(Report::Migrated(generation, done)).await;
        });
    }

    /// Puts the store from before back, if it is kept.
    pub(super) fn put_back(&mut self) {
        let plugin = Arc::clone(&self.setup.name);
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        self.then(async move {
            let done = database.run(move |connection| commit::put_back(connection, &plugin)).await;
            // As above.
            let _ = reports.send(Report::PutBack(done.map_err(|error| error.to_string()))).await;
        });
    }

    /// Does this after what was begun before.
    fn then(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let last = self.migrations.last.take();
        self.migrations.last = Some(tokio::spawn(async move {
            if let Some(last) = last {
                // It has ended; how, it has reported.
                let _ = last.await;
            }
            work.await;
        }));
    }

    /// The store has taken a migration, or not.
    pub(super) fn migrated(
        &mut self,
        now: Instant,
        generation: GenerationId,
        result: Result<(StoreVersions, Usage), String>,
    ) {
        self.commits.values.forget();
        let result = result.map(|(versions, usage)| {
            self.account.keeps(usage);
            versions
        });
        self.state.migrated(now, generation, result);
    }

    /// The store from before is back, or could not be put back.
    pub(super) fn was_put_back(&mut self, now: Instant, result: Result<PutBack, String>) {
        self.commits.values.forget();
        let result = result.map(|(versions, lost, usage)| {
            self.account.keeps(usage);
            (versions, lost)
        });
        self.state.put_back(now, result);
    }
}

/// Why a walk is refused.
pub(super) fn not_a_migration() -> String {
    "only a migration may walk through all that is kept, while it runs".to_owned()
}
