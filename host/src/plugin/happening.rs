//! What happens to plugins in words: one line each, with what to do where there is something to do.

use super::output::last_words;
use super::slot::{
    message::{Happening, What},
    state::{Fault, Note, StateLeft, Verdict},
};
use crate::time::short;
use tracing::Level;

impl Happening {
    /// Writes the log line.
    pub fn log(&self) {
        let (plugin, (level, text)) = (&*self.plugin, self.line());
        match level {
            Level::ERROR => tracing::error!(plugin, "{text}"),
            Level::WARN => tracing::warn!(plugin, "{text}"),
            Level::INFO => tracing::info!(plugin, "{text}"),
            _ => tracing::debug!(plugin, "{text}"),
        }
    }

    /// How bad it is, and the line.
    pub fn line(&self) -> (Level, String) {
        match &self.what {
            What::Note(note) => note_line(note),
            What::Crash(crash) => {
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
            What::Picked(pick) => (pick.level(), pick.text(&format!("reload {}", self.plugin))),
            What::Manifest(manifest) => {
                (Level::DEBUG, format!("version {}, {} commands", manifest.version, manifest.commands.len()))
            }
            What::Changed { kind, result: Ok(done), took } => {
                let generation = done.generation.map(|number| format!(", generation {number}")).unwrap_or_default();
                (Level::INFO, format!("{kind} done in {}{generation}", short(*took)))
            }
            What::Changed { kind, result: Err(error), .. } => (Level::WARN, format!("{kind} refused: {error}")),
            What::Health { answers: true } => (Level::INFO, "it answers again".to_owned()),
            What::Health { answers: false } => (Level::WARN, "it does not answer".to_owned()),
            What::DeadLetter { text } => {
                (Level::ERROR, format!("an event was executing at two crashes and is set aside: {text}"))
            }
        }
    }
}

/// What is left of a plugin's state after a rollback, behind what else is said of it.
pub fn left(state: Option<StateLeft>) -> String {
    state.map(|state| format!("; {state}")).unwrap_or_default()
}

fn note_line(note: &Note) -> (Level, String) {
    match note {
        Note::Active { generation, artifact } => {
            (Level::INFO, format!("generation {generation} is active, artifact {}", artifact.short()))
        }
        // The crash itself says more.
        Note::Crashed { generation, .. } => (Level::DEBUG, format!("the active generation {generation} is gone")),
        Note::StartFailed { generation, why } => {
            (Level::ERROR, format!("generation {generation} did not start: {why}"))
        }
        Note::Restarting { after, failures } => {
            let when = if after.is_zero() { "at once".to_owned() } else { format!("in {}", short(*after)) };
            let starts = if *failures == 1 { "1 start".to_owned() } else { format!("{failures} starts") };
            (Level::WARN, format!("starting again {when}, after {starts} that did not last"))
        }
        // Of its settings it says itself what helps.
        Note::GaveUp { why, fault: Fault::Settings } => (Level::ERROR, format!("FAILED and stays down: {why}")),
        Note::GaveUp { why, .. } => {
            let text = format!("FAILED and stays down: {why}. Reload it with a new build, or start it by hand");
            (Level::ERROR, text)
        }
        Note::RolledBack { from, to, why, warm, state } => {
            let how = if *warm { "its process was still there" } else { "it is being started" };
            let (from, to) = (from.short(), to.short());
            let text =
                format!("ROLLED BACK from {from} to {to}: {why}; what ran before serves again ({how}){}", left(*state));
            (Level::ERROR, text)
        }
        Note::BakeOver { verdict: Verdict::Good, events } => {
            (Level::INFO, format!("the new build is good, after {events} events"))
        }
        Note::BakeOver { verdict: Verdict::Inconclusive, events } => {
            let text = format!("the new build did not crash; {events} events are too few to say more (inconclusive)");
            (Level::INFO, text)
        }
        Note::BakeOver { verdict: Verdict::Superseded, .. } => (Level::DEBUG, "the bake was cut short".to_owned()),
        Note::DrainTimedOut { generation } => {
            let text =
                format!("generation {generation} did not finish its drain in time; what it had is delivered again");
            (Level::WARN, text)
        }
        Note::OldGone { generation, cause } => {
            (Level::WARN, format!("generation {generation}, which was no longer active, ended: {cause}"))
        }
    }
}
