//! The configuration: TOML or JSON, read once at the start. docs/CONFIG.md lists names and defaults.
//!
//! Relative paths count from the folder of the file. `read` takes the values from a file and names what is wrong with
//! it.

use crate::{
    admin::permission::Role,
    connect::config::Connect,
    dashboard::instead,
    plugins::{Catalog, PluginConfig, Sandbox, SettingsPlaces, set::library_name},
    settings::{Document, Origin, Problem, in_link},
};
use layers::Origins;
pub use limits::LimitsConfig;
use rosey_core::limits::Limits;
use rosey_wire::manifest::ReloadMode;
pub use sandbox::{Require, SandboxConfig};
pub use schema::schema;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

mod layers;
mod limits;
mod read;
mod sandbox;
mod schema;

/// Settings and tables that Rosey takes over while it runs.
const LIVE: [&str; 11] = [
    "owner",
    "admins",
    "roles",
    "admin.per_minute",
    "admin.cooldown",
    "admin.trust_nicks",
    "admin.two_person",
    "plugin_dir",
    "plugins",
    "limits",
    "sandbox",
];

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The person who may do everything.
    pub owner: Option<String>,
    /// The operators.
    pub admins: Vec<String>,
    /// Roles of other people, by name: `viewer`, `operator` or `owner`.
    pub roles: BTreeMap<String, Role>,
    /// The prefixes of commands in channels that have their own, by `CONNECTOR:CHANNEL`.
    pub prefixes: BTreeMap<String, String>,
    /// Settings of the admin.
    pub admin: Admin,
    /// The plugin folder, where Rosey looks for `lib<name>.so`; default: where the build or the package of this `rosey` puts them.
    pub plugin_dir: PathBuf,
    /// Artifacts, `rosey.db` and the run directory.
    pub state_dir: PathBuf,
    /// The shim's executable; default: beside `rosey`.
    pub shim: Option<PathBuf>,
    /// Whether one started shim waits, so that the next reload or restart needs no new process.
    pub spare_shim: bool,
    /// Whether Rosey sends a plugin's line again that was on its way when Rosey was killed.
    pub repeat_lines: bool,
    /// The connectors.
    pub connect: Connect,
    /// Where the dashboard listens, and who may use it.
    pub dashboard: Dashboard,
    /// Where Prometheus reads the metrics.
    pub metrics: Metrics,
    /// Limits of all plugins.
    pub limits: LimitsConfig,
    /// What the sandbox of every plugin must hold.
    pub sandbox: Require,
    /// The tables under `[plugins]`, by name.
    pub plugins: BTreeMap<String, Plugin>,
    /// The file of the configuration.
    pub file: Option<PathBuf>,
    /// Each setting that it has, as text, to tell which ones change.
    pub values: BTreeMap<String, String>,
    /// Where settings come from, if not from the file.
    pub origins: Origins,
}

/// Settings of the admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Queries a minute for each person in chat, and as many changes.
    pub per_minute: u32,
    /// Pause between two changes of a plugin. A rollback and a stop do not wait.
    pub cooldown: Duration,
    /// Whether a nick that the chat network did not verify counts as the admin of that name.
    pub trust_nicks: bool,
    /// The commands that need the yes of a second person.
    pub two_person: Vec<String>,
    /// The file with a copy of the audit, as JSON lines; `None` for only `rosey.db`.
    pub audit_file: Option<PathBuf>,
}

/// Settings of the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Whether the dashboard runs.
    pub enabled: bool,
    /// The address it listens on.
    pub host: String,
    /// The port it listens on; 0 for any free port.
    pub port: u16,
    /// Whether everyone who can reach the address may read without a token.
    pub public: bool,
    /// A client with the token may act. If other machines can reach the address, a client needs the token to read, too.
    pub token: Option<String>,
    /// A file with the token, instead of the token itself.
    pub token_file: Option<PathBuf>,
    /// The address by which people reach it, such as `https://bot.example/rosey/`. `!admin metrics` says it, and its
    /// host name is allowed.
    pub url: Option<String>,
    /// Host names by which browsers may reach it, besides its address and this machine's own names.
    pub allowed_hosts: Vec<String>,
    /// Addresses or networks of proxies whose forwarded headers count.
    pub trusted_proxies: Vec<String>,
    /// The path under which a proxy passes requests on, such as `/rosey`, if the proxy does not remove it; empty for none.
    pub base_path: String,
    /// Whether the bot stops when the dashboard cannot start.
    pub required: bool,
}

