//! The ledger balances and order holds, whatever generations do.

use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

/// An event of these tests: its channel and its number within it.
type Numbered = (u64, u64);

/// The channel whose events wait for no other.
const FREE: u64 = 3;

fn order_key(channel: u64) -> Option<u64> {
    (channel != FREE).then_some(channel)
}

const DEADLINE: Duration = Duration::from_secs(30);

fn limits() -> FlowLimits {
    FlowLimits { queue: 8, in_flight: 4, deadline: DEADLINE }
}

fn replied() -> Outcome {
    Outcome::Replied(String::new())
}

/// A flow, with the events that went in and those that came out.
struct Model {
    flow: Flow<Numbered>,
    now: Instant,
    sent: HashMap<u64, u64>,
    ended: Vec<(Numbered, Outcome)>,
    in_flight: Vec<(u64, u64)>,
    guilty: HashMap<Numbered, usize>,
    quarantined: Vec<u64>,
    committing: Vec<u64>,
    conflicts: HashMap<u64, u32>,
}

impl Model {
    fn new() -> Self {
        Self {
            flow: Flow::new(limits()),
            now: Instant::now(),
            sent: HashMap::new(),
            ended: Vec::new(),
            in_flight: Vec::new(),
            guilty: HashMap::new(),
            quarantined: Vec::new(),
            committing: Vec::new(),
            conflicts: HashMap::new(),
        }
    }

    fn admit(&mut self, channel: u64) {
        let number = self.sent.entry(channel).or_default();
        *number += 1;
        if let Some(ended) = self.flow.admit(self.now, order_key(channel), (channel, *number)) {
            assert_eq!(ended.outcome, Outcome::Rejected(Rejection::QueueFull));
            // A rejected event has its outcome at once and never joins the chain.
            *number -= 1;
        }
        self.check();
    }

    fn admit_ended(&mut self, channel: u64) {
        let number = self.sent.entry(channel).or_default();
        *number += 1;
        let (waits, crowd) = (self.flow.tails.contains_key(&channel), self.flow.entries.len());
        let mut at_once = None;
        self.flow
            .admit_ended(self.now, order_key(channel), (channel, *number), replied(), &mut |end| at_once = Some(end));
        match at_once {
            Some(_) if waits => {
                assert!(crowd >= limits().queue + limits().in_flight, "handed out before its turn");
                *number -= 1;
            }
            Some(end) => self.ended.push((end.event, end.outcome)),
            None => assert!(waits),
        }
        self.check();
    }

    fn deliver(&mut self, generation: u64) {
        if let Some((id, _, event)) = self.flow.next_for(generation) {
            assert!(self.guilty.get(event).is_none_or(|crashes| *crashes < QUARANTINED_AT), "delivered a third time");
            let under_way = || self.in_flight.iter().map(|(id, _)| id).chain(&self.committing);
            let again = under_way().any(|id| self.conflicts.contains_key(id));
            assert!(!again, "delivered beside an event that runs again");
            let is_last = self.conflicts.get(&id).is_some_and(|conflicts| conflicts + 1 == RUNS);
            assert!(!is_last || under_way().next().is_none(), "the last run is not alone");
            self.in_flight.push((id, generation));
        }
        self.check();
    }

    fn answer(&mut self, at: usize) {
        if self.in_flight.is_empty() {
            return;
        }
        let (id, generation) = self.in_flight.swap_remove(at % self.in_flight.len());
        let (ended, late) = (&mut self.ended, self.flow.ledger().late);
        self.flow.answered(id, generation, replied(), &mut |end| ended.push((end.event, end.outcome)));
        assert_eq!(self.flow.ledger().late, late);
        // Answers a second time, as a faulty plugin would.
        self.flow.answered(id, generation, replied(), &mut |_| panic!("answered twice"));
        assert_eq!(self.flow.ledger().late, late + 1);
        self.check();
    }

    fn begin_commit(&mut self, at: usize) {
        if self.in_flight.is_empty() {
            return;
        }
        let (id, generation) = self.in_flight.swap_remove(at % self.in_flight.len());
        assert!(self.flow.begin_commit(id, generation));
        assert!(!self.flow.begin_commit(id, generation), "one answer is enough");
        self.committing.push(id);
        self.check();
    }

    /// Ends a commit, with success or with a conflict.
    fn end_commit(&mut self, at: usize, conflict: bool) {
        if self.committing.is_empty() {
            return;
        }
        let id = self.committing.swap_remove(at % self.committing.len());
        if conflict {
            let conflicts = self.conflicts.entry(id).or_default();
            *conflicts += 1;
            assert_eq!(self.flow.conflicted(id), *conflicts < RUNS);
            if *conflicts < RUNS {
                return self.check();
            }
        }
        let ended = &mut self.ended;
        self.flow.committed(id, replied(), &mut |end| ended.push((end.event, end.outcome)));
        self.flow.committed(id, replied(), &mut |_| panic!("ended twice"));
        self.check();
    }

