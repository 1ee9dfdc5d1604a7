//! The configuration: TOML or JSON, read once at the start. Names and defaults are what docs/CONFIG.md says.
//!
//! Relative paths count from the folder of the file. `read` takes the values out of a file and names what is wrong with it.

use crate::{
    admin::permission::Role,
    connect::config::{Connect, ConsoleConfig},
    dashboard::instead,
    plugins::PluginConfig,
    settings::{Document, Problem, in_link},
};
pub use limits::LimitsConfig;
use rosey_core::limits::Limits;
use rosey_wire::manifest::ReloadMode;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

mod limits;
mod read;

/// Everything an operator can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may do everything.
    pub owner: Option<String>,
    /// Who may run admin commands besides.
    pub admins: Vec<String>,
    /// `viewer`, `operator` or `owner` by name, where `owner` and `admins` do not say enough.
    pub roles: BTreeMap<String, Role>,
    /// How admin commands are treated.
    pub admin: Admin,
    /// Where `lib<name>.so` is looked for.
    pub plugin_dir: PathBuf,
    /// Artifacts, `rosey.db` and the run directory.
    pub state_dir: PathBuf,
    /// The shim's executable; beside `rosey` unless set.
    pub shim: Option<PathBuf>,
    /// Whether one shim waits warm, so that the next reload or restart need not start a process first.
    pub spare_shim: bool,
    /// Whether a line that a plugin says unasked, and that was on its way when Rosey was killed, is said again.
    pub repeat_lines: bool,
    /// Where chat comes from.
    pub connect: Connect,
    /// The web page.
    pub dashboard: Dashboard,
    /// What is measured.
    pub metrics: Metrics,
    /// Limits of all plugins.
    pub limits: LimitsConfig,
    /// What is under `[plugins]`, by name.
    pub plugins: BTreeMap<String, Plugin>,
    /// The file that this was read from.
    pub file: Option<PathBuf>,
}

/// How admin commands are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Queries a minute for each person in chat, and as many changes.
    pub per_minute: u32,
    /// Between two changes of a plugin, in seconds. A rollback and a stop do not wait.
    pub cooldown: Duration,
    /// Whether a nick that the chat network did not verify counts as the admin of that name.
    pub trust_nicks: bool,
    /// Where the audit is written besides `rosey.db`, as JSON lines.
    pub audit_file: Option<PathBuf>,
}

/// The web page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Whether there is one.
    pub enabled: bool,
    /// The address it listens on.
    pub host: String,
    /// The port it listens on; 0 for any that is free.
    pub port: u16,
    /// Whether all who can reach the address may read, without a token.
    pub public: bool,
    /// Who shows this may act; where others can reach the address, it also takes this to read.
    pub token: Option<String>,
    /// Where people reach it, such as `https://bot.example/rosey/`: what chat is told, and a name by which it may be reached.
    pub url: Option<String>,
    /// Names by which it may be reached beside its address and this machine's own.
    pub allowed_hosts: Vec<String>,
    /// Addresses or networks of proxies whose word is taken for who asks, by which name, and whether encrypted.
    pub trusted_proxies: Vec<String>,
    /// Whether the bot does not run without it.
    pub required: bool,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Between two looks at all plugins, in seconds.
    pub poll_interval: Duration,
    /// How far back the history goes, in seconds.
    pub history_duration: Duration,
    /// Whether `/metrics` answers.
    pub prometheus_enabled: bool,
}

/// What is under `[plugins.NAME]`.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Whether it runs.
    pub enabled: bool,
    /// Its library; `plugin_dir/lib<name>.so` unless set.
    pub library: Option<PathBuf>,
    /// `overlap`, `handoff` or `exclusive`; what the plugin declares unless set.
    pub reload: Option<ReloadMode>,
    /// A command line without the prefix; what the plugin declares unless set.
    pub probe: Option<String>,
    /// Whether its commands are written down before they are accepted, so that they outlive the host.
    pub journal: bool,
    /// The channels that it may speak in unasked, as `CONNECTOR:CHANNEL`.
    pub speaks_in: Vec<String>,
    /// What the plugin itself is configured with.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Limits that differ from those of all plugins.
    pub limits: LimitsConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            owner: None,
            admins: Vec::new(),
            roles: BTreeMap::new(),
            admin: Admin::default(),
            plugin_dir: "target/release".into(),
            state_dir: ".rosey".into(),
            shim: None,
            spare_shim: true,
            repeat_lines: true,
            connect: Connect::default(),
            dashboard: Dashboard::default(),
            metrics: Metrics::default(),
            limits: LimitsConfig::default(),
            plugins: BTreeMap::new(),
            file: None,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { per_minute: 10, cooldown: Duration::from_secs(2), trust_nicks: false, audit_file: None }
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
            url: None,
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
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
            reload: None,
            probe: None,
            journal: false,
            speaks_in: Vec::new(),
            config: serde_json::Map::new(),
            limits: LimitsConfig::default(),
        }
    }
}

