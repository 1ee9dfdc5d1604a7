//! Timers in the tables, under a clock that is set.

use super::*;
use crate::{
    commit::{Change, Quota, Record, Results, To, sql},
    time::Clock,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// 2026-03-28 at noon, in UTC: the day before the clocks of Berlin go forward.
const NOON: u64 = 1_774_699_200_000;

struct Timers {
    connection: Connection,
    clock: Clock,
    quota: TimerQuota,
}

impl Timers {
    fn new() -> Self {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(&format!("{}{}{SCHEMA}", sql::SCHEMA, pending::SCHEMA)).expect("our own tables");
        Self { connection, clock: Clock::standing(NOON), quota: TimerQuota { timers: 5, bytes: 8 } }
    }

    fn run(&mut self, records: Vec<Record>) -> Results {
        let batch = crate::commit::Batch {
            values: Default::default(),
            plugin: "p".into(),
            quota: Quota { keys: 1, bytes: 100, lines: 1 },
            timer_quota: self.quota,
            clock: self.clock.clone(),
            accepts: Vec::new(),
            store_version: None,
            records,
        };
        sql::run(&mut self.connection, &batch).expect("memory")
    }

    fn commit(&mut self, record: Record) -> Result<(), CommitError> {
        self.run(vec![record]).records.remove(0).map(|_| ())
    }

    fn set(&mut self, name: &str, when: When) -> Result<(), CommitError> {
        self.commit(Record { timers: vec![set(name, when)], ..Record::default() })
    }

    /// Those that fire now, by name and the time that they were due.
    fn fire(&mut self) -> Vec<(String, u64)> {
        let all = Handlers { names: Vec::new(), others: true };
        let fired = fire(&mut self.connection, &"p".into(), &all, self.clock.now(), 100).expect("memory");
        assert_eq!(fired.count, self.left().len() as u64);
        fired.events.iter().map(timer).collect()
    }

    fn next(&mut self) -> Option<u64> {
        let all = Handlers { names: Vec::new(), others: true };
        fire(&mut self.connection, &"p".into(), &all, self.clock.now(), 0).expect("memory").next
    }

    fn left(&self) -> Vec<(String, u64)> {
        let all = list(&self.connection, "p", MAX_LISTED).expect("memory");
        assert_eq!(count(&self.connection, "p"), Ok(all.len() as u64));
        let mut left: Vec<_> = all.into_iter().map(|timer| (timer.name, timer.due)).collect();
        left.sort();
        left
    }
}

fn set(name: &str, when: When) -> TimerChange {
    TimerChange::Set { name: name.into(), when, payload: Box::default(), origin: "".into() }
}

fn cron(cron: &str, zone: &str) -> Cron {
    let schedule = Schedule::parse(cron, zone).expect("it is one");
    Cron { cron: cron.into(), zone: zone.into(), schedule }
}

fn every(text: &str, zone: &str) -> When {
    When::Every(Box::new(cron(text, zone)))
}

#[test]
fn a_timer_that_is_due_is_an_event_until_that_has_ended() {
    let mut timers = Timers::new();
    timers.set("tea", When::After(10_000)).expect("there is room");
    assert_eq!((timers.fire(), timers.next()), (Vec::new(), Some(NOON + 10_000)));
    timers.clock.set(NOON + 10_000);
    assert_eq!(timers.fire(), [("tea".to_owned(), NOON + 10_000)]);
    assert_eq!((timers.fire(), timers.left()), (Vec::new(), Vec::new()));
    let waiting = pending::accepted(&timers.connection, "p").expect("memory");
    assert_eq!(
        waiting.iter().map(timer).collect::<Vec<_>>(),
        [("tea".to_owned(), NOON + 10_000)],
        "also if the host is killed"
    );
    let row = waiting[0].occurrence().and_then(|occurrence| occurrence.row);
    timers.commit(Record { ends_row: row, ..Record::default() }).expect("it ends");
    assert!(pending::accepted(&timers.connection, "p").expect("memory").is_empty());
    timers.set("past", When::At(7)).expect("there is room");
    assert_eq!(timers.fire(), [("past".to_owned(), 7)], "at once");
}

#[test]
fn a_clock_that_is_set_loses_no_time_and_doubles_none() {
    let mut timers = Timers::new();
    timers.set("hourly", every("0 * * * *", "")).expect("there is room");
    timers.clock.set(NOON + HOUR);
    assert_eq!(timers.fire(), [("hourly".to_owned(), NOON + HOUR)]);
    timers.clock.set(NOON);
    assert_eq!(
        (timers.fire(), timers.next()),
        (Vec::new(), Some(NOON + 2 * HOUR)),
        "the same hour does not come again"
    );
    timers.clock.set(NOON + 7 * HOUR + MINUTE);
    assert_eq!(timers.fire(), [("hourly".to_owned(), NOON + 2 * HOUR)]);
    assert_eq!(timers.left()[0].1, NOON + 8 * HOUR, "what was missed fires once");
}

#[test]
fn days_on_which_clocks_are_set_have_each_time_once() {
    let mut timers = Timers::new();
    timers.set("night", every("30 2 * * *", "Europe/Berlin")).expect("there is room");
    let mut due = Vec::new();
    for hour in 0..72 {
        timers.clock.set(NOON + hour * HOUR);
        due.extend(timers.fire().into_iter().map(|(_, due)| (due - NOON) as f64 / HOUR as f64));
    }
    // 01:00 in UTC, when the clock goes from 02:00 to 03:00, and then 02:30 of summer.
    assert_eq!(due, [13.0, 36.5, 60.5]);
}

#[test]
fn what_a_plugin_may_not_have_is_refused_whole() {
    let mut timers = Timers::new();
    for n in 0..5 {
        timers.set(&n.to_string(), When::After(n)).expect("there is room");
    }
    let store = Change { scope: "".into(), key: "k".into(), to: To::Value("1".into(), 0) };
    let record = Record { changes: vec![store], timers: vec![set("more", When::At(1))], ..Record::default() };
    let error = timers.commit(record).expect_err("a sixth").to_string();
    assert_eq!(error, "the plugin may have 5 timers; cancel some, or raise limits.timers");
    assert_eq!(sql::kept(&timers.connection, "p", "", 9).expect("memory"), []);
    timers.set("4", When::After(9)).expect("in place of another");
    timers
        .commit(Record { timers: vec![TimerChange::Cancel { name: "4".into() }], ..Record::default() })
        .expect("gone");
    assert_eq!(timers.left().len(), 4);
    let large = TimerChange::Set { name: "x".into(), when: When::At(1), payload: [0; 9].into(), origin: "".into() };
    let error = timers.commit(Record { timers: vec![large], ..Record::default() }).expect_err("large").to_string();
    assert!(error.contains("has 9 bytes, and may have 8 (limits.timer_bytes)"), "{error}");
    for (name, when) in
        [("", When::At(1)), ("*", When::At(1)), (&"x".repeat(257)[..], When::At(1)), ("never", When::At(u64::MAX))]
    {
        timers.set(name, when).expect_err(name);
    }
    assert_eq!(timers.left().len(), 4);
}

#[test]
fn what_a_manifest_declares_is_there_and_nothing_that_an_older_one_did() {
    let mut timers = Timers::new();
    let declare = |timers: &mut Timers, all: &[(&str, &str)]| {
        let all: Vec<_> =
            all.iter().map(|(name, text)| Declared { name: (*name).into(), when: cron(text, "") }).collect();
        let now = timers.clock.now();
        declare(&mut timers.connection, "p", &all, now).expect("memory")
    };
    timers.set("own", When::After(9)).expect("there is room");
    assert_eq!(declare(&mut timers, &[("a", "0 13 * * *"), ("b", "0 14 * * *")]), 3);
    timers.clock.set(NOON + 2 * HOUR);
    assert_eq!(declare(&mut timers, &[("b", "0 14 * * *"), ("c", "0 15 * * *")]), 3);
    let hours =
        |timers: &Timers| timers.left().into_iter().map(|(name, due)| (name, (due - NOON) / HOUR)).collect::<Vec<_>>();
    assert_eq!(hours(&timers), [("b".into(), 2), ("c".into(), 3), ("own".into(), 0)], "b is due, and stays so");
    declare(&mut timers, &[("b", "0 16 * * *")]);
    assert_eq!(hours(&timers), [("b".into(), 4), ("own".into(), 0)], "it was changed");
}

#[test]
fn only_timers_with_a_handler_fire_and_no_more_than_may() {
    let mut timers = Timers::new();
    let all = ["a", "b", "c"].map(|name| set(name, When::At(NOON)));
    timers.commit(Record { timers: all.into(), ..Record::default() }).expect("there is room");
    timers.set("d", When::At(NOON + 1)).expect("there is room");
    let mut ask = |names: &[&str], others, most| {
        let handlers = Handlers { names: names.iter().map(|&name| name.into()).collect(), others };
        let fired = fire(&mut timers.connection, &"p".into(), &handlers, NOON, most).expect("memory");
        let fires = |event: &Event| format!("{} by {}", timer(event).0, event.occurrence().expect("a timer").pattern);
        (fired.events.iter().map(fires).collect::<Vec<_>>().join(", "), fired.more, fired.next, fired.count)
    };
    assert_eq!(ask(&[], false, 9), (String::new(), false, None, 4));
    assert_eq!(ask(&["b"], false, 9), ("b by b".into(), false, None, 3));
    assert_eq!(ask(&["d"], false, 9), (String::new(), false, Some(NOON + 1), 3));
    assert_eq!(ask(&["c"], true, 1), ("a by *".into(), true, Some(NOON + 1), 2));
    assert_eq!(ask(&["c"], true, 1), ("c by c".into(), false, Some(NOON + 1), 1));
}

/// The name of the timer that an event is, and when it was due.
fn timer(event: &Event) -> (String, u64) {
    match event.occurrence().map(|occurrence| &occurrence.what) {
        Some(What::Timer { name, due_ms, .. }) => (name.to_string(), *due_ms),
        other => panic!("not a timer: {other:?}"),
    }
}

/// What a host does with timers, and what may happen to it.
#[derive(Debug, Clone)]
enum Step {
    Set(u8, u64),
    Every(u8, u8),
    Cancel(u8),
    Fire,
    /// The clock goes on, or is set forward.
    Later(u64),
    /// The clock is set back.
    Earlier(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4u8, 0..90u64).prop_map(|(name, minutes)| Step::Set(name, minutes * MINUTE)),
        2 => (0..4u8, 1..30u8).prop_map(|(name, minutes)| Step::Every(name, minutes)),
        1 => (0..4u8).prop_map(Step::Cancel),
        4 => Just(Step::Fire),
        4 => (0..100u64).prop_map(|minutes| Step::Later(minutes * MINUTE)),
        1 => (0..100u64).prop_map(|minutes| Step::Earlier(minutes * MINUTE)),
    ]
}

