//! Why something was not done, in the words of the place where it is read: each text says what to do.

use super::{audit::AuditError, grammar::Surface, permission::Role};
use crate::plugins::PluginError;
use rosey_core::state::{ChangeError, PluginState};
use std::{fmt, path::PathBuf, time::Duration};

/// Why something was not done. Displayed as chat reads it.
#[derive(Debug)]
pub enum Refusal {
    /// They may not.
    Denied {
        /// What it takes.
        needs: Role,
        /// What they have.
        has: Option<Role>,
        /// Whether so many were denied already that this one is not worth an answer in chat.
        quietly: bool,
    },
    /// Too many commands.
    TooOften {
        /// How long to wait.
        wait: Duration,
    },
    /// Too many questions wait for an answer.
    TooManyQuestions,
    /// Too soon after another change.
    Cooling {
        /// The plugin that was named.
        plugin: String,
        /// How long to wait.
        wait: Duration,
    },
    /// It has to be said another way.
    Unclear(String),
    /// `admin` is no plugin.
    PartOfHost,
    /// There is no such plugin.
    Unknown(Box<PluginError>),
    /// Nothing to do.
    Already {
        /// The plugin that was named.
        plugin: String,
        /// How it is.
        state: PluginState,
    },
    /// That build runs.
    SameBuild {
        /// The plugin that was named.
        plugin: String,
        /// The version that the build gives itself.
        version: String,
        /// The first digits of its artifact's hash.
        artifact: String,
    },
    /// That build was given up.
    Blocked {
        /// The plugin that was named.
        plugin: String,
        /// The version that the build gives itself.
        version: String,
        /// The first digits of its artifact's hash.
        artifact: String,
    },
    /// The library is that of another plugin.
    OtherPlugin {
        /// The plugin that was named.
        plugin: String,
        /// Where the library lies.
        library: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it was so far; nothing when nothing has run yet.
        before: Option<String>,
    },
    /// It is not any more what they were asked about.
    Changed {
        /// The plugin that was named.
        plugin: String,
        /// How it is now: `it runs 2.1.0 now`.
        now: String,
    },
    /// The plugin, or what was built, says no.
    Failed {
        /// What was to be done.
        what: &'static str,
        /// The plugin that it was to be done to.
        plugin: String,
        /// What the plugin, or its build, says.
        source: Box<PluginError>,
        /// The version that serves all the same.
        goes_on: Option<String>,
    },
    /// It did not come up.
    NotUp {
        /// The plugin that was named.
        plugin: String,
        /// What kept it from coming up.
        why: String,
    },
    /// It was done, and did not last while somebody waited for it to settle.
    NotSettled {
        /// The plugin that was named.
        plugin: String,
        /// What came of it.
        why: String,
    },
    /// What the plugin keeps cannot be changed like this.
    Store {
        /// The plugin that was named.
        plugin: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// It cannot be recorded, so it was not done.
    Audit(AuditError),
    /// It was refused, and that could not be recorded.
    Unrecorded {
        /// Why it was refused.
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

    /// Whether the plugin or its build is the reason, and not who asked or when.
    pub fn is_of_the_build(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Blocked { .. } | Self::OtherPlugin { .. })
    }

    /// Whether the same may be done a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::TooOften { .. } | Self::TooManyQuestions | Self::Cooling { .. } | Self::Stopping => true,
            Self::Failed { source, .. } => matches!(**source, PluginError::Change(ChangeError::Busy(_))),
            Self::Unrecorded { refusal, .. } => refusal.is_temporary(),
            _ => false,
        }
    }

    /// For whoever asked.
    pub fn text(&self, surface: Surface) -> String {
        match self {
            Self::Denied { needs, has: Some(has), .. } => {
                format!("Admin permission required: that needs the role {needs}, and yours is {has}.")
            }
            Self::Denied { .. } => "Admin permission required.".to_owned(),
            Self::TooOften { wait } => {
                format!("That was one command too many within a minute; try again in {} s.", seconds(*wait))
            }
            Self::TooManyQuestions => "Too many questions wait for an answer; try again in half a minute.".to_owned(),
            Self::Cooling { plugin, wait } => {
                format!("{plugin} was changed a moment ago; try again in {} s.", seconds(*wait))
            }
            Self::Unclear(text) => text.clone(),
            Self::PartOfHost => "admin is part of the host: restart Rosey to update it.".to_owned(),
            Self::Unknown(source) => format!("Not done: {}", sentence(source)),
            Self::Already { plugin, state } => format!("{plugin} is {state} already."),
            Self::SameBuild { plugin, version, artifact } => format!(
                "{plugin} runs that very build already ({version}, artifact {artifact}). Build a new one, or add {} to \
                 replace its process all the same.",
                surface.force()
            ),
            Self::Blocked { plugin, version, artifact } => format!(
                "{plugin} {version} (artifact {artifact}) was rolled back from. Build a new one, or add {}.",
                surface.force()
            ),
            Self::OtherPlugin { plugin, library, found, before } => {
                let before = before.as_ref().map(|before| format!(", and {plugin} has been {before} so far"));
                let instead = before.unwrap_or_else(|| format!(", and not {plugin}"));
                let (library, force) = (library.display(), surface.force());
                format!("{library} is {found}{instead}. Put the right library there, or add {force} if that is meant.")
            }
            Self::Changed { plugin, now } => format!("{plugin} changed since you were asked ({now}); ask again."),
            Self::Failed { what: "replay", plugin, source, .. } => sentence(&cause(plugin, source, surface)),
            Self::Failed { what, plugin, source, goes_on } => {
                let goes_on = goes_on.as_ref().map(|version| format!(" {version} goes on.")).unwrap_or_default();
                format!("{what} {plugin} refused: {}{goes_on}", sentence(&cause(plugin, source, surface)))
            }
            Self::NotUp { plugin, why } => {
                let logs = surface.command(format_args!("logs {plugin}"));
                format!("{plugin} did not come up: {} Look at its log: {logs}", sentence(why))
            }
            Self::NotSettled { plugin, why } => {
                let logs = surface.command(format_args!("logs {plugin}"));
                format!("{plugin}: {} Look at its log: {logs}", sentence(why))
            }
            Self::Store { plugin, why } => format!("the store of {plugin}: {}", sentence(why)),
            Self::Audit(error) => format!("Nothing was done, for it cannot be recorded: {}", sentence(error)),
            Self::Unrecorded { refusal, error } => {
                format!("{} (its end could not be recorded: {error})", refusal.text(surface))
            }
            Self::Stopping => "Rosey is stopping.".to_owned(),
        }
    }
}

