//! Events of every kind, on real processes: which plugin hears them, how they are counted, and how they end.

use rosey::{event::What, plugins::PluginConfig};
use rosey_tests::{
    bot::Folder,
    build,
    irc::{Network, Person},
    rig::{Channel, Rig, plugin},
};
use rustix::process::Signal;
use std::time::Duration;

fn tally() -> PluginConfig {
    let mut config = plugin("tally", &build::library("tally"));
    config.limits.backoff_first = Duration::from_millis(1);
    config
}

/// Waits until the plugin has heard this that many times.
async fn until_heard(rig: &Rig, what: &str, times: u64) {
    let asked = async {
        while rig.ask(&format!("!heard {what}")).await != times.to_string() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(rosey_tests::rig::PATIENCE, asked).await.unwrap_or_else(|_| panic!("{what} {times} times"));
}

async fn counted(rig: &Rig, kind: &str) -> u64 {
    let view = rig.plugins.view("tally").await.expect("it is there");
    let at = rosey_wire::event::Kind::of(kind).expect("a kind") as usize;
    view.account.kinds[at]
}

/// Ends when the rig's plugins hear messages.
async fn until_listening(rig: &Rig, channel: &mut Channel) {
    while !rig.router.hears(rosey_wire::event::Kind::Message) {
        tokio::task::yield_now().await;
    }
    assert!(channel.is_quiet());
}

#[tokio::test]
async fn a_message_reaches_the_handler_whose_expression_it_matches() {
    let rig = Rig::start(vec![tally()]).await;
    let mut channel = rig.channel("#tea");
    until_listening(&rig, &mut channel).await;
    channel.say("nothing to hear").await;
    channel.say("Tea, please").await;
    assert_eq!(channel.answer().await.as_deref(), Some("tester said: Tea, please"));
    channel.say("tea quietly").await;
    assert_eq!(channel.answer().await, None);
    channel.say("tea fails").await;
    assert_eq!(channel.answer().await, None, "a person who only talks is not told");
    assert_eq!(rig.ask("!heard message").await, "2", "what failed has changed nothing");
    assert_eq!((counted(&rig, "message").await, counted(&rig, "start").await), (3, 1));
    rig.stop().await;
}

#[tokio::test]
async fn what_people_do_is_heard_with_who_and_where() {
    let rig = Rig::start(vec![tally()]).await;
    let mut channel = rig.channel("#tea");
    until_listening(&rig, &mut channel).await;
    channel.occurs(&What::Join).await;
    channel.occurs(&What::Join).await;
    channel.occurs(&What::Part { reason: "bye".into() }).await;
    channel.occurs(&What::Nick { new: "tset".into() }).await;
    channel.occurs(&What::Topic { text: "Tea".into() }).await;
    until_heard(&rig, "join", 2).await;
    rig.until("tally", |view| view.ledger.finished() == view.ledger.accepted).await;
    for kind in ["part", "nick", "topic"] {
        assert_eq!(counted(&rig, kind).await, 1, "{kind}");
    }
    until_heard(&rig, "start", 1).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_stopped_plugin_misses_messages_without_a_word_and_without_a_count() {
    let rig = Rig::start(vec![tally()]).await;
    let mut channel = rig.channel("#tea");
    until_listening(&rig, &mut channel).await;
    rig.plugins.stop("tally").await.expect("it runs");
    channel.say("tea").await;
    assert_eq!(counted(&rig, "message").await, 0);
    assert!(channel.is_quiet());
    rig.plugins.start("tally").await.expect("it comes up");
    channel.say("tea").await;
    assert_eq!(channel.answer().await.as_deref(), Some("tester said: tea"));
    until_heard(&rig, "start", 2).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_message_that_kills_the_plugin_twice_is_a_dead_letter_and_can_be_replayed() {
    let rig = Rig::start(vec![tally()]).await;
    let mut channel = rig.channel("#tea");
    until_listening(&rig, &mut channel).await;
    channel.say("tea kills").await;
    assert_eq!(channel.answer().await, None);
    let letters = rosey::slot::dead_letter::list(rig.plugins.database(), Some("tally"), 9).await.expect("readable");
    assert_eq!((letters.len(), letters[0].line.as_str(), letters[0].channel.as_str()), (1, "tea kills", "#tea"));
    let view = rig.until("tally", |view| view.active().is_some()).await;
    assert_eq!(view.account.crash_count, 2);
    rig.plugins.replay("tally", letters[0].id).await.expect("it is accepted");
    rig.until("tally", |view| view.account.crash_count == 4).await;
    rig.stop().await;
}

#[tokio::test]
async fn an_event_that_waits_is_handled_by_the_build_that_takes_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libtally.so");
    std::fs::copy(build::library("tally"), &library).expect("room");
    let mut config = tally();
    config.library = library;
    config.limits.in_flight = 1;
    let rig = Rig::start(vec![config]).await;
    let mut channel = rig.channel("#tea");
    until_listening(&rig, &mut channel).await;
    for _ in 0..5 {
        channel.say("wait").await;
    }
    rig.plugins.restart("tally").await.expect("it comes up again");
    until_heard(&rig, "wait", 5).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_plugin_speaks_where_it_is_asked_privately_and_where_the_operator_lets_it() {
    let mut config = tally();
    config.speaks_in = vec!["irc:#ops".into()];
    let rig = Rig::start(vec![config]).await;
    let (mut channel, mut test, mut irc) = (rig.channel("#tea"), rig.listen("test"), rig.listen("irc"));
    for (line, place) in [("!say here hello", "#tea"), ("!say privately psst", "#tea")] {
        channel.say(line).await;
        assert_eq!(channel.answer().await, None);
        let (place_of, user, text) = test.next().await;
        assert_eq!((place_of.as_str(), text), (place, line.rsplit(' ').next().expect("a word").to_owned()));
        assert_eq!(user.is_empty(), line.contains("here"));
    }
    channel.say("!say irc:#ops look").await;
    assert_eq!(channel.answer().await, None);
    assert_eq!(irc.next().await, ("#ops".into(), String::new(), "look".into()));
    assert_eq!(rig.ask("!say irc:#other no").await, "tally could not do that; the operator can see why.");
    assert!(irc.is_quiet() && test.is_quiet());
    let said = rig.speech.counts()["tally"];
    assert_eq!((said.said, said.dropped), (3, 0));
    rig.stop().await;
}

#[tokio::test]
async fn what_was_not_said_is_said_after_the_next_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = Rig::start_in(directory.path(), vec![tally()]).await;
    let mut channel = rig.channel("#tea");
    for n in 0..3 {
        channel.say(&format!("!say here {n}")).await;
        assert_eq!(channel.answer().await, None);
    }
    rig.stop().await;
    let rig = Rig::start_in(directory.path(), vec![tally()]).await;
    let mut test = rig.listen("test");
    for n in 0..3 {
        assert_eq!(test.next().await.2, n.to_string(), "in their order");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_signal_reaches_a_plugin_once_even_if_it_is_down_and_loops_are_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let rig = Rig::start_in(directory.path(), vec![tally()]).await;
    let mut channel = rig.channel("#tea");
    until_listening(&rig, &mut channel).await;
    assert_eq!(rig.ask("!publish nobody hears").await, "published nobody");
    assert_eq!(rig.ask("!publish echo x").await, "published echo");
    until_heard(&rig, "echo", 8).await;
    let view = rig.until("tally", |view| view.ledger.finished() == view.ledger.accepted).await;
    assert_eq!(view.account.limit_hits.get("signal_depth"), Some(&1));
    rig.stop().await;
}

#[tokio::test]
async fn a_command_that_is_written_down_outlives_the_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let journaled = || PluginConfig { journal: true, ..tally() };
    let rig = Rig::start_in(directory.path(), vec![journaled()]).await;
    assert_eq!(rig.ask("!counts").await, "it does");
    // The state that a host leaves which was killed between the acceptance of an event and its end.
    let accepted = rig.plugins.database().run(|connection| {
        let origin = r##"{"user":"test","identity":"console","connector":"test","channel":"#tea"}"##;
        connection.execute(
            "INSERT INTO accepted (plugin, kind, pattern, body, origin) VALUES ('tally', 'command', '!counts', x'', ?1)",
            [origin],
        )
    });
    assert_eq!(accepted.await.expect("room"), 1);
    rig.stop().await;
    let rig = Rig::start_in(directory.path(), vec![journaled()]).await;
    let mut test = rig.listen("test");
    assert_eq!(test.next().await, ("#tea".into(), "test".into(), "it does".into()));
    let left = rig
        .plugins
        .database()
        .run(|connection| connection.query_row("SELECT count(*) FROM accepted", [], |row| row.get::<_, i64>(0)));
    assert_eq!(left.await.expect("readable"), 0);
    rig.stop().await;
}

#[test]
fn on_a_real_server_people_are_heard_and_the_plugin_speaks_in_each_way() {
    let Some(network) = Network::ngircd() else { return };
    let folder = Folder::new(&["tally"]);
    let settings = "channels = [\"#tea\", \"#ops\"]\nline_interval = 0.1\n";
    let plugins = "[plugins.tally]\nspeaks_in = [\"irc:#ops\"]\n";
    let mut bot = folder.start_without_console(&format!("{}{settings}{plugins}", network.settings()));
    bot.until_logged("irc: in #tea");
    bot.until_logged("irc: in #ops");
    let mut al = Person::new(&network, "al");
    al.send("JOIN #tea");
    al.send("JOIN #ops");
    al.until(" JOIN ");
    al.say("#tea", "Tea, please");
    assert_eq!(al.hears("rosey"), "al said: Tea, please");
    for (how, line) in [
        ("here", "PRIVMSG #tea :hello"),
        ("notice", "NOTICE #tea :hello"),
        ("action", "PRIVMSG #tea :\u{1}ACTION hello\u{1}"),
        ("privately", "PRIVMSG al :hello"),
        ("irc:#ops", "PRIVMSG #ops :hello"),
    ] {
        al.say("#tea", &format!("!say {how} hello"));
        al.until(line);
    }
    al.send("TOPIC #tea :Darjeeling");
    al.send("NICK al_");
    al.until(" NICK ");
    al.send("PART #ops :enough of it");
    al.until(" PART ");
    let mut heard = |what: &str, wanted: &str| {
        let end = std::time::Instant::now() + rosey_tests::rig::PATIENCE;
        loop {
            let answer = al.asks("#tea", &format!("!heard-text {what}"));
            if answer.ends_with(wanted) {
                break;
            }
            assert!(std::time::Instant::now() < end, "{what}: {answer}");
        }
    };
    heard("topic", "Darjeeling");
    heard("nick", "al is al_");
    heard("part", "al_: enough of it");
    bot.signal(Signal::TERM);
    assert!(bot.exit().success(), "{}", bot.log());
}
