//! Lifecycle events of plugins in words: one line each, with advice where the operator can act.

use crate::event::PREFIX;
use crate::process::output::last_words;
use crate::slot::{crash::Crash, startup::StartupChoice};
use crate::time::short;
use rosey_core::state::{ChangeError, ChangeKind, Done, Fault, HOST_RETRY, StateEvent, StateLeft, StoreLost, Verdict};
use rosey_wire::manifest::Manifest;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tracing::Level;

/// A lifecycle event of a plugin, for the log, the metrics and the timeline.
#[derive(Debug, Clone)]
pub struct LifecycleEvent {
    /// The plugin that it concerns.
    pub plugin: Arc<str>,
    /// The time by the clock of the machine.
    pub at: SystemTime,
    /// The kind of the event, with its data.
    pub kind: LifecycleKind,
}

/// The kinds of lifecycle events.
#[derive(Debug, Clone)]
pub enum LifecycleKind {
    /// An event of the state machine.
    State(StateEvent),
    /// A crash, with all details.
    Crash(Arc<Crash>),
    /// The plugin runs another build than the newest one.
    StartupChosen(Arc<StartupChoice>),
    /// Another manifest counts from now on.
    Manifest(Arc<Manifest>),
    /// A requested change ended.
    Changed {
        /// The requested change.
        kind: ChangeKind,
        /// How the change ended, or why it was refused.
        result: Result<Done, ChangeError>,
        /// The time that it took.
        took: Duration,
    },
    /// The active generation does not answer, or answers again.
    Health {
        /// Whether it answers.
        answers: bool,
    },
    /// The plugin belongs to the set of plugins from now on.
    Joined,
    /// The plugin is about to leave the set: it gets no further event, and answers those that it has.
    Leaving,
    /// The plugin has left the set, and has no process.
    Left,
    /// The plugin goes by other settings from now on.
    Configured,
    /// The plugin goes by the settings before again, for this reason.
    SettingsBack {
        /// What happened with the new ones.
        why: String,
    },
    /// An event was executing at two crashes, and became a dead letter.
    DeadLetter {
        /// The line as typed.
        text: String,
    },
}

impl LifecycleEvent {
    /// Writes the log line. The admin logs a requested change, because it knows the person.
    pub fn log(&self) {
        if let LifecycleKind::Changed { .. } = self.kind {
            return;
        }
        let (plugin, (level, text)) = (&*self.plugin, self.line());
        match level {
            Level::ERROR => tracing::error!(plugin, "{text}"),
            Level::WARN => tracing::warn!(plugin, "{text}"),
            Level::INFO => tracing::info!(plugin, "{text}"),
            _ => tracing::debug!(plugin, "{text}"),
        }
    }

    /// The level and the text of the log line.
    pub fn line(&self) -> (Level, String) {
        match &self.kind {
            LifecycleKind::State(event) => state_line(event),
            LifecycleKind::Crash(crash) => {
                let executing =
                    if crash.executing.is_empty() { "nothing".to_owned() } else { crash.executing.join(" | ") };
                let text = format!(
                    "generation {} ({}) crashed after {:.1} s: {}; it was executing: {executing}{}",
                    crash.generation,
                    crash.version,
                    crash.uptime.as_secs_f32(),
                    crash.cause,
                    last_words(&crash.stderr)
                );
                (Level::ERROR, text)
            }
            LifecycleKind::StartupChosen(choice) => (choice.level(), choice.text(&reload(&self.plugin))),
            LifecycleKind::Manifest(manifest) => {
                (Level::DEBUG, format!("version {}, {} commands", manifest.version, manifest.commands.len()))
            }
            LifecycleKind::Changed { kind, result: Ok(done), took } => {
                let generation = done.generation.map(|number| format!(", generation {number}")).unwrap_or_default();
                (Level::INFO, format!("{kind} done in {}{generation}", short(*took)))
            }
            LifecycleKind::Changed { kind, result: Err(error), .. } => {
                (Level::WARN, format!("{kind} refused: {error}"))
            }
            LifecycleKind::Health { answers: true } => (Level::INFO, "it answers again".to_owned()),
            LifecycleKind::Health { answers: false } => (Level::WARN, "it does not answer".to_owned()),
            LifecycleKind::Joined => (Level::DEBUG, "it belongs to the set now".to_owned()),
            LifecycleKind::Leaving => (Level::DEBUG, "it gets no further event".to_owned()),
            LifecycleKind::Left => (Level::INFO, "it is unloaded; its data stays".to_owned()),
            LifecycleKind::Configured => (Level::DEBUG, "it goes by its new settings".to_owned()),
            LifecycleKind::SettingsBack { why } => (
                Level::ERROR,
                format!("its new settings are taken back: {why}; it goes by those before. Correct the file"),
            ),
            LifecycleKind::DeadLetter { text } => {
                (Level::ERROR, format!("an event was executing at two crashes and is set aside: {text}"))
            }
        }
    }
}

