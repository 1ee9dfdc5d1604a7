//! The configuration of one plugin.

use crate::process::start::OwnSettings;
use rosey_core::limits::Limits;
use rosey_wire::manifest::ReloadMode;
use std::{path::PathBuf, sync::Arc};

/// The configuration of one plugin, with its limits.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// The NAME of `[plugins.NAME]`.
    pub name: String,
    /// The path where the build puts its library.
    pub library: PathBuf,
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
    pub config_file: Option<PathBuf>,
    /// Limits in force.
    pub limits: Limits,
}

impl PluginConfig {
    /// The plugin's own settings, as its processes get them.
    pub fn own(&self) -> Arc<OwnSettings> {
        Arc::new(OwnSettings { json: self.config.to_string(), file: self.config_file.clone() })
    }
}
