//! The log: each event in one line, with fields that a program can read.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build,
    shell::{command, shell},
};
use rustix::process::Signal;
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

/// The lines with this text in them.
fn count(text: &str, what: &str) -> usize {
    text.lines().filter(|line| line.contains(what)).count()
}

/// A bot with a plugin whose new build does not pass its health check.
fn with_a_bad_build(folder: &Folder) -> Bot {
    let mut bot = folder.start("[admin]\ncooldown = 0\n[plugins.misbehave]\n");
    assert_eq!(bot.ask("!echo up"), "up");
    build::variant(&folder.library("misbehave"), "probe-fails");
    bot
}

#[test]
fn a_refusal_is_written_once_wherever_it_was_asked_for() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = with_a_bad_build(&folder);
    let (code, _, problem) = shell(&folder, &["admin", "reload", "misbehave", "--yes"]);
    assert!(code == 1 && problem.contains("the probe finds nothing"), "{problem}");
    bot.until_logged("the probe finds nothing");
    // In this test the log goes to another place than the answers.
    bot.say("!admin reload misbehave force");
    bot.say("yes");
    while !bot.answer().contains("the probe finds nothing") {}
    std::fs::write(folder.library("misbehave"), "not a library").expect("our directory");
    let refused = bot.ask("!admin reload misbehave");
    assert!(refused.contains("is not an ELF file"), "{refused}");
    let (code, _, problem) = shell(&folder, &["admin", "reload", "misbehave", "--yes"]);
    assert!(code == 1 && problem.contains("is not an ELF file"), "{problem}");
    assert!(bot.end().success());
    let log = bot.log();
    assert_eq!(count(&log, "refused: the health check failed"), 2, "{log}");
    assert_eq!(count(&log, "is not an ELF file"), 2, "{log}");
    assert_eq!(count(&log, "misbehave refused: "), 4, "each once: {log}");
    let (_, audited, _) = shell(&folder, &["audit", "list"]);
    assert_eq!(count(&audited, "is not an ELF file"), 2, "the audit has all of them: {audited}");
    assert_eq!(count(&audited, "after "), 2, "{audited}");
}

#[test]
fn fields_have_one_name_and_levels_are_no_words_of_the_text() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder.start("[admin]\ntrust_nicks = true\n[plugins.misbehave]\n");
    assert_eq!(bot.ask("!fail"), "Sorry, something went wrong.");
    assert!(bot.ask("!abort").contains("crashed misbehave twice"));
    assert_eq!(bot.ask("!chatter 1000"), "chattered");
    assert_eq!(bot.ask("!shout 1000"), "shouted");
    assert!(bot.end().success());
    let log = bot.log();
    for (level, what) in [("WARN", "trust_nicks is on"), ("WARN", "this handler fails"), ("ERROR", "crashed after")] {
        assert!(log.lines().any(|line| line.contains(&format!(" {level} ")) && line.contains(what)), "{what}: {log}");
    }
    for line in log.lines() {
        let names = line.split_whitespace().filter_map(|word| word.split_once('=').map(|(name, _)| name));
        let names: Vec<_> = names.filter(|name| ["plugin", "generation", "user"].contains(name)).collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len(), "a field twice: {line}");
        assert!(!line.contains("self."), "a field of the source: {line}");
        assert!(!line.contains("WARN WARNING") && !line.contains("ERROR ERROR"), "a level twice: {line}");
        assert!(!line.contains("after 0 "), "a count of nothing: {line}");
    }
}

#[test]
fn a_level_that_is_set_for_one_plugin_shows_its_details_alone_and_is_audited() {
    let folder = Folder::new(&["dice-roller"]);
    build::variant(&folder.library("misbehave"), "first");
    let mut bot =
        folder.start("[admin]\ncooldown = 0\nper_minute = 1000\n[plugins.misbehave]\n[plugins.dice-roller]\n");
    assert_eq!(bot.ask("!variant"), "first");
    assert_eq!(bot.ask("!detail hidden"), "noted");
    assert_eq!(bot.ask("!admin log misbehave"), "Rosey logs the records of misbehave by its own level.");
    let set = "Rosey logs the records of misbehave from debug on, until it stops.";
    assert_eq!(bot.ask("!admin log misbehave debug"), set);
    assert_eq!(bot.ask("!detail shown"), "noted");
    bot.until_logged("shown");
    let (code, said, _) = shell(&folder, &["admin", "log", "misbehave", "default"]);
    assert_eq!((code, said.as_str()), (0, "Rosey logs the records of misbehave by its own level."));
    assert_eq!(bot.ask("!detail hidden"), "noted");
    let (_, audited, _) = shell(&folder, &["audit", "list"]);
    assert!(audited.contains("log debug misbehave") && audited.contains("log default misbehave"), "{audited}");
    assert!(bot.end().success());
    assert!(!bot.log().contains("hidden"), "{}", bot.log());
}

