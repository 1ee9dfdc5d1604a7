//! The configuration: TOML or JSON, read once at the start. Names and defaults are what docs/CONFIG.md says.
//!
//! Relative paths count from the folder of the file. What is not known is refused by name.

use crate::{
    admin::permission::{Role, SOURCES, source},
    connect::irc::IrcConfig,
    dashboard::{LEAST_TOKEN, instead},
    plugin::{PluginConfig, limits::Limits, nearest},
    time::Time,
};
use figment::{
    Figment,
    providers::{Format, Json, Toml},
};
use rosey_wire::manifest::ReloadMode;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything an operator can set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    /// Where chat comes from.
    pub connect: Connect,
    /// The web page.
    pub dashboard: Dashboard,
    /// What is measured.
    pub metrics: Metrics,
    /// Limits of all plugins.
    pub limits: LimitsConfig,
    /// The plugins.
    pub plugins: BTreeMap<String, Plugin>,
}

/// How admin commands are treated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Queries a minute for each person in chat, and as many changes.
    pub per_minute: u32,
    /// Between two changes of a plugin, in seconds. A rollback and a stop do not wait.
    #[serde(deserialize_with = "duration")]
    pub cooldown: Duration,
    /// Whether a nick that the chat network did not verify counts as the admin of that name.
    pub trust_nicks: bool,
    /// Where the audit is written besides `rosey.db`, as JSON lines.
    pub audit_file: Option<PathBuf>,
}

/// Where chat comes from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connect {
    /// The terminal, or a pipe.
    pub console: Option<Console>,
    /// An IRC network.
    pub irc: Option<IrcConfig>,
}

/// The terminal as a chat.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Who the person at the terminal is.
    pub user: String,
}

/// The web page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dashboard {
    /// Whether there is one.
    pub enabled: bool,
    /// The address it listens on.
    pub host: String,
    /// The port it listens on; 0 for any that is free.
    pub port: u16,
    /// Whether everybody who can reach an address beyond this machine may read.
    pub public: bool,
    /// Who shows this may act; where others can reach the address, it also takes this to read.
    pub token: Option<String>,
    /// Names by which it may be reached beside its address and this machine's own.
    pub allowed_hosts: Vec<String>,
    /// Whether the bot does not run without it.
    pub required: bool,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Between two looks at all plugins, in seconds.
    #[serde(deserialize_with = "duration")]
    pub poll_interval: Duration,
    /// How far back the history goes, in seconds.
    #[serde(deserialize_with = "duration")]
    pub history_duration: Duration,
    /// Whether `/metrics` answers.
    pub prometheus_enabled: bool,
}

/// One plugin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plugin {
    /// Whether it runs.
    pub enabled: bool,
    /// Its library; `plugin_dir/lib<name>.so` unless set.
    pub library: Option<PathBuf>,
    /// `overlap`, `handoff` or `exclusive`; what the plugin declares unless set.
    pub reload: Option<ReloadMode>,
    /// A command line without the prefix; what the plugin declares unless set.
    pub probe: Option<String>,
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
            connect: Connect::default(),
            dashboard: Dashboard::default(),
            metrics: Metrics::default(),
            limits: LimitsConfig::default(),
            plugins: BTreeMap::new(),
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
            allowed_hosts: Vec::new(),
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
            config: serde_json::Map::new(),
            limits: LimitsConfig::default(),
        }
    }
}