proptest! {
    #[test]
    fn each_fires_once_for_each_time(steps in prop::collection::vec(step(), 1..60)) {
        let mut timers = Timers::new();
        let mut model = BTreeMap::<String, (u64, u64)>::new();
        for step in steps {
            let now = timers.clock.now();
            match step {
                Step::Set(name, delay) => {
                    timers.set(&name.to_string(), When::After(delay)).expect("there is room");
                    model.insert(name.to_string(), (now + delay, 0));
                }
                Step::Every(name, minutes) => {
                    timers.set(&name.to_string(), every(&format!("*/{minutes} * * * *"), "")).expect("there is room");
                    model.insert(name.to_string(), (after(now, minutes.into()), minutes.into()));
                }
                Step::Cancel(name) => {
                    let cancel = TimerChange::Cancel { name: name.to_string() };
                    timers.commit(Record { timers: vec![cancel], ..Record::default() }).expect("it goes");
                    model.remove(&name.to_string());
                }
                Step::Fire => {
                    for (name, due) in timers.fire() {
                        let (expected, minutes) = model[&name];
                        prop_assert_eq!(due, expected);
                        match minutes {
                            0 => model.remove(&name),
                            _ => model.insert(name, (after(now.max(due), minutes), minutes)),
                        };
                    }
                    prop_assert_eq!(timers.fire(), Vec::new());
                }
                Step::Later(by) => timers.clock.set(now + by),
                Step::Earlier(by) => timers.clock.set(now.saturating_sub(by).max(NOON - HOUR)),
            }
            let expected: Vec<_> = model.iter().map(|(name, (due, _))| (name.clone(), *due)).collect();
            prop_assert_eq!(timers.left(), expected);
        }
    }
}

/// The next minute of the hour that `minutes` divides.
fn after(now: u64, minutes: u64) -> u64 {
    let mut minute = now / MINUTE + 1;
    while !(minute % 60).is_multiple_of(minutes) {
        minute += 1;
    }
    minute * MINUTE
}
