//! Reads a configuration from a file, and checks the settings together.

use super::{Admin, Config, ConfigFile, Connect, Dashboard, LimitsConfig, Metrics, Plugin, Require, SandboxConfig};
use crate::{
    admin::permission::{Role, SOURCES, source},
    dashboard::{LEAST_TOKEN, Network, host_of},
    plugins::name_problem,
    settings::{Document, MAX_BYTES, Problem, Section, host_problem, person_problem, unreadable},
};
use rosey_wire::manifest::ReloadMode;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
    time::Duration,
};

const ROLES: [(&str, Role); 3] = [("viewer", Role::Viewer), ("operator", Role::Operator), ("owner", Role::Owner)];

const MODES: [(&str, ReloadMode); 3] =
    [("overlap", ReloadMode::Overlap), ("handoff", ReloadMode::Handoff), ("exclusive", ReloadMode::Exclusive)];

/// The longest time for settings whose effect an operator would notice.
const HOUR: Duration = Duration::from_secs(3600);

impl ConfigFile {
    /// Reads a file as far as it makes sense.
    pub fn read(file: &Path) -> Self {
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        let parsed = bytes(file).map_err(|why| vec![Problem::new("", format!("cannot be read: {why}"))]);
        let parsed =
            parsed.and_then(|bytes| Document::parse(&bytes, |text| is_json || text.trim_start().starts_with('{')));
        let mut document = match parsed {
            Ok(document) => document,
            Err(problems) => return Self { path: file.to_owned(), problems, ..Self::default() },
        };
        let mut problems = std::mem::take(&mut document.twice);
        let mut config = document.read(&mut problems, Config::read);
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        config.file = Some(absolute.clone());
        config.values = document.values();
        config.resolve(absolute.parent().unwrap_or(Path::new(".")));
        for problem in config.problems() {
            // A setting with a problem has its default now; a problem with that default must not show.
            if problems.iter().all(|known| known.setting != problem.setting) {
                problems.push(document.place(problem));
            }
        }
        Self { path: file.to_owned(), config, problems, document, is_readable: true }
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(file).map_err(|error| unreadable(&error))?;
    // One byte more than the limit, to notice a longer file.
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    Ok(bytes)
}

impl Config {
    fn read(all: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            owner: all.get("owner"),
            admins: all.or("admins", default.admins),
            roles: all.choices("roles", &ROLES).into_iter().collect(),
            prefixes: all.texts("prefixes").into_iter().collect(),
            admin: all.table("admin", Admin::read).unwrap_or_default(),
            plugin_dir: all.or("plugin_dir", default.plugin_dir),
            state_dir: all.or("state_dir", default.state_dir),
            shim: all.get("shim"),
            spare_shim: all.or("spare_shim", default.spare_shim),
            repeat_lines: all.or("repeat_lines", default.repeat_lines),
            connect: all.table("connect", Connect::read).unwrap_or_default(),
            dashboard: all.table("dashboard", Dashboard::read).unwrap_or_default(),
            metrics: all.table("metrics", Metrics::read).unwrap_or_default(),
            limits: all.table("limits", LimitsConfig::read).unwrap_or_default(),
            sandbox: all.table("sandbox", Require::read).unwrap_or_default(),
            plugins: all.tables("plugins", Plugin::read).into_iter().collect(),
            file: None,
            values: BTreeMap::new(),
        }
    }

    /// Problems of values that have the right type.
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |setting: &str, text: &str| problems.push(Problem::new(setting, text));
        for name in self.plugins.keys() {
            if let Some(why) = name_problem(name) {
                problem(&format!("plugins.{}", name.escape_debug()), why);
            }
        }
        let people = self.owner.iter().map(|name| ("owner".to_owned(), name));
        let people = people.chain(self.admins.iter().map(|name| ("admins".to_owned(), name)));
        let people = people.chain(self.roles.keys().map(|name| (format!("roles.{name}"), name)));
        let sources: BTreeSet<_> =
            SOURCES.into_iter().chain(self.connect.networks.keys().map(String::as_str)).collect();
        for (setting, name) in people {
            let shown = name.escape_debug();
            if let Some(why) = person_problem(name) {
                problem(&setting, &format!("\"{shown}\": {why}"));
            } else if source(name).is_some_and(|source| !sources.contains(source)) {
                let known: Vec<_> = sources.iter().map(|source| format!("{source}:")).collect();
                problem(&setting, &format!("\"{shown}\": the source before the colon is one of {}", known.join(", ")));
            }
        }
        let dashboard = &self.dashboard;
        if dashboard.token.as_ref().is_some_and(|token| token.trim().len() < LEAST_TOKEN) {
            problem("dashboard.token", &format!("needs {LEAST_TOKEN} characters or more"));
        }
        if let Some(why) = host_problem(&dashboard.host, "set dashboard.port") {
            problem("dashboard.host", &why);
        }
        if dashboard.url.as_deref().is_some_and(|url| host_of(url).is_none()) {
            problem("dashboard.url", "needs an address such as https://bot.example/rosey/");
        }
        if !is_path(&dashboard.base_path) {
            problem("dashboard.base_path", "needs a path such as /rosey: letters, digits, - and _ between slashes");
        }
        for host in &dashboard.allowed_hosts {
            if let Some(why) = host_problem(host, "the name holds for every port") {
                problem("dashboard.allowed_hosts", &format!("\"{}\" {why}", host.escape_debug()));
            }
        }
        for why in dashboard.trusted_proxies.iter().filter_map(|text| text.parse::<Network>().err()) {
            problem("dashboard.trusted_proxies", &why);
        }
        if !dashboard.trusted_proxies.is_empty() && dashboard.token.is_none() && !dashboard.public {
            let why = "lets all who reach the proxy read the dashboard; set dashboard.token, or dashboard.public = true if \
                       that is right";
            problem("dashboard.trusted_proxies", why);
        }
        problems.extend(self.connect.problems());
        problems.extend(self.sandbox_problems());
        problems.extend(self.prefix_problems());
        problems
    }
}

