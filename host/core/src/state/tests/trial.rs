//! What counts against a build on trial, what does not, and what happens to a trial that is cut short.

use super::*;
use crate::state::bake::KINDS;

/// Ends an event in the active generation.
fn end(world: &mut World, kind: u64, person: u64, failed: bool) {
    let active = world.state.active().expect("it serves");
    world.state.outcome(world.now, active, Ending { failed, kind, person });
    world.apply_effects();
}

#[test]
fn what_one_person_types_vetoes_no_build() {
    let mut world = baking();
    for _ in 0..100 {
        end(&mut world, 1, 7, true);
    }
    assert_eq!(world.state.route(), Some(2), "one person");
    end(&mut world, 1, 8, true);
    assert_eq!(world.state.route(), Some(1), "two of them");
}

#[test]
fn input_that_failed_before_says_nothing_about_the_new_build_and_other_input_does() {
    let mut world = World::running();
    end(&mut world, 1, 1, true);
    end(&mut world, 2, 1, false);
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    for person in 0..100 {
        end(&mut world, 1, person, true);
    }
    assert_eq!(world.state.bake().map(|bake| (bake.events, bake.failed)), Some((0, 0)));
    for person in 0..10 {
        assert_eq!(world.state.route(), Some(2));
        end(&mut world, 2, person, true);
    }
    assert_eq!(world.state.route(), Some(1), "that went well in the build before");
}

#[test]
fn the_kinds_of_input_that_are_counted_are_limited() {
    let mut tally = Tally::default();
    for kind in 0..1000 {
        tally.count(kind, true);
    }
    assert_eq!((tally.0.len(), tally.rate(0), tally.rate(999)), (KINDS, Some(1.0), None));
}

#[test]
fn an_orderly_stop_keeps_the_trial_and_the_next_start_goes_on_with_it() {
    let mut world = baking();
    let ticket = world.ticket();
    world.state.stop(world.now, ticket);
    world.apply_effects();
    assert_eq!(world.state.history().on_trial, Some(artifact(2)));
    assert_eq!(world.state.history().last_good, Some(artifact(1)));
    let mut world = World::after(world.state.history().clone());
    world.state.start(artifact(2));
    world.apply_effects();
    world.started(1, true);
    assert_eq!(world.state.bake().map(|bake| bake.previous), Some(artifact(1)), "begun anew");
    assert_eq!(world.state.history().on_trial, None, "a host that is killed now starts the good one");
    world.exit(1);
    assert_eq!(world.state.phase(), &Phase::Starting { generation: 2, artifact: artifact(1) });
    assert_eq!(world.state.history().blocked, [artifact(2)]);
}

#[test]
fn a_trial_that_goes_badly_or_ends_in_a_crash_is_not_gone_on_with() {
    let mut world = baking();
    end(&mut world, 1, 1, true);
    let ticket = world.ticket();
    world.state.stop(world.now, ticket);
    assert_eq!(world.state.history().on_trial, None, "all of its events failed");
    let mut world = baking();
    let ticket = world.ticket();
    world.state.stop(world.now, ticket);
    world.apply_effects();
    world.exit(2);
    assert_eq!(world.state.history().on_trial, None, "it crashed at its last event");
}

#[test]
fn a_build_on_trial_that_does_not_start_goes_back_unless_the_host_is_to_blame() {
    let on_trial = || {
        let history = BuildHistory {
            active: Some(artifact(2)),
            last_good: Some(artifact(1)),
            on_trial: Some(artifact(2)),
            ..BuildHistory::default()
        };
        let mut world = World::after(history);
        world.state.start(artifact(2));
        world.apply_effects();
        world
    };
    let mut world = on_trial();
    world.started(1, false);
    assert_eq!(world.state.phase(), &Phase::Starting { generation: 2, artifact: artifact(1) });
    assert_eq!(world.state.history().blocked, [artifact(2)]);
    let mut world = on_trial();
    world.fakes.clear();
    world.state.started(world.now, 1, Err(StartProblem { why: "no space left".into(), fault: Fault::Host }));
    world.apply_effects();
    assert!(world.state.history().blocked.is_empty());
    world.pass(HOST_RETRY);
    assert_eq!(world.state.phase(), &Phase::Starting { generation: 2, artifact: artifact(2) });
}

#[test]
fn a_host_that_ends_during_a_start_does_not_count_against_the_plugin() {
    let mut world = World::after(BuildHistory { last_good: Some(artifact(1)), ..BuildHistory::default() });
    world.state.start(artifact(1));
    world.apply_effects();
    let ticket = world.ticket();
    world.state.stop(world.now, ticket);
    world.apply_effects();
    // The end of its process may still be reported.
    world.state.started(world.now, 1, Err(StartProblem { why: "it ended while starting".into(), fault: Fault::Start }));
    world.apply_effects();
    assert_eq!((world.state.word(), world.state.history().failures), ("stopped", 0));
    assert!(world.events.is_empty(), "{:?}", world.events);
}

