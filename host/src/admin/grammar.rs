//! The grammar of admin commands. Pure.

use super::{
    Via,
    command::{ALL, Action, Argument, FORMS, Form, LogLevel, Purpose, Query, commands},
    permission::Role,
    series::Series,
};
use crate::{
    event::PREFIX,
    text::{clean, nearest},
};
use std::{fmt, path::PathBuf};

/// The place where a text is read, which decides how commands are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Surface {
    /// `!admin reload x force`
    #[default]
    Chat,
    /// `rosey admin reload x --force`
    Shell,
}

impl Surface {
    /// The surface of an actor: see [`Actor::via`](super::Actor::via).
    pub fn of(via: Via) -> Self {
        if via == Via::Shell { Self::Shell } else { Self::Chat }
    }

    /// A command with these words.
    pub fn command(self, words: impl fmt::Display) -> String {
        match self {
            Self::Chat => format!("{PREFIX}admin {words}"),
            Self::Shell => format!("rosey admin {words}"),
        }
    }

    /// The word that forces a reload.
    pub fn force(self) -> &'static str {
        match self {
            Self::Chat => "force",
            Self::Shell => "--force",
        }
    }
}

impl Form {
    /// The usage of a form: `reload <plugin> force`, and in the shell `reload <plugin> --force`.
    pub fn usage(&self, surface: Surface) -> String {
        let mut usage = self.name.to_owned();
        for (at, argument) in self.takes.iter().enumerate() {
            let is_last = at + 1 == self.takes.len();
            usage += &match argument {
                Argument::Plugin => " <plugin>".to_owned(),
                Argument::Number => " <number>".to_owned(),
                Argument::Level => " <level>".to_owned(),
                Argument::Path => " <path>".to_owned(),
                Argument::Option(word) => format!(" --{word}"),
                Argument::Verb(word) => format!(" {word}"),
                Argument::Word(word) if surface == Surface::Shell && is_last => format!(" --{word}"),
                Argument::Word(word) => format!(" {word}"),
            };
        }
        usage
    }

    /// The meaning of these words, if they fit this form. They count in small letters, except for a path.
    fn read(&self, typed: &[&str]) -> Option<ParsedLine> {
        let words: Vec<String> = typed.iter().map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words.len() != self.takes.len() {
            return None;
        }
        let (mut plugin, mut number, mut path, mut level) = (None, 0, None, LogLevel::Show);
        for ((argument, word), typed) in self.takes.iter().zip(words).zip(typed) {
            match argument {
                Argument::Plugin if word.starts_with('-') => return None,
                Argument::Plugin => plugin = Some(word.to_owned()),
                Argument::Path if word.starts_with('-') => return None,
                Argument::Path => path = Some(PathBuf::from(typed)),
                Argument::Level => level = LogLevel::parse(word)?,
                Argument::Number if word == "all" => number = ALL,
                Argument::Number => number = word.parse().ok().filter(|number| *number != ALL)?,
                Argument::Option(expected) if word.strip_prefix("--") == Some(*expected) => {}
                Argument::Verb(expected) if word == *expected => {}
                Argument::Option(_) | Argument::Verb(_) => return None,
                Argument::Word(expected) if word.strip_prefix("--").unwrap_or(word) == *expected => {}
                Argument::Word(_) => return None,
            }
        }
        Some(match self.purpose {
            Purpose::Ask(Query::Log(_)) => ParsedLine::Query(Query::Log(level), plugin),
            Purpose::Each(series) => ParsedLine::Each(series),
            Purpose::Ask(query) => ParsedLine::Query(query, plugin),
            Purpose::Change(Action::Replay(_)) => ParsedLine::Change(Action::Replay(number), plugin?),
            Purpose::Change(Action::Discard(_)) => ParsedLine::Change(Action::Discard(number), plugin?),
            Purpose::Change(Action::CancelTimer(_)) if number == ALL => return None,
            Purpose::Change(Action::CancelTimer(_)) => ParsedLine::Change(Action::CancelTimer(number), plugin?),
            Purpose::Change(Action::LoadFrom) => ParsedLine::LoadFrom(plugin?, path?),
            Purpose::Change(action) => ParsedLine::Change(action, plugin?),
        })
    }
}

