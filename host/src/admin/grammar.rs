//! What can be said to the admin. Pure.

use super::{
    Via,
    command::{Action, Argument, FORMS, Form, Purpose, Query, commands},
    permission::Role,
};
use crate::{
    event::PREFIX,
    text::{clean, nearest},
};
use std::fmt;

/// Where a text is read, which decides how it writes commands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Surface {
    /// `!admin reload x force`
    #[default]
    Chat,
    /// `rosey admin reload x --force`
    Shell,
}

impl Surface {
    /// The one that an actor came by: see [`Actor::via`](super::Actor::via).
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

    /// What makes a reload forced.
    pub fn force(self) -> &'static str {
        match self {
            Self::Chat => "force",
            Self::Shell => "--force",
        }
    }
}

impl Form {
    /// How it is written: `reload <plugin> force`, and in the shell `reload <plugin> --force`.
    pub fn usage(&self, surface: Surface) -> String {
        let mut usage = self.name.to_owned();
        for (at, argument) in self.takes.iter().enumerate() {
            let is_last = at + 1 == self.takes.len();
            usage += &match argument {
                Argument::Plugin => " <plugin>".to_owned(),
                Argument::Number => " <number>".to_owned(),
                Argument::Word(word) if surface == Surface::Shell && is_last => format!(" --{word}"),
                Argument::Word(word) => format!(" {word}"),
            };
        }
        usage
    }

    /// What these words ask for, if they are words of this form.
    fn read(&self, words: &[&str]) -> Option<ParsedLine> {
        if words.len() != self.takes.len() {
            return None;
        }
        let (mut plugin, mut number) = (None, 0);
        for (argument, word) in self.takes.iter().zip(words) {
            match argument {
                Argument::Plugin => plugin = Some((*word).to_owned()),
                Argument::Number => number = word.parse().ok()?,
                Argument::Word(expected) if word.strip_prefix("--").unwrap_or(word) == *expected => {}
                Argument::Word(_) => return None,
            }
        }
        Some(match self.purpose {
            Purpose::Ask(query) => ParsedLine::Query(query, plugin),
            Purpose::Change(Action::Replay(_)) => ParsedLine::Change(Action::Replay(number), plugin?),
            Purpose::Change(Action::CancelTimer(_)) => ParsedLine::Change(Action::CancelTimer(number), plugin?),
            Purpose::Change(action) => ParsedLine::Change(action, plugin?),
        })
    }
}

/// The answer to `!admin help`: the commands that this role may use.
pub fn help(role: Role, surface: Surface) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut before = None;
    for forms in commands() {
        let allowed: Vec<_> = forms.iter().filter(|form| form.needs <= role).collect();
        let [first, rest @ ..] = &allowed[..] else { continue };
        // Commands that take the same share what stands behind them: `start, stop <plugin>`.
        match parts.last_mut().filter(|_| allowed.len() == 1 && !first.takes.is_empty() && before == Some(first.takes))
        {
            Some(part) => *part = part.replacen(" <", &format!(", {} <", first.name), 1),
            // Of all plugins, or of one.
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

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedLine {
    /// To the last question.
    Yes,
    /// To the last question.
    No,
    /// To show something, of one plugin or of all.
    Query(Query, Option<String>),
    /// To change a plugin.
    Change(Action, String),
    /// None of these; the text says why.
    Unclear(String),
}

/// Understands a line of chat.
pub fn parse(line: &str) -> ParsedLine {
    let line = line.trim();
    match line.to_ascii_lowercase().as_str() {
        "yes" | "y" => ParsedLine::Yes,
        "no" | "n" => ParsedLine::No,
        // The first word is what brought the line here.
        _ => command(line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest), Surface::Chat),
    }
}

/// Understands a command without `!admin`.
pub fn command(text: &str, surface: Surface) -> ParsedLine {
    let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((name, rest)) = words.split_first() else { return ParsedLine::Query(Query::Help, None) };
    let Some(forms) = commands().find(|forms| forms[0].name == *name) else {
        let meant = nearest(name, FORMS.iter().map(|form| form.name));
        let meant = meant.map(|word| format!(" Did you mean {word}?")).unwrap_or_default();
        let help = surface.command("help");
        return ParsedLine::Unclear(format!("{} is no admin command.{meant} {help} says what is.", clean(name, 32)));
    };
    if let Some(request) = forms.iter().find_map(|form| form.read(rest)) {
        return request;
    }
    let usages: Vec<_> = forms.iter().map(|form| surface.command(form.usage(surface))).collect();
    if rest.is_empty() {
        return ParsedLine::Unclear(format!("Which plugin? {}; {} names them.", usages[0], surface.command("list")));
    }
    ParsedLine::Unclear(format!("That is not how {name} is used. It is: {}", usages.join(", or ")))
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
            ("!admin deadletters x replay 7", change(Action::Replay(7), "x")),
            ("!admin timers x", query(Query::Timers, Some("x"))),
            ("!admin timers x cancel 7", change(Action::CancelTimer(7), "x")),
            ("!admin deadletters x", query(Query::DeadLetters, Some("x"))),
            ("!admin logs x", query(Query::Logs, Some("x"))),
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
    fn what_is_unclear_is_said_with_what_would_be_clear() {
        for (line, said) in [
            ("!admin reload", "Which plugin? !admin reload <plugin>; !admin list names them."),
            ("!admin logs", "Which plugin? !admin logs <plugin>; !admin list names them."),
            ("!admin relaod dice", "relaod is no admin command. Did you mean reload? !admin help says what is."),
            ("!admin yes", "yes is no admin command. !admin help says what is."),
            (
                "!admin reload a b",
                "That is not how reload is used. It is: !admin reload <plugin>, or !admin reload <plugin> force",
            ),
            ("!admin stop a force", "That is not how stop is used. It is: !admin stop <plugin>"),
            ("!admin list x", "That is not how list is used. It is: !admin list"),
        ] {
            assert_eq!(parse(line), ParsedLine::Unclear(said.to_owned()), "{line}");
        }
        let ParsedLine::Unclear(text) = parse("!admin deadletters x replay it") else { panic!("which?") };
        assert!(text.ends_with(", or !admin deadletters <plugin> replay <number>"), "{text}");
    }

    #[test]
    fn help_shows_what_the_role_may_say_where_it_is_said() {
        let viewer = help(Role::Viewer, Surface::Chat);
        assert_eq!(viewer, "!admin list | status [plugin] | metrics | help. You are a viewer.");
        let operator = help(Role::Operator, Surface::Chat);
        let changes = " | deadletters [plugin] | deadletters <plugin> replay <number> | timers <plugin> | timers <plugin> \
                       cancel <number> | reload, rollback, restart, start, stop <plugin>. You are an operator. Commands that change something ask for confirmation.";
        assert!(operator.ends_with(changes), "{operator}");
        let owner = help(Role::Owner, Surface::Shell);
        assert!(owner.starts_with("rosey admin list | status [plugin] | "), "{owner}");
        assert!(owner.contains(" | reload <plugin> | reload <plugin> --force | rollback, restart, "), "{owner}");
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
            let line = format!("!admin {}{space}", usage.to_uppercase()).replace(' ', &space);
            let request = parse(&line);
            prop_assert_eq!(&request, &parse(&format!("!admin {usage}")));
            prop_assert!(!matches!(request, ParsedLine::Unclear(_)), "{}", usage);
        }
    }
}
