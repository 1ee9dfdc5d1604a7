//! The set of plugins changes while people talk: a plugin is loaded, unloaded, enabled and disabled, and no event is lost.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build, http,
    shell::{command, ended, shell},
    talk::Talk,
};
use std::{fs, process::Stdio, time::Duration};

const SETTINGS: &str = "[admin]\ncooldown = 0\nper_minute = 10000\n[dashboard]\nenabled = true\nport = 0\ntoken = \"correct horse battery\"\n\
                        [metrics]\npoll_interval = 0.2\n[limits]\nbake = 0\n";

fn folder() -> Folder {
    let folder = Folder::new(&["dice-roller", "eight-ball"]);
    build::variant(&folder.library("misbehave"), "first");
    folder
}

fn settings(plugins: &str) -> String {
    format!("{SETTINGS}{plugins}")
}

/// Asks for a change and confirms it. Returns question and result.
fn change(bot: &mut Bot, command: &str) -> (String, String) {
    let question = bot.ask(&format!("!admin {command}"));
    if !question.contains("Type 'yes'") {
        return (question, String::new());
    }
    let progress = bot.ask("yes");
    assert!(progress.ends_with('…'), "{progress}");
    (question, bot.answer())
}

fn done(bot: &mut Bot, command: &str, result: &str) -> String {
    let (question, answer) = change(bot, command);
    assert!(answer.contains(result), "{command}: {question} / {answer}\n{}", bot.log());
    question
}

#[test]
fn a_plugin_is_loaded_and_unloaded_while_the_bot_runs() {
    let folder = folder();
    let mut bot = folder.start(&settings("[plugins.dice-roller]\n"));
    let status = bot.ask("!admin status");
    assert!(status.ends_with(" · not loaded: eight-ball, misbehave (!admin load eight-ball)"), "{status}");
    assert!(bot.ask("!8ball is it?").starts_with("There is no such command"));
    let question = done(&mut bot, "load eight-ball", "eight-ball 1.0.0 is loaded: generation 1 is active");
    assert!(question.starts_with("Load eight-ball 1.0.0? It brings !8ball"), "{question}");
    assert!(!bot.ask("!8ball is it?").contains("no such command"));
    assert!(bot.ask("!help").contains("!8ball"));
    let again = bot.ask("!admin load eight-ball");
    assert!(
        again.starts_with("load eight-ball refused: it is loaded already; to change to a new build: !admin"),
        "{again}"
    );
    let metrics = || http::get(&bot.dashboard(), "/metrics").text();
    wait_until("its series are there", || metrics().contains("plugin=\"eight-ball\""));

    let question = done(&mut bot, "unload eight-ball", "eight-ball is unloaded. Its data stays");
    assert!(question.starts_with("Unload eight-ball 1.0.0? Its commands go; its data"), "{question}");
    assert!(bot.ask("!8ball is it?").starts_with("There is no such command"));
    assert!(!bot.ask("!help").contains("!8ball"));
    let metrics = || http::get(&bot.dashboard(), "/metrics").text();
    wait_until("its series are gone", || !metrics().contains("eight-ball"));
    let unknown = bot.ask("!admin reload eight-ball");
    assert!(unknown.ends_with("its library lies in the plugin folder: !admin load eight-ball"), "{unknown}");
    assert!(bot.end().success());
}

