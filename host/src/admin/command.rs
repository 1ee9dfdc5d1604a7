//! The admin commands: one row for each form of each command. The rows produce the grammar, `!admin help`, the command
//! line with its completions and man pages, and the table of docs/guides/ADMIN_COMMANDS.md. Pure.

use super::{permission::Role, series::Series};
use crate::log::Level;
use std::mem::discriminant;

/// In place of the number of a dead letter: all of them. None has this number.
pub const ALL: i64 = 0;

/// A change of a plugin. It asks for confirmation first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Change to a new build.
    Reload,
    /// Change to the build in the plugin folder, even if it runs already or was rolled back.
    ForceReload,
    /// Change to the build before.
    Rollback,
    /// Start a new process of the same build.
    Restart,
    /// Start the plugin.
    Start,
    /// Stop the plugin.
    Stop,
    /// Deliver the dead letter with this number again, or with [`ALL`] all of them.
    Replay(i64),
    /// Remove the dead letter with this number, or with [`ALL`] all of them.
    Discard(i64),
    /// The timer with this number never fires.
    CancelTimer(i64),
    /// Add the plugin to the set, and start it.
    Load,
    /// The same with a library that the operator names.
    LoadFrom,
    /// Stop the plugin and remove it from the set.
    Unload,
    /// Start a plugin that was disabled, now and with the host.
    Enable,
    /// Stop the plugin, and do not start it with the host.
    Disable,
}

/// A request for information. Some are about all plugins, some about one, some about either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// The commands.
    Help,
    /// Names, versions and states.
    List,
    /// One plugin in full, or the figures of all.
    Status,
    /// The address of the dashboard.
    Metrics,
    /// The last output of a plugin, and the events of its life.
    Logs,
    /// Events that were set aside after two crashes.
    DeadLetters,
    /// Timers that a plugin has set.
    Timers,
    /// The settings that a plugin declares, with the values in force.
    Settings,
    /// Which records of a plugin the log has. A change of that is recorded, and needs no confirmation.
    Log(LogLevel),
    /// The difference between the configuration now and the one in force.
    ConfigPlan,
}

/// What `log` does with the level of a plugin's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// It shows the level.
    Show,
    /// It sets a level.
    Set(Level),
    /// It lets the level of Rosey count again.
    Default,
}

impl LogLevel {
    /// The word for the level of Rosey.
    pub const DEFAULT: &str = "default";

    /// What this word in place of a level means.
    pub fn parse(word: &str) -> Option<Self> {
        if word == Self::DEFAULT { Some(Self::Default) } else { Level::parse(word).map(Self::Set) }
    }
}

/// An argument of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// The name of a plugin.
    Plugin,
    /// This very word. As the last one it is an option with two dashes in the shell.
    Word(&'static str),
    /// A whole number, such as that of a dead letter.
    Number,
    /// The level of a log, or `default`.
    Level,
    /// The path of a file, without spaces.
    Path,
    /// This very word, with two dashes everywhere.
    Option(&'static str),
    /// This very word, without dashes everywhere.
    Verb(&'static str),
}

/// The purpose of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It asks for information.
    Ask(Query),
    /// It changes something, and asks for confirmation first.
    Change(Action),
    /// It changes several plugins, and asks for confirmation first.
    Each(Series),
}

/// One row: a form of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The name of the command.
    pub name: &'static str,
    /// Its arguments.
    pub takes: &'static [Argument],
    /// Its purpose. For a replay and a timer, the number comes from the line.
    pub purpose: Purpose,
    /// The lowest role that may use it.
    pub needs: Role,
    /// What it does, in one or two sentences.
    pub help: &'static str,
}

use Action::{
    CancelTimer, Disable, Discard, Enable, ForceReload, Load, LoadFrom, Reload, Replay, Restart, Rollback, Start, Stop,
    Unload,
};
use Argument::{Number, Option as Flag, Path, Plugin, Verb, Word};
use Purpose::{Ask, Change, Each};
use Role::{Operator, Owner, Viewer};

const ONE: &[Argument] = &[Plugin];