impl Config {
    fn prefix_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (place, prefix) in &self.prefixes {
            let setting = format!("prefixes.{}", place.escape_debug());
            let connector = place.split_once(':').map(|(connector, _)| connector);
            if !connector.is_some_and(|connector| self.connect.names().any(|name| name == connector)) {
                let known: Vec<_> = self.connect.names().collect();
                let text =
                    format!("needs the name of a channel, CONNECTOR:CHANNEL; the connectors are {}", known.join(", "));
                problems.push(Problem::new(setting.as_str(), text));
            }
            let is_sign = |c: char| c.is_ascii_punctuation();
            if prefix.is_empty() || prefix.len() > 4 || !prefix.chars().all(is_sign) {
                problems.push(Problem::new(
                    setting,
                    "needs 1 to 4 signs such as . or ?!, without letters, digits and spaces",
                ));
            }
        }
        problems
    }

    fn sandbox_problems(&self) -> Vec<Problem> {
        let mut secret = vec![("the state directory", self.state_dir.as_path())];
        secret.extend(self.file.as_deref().map(|file| ("the configuration", file)));
        let of_plugins = self.plugins.iter().flat_map(|(name, plugin)| {
            plugin.sandbox.problems(&format!("plugins.{}.sandbox", name.escape_debug()), &secret)
        });
        of_plugins.chain(self.sandbox.problems()).collect()
    }
}

/// Whether this is nothing, or the path of a folder in a URL.
fn is_path(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    text.is_empty() || text.starts_with('/') && text.len() > 1 && !text.contains("//") && text.chars().all(is_plain)
}

impl Admin {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            per_minute: section.within("per_minute", default.per_minute, 1..=10_000),
            cooldown: section.within("cooldown", default.cooldown, Duration::ZERO..=HOUR),
            trust_nicks: section.or("trust_nicks", default.trust_nicks),
            audit_file: section.get("audit_file"),
        }
    }
}

impl Dashboard {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            enabled: section.or("enabled", default.enabled),
            host: section.or("host", default.host),
            port: section.or("port", default.port),
            public: section.or("public", default.public),
            token: section.get("token"),
            url: section.get("url"),
            allowed_hosts: section.or("allowed_hosts", default.allowed_hosts),
            trusted_proxies: section.or("trusted_proxies", default.trusted_proxies),
            base_path: section.or("base_path", default.base_path),
            required: section.or("required", default.required),
        }
    }
}

impl Metrics {
    fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let (least, day) = (Duration::from_millis(200), 24 * HOUR);
        Self {
            poll_interval: section.within("poll_interval", default.poll_interval, least..=HOUR),
            history_duration: section.within("history_duration", default.history_duration, Duration::ZERO..=day),
            prometheus_enabled: section.or("prometheus_enabled", default.prometheus_enabled),
        }
    }
}

impl Plugin {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            enabled: section.or("enabled", true),
            library: section.get("library"),
            group: section.get("group"),
            reload: section.choice("reload", &MODES),
            probe: section.get("probe"),
            journal: section.or("journal", false),
            speaks_in: section.or("speaks_in", Vec::new()),
            config: section.foreign("config"),
            config_lines: section.lines("config"),
            sandbox: section.table("sandbox", SandboxConfig::read).unwrap_or_default(),
            limits: section.table("limits", LimitsConfig::read).unwrap_or_default(),
        }
    }
}
