//! The main job, as users do it: the executable, a file of settings, lines in and lines out.

use rosey_tests::{
    bot::{Bot, Folder, children, runs, signal_process, wait_until},
    build, tool,
};
use rustix::process::Signal;
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Builds the next version of the dice roller as its author would: another number in its Cargo.toml, and `cargo build`.
fn build_next_version(into: &Path, version: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("it is there");
    let edited = into.join("dice-roller");
    std::fs::create_dir_all(edited.join("src")).expect("our directory");
    for source in std::fs::read_dir(root.join("plugins/dice-roller/src")).expect("it is there").flatten() {
        let text = std::fs::read_to_string(source.path()).expect("it is text").replace(" = {}", " makes {}");
        std::fs::write(edited.join("src").join(source.file_name()), text).expect("our directory");
    }
    let workspace = std::fs::read_to_string(root.join("Cargo.toml")).expect("it is there");
    let (members, rest) = workspace.split_once("[workspace.package]").expect("it has one");
    assert!(members.contains("members"));
    let root = root.to_str().expect("a plain path");
    let rest = rest.replace("path = \"", &format!("path = \"{root}/"));
    let head = "[workspace]\nresolver = \"3\"\nmembers = [\"dice-roller\"]\n\n[workspace.package]";
    std::fs::write(into.join("Cargo.toml"), format!("{head}{rest}")).expect("our directory");
    std::fs::copy(Path::new(root).join("Cargo.lock"), into.join("Cargo.lock")).expect("it is there");
    let manifest =
        std::fs::read_to_string(Path::new(root).join("plugins/dice-roller/Cargo.toml")).expect("it is there");
    let manifest = manifest.replace("version = \"1.0.0\"", &format!("version = \"{version}\""));
    std::fs::write(edited.join("Cargo.toml"), manifest).expect("our directory");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "-p", "dice-roller"]).current_dir(into);
    // Packages that have not changed are built already.
    let target = build::target().parent().expect("target/<profile>").join("next");
    let built = cargo.arg("--target-dir").arg(&target).stderr(Stdio::inherit()).status();
    assert!(built.is_ok_and(|status| status.success()), "the next version could not be built");
    std::fs::copy(target.join("debug/libdice_roller.so"), into.join("libdice_roller.so")).expect("just built");
}

#[test]
fn roll_edit_build_reload_and_roll_again() {
    let folder = Folder::new(&["dice-roller", "eight-ball"]);
    let next = tempfile::tempdir().expect("a directory");
    build_next_version(next.path(), "1.1.0");
    let mut bot = folder.start("[plugins.dice-roller]\n[plugins.eight-ball]\n");
    let pid = bot.pid();
    let roll = bot.ask("!roll 2d6+3");
    assert!(roll.starts_with("2d6+3: ") && roll.contains(" = "), "{roll}");
    // Like cargo: another file takes the name.
    let beside = folder.library("dice-roller").with_extension("new");
    std::fs::copy(next.path().join("libdice_roller.so"), &beside).expect("just built");
    std::fs::rename(&beside, folder.library("dice-roller")).expect("our directory");
    assert_eq!(bot.ask("!admin reload dice-roller"), "Reload dice-roller 1.0.0 → 1.1.0? Type 'yes' to confirm (30 s)");
    bot.say("yes");
    let mut done = bot.answer();
    if done.starts_with("Reloading") {
        done = bot.answer();
    }
    assert!(done.contains("1.0.0 → 1.1.0") && done.contains("generation 2 is active"), "{done}");
    assert!(bot.ask("!roll 2d6+3").contains(" makes "), "the new code rolls");
    assert!(bot.ask("!admin status dice-roller").contains("1.1.0"));
    assert!(!bot.ask("!8ball will it work?").is_empty());
    assert_eq!(bot.pid(), pid);
    assert!(bot.end().success());
}

