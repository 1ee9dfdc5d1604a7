//! What an operator says of one plugin.

use crate::process::start::OwnSettings;
use rosey_core::limits::Limits;
use rosey_wire::manifest::ReloadMode;
use std::{path::PathBuf, sync::Arc};

/// One plugin, as the operator configured it.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// The NAME of `[plugins.NAME]`.
    pub name: String,
    /// Where the build puts its library.
    pub library: PathBuf,
    /// The reload mode, instead of the one that the plugin declares.
    pub reload: Option<ReloadMode>,
    /// The probe, instead of the one that the plugin declares.
    pub probe: Option<String>,
    /// Whether its commands are written down before they are accepted, so that they outlive the host.
    pub journal: bool,
    /// The channels that it may speak in unasked, as `CONNECTOR:CHANNEL`.
    pub speaks_in: Vec<String>,
    /// Its own settings, a JSON object.
    pub config: serde_json::Value,
    /// The file that these come from, for advice.
    pub config_file: Option<PathBuf>,
    /// Limits in force.
    pub limits: Limits,
}

impl PluginConfig {
    /// Its own settings, as its processes get them.
    pub fn own(&self) -> Arc<OwnSettings> {
        Arc::new(OwnSettings { json: self.config.to_string(), file: self.config_file.clone() })
    }
}
