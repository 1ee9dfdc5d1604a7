//! The admin with one plugin that was never built: permissions, questions, records and refusals.

use super::{
    audit::chain,
    confirm::{Asked, Question, Unasked},
    *,
};
use crate::{
    artifact,
    event::{Identity, Network, Outgoing, Place, name::CaseMapping},
    journal::Journal,
    plugins::{self, PluginConfig},
    process::{
        spawn::Spawner,
        start::{Shims, Starter},
    },
    router::AdminLine,
    slot::outlets::Nowhere,
    store::Database,
};
use rosey_core::limits::Limits;
use std::sync::Mutex;
use tempfile::TempDir;
use tokio::sync::mpsc;

struct Room {
    admin: Arc<Admin>,
    lines: mpsc::Sender<AdminLine>,
    outgoing: mpsc::Sender<Outgoing>,
    answers: mpsc::Receiver<Outgoing>,
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
            data_dir: path.to_owned(),
            spare: false,
        };
        let store = artifact::Store::open(path.join("artifacts")).expect("a directory");
        let starter = Starter::new(shims, store, tokio::runtime::Handle::current(), Journal::default());
        let schema: Vec<_> = plugins::SCHEMA.into_iter().chain(SCHEMA).collect();
        let database = Database::open(&path.join("rosey.db"), &schema).expect("a database");
        let dice = PluginConfig {
            name: "dice-roller".into(),
            library: path.join("libdice_roller.so"),
            group: None,
            reload: None,
            probe: None,
            config: serde_json::json!({}),
            config_places: plugins::SettingsPlaces::default(),
            journal: false,
            speaks_in: Vec::new(),
            sandbox: plugins::Sandbox::default(),
            limits: Limits::default(),
        };
        let (outlets, listener) = (Arc::new(Nowhere), Arc::new(|_| {}));
        let plugins = Plugins::new(vec![dice], starter.into(), database, outlets, listener).await.expect("a database");
        let mut config = AdminConfig {
            owner: Some("alice".into()),
            admins: vec!["bob".into()],
            roles: BTreeMap::from([("eve".into(), Role::Viewer)]),
            trust_nicks: false,
            per_minute: 10,
            cooldown: Duration::ZERO,
            two_person: Vec::new(),
            audit_file: None,
        };
        change(&mut config);
        let admin = Admin::open(config, plugins.into(), None).await.expect("a database");
        let (lines, waiting) = mpsc::channel(chat::QUEUE);
        tokio::spawn(Arc::clone(&admin).run(waiting));
        let (outgoing, answers) = mpsc::channel(100);
        Self { admin, lines, outgoing, answers, directory }
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
        let answer = tokio::time::timeout(Duration::from_secs(3600), self.answers.recv()).await;
        answer.expect("an answer").and_then(|outgoing| outgoing.text).expect("a text")
    }

    async fn ask(&mut self, user: &User, line: &str) -> String {
        self.line(user, "#ops", line).await;
        self.answer().await
    }

    /// User, command and result of all records.
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

impl Room {
    /// The result texts of all records.
    fn results(&self) -> Vec<String> {
        let connection = rusqlite::Connection::open(self.directory.path().join("rosey.db")).expect("there");
        let records = chain::list(&connection, None, None, 1000).expect("readable");
        records.into_iter().map(|record| record.result.unwrap_or_default()).collect()
    }
}

fn irc() -> Network {
    Network { id: "irc".into(), case: CaseMapping::Ascii }
}

fn account(name: &str) -> User {
    User { name: format!("{name}-nick"), identity: Identity::Account { network: irc(), name: name.into() } }
}

fn actor(name: &str) -> Actor {
    Actor { user: account(name).into(), via: Via::Dashboard, place: "127.0.0.1".into() }
}