#[test]
fn a_pipe_is_answered_line_by_line_and_its_end_drains() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start("[plugins.dice-roller]\n");
    for n in 1..=500 {
        bot.say(&format!("!roll {n}d2"));
    }
    assert!(bot.end().success());
    let answers = bot.rest();
    assert_eq!(answers.len(), 500, "{answers:?}");
    for (n, answer) in (1..=100).zip(&answers) {
        assert!(answer.contains(&format!("{n}d2")), "{n}: {answer}");
    }
}

#[test]
fn however_a_command_is_typed_the_plugin_gets_it_as_it_spells_it() {
    let folder = Folder::new(&["dice-roller", "eight-ball"]);
    let mut bot = folder.start("[plugins.dice-roller]\n[plugins.eight-ball]\n");
    // As an editor on Windows, a client with a bold font and a careless copy send it.
    for line in ["\u{feff}!roll 3d6", "!ROLL 3d6", "\u{2}!roll 3d6", "\u{200b}!Roll 3d6", "!dice-roller:roll 3d6"] {
        let answer = bot.ask(line);
        assert!(answer.starts_with("3d6: "), "{line:?}: {answer}");
    }
    assert!(!bot.ask("!8BALL Will it work?").contains("could not"));
    assert_eq!(bot.ask("!rol 3d6"), "There is no such command; did you mean !roll? !help lists them.");
    let status = bot.ask("!admin status dice-roller");
    assert!(status.contains("5 events, 0 crashes"), "{status}");
    assert_eq!(
        bot.ask("!admin status dice-roller\u{200b}"),
        r"Not done: there is no plugin dice-roller\u{200b}; did you mean dice-roller?"
    );
    // The last line has no line break.
    bot.say_unfinished("!roll 3d6");
    assert!(bot.end().success());
    assert!(bot.rest()[0].starts_with("3d6: "));
}

#[test]
fn a_plugin_that_does_not_run_is_named_and_not_denied() {
    let folder = Folder::new(&["dice-roller"]);
    build::variant(&folder.library("misbehave"), "create-refuses");
    let settings =
        "[limits]\ncrash_loop_starts = 1\n[admin]\ncooldown = 0\n[plugins.dice-roller]\n[plugins.misbehave]\n";
    let mut bot = folder.start(settings);
    bot.until_logged("FAILED");
    bot.until_logged("ready");
    let unknown = bot.ask("!variant");
    assert_eq!(
        unknown,
        "There is no such command, or it belongs to misbehave, which is not running; !help lists the others."
    );
    build::variant(&folder.library("misbehave"), "good");
    assert!(bot.ask("!admin reload misbehave").ends_with("Type 'yes' to confirm (30 s)"));
    bot.say("yes");
    while !bot.answer().contains("is active") {}
    assert_eq!(bot.ask("!variant"), "good");
    assert!(bot.ask("!admin stop misbehave").starts_with("Stop misbehave"));
    let again = bot.ask("!admin stop misbehave");
    assert!(again.ends_with("Type 'yes' to confirm (30 s)"), "the same question again is no other: {again}");
    bot.say("yes");
    while !bot.answer().contains("stopped") {}
    assert_eq!(bot.ask("!variant"), "misbehave is not running.");
    // An answer without visible characters is none.
    assert!(bot.ask("!admin start misbehave").starts_with("Start misbehave"));
    bot.say("yes");
    while !bot.answer().contains("is running") {}
    bot.say("!echo \u{2}");
    assert_eq!(bot.ask("!echo something"), "something");
}

