//! Checks the manifest of a plugin, before the host stores or shows anything of it.

use crate::{
    schedule::Schedule,
    text::{bounded, clean, expression, visible},
};
use rosey_wire::{
    event::Kind,
    manifest::{Command, Manifest, ROLES, Setting, Subscription, Wishes},
    sandbox::port,
};
use std::collections::HashSet;
use unicode_security::{MixedScript, skeleton};

/// The longest manifest, in bytes. One of 64 commands with long help has 40 KB.
const MAX_BYTES: usize = 256 << 10;

/// Handlers of events other than commands, in one plugin.
const MAX_SUBSCRIPTIONS: usize = 64;

/// Commands of one plugin, including aliases and subcommands. `!help` must stay readable.
const MAX_COMMANDS: usize = 64;

/// Settings that one plugin describes.
const MAX_SETTINGS: usize = 256;

/// Targets in the network, or files, that one plugin wants.
const MAX_WISHES: usize = 32;

/// Longest expression of a message handler, in bytes.
const MAX_PATTERN: usize = 1000;

/// Bytes of a command's name.
const MAX_COMMAND: usize = 32;

/// Longest name of a timer, in bytes.
const MAX_TIMER: usize = 256;

/// Bytes of a version.
const MAX_VERSION: usize = 64;

/// Reads a manifest as a library writes it. Skips fields of a newer library.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn read(json: &str) -> Result<Manifest, String> {
    if json.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, and {MAX_BYTES} at most are read", json.len()));
    }
    let manifest = serde_json::from_str(json).map_err(|error| format!("it is not readable: {error}"))?;
    check(manifest)
}

/// Bounds all texts and refuses a manifest that the host cannot use.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn check(mut manifest: Manifest) -> Result<Manifest, String> {
    manifest.name = clean(&manifest.name, 64);
    manifest.version = version(&manifest.version)?;
    manifest.api = clean(&manifest.api, 64);
    manifest.description = clean(&manifest.description, 200);
    manifest.probe = manifest.probe.map(|probe| clean(&probe, 200));
    check_settings(&mut manifest)?;
    check_wishes(&mut manifest.wishes)?;
    let api = manifest.api.clone();
    let mut count = check_commands(&mut manifest.commands, &api)?;
    for command in &mut manifest.commands {
        count += check_commands(&mut command.subcommands, &api)?;
        if command.subcommands.iter().any(|it| !it.subcommands.is_empty()) {
            return Err(format!("a subcommand of {:?} has subcommands itself", command.name));
        }
    }
    check_subscriptions(&manifest)?;
    if count > MAX_COMMANDS {
        return Err(format!("{count} commands, subcommands and aliases are over the limit of {MAX_COMMANDS}"));
    }
    Ok(manifest)
}

/// Bounds the descriptions of settings.
fn check_settings(manifest: &mut Manifest) -> Result<(), String> {
    let count = manifest.settings.len();
    if count > MAX_SETTINGS {
        return Err(format!("{count} settings are over the limit of {MAX_SETTINGS}"));
    }
    for setting in &mut manifest.settings {
        let Setting { name, help, kind, unit, range, default, .. } = setting;
        *help = clean(help, 300);
        for text in [name, kind, unit, range, default] {
            *text = clean(text, 100);
        }
    }
    Ok(())
}

/// Checks what the plugin wants of its sandbox.
fn check_wishes(wishes: &mut Wishes) -> Result<(), String> {
    let Wishes { network, files, .. } = wishes;
    if network.len().max(files.len()) > MAX_WISHES {
        return Err(format!("it has more than {MAX_WISHES} wishes of a kind"));
    }
    for text in network.iter_mut().chain(&mut *files) {
        *text = clean(text, 200);
    }
    if let Some(wrong) = network.iter().find(|target| port(target).is_none()) {
        return Err(format!("it wants the network {wrong:?}, which is no HOST:PORT"));
    }
    match files.iter().find(|path| !path.starts_with('/')) {
        Some(wrong) => Err(format!("it wants to read {wrong:?}, which is no path from / on")),
        None => Ok(()),
    }
}