#[tokio::test]
async fn strangers_are_told_so_a_few_times_and_recorded() {
    let mut room = Room::open(|_| {}).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    room.admin
        .on_action(Box::new(move |record| sees.lock().expect("whole").push((record.stage, record.command.clone()))));
    let nick = User { name: "alice".into(), identity: Identity::Nick { network: irc() } };
    for _ in 0..3 {
        assert_eq!(room.ask(&nick, "!admin reload dice-roller").await, "Admin permission required.");
    }
    room.line(&nick, "#ops", "!admin reload dice-roller").await;
    room.line(&nick, "#ops", "yes").await;
    assert_eq!(room.ask(&account("alice"), "!admin list").await, "dice-roller stopped", "the fourth got no answer");
    let denied = ("alice".to_owned(), "denied reload".to_owned(), Some(false));
    assert_eq!(room.audited(), vec![denied.clone(); 3]);
    assert_eq!(seen.lock().expect("whole")[3..], [(Stage::Read, "list".to_owned())]);
    room.admin.finish().await;
    assert_eq!(room.audited(), vec![denied; 4], "the fourth is recorded with all others of its minute");
    assert_eq!(room.results()[3], "1 more denied within a minute, of alice");
}

#[tokio::test]
async fn a_crowd_of_nicks_hides_nobody_with_a_name() {
    let room = Room::open(|_| {}).await;
    for stranger in 0..100 {
        let nick = User { name: format!("guest{stranger}"), identity: Identity::Nick { network: irc() } };
        let actor = Actor { user: nick.into(), via: Via::Chat, place: "irc/#ops".into() };
        room.admin.query(&actor, Query::List, None).await.expect_err("a stranger");
    }
    room.admin.query(&actor("mallory"), Query::List, None).await.expect_err("a stranger");
    let audited = room.audited();
    assert_eq!(audited.len(), 31);
    assert_eq!(audited[30], ("mallory".to_owned(), "denied list".to_owned(), Some(false)));
    room.admin.finish().await;
    let last = room.results().pop().expect("there are some");
    assert!(last.starts_with("70 more denied within a minute, of guest30, "), "{last}");
}

#[tokio::test]
async fn what_was_counted_is_recorded_after_a_minute() {
    let room = Room::open(|_| {}).await;
    for _ in 0..5 {
        room.admin.query(&actor("mallory"), Query::List, None).await.expect_err("a stranger");
    }
    assert_eq!(room.audited().len(), 3);
    let recorded = Arc::new(tokio::sync::Notify::new());
    let tells = Arc::clone(&recorded);
    room.admin.on_action(Box::new(move |_| tells.notify_one()));
    tokio::time::pause();
    recorded.notified().await;
    assert_eq!(room.results()[3], "2 more denied within a minute, of mallory");
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
    assert!(missing.ends_with("build dice-roller and copy it there."), "{missing}");
    assert_eq!(room.ask(&alice, "!admin stop dice-roller").await, "dice-roller is already stopped.");
    assert!(room.ask(&alice, "!admin rollback dice-roller").await.contains("no earlier artifact"));
    let letter = room.ask(&alice, "!admin deadletters dice-roller replay 1").await;
    assert_eq!(letter, "dice-roller has no dead letter 1; !admin deadletters dice-roller numbers them.");
    let refused = ("alice".to_owned(), "refused replay 1".to_owned(), Some(false));
    assert_eq!(room.audited().last(), Some(&refused), "which one");
    assert_eq!(room.ask(&alice, "!admin deadletters").await, "There are no dead letters.");
    assert_eq!(room.ask(&alice, "!admin logs dice-roller").await, "dice-roller has no log lines yet.");
    room.admin.set_dashboard(Dashboard::Off);
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
            "restart dice-roller refused: it is not running; start it first: !admin start dice-roller.",
            "restart dice-roller: nothing was done.",
        ]
    );
    let alice = |what: &str, ok| ("alice".to_owned(), what.to_owned(), ok);
    let mut audited = room.audited();
    audited.sort();
    let dropped = alice("dropped restart", Some(false));
    assert_eq!(audited, [alice("after restart", Some(false)), alice("before restart", None), dropped]);
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
    assert_eq!(room.ask(&alice, "no").await, "start dice-roller: nothing was done.");
    let dropped = |what: &str| ("alice".to_owned(), format!("dropped {what}"), Some(false));
    assert_eq!(room.audited(), [dropped("restart"), dropped("start")]);
    assert_eq!(room.results(), ["another command came instead of an answer", "answered no"]);
}

