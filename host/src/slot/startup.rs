//! Which build a plugin runs after a start of the host, and why, when an operator may expect another one.

use crate::time::exact;
use rosey_core::hash::Hash;
use std::{collections::BTreeMap, time::Duration};
use tracing::Level;

/// The build that runs, and the builds that do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupChoice {
    /// The artifact that runs.
    pub artifact: Hash,
    /// Whether it has yet to finish the trial that the last stop of the host interrupted.
    pub on_trial: bool,
    /// Good artifacts that the store has lost, the newest first, each with the reason.
    pub lost: Vec<(Hash, String)>,
    /// The artifact that ran last and did not pass its trial.
    pub unproven: Option<Hash>,
    /// Another build in the plugin folder, if there is one.
    pub other: Option<OtherBuild>,
    /// The known versions.
    pub versions: BTreeMap<Hash, String>,
    /// The length of a trial.
    pub trial: Duration,
}

/// A build in the plugin folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherBuild {
    /// The hash of the library.
    pub artifact: Hash,
    /// Whether it was rolled back.
    pub blocked: bool,
}

impl StartupChoice {
    /// This artifact, without anything to report.
    pub fn of(artifact: Hash, versions: BTreeMap<Hash, String>, trial: Duration) -> Self {
        Self { artifact, on_trial: false, lost: Vec::new(), unproven: None, other: None, versions, trial }
    }

    /// Whether an operator expects just this build.
    pub fn is_plain(&self) -> bool {
        !self.on_trial && self.lost.is_empty() && self.unproven.is_none() && self.other.is_none()
    }

    /// The level of the log line.
    pub fn level(&self) -> Level {
        match (self.lost.is_empty(), self.unproven) {
            (false, _) => Level::ERROR,
            (true, Some(_)) => Level::WARN,
            (true, None) => Level::INFO,
        }
    }

    /// Why the newest build does not run. `reload` is the command that changes to it.
    pub fn text(&self, reload: &str) -> String {
        let running = self.name(self.artifact, self.unproven);
        let mut text = match self.unproven {
            _ if self.on_trial => {
                format!("Running {running}. Its trial begins again: Rosey stopped before it was over.")
            }
            Some(unproven) => format!(
                "Running {running}, not {}: Rosey stopped before the new build finished its {} trial.",
                self.name(unproven, Some(self.artifact)),
                exact(self.trial)
            ),
            None => format!("Running {running}."),
        };
        for (_, why) in &self.lost {
            text += &format!(" A newer build is lost: {why}.");
        }
        match self.other {
            Some(other) if other.blocked => {
                text += " The build in the plugin folder was rolled back; build a new one.";
            }
            Some(other) if self.unproven == Some(other.artifact) => text += &format!(" To use it: {reload}."),
            Some(_) => text += &format!(" The plugin folder has another build. To use it: {reload}."),
            None => {}
        }
        text
    }

    /// A build by its version, with its artifact if the other build has the same version or it has none.
    fn name(&self, artifact: Hash, other: Option<Hash>) -> String {
        let version = |artifact| self.versions.get(&artifact);
        match version(artifact) {
            Some(known) if other.and_then(version) == Some(known) => format!("{known} ({})", artifact.short()),
            Some(known) => known.clone(),
            None => format!("artifact {}", artifact.short()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_was_cut_short_is_told_with_what_to_do() {
        let (old, new) = (Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
        let versions = BTreeMap::from([(old, "1.0.0".to_owned()), (new, "1.2.0".to_owned())]);
        let mut choice = StartupChoice {
            unproven: Some(new),
            other: Some(OtherBuild { artifact: new, blocked: false }),
            ..StartupChoice::of(old, versions, Duration::from_secs(30))
        };
        assert_eq!(
            choice.text("!admin reload dice-roller"),
            "Running 1.0.0, not 1.2.0: Rosey stopped before the new build finished its 30 s trial. \
             To use it: !admin reload dice-roller."
        );
        choice.versions.insert(new, "1.0.0".to_owned());
        let both = "Running 1.0.0 (010101010101), not 1.0.0 (020202020202): ";
        assert!(choice.text("").starts_with(both), "{}", choice.text(""));
        choice.other = None;
        assert!(choice.text("!admin reload x").ends_with("its 30 s trial."), "a reload would find nothing new");
    }
}
