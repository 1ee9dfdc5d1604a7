//! What can be said to the admin. Pure.

use super::{
    command::{ACTIONS, Action, QUERIES, Query},
    permission::Role,
};
use crate::{
    event::PREFIX,
    text::{clean, nearest},
};
use std::fmt;

/// How commands are written where somebody reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tongue {
    /// `!admin reload x force`
    #[default]
    Chat,
    /// `rosey admin reload x --force`
    Shell,
}

impl Tongue {
    /// What is spoken there: see [`Actor::via`](super::Actor::via).
    pub fn of(via: &str) -> Self {
        if via == "shell" { Self::Shell } else { Self::Chat }
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

/// The answer to `!admin help`: what somebody with this role may say.
pub fn help(role: Role, tongue: Tongue) -> String {
    let mut parts = vec!["list | status [plugin] | metrics | help".to_owned()];
    if role >= Role::Operator {
        parts.push("logs <plugin> | deadletters [plugin]".to_owned());
        parts.push("reload, restart, rollback, start, stop <plugin>".to_owned());
        parts.push("deadletters <plugin> replay <number>".to_owned());
    }
    if role >= Role::Owner {
        parts.push(format!("reload <plugin> {}", tongue.force()));
    }
    let asks = if role >= Role::Operator { " What changes something asks first." } else { "" };
    format!("{}. You are {role}.{asks}", tongue.command(parts.join(" | ")))
}

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To the last question.
    Yes,
    /// To the last question.
    No,
    /// Something to know.
    Query(Query),
    /// Something that changes a plugin.
    Change(Action, String),
    /// None of these; the text says why.
    Unclear(String),
}

/// Understands a line of chat.
pub fn parse(line: &str) -> Request {
    let line = line.trim();
    match line.to_ascii_lowercase().as_str() {
        "yes" | "y" => Request::Yes,
        "no" | "n" => Request::No,
        // The first word is what brought the line here.
        _ => command(line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest), Tongue::Chat),
    }
}

/// Understands a command without `!admin`.
pub fn command(text: &str, tongue: Tongue) -> Request {
    let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
    let Some((verb, rest)) = words.split_first() else { return Request::Query(Query::Help) };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    if let Some(action) = ACTIONS.into_iter().find(|action| action.word() == verb) {
        return match rest[..] {
            [plugin] => Request::Change(action, plugin.to_owned()),
            [plugin, "force" | "--force"] if action == Action::Reload => {
                Request::Change(Action::ForceReload, plugin.to_owned())
            }
            [] => Request::Unclear(which(verb, tongue)),
            _ => Request::Unclear(one_plugin(verb, tongue)),
        };
    }
    match (verb.as_str(), &rest[..]) {
        ("help", []) => Request::Query(Query::Help),
        ("list", []) => Request::Query(Query::List),
        ("metrics", []) => Request::Query(Query::Metrics),
        ("status", []) => Request::Query(Query::Status(None)),
        ("status", [plugin]) => Request::Query(Query::Status(Some((*plugin).to_owned()))),
        ("logs", [plugin]) => Request::Query(Query::Logs((*plugin).to_owned())),
        ("logs", []) => Request::Unclear(which(verb, tongue)),
        ("deadletters", []) => Request::Query(Query::DeadLetters(None)),
        ("deadletters", [plugin]) => Request::Query(Query::DeadLetters(Some((*plugin).to_owned()))),
        ("deadletters", [plugin, "replay", number]) => match number.parse() {
            Ok(number) => Request::Change(Action::Replay(number), (*plugin).to_owned()),
            Err(_) => {
                let list = tongue.command(format_args!("deadletters {plugin}"));
                Request::Unclear(format!("Which one? {list} numbers them."))
            }
        },
        ("list" | "metrics" | "help", _) => Request::Unclear(format!("{} takes no plugin.", tongue.command(verb))),
        (known, _) if QUERIES.contains(&known) => Request::Unclear(one_plugin(verb, tongue)),
        _ => {
            let known = ACTIONS.map(Action::word).into_iter().chain(QUERIES);
            let meant = nearest(verb, known).map(|word| format!(" Did you mean {word}?")).unwrap_or_default();
            let help = tongue.command("help");
            Request::Unclear(format!("{} is no admin command.{meant} {help} says what is.", clean(verb, 32)))
        }
    }
}

