//! The configuration of one plugin.

use crate::process::start::{OwnSettings, SettingsFile};
use rosey_core::limits::Limits;
use rosey_wire::{
    manifest::ReloadMode,
    sandbox::{NEWEST_LANDLOCK, Network, Profile, Rule, SandboxPolicy},
};
use std::{path::PathBuf, sync::Arc};

/// Memory that one process can allocate at all, as a multiple of `memory_mb`: the host measures what is in use, and ends
/// the process, but not more often than every few seconds.
const DATA_FACTOR: u64 = 4;

/// The same, in bytes beyond that multiple: allocators and stacks reserve more than they use.
const DATA_MORE: u64 = 256 << 20;

/// The configuration of one plugin, with its limits.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// The NAME of `[plugins.NAME]`.
    pub name: String,
    /// The path where the build puts its library.
    pub library: PathBuf,
    /// The group in which the dashboard shows it.
    pub group: Option<String>,
    /// The reload mode, instead of the one that the plugin declares.
    pub reload: Option<ReloadMode>,
    /// The probe, instead of the one that the plugin declares.
    pub probe: Option<String>,
    /// Whether Rosey stores its commands before it accepts them, so that they outlive the host.
    pub journal: bool,
    /// The channels in which it may speak unasked, as `CONNECTOR:CHANNEL`.
    pub speaks_in: Vec<String>,
    /// The plugin's own settings, a JSON object.
    pub config: serde_json::Value,
    /// The file of these settings, for advice.
    pub config_file: Option<SettingsFile>,
    /// What it may do beside handling events.
    pub sandbox: Sandbox,
    /// Limits in force.
    pub limits: Limits,
}

/// The sandbox of one plugin: what the operator grants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sandbox {
    /// How strict it is.
    pub profile: Profile,
    /// The connections that the plugin may open.
    pub network: Network,
    /// What it may read besides its own folder and the system's libraries.
    pub files: Vec<PathBuf>,
    /// What it may read and change besides its own folder.
    pub writable: Vec<PathBuf>,
    /// Whether it may start processes.
    pub processes: bool,
    /// The rules that must hold.
    pub require: Vec<Rule>,
    /// The newest version of landlock to use instead of all: tests act an older kernel with it.
    pub landlock: Option<u8>,
}

impl PluginConfig {
    /// The rules for its processes.
    pub fn policy(&self) -> Arc<SandboxPolicy> {
        let texts = |paths: &[PathBuf]| paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let Sandbox { profile, network, files, writable, processes, require, landlock } = &self.sandbox;
        Arc::new(SandboxPolicy {
            profile: *profile,
            network: network.clone(),
            files: texts(files),
            writable: texts(writable),
            processes: *processes,
            data_bytes: (self.limits.memory_mb << 20) * DATA_FACTOR + DATA_MORE,
            require: require.clone(),
            landlock: landlock.unwrap_or(NEWEST_LANDLOCK),
        })
    }

    /// The plugin's own settings, as its processes get them.
    pub fn own(&self) -> Arc<OwnSettings> {
        Arc::new(OwnSettings { json: self.config.to_string(), file: self.config_file.clone() })
    }
}