/// Checks commands that users tell apart by their names, and counts the names.
fn check_commands(commands: &mut [Command], api: &str) -> Result<usize, String> {
    let mut names = HashSet::new();
    for command in commands {
        command.usage = clean(&command.usage, 200);
        command.help = clean(&command.help, 300);
        for name in std::iter::once(&command.name).chain(&command.aliases) {
            if let Some(why) = problem_of_name(name) {
                return Err(format!("{} cannot be a command: {why}", clean(name, 2 * MAX_COMMAND)));
            }
            if !names.insert(name.to_lowercase()) {
                return Err(format!("it has the command {name:?} twice"));
            }
        }
        let role = command.requires.as_str();
        if !role.is_empty() && !ROLES.contains(&role) {
            return Err(format!(
                "it was built with plugin-api {api}, and {:?} needs the role {:?}, which Rosey {} does not know; install a \
                 newer Rosey",
                command.name,
                clean(role, 32),
                env!("CARGO_PKG_VERSION")
            ));
        }
    }
    Ok(names.len())
}

fn check_subscriptions(manifest: &Manifest) -> Result<(), String> {
    let subscriptions = &manifest.subscriptions;
    if subscriptions.len() > MAX_SUBSCRIPTIONS {
        return Err(format!("{} handlers of events are over the limit of {MAX_SUBSCRIPTIONS}", subscriptions.len()));
    }
    for subscription in subscriptions {
        let kind = clean(&subscription.kind, 32);
        if Kind::of(&kind).is_none_or(|kind| kind == Kind::Command) {
            return Err(format!(
                "it was built with plugin-api {} and wants events of the kind {kind:?}, which Rosey {} does not know; install a \
                 newer Rosey",
                manifest.api,
                env!("CARGO_PKG_VERSION")
            ));
        }
    }
    check_timers(manifest)?;
    let messages = subscriptions.iter().filter(|it| Kind::of(&it.kind) == Some(Kind::Message));
    for subscription in messages {
        check_pattern(&subscription.pattern)?;
    }
    Ok(())
}

/// Checks the names of declared timers, and their cron expressions.
fn check_timers(manifest: &Manifest) -> Result<(), String> {
    let mut names = HashSet::new();
    for Subscription { pattern, cron, zone, .. } in manifest.subscriptions.iter().filter(|it| it.kind == "timer") {
        let shown = clean(pattern, 64);
        if pattern.is_empty() || pattern.len() > MAX_TIMER || (pattern == "*" && !cron.is_empty()) {
            return Err(format!(
                "{shown:?} cannot be the name of a timer: a name has 1 to {MAX_TIMER} bytes and is not *"
            ));
        }
        if !names.insert(pattern) {
            return Err(format!("two handlers handle the timer {shown:?}"));
        }
        if !cron.is_empty() {
            Schedule::parse(cron, zone).map_err(|error| format!("the timer {shown:?} cannot be set: {error}"))?;
        }
    }
    Ok(())
}

/// Checks the expression of a message handler.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let shown = visible(&bounded(pattern, 80)).into_owned();
    if pattern.len() > MAX_PATTERN {
        let bytes = pattern.len();
        return Err(format!(
            "the expression of its message handler {shown:?} has {bytes} bytes; at most {MAX_PATTERN} are allowed"
        ));
    }
    expression(pattern).map(|_| ()).map_err(|error| {
        // The last line of the error names the mistake.
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("the expression of its message handler {shown:?} cannot be used: {}", clean(why, 200))
    })
}

/// The message handler that a probe reaches, by its place in the manifest: the first whose expression matches the line. `None`
/// when the line is a command.
pub fn message_probe(manifest: &Manifest, line: &str) -> Option<u16> {
    let first = line.split_whitespace().next().unwrap_or_default().trim_start_matches(crate::event::PREFIX);
    let mut names = manifest.commands.iter().flat_map(|command| std::iter::once(&command.name).chain(&command.aliases));
    if names.any(|name| name.eq_ignore_ascii_case(first)) {
        return None;
    }
    let hears = |subscription: &Subscription| {
        Kind::of(&subscription.kind) == Some(Kind::Message)
            && expression(&subscription.pattern).is_ok_and(|expression| expression.is_match(line))
    };
    manifest.subscriptions.iter().position(hears).and_then(|at| u16::try_from(at).ok())
}

/// A semantic version in its standard form, or why the text is none.
fn version(text: &str) -> Result<String, String> {
    // A longer version is of no use in a question or a list.
    match semver::Version::parse(text) {
        Ok(version) if text.len() <= MAX_VERSION => Ok(version.to_string()),
        _ => Err(format!("its version is {:?}, and must be like 1.2.3 (semver.org)", visible(&bounded(text, 64)))),
    }
}