#[test]
fn decisions_are_remembered_over_the_file() {
    let folder = folder();
    let text = settings("[plugins.dice-roller]\n[plugins.eight-ball]\nenabled = false\n");
    let mut bot = folder.start(&text);
    done(&mut bot, "unload dice-roller", "is unloaded");
    done(&mut bot, "load misbehave", "is loaded");
    done(&mut bot, "enable eight-ball", "is loaded");
    done(&mut bot, "disable eight-ball", "eight-ball is disabled.");
    assert!(bot.ask("!8ball is it?").contains("eight-ball is not running"));
    let refused = bot.ask("!admin start eight-ball");
    assert!(refused.ends_with("it is disabled; to start it: !admin enable eight-ball."), "{refused}");
    assert!(bot.end().success());

    let mut bot = folder.start(&text);
    assert_eq!(bot.ask("!variant"), "first");
    let list = bot.ask("!admin list");
    assert!(list.contains("eight-ball stopped") && !list.contains("dice-roller"), "{list}");
    let status = bot.ask("!admin status eight-ball");
    assert!(status.starts_with("eight-ball stopped (disabled)"), "{status}");
    let (code, names, _) = shell(&folder, &["plugin-names"]);
    assert_eq!((code, names.as_str()), (0, "dice-roller\neight-ball\nmisbehave"));
    done(&mut bot, "enable eight-ball", "eight-ball 1.0.0 is running");
    done(&mut bot, "load dice-roller", "is loaded");
    assert!(bot.ask("!roll 1d1").contains('1'));
    let (_, audit, _) = shell(&folder, &["audit", "list"]);
    for command in ["unload dice-roller", "load misbehave", "enable eight-ball", "disable eight-ball"] {
        assert!(audit.contains(command), "{command}: {audit}");
    }
    assert!(bot.end().success());
}

#[test]
fn what_cannot_be_loaded_is_refused_and_the_set_stays_as_it_is() {
    let folder = folder();
    fs::write(folder.library("broken"), "not a library").expect("our directory");
    fs::copy(folder.library("dice-roller"), folder.path().join("Other_Dice.so")).expect("our directory");
    fs::copy(folder.library("dice-roller"), folder.library("loaded-dice")).expect("our directory");
    let mut bot = folder.start(&settings("[plugins.dice-roller]\n"));
    for (command, why) in [
        ("load broken", "load broken refused: "),
        ("load nowhere", "load nowhere refused: "),
        ("load Bad_Name", "load bad_name refused: the name of a plugin has 1 to 64 of a-z"),
        ("load loaded-dice", "is the plugin dice-roller; load it by that name."),
    ] {
        let (answer, _) = change(&mut bot, command);
        assert!(answer.contains(why), "{command}: {answer}");
    }
    done(&mut bot, "unload dice-roller", "is unloaded");
    let question = done(&mut bot, "load dice-roller ../Other_Dice.so", "dice-roller 1.0.0 is loaded");
    assert!(question.contains("/Other_Dice.so? It brings"), "{question}");
    let list = bot.ask("!admin list");
    assert!(list.starts_with("dice-roller 1.0.0 running") && !list.contains("broken"), "{list}");
    assert!(bot.end().success());
}

#[test]
fn no_event_is_lost_while_plugins_come_and_go() {
    let folder = folder();
    let mut bot = folder.start(&settings("[plugins.dice-roller]\n[plugins.misbehave]\n"));
    assert_eq!(bot.ask("!variant"), "first");
    let (mut typed, mut answered) = (0, 0);
    let is_answer =
        |line: &str| line == "first" || line.contains("misbehave is not running") || line.contains("no such command");
    for round in 0..6 {
        let verb = if round % 2 == 0 { "unload" } else { "load" };
        bot.say(&format!("!admin {verb} misbehave"));
        let mut asked = false;
        let mut over = false;
        while !over {
            for _ in 0..20 {
                bot.say("!variant");
                typed += 1;
            }
            for line in bot.answer_within(Duration::from_millis(200)) {
                if line.contains("Type 'yes'") {
                    bot.say("yes");
                    asked = true;
                } else if is_answer(&line) {
                    answered += 1;
                } else {
                    over |= asked && (line.contains("is unloaded") || line.contains("is loaded"));
                    assert!(over || line.ends_with('…'), "{line}");
                }
            }
        }
    }
    while answered < typed {
        let line = bot.answer();
        assert!(is_answer(&line), "{line}");
        answered += 1;
    }
    let page = http::get(&bot.dashboard(), "/metrics").text();
    assert!(page.contains("rosey_"), "{page}");
    assert!(bot.end().success());
    assert_eq!(bot.rest(), Vec::<String>::new(), "an answer that nobody asked for");
}

