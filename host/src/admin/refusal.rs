//! Why something was not done, with what to do next, in the commands of the place where the text is read.

use super::{audit::AuditError, grammar::Surface, permission::Role, second::AGREE_WITHIN, series::SeriesDone};
use crate::plugins::PluginError;
use rosey_core::state::{ChangeError, PluginState};
use std::{fmt, path::PathBuf, time::Duration};

/// Why something was not done. `Display` writes the text for chat.
#[derive(Debug)]
pub enum Refusal {
    /// The person lacks the role.
    Denied {
        /// The role that the command needs.
        needs: Role,
        /// The role that the person has.
        has: Option<Role>,
        /// Whether this person was denied so often that chat gets no answer.
        quietly: bool,
    },
    /// The person gives too many commands.
    TooOften {
        /// The time to wait.
        wait: Duration,
    },
    /// Too many questions wait for an answer.
    TooManyQuestions,
    /// The change waits for a second person.
    SecondPerson {
        /// The plugin that the command names.
        plugin: String,
        /// The command that the second person gives.
        command: &'static str,
    },
    /// The change needs two persons, and nobody has verified the name of this one.
    Unverified {
        /// The plugin that the command names.
        plugin: String,
        /// The command that was given.
        command: &'static str,
    },
    /// A series has changes that need two persons each.
    NotInSeries(&'static str),
    /// The command comes too soon after another change.
    Cooling {
        /// The plugin that the command names.
        plugin: String,
        /// The time to wait.
        wait: Duration,
    },
    /// The command is not understood; the text says what to write.
    Unclear(String),
    /// The command names `admin`, which is no plugin.
    PartOfHost,
    /// There is no such plugin.
    Unknown(Box<PluginError>),
    /// The plugin does not belong to the set, and its library lies in the plugin folder.
    Offered(String),
    /// A series has nothing to do, for this reason.
    NothingToDo(String),
    /// Part of a series was refused.
    Series(Box<SeriesDone>),
    /// The configuration cannot be read; the text names each problem.
    Configuration(String),
    /// The library cannot be loaded as this plugin.
    NotLoaded {
        /// The plugin that the command names.
        plugin: String,
        /// The reason, and what to do.
        why: String,
    },
    /// The plugin is already in that state.
    Already {
        /// The plugin that the command names.
        plugin: String,
        /// The state as chat reads it: `running`, `stopped`.
        state: PluginState,
    },
    /// The plugin runs this build already.
    SameBuild {
        /// The plugin that the command names.
        plugin: String,
        /// The version that the build declares.
        version: String,
        /// The first digits of its artifact's hash.
        artifact: String,
    },
    /// The build was rolled back.
    Blocked {
        /// The plugin that the command names.
        plugin: String,
        /// The version that the build declares.
        version: String,
        /// The first digits of its artifact's hash.
        artifact: String,
    },
    /// The library belongs to another plugin.
    OtherPlugin {
        /// The plugin that the command names.
        plugin: String,
        /// The path of the library.
        library: PathBuf,
        /// The name that the library declares.
        found: String,
        /// The name that builds before have declared; `None` if none has run.
        before: Option<String>,
    },
    /// The plugin has changed since the question.
    Changed {
        /// The plugin that the command names.
        plugin: String,
        /// Its state now: `it runs 2.1.0 now`.
        now: String,
    },
    /// The plugin or its build is the reason.
    Failed {
        /// The command.
        what: &'static str,
        /// The plugin that the command names.
        plugin: String,
        /// The reason.
        source: Box<PluginError>,
        /// The version that serves all the same.
        goes_on: Option<String>,
    },
    /// The plugin did not come up.
    NotUp {
        /// The plugin that the command names.
        plugin: String,
        /// The reason.
        why: String,
    },
    /// The change was done, and did not last until the plugin was at rest.
    DidNotLast {
        /// The plugin that the command names.
        plugin: String,
        /// The end of the change, and its reason.
        why: String,
    },
    /// The data of the plugin cannot be changed as requested.
    Store {
        /// The plugin that the command names.
        plugin: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The action cannot be recorded, so it was not done.
    Audit(AuditError),
    /// The action was refused, and the refusal could not be recorded.
    Unrecorded {
        /// What the person reads.
        refusal: Box<Refusal>,
        /// Why it could not be recorded.
        error: AuditError,
    },
    /// The host is stopping.
    Stopping,
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unknown(source) | Self::Failed { source, .. } => Some(source),
            Self::Audit(error) | Self::Unrecorded { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text(Surface::Chat))
    }
}

impl Refusal {
    pub(super) fn failed(what: &'static str, plugin: &str, source: PluginError, goes_on: Option<String>) -> Self {
        match source {
            PluginError::Gone(_) => Self::Stopping,
            PluginError::Change(ChangeError::Already(state)) => Self::Already { plugin: plugin.to_owned(), state },
            source => Self::Failed { what, plugin: plugin.to_owned(), source: Box::new(source), goes_on },
        }
    }