/// Settings of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Time between two measurements of all plugins.
    pub poll_interval: Duration,
    /// How far back the history goes.
    pub history_duration: Duration,
    /// Whether `/metrics` answers.
    pub prometheus_enabled: bool,
}

/// The table `[plugins.NAME]`.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Whether it runs.
    pub enabled: bool,
    /// The library; default: `plugin_dir/lib<name>.so`.
    pub library: Option<PathBuf>,
    /// The group in which the dashboard shows it.
    pub group: Option<String>,
    /// `overlap`, `handoff` or `exclusive`; default: what the plugin declares.
    pub reload: Option<ReloadMode>,
    /// A command line without the prefix; default: what the plugin declares.
    pub probe: Option<String>,
    /// Whether Rosey writes the commands of the plugin down before it accepts them, so that they outlive the host.
    pub journal: bool,
    /// The channels in which the plugin may speak unasked, as `CONNECTOR:CHANNEL`.
    pub speaks_in: Vec<String>,
    /// The plugin's own settings.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Where they stand in the file, by name; under the empty name their table.
    pub config_lines: BTreeMap<String, usize>,
    /// What it may do beside handling events.
    pub sandbox: SandboxConfig,
    /// Limits that differ from those of all plugins.
    pub limits: LimitsConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            owner: None,
            admins: Vec::new(),
            roles: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            admin: Admin::default(),
            plugin_dir: plugins_of_this_build(),
            state_dir: ".rosey".into(),
            shim: None,
            spare_shim: true,
            repeat_lines: true,
            connect: Connect::default(),
            dashboard: Dashboard::default(),
            metrics: Metrics::default(),
            limits: LimitsConfig::default(),
            sandbox: Require::default(),
            plugins: BTreeMap::new(),
            file: None,
            values: BTreeMap::new(),
            origins: Origins::new(),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            per_minute: 10,
            cooldown: Duration::from_secs(2),
            trust_nicks: false,
            two_person: Vec::new(),
            audit_file: None,
        }
    }
}

impl Default for Dashboard {
    fn default() -> Self {
        Self {
            enabled: false,
            host: "127.0.0.1".into(),
            port: 8080,
            public: false,
            token: None,
            token_file: None,
            url: None,
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            base_path: String::new(),
            required: true,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(5),
            history_duration: Duration::from_secs(3600),
            prometheus_enabled: true,
        }
    }
}

impl Default for Plugin {
    fn default() -> Self {
        Self {
            enabled: true,
            library: None,
            group: None,
            reload: None,
            probe: None,
            journal: false,
            speaks_in: Vec::new(),
            config: serde_json::Map::new(),
            config_lines: BTreeMap::new(),
            sandbox: SandboxConfig::default(),
            limits: LimitsConfig::default(),
        }
    }
}

/// The problems of a configuration, a line each.
#[derive(Debug)]
pub struct ConfigError {
    /// The file as it was named on the command line.
    pub file: PathBuf,
    /// What is wrong, with what would be right.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        let count = self.problems.len();
        if count > 1 {
            write!(out, "there are {count} problems with the configuration")?;
        }
        let head = if count > 1 { "\n" } else { "" };
        for problem in &self.problems {
            match &problem.origin {
                Some(origin) => write!(out, "{head}{}: {problem}", origin.at(problem.line))?,
                None if problem.line > 0 => write!(out, "{head}{file}:{}: {problem}", problem.line)?,
                None => write!(out, "{head}{file}: {problem}")?,
            }
        }
        Ok(())
    }
}