/// Makes a struct of optional limits, each with its range, and the merge into [`Limits`].
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $kind:ident in $range:expr;)*) => {
        /// Limits as written: those left out stay as they are.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitsConfig {
            $($(#[$doc])* pub $name: Option<limits!(@type $kind)>,)*
        }

        impl LimitsConfig {
            /// Puts what is set into `limits`; what is out of range is described.
            fn apply(&self, at: &str, limits: &mut Limits, problems: &mut Vec<String>) {
                $(if let Some(value) = &self.$name {
                    let value = limits!(@value $kind, value);
                    if ($range).contains(&value) {
                        limits.$name = value;
                    } else {
                        problems.push(format!("{at}.{}: {:?} is not within {:?}", stringify!($name), value, $range));
                    }
                })*
            }

            /// The names of all limits.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];
        }
    };
    (@type count) => { usize };
    (@type number) => { u64 };
    (@type small) => { u32 };
    (@type share) => { f64 };
    (@type time) => { Time };
    (@value time, $value:ident) => { $value.0 };
    (@value $kind:ident, $value:ident) => { *$value };
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

limits! {
    /// Events waiting for a generation.
    queue: count in 1..=1_000_000;
    /// Events in flight in one generation.
    in_flight: count in 1..=65_536;
    /// From acceptance to outcome.
    event_deadline: time in ms(100)..=ms(3_600_000);
    /// From spawn to ready.
    start_timeout: time in ms(100)..=ms(600_000);
    /// For all attempts of a probe.
    probe_timeout: time in ms(10)..=ms(600_000);
    /// Attempts at a probe.
    probe_attempts: small in 1..=100;
    /// For an old generation to answer what it has.
    drain_timeout: time in ms(0)..=ms(3_600_000);
    /// For each step of moving state.
    handoff_timeout: time in ms(10)..=ms(600_000);
    /// How long a replaced generation stays parked.
    bake: time in ms(0)..=ms(86_400_000);
    /// Events below which a bake proves nothing.
    bake_min_events: number in 1..=1_000_000;
    /// Share of failed events above which the slot goes back.
    bake_failure_rate: share in 0.0..=1.0;
    /// How long an event may be in flight before a sign of life is asked for.
    heartbeat: time in ms(250)..=ms(600_000);
    /// How long a plugin may then stay silent.
    hang_timeout: time in ms(250)..=ms(3_600_000);
    /// Resident memory of a generation, in MB.
    memory_mb: number in 1..=1_048_576;
    /// How long a start must last to count as good.
    stable_after: time in ms(0)..=ms(3_600_000);
    /// Starts in a row that may fail to last.
    crash_loop_starts: small in 1..=1000;
    /// Crashes within an hour.
    crash_loop_hour: count in 1..=100_000;
    /// Before the second restart in a row.
    backoff_first: time in ms(0)..=ms(3_600_000);
    /// The longest wait between restarts.
    backoff_max: time in ms(0)..=ms(3_600_000);
    /// Good artifacts kept for rollback.
    artifacts_kept: count in 1..=100;
    /// The longest reply, in bytes.
    reply_bytes: count in 16..=65_536;
    /// Lines of output a second that reach the log.
    log_lines: small in 0..=100_000;
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Time::deserialize(deserializer).map(|time| time.0)
}

/// What is wrong with a configuration: every problem found, a line each.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .file.display(), .problems.join("\n  "))]
pub struct ConfigError {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong, and what would be right.
    pub problems: Vec<String>,
}

impl Config {
    /// Reads a file: JSON when it is named so or begins with a brace, TOML otherwise.
    ///
    /// # Errors
    /// [`ConfigError`], with each problem named.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let problem = |problems| ConfigError { file: file.to_owned(), problems };
        let text = std::fs::read_to_string(file).map_err(|error| problem(vec![format!("cannot be read: {error}")]))?;
        let is_json =
            file.extension().is_some_and(|extension| extension == "json") || text.trim_start().starts_with('{');
        let figment = if is_json { Figment::from(Json::string(&text)) } else { Figment::from(Toml::string(&text)) };
        let mut config: Self =
            figment.extract().map_err(|error| problem(error.into_iter().map(|error| explain(&error)).collect()))?;
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        config.resolve(absolute.parent().unwrap_or(Path::new(".")));
        let problems = config.problems();
        if problems.is_empty() { Ok(config) } else { Err(problem(problems)) }
    }

    /// What runs when there is no file: the two plugins that come with Rosey from the folder of the executable, and the
    /// person at the terminal as owner.
    pub fn embedded(plugin_dir: &Path) -> Self {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "you".to_owned());
        let mut config = Self {
            owner: Some(user.clone()),
            plugin_dir: plugin_dir.to_owned(),
            connect: Connect { console: Some(Console { user }), irc: None },
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
        enabled.map(|(name, plugin)| self.plugin(name, plugin, &mut Vec::new())).collect()
    }

    /// What is in force, aligned, for `rosey check`.
    pub fn summary(&self) -> String {
        let names = |names: &[String]| if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        let mut rows = vec![
            ("owner", self.owner.clone().unwrap_or_else(|| "nobody".to_owned())),
            ("admins", names(&self.admins)),
            ("roles", self.roles.iter().map(|(name, role)| format!("{name} {role}")).collect::<Vec<_>>().join(", ")),
            ("state_dir", self.state_dir.display().to_string()),
        ];
        if let Some(console) = &self.connect.console {
            rows.push(("console", format!("as {}", console.user)));
        }
        rows.extend(self.connect.irc.iter().map(|irc| ("irc", irc.summary())));
        let dashboard = &self.dashboard;
        rows.push((
            "dashboard",
            match dashboard.enabled {
                true => format!("http://{}:{}/", dashboard.host, dashboard.port),
                false => "off".to_owned(),
            },
        ));
        let instead = instead(&dashboard.host, dashboard.public, dashboard.token.is_some());
        rows.extend(instead.filter(|_| dashboard.enabled).map(|(_, warning)| ("dashboard", warning)));
        rows.retain(|(name, value)| *name != "roles" || !value.is_empty());
        rows.extend(self.admin.audit_file.iter().map(|file| ("audit_file", file.display().to_string())));
        if self.admin.trust_nicks {
            rows.push(("admin", "WARNING: trusts nicks that nobody verified".to_owned()));
        }
        let plugins = self.plugins();
        for plugin in &plugins {
            let there = if plugin.library.is_file() { "" } else { "  (not built yet)" };
            rows.push(("plugin", format!("{}  {}{there}", plugin.name, plugin.library.display())));
        }
        rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
    }

    fn plugin(&self, name: &str, plugin: &Plugin, problems: &mut Vec<String>) -> PluginConfig {
        let mut limits = Limits::default();
        self.limits.apply("limits", &mut limits, &mut Vec::new());
        plugin.limits.apply(&format!("plugins.{name}.limits"), &mut limits, problems);
        let library = plugin.library.clone();
        PluginConfig {
            name: name.to_owned(),
            library: library.unwrap_or_else(|| self.plugin_dir.join(format!("lib{}.so", name.replace('-', "_")))),
            reload: plugin.reload,
            probe: plugin.probe.clone(),
            config: serde_json::Value::Object(plugin.config.clone()),
            limits,
        }
    }

    fn resolve(&mut self, base: &Path) {
        self.plugin_dir = base.join(&self.plugin_dir);
        self.state_dir = base.join(&self.state_dir);
        self.shim = self.shim.take().map(|shim| base.join(shim));
        self.admin.audit_file = self.admin.audit_file.take().map(|file| base.join(file));
        if let Some(irc) = &mut self.connect.irc {
            irc.resolve(base);
        }
        for plugin in self.plugins.values_mut() {
            plugin.library = plugin.library.take().map(|library| base.join(library));
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.limits.apply("limits", &mut Limits::default(), &mut problems);
        for (name, plugin) in &self.plugins {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 64 || !name.chars().all(fits) || name.starts_with('-') {
                problems.push(format!("plugins.{name}: a plugin's name has 1 to 64 of a-z, 0-9 and -"));
            }
            if crate::router::RESERVED.contains(&name.as_str()) {
                problems.push(format!("plugins.{name}: that name belongs to Rosey itself"));
            }
            self.plugin(name, plugin, &mut problems);
        }
        let people = self.owner.iter().chain(&self.admins).chain(self.roles.keys());
        for name in people.filter(|name| source(name).is_some_and(|source| !SOURCES.contains(&source))) {
            let sources = SOURCES.join(":, ");
            problems.push(format!("{name}: before a colon stands where a name comes from; known are {sources}:"));
        }
        if !(1..=10_000).contains(&self.admin.per_minute) {
            problems.push("admin.per_minute: 1 to 10000".to_owned());
        }
        if self.admin.cooldown > ms(3_600_000) {
            problems.push("admin.cooldown: the most is an hour".to_owned());
        }
        if self.metrics.poll_interval < ms(200) {
            problems.push("metrics.poll_interval: the least is 0.2 s".to_owned());
        }
        if self.metrics.history_duration > ms(86_400_000) {
            problems.push("metrics.history_duration: the most is a day (86400)".to_owned());
        }
        if self.dashboard.token.as_ref().is_some_and(|token| token.trim().len() < LEAST_TOKEN) {
            problems.push(format!("dashboard.token: a token has at least {LEAST_TOKEN} characters"));
        }
        if self.connect.console.as_ref().is_some_and(|console| console.user.trim().is_empty()) {
            problems.push("connect.console.user: a name is needed".to_owned());
        }
        problems.extend(self.connect.irc.iter().filter_map(|irc| irc.settings("irc").err()).flatten());
        problems
    }
}

/// One problem of figment, in the operator's words.
fn explain(error: &figment::Error) -> String {
    let path = error.path.join(".");
    match &error.kind {
        figment::error::Kind::UnknownField(field, known) => {
            let meant = nearest(field, known.iter().copied());
            let meant =
                meant.map_or_else(|| format!("known are {}", known.join(", ")), |name| format!("did you mean {name}?"));
            let path = if path.ends_with(field.as_str()) { path } else { format!("{path}.{field}") };
            format!("{}: no such setting; {meant}", path.trim_start_matches('.'))
        }
        kind if path.is_empty() => kind.to_string(),
        kind => format!("{path}: {kind}"),
    }
}

#[cfg(test)]
mod tests;
