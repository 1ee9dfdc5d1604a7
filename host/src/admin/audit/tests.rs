//! Tests that every change of the audit shows.

use super::{
    chain::{self, Verified},
    *,
};
use crate::{
    admin::{Actor, SCHEMA, Via},
    event::{Identity, Network, User, name::CaseMapping},
};
use rusqlite::Connection;
use std::{path::Path, time::Duration};

fn before(plugin: &str) -> AuditRecord {
    let user = User { name: "alice".into(), identity: Identity::Console };
    let actor = Actor { user: user.into(), via: Via::Chat, place: "console/terminal".into() };
    AuditRecord::new(Stage::Before, &actor, "reload", Some(plugin))
}

/// An audit with ten actions, each with its end.
async fn ten_actions(directory: &Path, file: Option<PathBuf>) {
    let database = Database::open(&directory.join("rosey.db"), &SCHEMA).expect("a database");
    let audit = Audit::open(database, file).await.expect("empty");
    for plugin in 0..10 {
        let before = audit.write(before(&format!("p{plugin}"))).await.expect("there is room");
        audit.write(before.after(true, "done", Some(Duration::from_millis(3)))).await.expect("there is room");
    }
}

fn verify(directory: &Path) -> Verified {
    let mut connection = Connection::open(directory.join("rosey.db")).expect("a database");
    let mut found = chain::verify(&mut connection).expect("readable");
    let file = directory.join("audit.jsonl");
    if file.exists() {
        file::verify(&file, &connection, &mut found).expect("readable");
    }
    found
}

fn tamper(directory: &Path, sql: &str) {
    Connection::open(directory.join("rosey.db")).and_then(|connection| connection.execute_batch(sql)).expect(sql);
}

#[tokio::test]
async fn an_untouched_chain_is_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    ten_actions(directory.path(), Some(directory.path().join("audit.jsonl"))).await;
    let found = verify(directory.path());
    assert_eq!((found.count, found.open.len(), found.problems), (20, 0, vec![]));
    assert_eq!(found.head.len(), 64);
}

#[tokio::test]
async fn every_edit_deletion_and_truncation_is_found() {
    let tampers = [
        "UPDATE audit SET user = 'mallory' WHERE id = 5",
        "UPDATE audit SET result = NULL WHERE id = 6",
        "UPDATE audit SET took_us = took_us + 1 WHERE id = 20",
        "UPDATE audit SET stage = 'nonsense' WHERE id = 7",
        "UPDATE audit SET hash = previous WHERE id = 9",
        "UPDATE audit SET nick = 'mallory' WHERE id = 5",
        "DELETE FROM audit WHERE id = 1",
        "DELETE FROM audit WHERE id = 11",
        "DELETE FROM audit WHERE id = 20",
        "DELETE FROM audit WHERE id > 3",
        "DELETE FROM audit",
        "DELETE FROM audit_head",
        "UPDATE audit SET id = 21 WHERE id = 20",
        "DELETE FROM audit WHERE id = 8; UPDATE audit SET id = id - 1 WHERE id > 8",
        "UPDATE audit SET id = -1 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = -1",
    ];
    for sql in tampers {
        let directory = tempfile::tempdir().expect("a directory");
        ten_actions(directory.path(), None).await;
        tamper(directory.path(), sql);
        assert_ne!(verify(directory.path()).problems, Vec::<String>::new(), "{sql}");
    }
}