    fn crash(&mut self, generation: u64, executing: Option<usize>, own_doing: bool) {
        let held: Vec<u64> = self.in_flight.iter().filter(|held| held.1 == generation).map(|held| held.0).collect();
        self.in_flight.retain(|held| held.1 != generation);
        let executing: Vec<u64> =
            executing.and_then(|at| held.get(at % held.len().max(1))).copied().into_iter().collect();
        for id in &executing {
            *self.guilty.entry(*self.flow.get(*id).expect("in flight").0).or_default() += 1;
        }
        if own_doing && executing.is_empty() && held.len() == 1 {
            *self.guilty.entry(*self.flow.get(held[0]).expect("in flight").0).or_default() += 1;
        }
        let blame = Blame { executing: &executing, cause: "a crash", own_doing };
        for quarantined in self.flow.lost(generation, Some(blame)) {
            let event = *self.flow.get(quarantined.id).expect("it is here until it is buried").0;
            assert_eq!(self.guilty[&event], QUARANTINED_AT, "an innocent is quarantined");
            assert_eq!(quarantined.causes.len(), QUARANTINED_AT);
            self.quarantined.push(quarantined.id);
        }
        self.check();
    }

    fn bury(&mut self) {
        let ended = &mut self.ended;
        for id in self.quarantined.drain(..) {
            self.flow.buried(id, &mut |end| ended.push((end.event, end.outcome)));
        }
        self.check();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        let ended = &mut self.ended;
        self.flow.expire(self.now, &mut |end| ended.push((end.event, end.outcome)));
        let flow = &self.flow;
        self.in_flight.retain(|(id, generation)| flow.is_in_flight(*id, *generation));
        self.check();
    }

