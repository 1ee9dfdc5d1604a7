//! The tables against a sequential model.

use super::{
    super::{NewEvent, NewLine},
    *,
};
use crate::commit::values::Values;
use crate::{
    commit::{Quota, timers::TimerQuota},
    time::Clock,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

const QUOTA: Quota = Quota { keys: 6, bytes: 64, lines: 2 };

fn open() -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    connection.execute_batch(SCHEMA).expect("our own tables");
    connection.execute_batch(pending::SCHEMA).expect("our own tables");
    connection
}

fn batch(records: Vec<Record>) -> Batch {
    let timer_quota = TimerQuota { timers: 0, bytes: 0 };
    let (plugin, clock, accepts) = ("p".into(), Clock::default(), Vec::new());
    // As a slot has them: from batch to batch.
    thread_local!(static VALUES: Values = Values::default());
    let values = VALUES.with(Values::clone);
    Batch { plugin, quota: QUOTA, timer_quota, clock, values, store_version: None, accepts, records }
}

fn change(key: &str, to: To) -> Change {
    Change { scope: "".into(), key: key.to_owned(), to }
}

fn one(connection: &mut Connection, record: Record) -> Result<Applied, CommitError> {
    run(connection, &batch(vec![record])).expect("memory").records.remove(0)
}

fn put(key: &str, value: &str) -> Record {
    Record { changes: vec![change(key, To::Value(value.to_owned(), 0))], ..Record::default() }
}

fn read(connection: &mut Connection, key: &str) -> (String, u64) {
    let KeyState { text, version, .. } = get(connection, "p", "", key, now()).expect("memory");
    (text.into_owned(), version)
}

#[test]
fn a_record_is_applied_whole_or_not_at_all() {
    let mut store = open();
    one(&mut store, put("a", "1")).expect("there is room");
    let changes = vec![change("a", To::Value("2".into(), 0)), change("b", To::Value("x".repeat(70), 0))];
    let error = one(&mut store, Record { changes, ..Record::default() }).expect_err("over the quota");
    assert!(error.to_string().contains("raise limits.store_bytes"), "{error}");
    assert_eq!(read(&mut store, "a").0, "1");
    let changes =
        vec![change("n", To::Sum(1)), change("text", To::Value("\"x\"".into(), 0)), change("text", To::Sum(1))];
    let error = one(&mut store, Record { changes, ..Record::default() }).expect_err("a text has no sum");
    assert!(error.to_string().contains("no whole number"), "{error}");
    assert_eq!(read(&mut store, "n"), (String::new(), 0));
}

#[test]
fn of_two_that_read_the_same_only_one_writes() {
    let mut store = open();
    one(&mut store, put("a", "7")).expect("there is room");
    let version = read(&mut store, "a").1;
    let record = || Record {
        reads: vec![Read::Key { scope: "".into(), key: "a".into(), version }],
        changes: vec![change("a", To::Value("8".into(), 0))],
        ..Record::default()
    };
    let results = run(&mut store, &batch(vec![record(), record()])).expect("memory").records;
    assert_eq!(results, [Ok(Applied::default()), Err(CommitError::Conflict)]);
}

#[test]
fn what_was_written_for_another_version_is_not_applied() {
    let mut store = open();
    let of = |store_version, key| Record { store_version, ..put(key, "1") };
    let results = |store: &mut Connection, serves, records| {
        let batch = Batch { store_version: serves, ..batch(records) };
        let results = run(store, &batch).expect("memory");
        (results.records, results.version)
    };
    let other = |has, wrote| Err(CommitError::OtherVersion { has, wrote });
    let (done, version) = results(&mut store, Some(2), vec![of(1, "a"), of(2, "b"), of(1, "c")]);
    assert_eq!((done, version), (vec![other(2, 1), Ok(Applied::default()), other(2, 1)], Some(2)));
    let (done, version) = results(&mut store, Some(1), vec![of(1, "a")]);
    assert_eq!((done, version), (vec![other(2, 1)], Some(2)));
}

#[test]
fn a_list_notices_what_comes_and_goes() {
    let mut store = open();
    for key in ["q:1", "q:2", "r"] {
        one(&mut store, put(key, "0")).expect("there is room");
    }
    let list = Question::List { scope: "".into(), prefix: "q:".into(), limit: 1, after: String::new() };
    let answers = answer_all(&store, "p", &[list], 0).expect("memory");
    let [Answer::Page { entries, more: true, count: 2, version }] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(entries, &[("q:1".to_owned(), "0".to_owned())]);
    let unchanged = |store: &mut Connection| {
        let read = Read::Prefix { scope: "".into(), prefix: "q:".into(), count: 2, version: *version };
        one(store, Record { reads: vec![read], ..Record::default() })
    };
    one(&mut store, put("r", "1")).expect("another key");
    assert_eq!(unchanged(&mut store), Ok(Applied::default()));
    one(&mut store, Record { changes: vec![change("q:1", To::Nothing)], ..Record::default() }).expect("it goes");
    one(&mut store, put("q:3", "0")).expect("another comes");
    assert_eq!(unchanged(&mut store), Err(CommitError::Conflict));
}

fn line(text: &str) -> NewLine {
    NewLine {
        connector: "irc".into(),
        channel: "#a".into(),
        user: String::new(),
        form: crate::event::Form::Answer,
        text: text.into(),
    }
}

