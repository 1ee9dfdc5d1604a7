//! Processes that plugins start, and their working directories.

use rosey_tests::{
    bot::{Bot, Folder, children, runs, signal_process, wait_until},
    build,
    shell::shell,
    tool,
};
use rustix::process::Signal;
use std::{fs, os::unix::fs::PermissionsExt, process::Command};

const SETTINGS: &str =
    "[admin]\ncooldown = 0\n[plugins.misbehave]\nsandbox = { processes = true }\n[plugins.dice-roller]\n";

fn start(folder: &Folder) -> Bot {
    let mut bot = folder.start(SETTINGS);
    assert_eq!(bot.ask("!echo hello"), "hello");
    bot
}

/// Lets the plugin start a daemon, with this prefix before its command: fully detached by a double fork. The sandbox lets it have no session
/// of its own. Returns its process id.
fn daemon(folder: &Folder, bot: &mut Bot, prefix: &str) -> u32 {
    let file = folder.path().join("state/data/misbehave/daemon");
    bot.ask(&format!(
        "!sh rm -f daemon; ({prefix} /bin/sh -c 'echo $$ > daemon.new; mv daemon.new daemon; exec sleep 1000' \
         < /dev/null > /dev/null 2>&1 &); echo started"
    ));
    let mut pid = None;
    wait_until("the daemon runs", || {
        pid = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        pid.is_some()
    });
    pid.expect("waited for")
}

#[test]
fn a_daemon_lives_as_long_as_the_plugin_that_started_it_and_no_longer() {
    let folder = Folder::new(&["misbehave", "dice-roller"]);
    let mut bot = start(&folder);
    for prefix in ["", "env -i"] {
        let pid = daemon(&folder, &mut bot, prefix);
        assert_eq!(shell(&folder, &["admin", "restart", "dice-roller", "--yes"]).0, 0);
        assert!(runs(pid), "it is another plugin's");
        assert_eq!(shell(&folder, &["admin", "reload", "misbehave", "--force", "--yes"]).0, 0);
        wait_until("it ends with a reload", || !runs(pid));

        let pid = daemon(&folder, &mut bot, prefix);
        signal_process(bot.pid_of("misbehave"), Signal::KILL);
        wait_until("it ends with a crash", || !runs(pid));

        let pid = daemon(&folder, &mut bot, prefix);
        assert_eq!(shell(&folder, &["admin", "stop", "misbehave", "--yes"]).0, 0);
        wait_until("it ends with a stop", || !runs(pid));
        assert_eq!(shell(&folder, &["admin", "start", "misbehave", "--yes"]).0, 0);
    }
    let pid = daemon(&folder, &mut bot, "");
    assert!(bot.end().success());
    wait_until("it ends with the bot", || !runs(pid));
}

#[test]
fn a_daemon_ends_with_a_bot_that_is_killed() {
    let folder = Folder::new(&["misbehave", "dice-roller"]);
    let mut bot = start(&folder);
    let marked = daemon(&folder, &mut bot, "");
    let unmarked = daemon(&folder, &mut bot, "env -i");
    let all = children(bot.pid());
    bot.signal(Signal::KILL);
    bot.exit();
    wait_until("both end", || !runs(marked) && !runs(unmarked));
    wait_until("so do all others", || !all.iter().any(|pid| runs(*pid)));
}

#[test]
fn as_process_1_on_a_read_only_root_it_reaps_what_falls_to_it_and_drains_when_asked_to() {
    let kinds = ["-pfm", "--mount-proc", "--kill-child"];
    if !tool::may_unshare(&kinds) {
        return;
    }
    let folder = Folder::new(&["misbehave", "dice-roller"]);
    let (file, state) = (folder.configure(SETTINGS), folder.path().join("state"));
    fs::create_dir(&state).expect("our directory");
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind / && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(kinds).args(["sh", "-c", script]).arg(state);
    command.arg(build::rosey()).args(["run", "--config"]).arg(file).current_dir(folder.path());
    let mut bot = Bot::spawn(command);
    assert_eq!(bot.ask("!echo hello"), "hello");
    assert_eq!(bot.ask("!sh touch file && touch /somewhere 2> error || echo read-only"), "read-only");
    let [rosey] = children(bot.pid())[..] else { panic!("unshare has one child") };
    let fallen = || children(rosey).iter().filter(|pid| !runs(**pid)).count();
    for _ in 0..20 {
        bot.ask("!sh (/bin/sh -c 'exit 0' &); echo started");
    }
    wait_until("all are reaped", || fallen() == 0);
    assert_eq!(bot.ask("!echo still there"), "still there");
    signal_process(rosey, Signal::TERM);
    assert!(bot.exit().success());
    bot.until_logged("stopping");
}

#[test]
fn a_plugin_has_a_folder_of_its_own_and_finds_it_again() {
    let folder = Folder::new(&["misbehave", "dice-roller"]);
    let mut bot = start(&folder);
    let data = folder.path().join("state/data");
    let own = data.join("misbehave");
    assert_eq!(bot.ask("!sh pwd"), own.canonicalize().expect("it is there").to_str().expect("a plain path"));
    for private in [&data, &own, &data.join("dice-roller")] {
        assert_eq!(fs::metadata(private).expect("it is there").permissions().mode() & 0o777, 0o700);
    }
    assert_eq!(bot.ask("!sh mkdir cache && echo kept > cache/file && echo made"), "made");
    signal_process(bot.pid_of("misbehave"), Signal::KILL);
    assert_eq!(bot.ask("!sh cat cache/file"), "kept");
    assert!(bot.end().success());
    let mut bot = start(&folder);
    assert_eq!(bot.ask("!sh cat cache/file"), "kept");
    assert!(bot.end().success());
}