#[tokio::test]
async fn a_command_that_is_refused_withdraws_the_question_before_it() {
    let mut room = Room::open(|_| {}).await;
    let alice = account("alice");
    room.ask(&alice, "!admin restart dice-roller").await;
    let refused = room.ask(&alice, "!admin stop dice-roller").await;
    assert_eq!(
        refused,
        "dice-roller is already stopped. (Withdrawn: Restart dice-roller? Ask again if you want that.)"
    );
    room.line(&alice, "#ops", "yes").await;
    assert_eq!(room.ask(&alice, "!admin list").await, "dice-roller stopped", "the yes is for nothing");
    let refused = ("alice".to_owned(), "refused stop".to_owned(), Some(false));
    assert_eq!(room.audited(), [("alice".to_owned(), "dropped restart".to_owned(), Some(false)), refused]);
}

#[tokio::test]
async fn a_question_expires_aloud_and_keeps_no_connector_open() {
    let mut room = Room::open(|_| {}).await;
    let alice = account("alice");
    room.ask(&alice, "!admin restart dice-roller").await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(room.answer().await, "Restart dice-roller? No answer within 30 s, so nothing was done.");
    assert_eq!(began.elapsed().as_secs(), 30);
    tokio::time::resume();
    let late = room.ask(&alice, "yes").await;
    assert!(late.starts_with("Too late"), "{late}");
    room.line(&alice, "#ops", "yes").await;
    room.ask(&alice, "!admin restart dice-roller").await;
    let (outgoing, _) = mpsc::channel(1);
    room.outgoing = outgoing;
    assert!(room.answers.recv().await.is_none(), "the connector's queue has no holder");
    while room.audited().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(room.audited(), [("alice".to_owned(), "dropped restart".to_owned(), Some(false))]);
    assert_eq!(room.results(), ["no answer within 30 s"]);
}

#[tokio::test]
async fn questions_of_chat_and_pages_share_a_limit_and_each_end_is_recorded() {
    let mut room = Room::open(|config| config.per_minute = 1000).await;
    let (alice, page) = (actor("alice"), |n: usize| Asked { who: format!("page {n}"), place: "dice-roller".into() });
    let mut put = 0;
    let refusal = loop {
        let proposal = room.admin.propose(&alice, Action::Restart, "dice-roller").await.expect("it makes sense");
        match room.admin.ask(&alice, page(put), Question::Change(Box::new(proposal))).await {
            Ok(_) => put += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, Refusal::TooManyQuestions) && refusal.is_temporary() && put == 64, "{put}: {refusal}");
    let in_chat = room.ask(&account("bob"), "!admin restart dice-roller").await;
    assert!(in_chat.starts_with("Too many questions wait for an answer"), "{in_chat}");
    assert!(room.admin.decline(&alice, &page(0), "answered no").await.is_some());
    assert!(room.ask(&account("bob"), "!admin restart dice-roller").await.ends_with("Type 'yes' to confirm (30 s)"));
    tokio::time::pause();
    assert!(room.answer().await.ends_with("No answer within 30 s, so nothing was done."));
    tokio::time::resume();
    let dropped = |room: &Room| room.results().iter().filter(|text| *text == "no answer within 30 s").count();
    while dropped(&room) < 64 {
        tokio::task::yield_now().await;
    }
    assert_eq!(room.admin.confirm(&page(1)).err(), Some(Unasked::TooLate));
    assert_eq!(room.admin.confirm(&page(0)).err(), Some(Unasked::Unknown), "that one was answered");
}

#[tokio::test]
async fn ten_changes_a_minute_and_ten_queries_in_chat() {
    let mut room = Room::open(|config| config.per_minute = 2).await;
    let alice = account("alice");
    for _ in 0..2 {
        room.ask(&alice, "!admin list").await;
        room.ask(&alice, "!admin restart dice-roller").await;
    }
    assert!(room.ask(&alice, "!admin list").await.contains("Too many commands"));
    assert!(room.ask(&alice, "!admin restart dice-roller").await.contains("Too many commands"));
    assert!(room.ask(&alice, "!admin restart dice-roller").await.contains("Too many commands"));
    assert!(room.ask(&account("bob"), "!admin list").await.contains("stopped"), "each has their own");
    room.admin.finish().await;
    let results = room.results();
    let often: Vec<_> = results.iter().filter(|text| text.contains("Too many") || text.contains("more")).collect();
    assert!(often[0].contains("Too many commands"), "{often:?}");
    assert_eq!(often[1..], ["1 more refused within a minute, of alice"]);
    assert!(room.admin.query(&actor("alice"), Query::List, None).await.is_ok(), "only chat is limited in queries");
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
    let cooling = room.results().into_iter().filter(|text| text.contains("was changed a moment ago")).count();
    assert_eq!(cooling, 2, "refusals are recorded");
}

