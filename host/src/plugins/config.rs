//! The configuration of one plugin.

use crate::{
    event,
    process::start::{OwnSettings, SettingsPlaces},
    slot::Settings,
};
use rosey_core::limits::Limits;
use rosey_wire::{
    manifest::ReloadMode,
    sandbox::{NEWEST_LANDLOCK, Network, Profile, Rule, SandboxPolicy},
};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

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
    pub config_places: SettingsPlaces,
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

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            library: PathBuf::new(),
            group: None,
            reload: None,
            probe: None,
            journal: false,
            speaks_in: Vec::new(),
            config: serde_json::Value::Object(serde_json::Map::new()),
            config_places: SettingsPlaces::default(),
            sandbox: Sandbox::default(),
            limits: Limits::default(),
        }
    }
}

/// Why no plugin may have this name.
pub fn name_problem(name: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) || name.starts_with('-') {
        return Some("the name of a plugin has 1 to 64 of a-z, 0-9 and -, and does not begin with -");
    }
    event::RESERVED.contains(&name).then_some("this name belongs to Rosey itself; call the plugin something else")
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

    /// The settings of its slot.
    pub fn settings(&self, own: &Arc<OwnSettings>) -> Settings {
        Settings {
            limits: self.limits.clone(),
            reload: self.reload,
            probe: self.probe.clone(),
            journal: self.journal,
            speaks_in: self.speaks_in.clone(),
            config: Arc::clone(own),
            sandbox: self.policy(),
        }
    }

    /// What differs in another configuration of the same plugin, in words: first what a new process needs, then what
    /// holds at once.
    pub fn differences(&self, new: &Self) -> (Vec<String>, Vec<String>) {
        let (mut process, mut at_once) = (Vec::new(), Vec::new());
        let none = serde_json::Map::new();
        let (old_own, new_own) = (self.config.as_object().unwrap_or(&none), new.config.as_object().unwrap_or(&none));
        let names: BTreeSet<_> = old_own.keys().chain(new_own.keys()).collect();
        let differ = names.into_iter().filter(|name| old_own.get(*name) != new_own.get(*name));
        process.extend(differ.map(|name| format!("config.{name}")));
        let note = |list: &mut Vec<String>, differs: bool, name: &str| list.extend(differs.then(|| name.to_owned()));
        note(&mut process, self.library != new.library, "library");
        note(&mut process, self.sandbox != new.sandbox, "sandbox");
        note(&mut process, self.limits.memory_mb != new.limits.memory_mb, "limits.memory_mb");
        let changed = self.limits.differences(&new.limits);
        at_once.extend(changed.into_iter().filter(|name| *name != "memory_mb").map(|name| format!("limits.{name}")));
        note(&mut at_once, self.group != new.group, "group");
        note(&mut at_once, self.reload != new.reload, "reload");
        note(&mut at_once, self.probe != new.probe, "probe");
        note(&mut at_once, self.journal != new.journal, "journal");
        note(&mut at_once, self.speaks_in != new.speaks_in, "speaks_in");
        (process, at_once)
    }

    /// The plugin's own settings, as its processes get them.
    pub fn own(&self) -> Arc<OwnSettings> {
        Arc::new(OwnSettings { json: self.config.to_string(), places: self.config_places.clone() })
    }
}
