//! The bot on a machine that lacks something: disk space, descriptors, a mount from which programs run.

use rosey_tests::{
    bot::{Bot, Folder, children, signal_process, wait_until},
    http,
    shell::shell,
    tool,
};
use rustix::process::Signal;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SETTINGS: &str = "[admin]\ncooldown = 0\n[metrics]\npoll_interval = 0.2\n[dashboard]\nenabled = true\nport = 0\n\
                        [plugins.dice-roller]\n";

/// A bot whose state directory is its own mount with these options, and the path of that directory from here.
fn on_a_mount(folder: &Folder, options: &str, more: &str) -> (Bot, PathBuf) {
    let file = folder.configure(more);
    let state = folder.path().join("state");
    fs::create_dir_all(&state).expect("our directory");
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o \"$0\" none \"$1\" && exec \"$2\" run --config \"$3\"";
    command.args(["-m", "sh", "-c", script, options]);
    command.arg(&state).arg(rosey_tests::build::rosey()).arg(file).current_dir(folder.path());
    let bot = Bot::spawn(command);
    let inside = PathBuf::from(format!("/proc/{}/root{}", bot.pid(), state.display()));
    (bot, inside)
}

/// Leaves no room on the disk of a folder.
fn fill_up(state: &Path) {
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k", &format!("of={}", state.join("filler").display())])
        .output()
        .expect("it is installed");
    assert!(!filled.status.success(), "it ends when the disk is full");
}

fn serves(bot: &mut Bot) {
    let answer = bot.ask("!roll 2d6");
    assert!(answer.contains("2d6"), "{answer}");
}

/// Asks for a restart, and returns the result.
fn restart(bot: &mut Bot) -> String {
    bot.say("!admin restart dice-roller");
    bot.say("yes");
    let is_end = |answer: &String| answer.contains("restarted") || answer.contains("cannot be recorded");
    std::iter::repeat_with(|| bot.answer()).find(is_end).expect("it goes on for ever")
}

/// Waits until the page, the probe and the metrics agree on whether changes can be recorded.
fn until_recording(address: &str, is_recording: bool) {
    let metric = format!("rosey_database_up {}", u8::from(is_recording));
    wait_until("all three say the same", || {
        let troubles = http::get(address, "/api/metrics").json()["system"]["troubles"].to_string();
        let status = http::get(address, "/readyz").status;
        (troubles.contains("\"database\"") != is_recording)
            && status == if is_recording { 200 } else { 503 }
            && http::get(address, "/metrics").text().lines().any(|line| line == metric)
    });
}

#[test]
fn a_disk_that_is_full_is_a_trouble_like_any_other_until_there_is_room() {
    if !tool::may_unshare(&["-m"]) {
        return;
    }
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, state) = on_a_mount(&folder, "size=64m", SETTINGS);
    serves(&mut bot);
    let address = bot.dashboard();
    until_recording(&address, true);
    // More than SQLite's own log still has room for.
    fill_up(&state);
    let mut refused = String::new();
    wait_until("a change is refused", || {
        refused = restart(&mut bot);
        refused.contains("cannot be recorded")
    });
    assert!(refused.contains("its disk is full; make room"), "{refused}");
    until_recording(&address, false);
    serves(&mut bot);
    fs::remove_file(state.join("filler")).expect("it is there");
    until_recording(&address, true);
    assert!(restart(&mut bot).contains("restarted"));
    assert!(bot.end().success());
}

#[test]
fn on_a_full_disk_an_event_that_keeps_something_fails_whole_and_the_log_says_why() {
    if !tool::may_unshare(&["-m"]) {
        return;
    }
    let folder = Folder::new(&["keeper-1"]);
    let (mut bot, state) = on_a_mount(&folder, "size=64m", "[plugins.keeper-1]\n");
    assert_eq!(bot.ask("!keep 3"), "kept");
    fill_up(&state);
    let mut from = 0;
    let mut fill = |bot: &mut Bot| {
        let answer = bot.ask(&format!("!fill {from} {}", from + 200));
        from += 200;
        answer
    };
    let answer = std::iter::repeat_with(|| fill(&mut bot)).find(|answer| answer != "filled");
    assert_eq!(answer.as_deref(), Some("keeper-1 could not do that; the operator can see why."));
    bot.until_logged("failed: its changes cannot be stored: rosey.db: its disk is full; make room");
    assert_eq!(bot.ask("!numbers"), "3 3 3 3");
    fs::remove_file(state.join("filler")).expect("it is there");
    assert_eq!(fill(&mut bot), "filled");
    assert!(bot.end().success());
}

#[test]
fn a_change_whose_record_cannot_be_found_again_is_refused() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start(SETTINGS);
    serves(&mut bot);
    let address = bot.dashboard();
    let database = folder.path().join("state/rosey.db");
    fs::remove_file(&database).expect("it is there");
    let (code, _, problem) = shell(&folder, &["admin", "restart", "dice-roller", "--yes"]);
    assert_eq!(code, 1);
    assert!(problem.contains("cannot be recorded") && problem.contains("was removed or replaced"), "{problem}");
    until_recording(&address, false);
    serves(&mut bot);
    assert!(bot.end().success());
    let mut bot = folder.start(SETTINGS);
    serves(&mut bot);
    assert_eq!(shell(&folder, &["admin", "restart", "dice-roller", "--yes"]).0, 0);
    assert!(bot.end().success());
}