/// What the plugin's side says, and what to do about it where that is one of these commands.
fn cause(plugin: &str, source: &PluginError, surface: Surface) -> String {
    let command = |words: &str| surface.command(format_args!("{words} {plugin}"));
    match source {
        PluginError::NoLetter { plugin, id } => {
            format!("{plugin} has no dead letter {id}; {} numbers them", command("deadletters"))
        }
        PluginError::NotAccepted(_) => format!(
            "{plugin} does not take events now; start it ({}), or wait until its queue is shorter. The letter is kept",
            command("start")
        ),
        PluginError::Change(ChangeError::NoEarlier) => {
            format!("{source}; to change to a new build: {}", command("reload"))
        }
        PluginError::Change(ChangeError::NotRunning) => {
            format!("it is not running; start it first: {}", command("start"))
        }
        PluginError::Change(ChangeError::SameArtifact(artifact)) => {
            format!("that very build is running already (artifact {artifact}); add {} to replace it", surface.force())
        }
        PluginError::Change(ChangeError::Blocked(artifact)) => {
            format!("artifact {artifact} was rolled back from; build a new one, or add {}", surface.force())
        }
        PluginError::Change(
            ChangeError::Start(_)
            | ChangeError::Died(_)
            | ChangeError::Probe { .. }
            | ChangeError::ProbeTimedOut(_)
            | ChangeError::Handoff(_)
            | ChangeError::HandoffTimedOut { .. }
            | ChangeError::OldDied(_),
        ) => format!("{source}; look at its log: {}", command("logs")),
        _ => source.to_string(),
    }
}

/// With a full stop, unless it has one.
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