    /// Whether the plugin or its build is the reason, and not the person or the time.
    pub fn is_of_the_build(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Blocked { .. } | Self::OtherPlugin { .. } | Self::NotLoaded { .. })
    }

    /// Whether the same command may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::TooOften { .. } | Self::TooManyQuestions | Self::Cooling { .. } | Self::Stopping => true,
            Self::Failed { source, .. } => matches!(**source, PluginError::Change(ChangeError::Busy(_))),
            Self::Unrecorded { refusal, .. } => refusal.is_temporary(),
            _ => false,
        }
    }

    /// The text of a refusal that is about two persons.
    fn of_two(&self, surface: Surface) -> String {
        match self {
            Self::SecondPerson { plugin, command } => {
                let (same, minutes) =
                    (surface.command(format_args!("{command} {plugin}")), AGREE_WITHIN.as_secs() / 60);
                format!(
                    "Nothing was done yet: another admin has to agree within {minutes} min, with the same command: {same}"
                )
            }
            Self::Unverified { plugin, command } => format!(
                "{command} {plugin} needs two persons, and your name is not verified. Log in to an account, or use the shell."
            ),
            Self::NotInSeries(command) => {
                format!("Not done: {command} needs two persons for each plugin; name one plugin at a time.")
            }
            _ => String::new(),
        }
    }

    /// The text for the person who asked.
    pub fn text(&self, surface: Surface) -> String {
        match self {
            Self::Denied { needs, has: Some(has), .. } => {
                format!("Admin permission required: that needs the role {needs}, and yours is {has}.")
            }
            Self::Denied { .. } => "Admin permission required.".to_owned(),
            Self::TooOften { wait } => {
                format!("Too many commands within a minute; try again in {} s.", seconds(*wait))
            }
            Self::TooManyQuestions => "Too many questions wait for an answer; try again in half a minute.".to_owned(),
            Self::SecondPerson { .. } | Self::Unverified { .. } | Self::NotInSeries(_) => self.of_two(surface),
            Self::Cooling { plugin, wait } => {
                format!("{plugin} was changed a moment ago; try again in {} s.", seconds(*wait))
            }
            Self::Unclear(text) => text.clone(),
            Self::PartOfHost => "admin is part of the host: restart Rosey to update it.".to_owned(),
            Self::Unknown(source) => format!("Not done: {}", sentence(source)),
            Self::Offered(plugin) => {
                let load = surface.command(format_args!("load {plugin}"));
                format!("Not done: {plugin} is not loaded; its library lies in the plugin folder: {load}")
            }
            Self::NothingToDo(why) => format!("Nothing to do: {}", sentence(why)),
            Self::Series(done) => done.text(),
            Self::Configuration(why) => format!("Nothing was changed. {why}"),
            Self::NotLoaded { plugin, why } => format!("load {plugin} refused: {}", sentence(why)),
            Self::Already { plugin, state } => format!("{plugin} is already {state}."),
            Self::SameBuild { plugin, version, artifact } => format!(
                "{plugin} already runs this build ({version}, artifact {artifact}). Build a new one, or add {} to \
                 replace its process anyway.",
                surface.force()
            ),
            Self::Blocked { plugin, version, artifact } => format!(
                "{plugin} {version} (artifact {artifact}) failed its trial and is blocked. Build a new one, or add {}.",
                surface.force()
            ),
            Self::OtherPlugin { plugin, library, found, before } => {
                let (library, wanted, force) = (library.display(), before.as_ref().unwrap_or(plugin), surface.force());
                format!(
                    "{library} is the plugin {found}, not {wanted}. Put the right library there, or add {force} if you \
                     mean this one."
                )
            }
            Self::Changed { plugin, now } => format!("{plugin} changed since you were asked ({now}); ask again."),
            Self::Failed { what: "replay" | "discard", plugin, source, .. } => {
                sentence(&cause(plugin, source, surface))
            }
            Self::Failed { what, plugin, source, goes_on } => {
                let goes_on = goes_on.as_ref().map(|version| format!(" {version} goes on.")).unwrap_or_default();
                format!("{what} {plugin} refused: {}{goes_on}", sentence(&cause(plugin, source, surface)))
            }
            Self::NotUp { plugin, why } => {
                let logs = surface.command(format_args!("logs {plugin}"));
                format!("{plugin} did not start: {} Look at its log: {logs}", sentence(why))
            }
            Self::DidNotLast { plugin, why } => {
                let logs = surface.command(format_args!("logs {plugin}"));
                format!("{plugin}: {} Look at its log: {logs}", sentence(why))
            }
            Self::Store { plugin, why } => format!("the store of {plugin}: {}", sentence(why)),
            Self::Audit(error) => format!("Nothing was done, because it cannot be recorded: {}", sentence(error)),
            Self::Unrecorded { refusal, error } => {
                format!("{} (the end of the action could not be recorded: {error})", refusal.text(surface))
            }
            Self::Stopping => "Rosey is stopping.".to_owned(),
        }
    }
}