/// The answer to `!admin help`: the commands of this role.
pub fn help(role: Role, surface: Surface) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut before = None;
    for forms in commands() {
        let allowed: Vec<_> = forms.iter().filter(|form| form.needs <= role).collect();
        let [first, rest @ ..] = &allowed[..] else { continue };
        // Commands with the same arguments share them: `start, stop <plugin>`.
        match parts.last_mut().filter(|_| allowed.len() == 1 && !first.takes.is_empty() && before == Some(first.takes))
        {
            Some(part) => *part = part.replacen(" <", &format!(", {} <", first.name), 1),
            // One form for all plugins, and one for a single plugin.
            None if rest.first().is_some_and(|form| first.takes.is_empty() && form.takes.len() == 1) => {
                parts.push(format!("{} [plugin]", first.name));
                parts.extend(rest[1..].iter().map(|form| form.usage(surface)));
            }
            None => parts.extend(allowed.iter().map(|form| form.usage(surface))),
        }
        before = allowed.last().map(|form| form.takes);
    }
    let asks = if role >= Role::Operator { " Commands that change something ask for confirmation." } else { "" };
    format!("{}. You are {}.{asks}", surface.command(parts.join(" | ")), who(role))
}

fn who(role: Role) -> &'static str {
    match role {
        Role::Viewer => "a viewer",
        Role::Operator => "an operator",
        Role::Owner => "the owner",
    }
}

/// What a person wrote to the admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedLine {
    /// The answer yes to the last question.
    Yes,
    /// The answer no to the last question.
    No,
    /// A query about one plugin or all.
    Query(Query, Option<String>),
    /// A change of a plugin.
    Change(Action, String),
    /// A change of several plugins.
    Each(Series),
    /// A plugin is to be loaded from this library.
    LoadFrom(String, PathBuf),
    /// None of these; the text says why.
    Unclear(String),
}

/// Parses a line of chat.
pub fn parse(line: &str) -> ParsedLine {
    let line = line.trim();
    match line.to_ascii_lowercase().as_str() {
        "yes" | "y" => ParsedLine::Yes,
        "no" | "n" => ParsedLine::No,
        // The first word is the one that the router recognized.
        _ => command(line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest), Surface::Chat),
    }
}