#[test]
fn what_the_machine_lacks_at_the_start_is_tried_again_and_never_held_against_a_plugin() {
    if !tool::may_unshare(&["-m"]) {
        return;
    }
    // Debug builds with everything that they are linked to: some MB each.
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, state) = on_a_mount(&folder, "size=1m", SETTINGS);
    bot.until_logged("cannot be started yet");
    let status = bot.ask("!admin status dice-roller");
    assert!(status.contains("the disk is full; make room; tried again every 5 s"), "{status}");
    let room = Command::new("nsenter")
        .args(["-m", "-t", &bot.pid().to_string(), "mount", "-o", "remount,size=512m"])
        .arg(folder.path().join("state"))
        .status();
    assert!(room.is_ok_and(|status| status.success()));
    bot.until_logged("generation 1 is active");
    serves(&mut bot);
    assert!(bot.ask("!admin status dice-roller").contains("0 crashes"));
    assert!(state.join("artifacts").exists());
    assert!(bot.end().success());
}

#[test]
fn a_disk_without_room_for_the_database_is_waited_for() {
    if !tool::may_unshare(&["-m"]) {
        return;
    }
    let folder = Folder::new(&["dice-roller"]);
    // No file at all, and then files with nothing in them.
    let (mut bot, _) = on_a_mount(&folder, "nr_inodes=1", SETTINGS);
    let (mut small, state) = on_a_mount(&folder, "size=4k", SETTINGS);
    bot.until_logged("not started yet: the state directory");
    bot.until_logged("the disk is full; make room; tried again every 5 s");
    small.until_logged("not started yet: rosey.db: its disk is full; make room; tried again every 5 s");
    // A request to end is not held up by it.
    bot.signal(Signal::TERM);
    assert!(bot.exit().success());
    let room = Command::new("nsenter")
        .args(["-m", "-t", &small.pid().to_string(), "mount", "-o", "remount,size=512m"])
        .arg(folder.path().join("state"))
        .status();
    assert!(room.is_ok_and(|status| status.success()));
    serves(&mut small);
    assert!(state.join("rosey.db").exists());
    assert!(restart(&mut small).contains("restarted"));
    assert_eq!(small.log().matches("not started yet").count(), 1, "said once: {}", small.log());
    assert!(small.end().success());
}

#[test]
fn a_database_that_another_program_holds_is_waited_for() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start(SETTINGS);
    serves(&mut bot);
    assert!(bot.end().success());
    let holder = rusqlite::Connection::open(folder.path().join("state/rosey.db")).expect("it is there");
    holder.execute_batch("BEGIN EXCLUSIVE").expect("no other program holds it");
    let mut bot = folder.start(SETTINGS);
    bot.until_logged("not started yet: rosey.db: another program holds it; close that one; tried again every 5 s");
    let (code, _, problem) = shell(&folder, &["admin", "list"]);
    assert!(code == 4 && problem.contains("is starting"), "{code}: {problem}");
    holder.execute_batch("COMMIT").expect("it was begun");
    serves(&mut bot);
    assert!(restart(&mut bot).contains("restarted"));
    let lives: i64 = holder.query_row("SELECT count(*) FROM life", [], |row| row.get(0)).expect("readable");
    assert_eq!(lives, 2, "what was tried in vain is no life of a host");
    assert!(bot.end().success());
}

#[test]
fn a_mount_that_nothing_runs_from_is_named_and_waited_for() {
    if !tool::may_unshare(&["-m"]) {
        return;
    }
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, _) = on_a_mount(&folder, "noexec", SETTINGS);
    bot.until_logged("is mounted noexec, so no library can be loaded from it; mount it without noexec, or set another");
    let status = bot.ask("!admin status dice-roller");
    assert!(status.contains("mounted noexec") && status.contains("next start in"), "{status}");
    let exec = Command::new("nsenter")
        .args(["-m", "-t", &bot.pid().to_string(), "mount", "-o", "remount,exec"])
        .arg(folder.path().join("state"))
        .status();
    assert!(exec.is_ok_and(|status| status.success()));
    bot.until_logged("is active");
    serves(&mut bot);
    assert!(bot.end().success());
}

