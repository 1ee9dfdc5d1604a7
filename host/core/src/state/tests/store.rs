//! The store and the build that serves are of one version, whatever happens and whenever the host is killed.

use super::*;
use std::collections::VecDeque;

/// What is told to the disk, which does it in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    Apply { generation: GenerationId, from: u32, to: u32 },
    PutBack,
}

/// What outlives the host.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    /// Whether builds read different versions of the store.
    pub migrates: bool,
    pub versions: StoreVersions,
    pub jobs: VecDeque<Job>,
    pub unsaved: bool,
    /// Whether nothing was kept before the migration.
    before_is_empty: bool,
    saved: BuildHistory,
}

impl Disk {
    /// Artifacts 1 to 5 read the versions 0, 1, 1, 2 and 2; the last one cannot migrate.
    pub fn format(&self, of: Hash) -> StoreFormat {
        let number = (0..=u8::MAX).find(|n| artifact(*n) == of).expect("one of ours");
        let version = if self.migrates { u32::from(number) / 2 } else { 0 };
        StoreFormat { version, migrates: number != 5 }
    }
}

impl World {
    /// What serves changes the store.
    pub(super) fn keep(&mut self, well: bool) {
        let Some(route) = self.state.route().filter(|_| well && self.disk.versions.now.is_none()) else { return };
        self.disk.versions.now = Some(self.disk.format(self.fakes[&route].1).version);
        self.state.know_store(self.disk.versions);
    }

    /// The disk does the next thing that it was told, or cannot.
    pub(super) fn work(&mut self, well: bool) {
        let Some(job) = self.disk.jobs.pop_front() else { return };
        let lost = self.execute(job, well);
        let (versions, now) = (self.disk.versions, self.now);
        let full = || "the disk is full".to_owned();
        match job {
            Job::Apply { generation, .. } => {
                self.state.migrated(now, generation, if well { Ok(versions) } else { Err(full()) });
            }
            Job::PutBack => self.state.put_back(now, if well { Ok((versions, lost)) } else { Err(full()) }),
        }
        self.apply_effects();
    }

    fn execute(&mut self, job: Job, well: bool) -> Option<StoreLost> {
        let versions = &mut self.disk.versions;
        match job {
            _ if !well => None,
            Job::Apply { from, to, .. } => {
                assert!(versions.now.is_none_or(|now| now == from));
                if versions.before.is_none() {
                    self.disk.before_is_empty = versions.now.is_none();
                }
                *versions = StoreVersions { now: Some(to), before: versions.before.or(Some(from)) };
                None
            }
            Job::PutBack => {
                let before = versions.before.take()?;
                versions.now = Some(before).filter(|_| !self.disk.before_is_empty);
                Some(StoreLost { version: before, keys: 1, commits: 1 })
            }
        }
    }

    /// What has to outlive the host is written down.
    pub(super) fn save(&mut self) {
        if !std::mem::take(&mut self.disk.unsaved) {
            return;
        }
        self.disk.saved = self.state.history().clone();
        if !self.state.keeps_store_before() {
            self.state.store_before_gone();
            self.disk.versions.before = None;
        }
    }

    pub(super) fn check_store(&self) {
        let Some(route) = self.state.route() else { return };
        let reads = self.disk.format(self.fakes[&route].1).version;
        assert!(self.disk.versions.now.is_none_or(|has| has == reads), "it serves a store that it cannot read");
        let harmless = |job: &Job| *job == Job::PutBack && self.disk.versions.before.is_none();
        assert!(self.disk.jobs.iter().all(harmless), "the store changes while events are served");
    }

    /// The host is killed, and started again with what lies on the disk. What the disk was told may be done or not.
    fn kill_host(&mut self, done: usize) {
        for job in std::mem::take(&mut self.disk.jobs).into_iter().take(done) {
            self.execute(job, true);
        }
        let saved = self.disk.saved.clone();
        let (disk, forced) = (Disk { unsaved: false, ..self.disk.clone() }, self.forced.clone());
        let artifact = saved.on_trial.or(saved.last_good).expect("the first one is good");
        *self = World { disk, forced, ..World::after(saved) };
        self.state.know_store(self.disk.versions);
        self.state.start(artifact);
        self.apply_effects();
    }
}

/// A world in which artifact 1 runs, reads version 0 of the store, and keeps something in it.
fn keeping() -> World {
    let mut world = World::new();
    world.disk.migrates = true;
    world.state.start(artifact(1));
    world.apply_effects();
    world.started(1, true);
    world.keep(true);
    world.save();
    world
}

/// Reloads artifact 2, which reads version 1, up to the moment in which the disk applies its migration.
fn applying(world: &mut World) -> Ticket {
    let ticket = world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    assert_eq!(world.state.route(), None, "events wait");
    world.drained();
    world.answer(0, true);
    assert_eq!(world.disk.jobs.len(), 1);
    ticket
}

/// Up to the trial of artifact 2.
fn migrated() -> World {
    let mut world = keeping();
    let ticket = applying(&mut world);
    world.work(true);
    let steps: Vec<_> = world.finished[&ticket].as_ref().expect("good").steps.iter().map(|step| step.0).collect();
    assert_eq!(steps, ["start", "probe", "finish", "migrate", "apply", "swap"]);
    assert_eq!(world.state.route(), Some(2));
    world.save();
    world
}

fn versions(now: u32, before: Option<u32>) -> StoreVersions {
    StoreVersions { now: Some(now), before }
}