/// Parses a command without `!admin`.
pub fn command(text: &str, surface: Surface) -> ParsedLine {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some((name, rest)) = words.split_first() else { return ParsedLine::Query(Query::Help, None) };
    let name = name.to_ascii_lowercase();
    let Some(forms) = commands().find(|forms| forms[0].name == name) else {
        let meant = nearest(&name, FORMS.iter().map(|form| form.name));
        let meant = meant.map(|word| format!(" Did you mean {word}?")).unwrap_or_default();
        let help = surface.command("help");
        return ParsedLine::Unclear(format!(
            "There is no admin command {}.{meant} {help} lists them.",
            clean(&name, 32)
        ));
    };
    if let Some(request) = forms.iter().find_map(|form| form.read(rest)) {
        return request;
    }
    let usages: Vec<_> = forms.iter().map(|form| surface.command(form.usage(surface))).collect();
    if rest.is_empty() {
        return ParsedLine::Unclear(format!("Which plugin? {}; {} names them.", usages[0], surface.command("list")));
    }
    ParsedLine::Unclear(format!("Usage: {}", usages.join(", or ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_understood() {
        let change = |action, plugin: &str| ParsedLine::Change(action, plugin.to_owned());
        let query = |query, plugin: Option<&str>| ParsedLine::Query(query, plugin.map(str::to_owned));
        for (line, request) in [
            ("!admin reload dice-roller", change(Action::Reload, "dice-roller")),
            ("!ADMIN  Reload Dice-Roller ", change(Action::Reload, "dice-roller")),
            ("!admin reload x force", change(Action::ForceReload, "x")),
            ("!admin reload x --force", change(Action::ForceReload, "x")),
            ("!admin load x", change(Action::Load, "x")),
            ("!admin LOAD X /Opt/Lib.so", ParsedLine::LoadFrom("x".into(), "/Opt/Lib.so".into())),
            ("!admin reload --all", ParsedLine::Each(Series::Reload { only_changed: false, keep_going: false })),
            (
                "!admin reload --changed --keep-going",
                ParsedLine::Each(Series::Reload { only_changed: true, keep_going: true }),
            ),
            ("!admin reload all", change(Action::Reload, "all")),
            ("!admin config plan", query(Query::ConfigPlan, None)),
            ("!admin config reload", ParsedLine::Each(Series::Config)),
            ("!admin deadletters x replay 7", change(Action::Replay(7), "x")),
            ("!admin deadletters x replay all", change(Action::Replay(ALL), "x")),
            ("!admin deadletters x discard 7", change(Action::Discard(7), "x")),
            ("!admin timers x", query(Query::Timers, Some("x"))),
            ("!admin timers x cancel 7", change(Action::CancelTimer(7), "x")),
            ("!admin deadletters x", query(Query::DeadLetters, Some("x"))),
            ("!admin logs x", query(Query::Logs, Some("x"))),
            ("!admin logs", query(Query::Logs, None)),
            ("!admin log x", query(Query::Log(LogLevel::Show), Some("x"))),
            ("!admin log x DEBUG", query(Query::Log(LogLevel::Set(crate::log::Level::Debug)), Some("x"))),
            ("!admin log x default", query(Query::Log(LogLevel::Default), Some("x"))),
            ("!admin", query(Query::Help, None)),
            ("!admin status", query(Query::Status, None)),
            ("!admin list", query(Query::List, None)),
            (" yes ", ParsedLine::Yes),
            ("No", ParsedLine::No),
        ] {
            assert_eq!(parse(line), request, "{line}");
        }
    }

    #[test]
    fn an_unclear_line_is_answered_with_what_to_write() {
        for (line, answer) in [
            ("!admin reload", "Which plugin? !admin reload <plugin>; !admin list names them."),
            ("!admin settings", "Which plugin? !admin settings <plugin>; !admin list names them."),
            ("!admin relaod dice", "There is no admin command relaod. Did you mean reload? !admin help lists them."),
            ("!admin yes", "There is no admin command yes. !admin help lists them."),
            ("!admin stop a b", "Usage: !admin stop <plugin>"),
            ("!admin stop a force", "Usage: !admin stop <plugin>"),
            ("!admin list x", "Usage: !admin list"),
            ("!admin log x loud", "Usage: !admin log <plugin>, or !admin log <plugin> <level>"),
        ] {
            assert_eq!(parse(line), ParsedLine::Unclear(answer.to_owned()), "{line}");
        }
        let ParsedLine::Unclear(text) = parse("!admin deadletters x replay it") else { panic!("which?") };
        assert!(text.ends_with(", or !admin deadletters <plugin> discard <number>"), "{text}");
        assert!(matches!(parse("!admin timers x cancel all"), ParsedLine::Unclear(_)));
        assert!(matches!(parse("!admin deadletters x discard 0"), ParsedLine::Unclear(_)));
    }

    #[test]
    fn help_shows_the_commands_of_the_role_for_the_surface() {
        let viewer = help(Role::Viewer, Surface::Chat);
        assert_eq!(viewer, "!admin list | status [plugin] | metrics | help. You are a viewer.");
        let operator = help(Role::Operator, Surface::Chat);
        let changes = " | timers <plugin> | timers <plugin> cancel <number> | settings <plugin> | reload <plugin> | reload --all | \
                       reload --all --keep-going | reload --changed | reload --changed --keep-going | rollback, restart, start, stop, load, \
                       unload, enable, disable <plugin> | config plan | config reload. You are an operator. Commands that \
                       change something ask for confirmation.";
        assert!(operator.ends_with(changes), "{operator}");
        let owner = help(Role::Owner, Surface::Shell);
        assert!(owner.starts_with("rosey admin list | status [plugin] | "), "{owner}");
        assert!(owner.contains(" | reload <plugin> | reload <plugin> --force | reload --all | "), "{owner}");
        assert!(owner.contains(" | load <plugin> | load <plugin> <path> | "), "{owner}");
    }

    proptest! {
        #[test]
        fn no_line_is_taken_for_a_change_but_the_ones_that_say_so(line in "[!a-zA-Z0-9ä\u{3000} -]{0,60}") {
            if let ParsedLine::Change(action, plugin) = parse(&line) {
                let words: Vec<String> = line.split_whitespace().skip(1).map(str::to_ascii_lowercase).collect();
                let is_named = words[0] == action.word() || words[2..].iter().any(|word| word == action.word());
                prop_assert!(is_named, "{}", line);
                prop_assert_eq!(&words[1], &plugin);
            }
        }

        #[test]
        fn case_and_space_mean_nothing(at in 0..FORMS.len(), plugin in "[a-z][a-z0-9-]{0,20}", space in "[ \t\u{3000}]{1,5}") {
            let usage = FORMS[at].usage(Surface::Chat).replace("<plugin>", &plugin).replace("<number>", "7");
            let usage = usage.replace("<level>", "debug").replace("<path>", "7");
            let line = format!("!admin {}{space}", usage.to_uppercase()).replace(' ', &space);
            let request = parse(&line);
            prop_assert_eq!(&request, &parse(&format!("!admin {usage}")));
            prop_assert!(!matches!(request, ParsedLine::Unclear(_)), "{}", usage);
        }
    }
}
