//! What a plugin runs after a start of the host, and why, where an operator may expect another build.

use crate::time::exact;
use rosey_core::hash::Hash;
use std::{collections::BTreeMap, time::Duration};
use tracing::Level;

/// What is run, and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupChoice {
    /// What is run.
    pub artifact: Hash,
    /// Whether that has yet to finish the trial which the stop of the host before has cut short.
    pub on_trial: bool,
    /// Good artifacts that the store has lost, the newest first, each with what became of it.
    pub lost: Vec<(Hash, String)>,
    /// What ran last, and was not found good.
    pub unproven: Option<Hash>,
    /// What lies in the build folder, where that is another build.
    pub other: Option<OtherBuild>,
    /// The versions that are known.
    pub versions: BTreeMap<Hash, String>,
    /// How long a trial lasts.
    pub trial: Duration,
}

/// A build in the build folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherBuild {
    /// The hash of its bytes.
    pub artifact: Hash,
    /// Whether it was rolled back from.
    pub blocked: bool,
}

impl StartupChoice {
    /// This artifact, and nothing to say about it.
    pub fn of(artifact: Hash, versions: BTreeMap<Hash, String>, trial: Duration) -> Self {
        Self { artifact, on_trial: false, lost: Vec::new(), unproven: None, other: None, versions, trial }
    }

    /// Whether an operator expects just that.
    pub fn is_plain(&self) -> bool {
        !self.on_trial && self.lost.is_empty() && self.unproven.is_none() && self.other.is_none()
    }

    /// How bad it is.
    pub fn level(&self) -> Level {
        match (self.lost.is_empty(), self.unproven) {
            (false, _) => Level::ERROR,
            (true, Some(_)) => Level::WARN,
            (true, None) => Level::INFO,
        }
    }

    /// Why it is not the newest build that runs. `reload` is the command that changes to that.
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
                text += " The build in the build folder was rolled back from; build a new one.";
            }
            Some(other) if self.unproven == Some(other.artifact) => text += &format!(" To use it: {reload}."),
            Some(_) => text += &format!(" Another build lies in the build folder. To use that: {reload}."),
            None => {}
        }
        text
    }

    /// A build by its version; by its artifact as well where the other one has the same version, or it has none.
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
