//! The state machine against a world of fake generations that do anything at any time.
//!
//! A failing run prints its operations; proptest keeps the seed in `proptest-regressions`.

use super::*;
use crate::restart::RestartPolicy;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

mod store;
mod trial;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy {
        probe_timeout: 5 * SECOND,
        probe_attempts: 3,
        drain_timeout: 30 * SECOND,
        stop_grace: 2 * SECOND,
        handoff_timeout: 2 * SECOND,
        migration_timeout: 10 * SECOND,
        bake: 30 * SECOND,
        bake_min_events: 10,
        bake_failure_rate: 0.5,
        stable_after: 30 * SECOND,
        artifacts_kept: 5,
    }
}

fn restart() -> Restart {
    let policy = RestartPolicy {
        stable_after: 30 * SECOND,
        starts: 5,
        per_hour: 20,
        first: Duration::from_millis(250),
        most: 30 * SECOND,
    };
    Restart::new(policy, fastrand::Rng::with_seed(1))
}

fn artifact(n: u8) -> Hash {
    Hash::from_bytes([n; 32])
}

impl State {
    fn word(&self) -> &'static str {
        self.plugin_state().word()
    }
}

/// The ending of an event of the only command.
fn ending(person: u64, failed: bool) -> Ending {
    Ending { failed, kind: 1, person }
}

/// The phase of a fake generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fake {
    Starting,
    Up,
    /// The generation was told to stop, or killed.
    Going,
}

/// A request that a fake generation has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Probe(u32),
    Snapshot,
    Restore,
    Migrate,
}

/// The environment of the state machine.
struct World {
    state: State,
    now: Instant,
    fakes: BTreeMap<GenerationId, (Fake, Hash)>,
    asked: Vec<(GenerationId, Asked)>,
    tickets: u64,
    finished: HashMap<Ticket, Result<Done, ChangeError>>,
    events: Vec<StateEvent>,
    /// Events that the last check has seen.
    checked: usize,
    forced: Vec<Hash>,
    /// Artifacts that have been good.
    good: HashSet<Hash>,
    disk: store::Disk,
}

impl World {
    fn new() -> Self {
        Self::after(BuildHistory::default())
    }

    /// A world that starts with the history of an earlier host.
    fn after(history: BuildHistory) -> Self {
        Self {
            state: State::new(policy(), restart(), history),
            now: Instant::now(),
            fakes: BTreeMap::new(),
            asked: Vec::new(),
            tickets: 0,
            finished: HashMap::new(),
            events: Vec::new(),
            checked: 0,
            forced: Vec::new(),
            good: HashSet::new(),
            disk: store::Disk::default(),
        }
    }

