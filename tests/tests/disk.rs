//! What the bot does when the machine has not what it needs: room on a disk, descriptors, a mount that programs run from.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    http,
    shell::shell,
    tool,
};
use std::{fs, path::PathBuf, process::Command};

const SETTINGS: &str = "[admin]\ncooldown = 0\n[metrics]\npoll_interval = 0.2\n[dashboard]\nenabled = true\nport = 0\n\
                        [plugins.dice-roller]\n";

/// A bot whose state directory is a mount of its own with these options, and the way to that directory from here.
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

fn serves(bot: &mut Bot) {
    let answer = bot.ask("!roll 2d6");
    assert!(answer.contains("2d6"), "{answer}");
}

/// Asks for a restart, and gives what came of it.
fn restart(bot: &mut Bot) -> String {
    bot.say("!admin restart dice-roller");
    bot.say("yes");
    let is_end = |answer: &String| answer.contains("restarted") || answer.contains("cannot be recorded");
    std::iter::repeat_with(|| bot.answer()).find(is_end).expect("it goes on for ever")
}

/// Waits until the page, the probe and the metrics say the same: whether changes can be recorded.
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
    // Beyond what SQLite's own log still has room for.
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=64k", &format!("of={}", state.join("filler").display())])
        .output()
        .expect("it is installed");
    assert!(!filled.status.success(), "it ends when the disk is full");
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
