//! The plugins that come with Rosey, in the real host: each is used, killed, reloaded, and used again with the whole host
//! killed in between. None forgets anything.

use rosey_tests::{
    bot::{Bot, Folder, signal_process},
    build,
    rig::{Rig, plugin},
};
use rustix::process::Signal;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::Command,
    thread,
};

/// Every plugin in the folder `plugins`, as the last test checks.
const ALL: [&str; 10] =
    ["countdown", "dice-roller", "eight-ball", "karma", "links", "poll", "quotes", "remind", "seen", "trivia"];

/// Starts a bot with all of them. `links` may open pages of a server on this machine.
fn start(folder: &Folder, server: SocketAddr) -> Bot {
    let plugin = |name: &str| match name {
        "links" => {
            let network = format!("[\"{server}\", \"*:80\", \"*:443\"]");
            format!("[plugins.links]\nsandbox = {{ network = {network} }}\nconfig = {{ private = true }}\n")
        }
        "trivia" => "[plugins.trivia]\nconfig = { time = \"10m\" }\n".to_owned(),
        _ => format!("[plugins.{name}]\n"),
    };
    let plugins: String = ALL.into_iter().map(plugin).collect();
    let mut bot = folder.start(&format!("[admin]\ncooldown = 0\nper_minute = 10000\n[limits]\nbake = 0\n{plugins}"));
    assert!(bot.ask("!8ball does it work?").len() > 2);
    bot
}

/// A web server with one page, until the test ends.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let read = stream.read(&mut request);
            assert!(read.is_ok_and(|bytes| request[..bytes].starts_with(b"GET /tea HTTP/1.1\r\n")));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>Tea &amp; cake</title>";
            // The plugin hangs up when it has the title.
            let _ = stream.write_all(answer);
        }
    });
    address
}

/// Says lines and compares their answers.
fn talk(bot: &mut Bot, lines: &[(&str, &str)]) {
    for (line, answer) in lines {
        assert_eq!(bot.ask(line), *answer, "{line}");
    }
}

/// What people do with them, and what is there afterwards.
const BEFORE: [(&str, &str); 10] = [
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
    ("!quotes search MACHINE", "1: <bob> it works on my machine (kept by alice)"),
    ("!quote", "1: <bob> it works on my machine (kept by alice)"),
];

const AFTER: [(&str, &str); 6] = [
    ("!roll list", "fixed 2d2>=1"),
    ("!quote 1", "<bob> it works on my machine (kept by alice)"),
    ("!karma top", "1. bob 1"),
    ("!poll", "Where do we eat? 1 pizza (0), 2 sushi (1), 3 soup (0). To vote: !vote 1"),
    ("!seen alice", "I see you, alice."),
    ("!remind list", "2: every monday at 9: stand up"),
];

/// What has a time or an address in it: the line, and how its answer begins and ends.
fn talk_of_times(bot: &mut Bot, server: SocketAddr) {
    for (line, begins, ends) in [
        ("!countdown", "the next century: ", " to go (Thu 1 Jan 2099 00:00)"),
        ("!links", "Tea & cake: http://127.0.0.1:", &format!(":{}/tea (from alice)", server.port())),
    ] {
        let answer = bot.ask(line);
        assert!(answer.starts_with(begins) && answer.ends_with(ends), "{line}: {answer}");
    }
}

/// The answer to a question that trivia asked.
fn solve(asked: &str) -> &'static str {
    let questions = include_str!("../../plugins/trivia/src/questions.txt").lines();
    let known = questions.filter_map(|line| line.split_once(" | ")).find(|(question, _)| asked.ends_with(question));
    known.expect("it was asked").1.split(" | ").next().expect("it has an answer")
}

/// Kills the processes of all of them. What is said next waits until they serve again.
fn kill(bot: &mut Bot) {
    for name in ALL {
        signal_process(bot.pid_of(name), Signal::KILL);
    }
}

/// Reloads each onto the same build.
fn reload(bot: &mut Bot) {
    for name in ALL {
        let mut question = bot.ask(&format!("!admin reload {name} force"));
        // On a busy machine the bot says first that it is at it.
        if question.starts_with("Inspecting") {
            question = bot.answer();
        }
        assert!(question.ends_with("Type 'yes' to confirm (30 s)"), "{question}");
        assert!(bot.ask("yes").starts_with("Reloading"));
        let done = bot.answer();
        assert!(done.contains(" is active"), "{done}");
    }
}

#[test]
fn nothing_is_forgotten_whatever_is_killed() {
    let (folder, server) = (Folder::new(&ALL), serve());
    let mut bot = start(&folder, server);
    talk(
        &mut bot,
        &[("!remind in 2 seconds to drink tea", "I will remind you in 2 seconds. To cancel: !remind cancel 1")],
    );
    signal_process(bot.pid_of("remind"), Signal::KILL);
    assert_eq!(bot.answer(), "alice: drink tea");
    let said = "I will remind you every monday at 9. To cancel: !remind cancel 2";
    talk(&mut bot, &[("!remind every monday at 9 stand up", said)]);
    talk(&mut bot, &BEFORE);
    talk(&mut bot, &[(&format!("see http://{server}/tea."), "Tea & cake (127.0.0.1)")]);
    assert!(bot.ask("!countdown add 2099-01-01 the next century").starts_with("the next century: "));
    let question = bot.ask("!trivia 1");
    kill(&mut bot);
    talk(&mut bot, &AFTER);
    talk_of_times(&mut bot, server);
    assert_eq!(bot.ask("!trivia"), question);
    bot.say("no idea");
    reload(&mut bot);
    talk(&mut bot, &AFTER);
    talk_of_times(&mut bot, server);
    let answer = solve(&question);
    // The guess above, and each `yes` to a reload: it is a line in the channel, too.
    talk(&mut bot, &[(answer, &format!("alice is right: {answer} (after {} wrong guesses).", 1 + ALL.len()))]);
    assert_eq!(bot.answer(), "The round is over: alice 1.");
    bot.signal(Signal::KILL);
    bot.exit();
    let mut bot = start(&folder, server);
    talk(&mut bot, &AFTER);
    talk_of_times(&mut bot, server);
    let closed = "Where do we eat? sushi wins with 1 of 1 vote: 1 pizza (0), 2 sushi (1), 3 soup (0)";
    talk(
        &mut bot,
        &[("!poll close", closed), ("!quotes delete 1", "Quote 1 is deleted."), ("!trivia top", "1. alice 1")],
    );
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
        // In a trial it has no grants, and says what it lacks.
        assert_eq!(said.contains("the operator must grant me the network"), name == "links", "{said}");
        let wants = "the network: *:80, *:443; here none of it is granted";
        assert_eq!(said.contains(wants), name == "links", "{said}");
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