    /// A world in which artifact 1 runs as generation 1 and is good.
    fn running() -> Self {
        let mut world = Self::new();
        world.state.start(artifact(1));
        world.apply_effects();
        world.started(1, true);
        assert_eq!(world.state.active(), Some(1));
        world
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    fn reload(&mut self, to: u8, mode: ReloadMode) -> Ticket {
        let ticket = self.ticket();
        self.state.reload(self.now, ticket, artifact(to), mode, false);
        self.apply_effects();
        ticket
    }

    /// Applies the effects of the machine, and checks the invariants.
    fn apply_effects(&mut self) {
        for effect in self.state.effects() {
            match effect {
                Effect::Spawn { generation, artifact, .. } => {
                    let is_new = self.fakes.insert(generation, (Fake::Starting, artifact)).is_none();
                    assert!(is_new, "generation {generation} twice");
                    let blocked = self.state.history().blocked.contains(&artifact);
                    assert!(!blocked || self.forced.contains(&artifact), "a blocked artifact is started");
                }
                Effect::Probe { generation, attempt } => self.asked.push((generation, Asked::Probe(attempt))),
                Effect::TakeSnapshot { generation } => self.asked.push((generation, Asked::Snapshot)),
                Effect::Restore { generation, .. } => self.asked.push((generation, Asked::Restore)),
                Effect::Migrate { generation, from } => {
                    assert_eq!(self.disk.versions.now, Some(from), "it migrates from another version");
                    self.asked.push((generation, Asked::Migrate));
                }
                Effect::ApplyMigration { generation, from, to } => {
                    self.disk.jobs.push_back(store::Job::Apply { generation, from, to });
                }
                Effect::PutBack => self.disk.jobs.push_back(store::Job::PutBack),
                Effect::Retire { generation } => {
                    if let Some(fake) = self.fakes.get_mut(&generation) {
                        fake.0 = Fake::Going;
                    }
                }
                Effect::Kill { generation, .. } => match self.fakes.get_mut(&generation) {
                    // A start that is cut off ends without a report.
                    Some((Fake::Starting, _)) => drop(self.fakes.remove(&generation)),
                    Some(fake) => fake.0 = Fake::Going,
                    None => {}
                },
                Effect::Finish { ticket, result } => {
                    assert!(self.finished.insert(ticket, result).is_none(), "ticket {ticket} answered twice");
                }
                Effect::Persist => self.disk.unsaved = true,
                Effect::Emit(event) => self.events.push(event),
            }
        }
        self.check();
    }

    fn check(&mut self) {
        if let Some(route) = self.state.route() {
            assert_eq!(self.fakes.get(&route).map(|fake| fake.0), Some(Fake::Up), "events go to a dead generation");
        }
        if let Some(staged) = self.state.staged() {
            assert!(self.fakes.contains_key(&staged), "what is staged is not there");
            assert_ne!(self.state.active(), Some(staged));
        }
        for (generation, (fake, _)) in &self.fakes {
            let is_old = self.state.old().iter().any(|old| old.generation == *generation);
            let is_starting = matches!(self.state.phase(), Phase::Starting { generation: g, .. } if g == generation);
            let known = is_old || is_starting || self.state.active() == Some(*generation);
            let known = known || self.state.role(*generation) == Role::Staged;
            assert!(known || *fake == Fake::Going, "generation {generation} is forgotten");
        }
        if let (Some(bake), Phase::Running { artifact, .. }) = (self.state.bake(), self.state.phase()) {
            assert_ne!(bake.previous, *artifact);
        }
        // An artifact becomes good only at the end of its bake, unless it is the very first one.
        if let Some(good) = self.state.history().last_good
            && self.good.insert(good)
            && self.good.len() > 1
        {
            let is_over = |event: &StateEvent| {
                matches!(event, StateEvent::BakeOver { verdict: Verdict::Good | Verdict::Inconclusive, .. })
            };
            assert!(self.events[self.checked..].iter().any(is_over), "good before the end of its bake");
        }
        self.checked = self.events.len();
        self.check_store();
        assert!(self.state.old().len() <= OLD_KEPT + 3, "old generations pile up");
    }

    fn started(&mut self, generation: GenerationId, well: bool) {
        let Some(fake) = self.fakes.get_mut(&generation) else { return };
        if fake.0 != Fake::Starting {
            return;
        }
        let result = if well {
            fake.0 = Fake::Up;
            Ok(self.disk.format(fake.1))
        } else {
            self.fakes.remove(&generation);
            Err(StartProblem { why: "it does not start".into(), fault: Fault::Start })
        };
        self.state.started(self.now, generation, result);
        self.apply_effects();
    }

    fn answer(&mut self, at: usize, well: bool) {
        let (generation, asked) = self.asked.swap_remove(at);
        if self.fakes.get(&generation).is_none_or(|fake| fake.0 != Fake::Up) {
            return;
        }
        let result = if well { Ok(()) } else { Err("no".to_owned()) };
        match asked {
            Asked::Probe(attempt) => self.state.probed(self.now, generation, attempt, result),
            Asked::Snapshot => {
                let snapshot = Snapshot { version: 1, bytes: vec![1] };
                self.state.snapshot_taken(self.now, generation, result.map(|()| snapshot));
            }
            Asked::Restore => self.state.restored(self.now, generation, result),
            Asked::Migrate => self.state.migration_said(self.now, generation, result),
        }
        self.apply_effects();
    }

    fn exit(&mut self, generation: GenerationId) {
        if self.fakes.get(&generation).is_some_and(|fake| fake.0 != Fake::Starting) {
            self.fakes.remove(&generation);
            self.state.exited(self.now, generation, "killed by signal 9");
            self.apply_effects();
        }
    }

    fn drained(&mut self) {
        for generation in self.fakes.keys().copied().collect::<Vec<_>>() {
            if self.state.route() != Some(generation) {
                self.state.drained(self.now, generation);
                self.apply_effects();
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.state.tick(self.now);
        self.apply_effects();
    }

    /// Lets everything under way end with success.
    fn calm(&mut self) {
        for _ in 0..200 {
            for generation in self.fakes.keys().copied().collect::<Vec<_>>() {
                self.started(generation, true);
                if self.fakes.get(&generation).is_some_and(|fake| fake.0 == Fake::Going) {
                    self.exit(generation);
                }
            }
            while !self.asked.is_empty() {
                self.answer(0, true);
            }
            while !self.disk.jobs.is_empty() {
                self.work(true);
            }
            self.save();
            self.drained();
            self.pass(SECOND);
        }
    }
}

#[test]
fn a_reload_swaps_after_the_probe_and_parks_the_old_one_until_the_bake_is_over() {
    let mut world = World::running();
    let ticket = world.reload(2, ReloadMode::Overlap);
    assert_eq!(world.state.word(), "reloading");
    world.started(2, true);
    assert_eq!(world.state.route(), Some(1), "the old one serves until the new one has proved itself");
    world.answer(0, true);
    assert_eq!(world.state.route(), Some(2));
    assert_eq!(world.finished[&ticket].as_ref().map(|done| done.generation), Ok(Some(2)));
    world.drained();
    assert_eq!(world.state.old()[0].phase, OldPhase::Parked);
    assert_eq!(world.state.history().last_good, Some(artifact(1)));
    world.pass(31 * SECOND);
    assert_eq!(world.state.history().last_good, Some(artifact(2)));
    assert!(world.events.contains(&StateEvent::BakeOver { verdict: Verdict::Inconclusive, events: 0 }));
    assert!(matches!(world.state.old()[0].phase, OldPhase::Retiring { .. }));
    world.exit(1);
    assert!(world.state.old().is_empty());
}

#[test]
fn a_probe_that_fails_three_times_or_hangs_leaves_the_old_one_alone() {
    let mut world = World::running();
    let ticket = world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    for _ in 0..3 {
        world.answer(0, false);
    }
    assert!(matches!(world.finished[&ticket], Err(ChangeError::Probe { attempts: 3, .. })));
    assert_eq!(world.state.route(), Some(1));
    let ticket = world.reload(3, ReloadMode::Overlap);
    world.started(3, true);
    world.pass(5 * SECOND);
    assert!(matches!(world.finished[&ticket], Err(ChangeError::ProbeTimedOut(_))));
    assert_eq!((world.state.route(), world.state.word()), (Some(1), "running"));
}

#[test]
fn a_crash_in_the_bake_goes_back_to_the_parked_process_and_blocks_the_build() {
    let mut world = World::running();
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    world.drained();
    world.exit(2);
    assert_eq!(world.state.route(), Some(1), "at once, without a start");
    assert!(world.events.iter().any(|event| matches!(event, StateEvent::RolledBack { warm: true, .. })));
    assert_eq!(world.state.history().blocked, [artifact(2)]);
    let ticket = world.reload(2, ReloadMode::Overlap);
    assert!(matches!(world.finished[&ticket], Err(ChangeError::Blocked(_))));
}

#[test]
fn a_crash_in_the_bake_starts_the_old_artifact_when_its_process_is_gone() {
    let mut world = World::running();
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    world.exit(1);
    world.exit(2);
    assert_eq!(world.state.phase(), &Phase::Starting { generation: 3, artifact: artifact(1) });
}

#[test]
fn too_many_failures_in_the_bake_go_back_and_a_few_do_not() {
    let mut world = World::running();
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    for n in 0..9 {
        world.state.outcome(world.now, 2, ending(n, n % 2 == 0));
        world.apply_effects();
    }
    assert_eq!(world.state.route(), Some(2), "nine events prove nothing");
    world.state.outcome(world.now, 2, ending(1, true));
    world.apply_effects();
    assert_eq!(world.state.route(), Some(1), "six of ten failed");
}

#[test]
fn a_plugin_that_always_fails_some_is_not_rolled_back_for_it() {
    let mut world = World::running();
    for n in 0..10 {
        world.state.outcome(world.now, 1, ending(n, n < 8));
    }
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    for n in 0..20 {
        world.state.outcome(world.now, 2, ending(n, n % 4 != 0));
        world.apply_effects();
    }
    assert_eq!(world.state.route(), Some(2));
}

#[test]
fn a_handoff_holds_events_while_the_state_moves_and_gives_up_in_time() {
    let mut world = World::running();
    let ticket = world.reload(2, ReloadMode::Handoff);
    world.started(2, true);
    world.answer(0, true);
    assert_eq!(world.state.route(), None, "held");
    world.drained();
    world.answer(0, true);
    world.answer(0, true);
    assert_eq!(world.state.route(), Some(2));
    assert!(world.finished[&ticket].is_ok());

    let ticket = world.reload(3, ReloadMode::Handoff);
    world.started(3, true);
    world.answer(0, true);
    world.drained();
    world.pass(2 * SECOND);
    assert!(matches!(world.finished[&ticket], Err(ChangeError::HandoffTimedOut { what: "write its state", .. })));
    assert_eq!(world.state.route(), Some(2), "the old one goes on");
}

#[test]
fn an_exclusive_change_that_fails_brings_the_old_artifact_back() {
    let mut world = World::running();
    let ticket = world.reload(2, ReloadMode::Exclusive);
    assert_eq!(world.state.route(), None, "held");
    world.drained();
    world.exit(1);
    world.started(2, false);
    assert!(matches!(world.finished[&ticket], Err(ChangeError::Start(_))));
    world.started(3, true);
    assert!(matches!(world.state.phase(), Phase::Running { generation: 3, artifact: a, .. } if *a == artifact(1)));
}

#[test]
fn one_change_at_a_time_and_the_same_artifact_only_by_force() {
    let mut world = World::running();
    let same = world.reload(1, ReloadMode::Overlap);
    assert!(matches!(world.finished[&same], Err(ChangeError::SameArtifact(_))));
    world.reload(2, ReloadMode::Overlap);
    let second = world.reload(3, ReloadMode::Overlap);
    assert_eq!(world.finished[&second], Err(ChangeError::Busy(ChangeKind::Reload)));
}

#[test]
fn a_crash_loop_ends_in_failed_and_a_new_artifact_brings_it_back() {
    let mut world = World::running();
    let mut crashes = 0;
    while let Some(active) = world.state.active() {
        world.exit(active);
        crashes += 1;
        world.pass(40 * SECOND - SECOND * 20);
        if let Phase::Starting { generation, .. } = *world.state.phase() {
            world.started(generation, true);
        }
    }
    assert_eq!((crashes, world.state.word()), (5, "failed"));
    let ticket = world.reload(2, ReloadMode::Overlap);
    let staged = world.state.staged().expect("it is tried");
    world.started(staged, true);
    world.answer(0, true);
    assert!(world.finished[&ticket].is_ok());
    assert_eq!(world.state.word(), "running");
}

#[test]
fn rollback_on_request_goes_back_warm_in_the_bake_and_cold_after_it() {
    let mut world = World::running();
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    world.drained();
    world.pass(31 * SECOND);
    world.exit(1);
    let ticket = world.ticket();
    world.state.rollback(world.now, ticket, ReloadMode::Overlap);
    world.apply_effects();
    world.calm();
    assert!(world.finished[&ticket].is_ok());
    assert!(matches!(world.state.phase(), Phase::Running { artifact: a, .. } if *a == artifact(1)));
    let ticket = world.ticket();
    world.state.rollback(world.now, ticket, ReloadMode::Overlap);
    world.apply_effects();
    assert_eq!(world.finished[&ticket], Err(ChangeError::NoEarlier), "no ping-pong");
}

#[test]
fn a_drain_that_takes_too_long_is_cut_off() {
    let mut world = World::running();
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    world.pass(30 * SECOND);
    assert!(world.events.contains(&StateEvent::DrainTimedOut { generation: 1 }));
    assert_eq!(world.fakes[&1].0, Fake::Going);
}

/// A world in which artifact 1 is good and artifact 2 runs as generation 2, in its bake.
fn baking() -> World {
    let mut world = World::running();
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    world.drained();
    world
}

#[test]
fn a_restart_in_the_bake_neither_ends_it_nor_makes_the_build_good() {
    let mut world = baking();
    let ticket = world.ticket();
    world.state.restart(world.now, ticket, ReloadMode::Overlap);
    world.apply_effects();
    world.drained();
    world.exit(2);
    world.started(3, true);
    world.answer(0, true);
    assert!(world.finished[&ticket].is_ok());
    assert_eq!(world.state.history().last_good, Some(artifact(1)));
    world.exit(3);
    assert_eq!(world.state.route(), Some(1), "back to the process that is parked still");
    assert_eq!(world.state.history().blocked, [artifact(2)]);
}

#[test]
fn going_back_to_a_build_whose_bake_was_cut_short_does_not_make_it_good() {
    let mut world = baking();
    world.reload(3, ReloadMode::Overlap);
    world.started(3, true);
    world.answer(0, true);
    world.drained();
    world.exit(3);
    assert_eq!(world.state.route(), Some(2));
    assert_eq!(world.state.history().last_good, Some(artifact(1)), "a host that starts now runs this");
    world.exit(1);
    world.exit(2);
    assert_eq!(world.state.phase(), &Phase::Starting { generation: 4, artifact: artifact(1) }, "it bakes again");
    assert_eq!(world.state.history().blocked, [artifact(3), artifact(2)]);
}

#[test]
fn poison_events_do_not_make_a_working_plugin_fail_and_a_broken_one_fails_all_the_same() {
    let mut world = World::running();
    let up = |world: &mut World| {
        while world.state.active().is_none() && world.state.word() != "failed" {
            world.pass(SECOND);
            if let Phase::Starting { generation, .. } = *world.state.phase() {
                world.started(generation, true);
            }
        }
        world.state.active()
    };
    let poisoned = |world: &mut World, works: bool| {
        let Some(active) = up(world) else { return };
        world.state.outcome(world.now, active, ending(0, !works));
        world.exit(active);
        let Some(active) = up(world) else { return };
        world.fakes.remove(&active);
        world.state.poisoned(world.now, active, "SIGSEGV");
        world.apply_effects();
    };
    for _ in 0..100 {
        poisoned(&mut world, true);
    }
    assert!(up(&mut world).is_some());
    for _ in 0..4 {
        poisoned(&mut world, false);
    }
    assert_eq!(world.state.word(), "failed");
}

#[test]
fn what_the_host_cannot_do_is_not_counted_against_the_plugin() {
    let mut world = World::running();
    world.exit(1);
    for generation in 2..50 {
        let full = StartProblem { why: "no space left".into(), fault: Fault::Host };
        world.fakes.remove(&generation);
        world.state.started(world.now, generation, Err(full));
        world.apply_effects();
        assert_eq!(world.state.word(), "crashed");
        world.pass(HOST_RETRY);
        assert_eq!(world.state.phase(), &Phase::Starting { generation: generation + 1, artifact: artifact(1) });
    }
    world.started(50, true);
    assert_eq!((world.state.word(), world.state.history().failures), ("running", 1));
}

#[test]
fn settings_that_are_refused_are_not_tried_again_before_somebody_says_so() {
    let mut world = World::running();
    world.exit(1);
    world.fakes.remove(&2);
    let refused = StartProblem { why: "its setting city is refused".into(), fault: Fault::Settings };
    world.state.started(world.now, 2, Err(refused));
    world.apply_effects();
    assert_eq!(world.state.word(), "failed");
    world.pass(3600 * SECOND);
    assert_eq!(world.state.word(), "failed");
    assert!(world.state.start(artifact(1)));
    world.apply_effects();
    world.started(3, true);
    assert_eq!(world.state.word(), "running");
}

#[test]
fn a_start_by_hand_and_a_new_build_get_a_whole_hour_of_crashes() {
    let mut world = World::running();
    let crash_until_it_fails = |world: &mut World| {
        let mut crashes = 0;
        while let Some(active) = world.state.active() {
            world.pass(31 * SECOND);
            world.exit(active);
            crashes += 1;
            if let Phase::Starting { generation, .. } = *world.state.phase() {
                world.started(generation, true);
            }
        }
        crashes
    };
    assert_eq!(crash_until_it_fails(&mut world), 20);
    world.state.start(artifact(1));
    world.apply_effects();
    world.calm();
    assert_eq!(crash_until_it_fails(&mut world), 20);
}

/// One thing that can happen.
#[derive(Debug, Clone)]
enum Op {
    Start,
    Reload(u8, u8, bool),
    Rollback,
    Restart(u8),
    Stop,
    Started(usize, bool),
    Answer(usize, bool),
    Exit(usize),
    Drained,
    Outcome(u64, bool),
    /// The disk does the next thing, or cannot.
    Work(bool),
    Save,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Start),
        4 => (1u8..6, 0u8..3, any::<bool>()).prop_map(|(to, mode, force)| Op::Reload(to, mode, force)),
        1 => Just(Op::Rollback),
        1 => (0u8..3).prop_map(Op::Restart),
        1 => Just(Op::Stop),
        8 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(at, well)| Op::Started(at, well)),
        8 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(at, well)| Op::Answer(at, well)),
        3 => any::<usize>().prop_map(Op::Exit),
        3 => Just(Op::Drained),
        4 => (0u64..3, any::<bool>()).prop_map(|(person, failed)| Op::Outcome(person, failed)),
        4 => prop::bool::weighted(0.8).prop_map(Op::Work),
        2 => Just(Op::Save),
        5 => (1u64..20_000).prop_map(Op::Pass),
    ]
}

