//! The two builds of a change, as people read them.

use crate::slot::view::View;
use rosey_core::hash::Hash;

/// One build of a plugin: its version and its artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The version that it declares; `None` when that is no longer known.
    pub version: Option<String>,
    /// The hash of its bytes.
    pub artifact: Hash,
}

impl Build {
    /// The build of a plugin with this artifact.
    pub fn of(view: &View, artifact: Hash) -> Self {
        Self { version: view.version(artifact).map(str::to_owned), artifact }
    }

    /// Its version, or its artifact if the version is unknown.
    pub fn short(&self) -> String {
        self.version.clone().unwrap_or_else(|| self.artifact.short())
    }

    fn long(&self) -> String {
        match &self.version {
            Some(version) => format!("{version} ({})", self.artifact.short()),
            None => self.artifact.short(),
        }
    }
}

/// The builds before and after a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildChange {
    /// The build that runs before; `None` if none does.
    pub from: Option<Build>,
    /// The build that runs after; `None` if it is the same.
    pub to: Option<Build>,
}

impl BuildChange {
    /// Each build as a short text: its version, with the artifact if both have the same version.
    pub fn texts(&self) -> (Option<String>, Option<String>) {
        let alike = matches!((&self.from, &self.to), (Some(from), Some(to)) if from.version == to.version);
        let text = |build: &Build| if alike { build.long() } else { build.short() };
        (self.from.as_ref().map(text), self.to.as_ref().map(text))
    }

    /// `dice-roller 1.0.0 → 1.1.0`, `dice-roller not running → 1.1.0`, `dice-roller 1.0.0`.
    pub fn of(&self, plugin: &str) -> String {
        match self.texts() {
            (from, Some(to)) => format!("{plugin} {} → {to}", from.as_deref().unwrap_or("not running")),
            (Some(from), None) => format!("{plugin} {from}"),
            (None, None) => plugin.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(version: &str, byte: u8) -> Option<Build> {
        let version = Some(version.to_owned()).filter(|version| !version.is_empty());
        Some(Build { version, artifact: Hash::from_bytes([byte; 32]) })
    }

    #[test]
    fn ends_are_versions_and_artifacts_where_those_do_not_tell() {
        let text = |from, to| BuildChange { from, to }.of("x");
        assert_eq!(text(build("1.0.0", 1), build("1.1.0", 2)), "x 1.0.0 → 1.1.0");
        assert_eq!(text(build("1.0.0", 1), build("1.0.0", 2)), "x 1.0.0 (010101010101) → 1.0.0 (020202020202)");
        assert_eq!(text(None, build("1.0.0", 1)), "x not running → 1.0.0");
        assert_eq!(text(build("1.0.0", 1), build("", 2)), "x 1.0.0 → 020202020202");
        assert_eq!(text(build("1.0.0", 1), None), "x 1.0.0");
        assert_eq!(text(None, None), "x");
    }
}