#[test]
fn what_waits_is_written_with_its_cause_and_only_once() {
    let mut store = open();
    let signal = NewEvent {
        plugin: "q".into(),
        what: crate::event::What::Start,
        pattern: "x".into(),
        origin: crate::event::origin::write(&crate::event::User::nobody(), &crate::event::Place::new("irc", "#a")),
    };
    let says = |lines: &[&str]| Record { lines: lines.iter().map(|text| line(text)).collect(), ..Record::default() };
    let both = Record { signals: vec![signal.clone()], ..says(&["one", "two"]) };
    let rows = one(&mut store, both).expect("there is room").signals;
    let error = one(&mut store, Record { changes: vec![change("a", To::Sum(1))], ..says(&["three"]) });
    assert!(error.expect_err("two lines may wait").to_string().contains("raise limits.lines"));
    assert_eq!(read(&mut store, "a").1, 0, "nothing of it is applied");
    let waiting = pending::accepted(&store, "q").expect("memory");
    assert_eq!((waiting.len(), waiting[0].place.channel.as_str()), (1, "#a"));
    let ending = || Record { ends_row: Some(rows[0]), ..put("b", "1") };
    let mut twice = batch(vec![ending(), ending()]);
    twice.plugin = "q".into();
    let results = run(&mut store, &twice).expect("memory").records;
    assert_eq!(results, [Ok(Applied::default()), Err(CommitError::Ended)]);
    assert!(pending::accepted(&store, "q").expect("memory").is_empty());
    let first = pending::first_lines(&store, &"irc".into()).expect("memory");
    assert_eq!((first.len(), first[0].new.text.as_str()), (1, "one"), "one at a time in a channel");
    assert!(pending::remove_line(&store, first[0].id).expect("memory"));
    assert!(!pending::remove_line(&store, first[0].id).expect("memory"));
    assert_eq!(pending::first_lines(&store, &"irc".into()).expect("memory")[0].new.text, "two");
    assert_eq!(pending::forget_lines(&store, &"irc".into(), u64::MAX >> 1).expect("memory"), ["p"]);
    assert!(pending::first_lines(&store, &"irc".into()).expect("memory").is_empty());
}

#[test]
fn what_is_over_is_gone_and_gives_its_room_back() {
    let mut store = open();
    let soon = Record { changes: vec![change("a", To::Value("1".into(), 1))], ..Record::default() };
    one(&mut store, soon).expect("there is room");
    assert_eq!(usage(&store, "p").expect("memory").keys, 1);
    let end = now() + 2;
    while now() < end {
        std::hint::spin_loop();
    }
    assert_eq!(read(&mut store, "a"), (String::new(), 0));
    one(&mut store, put("b", "1")).expect("there is room");
    assert_eq!(usage(&store, "p").expect("memory"), Usage { keys: 1, bytes: 2, commits: 2 });
}

#[derive(Debug, Clone)]
enum Op {
    Put(u8, u8),
    Delete(u8),
    Add(u8, i8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0u8..8, any::<u8>()).prop_map(|(key, value)| Op::Put(key, value)),
        (0u8..8).prop_map(Op::Delete),
        (0u8..8, any::<i8>()).prop_map(|(key, by)| Op::Add(key, by)),
    ]
}

proptest! {
    #[test]
    fn whatever_is_committed_is_what_a_map_would_have(records in prop::collection::vec((prop::collection::vec(op(), 0..5), any::<bool>()), 1..40)) {
        let mut store = open();
        let mut model = BTreeMap::<String, i64>::new();
        for (ops, stale) in records {
            let key = |n: &u8| format!("k{n}");
            let scope: Arc<str> = "".into();
            let mut after = model.clone();
            let mut changes = Vec::new();
            for op in &ops {
                let (name, to) = match op {
                    Op::Put(n, value) => (key(n), To::Value(value.to_string(), 0)),
                    Op::Delete(n) => (key(n), To::Nothing),
                    Op::Add(n, by) => (key(n), To::Sum((*by).into())),
                };
                match op {
                    Op::Put(_, value) => drop(after.insert(name.clone(), (*value).into())),
                    Op::Delete(_) => drop(after.remove(&name)),
                    Op::Add(_, by) => *after.entry(name.clone()).or_default() += i64::from(*by),
                }
                changes.push(Change { scope: Arc::clone(&scope), key: name, to });
            }
            let version = read(&mut store, "k0").1 + u64::from(stale);
            let reads = vec![Read::Key { scope, key: "k0".into(), version }];
            let bytes = |map: &BTreeMap<String, i64>| map.iter().map(|(key, value)| (key.len() + value.to_string().len()) as u64).sum::<u64>();
            let size = |map: &BTreeMap<String, i64>| (map.len() as u64, bytes(map));
            let ((keys, room), before) = (size(&after), size(&model));
            let full = (keys > before.0 && keys > QUOTA.keys) || (room > before.1 && room > QUOTA.bytes);
            let result = one(&mut store, Record { reads, changes, ..Record::default() });
            prop_assert_eq!(result.is_ok(), !stale && !full, "{:?}", result);
            if result.is_ok() {
                model = after;
            }
            let counted = usage(&store, "p").expect("memory");
            prop_assert_eq!((counted.keys, counted.bytes), size(&model));
            for (key, value) in &model {
                prop_assert_eq!(&read(&mut store, key).0, &value.to_string());
            }
        }
    }
}
