//! What can be said to the admin. Pure.

use super::command::{ACTIONS, Action, QUERIES, Query};
use crate::{
    event::PREFIX,
    plugin::{clean, nearest},
};

/// The answer to `!admin help`.
pub const HELP: &str = "!admin list | status [plugin] | metrics | logs <plugin> | deadletters [plugin] | reload, \
                        restart, rollback, start, stop <plugin> | deadletters <plugin> replay <number>. What changes \
                        something asks first.";

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
        _ => command(line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest)),
    }
}

/// Understands a command without `!admin`.
pub fn command(text: &str) -> Request {
    let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
    let Some((verb, rest)) = words.split_first() else { return Request::Query(Query::Help) };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    if let Some(action) = ACTIONS.into_iter().find(|action| action.word() == verb) {
        return match rest[..] {
            [plugin] => Request::Change(action, plugin.to_owned()),
            [plugin, "force" | "--force"] if action == Action::Reload => {
                Request::Change(Action::ForceReload, plugin.to_owned())
            }
            [] => Request::Unclear(which(verb)),
            _ => Request::Unclear(format!("{PREFIX}admin {verb} takes one plugin. {HELP}")),
        };
    }
    match (verb.as_str(), &rest[..]) {
        ("help", []) => Request::Query(Query::Help),
        ("list", []) => Request::Query(Query::List),
        ("metrics", []) => Request::Query(Query::Metrics),
        ("status", []) => Request::Query(Query::Status(None)),
        ("status", [plugin]) => Request::Query(Query::Status(Some((*plugin).to_owned()))),
        ("logs", [plugin]) => Request::Query(Query::Logs((*plugin).to_owned())),
        ("logs", []) => Request::Unclear(which(verb)),
        ("deadletters", []) => Request::Query(Query::DeadLetters(None)),
        ("deadletters", [plugin]) => Request::Query(Query::DeadLetters(Some((*plugin).to_owned()))),
        ("deadletters", [plugin, "replay", number]) => match number.parse() {
            Ok(number) => Request::Change(Action::Replay(number), (*plugin).to_owned()),
            Err(_) => Request::Unclear(format!("Which one? {PREFIX}admin deadletters {plugin} numbers them.")),
        },
        ("list" | "metrics" | "help", _) => Request::Unclear(format!("{PREFIX}admin {verb} takes no plugin.")),
        (known, _) if QUERIES.contains(&known) => {
            Request::Unclear(format!("{PREFIX}admin {verb} takes one plugin. {HELP}"))
        }
        _ => {
            let known = ACTIONS.map(Action::word).into_iter().chain(QUERIES);
            let meant = nearest(verb, known).map(|word| format!(" Did you mean {word}?")).unwrap_or_default();
            Request::Unclear(format!("{} is no admin command.{meant} {HELP}", clean(verb, 32)))
        }
    }
}

fn which(verb: &str) -> String {
    format!("Which plugin? {PREFIX}admin {verb} <plugin>; {PREFIX}admin list names them.")
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