const ALL_PLUGINS: Series = Series::Reload { only_changed: false, keep_going: false };
const CHANGED: Series = Series::Reload { only_changed: true, keep_going: false };
const ALL_KEEP_GOING: Series = Series::Reload { only_changed: false, keep_going: true };
const CHANGED_KEEP_GOING: Series = Series::Reload { only_changed: true, keep_going: true };

/// All forms, in the order of help. Forms of one command are adjacent, the one with the fewest arguments first.
#[rustfmt::skip]
pub const FORMS: [Form; 33] = [
    form("list", &[], Ask(Query::List), Viewer, "Names, versions, states, generations and artifacts of all plugins; those in trouble first."),
    form("status", &[], Ask(Query::Status), Viewer, "Uptime, CPU, memory, events and crashes of all plugins."),
    form("status", ONE, Ask(Query::Status), Viewer, "The same of one plugin, with its generation, artifact and process, whether it was rolled back, and whether another build waits. `admin` is Rosey itself."),
    form("metrics", &[], Ask(Query::Metrics), Viewer, "The link to the dashboard."),
    form("help", &[], Ask(Query::Help), Viewer, "The commands that you may use."),
    // Operators only, because these quote what users typed.
    form("logs", &[], Ask(Query::Logs), Operator, "The last lines of all plugins, in the order in which they came. Chat shows 8, the shell 200."),
    form("logs", ONE, Ask(Query::Logs), Operator, "The last lines of a plugin: what it printed, and what happened to it. Chat shows 8, the shell all that are kept (200)."),
    form("log", ONE, Ask(Query::Log(LogLevel::Show)), Operator, "Shows which records of a plugin Rosey logs."),
    form("log", &[Plugin, Argument::Level], Ask(Query::Log(LogLevel::Default)), Operator, "Logs the records of a plugin from this level on, until Rosey stops: `error`, `warn`, `info`, `debug`, `trace`, or `default` for the level of Rosey."),
    form("deadletters", &[], Ask(Query::DeadLetters), Operator, "Events that were set aside because a plugin crashed on them twice."),
    form("deadletters", ONE, Ask(Query::DeadLetters), Operator, "Those of one plugin."),
    form("deadletters", &[Plugin, Word("replay"), Number], Change(Replay(0)), Operator, "Delivers the event with this number again. Its answer is dropped. `all` in place of the number: all of them."),
    form("deadletters", &[Plugin, Word("discard"), Number], Change(Discard(0)), Operator, "Removes the event with this number, which is never delivered again. `all` in place of the number: all of them."),
    form("timers", ONE, Ask(Query::Timers), Operator, "The timers of a plugin: number, name, when each fires, and who set it."),
    form("timers", &[Plugin, Word("cancel"), Number], Change(CancelTimer(0)), Operator, "Cancels the timer with this number. A timer that the plugin declares comes back at its next start."),
    form("settings", ONE, Ask(Query::Settings), Operator, "The settings of a plugin: the value in force of each, its default, what it may be, and what it is for. Secrets are hidden."),
    form("reload", ONE, Change(Reload), Operator, "Changes to the build in the plugin folder, while users talk."),
    // Owners only, because it can load a build that was blocked for crashing.
    form("reload", &[Plugin, Word("force")], Change(ForceReload), Owner, "Changes to the build in the plugin folder even if it already runs, is blocked, or is another plugin's."),
    form("reload", &[Flag("all")], Each(ALL_PLUGINS), Operator, "Reloads all plugins that do not run the build in the plugin folder, one after another, and stops at the first refusal."),
    form("reload", &[Flag("all"), Flag("keep-going")], Each(ALL_KEEP_GOING), Operator, "The same, and goes on after a refusal."),
    form("reload", &[Flag("changed")], Each(CHANGED), Operator, "The same with plugins that run, and whose new build is not blocked."),
    form("reload", &[Flag("changed"), Flag("keep-going")], Each(CHANGED_KEEP_GOING), Operator, "The same, and goes on after a refusal."),
    form("rollback", ONE, Change(Rollback), Operator, "Goes back to the build before; at once while its process is still parked."),
    form("restart", ONE, Change(Restart), Operator, "Starts a new process of the same build; events wait meanwhile."),
    form("start", ONE, Change(Start), Operator, "Starts a plugin that is stopped or has failed."),
    form("stop", ONE, Change(Stop), Operator, "Stops a plugin after it has answered what it has. It starts again with the host."),
    form("load", ONE, Change(Load), Operator, "Adds a plugin whose library lies in the plugin folder, with its settings in the configuration, if it has any."),
    // Owners only, because it can run any file of the machine.
    form("load", &[Plugin, Path], Change(LoadFrom), Owner, "The same with the library at this path, which counts from the plugin folder."),
    form("unload", ONE, Change(Unload), Operator, "Removes a plugin after it has answered what it has. Its data, timers and dead letters stay."),
    form("enable", ONE, Change(Enable), Operator, "Starts a plugin that was disabled, now and with the host."),
    form("disable", ONE, Change(Disable), Operator, "Stops a plugin, which stays in the list and does not start with the host."),
    form("config", &[Verb("plan")], Ask(Query::ConfigPlan), Operator, "What has changed in the configuration since Rosey read it: what would change at once, what by a reload of which plugin, and what needs a restart; and what an operator decided over it."),
    form("config", &[Verb("reload")], Each(Series::Config), Operator, "Reads the configuration again and takes over what can be taken over while Rosey runs, plugin by plugin. A wrong file changes nothing."),
];