/// The reason of the plugin or its build, with the admin command that helps.
fn cause(plugin: &str, source: &PluginError, surface: Surface) -> String {
    let command = |words: &str| surface.command(format_args!("{words} {plugin}"));
    match source {
        PluginError::NoLetter { plugin, id: 0 } => format!("{plugin} has no dead letters"),
        PluginError::NoLetter { plugin, id } => {
            format!("{plugin} has no dead letter {id}; {} numbers them", command("deadletters"))
        }
        PluginError::NotAccepted(_) => format!(
            "{plugin} does not take events now; start it ({}), or wait until its queue is shorter. The letter is kept",
            command("start")
        ),
        PluginError::Loaded => format!("it is loaded already; to change to a new build: {}", command("reload")),
        PluginError::Disabled => format!("it is disabled; to start it: {}", command("enable")),
        PluginError::Enabled => format!("it is not disabled; to start it: {}", command("start")),
        PluginError::Change(ChangeError::NoEarlier) => {
            format!("{source}; to change to a new build: {}", command("reload"))
        }
        PluginError::Change(ChangeError::NotRunning) => {
            format!("it is not running; start it first: {}", command("start"))
        }
        PluginError::Change(ChangeError::SameArtifact(artifact)) => {
            format!("it already runs this build (artifact {artifact}); add {} to replace it", surface.force())
        }
        PluginError::Change(ChangeError::Blocked(artifact)) => {
            format!("artifact {artifact} failed its trial and is blocked; build a new one, or add {}", surface.force())
        }
        PluginError::Change(
            ChangeError::Start(_)
            | ChangeError::Died(_)
            | ChangeError::Probe { .. }
            | ChangeError::ProbeTimedOut(_)
            | ChangeError::Handoff(_)
            | ChangeError::HandoffTimedOut { .. }
            | ChangeError::Migration(_)
            | ChangeError::MigrationTimedOut(_)
            | ChangeError::OldDied(_),
        ) => format!("{source}; look at its log: {}", command("logs")),
        _ => source.to_string(),
    }
}

/// The text with a full stop at its end, unless it has one.
fn sentence(text: &impl ToString) -> String {
    let text = text.to_string();
    if text.ends_with(['.', '?', '!']) { text } else { text + "." }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_reads_chat_and_the_shell_reads_shell() {
        let failed = |error| Refusal::failed("reload", "x", PluginError::Change(error), Some("1.0.0".to_owned()));
        let timed_out = failed(ChangeError::ProbeTimedOut(Duration::from_secs(5)));
        assert_eq!(
            timed_out.text(Surface::Chat),
            "reload x refused: the health check got no answer within 5 s; look at its log: !admin logs x. 1.0.0 goes on."
        );
        assert!(timed_out.text(Surface::Shell).contains("look at its log: rosey admin logs x."));
        let same = Refusal::SameBuild { plugin: "x".into(), version: "1".into(), artifact: "a".into() };
        assert!(same.text(Surface::Chat).contains("add force to"));
        assert!(same.text(Surface::Shell).contains("add --force to"));
        let letter = PluginError::NoLetter { plugin: "x".into(), id: 7 };
        let letter = Refusal::failed("replay", "x", letter, Some("1.0.0".to_owned()));
        assert_eq!(letter.text(Surface::Chat), "x has no dead letter 7; !admin deadletters x numbers them.");
        assert!(failed(ChangeError::NoEarlier).text(Surface::Shell).contains("rosey admin reload x"));
    }
}