#[tokio::test]
async fn of_two_who_say_yes_at_once_one_waits_for_the_cooldown() {
    let room = Room::open(|config| config.cooldown = Duration::from_secs(60)).await;
    let (admin, alice, bob) = (&room.admin, actor("alice"), actor("bob"));
    let of_alice = admin.propose(&alice, Action::Restart, "dice-roller").await.expect("it makes sense");
    let of_bob = admin.propose(&bob, Action::Restart, "dice-roller").await.expect("it makes sense");
    let (one, other) = tokio::join!(admin.carry_out(&alice, of_alice), admin.carry_out(&bob, of_bob));
    let cooling = [one, other].into_iter().filter(|result| matches!(result, Err(Refusal::Cooling { .. }))).count();
    assert_eq!(cooling, 1);
}

#[tokio::test]
async fn rosey_itself_has_a_status_help_knows_the_role_and_metrics_knows_what_became_of_the_dashboard() {
    let mut room = Room::open(|_| {}).await;
    let (alice, eve) = (account("alice"), account("eve"));
    let status = room.ask(&eve, "!admin status admin").await;
    assert!(status.starts_with(concat!("rosey ", env!("CARGO_PKG_VERSION"), " running, up 0 s, ")), "{status}");
    assert!(room.ask(&eve, "!admin help").await.ends_with("You are a viewer."));
    assert!(room.ask(&alice, "!admin help").await.contains("reload <plugin> force"));
    assert!(room.ask(&eve, "!admin metrics").await.contains("not started yet"));
    room.admin.set_dashboard(Dashboard::Failed("another program has the port".into()));
    assert_eq!(room.ask(&eve, "!admin metrics").await, "The dashboard did not start: another program has the port.");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let room = Room::open(|_| {}).await;
    let alice = actor("alice");
    let proposal = room.admin.propose(&alice, Action::Start, "dice-roller").await.expect("it makes sense");
    let connection = rusqlite::Connection::open(room.directory.path().join("rosey.db")).expect("there");
    connection.execute_batch("DROP TABLE audit").expect("there");
    let refusal = room.admin.carry_out(&alice, proposal).await.expect_err("no table");
    assert!(refusal.to_string().starts_with("Nothing was done, because it cannot be recorded:"), "{refusal}");
    let view = room.admin.plugins.view("dice-roller").await.expect("there");
    assert_eq!(view.state.word(), "stopped", "a start would have failed it");
}

#[tokio::test]
async fn when_the_end_of_an_action_cannot_be_recorded_whoever_asked_is_told() {
    let room = Room::open(|_| {}).await;
    let path = room.directory.path().join("rosey.db");
    room.admin.on_action(Box::new(move |record| {
        assert_eq!(record.stage, Stage::Before);
        let drop =
            rusqlite::Connection::open(&path).and_then(|connection| connection.execute_batch("DROP TABLE audit"));
        drop.expect("there");
    }));
    let alice = actor("alice");
    let proposal = room.admin.propose(&alice, Action::Restart, "dice-roller").await.expect("it makes sense");
    let refusal = room.admin.carry_out(&alice, proposal).await.expect_err("it is not running").to_string();
    assert!(refusal.starts_with("restart dice-roller refused: it is not running"), "{refusal}");
    assert!(refusal.contains("(the end of the action could not be recorded: rosey.db: no such table"), "{refusal}");
}

#[tokio::test]
async fn at_the_end_nothing_begins_any_more() {
    let room = Room::open(|_| {}).await;
    let alice = actor("alice");
    let proposal = room.admin.propose(&alice, Action::Start, "dice-roller").await.expect("it makes sense");
    room.admin.stop();
    assert!(matches!(room.admin.carry_out(&alice, proposal).await, Err(Refusal::Stopping)));
    assert!(matches!(room.admin.propose(&alice, Action::Start, "dice-roller").await, Err(Refusal::Stopping)));
    room.admin.finish().await;
    assert_eq!(room.results(), ["Rosey is stopping."; 2], "refusals are recorded");
}

