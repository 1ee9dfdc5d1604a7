//! What a plugin runs after a start of the host, and why, where an operator may expect another build.

use rosey_core::hash::Hash;
use tracing::Level;

/// What is run, and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupChoice {
    /// What is run.
    pub artifact: Hash,
    /// Good artifacts that the store has lost, the newest first, each with what became of it.
    pub lost: Vec<(Hash, String)>,
    /// What ran last, and was not found good.
    pub unproven: Option<Hash>,
    /// What lies in the build folder, where that is another build.
    pub other: Option<OtherBuild>,
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
    /// Whether it is what everybody expects.
    pub fn is_plain(&self) -> bool {
        self.lost.is_empty() && self.unproven.is_none() && self.other.is_none()
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
        let mut parts: Vec<_> = self.lost.iter().map(|(_, why)| why.clone()).collect();
        if let Some(unproven) = self.unproven {
            parts.push(format!("artifact {}, which ran last, had not passed its bake", unproven.short()));
        }
        match self.other {
            Some(OtherBuild { artifact, blocked: true }) => parts.push(format!(
                "what lies in the build folder (artifact {}) was rolled back from; build a new one",
                artifact.short()
            )),
            Some(OtherBuild { artifact, .. }) => {
                parts.push(format!("another build lies in the build folder (artifact {}): {reload}", artifact.short()))
            }
            None => {}
        }
        format!("it runs artifact {}: {}", self.artifact.short(), parts.join("; "))
    }
}