fn which(verb: &str, tongue: Tongue) -> String {
    let command = tongue.command(format_args!("{verb} <plugin>"));
    format!("Which plugin? {command}; {} names them.", tongue.command("list"))
}

fn one_plugin(verb: &str, tongue: Tongue) -> String {
    format!("{} takes one plugin; {} says more.", tongue.command(verb), tongue.command("help"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_understood() {
        let reload = Request::Change(Action::Reload, "dice-roller".into());
        assert_eq!(parse("!admin reload dice-roller"), reload);
        assert_eq!(parse("!ADMIN  Reload Dice-Roller "), reload);
        assert_eq!(parse("!admin reload x force"), Request::Change(Action::ForceReload, "x".into()));
        assert_eq!(parse("!admin deadletters x replay 7"), Request::Change(Action::Replay(7), "x".into()));
        assert_eq!(parse("!admin deadletters x"), Request::Query(Query::DeadLetters(Some("x".into()))));
        assert_eq!(parse("!admin logs x"), Request::Query(Query::Logs("x".into())));
        assert_eq!(parse("!admin"), Request::Query(Query::Help));
        assert_eq!(parse("!admin status"), Request::Query(Query::Status(None)));
        assert_eq!(parse("!admin list"), Request::Query(Query::List));
        assert_eq!(parse(" yes "), Request::Yes);
        assert_eq!(parse("No"), Request::No);
    }

    #[test]
    fn what_is_unclear_is_said() {
        let text = |line| if let Request::Unclear(text) = parse(line) { text } else { panic!("{line} is clear") };
        assert!(text("!admin reload").contains("Which plugin?"));
        assert!(text("!admin relaod dice").contains("Did you mean reload?"));
        assert!(text("!admin reload a b").contains("takes one plugin"));
        assert!(text("!admin stop a force").contains("takes one plugin"));
        assert!(text("!admin list x").contains("takes no plugin"));
        assert!(text("!admin deadletters x replay it").contains("Which one?"));
        assert!(text("!admin yes").contains("no admin command"));
    }

    #[test]
    fn help_shows_what_the_role_may_say_where_it_is_said() {
        let viewer = help(Role::Viewer, Tongue::Chat);
        assert_eq!(viewer, "!admin list | status [plugin] | metrics | help. You are viewer.");
        let operator = help(Role::Operator, Tongue::Chat);
        assert!(operator.contains("reload, restart") && !operator.contains("force"), "{operator}");
        let owner = help(Role::Owner, Tongue::Shell);
        assert!(owner.starts_with("rosey admin list") && owner.contains("reload <plugin> --force"), "{owner}");
        let Request::Unclear(text) = command("reload", Tongue::Shell) else { panic!("which?") };
        assert_eq!(text, "Which plugin? rosey admin reload <plugin>; rosey admin list names them.");
    }

    proptest! {
        #[test]
        fn no_line_is_taken_for_a_change_but_the_ones_that_say_so(line in "[!a-zA-Z0-9ä\u{3000} -]{0,60}") {
            if let Request::Change(action, plugin) = parse(&line) {
                let words: Vec<String> = line.split_whitespace().skip(1).map(str::to_ascii_lowercase).collect();
                prop_assert_eq!(&words[0], action.word());
                prop_assert_eq!(&words[1], &plugin);
            }
        }

        #[test]
        fn case_and_space_mean_nothing(verb in 0..ACTIONS.len(), plugin in "[a-z][a-z0-9-]{0,20}", space in "[ \t\u{3000}]{1,5}") {
            let action = ACTIONS[verb];
            let line = format!("!admin{space}{}{space}{}{space}", action.word().to_uppercase(), plugin.to_uppercase());
            prop_assert_eq!(parse(&line), Request::Change(action, plugin));
        }
    }
}
