//! What a plugin says of itself. It reaches the shim as JSON and the host inside [`crate::message::ToHost::Loaded`].

use serde::{Deserialize, Serialize};

/// A plugin's own description. Not to be trusted: the host bounds and checks every field before use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The package name, `dice-roller`.
    pub name: String,
    /// The package version, `1.1.0`.
    pub version: String,
    /// The version of `plugin-api` it was built against.
    pub api: String,
    /// One line about the plugin.
    pub description: String,
    /// What users may type.
    pub commands: Vec<Command>,
    /// The command line the host sends to see that a new build works, without the prefix: `roll 1d20`.
    pub probe: Option<String>,
    /// How it wants to be reloaded.
    pub reload: ReloadMode,
    /// The version of the state that `snapshot` writes.
    pub state_version: u32,
    /// The oldest and newest state version that `restore` reads.
    pub reads_state: (u32, u32),
}

/// One command of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its name, without the prefix.
    pub name: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// `!roll 2d6+3`
    pub usage: String,
    /// One line of help.
    pub help: String,
    /// How long one user waits between two uses, in milliseconds; 0 means not at all.
    pub cooldown_ms: u32,
}

/// How two generations follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadMode {
    /// Both run for a moment; the old one finishes what it has.
    #[default]
    Overlap,
    /// Events wait while the state moves from the old one to the new one.
    Handoff,
    /// The old one stops before the new one starts.
    Exclusive,
}
