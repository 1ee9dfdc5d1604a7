//! The plugins that come with Rosey, in the real host: each is used, killed, reloaded, and used again with the whole host
//! killed in between. None forgets anything.

use rosey_tests::{
    bot::{Bot, Folder, signal_process},
    build,
    rig::{Rig, plugin},
};
use rustix::process::Signal;
use std::process::Command;

/// Every plugin in the folder `plugins`, as the last test checks.
const ALL: [&str; 6] = ["dice-roller", "eight-ball", "karma", "poll", "quotes", "seen"];

/// Starts a bot with all of them.
fn start(folder: &Folder) -> Bot {
    let plugins: String = ALL.iter().map(|name| format!("[plugins.{name}]\n")).collect();
    let mut bot = folder.start(&format!("[admin]\ncooldown = 0\nper_minute = 10000\n[limits]\nbake = 0\n{plugins}"));
    assert!(bot.ask("!8ball does it work?").len() > 2);
    bot
}

/// Says lines and compares their answers.
fn talk(bot: &mut Bot, lines: &[(&str, &str)]) {
    for (line, answer) in lines {
        assert_eq!(bot.ask(line), *answer, "{line}");
    }
}

/// What people do with them, and what is there afterwards.
const BEFORE: [(&str, &str); 9] = [
    ("!roll save fixed 2d2>=1", "!roll fixed rolls 2d2>=1 now."),
    ("!addquote <bob> it works on my machine", "That is quote 1."),
    ("thanks, bob++", "bob: 1"),
    (
        "!poll Where do we eat? pizza, sushi or soup",
        "Where do we eat? 1 pizza (0), 2 sushi (0), 3 soup (0). To vote: !vote 1",
    ),
    ("!vote pizza", "Where do we eat? 1 pizza (1), 2 sushi (0), 3 soup (0)"),
    ("!vote sushi", "Where do we eat? 1 pizza (0), 2 sushi (1), 3 soup (0)"),
    ("!seen bob", "I have not seen bob here."),
    ("!tell bob lunch is ready", "I will tell bob when they speak here."),
    ("!quote", "1: <bob> it works on my machine (kept by alice)"),
];

const AFTER: [(&str, &str); 6] = [
    ("!roll list", "fixed 2d2>=1"),
    ("!quote 1", "<bob> it works on my machine (kept by alice)"),
    ("!karma top", "1. bob 1"),
    ("!poll", "Where do we eat? 1 pizza (0), 2 sushi (1), 3 soup (0). To vote: !vote 1"),
    ("!quotes search MACHINE", "1: <bob> it works on my machine (kept by alice)"),
    ("!seen alice", "I see you, alice."),
];

/// Kills the processes of all of them. What is said next waits until they serve again.
fn kill(bot: &mut Bot) {
    for name in ALL {
        signal_process(bot.pid_of(name), Signal::KILL);
    }
}

/// Reloads each onto the same build.
fn reload(bot: &mut Bot) {
    for name in ALL {
        let question = bot.ask(&format!("!admin reload {name} force"));
        assert!(question.ends_with("Type 'yes' to confirm (30 s)"), "{question}");
        assert!(bot.ask("yes").starts_with("Reloading"));
        let done = bot.answer();
        assert!(done.contains(" is active"), "{done}");
    }
}

#[test]
fn nothing_is_forgotten_whatever_is_killed() {
    let folder = Folder::new(&ALL);
    let mut bot = start(&folder);
    talk(&mut bot, &BEFORE);
    kill(&mut bot);
    talk(&mut bot, &AFTER);
    reload(&mut bot);
    talk(&mut bot, &AFTER);
    bot.signal(Signal::KILL);
    bot.exit();
    let mut bot = start(&folder);
    talk(&mut bot, &AFTER);
    let closed = "Where do we eat? sushi wins with 1 of 1 vote: 1 pizza (0), 2 sushi (1), 3 soup (0)";
    talk(&mut bot, &[("!poll close", closed), ("!quotes delete 1", "Quote 1 is deleted.")]);
    assert!(bot.end().success());
}

#[tokio::test]
async fn a_message_reaches_its_person_after_a_crash() {
    let rig = Rig::start(vec![plugin("seen", &build::library("seen"))]).await;
    let mut channel = rig.channel("#tea");
    channel.say_as("alice", "!tell bob lunch is ready").await;
    assert_eq!(channel.answer().await.as_deref(), Some("I will tell bob when they speak here."));
    let view = rig.until("seen", |view| view.active().is_some()).await;
    signal_process(view.active().expect("waited for").pid, Signal::KILL);
    channel.say_as("Bob", "hello").await;
    let said = channel.answer().await.unwrap_or_default();
    assert!(said.starts_with("Bob: alice said ") && said.ends_with(": lunch is ready"), "{said}");
    channel.say_as("carol", "!seen BOB").await;
    let seen = channel.answer().await.unwrap_or_default();
    assert!(seen.starts_with("Bob spoke here "), "{seen}");
    rig.stop().await;
}

#[test]
fn each_passes_its_trial() {
    for name in ALL {
        let mut command = Command::new(build::rosey());
        command.args(["test-plugin", "--events", "1000"]).arg(build::library(name));
        let output = command.output().expect("it is built");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}:\n{said}");
    }
}

#[test]
fn none_is_left_out() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let entries = std::fs::read_dir(&folder).expect("it is there").flatten();
    let mut names: Vec<_> = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ALL);
    let table = std::fs::read_to_string(folder.join("README.md")).expect("it is there");
    for name in ALL {
        assert!(table.contains(&format!("| [{name}]({name}/README.md) | ")), "{name} is not in plugins/README.md");
        assert!(folder.join(name).join("README.md").exists(), "{name} has no README");
    }
}