const fn form(
    name: &'static str,
    takes: &'static [Argument],
    purpose: Purpose,
    needs: Role,
    help: &'static str,
) -> Form {
    Form { name, takes, purpose, needs, help }
}

/// The commands, each with its forms.
pub fn commands() -> impl Iterator<Item = &'static [Form]> {
    FORMS.chunk_by(|one, next| one.name == next.name)
}

/// The actions whose only argument is a plugin.
pub fn plain_actions() -> impl Iterator<Item = Action> {
    FORMS.iter().filter_map(|form| match form.purpose {
        Change(action) if form.takes == ONE => Some(action),
        _ => None,
    })
}

/// The names of the commands that change one plugin.
pub fn changes() -> impl Iterator<Item = &'static str> {
    plain_actions().chain([Replay(0), Discard(0), CancelTimer(0)]).map(Action::word)
}

/// The names of commands in metrics. `store` is `rosey store`, and `unclear` any other text.
pub fn words() -> impl Iterator<Item = &'static str> {
    let others = [Replay(0).word(), Discard(0).word(), CancelTimer(0).word(), "store", "unclear"];
    commands().filter_map(|forms| Some(forms.first()?.name)).chain(others)
}

/// The name of a command in metrics.
pub fn known(command: &str) -> &'static str {
    let word = command.split(' ').next().unwrap_or_default();
    words().find(|known| *known == word).unwrap_or("unclear")
}

fn of(purpose: Purpose) -> &'static Form {
    let is_it = |form: &&Form| match (form.purpose, purpose) {
        (Ask(one), Ask(other)) => discriminant(&one) == discriminant(&other),
        (Each(one), Each(other)) => one == other,
        (Change(one), Change(other)) => discriminant(&one) == discriminant(&other),
        _ => false,
    };
    FORMS.iter().find(is_it).expect("a test looks for each of them")
}

impl Query {
    /// The name of its command.
    pub fn word(self) -> &'static str {
        of(Ask(self)).name
    }

    /// The lowest role that may ask it.
    pub fn needs(self) -> Role {
        of(Ask(self)).needs
    }
}

