//! What becomes of events that keep something when `rosey.db` cannot be written or read: they wait, or they fail whole, and it
//! is said.

use rosey::{commit, slot::view::View};
use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use rusqlite::Connection;
use std::{fs, os::unix::fs::FileExt, path::Path};

/// What a person reads when an event fails.
const FAILED: &str = "p could not do that; the operator can see why.";

async fn start(state: &Path) -> Rig {
    Rig::start_in(state, vec![plugin("p", &build::library("keeper-1"))]).await
}

fn database(state: &Path) -> Connection {
    Connection::open(state.join("rosey.db")).expect("it is there")
}

fn failed(view: &View) -> u64 {
    view.ledger.outcomes[2]
}

#[tokio::test]
async fn while_another_program_holds_the_database_an_event_waits_and_then_fails_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    assert_eq!(rig.ask("!keep 3").await, "kept");
    let holder = database(directory.path());
    holder.execute_batch("BEGIN IMMEDIATE").expect("nobody holds it");
    let mut waiting = rig.channel("waiting");
    waiting.say("!keep 4").await;
    assert_eq!(rig.ask("!which").await, "one", "others are answered");
    assert!(waiting.is_quiet());
    holder.execute_batch("ROLLBACK").expect("it is ours");
    assert_eq!(waiting.answer().await.as_deref(), Some("kept"));

    holder.execute_batch("BEGIN IMMEDIATE").expect("nobody holds it");
    assert_eq!(rig.ask("!keep 5").await, FAILED, "five seconds are enough");
    let trouble = rig.plugins.database().trouble().expect("it is told");
    assert_eq!(trouble, "rosey.db: another program holds it; close that one");
    assert_eq!(rig.plugins.view("p").await.map(|view| failed(&view)).expect("there"), 1);
    holder.execute_batch("ROLLBACK").expect("it is ours");
    assert_eq!(rig.ask("!numbers").await, "4 3 4 3", "the second in another channel, and nothing of the third");
    assert_eq!(rig.ask("!keep 6").await, "kept");
    assert_eq!(rig.plugins.database().trouble(), None);
    rig.stop().await;
}

#[tokio::test]
async fn without_room_an_event_fails_whole_until_there_is_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    assert_eq!(rig.ask("!keep 3").await, "kept");
    let before = rig.plugins.view("p").await.expect("there").account.kept;
    let pages = |most: Option<i64>| {
        rig.plugins.database().run(move |connection| {
            let now: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
            // SQLite answers with what is in force.
            connection.query_row(&format!("PRAGMA max_page_count = {}", most.unwrap_or(now)), [], |_| Ok(()))
        })
    };
    pages(None).await.expect("a setting of the connection");
    let mut from = 0;
    let answer = loop {
        let answer = rig.ask(&format!("!fill {from} {}", from + 200)).await;
        if answer != "filled" {
            break answer;
        }
        from += 200;
    };
    assert_eq!(answer, FAILED);
    let trouble = rig.plugins.database().trouble().expect("it is told");
    assert_eq!(trouble, "rosey.db: its disk is full; make room");
    let half = commit::count_keys(&database(directory.path()), "p", "many:").expect("readable");
    assert_eq!(half, from, "nothing of the last event");
    assert_eq!(rig.ask("!numbers").await, "3 3 3 3", "what is there can be read");
    pages(Some(1_000_000)).await.expect("a setting of the connection");
    assert_eq!(rig.ask(&format!("!fill {from} {}", from + 200)).await, "filled");
    let after = rig.plugins.view("p").await.expect("there").account.kept;
    assert_eq!(after.keys, before.keys + from + 200);
    assert_eq!(rig.plugins.database().trouble(), None);
    rig.stop().await;
}

#[tokio::test]
async fn of_a_damaged_page_it_is_said_that_and_nothing_is_half_applied() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = start(directory.path()).await;
    for from in [0, 200, 400, 600] {
        assert_eq!(rig.ask(&format!("!fill {from} {}", from + 200)).await, "filled");
    }
    rig.plugins.database().flush().await;
    rig.stop().await;
    let usage = commit::all_usage(&database(directory.path())).expect("readable");
    let (root, size): (u64, u64) = {
        let database = database(directory.path());
        let root = database.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'kept'", [], |row| row.get(0));
        let size = database.pragma_query_value(None, "page_size", |row| row.get(0));
        (root.expect("our table"), size.expect("it has one"))
    };
    let file = fs::OpenOptions::new().write(true).open(directory.path().join("rosey.db")).expect("ours");
    file.write_all_at(&vec![0xff; size as usize], (root - 1) * size).expect("ours");

    let rig = start(directory.path()).await;
    assert_eq!(rig.ask("!which").await, "one", "what keeps nothing is answered");
    assert_eq!(rig.ask("!keep 5").await, FAILED);
    assert_eq!(rig.ask("!numbers").await, "Sorry, something went wrong.", "so says the handler that could not read");
    let trouble = rig.plugins.database().trouble().expect("it is told");
    assert!(trouble.contains("rosey.db is damaged. Put back a copy of it"), "{trouble}");
    assert_eq!(rig.plugins.view("p").await.map(|view| failed(&view)).expect("there"), 2);
    rig.stop().await;
    assert_eq!(commit::all_usage(&database(directory.path())).expect("another page"), usage);
}
