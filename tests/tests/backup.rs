//! Backup and restore: a copy that is made while the bot runs has everything when it starts again.

use rosey_tests::{
    bot::{Bot, Folder},
    build,
    shell::{command, ended, shell},
};
use std::{fs, process::Stdio};

const SETTINGS: &str = "[admin]\ncooldown = 0\nper_minute = 1000\n[limits]\nbake = 0.2\n[plugins.misbehave]\n\
                        [plugins.quotes]\n[plugins.quotes.limits]\n";

fn done(folder: &Folder, arguments: &[&str]) -> String {
    let (code, stdout, error) = shell(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {stdout} {error}");
    stdout
}

/// A bot with a quote, a timer, a dead letter, a file of a plugin, and a second build that has passed its trial.
fn bot_with_everything(folder: &Folder) -> Bot {
    build::variant(&folder.library("misbehave"), "first");
    let mut bot = folder.start(SETTINGS);
    assert_eq!(bot.ask("!variant"), "first");
    assert_eq!(bot.ask("!addquote it works on my machine"), "That is quote 1.");
    assert_eq!(bot.ask("!remind 86400000 tea"), "set");
    assert!(bot.ask("!abort").contains("does not try it again"));
    build::variant(&folder.library("misbehave"), "second");
    done(folder, &["admin", "reload", "misbehave", "--yes", "--wait"]);
    bot.until_logged("the new build did not crash");
    fs::write(folder.path().join("state/data/quotes/notes.txt"), "of the plugin").expect("its folder is there");
    bot
}

/// How often `!tally` was counted.
fn tallies(bot: &mut Bot) -> u32 {
    bot.ask("!kept tally").parse().expect("a number")
}

#[test]
fn a_backup_of_a_running_bot_is_restored_with_everything_that_it_kept() {
    let folder = Folder::new(&["quotes"]);
    let mut bot = bot_with_everything(&folder);
    assert_eq!(bot.ask("!tally"), "counted");
    let before = tallies(&mut bot);
    let mut backup = command(&folder, &["backup", "backup.tar"]);
    let mut backup = backup.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("built");
    // It has work meanwhile, and none of it waits.
    while backup.try_wait().expect("ours").is_none() {
        assert_eq!(bot.ask("!tally"), "counted");
    }
    let (code, said, error) = ended(backup.wait_with_output().expect("ours"));
    assert!(code == 0 && said.starts_with("backup.tar: "), "{said} {error}");
    let after = tallies(&mut bot);
    let timer = done(&folder, &["admin", "timers", "misbehave"]);
    assert!(timer.contains("tea"), "{timer}");
    let audit = done(&folder, &["audit", "list"]);
    assert!(audit.contains("reload misbehave"), "{audit}");
    // Not in the backup any more.
    assert_eq!(bot.ask("!tally"), "counted");
    assert!(bot.end().success());

    let (code, _, error) = shell(&folder, &["restore", "backup.tar"]);
    assert!(code == 1 && error.contains("is not empty: it holds"), "{error}");
    fs::rename(folder.path().join("state"), folder.path().join("state-before")).expect("ours");
    // What lies in the plugin folder is another build than the one that ran.
    build::variant(&folder.library("misbehave"), "third");
    let said = done(&folder, &["restore", "backup.tar"]);
    assert!(said.contains("by rosey 0.1.0. You can start the bot now."), "{said}");
    let verified = done(&folder, &["audit", "verify"]);
    assert!(verified.contains("No edit, no deletion."), "{verified}");
    assert_eq!(done(&folder, &["audit", "list"]), audit);
    assert!(done(&folder, &["db", "check"]).contains("is whole"));
    assert_eq!(
        fs::read_to_string(folder.path().join("state/data/quotes/notes.txt")).ok().as_deref(),
        Some("of the plugin")
    );
    let mut bot = folder.start(SETTINGS);
    assert_eq!(bot.ask("!variant"), "second");
    assert_eq!(bot.ask("!quote 1"), "it works on my machine (kept by alice)");
    assert_eq!(done(&folder, &["admin", "timers", "misbehave"]), timer);
    let letters = done(&folder, &["admin", "deadletters", "misbehave"]);
    assert!(letters.contains("1 misbehave by alice: !abort"), "{letters}");
    let restored = tallies(&mut bot);
    assert!((before..=after).contains(&restored), "{before} ≤ {restored} ≤ {after}");
    assert!(bot.end().success());
}

#[test]
fn a_backup_that_is_not_whole_restores_nothing_and_a_restore_that_was_cut_short_is_not_used() {
    let folder = Folder::new(&["quotes"]);
    let mut bot = folder.start("[plugins.quotes]\n");
    assert_eq!(bot.ask("!addquote one"), "That is quote 1.");
    assert!(bot.end().success());
    done(&folder, &["backup", "backup.tar"]);
    let (file, state) = (folder.path().join("backup.tar"), folder.path().join("state"));
    let whole = fs::read(&file).expect("ours");
    fs::remove_dir_all(&state).expect("ours");
    fs::write(&file, &whole[..whole.len() / 2]).expect("ours");
    let (code, _, error) = shell(&folder, &["restore", "backup.tar"]);
    assert!(code == 1 && error.contains("is not a whole backup: its end is missing. Nothing was restored"), "{error}");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    fs::write(&file, &altered).expect("ours");
    let (code, _, error) = shell(&folder, &["restore", "backup.tar"]);
    assert!(code == 1 && error.contains(" was altered. Nothing was restored"), "{error}");
    assert!(!state.exists());
    fs::write(&file, &whole).expect("ours");
    done(&folder, &["restore", "backup.tar"]);
    fs::create_dir(state.join("restore.part")).expect("ours");
    let mut bot = folder.start("[plugins.quotes]\n");
    assert_eq!(bot.exit().code(), Some(1));
    bot.until_logged("was interrupted, so it is not whole; empty it, and restore the backup again");
}