#[tokio::test]
async fn records_of_an_earlier_rosey_stay_whole_beside_those_that_name_the_nick() {
    let directory = tempfile::tempdir().expect("a directory");
    ten_actions(directory.path(), None).await;
    // As an earlier Rosey has left it: without the column, and with hashes that know of none.
    tamper(directory.path(), "ALTER TABLE audit DROP COLUMN nick");
    let found = verify(directory.path());
    assert_eq!((found.count, found.problems), (20, vec![]), "it can be read before a bot has opened it");
    let network = Network { id: "libera".into(), case: CaseMapping::Ascii };
    let user = User { name: "al".into(), identity: Identity::Account { network, name: "alice".into() } };
    let actor = Actor { user: user.into(), via: Via::Chat, place: "libera/#ops".into() };
    for _ in 0..2 {
        let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
        let audit = Audit::open(database, None).await.expect("whole");
        let record = AuditRecord::new(Stage::Denied, &actor, "reload", Some("p"));
        audit.write(record).await.expect("there is room");
        audit.write(before("p")).await.expect("there is room");
    }
    let connection = Connection::open(directory.path().join("rosey.db")).expect("a database");
    let records = chain::list(&connection, None, None, 100).expect("readable");
    let named = records.iter().filter(|record| record.nick.is_some());
    let named: Vec<_> = named.map(|record| (record.user.as_str(), record.nick.as_deref())).collect();
    assert_eq!(named, [("alice", Some("al")); 2]);
    assert_eq!(verify(directory.path()).problems, Vec::<String>::new());
    tamper(directory.path(), "UPDATE audit SET nick = NULL WHERE nick IS NOT NULL");
    assert_eq!(verify(directory.path()).problems.len(), 2);
}

#[tokio::test]
async fn an_edit_with_a_hash_made_to_fit_breaks_the_next_link() {
    let directory = tempfile::tempdir().expect("a directory");
    ten_actions(directory.path(), None).await;
    let connection = Connection::open(directory.path().join("rosey.db")).expect("a database");
    let mut record = chain::since(&connection, 4).expect("readable").swap_remove(0);
    record.user = "mallory".into();
    record.seal(record.id, record.previous.clone());
    let sql = format!("UPDATE audit SET user = 'mallory', hash = '{}' WHERE id = 5", record.hash);
    tamper(directory.path(), &sql);
    assert_eq!(verify(directory.path()).problems, ["record 6 does not follow the record before it"]);
}

#[tokio::test]
async fn what_was_done_to_the_file_is_found_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    ten_actions(directory.path(), Some(path.clone())).await;
    let whole = std::fs::read_to_string(&path).expect("readable");
    let lines: Vec<&str> = whole.lines().collect();
    let changes = [
        whole.replacen("alice", "mallory", 1),
        [&lines[..5], &lines[6..]].concat().join("\n") + "\n",
        whole.clone() + "{}\n",
        whole.replacen("{\"id\":7,", "{\"approved_by\":\"bob\",\"id\":7,", 1),
        whole.replacen("{\"id\":7,", "{ \"id\":7,", 1),
        lines[10..].join("\n") + "\n",
        lines[19].to_owned() + "\n",
        [&lines[..], &lines[19..]].concat().join("\n") + "\n",
    ];
    for changed in changes {
        std::fs::write(&path, &changed).expect("ours");
        assert_ne!(verify(directory.path()).problems, Vec::<String>::new(), "{changed}");
    }
}

#[tokio::test]
async fn a_file_that_is_behind_is_not_tampered_with_and_catches_up_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    ten_actions(directory.path(), Some(path.clone())).await;
    let whole = std::fs::read(&path).expect("readable");
    let a_line = whole.iter().position(|byte| *byte == b'\n').expect("there is one") + 1;
    for bytes in [0, 7, a_line, a_line + 40, whole.len() - 1] {
        std::fs::write(&path, &whole[..bytes]).expect("ours");
        let found = verify(directory.path());
        assert_eq!(found.problems, Vec::<String>::new(), "{bytes} bytes");
        assert!(found.notes[0].contains("behind rosey.db"), "{:?}", found.notes);
        let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
        Audit::open(database, Some(path.clone())).await.expect("whole");
        assert_eq!(std::fs::read(&path).expect("readable"), whole, "{bytes} bytes");
        assert_eq!(verify(directory.path()).notes, Vec::<String>::new());
    }
}

/// Changes that only a head noted elsewhere shows.
const CAREFUL: [&str; 2] = [
    "DELETE FROM audit WHERE id > 18; UPDATE audit_head SET count = 18, hash = (SELECT hash FROM audit WHERE id = 18)",
    "DELETE FROM audit; DELETE FROM audit_head",
];

