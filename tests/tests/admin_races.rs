//! Two admins at once, and builds that do not last: the host does exactly what was confirmed, or nothing.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build,
    shell::{PATIENT, command, ended, folder, shell, start},
};
use rustix::process::Signal;
use std::process::Stdio;

/// No rate limits, and each build that serves is good at once.
const NO_BAKE: &str = "[admin]\ncooldown = 0\nper_minute = 1000\n[limits]\nbake = 0\n[plugins.misbehave]\n";

fn done(folder: &Folder, arguments: &[&str]) -> String {
    let (code, stdout, error) = shell(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {stdout} {error}");
    stdout
}

fn reload(folder: &Folder, build: &str) -> String {
    build::variant(&folder.library("misbehave"), build);
    done(folder, &["admin", "reload", "misbehave", "--yes"])
}

/// A bot with the builds `first`, `second` and `third`; the last one serves.
fn three_builds(folder: &Folder) -> Bot {
    let bot = start(folder, NO_BAKE);
    reload(folder, "second");
    reload(folder, "third");
    bot
}

#[test]
fn a_rollback_that_another_admin_was_faster_with_goes_no_build_further() {
    let folder = folder();
    let mut bot = three_builds(&folder);
    let question = bot.ask("!admin rollback misbehave");
    assert!(question.starts_with("Roll back misbehave 1.0.0 ("), "{question}");
    done(&folder, &["admin", "rollback", "misbehave", "--yes"]);
    assert!(bot.ask("yes").starts_with("Rolling back"));
    let refused = bot.answer();
    assert!(refused.starts_with("misbehave changed since you were asked (it runs 1.0.0 ("), "{refused}");
    assert!(refused.ends_with(") now); ask again."), "{refused}");
    assert_eq!(bot.ask("!variant"), "second");
    let audited = done(&folder, &["audit", "list", "--json"]);
    let last: serde_json::Value = serde_json::from_str(audited.lines().last().expect("some")).expect("JSON");
    assert_eq!((last["stage"].as_str(), last["ok"].as_bool()), (Some("after"), Some(false)), "{last}");
    assert_eq!(last["result"].as_str(), Some(&*refused));
}

#[test]
fn a_reload_after_another_reload_asks_again() {
    let folder = folder();
    let mut bot = start(&folder, NO_BAKE);
    build::variant(&folder.library("misbehave"), "second");
    bot.ask("!admin reload misbehave");
    reload(&folder, "third");
    bot.ask("yes");
    let refused = bot.answer();
    assert!(refused.starts_with("misbehave changed since you were asked"), "{refused}");
    assert_eq!(bot.ask("!variant"), "third");

    bot.ask("!admin restart misbehave");
    done(&folder, &["admin", "stop", "misbehave", "--yes"]);
    bot.ask("yes");
    assert_eq!(bot.answer(), "misbehave changed since you were asked (it is stopped now); ask again.");
}

#[test]
fn a_stop_and_a_start_that_another_admin_was_faster_with_are_told_apart() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    bot.ask("!admin stop misbehave");
    done(&folder, &["admin", "stop", "misbehave", "--yes"]);
    bot.ask("yes");
    assert_eq!(bot.answer(), "misbehave is already stopped.");
    bot.ask("!admin start misbehave");
    done(&folder, &["admin", "start", "misbehave", "--yes"]);
    bot.ask("yes");
    assert_eq!(bot.answer(), "misbehave is already running.");
}

#[test]
fn of_a_stopped_plugin_it_is_said_that_it_does_not_run() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    done(&folder, &["admin", "stop", "misbehave", "--yes"]);
    build::variant(&folder.library("misbehave"), "second");
    let question = bot.ask("!admin reload misbehave");
    assert!(question.starts_with("Reload misbehave not running → 1.0.0?"), "{question}");
    bot.ask("yes");
    assert!(bot.answer().starts_with("misbehave not running → 1.0.0: generation 2 is active"));
}

#[test]
fn who_reloaded_is_told_where_they_asked_when_the_build_does_not_last() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    build::variant(&folder.library("misbehave"), "echo-crashes");
    bot.ask("!admin reload misbehave");
    bot.ask("yes");
    assert!(bot.answer().contains("generation 2 is active"));
    bot.say("!echo boom");
    // The build before answers the event that crashed the new one. The two answers may come in either order.
    let (echoed, told): (Vec<_>, Vec<_>) =
        [bot.answer(), bot.answer()].into_iter().partition(|answer| answer == "boom");
    assert_eq!(echoed.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("misbehave 1.0.0 (") && told[0].contains(" by itself, because it crashed: "),
        "{told:?}"
    );
    assert!(told[0].ends_with("See !admin logs misbehave"), "{told:?}");
}

