//! A plugin's description of itself. It reaches the shim and the host as JSON: an older reader skips fields that it
//! does not know, and a newer one has defaults for fields that are missing.

use serde::{Deserialize, Serialize};

/// A plugin's description of itself. Untrusted: the host bounds and checks every field before use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// The package name, `dice-roller`.
    pub name: String,
    /// The package version, `1.1.0`.
    pub version: String,
    /// The version of `plugin-api` that it was built with.
    pub api: String,
    /// One line about the plugin.
    pub description: String,
    /// The commands that users may type.
    pub commands: Vec<Command>,
    /// The command line of the probe, without the prefix: `roll 1d20`. `None` for no probe.
    pub probe: Option<String>,
    /// The reload mode that the plugin asks for.
    pub reload: ReloadMode,
    /// The version of the state that `snapshot` writes.
    pub state_version: u32,
    /// The oldest and the newest state version that `restore` reads.
    pub reads_state: (u32, u32),
    /// The handlers of events that are no commands. An [`Occurrence`](crate::event::Occurrence) names one by its index
    /// here.
    pub subscriptions: Vec<Subscription>,
    /// The version of the plugin's data in the store; 0 for a plugin without such data.
    pub store_version: u32,
    /// Whether it can migrate a store of an older version to `store_version`.
    pub migrates: bool,
    /// The settings. Empty when the plugin does not describe them.
    pub settings: Vec<Setting>,
    /// What it needs beside its own folder and the system's libraries.
    pub wishes: Wishes,
}

/// What a plugin needs of its sandbox. The operator grants it; by itself it gives nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wishes {
    /// Where it connects to, as `HOST:PORT`; `*` stands for every host and for every port.
    pub network: Vec<String>,
    /// Files and folders that it reads.
    pub files: Vec<String>,
    /// Whether it starts processes.
    pub processes: bool,
    /// Memory that it needs, in MiB; 0 when it does not say.
    pub memory: u64,
}

/// The description of one setting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    /// The name in the operator's file.
    pub name: String,
    /// What it is for, in one line.
    pub help: String,
    /// The kind of value in plain words; may be empty.
    pub kind: String,
    /// What a number counts; may be empty.
    pub unit: String,
    /// The values that it may have: `1 to 100`; empty for all.
    pub range: String,
    /// The default, as the operator would write it; may be empty.
    pub default: String,
    /// Whether it must be set.
    pub required: bool,
    /// Whether its value is secret, and never shown.
    pub secret: bool,
}

/// A handler of events that are no commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subscription {
    /// The name of a [`Kind`](crate::event::Kind). The host refuses a plugin with a kind that it does not know.
    pub kind: String,
    /// For messages: the regular expression that a line must match. For signals: the topic. For a timer: its name, or
    /// `*` for every name without another handler. Otherwise empty.
    pub pattern: String,
    /// For a timer: the cron expression at which it fires, or empty for a timer that handlers set.
    pub cron: String,
    /// The time zone of `cron`; UTC when empty.
    pub zone: String,
}

/// A plugin's description of itself in version 1, inside [`crate::message::ToHost::Loaded`]. Its fields never change.
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

/// The names that [`Command::requires`] may have, each including those before it.
pub const ROLES: [&str; 3] = ["viewer", "operator", "owner"];

/// One command of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Command {
    /// The name, without the prefix.
    pub name: String,
    /// Further names of the command.
    pub aliases: Vec<String>,
    /// `!roll 2d6+3`
    pub usage: String,
    /// One line of help.
    pub help: String,
    /// How long one user must wait between two uses, in milliseconds; 0 for not at all.
    pub cooldown_ms: u32,
    /// How long a channel must wait between two uses by anyone, in milliseconds; 0 for not at all.
    pub channel_cooldown_ms: u32,
    /// How long everyone must wait between two uses by anyone, in milliseconds; 0 for not at all.
    pub global_cooldown_ms: u32,
    /// The role that a person needs: `viewer`, `operator` or `owner`; empty for everyone. The host refuses a plugin with
    /// a role that it does not know.
    pub requires: String,
    /// Which answers wait for each other.
    pub order: Order,
    /// The commands behind the first word of the arguments: `search` in `!quotes search WORD`. They have none
    /// themselves.
    pub subcommands: Vec<Self>,
}

impl Command {
    /// The subcommand that these arguments begin with, in upper or lower case.
    pub fn subcommand(&self, args: &str) -> Option<&Self> {
        let word = args.split_whitespace().next().filter(|_| !self.subcommands.is_empty())?.to_lowercase();
        self.subcommands
            .iter()
            .find(|it| std::iter::once(&it.name).chain(&it.aliases).any(|name| name.to_lowercase() == word))
    }
}

/// Which answers of one plugin come in the order in which people asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Those to everyone in one channel, of all commands with this order.
    Channel,
    /// None: each answer comes as soon as it is there.
    None,
    /// Those to one person in one channel. An order that this version does not know counts as this one.
    #[default]
    #[serde(other)]
    User,
}

/// How a new generation replaces the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadMode {
    /// Both run for a moment; the old one answers the events that it has.
    #[default]
    Overlap,
    /// Events wait while the state moves from the old generation to the new one.
    Handoff,
    /// The old generation stops before the new one starts.
    Exclusive,
}