#[tokio::test]
async fn a_careful_cut_is_found_by_a_noted_head() {
    for sql in CAREFUL {
        let directory = tempfile::tempdir().expect("a directory");
        ten_actions(directory.path(), None).await;
        let noted = verify(directory.path()).head;
        let problems = |hash: &str, count| {
            let mut found = verify(directory.path());
            found.expect(hash, count);
            found.problems
        };
        assert_eq!(problems(&noted, Some(20)), Vec::<String>::new());
        assert_eq!(problems(&noted[..12], None), Vec::<String>::new());
        assert!(problems(&noted, Some(19))[0].contains("made a new chain"));
        tamper(directory.path(), sql);
        assert_eq!(verify(directory.path()).problems, Vec::<String>::new(), "{sql}");
        assert!(problems(&noted, Some(20))[0].contains("the end was cut off"), "{sql}");
        assert!(problems(&noted, None)[0].contains("is missing"), "{sql}");
    }
}

#[tokio::test]
async fn a_careful_cut_under_a_running_bot_is_noticed_at_the_next_record_and_stays_visible() {
    for sql in CAREFUL {
        let directory = tempfile::tempdir().expect("a directory");
        ten_actions(directory.path(), None).await;
        let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
        let audit = Audit::open(database, None).await.expect("whole");
        let alarms = Arc::new(Mutex::new(0));
        let counts = Arc::clone(&alarms);
        audit.on_record(Box::new(move |record| {
            *counts.lock().expect("whole") += usize::from(record.stage == Stage::Alarm)
        }));
        tamper(directory.path(), sql);
        let record = audit.write(before("p")).await.expect("it is recorded");
        assert_eq!((record.id, *alarms.lock().expect("whole")), (22, 1), "{sql}");
        audit.write(before("p")).await.expect("it is recorded");
        assert_eq!(*alarms.lock().expect("whole"), 1, "recorded once");
        let problems = verify(directory.path()).problems;
        assert!(problems.iter().any(|text| text.contains("are missing")), "{problems:?}");
        assert!(problems.iter().any(|text| text.contains("another program changed the audit")), "{problems:?}");
    }
}

#[tokio::test]
async fn a_record_at_a_number_that_cannot_be_blocks_neither_records_nor_starts() {
    let greatest = i64::MAX;
    let tampers = [
        format!("UPDATE audit SET id = {greatest} WHERE id = 20"),
        format!("UPDATE audit SET id = {greatest} WHERE id = 3"),
        format!("UPDATE audit SET id = {greatest} - id"),
        format!("UPDATE audit SET id = {} WHERE id = 19", i64::MIN),
        format!("UPDATE audit_head SET count = {greatest}"),
        format!("UPDATE audit_head SET count = {}", i64::MIN),
        "UPDATE audit SET id = 1000000000000 WHERE id = 20".to_owned(),
        "UPDATE audit SET stage = 'nonsense'".to_owned(),
    ];
    for sql in tampers {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        ten_actions(directory.path(), Some(path.clone())).await;
        let open = async || {
            let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
            Audit::open(database, Some(path.clone())).await.expect("it opens")
        };
        let audit = open().await;
        tamper(directory.path(), &sql);
        let first = audit.begin(before("p")).await.expect("it is recorded");
        let second = audit.write(first.after(true, "done", None)).await.expect("it is recorded");
        assert_eq!(second.id, first.id + 1, "{sql}: an alarm is recorded once");
        drop(audit);
        let third = open().await.begin(before("q")).await.expect("it is recorded");
        assert!(third.id > second.id, "{sql}");
        assert_ne!(verify(directory.path()).problems, Vec::<String>::new(), "{sql}");
        // The same while no bot runs.
        tamper(directory.path(), &sql);
        open().await.begin(before("r")).await.expect("it is recorded");
    }
    let directory = tempfile::tempdir().expect("a directory");
    ten_actions(directory.path(), None).await;
    tamper(directory.path(), &format!("UPDATE audit SET id = {greatest} WHERE id = 20"));
    let problems = verify(directory.path()).problems;
    assert!(problems.iter().any(|text| text.contains("record 9223372036854775807 was moved there")), "{problems:?}");
}

