//! The admin commands: their words, what each changes, and the role that each needs. Pure.

use super::permission::Role;

/// What can be done to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// To a new build.
    Reload,
    /// To whatever the build left, also when that runs already or was rolled back from.
    ForceReload,
    /// To the build before.
    Rollback,
    /// A new process of the same build.
    Restart,
    /// Up.
    Start,
    /// Down.
    Stop,
    /// The dead letter with this number is delivered again.
    Replay(i64),
}

/// The actions that are a word and a plugin.
pub const ACTIONS: [Action; 5] = [Action::Reload, Action::Rollback, Action::Restart, Action::Start, Action::Stop];

impl Action {
    /// As typed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload | Self::ForceReload => "reload",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Replay(_) => "replay",
        }
    }

    /// As the audit has it: which dead letter, and whether by force.
    pub fn in_full(self) -> String {
        match self {
            Self::ForceReload => "reload force".to_owned(),
            Self::Replay(id) => format!("replay {id}"),
            action => action.word().to_owned(),
        }
    }

    /// Whether it is to a new build.
    pub fn is_reload(self) -> bool {
        matches!(self, Self::Reload | Self::ForceReload)
    }

    /// The least role that may do it.
    pub fn needs(self) -> Role {
        match self {
            // It brings back a build that was blocked for crashing.
            Self::ForceReload => Role::Owner,
            Self::Reload | Self::Rollback | Self::Restart | Self::Start | Self::Stop | Self::Replay(_) => {
                Role::Operator
            }
        }
    }

    /// Whether it waits for the cooldown after another change. What an operator does in an emergency does not.
    pub fn cools(self) -> bool {
        !matches!(self, Self::Rollback | Self::Stop)
    }

    /// As a question begins, and as it is said that it has begun.
    pub(super) fn verbs(self) -> (&'static str, &'static str) {
        match self {
            Self::Reload | Self::ForceReload => ("Reload", "Reloading"),
            Self::Rollback => ("Roll back", "Rolling back"),
            Self::Restart => ("Restart", "Restarting"),
            Self::Start => ("Start", "Starting"),
            Self::Stop => ("Stop", "Stopping"),
            Self::Replay(_) => ("Replay", "Replaying"),
        }
    }
}

/// What can be asked without changing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// What can be said.
    Help,
    /// All plugins, short.
    List,
    /// One plugin in full, or all with their figures.
    Status(Option<String>),
    /// Where the dashboard is.
    Metrics,
    /// What a plugin last said, and what happened to it.
    Logs(String),
    /// Events that were set aside.
    DeadLetters(Option<String>),
}

/// The words of [`Query`], in the order of help.
pub const QUERIES: [&str; 6] = ["status", "list", "metrics", "logs", "deadletters", "help"];

/// The first word of a command as it is known here, for metrics; what is none of them is `unclear`.
pub fn known(command: &str) -> &'static str {
    let word = command.split(' ').next().unwrap_or_default();
    let mut words = ACTIONS.map(Action::word).into_iter().chain(QUERIES).chain([Action::Replay(0).word()]);
    words.find(|known| *known == word).unwrap_or("unclear")
}

impl Query {
    /// As typed.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::List => "list",
            Self::Metrics => "metrics",
            Self::Logs(_) => "logs",
            Self::DeadLetters(_) => "deadletters",
            Self::Help => "help",
        }
    }

    /// The plugin it is about, if it is about one.
    pub fn plugin(&self) -> Option<&str> {
        match self {
            Self::Status(plugin) | Self::DeadLetters(plugin) => plugin.as_deref(),
            Self::Logs(plugin) => Some(plugin),
            Self::Help | Self::List | Self::Metrics => None,
        }
    }

    /// The least role that may know. Logs and dead letters quote what users typed.
    pub fn needs(&self) -> Role {
        match self {
            Self::Logs(_) | Self::DeadLetters(_) => Role::Operator,
            Self::Help | Self::List | Self::Status(_) | Self::Metrics => Role::Viewer,
        }
    }
}