#[test]
fn without_descriptors_the_limit_is_named_and_nothing_is_given_up() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start("[plugins.dice-roller]\n");
    serves(&mut bot);
    wait_until("there is a spare", || children(bot.pid()).len() == 3);
    let limit = |bot: &Bot, files: usize| {
        let set = Command::new("prlimit")
            .arg(format!("--nofile={files}:1000"))
            .args(["--pid", &bot.pid().to_string()])
            .status();
        assert!(set.is_ok_and(|status| status.success()));
    };
    // Open descriptors stay open, and no more can be opened.
    limit(&bot, 3);
    let why = "Rosey has as many files open as it may (3); raise that limit";
    signal_process(bot.pid_of("dice-roller"), Signal::KILL);
    // The spare is used, if the artifact was verified long enough ago.
    wait_until("it runs, or the limit is named", || {
        bot.log().contains(why) || bot.log().contains("generation 2 is active")
    });
    if !bot.log().contains(why) {
        signal_process(bot.pid_of("dice-roller"), Signal::KILL);
    }
    bot.until_logged(why);
    let status = bot.ask("!admin status dice-roller");
    assert!(status.contains(why) && status.contains("next start in"), "{status}");
    limit(&bot, 1000);
    serves(&mut bot);
    assert!(!bot.log().contains("FAILED"), "{}", bot.log());
    assert!(bot.end().success());
}

/// A bot with twenty plugins that may have so many files open, by the soft limit and by the hard one.
fn with_open_files(folder: &Folder, soft: u32, hard: u32) -> Bot {
    let library = folder.library("dice-roller");
    let plugins: String = (0..20).map(|n| format!("[plugins.p{n}]\nlibrary = {library:?}\n")).collect();
    let file = folder.configure(&plugins);
    let mut command = Command::new("sh");
    let script = "ulimit -Sn $0 && ulimit -Hn $1 && exec \"$2\" run --config \"$3\"";
    command.args(["-c", script, &soft.to_string(), &hard.to_string()]);
    command.arg(rosey_tests::build::rosey()).arg(file).current_dir(folder.path());
    Bot::spawn(command)
}

#[test]
fn twenty_plugins_take_what_the_hard_limit_of_files_allows() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = with_open_files(&folder, 64, 4096);
    bot.until_logged("ready");
    let running = |log: &str| {
        let active = log.lines().filter(|line| line.contains("is active"));
        active.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect::<BTreeSet<_>>().len()
    };
    wait_until("all of them run", || running(&bot.log()) == 20);
    assert!(!bot.log().contains("files open"), "{}", bot.log());
    assert!(bot.end().success());
}

#[test]
fn a_hard_limit_of_files_that_is_too_low_is_named_with_what_to_do() {
    let folder = Folder::new(&["dice-roller"]);
    // Too few for the host itself, then for its database, then for its plugins.
    for files in [8, 16] {
        let mut bot = with_open_files(&folder, files, files);
        assert_eq!(bot.exit().code(), Some(1), "{files}");
        bot.until_logged(&format!("Rosey has as many files open as it may ({files}); raise that limit: ulimit -n, or"));
    }
    let mut bot = with_open_files(&folder, 64, 64);
    bot.until_logged(
        "Rosey has as many files open as it may (64); raise that limit: ulimit -n, or LimitNOFILE= of its unit",
    );
    bot.until_logged("is active");
    let log = bot.log();
    let active = log.lines().find(|line| line.contains("is active")).and_then(|line| line.split('"').nth(1));
    let roll = format!("!{}:roll 2d6", active.expect("it is named"));
    assert!(bot.ask(&roll).starts_with("2d6: "), "those that there is room for serve");
    bot.until_logged("generation 2 did not start");
    let log = bot.log();
    assert!(!log.contains("FAILED") && !log.contains("did not stay up"), "it is held against none: {log}");
    assert!(bot.end().success());
}

#[test]
fn a_library_that_never_ends_is_refused_and_keeps_nothing_from_ending() {
    let folder = Folder::new(&["dice-roller"]);
    let library = folder.library("dice-roller");
    let mut bot = folder.start(SETTINGS);
    serves(&mut bot);
    fs::remove_file(&library).expect("it is there");
    let made = Command::new("mkfifo").arg(&library).status();
    assert!(made.is_ok_and(|status| status.success()));
    let refused = bot.ask("!admin reload dice-roller");
    assert!(
        refused.contains("is not a file; set plugins.dice-roller.library") && refused.ends_with("1.0.0 goes on."),
        "{refused}"
    );
    assert!(bot.end().success());
    fs::remove_dir_all(folder.path().join("state")).expect("our directory");
    let mut bot = folder.start(SETTINGS);
    bot.until_logged("is not a file; set plugins.dice-roller.library");
    assert!(bot.end().success());
}

#[test]
fn a_restart_with_a_damaged_artifact_is_refused_and_what_runs_goes_on() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start(SETTINGS);
    serves(&mut bot);
    let pid = bot.pid_of("dice-roller");
    let artifact = fs::read_dir(folder.path().join("state/artifacts")).expect("it is there").flatten().next();
    let artifact = artifact.expect("the one that runs").path();
    let mut bytes = fs::read(&artifact).expect("ours");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&artifact).and_then(|()| fs::write(&artifact, bytes)).expect("our directory");
    let (code, _, problem) = shell(&folder, &["admin", "restart", "dice-roller", "--yes"]);
    assert_eq!(code, 1);
    assert!(problem.contains("is corrupted") && problem.ends_with("1.0.0 goes on."), "{problem}");
    serves(&mut bot);
    assert_eq!(bot.pid_of("dice-roller"), pid, "the very same process");
    assert!(bot.end().success());
}
