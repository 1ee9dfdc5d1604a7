//! That nothing can be changed in the audit without it showing.

use super::{
    chain::{self, Verified},
    *,
};
use crate::{
    admin::Actor,
    event::{Identity, User},
};
use rusqlite::Connection;
use std::{path::Path, time::Duration};

fn before(plugin: &str) -> AuditRecord {
    let user = User { name: "alice".into(), identity: Identity::Console };
    let actor = Actor { user: user.into(), via: "chat", place: "console/terminal".into() };
    AuditRecord::new(Stage::Before, &actor, "reload", Some(plugin))
}

/// An audit of ten actions, each with its end.
async fn ten_actions(directory: &Path, file: Option<PathBuf>) {
    let database = Database::open(&directory.join("rosey.db"), &[chain::SCHEMA]).expect("a database");
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
        file::verify(&file, &mut found).expect("readable");
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
        lines[..19].join("\n") + "\n",
        [&lines[..5], &lines[6..]].concat().join("\n") + "\n",
        whole.clone() + "{}\n",
        String::new(),
    ];
    for changed in changes {
        std::fs::write(&path, changed).expect("ours");
        assert_ne!(verify(directory.path()).problems, Vec::<String>::new());
    }
    std::fs::write(&path, lines[10..].join("\n") + "\n").expect("ours");
    assert_eq!(verify(directory.path()).problems, Vec::<String>::new(), "it may begin later");
}

#[tokio::test]
async fn a_torn_line_and_a_missing_end_are_mended_at_the_next_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    ten_actions(directory.path(), Some(path.clone())).await;
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &whole[..whole.len() - 30]).expect("ours");
    let database = Database::open(&directory.path().join("rosey.db"), &[chain::SCHEMA]).expect("a database");
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
    let database = Database::open(&directory.path().join("rosey.db"), &[chain::SCHEMA]).expect("a database");
    let audit = Audit::open(database, None).await.expect("empty");
    tamper(directory.path(), "DROP TABLE audit");
    let error = audit.write(before("p")).await.expect_err("no table");
    assert!(error.to_string().contains("no such table"), "{error}");
}