/// What is wrong with a configuration: every problem that was found, a line each.
#[derive(Debug)]
pub struct ConfigError {
    /// The file as it was named on the command line.
    pub file: PathBuf,
    /// What is wrong, and what would be right.
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
            let line = if problem.line > 0 { format!("{}:", problem.line) } else { String::new() };
            write!(out, "{head}{file}:{line} {problem}")?;
        }
        Ok(())
    }
}

/// A file that was read as far as it makes sense: what is wrong in it has its default in `config`, and is a problem.
#[derive(Debug, Default)]
pub struct ConfigFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub config: Config,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Whether it is TOML or JSON at all. If it is not, `config` is the default.
    pub is_readable: bool,
    document: Document,
}

impl ConfigFile {
    /// Adds a problem that only shows when the settings are used, unless what it is about has one already.
    pub fn add(&mut self, problem: Problem) {
        let is_within = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
        let is_known = self.problems.iter().any(|known| {
            let (known, new) = (&known.setting, &problem.setting);
            known == new || is_within(new, known) || is_within(known, new)
        });
        if !is_known {
            let problem = self.document.place(problem);
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
        self.problems.sort_by_key(|problem| problem.line);
        Err(ConfigError { file: self.path, problems: self.problems })
    }
}

impl Config {
    /// Reads a file: JSON when it is named so or begins with a brace, TOML otherwise.
    ///
    /// # Errors
    /// [`ConfigError`], with each problem named.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        ConfigFile::read(file).into_config()
    }

    /// What runs when there is no file: the two plugins that come with Rosey from the folder of the executable, and the
    /// person at the terminal as owner.
    pub fn embedded(plugin_dir: &Path) -> Self {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "you".to_owned());
        let mut config = Self {
            owner: Some(user.clone()),
            plugin_dir: plugin_dir.to_owned(),
            connect: Connect { console: Some(ConsoleConfig { user }), ..Connect::default() },
            dashboard: Dashboard { enabled: true, required: false, ..Dashboard::default() },
            plugins: ["dice-roller", "eight-ball"].map(|name| (name.to_owned(), Plugin::default())).into(),
            ..Self::default()
        };
        config.resolve(&std::env::current_dir().unwrap_or_default());
        config
    }

    /// The plugins that run, with all that applies to each.
    pub fn plugins(&self) -> Vec<PluginConfig> {
        let enabled = self.plugins.iter().filter(|(_, plugin)| plugin.enabled);
        enabled.map(|(name, plugin)| self.plugin(name, plugin)).collect()
    }

    /// What is in force, aligned, for `rosey check`.
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
        rows.retain(|(name, value)| *name != "roles" || !value.is_empty());
        rows.extend(self.admin.audit_file.iter().map(|file| ("audit_file", file.display().to_string())));
        if self.admin.trust_nicks {
            rows.push(("admin", "WARNING: trusts unverified nicks".to_owned()));
        }
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
            library: library.unwrap_or_else(|| self.plugin_dir.join(format!("lib{}.so", name.replace('-', "_")))),
            reload: plugin.reload,
            probe: plugin.probe.clone(),
            journal: plugin.journal,
            speaks_in: plugin.speaks_in.clone(),
            config: serde_json::Value::Object(plugin.config.clone()),
            config_file: self.file.clone(),
            limits,
        }
    }

    fn resolve(&mut self, base: &Path) {
        self.plugin_dir = base.join(&self.plugin_dir);
        self.state_dir = base.join(&self.state_dir);
        self.shim = self.shim.take().map(|shim| base.join(shim));
        self.admin.audit_file = self.admin.audit_file.take().map(|file| base.join(file));
        self.connect.resolve(base);
        for plugin in self.plugins.values_mut() {
            plugin.library = plugin.library.take().map(|library| base.join(library));
        }
    }
}

#[cfg(test)]
mod tests;