#[test]
fn the_store_from_before_is_kept_until_the_trial_is_over() {
    let mut world = migrated();
    assert_eq!(world.disk.versions, versions(1, Some(0)));
    let ticket = world.reload(4, ReloadMode::Overlap);
    world.started(3, true);
    assert_eq!(world.finished[&ticket], Err(ChangeError::StoreKept));
    world.pass(31 * SECOND);
    world.save();
    assert_eq!((world.disk.versions, world.state.store()), (versions(1, None), versions(1, None)));
    let ticket = world.ticket();
    world.state.rollback(world.now, ticket, ReloadMode::Overlap);
    world.apply_effects();
    world.calm();
    assert_eq!(world.finished[&ticket], Err(ChangeError::StoreTooNew { has: 1, reads: 0 }));
}

#[test]
fn a_rollback_puts_it_back_first_and_says_what_was_lost() {
    for by_hand in [true, false] {
        let mut world = migrated();
        world.drained();
        let ticket = world.ticket();
        if by_hand {
            world.state.rollback(world.now, ticket, ReloadMode::Overlap);
            world.apply_effects();
        } else {
            world.exit(2);
        }
        assert_eq!((world.state.route(), world.state.word()), (None, "starting"));
        world.work(false);
        world.pass(HOST_RETRY);
        world.work(true);
        assert_eq!((world.state.route(), world.disk.versions), (Some(1), versions(0, None)));
        let expected = Some(StoreLost { version: 0, keys: 1, commits: 1 });
        let said = if by_hand {
            world.finished[&ticket].as_ref().expect("done").store
        } else {
            let lost = |note: &StateEvent| match note {
                StateEvent::RolledBack { store, .. } => *store,
                _ => None,
            };
            world.events.iter().find_map(lost)
        };
        assert_eq!(said, expected);
    }
}

#[test]
fn a_migration_that_fails_takes_too_long_or_dies_leaves_the_old_build_with_its_store() {
    type Fault = fn(&mut World);
    let faults: [(Fault, usize); 3] =
        [(|world| world.answer(0, false), 0), (|world| world.pass(10 * SECOND), 0), (|world| world.exit(2), 0)];
    for (fault, jobs) in faults {
        let mut world = keeping();
        let ticket = world.reload(2, ReloadMode::Overlap);
        world.started(2, true);
        world.answer(0, true);
        world.drained();
        fault(&mut world);
        assert!(world.finished[&ticket].is_err());
        assert_eq!((world.state.route(), world.disk.jobs.len()), (Some(1), jobs));
    }
    let mut world = keeping();
    let ticket = applying(&mut world);
    world.work(false);
    assert_eq!(world.finished[&ticket], Err(ChangeError::Migration("the disk is full".into())));
    assert_eq!((world.state.route(), world.disk.versions), (Some(1), versions(0, None)));
}

#[test]
fn a_build_that_dies_while_its_migration_is_applied_has_the_store_put_back() {
    let mut world = keeping();
    let ticket = applying(&mut world);
    world.exit(2);
    assert!(matches!(world.finished[&ticket], Err(ChangeError::Died(_))));
    assert_eq!(world.state.route(), None, "nobody knows yet which store there is");
    world.work(true);
    world.work(true);
    assert_eq!((world.state.route(), world.disk.versions), (Some(1), versions(0, None)));
}

#[test]
fn an_older_build_and_one_that_cannot_migrate_are_refused_with_both_versions() {
    let mut world = migrated();
    world.pass(31 * SECOND);
    world.save();
    world.calm();
    let ticket = world.reload(1, ReloadMode::Overlap);
    world.calm();
    assert_eq!(world.finished[&ticket], Err(ChangeError::StoreTooNew { has: 1, reads: 0 }));
    let ticket = world.reload(5, ReloadMode::Overlap);
    world.calm();
    assert_eq!(world.finished[&ticket], Err(ChangeError::NoMigration { has: 1, reads: 2 }));
    assert!(matches!(world.state.phase(), Phase::Running { artifact: a, .. } if *a == artifact(2)));
}

#[test]
fn a_start_migrates_too_and_a_first_start_has_nothing_to_migrate() {
    let mut world = World::new();
    world.disk.migrates = true;
    world.state.start(artifact(4));
    world.apply_effects();
    world.started(1, true);
    assert_eq!(world.state.route(), Some(1), "nothing is kept yet");

    let mut world = World::new();
    world.disk.migrates = true;
    world.disk.versions = versions(0, None);
    world.state.know_store(world.disk.versions);
    world.state.start(artifact(4));
    world.apply_effects();
    world.started(1, true);
    assert_eq!((world.state.route(), world.state.word()), (None, "starting"));
    world.answer(0, true);
    world.exit(1);
    world.work(true);
    assert_eq!(world.disk.versions, versions(2, Some(0)));
    world.started(2, true);
    assert_eq!(world.state.route(), Some(2), "what died after its migration was applied is started again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn a_host_that_is_killed_anywhere_starts_with_a_build_that_reads_the_store(
        lives in prop::collection::vec((prop::collection::vec(op(), 0..60), 0usize..4), 1..5),
    ) {
        let mut world = keeping();
        for (ops, done) in &lives {
            for op in ops {
                apply(&mut world, op);
            }
            world.kill_host(*done);
        }
        world.calm();
        let Phase::Running { artifact, .. } = world.state.phase() else {
            return Err(TestCaseError::fail(format!("it does not run: {:?} {:?}", world.state.phase(), world.disk)));
        };
        let reads = world.disk.format(*artifact).version;
        prop_assert!(world.disk.versions.now.is_none_or(|has| has == reads));
        prop_assert!(world.disk.versions.before.is_none(), "what is kept for a rollback is kept for ever");
    }
}