impl Action {
    /// The name of its command.
    pub fn word(self) -> &'static str {
        match self {
            Replay(_) => "replay",
            Discard(_) => "discard",
            CancelTimer(_) => "cancel",
            action => of(Change(action)).name,
        }
    }

    /// The name in the audit, with the number of a dead letter or timer, and with `force`.
    pub fn in_full(self) -> String {
        match self {
            ForceReload => "reload force".to_owned(),
            Replay(ALL) | Discard(ALL) => format!("{} all", self.word()),
            Replay(id) | Discard(id) => format!("{} {id}", self.word()),
            CancelTimer(id) => format!("cancel timer {id}"),
            action => action.word().to_owned(),
        }
    }

    /// Whether it changes to a new build.
    pub fn is_reload(self) -> bool {
        matches!(self, Reload | ForceReload)
    }

    /// Whether it adds a plugin to the set.
    pub fn is_load(self) -> bool {
        matches!(self, Load | LoadFrom)
    }

    /// Whether a new build is inspected before the question.
    pub fn inspects(self) -> bool {
        self.is_reload() || self.is_load()
    }

    /// The lowest role that may do it.
    pub fn needs(self) -> Role {
        of(Change(self)).needs
    }

    /// Whether it waits for the cooldown after another change. Actions for emergencies do not.
    pub fn cools(self) -> bool {
        !matches!(self, Rollback | Stop | Unload | Disable | Discard(_) | CancelTimer(_))
    }

    /// The verb at the beginning of the question, and the one at the beginning of the progress.
    pub(super) fn verbs(self) -> (&'static str, &'static str) {
        match self {
            Reload | ForceReload => ("Reload", "Reloading"),
            Rollback => ("Roll back", "Rolling back"),
            Restart => ("Restart", "Restarting"),
            Start => ("Start", "Starting"),
            Stop => ("Stop", "Stopping"),
            Replay(_) => ("Replay", "Replaying"),
            Discard(_) => ("Discard", "Discarding"),
            CancelTimer(_) => ("Cancel", "Cancelling"),
            Load | LoadFrom => ("Load", "Loading"),
            Unload => ("Unload", "Unloading"),
            Enable => ("Enable", "Enabling"),
            Disable => ("Disable", "Disabling"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::grammar::Surface, *};

    #[test]
    fn each_query_and_action_has_a_form_and_forms_of_a_command_stand_together() {
        use Query::{ConfigPlan, DeadLetters, Help, List, Log, Logs, Metrics, Settings, Status, Timers};
        let log = Log(LogLevel::Show);
        let words = [Help, List, Status, Metrics, Logs, DeadLetters, Timers, log, Settings].map(Query::word);
        assert_eq!(words, ["help", "list", "status", "metrics", "logs", "deadletters", "timers", "log", "settings"]);
        assert_eq!(ConfigPlan.word(), "config");
        let actions = [Reload, ForceReload, Rollback, Restart, Start, Stop, Replay(7), Discard(7), CancelTimer(7)]
            .map(Action::word);
        assert_eq!(
            actions,
            ["reload", "reload", "rollback", "restart", "start", "stop", "replay", "discard", "cancel"]
        );
        let set = [Load, LoadFrom, Unload, Enable, Disable].map(Action::word);
        assert_eq!(set, ["load", "load", "unload", "enable", "disable"]);
        let mut names: Vec<_> = commands().map(|forms| forms[0].name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "forms of one command stand apart");
        assert!(commands().flatten().all(|form| form.help.ends_with('.')));
        assert_eq!(known("reload force"), "reload");
        assert_eq!(known("dance"), "unclear");
    }

    #[test]
    fn the_guide_has_the_table() {
        let row = |form: &Form| {
            let (chat, shell) = (form.usage(Surface::Chat), form.usage(Surface::Shell));
            let shell = if chat == shell { "the same".to_owned() } else { format!("`{shell}`") };
            format!("| `{chat}` | {shell} | {} | {} |\n", form.help, form.needs)
        };
        let head = "| In chat, `!admin …` | In the shell, `rosey admin …` | What it does | Role |\n| --- | --- | --- | --- |\n";
        let table = FORMS.iter().fold(head.to_owned(), |table, form| table + &row(form));
        let guide = include_str!("../../../docs/guides/ADMIN_COMMANDS.md");
        assert!(guide.contains(&table), "the table of docs/guides/ADMIN_COMMANDS.md should be:\n{table}");
    }
}
