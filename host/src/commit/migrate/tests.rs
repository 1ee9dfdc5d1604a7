//! A migration and its way back against what was there.

use super::*;
use crate::commit::values::Values;
use crate::{
    commit::{Answer, Batch, Question, Record, SCHEMA, To, kept, timers::TimerQuota},
    time::Clock,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const QUOTA: Quota = Quota { keys: 100, bytes: 10_000, lines: 10 };

/// By scope and key.
type Keys = BTreeMap<(String, String), String>;

fn open() -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    connection.execute_batch(SCHEMA).expect("our own tables");
    connection.execute_batch(BEFORE).expect("our own tables");
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

fn put(store: &mut Connection, store_version: u32, scope: &str, key: &str, value: &str) -> Result<(), CommitError> {
    let change = Change { scope: scope.into(), key: key.to_owned(), to: To::Value(value.to_owned(), 0) };
    let records = vec![Record { store_version, changes: vec![change], ..Record::default() }];
    sql::run(store, &batch(records)).expect("memory").records.remove(0).map(drop)
}

fn all(store: &Connection) -> Keys {
    let kept = kept(store, "p", "", 10_000).expect("memory");
    kept.into_iter().map(|one| ((one.scope, one.key), one.value)).collect()
}

fn usage(store: &Connection) -> Usage {
    sql::usage(store, "p").expect("memory")
}

fn migration(store: &Connection, rewrites: Vec<Rewrite>) -> Migration {
    let commits = usage(store).commits;
    let (plugin, quota) = ("p".into(), QUOTA);
    Migration { plugin, quota, from: 1, to: 2, commits, rewrites, reads: Vec::new(), changes: Vec::new() }
}

fn rewrite(scope: &str, key: &str, value: Option<&str>) -> Rewrite {
    Rewrite { scope: scope.to_owned(), key: key.to_owned(), value: value.map(str::to_owned), expires: 0 }
}

fn keys(versions: StoreVersions) -> (Option<u32>, Option<u32>) {
    (versions.now, versions.before)
}

#[test]
fn a_migration_between_which_something_was_written_changes_nothing() {
    let mut store = open();
    put(&mut store, 1, "", "a", "1").expect("there is room");
    let stale = migration(&store, vec![rewrite("", "a", Some("2"))]);
    put(&mut store, 1, "", "b", "1").expect("there is room");
    let before = (all(&store), usage(&store));
    assert_eq!(migrate(&mut store, &stale).expect("memory"), Err(CommitError::Conflict));
    let full = (0..200).map(|n| rewrite("", &format!("k{n}"), Some("1"))).collect();
    let full = migration(&store, full);
    let error = migrate(&mut store, &full).expect("memory").expect_err("over the quota");
    assert!(error.to_string().contains("raise limits.store_keys"), "{error}");
    let long = migration(&store, vec![rewrite("", "b", None), rewrite("", &"k".repeat(257), Some("1"))]);
    let error = migrate(&mut store, &long).expect("memory").expect_err("too long");
    assert!(error.to_string().contains("a key has 1 to 256 bytes"), "{error}");
    assert_eq!((all(&store), usage(&store)), before);
    assert_eq!(keys(versions(&store, "p").expect("memory")), (Some(1), None));
}

#[test]
fn what_is_put_back_is_told_with_what_was_lost_and_is_forgotten_with_its_version() {
    let mut store = open();
    for (scope, key) in [("", "a"), ("channel irc:#a", "a"), ("", "b")] {
        put(&mut store, 1, scope, key, "1").expect("there is room");
    }
    let before = (all(&store), usage(&store));
    let to_2 = migration(&store, vec![rewrite("channel irc:#a", "a", Some("[1]")), rewrite("", "b", None)]);
    let (done, counted) = migrate(&mut store, &to_2).expect("memory").expect("nothing is wrong with it");
    assert_eq!((keys(done), counted.keys, counted.commits), ((Some(2), Some(1)), 2, 4));
    assert!(put(&mut store, 1, "", "late", "1").is_err(), "of the build before");
    for key in ["a", "c", "c"] {
        put(&mut store, 2, "", key, "[2]").expect("there is room");
    }
    let (done, lost, counted) = put_back(&mut store, "p").expect("memory");
    assert_eq!((keys(done), lost), ((Some(1), None), Some(StoreLost { version: 1, keys: 2, commits: 3 })));
    assert_eq!((all(&store), counted), (before.0.clone(), Usage { commits: 8, ..before.1 }));
    assert_eq!(put_back(&mut store, "p").expect("memory"), (done, None, counted), "once more");

    let again = migration(&store, Vec::new());
    migrate(&mut store, &again).expect("memory").expect("nothing is wrong with it");
    let transaction = store.transaction().expect("memory");
    forget_before(&transaction, "p", 7).expect("memory");
    assert_eq!(keys(versions(&transaction, "p").expect("memory")), (Some(2), Some(1)), "that is another one");
    forget_before(&transaction, "p", 1).expect("memory");
    assert_eq!(keys(versions(&transaction, "p").expect("memory")), (Some(2), None));
}

#[test]
fn where_nothing_was_kept_nothing_comes_back() {
    let mut store = open();
    let begin = migration(&store, Vec::new());
    let (done, _) = migrate(&mut store, &begin).expect("memory").expect("nothing is wrong with it");
    assert_eq!(keys(done), (Some(2), Some(1)));
    put(&mut store, 2, "", "a", "1").expect("there is room");
    let (done, lost, counted) = put_back(&mut store, "p").expect("memory");
    assert_eq!((keys(done), counted.keys), ((None, None), 0));
    assert_eq!(lost, Some(StoreLost { version: 1, keys: 1, commits: 1 }));
    put(&mut store, 1, "", "a", "1").expect("it begins anew");
}

#[test]
fn a_walk_passes_all_keys_of_all_scopes_in_pages() {
    let mut store = open();
    for n in 0..30 {
        let scope = ["", "channel irc:#a", "user irc:nick:a"][n % 3];
        put(&mut store, 1, scope, &format!("k{n:02}"), "1").expect("there is room");
    }
    let (mut seen, mut after) = (Vec::new(), (String::new(), String::new()));
    loop {
        let walk = Question::Walk { scope: after.0.clone(), key: after.1.clone(), limit: 7 };
        let answer = sql::answer_all(&store, "p", &[walk], 0).expect("memory").remove(0);
        let Answer::Walked { entries, more } = answer else { panic!("{answer:?}") };
        seen.extend(entries.iter().map(|one| (one.scope.clone(), one.key.clone())));
        if !more {
            break;
        }
        after = seen.last().cloned().expect("there are more");
    }
    assert_eq!(seen, all(&store).into_keys().collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn whatever_a_migration_changes_the_way_back_leads_to_what_was_there(
        start in prop::collection::btree_map((0usize..3, 0u8..6), 0u8..9, 0..12),
        rewrites in prop::collection::vec((0usize..3, 0u8..6, prop::option::of(0u8..9)), 0..20),
        later in prop::collection::vec((0usize..3, 0u8..6), 0..6),
    ) {
        const SCOPES: [&str; 3] = ["", "channel irc:#a", "user irc:nick:a"];
        let mut store = open();
        put(&mut store, 1, "", "there", "0").expect("there is room");
        for ((scope, key), value) in &start {
            put(&mut store, 1, SCOPES[*scope], &format!("k{key}"), &value.to_string()).expect("there is room");
        }
        let (before, mut model) = (all(&store), all(&store));
        let mut changes = Vec::new();
        for (scope, key, value) in &rewrites {
            let (scope, key, value) = (SCOPES[*scope], format!("k{key}"), value.map(|value| format!("[{value}]")));
            changes.push(rewrite(scope, &key, value.as_deref()));
            match value {
                Some(value) => drop(model.insert((scope.to_owned(), key), value)),
                None => drop(model.remove(&(scope.to_owned(), key))),
            }
        }
        let change = migration(&store, changes);
        migrate(&mut store, &change).expect("memory").expect("nothing is wrong with it");
        prop_assert_eq!(&all(&store), &model);
        let size = |keys: &Keys| (keys.len() as u64, keys.iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum::<u64>());
        let counted = usage(&store);
        prop_assert_eq!((counted.keys, counted.bytes), size(&model));
        for (scope, key) in &later {
            put(&mut store, 2, SCOPES[*scope], &format!("k{key}"), "[0]").expect("there is room");
        }
        let (_, lost, counted) = put_back(&mut store, "p").expect("memory");
        prop_assert_eq!(&all(&store), &before);
        prop_assert_eq!((counted.keys, counted.bytes), size(&before));
        let keys: std::collections::BTreeSet<_> = later.iter().collect();
        prop_assert_eq!(lost, Some(StoreLost { version: 1, keys: keys.len() as u64, commits: later.len() as u64 }));
    }
}