fn mode_of(mode: u8) -> ReloadMode {
    [ReloadMode::Overlap, ReloadMode::Handoff, ReloadMode::Exclusive][usize::from(mode)]
}

fn apply(world: &mut World, op: &Op) {
    match *op {
        Op::Start => drop(world.state.start(world.state.history().last_good.unwrap_or(artifact(1)))),
        Op::Reload(to, mode, force) => {
            let ticket = world.ticket();
            if force {
                world.forced.push(artifact(to));
            }
            world.state.reload(world.now, ticket, artifact(to), mode_of(mode), force);
        }
        Op::Rollback => {
            let ticket = world.ticket();
            world.state.rollback(world.now, ticket, ReloadMode::Overlap);
        }
        Op::Restart(mode) => {
            let ticket = world.ticket();
            world.state.restart(world.now, ticket, mode_of(mode));
        }
        Op::Stop => {
            let ticket = world.ticket();
            world.state.stop(world.now, ticket);
        }
        Op::Started(at, well) => {
            let starting: Vec<_> =
                world.fakes.iter().filter(|(_, fake)| fake.0 == Fake::Starting).map(|(number, _)| *number).collect();
            if !starting.is_empty() {
                world.started(starting[at % starting.len()], well);
            }
        }
        Op::Answer(at, well) if !world.asked.is_empty() => world.answer(at % world.asked.len(), well),
        Op::Exit(at) if !world.fakes.is_empty() => {
            let number = *world.fakes.keys().nth(at % world.fakes.len()).expect("within");
            world.exit(number);
        }
        Op::Drained => world.drained(),
        Op::Outcome(person, failed) => {
            if let Some(active) = world.state.active() {
                world.state.outcome(world.now, active, ending(person, failed));
                world.keep(!failed);
            }
        }
        Op::Work(well) => world.work(well),
        Op::Save => world.save(),
        Op::Pass(millis) => world.pass(Duration::from_millis(millis)),
        Op::Answer(..) | Op::Exit(_) => {}
    }
    world.apply_effects();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_happens_the_slot_stays_sane_and_comes_to_rest(migrates in any::<bool>(), ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        world.disk.migrates = migrates;
        for op in &ops {
            apply(&mut world, op);
        }
        world.calm();
        prop_assert!(world.state.change().is_none(), "{:?}", world.state.change());
        prop_assert!(world.state.old().is_empty(), "{:?}", world.state.old());
        prop_assert!(world.state.bake().is_none());
        prop_assert_eq!(world.finished.len() as u64, world.tickets, "every request is answered");
        let live = world.fakes.len();
        match world.state.phase() {
            Phase::Running { generation, .. } => {
                prop_assert_eq!(live, 1);
                prop_assert!(world.fakes.contains_key(generation));
            }
            Phase::Stopped | Phase::Waiting { .. } | Phase::Failed { .. } => prop_assert_eq!(live, 0),
            other => prop_assert!(false, "not at rest: {other:?}"),
        }
    }
}