/// The chat command that reloads a plugin.
pub fn reload(plugin: &str) -> String {
    format!("{PREFIX}admin reload {plugin}")
}

/// What a rollback leaves of a plugin's state and store, to follow another sentence.
pub fn left(state: Option<StateLeft>, store: Option<StoreLost>) -> String {
    let state = state.map(|state| format!("; {state}")).unwrap_or_default();
    store.map_or(state.clone(), |store| format!("{state}; {store}"))
}

/// The next start of a plugin, and how many starts in a row did not last.
pub fn restarting(after: Duration, failures: u32) -> String {
    let when = if after.is_zero() { "now".to_owned() } else { format!("in {}", short(after)) };
    match failures {
        0 => format!("restarting {when}"),
        1 => format!("restarting {when}, after 1 start that did not stay up"),
        failures => format!("restarting {when}, after {failures} starts in a row that did not stay up"),
    }
}

fn state_line(event: &StateEvent) -> (Level, String) {
    match event {
        StateEvent::Active { generation, artifact } => {
            (Level::INFO, format!("generation {generation} is active, artifact {}", artifact.short()))
        }
        // The crash itself says more.
        StateEvent::Crashed { generation, .. } => (Level::DEBUG, format!("the active generation {generation} is gone")),
        StateEvent::StartFailed { generation, why } => {
            (Level::ERROR, format!("generation {generation} did not start: {why}"))
        }
        StateEvent::Restarting { after, failures } => (Level::WARN, restarting(*after, *failures)),
        StateEvent::StartPostponed { why } => {
            (Level::WARN, format!("cannot be started yet: {why}; tried again every {} s", HOST_RETRY.as_secs()))
        }
        // A problem with settings names its own advice.
        StateEvent::GaveUp { why, fault: Fault::Settings } => (Level::ERROR, format!("FAILED and stays down: {why}")),
        StateEvent::GaveUp { why, .. } => {
            let text = format!("FAILED and stays down: {why}. Reload it with a new build, or start it again");
            (Level::ERROR, text)
        }
        StateEvent::RolledBack { from, to, why, warm, state, store } => {
            let how = if *warm { "its process was still there" } else { "it is being started" };
            let (from, to) = (from.short(), to.short());
            let left = left(*state, *store);
            let text = format!("ROLLED BACK from {from} to {to}: {why}; what ran before serves again ({how}){left}");
            (Level::ERROR, text)
        }
        StateEvent::StorePutBack { lost } => {
            (Level::WARN, format!("the build that runs is older than the last migration of its store: {lost}"))
        }
        StateEvent::Unblocked { artifact } => {
            let artifact = artifact.short();
            let text = format!(
                "the event that crashed artifact {artifact} has crashed the build before it, too; artifact {artifact} may \
                 be loaded again"
            );
            (Level::INFO, text)
        }
        StateEvent::BakeOver { verdict: Verdict::Good, events } => {
            (Level::INFO, format!("the new build is good, after {events} events"))
        }
        StateEvent::BakeOver { verdict: Verdict::Inconclusive, events } => {
            let text = format!("the new build did not crash; {events} events are too few to say more (inconclusive)");
            (Level::INFO, text)
        }
        StateEvent::BakeOver { verdict: Verdict::Superseded, .. } => {
            (Level::DEBUG, "the bake was cut short".to_owned())
        }
        StateEvent::DrainTimedOut { generation } => {
            let text =
                format!("generation {generation} did not finish its drain in time; what it had is delivered again");
            (Level::WARN, text)
        }
        StateEvent::OldGone { generation, cause } => {
            (Level::WARN, format!("generation {generation}, which was no longer active, ended: {cause}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_says_when_and_after_what() {
        assert_eq!(restarting(Duration::ZERO, 0), "restarting now");
        assert_eq!(restarting(Duration::from_secs(2), 1), "restarting in 2 s, after 1 start that did not stay up");
        let third = "restarting in 4 s, after 3 starts in a row that did not stay up";
        assert_eq!(restarting(Duration::from_secs(4), 3), third);
    }
}
