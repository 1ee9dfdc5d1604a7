//! Random programs of reads and writes, whose plugin and whose host are killed anywhere, against a sequential model: what was
//! committed is what a map would have if the events had come one after the other, and each event saw just that.

use proptest::prelude::*;
use rosey::{
    commit::{
        self, Answer, Batch, Change, CommitError, Question, Quota, Read, Record, To,
        timers::TimerQuota,
        values::{Value, Values},
    },
    store::Database,
    time::{Clock, unix_millis},
};
use rosey_core::{
    flow::{Blame, Flow, FlowLimits},
    outcome::Outcome,
};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

const QUOTA: Quota = Quota { keys: 1000, bytes: 1_000_000, lines: 10 };

/// One thing that a handler does. What it reads is added to what it writes.
#[derive(Debug, Clone)]
enum Op {
    Get(u8),
    Count,
    Put(u8, i8),
    Add(u8, i8),
    Delete(u8),
}

/// One thing that happens to the bot.
#[derive(Debug, Clone, Copy)]
enum Step {
    Deliver,
    Run(usize),
    Commit,
    KillPlugin,
    KillHost,
}

type Map = BTreeMap<String, i64>;

fn name(key: u8) -> String {
    format!("k{key}")
}

/// Runs a program on a map. Gives what it read.
fn sequentially(program: &[Op], map: &mut Map) -> Vec<i64> {
    let (mut seen, mut sum, count) = (Vec::new(), 0, map.len());
    for op in program {
        match op {
            Op::Get(key) => seen.push(map.get(&name(*key)).copied().unwrap_or(-1)),
            Op::Count => seen.push(i64::try_from(count).expect("few")),
            Op::Put(key, by) => drop(map.insert(name(*key), sum + i64::from(*by))),
            Op::Add(key, by) => *map.entry(name(*key)).or_default() += i64::from(*by),
            Op::Delete(key) => drop(map.remove(&name(*key))),
        }
        sum = seen.iter().sum();
    }
    seen
}

/// A handler under way.
struct Running {
    id: u64,
    program: usize,
    at: usize,
    seen: Vec<i64>,
    record: Record,
    /// What it has changed so far, as its own reads see it: a value, nothing, or an addition to what is there.
    own: BTreeMap<String, (bool, Option<i64>)>,
}

/// A bot whose plugin runs these programs.
struct Bot<'a> {
    path: &'a Path,
    runtime: tokio::runtime::Runtime,
    programs: &'a [Vec<Op>],
    database: Database,
    values: Values,
    flow: Flow<usize>,
    generation: u64,
    running: Vec<Running>,
    answered: Vec<Running>,
    committed: Vec<(usize, Vec<i64>)>,
}

impl<'a> Bot<'a> {
    fn new(path: &'a Path, programs: &'a [Vec<Op>]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let database = Database::open(&path.join("rosey.db"), &rosey::plugins::SCHEMA).expect("a database");
        let flow = Flow::new(FlowLimits { queue: 1000, in_flight: 100, deadline: Duration::from_secs(3600) });
        let mut bot = Self {
            path,
            runtime,
            programs,
            database,
            values: Values::default(),
            flow,
            generation: 1,
            running: Vec::new(),
            answered: Vec::new(),
            committed: Vec::new(),
        };
        (0..programs.len()).for_each(|program| bot.admit(program));
        bot
    }

    fn admit(&mut self, program: usize) {
        let key = u64::try_from(program).expect("few");
        assert!(self.flow.admit(Instant::now(), Some(key), program).is_none());
    }

    fn batch(&self, records: Vec<Record>) -> commit::Results {
        let timer_quota = TimerQuota { timers: 0, bytes: 0 };
        let (plugin, clock, accepts) = ("p".into(), Clock::default(), Vec::new());
        let values = self.values.clone();
        let batch = Batch { plugin, quota: QUOTA, timer_quota, clock, values, store_version: None, accepts, records };
        self.runtime.block_on(commit::run(&self.database, batch))
    }

    fn ask(&self, question: Question) -> Answer {
        self.runtime.block_on(commit::ask(&self.database, "p".into(), vec![question], unix_millis())).remove(0)
    }

    fn deliver(&mut self) {
        if let Some((id, _, program)) = self.flow.next_for(self.generation) {
            let (record, own) = (Record::default(), BTreeMap::new());
            self.running.push(Running { id, program: *program, at: 0, seen: Vec::new(), record, own });
        }
    }