#[tokio::test]
async fn tables_that_nothing_can_be_written_to_are_kept_aside_and_a_new_chain_says_so() {
    for sql in [
        "ALTER TABLE audit DROP COLUMN place",
        "DROP TABLE audit; CREATE TABLE audit (id INTEGER PRIMARY KEY, text TEXT)",
        "DROP TABLE audit_head; CREATE TABLE audit_head (note TEXT)",
        "CREATE TRIGGER mine BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER mine BEFORE UPDATE ON audit_head BEGIN SELECT RAISE(ABORT, 'no'); END",
    ] {
        for with_file in [false, true] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = with_file.then(|| directory.path().join("audit.jsonl"));
            ten_actions(directory.path(), path.clone()).await;
            // So that the start has something to record.
            tamper(directory.path(), "DELETE FROM audit WHERE id = 20");
            tamper(directory.path(), sql);
            let open = async || {
                let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
                Audit::open(database, path.clone()).await.expect("it opens")
            };
            let audit = open().await;
            for _ in 0..3 {
                audit.write(before("p")).await.expect("it is recorded");
            }
            let problems = verify(directory.path()).problems;
            let said =
                problems.iter().any(|text| text.contains("what was there is in the table audit_1, and a new chain"));
            assert!(said, "{sql}: {problems:?}");
            drop(audit);
            open().await.write(before("q")).await.expect("it is recorded");
        }
    }
}

#[tokio::test]
async fn a_database_that_lost_what_the_file_has_is_noticed_at_the_start() {
    for sql in CAREFUL {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        ten_actions(directory.path(), Some(path.clone())).await;
        tamper(directory.path(), sql);
        assert_ne!(verify(directory.path()).problems, Vec::<String>::new(), "{sql}");
        let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
        let audit = Audit::open(database, Some(path.clone())).await.expect("readable");
        let record = audit.write(before("p")).await.expect("it is recorded");
        assert_eq!(record.id, 22, "{sql}");
        assert!(std::fs::read_to_string(&path).expect("readable").contains("\"alarm\""), "{sql}");
        assert_ne!(verify(directory.path()).problems, Vec::<String>::new(), "{sql}");
    }
}

#[tokio::test]
async fn an_action_whose_beginning_the_file_does_not_take_has_an_honest_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
    let audit = Audit::open(database, Some("/dev/full".into())).await.expect("it opens");
    let error = audit.begin(before("p")).await.expect_err("there is no room");
    assert!(error.to_string().starts_with("the audit file /dev/full cannot be written"), "{error}");
    let connection = Connection::open(directory.path().join("rosey.db")).expect("a database");
    let records = chain::list(&connection, None, None, 10).expect("readable");
    assert_eq!((records.len(), records[1].about, records[1].ok), (2, Some(1), Some(false)));
    let result = records[1].result.as_deref().unwrap_or_default();
    assert!(result.starts_with("not done: the audit file /dev/full cannot be written"), "{result}");
    assert_eq!(verify(directory.path()).open, Vec::<i64>::new());
}

#[tokio::test]
async fn a_torn_line_and_a_missing_end_are_mended_at_the_next_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    ten_actions(directory.path(), Some(path.clone())).await;
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &whole[..whole.len() - 30]).expect("ours");
    let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
    let audit = Audit::open(database.clone(), Some(path.clone())).await.expect("mended");
    audit.write(before("killed")).await.expect("there is room");
    drop(audit);
    assert_eq!(verify(directory.path()).open, [21]);

    Audit::open(database, Some(path)).await.expect("whole");
    let found = verify(directory.path());
    assert_eq!((found.count, found.open, found.problems), (22, vec![], vec![]));
}

#[tokio::test]
async fn what_cannot_be_written_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = Database::open(&directory.path().join("rosey.db"), &SCHEMA).expect("a database");
    let audit = Audit::open(database, None).await.expect("empty");
    tamper(directory.path(), "DROP TABLE audit");
    let error = audit.write(before("p")).await.expect_err("no table");
    assert!(error.to_string().contains("no such table"), "{error}");
}