#[test]
fn the_log_as_json_goes_to_a_file_that_can_be_renamed_as_can_the_audit() {
    let folder = Folder::new(&["misbehave"]);
    folder.configure("[admin]\ncooldown = 0\nper_minute = 1000\naudit_file = \"audit.jsonl\"\n[plugins.misbehave]\n");
    let arguments = ["run", "--config", "rosey.toml", "--log-format", "json", "--log-file", "rosey.log"];
    let mut bot = Bot::start(&arguments, folder.path());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    assert_eq!(bot.ask("!fail"), "Sorry, something went wrong.");
    wait_until("it is logged", || read("rosey.log").contains("this handler fails"));
    let restart = || assert_eq!(shell(&folder, &["admin", "restart", "misbehave", "--yes"]).0, 0);
    restart();
    for name in ["rosey.log", "audit.jsonl"] {
        std::fs::rename(folder.path().join(name), folder.path().join(format!("{name}.1"))).expect("ours");
    }
    bot.signal(Signal::USR1);
    wait_until("both are there again", || {
        read("rosey.log").contains("are opened again") && read("audit.jsonl").contains("continues_after")
    });
    restart();
    assert!(bot.end().success());
    assert_eq!(bot.log(), "", "nothing on standard error");
    let (code, verified, problem) = shell(&folder, &["audit", "verify"]);
    assert!(code == 0 && verified.contains("goes on behind record 2"), "{verified} {problem}");
    assert_eq!((read("audit.jsonl.1").lines().count(), read("audit.jsonl").lines().count()), (2, 3));
    // The next host goes on in the same file.
    let mut bot = Bot::start(&arguments, folder.path());
    assert!(bot.ask("!echo up").contains("up"));
    restart();
    assert!(bot.end().success());
    assert_eq!((shell(&folder, &["audit", "verify"]).0, read("audit.jsonl").lines().count()), (0, 5));
    for line in (read("rosey.log.1") + &read("rosey.log")).lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            record["timestamp"].is_string() && record["level"].is_string() && record["message"].is_string(),
            "{line}"
        );
        if line.contains("this handler fails") && line.contains("failed: ") {
            assert!(record["plugin"] == "misbehave" && record["generation"] == 1 && record["event"].is_u64(), "{line}");
        }
    }
}

#[test]
fn the_lines_of_all_plugins_are_followed_with_their_names() {
    let folder = Folder::new(&["misbehave", "dice-roller"]);
    let mut bot = folder.start("[admin]\ncooldown = 0\n[plugins.misbehave]\n[plugins.dice-roller]\n");
    assert_eq!(bot.ask("!shout 1"), "shouted");
    let mut follower = command(&folder, &["admin", "logs", "--follow"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().expect("built");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains(" misbehave: ") && line.contains("line 0 x")), "what was before");
    assert_eq!(bot.ask("!shout 2"), "shouted");
    assert!(lines.any(|line| line.contains(" misbehave: ") && line.contains("line 1 x")), "what comes");
    bot.say("!admin restart dice-roller");
    bot.say("yes");
    assert!(lines.any(|line| line.contains(" dice-roller: ") && line.contains("generation 2")), "of another plugin");
    assert!(bot.end().success());
    lines.for_each(drop);
    assert_eq!(follower.wait().expect("ours").code(), Some(1));
}

#[test]
fn the_lines_of_a_plugin_are_followed_as_they_come() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder.start("[admin]\ncooldown = 0\n[plugins.misbehave]\n");
    assert_eq!(bot.ask("!shout 1"), "shouted");
    let mut follower = command(&folder, &["admin", "logs", "misbehave", "--follow"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().expect("built");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("is active")), "what was before");
    assert_eq!(bot.ask("!shout 2"), "shouted");
    assert!(lines.any(|line| line.contains("line 1 x")), "what comes");
    assert!(bot.end().success());
    lines.for_each(drop);
    assert_eq!(follower.wait().expect("ours").code(), Some(1));
}