    /// Runs one operation of a handler, or ends it.
    fn run(&mut self, at: usize) {
        if self.running.is_empty() {
            return;
        }
        let mut one = self.running.swap_remove(at % self.running.len());
        let Some(op) = self.programs[one.program].get(one.at) else {
            assert!(self.flow.begin_commit(one.id, self.generation));
            return self.answered.push(one);
        };
        one.at += 1;
        let sum: i64 = one.seen.iter().sum();
        let change = |key: &str, to| Change { scope: "".into(), key: key.to_owned(), to };
        match op {
            Op::Get(key) => {
                let key = name(*key);
                let value = match one.own.get(&key) {
                    Some((true, value)) => value.unwrap_or(-1),
                    own => {
                        let plus = own.and_then(|own| own.1);
                        let base = self.read(&mut one.record, &key);
                        plus.map_or(base.unwrap_or(-1), |plus| base.unwrap_or(0) + plus)
                    }
                };
                one.seen.push(value);
            }
            Op::Count => {
                let list = Question::List { scope: "".into(), prefix: String::new(), limit: 1, after: String::new() };
                let Answer::Page { count, version, .. } = self.ask(list) else { panic!("a page") };
                one.record.reads.push(Read::Prefix { scope: "".into(), prefix: String::new(), count, version });
                one.seen.push(i64::try_from(count).expect("few"));
            }
            Op::Put(key, by) => {
                let (key, value) = (name(*key), sum + i64::from(*by));
                one.record.changes.push(change(&key, To::Value(value.to_string(), 0)));
                one.own.insert(key, (true, Some(value)));
            }
            Op::Add(key, by) => {
                let (key, by) = (name(*key), i64::from(*by));
                one.record.changes.push(change(&key, To::Sum(by)));
                let own = one.own.entry(key).or_insert((false, Some(0)));
                own.1 = Some(own.1.unwrap_or(0) + by);
            }
            Op::Delete(key) => {
                let key = name(*key);
                one.record.changes.push(change(&key, To::Nothing));
                one.own.insert(key, (true, None));
            }
        }
        self.running.push(one);
    }

    /// What the store has, noted as read. The first look counts, as in the SDK.
    fn read(&self, record: &mut Record, key: &str) -> Option<i64> {
        // As a slot: from what the plugin used last, else from the store.
        let Value { text: value, version } = self.values.read("", key, Value::clone).unwrap_or_else(|| {
            let since = self.values.moment();
            let question = Question::Get { scope: "".into(), key: key.to_owned() };
            let Answer::Value { value, version, .. } = self.ask(question) else { panic!("a value") };
            let value = Value { text: value, version };
            self.values.learn(since, &"".into(), key, value.clone());
            value
        });
        record.reads.push(Read::Key { scope: "".into(), key: key.to_owned(), version });
        (version > 0).then(|| value.parse().expect("a number"))
    }

    /// Has all that were answered committed.
    fn commit(&mut self) {
        let mut answered = std::mem::take(&mut self.answered);
        let records = answered.iter_mut().map(|one| std::mem::take(&mut one.record)).collect();
        let results = self.batch(records).records;
        for (one, result) in answered.into_iter().zip(results) {
            match result {
                Ok(_) => {
                    self.committed.push((one.program, one.seen));
                    self.flow.committed(one.id, Outcome::Ignored, &mut |_| {});
                }
                Err(CommitError::Conflict) => assert!(self.flow.conflicted(one.id), "it was in vain too often"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver => self.deliver(),
            Step::Run(at) => self.run(at),
            Step::Commit => self.commit(),
            Step::KillPlugin => {
                self.running.clear();
                let killed = Blame { executing: &[], cause: "signal 9", own_doing: false };
                assert!(self.flow.lost(self.generation, Some(killed)).is_empty());
                self.generation += 1;
            }
            Step::KillHost => {
                // What was not committed is lost with it, and said again by the people.
                let lost: Vec<_> = (0..self.programs.len())
                    .filter(|program| self.committed.iter().all(|(done, _)| done != program))
                    .collect();
                let committed = std::mem::take(&mut self.committed);
                *self = Self { committed, ..Self::new(self.path, self.programs) };
                self.flow.reject_queued(rosey_core::outcome::Rejection::Stopping, &mut |_| {});
                lost.into_iter().for_each(|program| self.admit(program));
            }
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0u8..4).prop_map(Op::Get),
        1 => Just(Op::Count),
        3 => (0u8..4, any::<i8>()).prop_map(|(key, by)| Op::Put(key, by)),
        2 => (0u8..4, any::<i8>()).prop_map(|(key, by)| Op::Add(key, by)),
        1 => (0u8..4).prop_map(Op::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Deliver),
        24 => any::<usize>().prop_map(Step::Run),
        4 => Just(Step::Commit),
        1 => Just(Step::KillPlugin),
        1 => Just(Step::KillHost),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_is_killed_when_events_happen_once_and_one_after_the_other(
        programs in prop::collection::vec(prop::collection::vec(op(), 1..6), 1..12),
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let mut bot = Bot::new(directory.path(), &programs);
        steps.into_iter().for_each(|step| bot.step(step));
        while !bot.flow.is_empty() {
            bot.deliver();
            (0..8).for_each(|_| bot.run(0));
            bot.commit();
        }
        prop_assert_eq!(bot.committed.len(), programs.len(), "each of them once");
        let mut map = Map::new();
        for (program, seen) in &bot.committed {
            prop_assert_eq!(&sequentially(&programs[*program], &mut map), seen, "what program {} saw", program);
        }
        let path = directory.path().join("rosey.db");
        let kept = rusqlite::Connection::open(path).and_then(|it| commit::kept(&it, "p", "", 100)).expect("readable");
        let kept: Map = kept.into_iter().map(|one| (one.key, one.value.parse().expect("a number"))).collect();
        prop_assert_eq!(kept, map);
    }
}