#[test]
fn a_host_that_starts_again_goes_on_counting_failures() {
    let history = BuildHistory { last_good: Some(artifact(1)), failures: 4, ..BuildHistory::default() };
    let now = Instant::now();
    let mut state = State::new(policy(), restart(), history);
    state.start(artifact(1));
    state.started(now, 1, Ok(StoreFormat::default()));
    state.exited(now, 1, "SIGSEGV");
    assert_eq!(state.word(), "failed", "the fifth in a row");
    state.start(artifact(1));
    state.started(now, 2, Ok(StoreFormat::default()));
    state.exited(now, 2, "SIGSEGV");
    assert_eq!(state.word(), "starting", "by hand it is tried anew");
}

#[test]
fn what_the_host_could_not_do_is_tried_again_and_never_counted() {
    let mut now = Instant::now();
    let mut state = State::new(policy(), restart(), BuildHistory::default());
    let full = || StartProblem { why: "the disk is full".into(), fault: Fault::Host };
    for _ in 0..100 {
        state.cannot_start(full());
    }
    assert_eq!(state.phase(), &Phase::Waiting { why: "the disk is full".into() });
    assert!(state.will_run(), "events have something to wait for");
    let postponed = StateEvent::StartPostponed { why: "the disk is full".into() };
    assert_eq!(state.effects(), [Effect::Emit(postponed)], "reported once");
    assert!(state.start(artifact(1)));
    for generation in 1..100 {
        state.started(now, generation, Err(full()));
        let Phase::Backoff { until, why, .. } = state.phase().clone() else { panic!("{:?}", state.phase()) };
        assert_eq!(why.as_deref(), Some("the disk is full"));
        now = until;
        state.tick(now);
    }
    state.started(now, 100, Ok(StoreFormat::default()));
    assert_eq!((state.word(), state.history().failures), ("running", 0));
    // A restart that finds the disk full.
    state.restart(now, 7, ReloadMode::Overlap);
    state.drained(now, 100);
    state.exited(now, 100, "told to stop");
    for generation in 101..200 {
        state.started(now, generation, Err(full()));
        now += HOST_RETRY;
        state.tick(now);
    }
    state.started(now, 200, Ok(StoreFormat::default()));
    assert_eq!((state.word(), state.history().failures), ("running", 0));
}
