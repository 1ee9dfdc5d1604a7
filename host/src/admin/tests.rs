//! The admin room with one plugin that was never built: what is allowed, asked, recorded and refused.

use super::{audit::chain, *};
use crate::{
    event::{Identity, Outgoing, Place},
    plugin::{
        self, PluginConfig, artifact,
        generation::{Forge, Shims},
        journal::Journal,
        limits::Limits,
        process::Spawner,
    },
    router::AdminLine,
    store::Database,
};
use std::sync::Mutex;
use tempfile::TempDir;
use tokio::sync::mpsc;

struct Room {
    admin: Arc<Admin>,
    lines: mpsc::Sender<AdminLine>,
    outgoing: mpsc::Sender<Outgoing>,
    said: mpsc::Receiver<Outgoing>,
    directory: TempDir,
}

impl Room {
    async fn open(change: impl FnOnce(&mut AdminConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let shims = Shims {
            spawner: Spawner::start().expect("a thread"),
            program: "/nonexistent".into(),
            run_dir: path.to_owned(),
            spare: false,
        };
        let store = artifact::Store::open(path.join("artifacts")).expect("a directory");
        let forge = Forge::new(shims, store, tokio::runtime::Handle::current(), Journal::default());
        let schema: Vec<_> = plugin::SCHEMA.into_iter().chain(SCHEMA).collect();
        let database = Database::open(&path.join("rosey.db"), &schema).expect("a database");
        let dice = PluginConfig {
            name: "dice-roller".into(),
            library: path.join("libdice_roller.so"),
            reload: None,
            probe: None,
            config: serde_json::json!({}),
            limits: Limits::default(),
        };
        let plugins = Plugins::new(vec![dice], forge.into(), database, Arc::new(|_| {})).await.expect("a database");
        let mut config = AdminConfig {
            owner: Some("alice".into()),
            admins: vec!["bob".into()],
            roles: BTreeMap::from([("eve".into(), Role::Viewer)]),
            trust_nicks: false,
            per_minute: 10,
            cooldown: Duration::ZERO,
            audit_file: None,
            dashboard: None,
        };
        change(&mut config);
        let admin = Admin::open(config, plugins.into(), None).await.expect("a database");
        let (lines, waiting) = mpsc::channel(chat::QUEUE);
        tokio::spawn(Arc::clone(&admin).run(waiting));
        let (outgoing, said) = mpsc::channel(100);
        Self { admin, lines, outgoing, said, directory }
    }

    async fn line(&self, user: &User, channel: &str, line: &str) {
        let line = AdminLine {
            line: line.into(),
            user: Arc::new(user.clone()),
            place: Place::new("irc", channel).into(),
            outgoing: self.outgoing.clone(),
        };
        self.lines.send(line).await.expect("it listens");
    }

    async fn answer(&mut self) -> String {
        let answer = tokio::time::timeout(Duration::from_secs(3600), self.said.recv()).await;
        answer.expect("an answer").and_then(|outgoing| outgoing.text).expect("a text")
    }

    async fn ask(&mut self, user: &User, line: &str) -> String {
        self.line(user, "#ops", line).await;
        self.answer().await
    }

    /// Who, what and how it ended, of all records.
    fn audited(&self) -> Vec<(String, String, Option<bool>)> {
        let mut connection = rusqlite::Connection::open(self.directory.path().join("rosey.db")).expect("there");
        assert_eq!(chain::verify(&mut connection).expect("readable").problems, Vec::<String>::new());
        let records = chain::list(&connection, None, None, 1000).expect("readable");
        records
            .into_iter()
            .map(|record| (record.user, format!("{} {}", record.stage, record.command), record.ok))
            .collect()
    }
}

fn account(name: &str) -> User {
    User { name: format!("{name}-nick"), identity: Identity::Account(name.into()) }
}

fn actor(name: &str) -> Actor {
    Actor { user: account(name).into(), via: "dashboard", place: "127.0.0.1".into() }
}

#[tokio::test]
async fn strangers_are_told_so_a_few_times_and_recorded() {
    let mut room = Room::open(|_| {}).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    room.admin
        .on_action(Box::new(move |record| sees.lock().expect("whole").push((record.stage, record.command.clone()))));
    let nick = User { name: "alice".into(), identity: Identity::Unverified };
    for _ in 0..3 {
        assert_eq!(room.ask(&nick, "!admin reload dice-roller").await, "Admin permission required.");
    }
    room.line(&nick, "#ops", "!admin reload dice-roller").await;
    room.line(&nick, "#ops", "yes").await;
    assert_eq!(room.ask(&account("alice"), "!admin list").await, "dice-roller stopped", "the fourth got no answer");
    let denied = ("alice".to_owned(), "denied reload".to_owned(), Some(false));
    assert_eq!(room.audited(), vec![denied; 3]);
    let seen = seen.lock().expect("whole");
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[3], (Stage::Read, "list".to_owned()));
}