#[test]
fn a_reload_that_is_waited_for_and_does_not_last_is_no_success() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    bot.say("!later 4000 late");
    build::variant(&folder.library("misbehave"), "echo-crashes");
    let mut waits = command(&folder, &["admin", "reload", "misbehave", "--yes", "--wait"]);
    let waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is built");
    wait_until("the new build serves", || done(&folder, &["admin", "status", "misbehave"]).contains("generation 2,"));
    bot.say("!echo boom");
    let (code, stdout, error) = ended(waits.wait_with_output().expect("ours"));
    assert_eq!((code, stdout.as_str()), (1, ""), "{error}");
    assert!(error.contains("was done and then rolled back, because it crashed"), "{error}");
    assert!(error.contains("rosey admin logs misbehave"), "{error}");
}

#[test]
fn the_library_of_another_plugin_is_refused_and_commands_that_go_are_named() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    let beside = folder.library("misbehave").with_extension("new");
    std::fs::copy(build::library("eight-ball"), &beside).expect("it is built");
    std::fs::rename(&beside, folder.library("misbehave")).expect("our directory");
    let refused = bot.ask("!admin reload misbehave");
    assert!(refused.contains("is the plugin eight-ball, not misbehave"), "{refused}");
    let question = bot.ask("!admin reload misbehave force");
    assert!(question.contains("? It no longer has !abort, ") && question.contains(" more."), "{question}");
    bot.ask("no");
    assert_eq!(bot.ask("!variant"), "first");
}

#[test]
fn a_build_is_known_by_its_version_after_a_restart_of_the_bot_too() {
    let folder = folder();
    let mut bot = start(&folder, NO_BAKE);
    reload(&folder, "second");
    assert!(bot.end().success());
    let mut bot = folder.start(NO_BAKE);
    let question = bot.ask("!admin rollback misbehave");
    assert!(question.contains(") → 1.0.0 ("), "{question}");
    bot.ask("yes");
    assert!(bot.answer().contains("is active"));
    assert_eq!(bot.ask("!variant"), "first");
}

#[test]
fn while_the_bot_stops_nothing_new_begins() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    bot.say("!later 3000 late");
    wait_until("it is under way", || done(&folder, &["admin", "status", "misbehave"]).contains("1 in flight"));
    bot.signal(Signal::TERM);
    bot.until_logged("stopping");
    let (code, _, error) = shell(&folder, &["admin", "restart", "misbehave", "--yes"]);
    assert!(code == 6 && error.contains("Rosey is stopping."), "{code} {error}; {}", bot.log());
    let (_, status, _) = shell(&folder, &["admin", "status", "admin"]);
    assert!(status.contains(" stopping, up "), "{status}");
    assert!(bot.exit().success());
    let audited = done(&folder, &["audit", "list"]);
    assert!(audited.contains("refused") && audited.ends_with("Rosey is stopping."), "{audited}");
}

#[test]
fn a_full_disk_refuses_actions_with_an_honest_end() {
    let folder = folder();
    let mut bot = start(&folder, "[admin]\naudit_file = \"/dev/full\"\n[plugins.misbehave]\n");
    bot.ask("!admin restart misbehave");
    bot.ask("yes");
    let refused = bot.answer();
    assert!(
        refused.starts_with("Nothing was done, because it cannot be recorded: the audit file /dev/full"),
        "{refused}"
    );
    let audited = done(&folder, &["audit", "list"]);
    assert!(audited.contains("— not done: the audit file /dev/full cannot be written: No space left"), "{audited}");
    let verified = done(&folder, &["audit", "verify"]);
    assert!(!verified.contains("no end"), "{verified}");
}

#[test]
fn a_careful_cut_is_noticed_by_the_running_bot_and_by_a_noted_head() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    reload(&folder, "second");
    let verified = done(&folder, &["audit", "verify"]);
    let head = verified.split("--head ").nth(1).and_then(|rest| rest.lines().next()).expect("it says so").to_owned();
    assert!(done(&folder, &["audit", "verify", "--head", &head]).contains("the noted head is there"));
    let database = rusqlite::Connection::open(folder.path().join("state/rosey.db")).expect("there");
    database.execute_batch("DELETE FROM audit; DELETE FROM audit_head").expect("ours");
    assert_eq!(shell(&folder, &["audit", "verify"]).0, 0, "of this nothing is left to see");
    let (code, _, error) = shell(&folder, &["audit", "verify", "--head", &head]);
    assert!(code == 8 && error.contains("the end was cut off"), "{error}");
    bot.ask("!admin restart misbehave");
    bot.ask("no");
    bot.until_logged("AUDIT: another program changed the audit");
    let (code, _, error) = shell(&folder, &["audit", "verify"]);
    assert!(code == 8 && error.contains("are missing"), "{error}");
    assert!(bot.log().contains(&format!("its head is {head}")) || bot.end().success());
}
