//! The end of the bot, and what it means for its plugins: signals, terminals, and ends during the start.

use rosey_tests::{
    bot::{Bot, Folder, runs, signal_process, wait_until},
    build, tool,
};
use rustix::process::Signal;
use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

/// One number from the database of a bot that does not run.
fn number(folder: &Folder, sql: &str) -> i64 {
    let database = rusqlite::Connection::open(folder.path().join("state/rosey.db")).expect("a database");
    database.query_row(sql, [], |row| row.get(0)).expect(sql)
}

/// `rosey run` at the end of a shell script, as `exec "$@"`.
fn script(folder: &Folder, more: &str, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(build::rosey()).arg("run").arg("--config");
    command.arg(folder.configure(more)).current_dir(folder.path());
    command
}

#[test]
fn a_hangup_without_a_terminal_reads_the_configuration_again() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder.start("[plugins.misbehave]\n");
    assert_eq!(bot.ask("!echo before"), "before");
    bot.signal(Signal::HUP);
    bot.until_logged("SIGHUP: Nothing to do: the configuration is the one in force");
    assert_eq!(bot.ask("!echo after"), "after");
    assert!(bot.end().success());

    let mut bot = Bot::spawn(script(&folder, "[plugins.misbehave]\n", "trap '' HUP; exec \"$@\""));
    assert_eq!(bot.ask("!echo before"), "before");
    bot.signal(Signal::HUP);
    assert_eq!(bot.ask("!echo after"), "after");
    assert!(bot.end().success());
    assert!(!bot.log().contains("SIGHUP"), "it was started to ignore that");
}

#[test]
fn a_terminal_that_closes_drains() {
    if !tool::is_there("script", "bsdutils") {
        return;
    }
    let folder = Folder::new(&["misbehave"]);
    let file = folder.configure("[plugins.misbehave]\n");
    let rosey = format!("exec {} run --config {} 2>log", build::rosey().display(), file.display());
    let mut terminal = Command::new("script")
        .args(["-qec", &rosey, "/dev/null"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it is installed");
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    wait_until("it is ready", || log().contains("ready"));
    let lock = fs::read_to_string(folder.path().join("state/lock")).expect("it runs");
    let pid: u32 = lock.split(' ').nth(1).and_then(|pid| pid.parse().ok()).expect("it says its process");
    terminal.kill().expect("ours");
    terminal.wait().expect("ours");
    wait_until("the bot ends", || !runs(pid));
    assert!(log().contains("stopping"), "{}", log());
    assert_eq!(number(&folder, "SELECT count(*) FROM life WHERE ended IS NOT NULL"), 1, "an orderly end");
}

#[test]
fn an_end_while_it_starts_is_no_failure_of_a_plugin() {
    let folder = Folder::new(&["misbehave"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let more = format!("[dashboard]\nenabled = true\nport = {port}\n[plugins.misbehave]\n");
    for _ in 0..6 {
        let mut bot = folder.start(&more);
        assert_eq!(bot.exit().code(), Some(1));
        bot.until_logged("another program has the port");
        assert!(!bot.log().contains("did not start"), "{}", bot.log());
    }
    drop(taken);
    for _ in 0..6 {
        let bot = folder.start(&more);
        wait_until("it starts", || bot.log().contains("dashboard") || folder.path().join("state/lock").exists());
        bot.signal(Signal::TERM);
        let mut bot = bot;
        bot.exit();
        assert!(!bot.log().contains("did not start"), "{}", bot.log());
    }
    assert_eq!(number(&folder, "SELECT coalesce(max(failures), 0) FROM plugin"), 0);
    let mut bot = folder.start(&more);
    assert_eq!(bot.ask("!echo hello"), "hello");
    signal_process(bot.pid_of("misbehave"), Signal::KILL);
    assert_eq!(bot.ask("!echo again"), "again");
    assert!(bot.end().success());
}

#[test]
fn as_many_files_may_be_open_as_the_system_lets_this_user_have() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = Bot::spawn(script(&folder, "[plugins.misbehave]\n", "ulimit -Sn 60; ulimit -Hn 900; exec \"$@\""));
    assert_eq!(bot.ask("!echo hello"), "hello");
    let limits = fs::read_to_string(Path::new("/proc").join(bot.pid().to_string()).join("limits")).expect("it runs");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("one of them");
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["900", "900"]);
    assert!(bot.end().success());
}

#[test]
fn the_last_line_is_kept_though_it_has_no_end() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder.start("[plugins.misbehave]\nsandbox = { processes = true }\n");
    bot.say("!sh for n in 1 2 3 4 5 6 7 8; do echo line $n >&2; done; printf 'the moon is full' >&2; kill -KILL $PPID");
    bot.until_logged("its last words: line 7 | line 8 | the moon is full");
    assert!(bot.ask("!admin logs misbehave").contains("line"));
    assert!(bot.end().success());
}