#[test]
fn on_a_terminal_a_refusal_is_read_once() {
    if !tool::is_there("script", "bsdutils") {
        return;
    }
    let folder = Folder::new(&["misbehave"]);
    let file = folder.configure("[plugins.misbehave]\n");
    // Here the log and the answers go to the same terminal.
    let rosey = format!("exec {} run --config {}", build::rosey().display(), file.display());
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &rosey, "/dev/null"]).current_dir(folder.path());
    let mut bot = Bot::spawn(terminal);
    bot.say("!echo up");
    while bot.answer() != "up" {}
    std::fs::write(folder.library("misbehave"), "not a library").expect("our directory");
    bot.say("!admin reload misbehave");
    let mut lines = Vec::new();
    while !lines.last().is_some_and(|line: &String| line.contains("refused: ")) {
        lines.push(bot.answer());
    }
    // And one that is refused after the yes.
    build::variant(&folder.library("misbehave"), "probe-fails");
    bot.say("!admin reload misbehave");
    bot.say("yes");
    while !lines.last().is_some_and(|line: &String| line.contains("the probe finds nothing")) {
        lines.push(bot.answer());
    }
    assert!(bot.end().success());
    lines.extend(bot.rest());
    assert_eq!(lines.iter().filter(|line| line.contains("is not an ELF file")).count(), 1, "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("the probe finds nothing")).count(), 1, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("INFO")), "the log is there: {lines:#?}");
}

#[test]
fn what_is_typed_is_never_trusted() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start("[plugins.dice-roller]\n");
    assert_eq!(bot.ask("!dance"), "There is no such command; !help lists them.");
    assert!(bot.ask(&format!("!roll {}", "9".repeat(10_000))).contains("too long"));
    for nonsense in
        ["!roll 0d6", "!roll 1000000d6", "!roll 2d6kh9", "!roll d", "!roll \u{1b}[31m", "!roll 2d6+99999999999999"]
    {
        let answer = bot.ask(nonsense);
        assert!(!answer.contains('\u{1b}') && !answer.is_empty(), "{nonsense}: {answer}");
    }
    bot.say("just chatting");
    bot.say("yes");
    assert!(bot.ask("!help").contains("!roll"));
    assert!(bot.end().success());
}

#[test]
fn kill_9_of_the_host_leaves_no_orphan_and_the_next_start_works() {
    let folder = Folder::new(&["dice-roller", "eight-ball"]);
    let plugins = "[plugins.dice-roller]\n[plugins.eight-ball]\n";
    let mut bot = folder.start(plugins);
    bot.ask("!roll 2d6");
    // One for each plugin, the spare, and the keeper.
    wait_until("there is a spare", || children(bot.pid()).len() == 4);
    let shims = children(bot.pid());
    bot.signal(Signal::KILL);
    bot.exit();
    wait_until("the shims are gone", || !shims.iter().any(|pid| runs(*pid)));
    let mut bot = folder.start(plugins);
    assert!(bot.ask("!roll 2d6").contains("2d6"));
    assert!(bot.end().success());
}

#[test]
fn kill_9_of_a_shim_is_noticed_and_the_plugin_comes_back() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start("[plugins.dice-roller]\n");
    bot.ask("!roll 2d6");
    signal_process(bot.pid_of("dice-roller"), Signal::KILL);
    bot.until_logged("SIGKILL");
    assert!(bot.ask("!roll 2d6").contains("2d6"));
    assert!(bot.ask("!admin status dice-roller").contains("1 crash"));
    assert!(bot.end().success());
}

#[test]
fn a_request_to_terminate_drains_and_exits_0() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder.start("[plugins.misbehave]\n");
    assert_eq!(bot.ask("!echo hello"), "hello");
    for n in 0..300 {
        bot.say(&format!("!later 700 {n}"));
    }
    // When this is answered, all lines before it have been accepted.
    assert_eq!(bot.ask("!echo accepted"), "0", "in their order");
    bot.signal(Signal::TERM);
    let expected: Vec<_> = (1..300).map(|n| n.to_string()).chain(["accepted".to_owned()]).collect();
    assert_eq!(bot.rest(), expected);
    assert!(bot.exit().success());
}