/// A file, read as far as it makes sense. `config` has the default of each setting that is wrong, and `problems` names
/// it.
#[derive(Debug, Default)]
pub struct ConfigFile {
    /// The path of the file.
    pub path: PathBuf,
    /// The settings.
    pub config: Config,
    /// Every mistake found in the file, in the order of its lines.
    pub problems: Vec<Problem>,
    /// Whether the file is TOML or JSON at all. If not, `config` is the default.
    pub is_readable: bool,
    document: Document,
}

impl ConfigFile {
    /// Adds a problem that shows only when a setting is used, unless that setting already has one.
    pub fn add(&mut self, problem: Problem) {
        let is_within = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
        let is_known = self.problems.iter().any(|known| {
            let (known, new) = (&known.setting, &problem.setting);
            known == new || is_within(new, known) || is_within(known, new)
        });
        if !is_known {
            let problem = self.config.place(self.document.place(problem));
            self.problems.push(problem);
        }
    }

    /// The configuration.
    ///
    /// # Errors
    /// [`ConfigError`], when there is a problem.
    pub fn into_config(mut self) -> Result<Config, ConfigError> {
        if self.problems.is_empty() {
            return Ok(self.config);
        }
        self.problems.sort_by(|one, other| (&one.origin, one.line).cmp(&(&other.origin, other.line)));
        Err(ConfigError { file: self.path, problems: self.problems })
    }
}

