//! What a plugin says of itself. It reaches the shim and the host as JSON, in which an older reader passes over what it
//! does not know, and a newer one has a default for what is not there.

use serde::{Deserialize, Serialize};

/// A plugin's own description. Not to be trusted: the host bounds and checks every field before use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// The handlers of events that are no commands; an [`Occurrence`](crate::event::Occurrence) names one by its place here.
    pub subscriptions: Vec<Subscription>,
    /// The version of what it keeps in the store; 0 for a plugin that keeps nothing.
    pub store_version: u32,
    /// Whether it can bring a store of an older version up to `store_version`.
    pub migrates: bool,
}

/// A handler of events that are no commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subscription {
    /// The name of a [`Kind`](crate::event::Kind). A kind that the host does not know is a reason not to load the plugin.
    pub kind: String,
    /// Of messages: the regular expression that a line must match. Of signals: the topic. Of a timer: its name, `*` for every
    /// name that no other handler has. Else empty.
    pub pattern: String,
    /// Of a timer: the cron expression by which it fires for ever, `""` for one that handlers set.
    pub cron: String,
    /// The time zone of `cron`; UTC when empty.
    pub zone: String,
}

/// What a plugin says of itself in version 1, inside [`crate::message::ToHost::Loaded`]. Its fields never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestV1 {
    /// As [`Manifest::name`].
    pub name: String,
    /// As [`Manifest::version`].
    pub version: String,
    /// As [`Manifest::api`].
    pub api: String,
    /// As [`Manifest::description`].
    pub description: String,
    /// As [`Manifest::commands`].
    pub commands: Vec<CommandV1>,
    /// As [`Manifest::probe`].
    pub probe: Option<String>,
    /// As [`Manifest::reload`].
    pub reload: ReloadMode,
    /// As [`Manifest::state_version`].
    pub state_version: u32,
    /// As [`Manifest::reads_state`].
    pub reads_state: (u32, u32),
}

/// A command in version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandV1 {
    /// As [`Command::name`].
    pub name: String,
    /// As [`Command::aliases`].
    pub aliases: Vec<String>,
    /// As [`Command::usage`].
    pub usage: String,
    /// As [`Command::help`].
    pub help: String,
    /// As [`Command::cooldown_ms`].
    pub cooldown_ms: u32,
}

impl From<ManifestV1> for Manifest {
    fn from(old: ManifestV1) -> Self {
        let ManifestV1 { name, version, api, description, commands, probe, reload, state_version, reads_state } = old;
        let commands = commands.into_iter().map(|CommandV1 { name, aliases, usage, help, cooldown_ms }| Command {
            name,
            aliases,
            usage,
            help,
            cooldown_ms,
            ..Command::default()
        });
        let commands = commands.collect();
        Self { name, version, api, description, commands, probe, reload, state_version, reads_state, ..Self::default() }
    }
}

/// One command of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// How long a channel waits between two uses by anyone, in milliseconds; 0 means not at all.
    pub channel_cooldown_ms: u32,
    /// How long everyone waits between two uses by anyone, in milliseconds; 0 means not at all.
    pub global_cooldown_ms: u32,
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