/// Says yes to a change as this person. Returns the question and the last answer.
async fn says_yes(room: &mut Room, user: &User, line: &str) -> (String, String) {
    let question = room.ask(user, line).await;
    let progress = room.ask(user, "yes").await;
    assert!(progress.ends_with('…'), "{progress}");
    (question, room.answer().await)
}

#[tokio::test]
async fn a_change_that_needs_two_persons_waits_for_another_one() {
    let mut room = Room::open(|config| config.two_person = vec!["unload".into()]).await;
    let line = "!admin unload dice-roller";
    let console = User { name: "alice".into(), identity: Identity::Console };
    for alice in [account("alice"), console, account("Alice")] {
        let (question, told) = says_yes(&mut room, &alice, line).await;
        assert!(question.contains("This needs two persons"), "{question}");
        assert!(told.starts_with("Nothing was done yet: another admin has to agree within 10 min"), "{told}");
    }
    let (question, told) = says_yes(&mut room, &account("bob"), line).await;
    assert!(question.contains("has said yes to that; yours is the second yes"), "{question}");
    assert!(told.contains("unloaded"), "{told}");
    let commands: Vec<_> = room.audited().into_iter().map(|(_, command, _)| command).collect();
    assert_eq!(commands[..3], ["refused unload"; 3].map(str::to_owned));
    assert!(commands[3].starts_with("before unload, agreed with Alice"), "{commands:?}");
}

#[tokio::test]
async fn the_first_yes_expires_and_ends_with_the_role() {
    let mut room = Room::open(|config| config.two_person = vec!["unload".into()]).await;
    let line = "!admin unload dice-roller";
    says_yes(&mut room, &account("alice"), line).await;
    let recorded = Arc::new(tokio::sync::Notify::new());
    let tells = Arc::clone(&recorded);
    room.admin.on_action(Box::new(move |_| tells.notify_one()));
    tokio::time::pause();
    recorded.notified().await;
    tokio::time::resume();
    assert_eq!(room.results().last().map(String::as_str), Some("no second person agreed within 10 min"));
    let (question, _) = says_yes(&mut room, &account("bob"), line).await;
    assert!(question.contains("This needs two persons"), "{question}");
    let token = User { name: "dashboard".into(), identity: Identity::Token };
    let dashboard = Actor { user: token.into(), via: Via::Dashboard, place: "127.0.0.1".into() };
    let proposal = room.admin.propose(&dashboard, Action::Unload, "dice-roller").await.expect("possible");
    // Bob is no admin any more, so his yes does not count.
    let roles = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Role::Owner)).collect();
    *room.admin.permissions.write().expect("whole") =
        Arc::new(permission::Permissions::new(roles(&["alice"]), None, false));
    let refused = room.admin.carry_out(&dashboard, proposal.clone()).await.expect_err("one yes");
    assert!(matches!(refused, Refusal::SecondPerson { .. }), "{refused}");
    let again = room.admin.carry_out(&dashboard, proposal.clone()).await.expect_err("the token is one person");
    assert!(matches!(again, Refusal::SecondPerson { .. }), "{again}");
    let alice = room.admin.propose(&actor("alice"), Action::Unload, "dice-roller").await.expect("possible");
    room.admin.carry_out(&actor("alice"), alice).await.expect("two persons");
}

#[tokio::test]
async fn two_persons_are_not_replaced_by_a_nick_or_a_series() {
    let rule = |config: &mut AdminConfig| {
        config.two_person = vec!["unload".into(), "reload".into()];
        config.trust_nicks = true;
    };
    let mut room = Room::open(rule).await;
    let nick = User { name: "alice".into(), identity: Identity::Nick { network: irc() } };
    let (_, told) = says_yes(&mut room, &nick, "!admin unload dice-roller").await;
    assert!(told.contains("your name is not verified"), "{told}");
    let told = room.ask(&account("alice"), "!admin reload --all").await;
    assert_eq!(told, "Not done: reload needs two persons for each plugin; name one plugin at a time.");
}