#[test]
fn a_plugin_that_wants_more_than_is_granted_is_refused_with_the_lines_to_write() {
    const WANTS: &str = "it wants the network: *:80, *:443, which is not granted";
    const WRITE: &str = "[plugins.links.sandbox] network = [\"*:80\", \"*:443\"]";
    let folder = Folder::new(&["dice-roller", "links"]);
    let settings = |links: &str| format!("[dashboard]\nenabled = true\nport = 0\n[plugins.dice-roller]\n{links}");
    let mut bot = folder.start(&settings(""));
    let refused = bot.ask("!admin load links");
    assert!(refused.starts_with(&format!("load links refused: {WANTS}")) && refused.contains(WRITE), "{refused}");
    assert!(bot.end().success());
    // One that starts with the bot does so, and says what it lacks.
    let mut bot = folder.start(&settings("[plugins.links]\n"));
    let status = bot.ask("!admin status links");
    assert!(status.contains("links 1.0.0 running") && status.contains(WANTS), "{status}");
    let refused = bot.ask("!admin reload links force");
    assert!(refused.contains(WANTS) && refused.contains(WRITE), "{refused}");
    let page = http::get(&bot.dashboard(), "/plugin/links").text();
    assert!(page.contains(WANTS), "{page}");
    assert!(bot.end().success());
    let (code, out, error) = shell(&folder, &["check"]);
    assert!(code == 0 && out.contains(WANTS), "{out} {error}");
    // With the grant, the question has the wish.
    let mut bot = folder.start(&settings("[plugins.links]\nsandbox = { network = [\"*:443\", \"*:80\"] }\n"));
    let status = bot.ask("!admin status links");
    assert!(status.contains("it wants the network: *:80, *:443, which is granted"), "{status}");
    let question = bot.ask("!admin reload links force");
    assert!(question.contains("? It wants the network: *:80, *:443."), "{question}");
    bot.ask("no");
    assert!(bot.end().success());
}

#[test]
fn each_verb_is_done_while_people_talk_and_the_ledgers_balance() {
    let folder = folder();
    build::variant(&folder.library("misbehave"), "good");
    let text = settings("[plugins.misbehave]\n[plugins.dice-roller]\n");
    let mut bot = folder.start(&text);
    assert_eq!(bot.ask("!echo 0"), "0", "{}", bot.log());
    let (address, mut talk) = (bot.dashboard(), Talk::default());
    for round in 0..2 {
        for verb in [
            &["admin", "load", "eight-ball"][..],
            &["admin", "unload", "eight-ball"],
            &["admin", "unload", "misbehave"],
            &["admin", "load", "misbehave"],
            &["admin", "disable", "misbehave"],
            &["admin", "enable", "misbehave"],
            &["admin", "restart", "misbehave"],
            &["admin", "reload", "--all"],
            &["config", "apply"],
        ] {
            build::variant(&folder.library("misbehave"), &format!("{} {} {round}", verb[0], verb[1]));
            if verb[0] == "config" {
                let limits =
                    format!("[plugins.misbehave.limits]\nqueue = {}\nmemory_mb = {}\n", 900 + round, 300 + round);
                folder.configure(&format!("{text}{limits}"));
            }
            let mut command = command(&folder, verb);
            let mut command =
                command.arg("--yes").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("built");
            talk.until(&mut bot, &mut command);
            let (code, stdout, error) = ended(command.wait_with_output().expect("ours"));
            assert_eq!(code, 0, "{verb:?}: {stdout}{error}\n{}", bot.log());
        }
    }
    let (echoed, refused) = talk.finish(&bot);
    assert!(echoed > 100, "{echoed} echoed, {refused} refused");
    wait_until("every event has an outcome", || {
        let json = http::get(&address, "/api/metrics").json();
        let plugins = json["plugins"].as_array().expect("a list").clone();
        plugins.iter().all(|plugin| {
            let count = |of: &serde_json::Value| of.as_u64().expect("a count");
            let ended: u64 = plugin["outcomes"].as_object().expect("by name").values().map(count).sum();
            let open = count(&plugin["queued"]) + count(&plugin["in_flight"]);
            assert_eq!(count(&plugin["event_count"]), ended + open, "{plugin:#}");
            open == 0
        })
    });
    assert!(bot.end().success());
    assert_eq!(bot.rest(), Vec::<String>::new(), "an answer that nobody asked for");
}