#[test]
fn whoever_does_not_read_the_answers_or_the_log_holds_up_nobody() {
    let folder = Folder::new(&["misbehave"]);
    let file = folder.configure("[limits]\nlog_lines = 100000\n[plugins.misbehave]\n");
    let mut deaf = Command::new(build::rosey())
        .args(["run", "--config", file.to_str().expect("a plain path")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is built");
    let mut input = deaf.stdin.take().expect("piped");
    // Far more of each than a pipe holds.
    writeln!(input, "!chatter 5000").expect("it reads");
    for _ in 0..100 {
        writeln!(input, "!long 4000").expect("it reads");
    }
    let status = || {
        let asked = Command::new(build::rosey())
            .args(["admin", "status", "misbehave", "--config", file.to_str().expect("a plain path")])
            .output()
            .expect("it is built");
        String::from_utf8_lossy(&asked.stdout).into_owned()
    };
    wait_until("all is answered inside", || status().contains("101 events"));
    signal_process(deaf.id(), Signal::TERM);
    wait_until("it ends", || deaf.try_wait().expect("ours").is_some());
}

#[test]
fn a_second_request_hurries_the_first() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder.start("[limits]\nevent_deadline = \"1h\"\ndrain_timeout = \"1h\"\n[plugins.misbehave]\n");
    assert_eq!(bot.ask("!echo hello"), "hello");
    bot.say("!later 3600000 too late");
    // The slot answers this only after it has taken the event before.
    assert!(bot.ask("!admin status misbehave").contains("running"));
    let shims = children(bot.pid());
    bot.signal(Signal::TERM);
    bot.until_logged("stopping");
    bot.signal(Signal::TERM);
    assert!(bot.exit().success());
    bot.until_logged("stopping at once");
    wait_until("the shim is gone", || !shims.iter().any(|pid| runs(*pid)));
}

#[test]
fn two_hosts_do_not_share_a_state() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start("[plugins.dice-roller]\n");
    bot.ask("!roll 2d6");
    let mut second = folder.start("[plugins.dice-roller]\n");
    assert_eq!(second.exit().code(), Some(1));
    second.until_logged("another rosey uses");
    assert!(bot.ask("!roll 2d6").contains("2d6"));
}

#[test]
fn json_is_checked_as_toml_is() {
    let folder = Folder::new(&[]);
    let settings = r#"{
      "dashboard": {"enabled": true, "port": 8080, "host": "0.0.0.0"},
      "metrics": {"poll_interval": 5, "history_duration": 3600, "prometheus_enabled": true},
      "admins": ["bot_owner", "operator1", "operator2"]
    }"#;
    let check = |text: &str| {
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).expect("our directory");
        let mut check = Bot::start(&["check", "--config", "config.json"], folder.path());
        (check.exit().code(), check.rest().join("\n"), check)
    };
    // The configuration has no connector, so users could not reach the bot.
    let (code, _, wrong) = check(settings);
    assert_eq!(code, Some(3));
    wrong.until_logged("config.json: connect: no connector is configured");
    let whole = settings.replacen('{', r#"{"connect": {"console": {"user": "bot_owner"}}, "#, 1);
    let (code, stdout, _) = check(&whole);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("bot_owner, operator1, operator2") && stdout.contains("8080"), "{stdout}");
    let (code, _, wrong) = check(&whole.replace("dashboard", "dashbord"));
    assert_eq!(code, Some(3));
    wrong.until_logged("config.json:2: dashbord: there is no such setting; did you mean dashboard?");
}

#[test]
fn a_bot_with_a_wrong_configuration_says_so_once_and_exits_3() {
    let folder = Folder::new(&[]);
    let mut bot = folder.start("[dashbord]\n");
    assert_eq!(bot.exit().code(), Some(3));
    bot.until_logged("did you mean dashboard?");
    assert!(bot.rest().is_empty());
    assert_eq!(bot.log().lines().count(), 1, "{}", bot.log());
}

#[test]
fn a_plugin_that_is_not_built_is_told_and_the_others_run() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start("[plugins.dice-roller]\n[plugins.weather]\n");
    assert!(bot.ask("!roll 2d6").contains("2d6"));
    bot.until_logged("build weather and copy it there");
    assert!(bot.ask("!admin status weather").contains("failed"));
    assert!(bot.end().success());
}