impl Config {
    /// Reads a file: as JSON if its name says so or it begins with a brace, else as TOML.
    ///
    /// # Errors
    /// [`ConfigError`], which names each problem.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        ConfigFile::read(file).into_config()
    }

    /// The default without a file, with two of the plugins that come with Rosey.
    ///
    /// # Errors
    /// [`ConfigError`], which names each problem with a variable or a credential.
    pub fn embedded() -> Result<Self, ConfigError> {
        ConfigFile::embedded().into_config()
    }

    /// The enabled plugins, each with all of its settings.
    pub fn plugins(&self) -> Vec<PluginConfig> {
        let enabled = self.plugins.iter().filter(|(_, plugin)| plugin.enabled);
        enabled.map(|(name, plugin)| self.plugin(name, plugin)).collect()
    }

    /// What this configuration says of the set of plugins.
    pub fn catalog(&self) -> Catalog {
        let configured =
            |(name, plugin): (&String, &Plugin)| (name.clone(), (self.plugin(name, plugin), plugin.enabled));
        Catalog {
            plugin_dir: self.plugin_dir.clone(),
            configured: self.plugins.iter().map(configured).collect(),
            plain: self.plugin("", &Plugin::default()),
        }
    }

    /// The settings that differ in a newer configuration, and that only a restart of Rosey takes over.
    pub fn needs_restart(&self, new: &Self) -> Vec<String> {
        let names: BTreeSet<_> = self.values.keys().chain(new.values.keys()).collect();
        let is_live = |name: &&&String| {
            LIVE.iter().any(|live| name.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        let differ = names.into_iter().filter(|name| self.values.get(*name) != new.values.get(*name));
        differ.filter(|name| !is_live(&name)).cloned().collect()
    }

    /// The file that a setting comes from, if it comes from one.
    pub fn file_of(&self, setting: &str) -> Option<PathBuf> {
        match layers::origin(&self.origins, setting) {
            None => self.file.clone(),
            Some(Origin::File(path)) => Some(path.clone()),
            Some(Origin::Whole(_)) => None,
        }
    }

    /// The settings in force, aligned, for `rosey check`.
    pub fn summary(&self) -> String {
        let names = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let mut rows = vec![
            ("owner", self.owner.clone().unwrap_or_else(|| "none".to_owned())),
            ("admins", names(&self.admins)),
            ("roles", self.roles.iter().map(|(name, role)| format!("{name} {role}")).collect::<Vec<_>>().join(", ")),
            ("state_dir", self.state_dir.display().to_string()),
        ];
        rows.extend(self.connect.summary());
        let dashboard = &self.dashboard;
        rows.push((
            "dashboard",
            match dashboard.enabled {
                true => format!("http://{}:{}/", in_link(&dashboard.host), dashboard.port),
                false => "off".to_owned(),
            },
        ));
        let instead = instead(&dashboard.host, dashboard.public, dashboard.token.is_some());
        rows.extend(
            instead.filter(|_| dashboard.enabled).map(|(_, warning)| ("dashboard", format!("WARNING: {warning}"))),
        );
        let from: Vec<_> =
            self.origins.values().map(|origin| origin.at(0)).collect::<BTreeSet<_>>().into_iter().collect();
        rows.extend((!from.is_empty()).then(|| ("also from", from.join(", "))));
        rows.retain(|(name, value)| *name != "roles" || !value.is_empty());
        rows.extend(self.admin.audit_file.iter().map(|file| ("audit_file", file.display().to_string())));
        if self.admin.trust_nicks {
            rows.push(("admin", "WARNING: trusts unverified nicks".to_owned()));
        }
        rows.extend(self.lonely().map(|warning| ("two_person", format!("WARNING: {warning}"))));
        let plugins = self.plugins();
        rows.extend(plugins.iter().map(|plugin| ("plugin", format!("{}  {}", plugin.name, plugin.library.display()))));
        rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
    }

    fn plugin(&self, name: &str, plugin: &Plugin) -> PluginConfig {
        let mut limits = Limits::default();
        self.limits.apply(&mut limits);
        plugin.limits.apply(&mut limits);
        let library = plugin.library.clone();
        PluginConfig {
            name: name.to_owned(),
            library: library.unwrap_or_else(|| self.plugin_dir.join(library_name(name))),
            group: plugin.group.clone(),
            reload: plugin.reload,
            probe: plugin.probe.clone(),
            journal: plugin.journal,
            speaks_in: plugin.speaks_in.clone(),
            config: serde_json::Value::Object(plugin.config.clone()),
            config_places: self.places_of(name, plugin),
            sandbox: self.sandbox_of(&plugin.sandbox),
            limits,
        }
    }

    /// Where the own settings of a plugin come from.
    fn places_of(&self, name: &str, plugin: &Plugin) -> SettingsPlaces {
        let file = self.file.clone().map(Origin::File);
        let place = |(own, line): (&String, &usize)| {
            let setting = format!("plugins.{name}.config.{own}");
            let origin = layers::origin(&self.origins, setting.trim_end_matches('.')).or(file.as_ref())?;
            Some((own.clone(), origin.at(*line)))
        };
        let whole = file.iter().map(|file| (String::new(), file.at(0)));
        SettingsPlaces(whole.chain(plugin.config_lines.iter().filter_map(place)).collect())
    }

    fn sandbox_of(&self, plugin: &SandboxConfig) -> Sandbox {
        Sandbox {
            profile: plugin.profile,
            network: plugin.network(),
            files: plugin.files.clone(),
            writable: plugin.writable.clone(),
            processes: plugin.processes,
            require: self.sandbox.rules(),
            landlock: None,
        }
    }

    fn resolve(&mut self, base: &Path) {
        self.plugin_dir = base.join(&self.plugin_dir);
        self.state_dir = base.join(&self.state_dir);
        self.shim = self.shim.take().map(|shim| base.join(shim));
        self.admin.audit_file = self.admin.audit_file.take().map(|file| base.join(file));
        self.dashboard.token_file = self.dashboard.token_file.take().map(|file| base.join(file));
        self.connect.resolve(base);
        for plugin in self.plugins.values_mut() {
            plugin.library = plugin.library.take().map(|library| base.join(library));
            plugin.sandbox.resolve(base);
        }
    }
}

/// Where cargo puts the libraries, or where the package of a system does.
fn plugins_of_this_build() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let installed = executable.with_file_name("../lib/rosey/plugins");
    if installed.is_dir() { installed } else { executable.parent().map(Path::to_owned).unwrap_or_default() }
}

#[cfg(test)]
mod tests;