#[test]
fn why_it_failed_is_told_once_and_shown_for_ever() {
    let mut world = World::running();
    while let Some(active) = world.state.active() {
        world.exit(active);
        world.pass(30 * SECOND);
        if let Phase::Starting { generation, .. } = *world.state.phase() {
            world.started(generation, true);
        }
    }
    let told = StateEvent::GaveUp { why: "5 starts in a row did not stay up".into(), fault: Fault::Start };
    assert_eq!(world.events.last(), Some(&told));
    let why = "5 starts in a row did not stay up; the last one: killed by signal 9".to_owned();
    assert_eq!(world.state.phase(), &Phase::Failed { why });

    let mut world = World::new();
    world.state.start(artifact(1));
    world.apply_effects();
    world.fakes.clear();
    world.state.started(world.now, 1, Err(StartProblem { why: "no plugin".into(), fault: Fault::Artifact }));
    world.apply_effects();
    assert_eq!(world.events, [StateEvent::GaveUp { why: "no plugin".into(), fault: Fault::Artifact }]);
}

#[test]
fn a_start_is_answered_when_it_is_over_however_it_ends() {
    let ask = |world: &mut World| {
        let ticket = world.ticket();
        world.state.when_started(ticket);
        world.apply_effects();
        ticket
    };
    let mut world = World::new();
    world.state.start(artifact(1));
    let ticket = ask(&mut world);
    assert!(!world.finished.contains_key(&ticket), "it is under way");
    world.started(1, true);
    assert_eq!(world.finished[&ticket].as_ref().map(|done| done.generation), Ok(Some(1)));
    let ticket = ask(&mut world);
    assert!(world.finished[&ticket].is_ok(), "it is up already");

    let mut world = World::new();
    world.state.start(artifact(1));
    let ticket = ask(&mut world);
    world.started(1, false);
    world.started(2, false);
    assert!(matches!(&world.finished[&ticket], Err(ChangeError::Start(why)) if why.contains("it does not start")));

    let mut world = World::new();
    world.state.start(artifact(1));
    let (ticket, stop) = (ask(&mut world), world.ticket());
    world.state.stop(world.now, stop);
    world.apply_effects();
    assert_eq!(world.finished[&ticket], Err(ChangeError::Stopped));
}

#[test]
fn a_build_that_is_rolled_back_from_by_hand_is_not_blocked() {
    for is_over in [false, true] {
        let mut world = baking();
        if is_over {
            world.pass(31 * SECOND);
        }
        let ticket = world.ticket();
        world.state.rollback(world.now, ticket, ReloadMode::Overlap);
        world.calm();
        assert!(matches!(world.state.phase(), Phase::Running { artifact: a, .. } if *a == artifact(1)));
        assert!(world.state.history().blocked.is_empty());
        let ticket = world.reload(2, ReloadMode::Overlap);
        world.calm();
        assert!(world.finished[&ticket].is_ok(), "without force");
    }
}

#[test]
fn a_restart_of_a_plugin_that_hands_its_state_over_does_so() {
    let mut world = World::running();
    let ticket = world.ticket();
    world.state.restart(world.now, ticket, ReloadMode::Handoff);
    world.apply_effects();
    assert_eq!(world.state.route(), Some(1), "it serves until the new process has proved itself");
    world.started(2, true);
    world.answer(0, true);
    world.drained();
    assert_eq!(world.asked, [(1, Asked::Snapshot)]);
    world.answer(0, true);
    world.answer(0, true);
    assert!(world.finished[&ticket].is_ok());
    assert_eq!((world.state.route(), world.state.bake()), (Some(2), None));
    world.drained();
    assert!(matches!(world.state.old()[0].phase, OldPhase::Retiring { .. }), "nothing is parked for the same build");
}

#[test]
fn an_event_that_crashes_the_build_before_too_does_not_block_the_new_one() {
    let mut world = baking();
    world.exit(2);
    assert_eq!(world.state.history().blocked, [artifact(2)]);
    world.fakes.remove(&1);
    world.state.poisoned(world.now, 1, "SIGSEGV");
    world.apply_effects();
    assert!(world.state.history().blocked.is_empty());
    assert!(world.events.contains(&StateEvent::Unblocked { artifact: artifact(2) }));

    let mut world = baking();
    world.exit(2);
    world.exit(1);
    world.started(3, true);
    world.fakes.remove(&3);
    world.state.poisoned(world.now, 3, "SIGSEGV");
    assert_eq!(world.state.history().blocked, [artifact(2)], "another crash came in between");
}

#[test]
fn an_event_that_had_killed_the_old_build_does_not_block_the_new_one() {
    let mut world = World::running();
    world.reload(2, ReloadMode::Overlap);
    world.started(2, true);
    world.answer(0, true);
    world.drained();
    world.fakes.remove(&2);
    world.state.poisoned(world.now, 2, "SIGSEGV");
    world.apply_effects();
    assert_eq!(world.state.phase(), &Phase::Starting { generation: 3, artifact: artifact(2) });
    assert!(world.state.history().blocked.is_empty() && world.state.bake().is_some());
    world.started(3, true);
    world.exit(3);
    assert_eq!(world.state.history().blocked, [artifact(2)], "a crash of its own does");
}
