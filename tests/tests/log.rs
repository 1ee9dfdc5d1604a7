//! The log: each event in one line, with fields that a program can read.

use rosey_tests::{
    bot::{Bot, Folder},
    build,
    shell::shell,
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
    assert!(bot.ask("!admin reload misbehave").contains("is not an ELF file"));
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
