//! What happens to plugins, as the log says it: one line each, with what to do where there is something to do.

use super::slot::{
    message::{Happening, What},
    state::{Note, Verdict},
};

impl Happening {
    /// Writes the log line.
    pub fn log(&self) {
        let plugin = &*self.plugin;
        match &self.what {
            What::Note(note) => log_note(plugin, note),
            What::Crash(crash) => {
                let executing =
                    if crash.executing.is_empty() { "nothing".to_owned() } else { crash.executing.join(" | ") };
                let last = crash.stderr.last().map(String::as_str).unwrap_or_default();
                tracing::error!(
                    plugin,
                    generation = crash.generation,
                    version = crash.version,
                    "crashed after {:.1} s: {}; it was executing: {executing}; its last words: {last}",
                    crash.uptime.as_secs_f32(),
                    crash.cause
                );
            }
            What::Manifest(manifest) => {
                tracing::debug!(plugin, version = manifest.version, "{} commands", manifest.commands.len());
            }
            What::Changed { kind, result: Ok(done), took } => {
                let generation = done.generation;
                tracing::info!(plugin, generation, "{kind} done in {:.1} ms", took.as_secs_f64() * 1e3);
            }
            What::Changed { kind, result: Err(error), .. } => tracing::warn!(plugin, "{kind} refused: {error}"),
            What::DeadLetter { text } => {
                tracing::error!(plugin, "an event was executing at two crashes and is set aside: {text}");
            }
        }
    }
}

fn log_note(plugin: &str, note: &Note) {
    match note {
        Note::Active { generation, artifact } => {
            tracing::info!(plugin, generation, artifact = artifact.short(), "active");
        }
        // The crash itself says more.
        Note::Crashed { generation, .. } => tracing::debug!(plugin, generation, "the active generation is gone"),
        Note::StartFailed { generation, why } => tracing::error!(plugin, generation, "did not start: {why}"),
        Note::Restarting { after, failures } => {
            let seconds = after.as_secs_f32();
            tracing::warn!(plugin, failures, "starting again in {seconds:.2} s");
        }
        Note::GaveUp { why } => {
            tracing::error!(plugin, "FAILED and stays down: {why}. Reload it with a new build, or start it by hand");
        }
        Note::RolledBack { from, to, why, warm } => {
            let how = if *warm { "its process was still there" } else { "it is being started" };
            let (from, to) = (from.short(), to.short());
            tracing::error!(plugin, from, to, "ROLLED BACK: {why}; what ran before serves again ({how})");
        }
        Note::BakeOver { verdict: Verdict::Good, events } => tracing::info!(plugin, events, "the new build is good"),
        Note::BakeOver { verdict: Verdict::Inconclusive, events } => {
            tracing::info!(plugin, events, "the new build did not crash; too few events to say more (inconclusive)");
        }
        Note::BakeOver { verdict: Verdict::Superseded, .. } => tracing::debug!(plugin, "the bake was cut short"),
        Note::DrainTimedOut { generation } => {
            tracing::warn!(plugin, generation, "did not finish its drain in time; what it had is delivered again");
        }
        Note::OldGone { generation, cause } => tracing::warn!(plugin, generation, "an old generation ended: {cause}"),
    }
}
