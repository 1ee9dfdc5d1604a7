//! The configuration changes while people talk: by the shell, by chat and by a signal; and several plugins are reloaded at once.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build,
    shell::{shell, start},
};
use rustix::process::Signal;

const PLAIN: &str = "[admin]\ncooldown = 0\nper_minute = 1000\n";

fn folder() -> Folder {
    let folder = Folder::new(&["dice-roller", "eight-ball"]);
    build::variant(&folder.library("misbehave"), "first");
    folder
}

fn apply(folder: &Folder) -> (i32, String) {
    let (code, stdout, error) = shell(folder, &["config", "apply", "--yes"]);
    (code, format!("{stdout}{error}"))
}

fn plan(folder: &Folder) -> String {
    let (code, stdout, error) = shell(folder, &["config", "plan"]);
    assert_eq!(code, 0, "{stdout} {error}");
    stdout
}

#[test]
fn the_plan_says_what_changes_how_and_apply_does_it() {
    let folder = folder();
    let mut bot = start(&folder, &format!("{PLAIN}[plugins.misbehave]\n[plugins.eight-ball]\n"));
    assert_eq!(plan(&folder), "Nothing to take over while Rosey runs.");
    let more = "[roles]\neve = \"viewer\"\n[dashboard]\nport = 9999\n[plugins.misbehave]\nspeaks_in = [\"console:x\"]\n\
                [plugins.misbehave.limits]\nqueue = 77\n[plugins.misbehave.sandbox]\nprocesses = true\n[plugins.dice-roller]\n";
    folder.configure(&format!("{PLAIN}{more}"));
    let told = plan(&folder);
    for part in [
        "config reload would unload eight-ball; ",
        "reload misbehave for sandbox, limits.queue, speaks_in",
        "load dice-roller",
        "change roles at once",
        "Needs a restart of Rosey: dashboard.port.",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (code, text) = apply(&folder);
    assert!(
        code == 0 && text.contains("misbehave goes by the new sandbox, limits.queue, speaks_in, by generation 2."),
        "{text}"
    );
    assert!(bot.ask("!roll 1d1").contains('1'));
    assert!(bot.ask("!8ball ?").contains("no such command"));
    assert_eq!(bot.ask("!variant"), "first");
    assert!(
        plan(&folder).starts_with("Nothing to take over while Rosey runs. Needs a restart of Rosey: dashboard.port.")
    );
    let (_, audit, _) = shell(&folder, &["audit", "list"]);
    assert!(audit.contains("config reload") && audit.contains("unload eight-ball"), "{audit}");
    assert!(bot.end().success());
}

#[test]
fn a_wrong_file_changes_nothing_and_says_where() {
    let folder = folder();
    let mut bot = start(&folder, &format!("{PLAIN}[plugins.misbehave]\n"));
    folder.configure(&format!("{PLAIN}[plugins.misbehave.limits]\nqueu = 1\n[plugins.dice-roller]\n"));
    let (code, text) = apply(&folder);
    assert!(
        code == 3 && text.contains("plugins.misbehave.limits.queu: there is no such setting; did you mean queue?"),
        "{text}"
    );
    let told = bot.ask("!admin config reload");
    assert!(
        told.starts_with("Nothing was changed. ") && told.contains("rosey.toml:") && told.contains("queue?"),
        "{told}"
    );
    bot.signal(Signal::HUP);
    bot.until_logged("SIGHUP: Nothing was changed.");
    // A library that is no plugin, found before the question.
    std::fs::write(folder.library("broken"), "nothing").expect("our directory");
    folder.configure(&format!("{PLAIN}[plugins.misbehave.limits]\nqueue = 1\n[plugins.broken]\n"));
    let (code, text) = apply(&folder);
    assert!(code == 1 && text.contains("Nothing was changed. load broken refused"), "{text}");
    assert!(plan(&folder).contains("limits.queue"), "it is not in force");
    assert!(!bot.ask("!admin list").contains("dice-roller"));
    assert!(bot.end().success());
}

#[test]
fn a_signal_takes_the_file_over_and_new_admins_may_at_once() {
    let folder = folder();
    let mut bot = start(&folder, &format!("{PLAIN}[plugins.misbehave]\n"));
    folder.configure(&format!("{PLAIN}[plugins.misbehave]\n[plugins.dice-roller]\n"));
    bot.signal(Signal::HUP);
    bot.until_logged("dice-roller 1.0.0 is loaded.");
    wait_until("it answers", || bot_answers(&mut bot));
    // Who is no admin any more has no say from then on.
    let file = folder.configure(&format!("{PLAIN}[plugins.misbehave]\n[plugins.dice-roller]\n"));
    let text = std::fs::read_to_string(&file).expect("ours").replace("owner = \"alice\"", "owner = \"system:root\"");
    std::fs::write(&file, text).expect("our directory");
    bot.signal(Signal::HUP);
    bot.until_logged("Changed at once: owner.");
    assert_eq!(bot.ask("!admin list"), "Admin permission required.");
    assert!(bot.end().success());
}

fn bot_answers(bot: &mut Bot) -> bool {
    bot.ask("!roll 1d1").contains('1')
}

#[test]
fn a_setting_that_was_wrong_at_the_start_is_mended_without_a_restart() {
    let folder = folder();
    let text = |limit: &str| format!("{PLAIN}[plugins.dice-roller]\n[plugins.misbehave.config]\nlimit = {limit}\n");
    let mut bot = folder.start(&text("\"many\""));
    assert!(bot.ask("!roll 1d1").contains('1'));
    assert!(bot.ask("!admin status misbehave").starts_with("misbehave failed"), "{}", bot.log());
    assert!(bot.log().contains("let Rosey read it again: !admin config reload"), "{}", bot.log());
    folder.configure(&text("\"few\""));
    let (code, told) = apply(&folder);
    assert!(code == 1 && told.contains("Nothing was changed.") && told.contains("misbehave.config.limit"), "{told}");
    folder.configure(&text("3"));
    let (code, told) = apply(&folder);
    assert!(code == 0 && told.contains("misbehave goes by the new config.limit"), "{told}");
    assert_eq!(bot.ask("!variant"), "first");
    assert!(bot.end().success());
}

#[test]
fn all_changed_plugins_are_reloaded_and_a_refusal_stops_the_series() {
    let folder = folder();
    build::variant(&folder.library("another"), "first");
    let text = format!(
        "{PLAIN}[limits]\nbake = 0\n[plugins.another]\nlibrary = \"plugins/libanother.so\"\n[plugins.dice-roller]\n[plugins.misbehave]\n"
    );
    let mut bot = start(&folder, &text);
    let (code, stdout, error) = shell(&folder, &["admin", "reload", "--changed", "--yes"]);
    assert!(code == 1 && error.contains("Nothing to do: no plugin has a new build"), "{stdout} {error}");
    std::fs::write(folder.library("another"), "broken").expect("our directory");
    build::variant(&folder.library("misbehave"), "second");
    let (code, _, error) = shell(&folder, &["admin", "reload", "--all", "--yes"]);
    assert!(
        code == 1 && error.contains("reload another refused") && error.contains("Not tried: dice-roller, misbehave."),
        "{error}"
    );
    assert_eq!(bot.ask("!misbehave:variant"), "first");
    let question = bot.ask("!admin reload --all --keep-going");
    assert!(question.starts_with("Reload another, dice-roller, misbehave, one after another, and go on"), "{question}");
    assert_eq!(bot.ask("yes"), "Reloading one after another …");
    let told = bot.answer();
    assert!(told.contains("reload another refused") && told.contains("misbehave 1.0.0"), "{told}");
    assert!(told.contains("Nothing to change: dice-roller."), "{told}");
    assert_eq!(bot.ask("!misbehave:variant"), "second");
    let (_, audit, _) = shell(&folder, &["audit", "list"]);
    assert!(audit.contains("reload --all --keep-going") && audit.contains("reload misbehave"), "{audit}");
    assert!(bot.end().success());
}