    fn check(&self) {
        let ledger = self.flow.ledger();
        let under_way = (self.flow.queued() + self.flow.in_flight()) as u64;
        assert_eq!(ledger.accepted, ledger.finished() + under_way, "the ledger does not balance");
        let kept = self.flow.queue.len() + self.flow.again.len();
        assert!(kept <= 2 * limits().queue + 2 * limits().in_flight * 3, "the queues keep ghosts");
        assert_eq!(self.flow.committing, self.committing.len());
        let mut last: HashMap<u64, u64> = HashMap::new();
        let (free, ordered): (Vec<_>, Vec<_>) = self.ended.iter().map(|(event, _)| event).partition(|it| it.0 == FREE);
        assert_eq!(free.iter().collect::<HashSet<_>>().len(), free.len(), "answered twice");
        for (channel, number) in ordered.into_iter().copied() {
            let before = last.insert(channel, number).unwrap_or(0);
            assert_eq!(number, before + 1, "channel {channel} is answered out of order, or twice, or not at all");
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Admit(u64),
    AdmitEnded(u64),
    Deliver(u64),
    Answer(usize),
    BeginCommit(usize),
    EndCommit(usize, bool),
    Crash(u64, Option<usize>, bool),
    Dismissed(u64),
    Bury,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u64..4).prop_map(Op::Admit),
        2 => (0u64..4).prop_map(Op::AdmitEnded),
        8 => (1u64..4).prop_map(Op::Deliver),
        6 => any::<usize>().prop_map(Op::Answer),
        3 => any::<usize>().prop_map(Op::BeginCommit),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(at, conflict)| Op::EndCommit(at, conflict)),
        2 => (1u64..4, prop::option::of(any::<usize>()), any::<bool>()).prop_map(|(g, e, o)| Op::Crash(g, e, o)),
        1 => (1u64..4).prop_map(Op::Dismissed),
        1 => Just(Op::Bury),
        1 => (1u64..40).prop_map(Op::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_event_ends_once_in_the_order_of_its_chain(ops in prop::collection::vec(op(), 1..150)) {
        let mut model = Model::new();
        for op in ops {
            match op {
                Op::Admit(channel) => model.admit(channel),
                Op::AdmitEnded(channel) => model.admit_ended(channel),
                Op::Deliver(generation) => model.deliver(generation),
                Op::Answer(at) => model.answer(at),
                Op::BeginCommit(at) => model.begin_commit(at),
                Op::EndCommit(at, conflict) => model.end_commit(at, conflict),
                Op::Crash(generation, executing, own_doing) => model.crash(generation, executing, own_doing),
                Op::Dismissed(generation) => {
                    model.in_flight.retain(|held| held.1 != generation);
                    prop_assert!(model.flow.lost(generation, None).is_empty(), "no event is to blame");
                    model.check();
                }
                Op::Bury => model.bury(),
                Op::Pass(seconds) => model.pass(Duration::from_secs(seconds)),
            }
        }
        model.bury();
        while !model.committing.is_empty() {
            model.end_commit(0, false);
        }
        model.pass(DEADLINE);
        prop_assert!(model.flow.is_empty());
        prop_assert_eq!((model.flow.suspects, model.flow.contended), (0, (0, 0)));
        prop_assert!(model.flow.tails.is_empty());
    }
}

/// An event that reads and changes what all others do, on its way through a plugin: not read yet, or what it saw.
type Runs = Vec<(u64, Option<u64>)>;

proptest! {
    #[test]
    fn events_that_all_read_and_change_the_same_all_succeed(seed in any::<u64>(), count in 1u64..300, alone in 1usize..40) {
        let mut flow = Flow::new(FlowLimits { queue: 2000, in_flight: 1024, deadline: DEADLINE });
        let (mut chance, mut version) = (fastrand::Rng::with_seed(seed), 0);
        let (mut running, mut answered, mut done) = (Runs::new(), Runs::new(), 0);
        for number in 0..count {
            prop_assert!(flow.admit(Instant::now(), Some(number), number).is_none());
        }
        while done < count {
            while let Some((id, ..)) = flow.next_for(1) {
                running.push((id, None));
            }
            for _ in 0..chance.usize(1..=alone) {
                if running.is_empty() {
                    break;
                }
                let at = chance.usize(..running.len());
                match running[at].1 {
                    None => running[at].1 = Some(version),
                    Some(_) => {
                        let (id, saw) = running.swap_remove(at);
                        prop_assert!(flow.begin_commit(id, 1));
                        answered.push((id, saw));
                    }
                }
            }
            for (id, saw) in answered.drain(..) {
                if saw == Some(version) {
                    version += 1;
                    flow.committed(id, replied(), &mut |_| done += 1);
                } else {
                    prop_assert!(flow.conflicted(id), "it ran {} times in vain", RUNS);
                }
            }
        }
        prop_assert_eq!(version, count);
        prop_assert!(flow.is_empty());
    }
}

#[test]
fn of_a_full_window_only_the_poison_event_is_quarantined() {
    let mut flow = Flow::new(FlowLimits { queue: 2000, in_flight: 1024, deadline: DEADLINE });
    let now = Instant::now();
    for number in 0..1024 {
        assert!(flow.admit(now, Some(number % 7), number).is_none());
    }
    let mut ended = Vec::new();
    let mut quarantined = Vec::new();
    for generation in 1..=3 {
        let mut poison = None;
        let mut others = Vec::new();
        while let Some((id, _, number)) = flow.next_for(generation) {
            if *number == 500 { poison = Some(id) } else { others.push(id) }
        }
        match poison {
            Some(id) => {
                let blame = Blame { executing: &[id], cause: "signal 11", own_doing: true };
                quarantined.extend(flow.lost(generation, Some(blame)));
            }
            None => {
                for id in others {
                    flow.answered(id, generation, replied(), &mut |end| ended.push(end.event));
                }
            }
        }
    }
    assert_eq!(quarantined.len(), 1);
    flow.buried(quarantined[0].id, &mut |end| ended.push(end.event));
    assert_eq!(ended.len(), 1024);
    assert!(flow.is_empty());
    assert_eq!(flow.ledger().outcomes[5], 1);
}

#[test]
fn suspects_go_alone_until_the_guilty_one_is_known() {
    let mut flow = Flow::new(limits());
    let now = Instant::now();
    for number in 0..3u64 {
        assert!(flow.admit(now, Some(number), number).is_none());
    }
    let unexplained = Blame { executing: &[], cause: "signal 6", own_doing: true };
    for generation in [1, 2] {
        assert_eq!(std::iter::from_fn(|| flow.next_for(generation).map(|_| ())).count(), 3, "all at once");
        assert!(flow.lost(generation, Some(unexplained)).is_empty());
    }
    for generation in [3, 4] {
        let (id, ..) = flow.next_for(generation).expect("the first suspect");
        assert!(flow.next_for(generation).is_none(), "alone");
        let quarantined = flow.lost(generation, Some(unexplained));
        assert_eq!(quarantined.len(), usize::from(generation == 4));
        assert!(flow.get(id).is_some());
    }
    let (second, ..) = flow.next_for(5).expect("an innocent");
    flow.answered(second, 5, replied(), &mut |_| {});
    let (third, ..) = flow.next_for(5).expect("the other innocent");
    flow.answered(third, 5, replied(), &mut |_| {});
    assert_eq!(flow.ledger().late, 0);
}

#[test]
fn a_process_that_somebody_else_ended_says_nothing_about_what_waited_in_it() {
    let mut flow = Flow::new(limits());
    for number in 0..2u64 {
        assert!(flow.admit(Instant::now(), Some(number), number).is_none());
    }
    for generation in 1..10 {
        assert_eq!(std::iter::from_fn(|| flow.next_for(generation).map(|_| ())).count(), 2, "never one at a time");
        let killed = Blame { executing: &[], cause: "signal 9", own_doing: false };
        assert!(flow.lost(generation, Some(killed)).is_empty());
    }
}

#[test]
fn ids_of_probes_are_never_given_out() {
    let mut flow = Flow::new(limits());
    assert!(flow.admit(Instant::now(), Some(1), 1).is_none());
    let (id, ..) = flow.next_for(1).expect("it is there");
    assert!(!is_probe(id) && id != 0);
    assert!(is_probe(probe_id(1)) && is_probe(probe_id(7)));
}