#[tokio::test]
async fn a_role_too_low_is_named() {
    let mut room = Room::open(|_| {}).await;
    let text = room.ask(&account("eve"), "!admin stop dice-roller").await;
    assert_eq!(text, "Admin permission required: that needs the role operator, and yours is viewer.");
    assert!(room.ask(&account("eve"), "!admin status").await.starts_with("dice-roller stopped"));
    assert!(room.ask(&account("bob"), "!admin reload dice-roller force").await.contains("the role owner"));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anybody_says_yes() {
    let mut room = Room::open(|_| {}).await;
    let alice = account("alice");
    assert!(room.ask(&alice, "!admin reload dice-roler").await.ends_with("did you mean dice-roller?"));
    assert!(room.ask(&alice, "!admin reload admin").await.contains("restart Rosey"));
    let missing = room.ask(&alice, "!admin reload dice-roller").await;
    assert!(missing.ends_with("build it with: cargo build --release -p dice-roller."), "{missing}");
    assert_eq!(room.ask(&alice, "!admin stop dice-roller").await, "dice-roller is stopped already.");
    assert!(room.ask(&alice, "!admin rollback dice-roller").await.contains("no earlier artifact"));
    assert!(room.ask(&alice, "!admin deadletters dice-roller replay 1").await.contains("no dead letter 1"));
    assert_eq!(room.ask(&alice, "!admin deadletters").await, "There are no dead letters.");
    assert_eq!(room.ask(&alice, "!admin logs dice-roller").await, "dice-roller has said nothing yet.");
    assert!(room.ask(&alice, "!admin metrics").await.contains("dashboard.enabled"));
}

#[tokio::test]
async fn a_yes_right_behind_its_question_waits_for_it_and_all_is_recorded() {
    let mut room = Room::open(|_| {}).await;
    let alice = account("alice");
    for line in ["!admin restart dice-roller", "yes", "!admin restart dice-roller", "no", "yes"] {
        room.line(&alice, "#ops", line).await;
    }
    assert_eq!(room.answer().await, "Restart dice-roller? Type 'yes' to confirm (30 s)");
    let mut rest = vec![room.answer().await, room.answer().await, room.answer().await, room.answer().await];
    rest.sort();
    assert_eq!(
        rest,
        [
            "Restart dice-roller? Type 'yes' to confirm (30 s)",
            "Restarting dice-roller …",
            "restart dice-roller refused: it is not running; start it first.",
            "restart dice-roller: left as it is.",
        ]
    );
    let alice = |what: &str, ok| ("alice".to_owned(), what.to_owned(), ok);
    assert_eq!(room.audited(), [alice("before restart", None), alice("after restart", Some(false))]);
}

#[tokio::test]
async fn one_admin_does_not_answer_for_another_nor_from_another_channel() {
    let mut room = Room::open(|_| {}).await;
    let (alice, bob) = (account("alice"), account("bob"));
    room.ask(&alice, "!admin restart dice-roller").await;
    room.line(&bob, "#ops", "yes").await;
    room.line(&alice, "#other", "yes").await;
    assert_eq!(room.ask(&bob, "!admin list").await, "dice-roller stopped");
    let replaced = room.ask(&alice, "!admin start dice-roller").await;
    assert!(replaced.ends_with("(Instead of: Restart dice-roller?)"), "{replaced}");
    assert_eq!(room.ask(&alice, "no").await, "start dice-roller: left as it is.");
    assert_eq!(room.audited(), []);
}

#[tokio::test]
async fn a_question_expires_aloud_and_keeps_no_connector_open() {
    let mut room = Room::open(|_| {}).await;
    let alice = account("alice");
    room.ask(&alice, "!admin restart dice-roller").await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(room.answer().await, "Restart dice-roller? No answer within 30 s: left as it is.");
    assert_eq!(began.elapsed().as_secs(), 30);
    tokio::time::resume();
    room.line(&alice, "#ops", "yes").await;
    room.ask(&alice, "!admin restart dice-roller").await;
    let (outgoing, _) = mpsc::channel(1);
    room.outgoing = outgoing;
    assert!(room.said.recv().await.is_none(), "nobody holds the connector's queue");
    assert_eq!(room.audited(), []);
}

#[tokio::test]
async fn ten_changes_a_minute_and_ten_queries_in_chat() {
    let mut room = Room::open(|config| config.per_minute = 2).await;
    let alice = account("alice");
    for _ in 0..2 {
        room.ask(&alice, "!admin list").await;
        room.ask(&alice, "!admin restart dice-roller").await;
    }
    assert!(room.ask(&alice, "!admin list").await.contains("one command too many"));
    assert!(room.ask(&alice, "!admin restart dice-roller").await.contains("one command too many"));
    assert!(room.ask(&account("bob"), "!admin list").await.contains("stopped"), "each has their own");
    assert!(room.admin.query(&actor("alice"), &Query::List).await.is_ok(), "only chat is limited in queries");
}

#[tokio::test]
async fn a_plugin_rests_after_a_change_but_can_always_be_stopped() {
    let room = Room::open(|config| config.cooldown = Duration::from_secs(60)).await;
    let (admin, alice) = (&room.admin, actor("alice"));
    let proposal = admin.propose(&alice, Action::Restart, "dice-roller").await.expect("it makes sense");
    let again = admin.propose(&alice, Action::Restart, "dice-roller").await.expect("nothing was done yet");
    assert!(matches!(admin.carry_out(&alice, proposal).await, Err(Refusal::Failed { .. })), "it is not running");
    assert!(matches!(admin.carry_out(&alice, again).await, Err(Refusal::Cooling { .. })));
    assert!(matches!(admin.propose(&alice, Action::Restart, "dice-roller").await, Err(Refusal::Cooling { .. })));
    assert!(matches!(admin.propose(&alice, Action::Stop, "dice-roller").await, Err(Refusal::Already { .. })));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let room = Room::open(|_| {}).await;
    let alice = actor("alice");
    let proposal = room.admin.propose(&alice, Action::Start, "dice-roller").await.expect("it makes sense");
    let connection = rusqlite::Connection::open(room.directory.path().join("rosey.db")).expect("there");
    connection.execute_batch("DROP TABLE audit").expect("there");
    let refusal = room.admin.carry_out(&alice, proposal).await.expect_err("no table");
    assert!(refusal.to_string().starts_with("Nothing was done, for it cannot be recorded:"), "{refusal}");
    let view = room.admin.plugins.view("dice-roller").await.expect("there");
    assert_eq!(view.state, "stopped", "a start would have failed it");
}

#[tokio::test]
async fn at_the_end_nothing_begins_any_more() {
    let room = Room::open(|_| {}).await;
    let alice = actor("alice");
    let proposal = room.admin.propose(&alice, Action::Start, "dice-roller").await.expect("it makes sense");
    room.admin.finish().await;
    assert!(matches!(room.admin.carry_out(&alice, proposal).await, Err(Refusal::Stopping)));
    assert_eq!(room.audited(), []);
}