/// Why this cannot be the name of a command. A name that only looks like another one would be mistaken for it.
fn problem_of_name(name: &str) -> Option<String> {
    let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_COMMAND || !name.chars().all(fits) {
        return Some(format!("a name has 1 to {MAX_COMMAND} bytes, and letters, digits, - and _ only"));
    }
    if !name.is_single_script() {
        return Some("its letters are of several alphabets; use letters of one".to_owned());
    }
    let alike = |word: &&str| skeleton(&name.to_lowercase()).eq(skeleton(word)) && name.to_lowercase() != **word;
    let reserved = crate::event::RESERVED.into_iter().find(|word| alike(word));
    reserved.map(|word| format!("it looks like {word}, which belongs to Rosey"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_wire::manifest::{Order, ReloadMode};

    fn manifest(names: &[&str]) -> Manifest {
        let command = |name: &&str| Command {
            name: (*name).to_owned(),
            aliases: vec![],
            usage: String::new(),
            help: String::new(),
            ..Command::default()
        };
        Manifest {
            name: "x".repeat(100),
            version: "1.0.0".into(),
            api: "1".into(),
            description: String::new(),
            commands: names.iter().map(command).collect(),
            probe: None,
            reload: ReloadMode::Overlap,
            state_version: 0,
            ..Manifest::default()
        }
    }

    #[test]
    fn texts_are_bounded_and_cleaned() {
        let description = "rolls\u{1b}[31m \u{202e}dice".to_owned();
        let checked = check(Manifest { description, ..manifest(&["roll"]) }).expect("fine");
        assert!(checked.name.len() <= 70);
        assert_eq!(checked.description, r"rolls [31m \u{202e}dice");
    }

    #[test]
    fn a_version_is_one_that_can_be_compared() {
        let version = |text: &str| check(Manifest { version: text.into(), ..manifest(&[]) }).map(|it| it.version);
        for good in ["1.0.0", "0.1.0-rc.1+build.7"] {
            assert_eq!(version(good).as_deref(), Ok(good));
        }
        let long = format!("1.0.0-{}", "x".repeat(64));
        for bad in ["1.0.0 running · dice-roller 9.9.9 FAILED", "1.0.0\u{202e}", "", "1", "v1.0.0", &long] {
            let why = version(bad).expect_err(bad);
            assert!(why.contains("must be like 1.2.3") && !why.contains('\u{202e}'), "{why}");
        }
    }

    #[test]
    fn a_command_is_not_mistaken_for_another() {
        for good in ["roll", "8ball", "würfle", "add-quote_2", "кости", "サイコロ", "骰子"] {
            assert!(check(manifest(&[good])).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("\u{430}dmin", "several alphabets"),
            ("r\u{43e}ll", "several alphabets"),
            ("\u{4bb}\u{435}\u{4cf}\u{440}", "looks like help"),
            ("roll\u{200b}", "letters, digits"),
            ("dice:roll", "letters, digits"),
        ] {
            let text = check(manifest(&[bad])).expect_err(bad);
            assert!(text.contains(why), "{text}");
        }
    }

    #[test]
    fn a_wish_that_cannot_be_granted_is_refused() {
        let with = |network: &[&str], files: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
            let wishes = Wishes { network: texts(network), files: texts(files), ..Wishes::default() };
            check(Manifest { wishes, ..manifest(&["a"]) })
        };
        assert!(with(&["api.example.org:443", "*:80", "*"], &["/usr/share/dict"]).is_ok());
        for (network, files, why) in [
            (&["api.example.org"][..], &[][..], "is no HOST:PORT"),
            (&["*; rm -rf"], &[], "is no HOST:PORT"),
            (&[], &["../secret"], "is no path from / on"),
            (&["*"; 33], &[], "more than 32 wishes"),
        ] {
            let text = with(network, files).expect_err(why);
            assert!(text.contains(why), "{text}");
        }
    }

    #[test]
    fn unusable_commands_are_refused() {
        for names in [&["a b"][..], &[""], &["a", "A"], &["\n"], &["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]] {
            assert!(check(manifest(names)).is_err(), "{names:?}");
        }
        let many: Vec<String> = (0..65).map(|n| format!("c{n}")).collect();
        assert!(check(manifest(&many.iter().map(String::as_str).collect::<Vec<_>>())).is_err());
    }

    #[test]
    fn subcommands_are_checked_as_commands_are() {
        let sub =
            |name: &str, requires: &str| Command { name: name.into(), requires: requires.into(), ..Command::default() };
        let with = |subcommands: Vec<Command>| {
            let quotes = Command { subcommands, ..sub("quotes", "viewer") };
            check(Manifest { commands: vec![quotes], ..manifest(&[]) })
        };
        assert!(with(vec![sub("quotes", ""), sub("help", "operator")]).is_ok());
        for (subcommands, why) in [
            (vec![sub("a", ""), sub("A", "")], "it has the command \"A\" twice"),
            (vec![sub("a b", "")], "a b cannot be a command"),
            (vec![sub("a", "admin")], "\"a\" needs the role \"admin\", which Rosey"),
            (vec![Command { subcommands: vec![sub("b", "")], ..sub("a", "") }], "a subcommand of \"quotes\" has"),
            ((0..65).map(|n| sub(&format!("s{n}"), "")).collect(), "66 commands, subcommands and aliases are over"),
        ] {
            let text = with(subcommands).expect_err(why);
            assert!(text.contains(why), "{text}");
        }
    }

    #[test]
    fn a_timer_that_cannot_be_set_is_named() {
        let timer = |pattern: &str, cron: &str, zone: &str| Subscription {
            kind: "timer".into(),
            pattern: pattern.into(),
            cron: cron.into(),
            zone: zone.into(),
        };
        let why = |timers: &[Subscription]| {
            let manifest = Manifest { subscriptions: timers.to_vec(), ..manifest(&[]) };
            check_timers(&manifest).err().unwrap_or_default()
        };
        assert_eq!(why(&[timer("tea", "", ""), timer("*", "", ""), timer("daily", "0 9 * * *", "Europe/Berlin")]), "");
        for (timers, text) in [
            (
                &[timer("daily", "61 9 * * *", "")][..],
                "the timer \"daily\" cannot be set: the cron expression \"61 9 * * *\"",
            ),
            (&[timer("daily", "0 9 * * *", "Mars/Base")], "there is no time zone \"Mars/Base\""),
            (&[timer("*", "0 9 * * *", "")], "cannot be the name of a timer"),
            (&[timer("", "", "")], "cannot be the name of a timer"),
            (&[timer("a", "", ""), timer("a", "", "")], "two handlers handle the timer \"a\""),
        ] {
            assert!(why(timers).contains(text), "{}", why(timers));
        }
    }

    #[test]
    fn a_probe_is_a_command_or_a_line_that_a_handler_hears() {
        let message =
            |pattern: &str| Subscription { kind: "message".into(), pattern: pattern.into(), ..Subscription::default() };
        let subscriptions = vec![message("^tea"), message("coffee"), message("")];
        let all = Manifest { subscriptions, ..manifest(&["roll"]) };
        assert_eq!(message_probe(&all, "roll coffee"), None);
        assert_eq!(message_probe(&all, "have coffee"), Some(1));
        assert_eq!(message_probe(&all, "anything"), Some(2));
        assert_eq!(message_probe(&manifest(&["roll"]), "anything"), None);
    }

    #[test]
    fn what_this_host_does_not_do_is_refused_by_name() {
        let subscription = |kind: &str| rosey_wire::manifest::Subscription { kind: kind.into(), ..Default::default() };
        for (kind, text) in [("reaction", "install a newer Rosey"), ("command", "install a newer Rosey")] {
            let error =
                check(Manifest { subscriptions: vec![subscription(kind)], ..manifest(&["roll"]) }).expect_err(kind);
            assert!(error.contains(text) && error.contains(kind), "{error}");
        }
        let message = |pattern: &str| {
            let message = rosey_wire::manifest::Subscription { pattern: pattern.into(), ..subscription("message") };
            check(Manifest { subscriptions: vec![message], ..manifest(&[]) })
        };
        assert!(message(r"https?://\S+").is_ok() && message("").is_ok());
        for (pattern, why) in [
            ("(tea", "\"(tea\" cannot be used: unclosed group"),
            ("(a{1000}){1000}", "exceeds size limit"),
            (&"x".repeat(1001), "has 1001 bytes"),
        ] {
            let error = message(pattern).expect_err(pattern);
            assert!(error.contains(why), "{error}");
        }
        let newer =
            r#"{"name":"x","version":"1.0.0","commands":[{"name":"a","order":"of tomorrow"}],"of_tomorrow":[1]}"#;
        let newer = read(newer).expect("what is new is passed over");
        assert_eq!((newer.version.as_str(), newer.commands[0].order), ("1.0.0", Order::User));
    }
}
