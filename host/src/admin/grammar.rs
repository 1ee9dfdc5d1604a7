//! What can be said to the admin. Pure.

use crate::{event::PREFIX, plugin::nearest};

/// The answer to `!admin help`.
pub const HELP: &str = "!admin list | status [plugin] | metrics | reload, restart, rollback, start, stop <plugin>. What \
                        changes something asks first.";

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To the last question.
    Yes,
    /// To the last question.
    No,
    /// What can be said.
    Help,
    /// All plugins, short.
    List,
    /// One plugin, or all.
    Status(Option<String>),
    /// Where the dashboard is.
    Metrics,
    /// Something that changes a plugin.
    Change(Action, String),
    /// None of these; the text says why.
    Unclear(String),
}

/// What can be done to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To a new build.
    Reload,
    /// To the build before.
    Rollback,
    /// A new process of the same build.
    Restart,
    /// Up.
    Start,
    /// Down.
    Stop,
}

const ACTIONS: [Action; 5] = [Action::Reload, Action::Rollback, Action::Restart, Action::Start, Action::Stop];
const OTHERS: [&str; 4] = ["status", "list", "metrics", "help"];

impl Action {
    /// As typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// Understands a line.
pub fn parse(line: &str) -> Request {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default().to_ascii_lowercase();
    match first.as_str() {
        "yes" | "y" => return Request::Yes,
        "no" | "n" => return Request::No,
        _ => {}
    }
    let Some(verb) = words.next().map(str::to_ascii_lowercase) else { return Request::Help };
    let (plugin, rest) = (words.next().map(str::to_owned), words.next());
    if rest.is_some() {
        return Request::Unclear(format!("{PREFIX}admin {verb} takes one plugin. {HELP}"));
    }
    if let Some(action) = ACTIONS.into_iter().find(|action| action.word() == verb) {
        return match plugin {
            Some(plugin) => Request::Change(action, plugin),
            None => {
                Request::Unclear(format!("Which plugin? {PREFIX}admin {verb} <plugin>; {PREFIX}admin list names them."))
            }
        };
    }
    match (verb.as_str(), plugin) {
        ("status", plugin) => Request::Status(plugin),
        ("list", None) => Request::List,
        ("metrics", None) => Request::Metrics,
        ("help", None) => Request::Help,
        ("list" | "metrics" | "help", Some(_)) => Request::Unclear(format!("{PREFIX}admin {verb} takes no plugin.")),
        _ => {
            let known = ACTIONS.map(Action::word).into_iter().chain(OTHERS);
            let meant = nearest(&verb, known).map(|word| format!(" Did you mean {word}?")).unwrap_or_default();
            Request::Unclear(format!("That is no admin command.{meant} {HELP}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        let reload = Request::Change(Action::Reload, "dice-roller".into());
        assert_eq!(parse("!admin reload dice-roller"), reload);
        assert_eq!(parse("!ADMIN  Reload dice-roller "), reload);
        assert_eq!(parse("yes"), Request::Yes);
        assert_eq!(parse("No"), Request::No);
        assert_eq!(parse("!admin"), Request::Help);
        assert_eq!(parse("!admin status"), Request::Status(None));
        assert_eq!(parse("!admin list"), Request::List);
    }

    #[test]
    fn what_is_unclear_is_said() {
        let text = |line| if let Request::Unclear(text) = parse(line) { text } else { panic!("{line} is clear") };
        assert!(text("!admin reload").contains("Which plugin?"));
        assert!(text("!admin relaod dice").contains("Did you mean reload?"));
        assert!(text("!admin reload a b").contains("takes one plugin"));
        assert!(text("!admin list x").contains("takes no plugin"));
    }
}
