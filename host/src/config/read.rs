//! Reads a configuration from a file, and checks the settings together.

use super::{
    Admin, Config, ConfigFile, Connect, Dashboard, LimitsConfig, Metrics, Plugin, Require, SandboxConfig,
    layers::{self, Layers, Origins, Outside},
};
use crate::{
    admin::{
        command::changes,
        permission::{Role, SOURCES, source},
    },
    dashboard::{LEAST_TOKEN, Network, host_of},
    plugins::name_problem,
    settings::{Document, Problem, Section, bytes, host_problem, person_problem, secret_in},
    text::nearest,
};
use rosey_wire::manifest::ReloadMode;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

const ROLES: [(&str, Role); 3] = [("viewer", Role::Viewer), ("operator", Role::Operator), ("owner", Role::Owner)];

const MODES: [(&str, ReloadMode); 3] =
    [("overlap", ReloadMode::Overlap), ("handoff", ReloadMode::Handoff), ("exclusive", ReloadMode::Exclusive)];

/// The longest time for settings whose effect an operator would notice.
const HOUR: Duration = Duration::from_secs(3600);

impl ConfigFile {
    /// Reads a file as far as it makes sense, with what counts over it.
    pub fn read(file: &Path) -> Self {
        Self::read_with(file, &Outside::of_process())
    }

    /// Reads a file in these surroundings.
    pub fn read_with(file: &Path, outside: &Outside) -> Self {
        match parse(file) {
            Ok(document) => Self::new(document, file, Some(file), outside),
            Err(problems) => Self { path: file.to_owned(), problems, ..Self::default() },
        }
    }

    /// The default without a file, and what counts over it: two of the plugins that come with Rosey, and the person at the
    /// terminal as owner.
    pub fn embedded() -> Self {
        let user = std::env::var("USER").ok().filter(|user| person_problem(user).is_none());
        let user = user.unwrap_or_else(|| "you".to_owned());
        let text = serde_json::json!({
            "owner": user,
            "connect": { "console": { "user": user } },
            "dashboard": { "enabled": true, "required": false },
            "plugins": { "dice-roller": {}, "eight-ball": {} },
        });
        let document = Document::parse(text.to_string().as_bytes(), |_| true).unwrap_or_default();
        Self::new(document, Path::new("the built-in default"), None, &Outside::of_process())
    }

    /// These settings alone.
    pub fn of_json(settings: &serde_json::Value) -> Self {
        let document = Document::parse(settings.to_string().as_bytes(), |_| true).unwrap_or_default();
        Self::new(document, Path::new(""), None, &Outside::default())
    }

    /// `path` is for problems.
    fn new(mut document: Document, path: &Path, file: Option<&Path>, outside: &Outside) -> Self {
        let mut problems = std::mem::take(&mut document.twice);
        let absolute = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let layers = Layers::over(&mut document, file, outside);
        let (origins, wrong) = (layers.origins, layers.problems);
        let mut config = document.read(&mut problems, Config::read);
        problems.extend(wrong);
        config.values = document.values();
        config.origins = origins;
        let here = std::env::current_dir().unwrap_or_default();
        config.resolve(absolute.as_deref().and_then(Path::parent).unwrap_or(&here));
        config.file = absolute;
        let mut of_values = config.read_secrets();
        of_values.extend(config.problems());
        for problem in of_values {
            // A setting with a problem has its default now; a problem with that default must not show.
            if problems.iter().all(|known| known.setting != problem.setting) {
                problems.push(document.place(problem));
            }
        }
        let problems = problems.into_iter().map(|problem| config.place(problem)).collect();
        Self { path: path.to_owned(), config, problems, document, is_readable: true }
    }
}

/// Parses a file: as JSON if its name says so or it begins with a brace, else as TOML.
///
/// # Errors
/// Why it cannot be read, or what is wrong with it.
pub(super) fn parse(file: &Path) -> Result<Document, Vec<Problem>> {
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    let bytes = bytes(file).map_err(|why| vec![Problem::new("", format!("cannot be read: {why}"))])?;
    Document::parse(&bytes, |text| is_json || text.trim_start().starts_with('{'))
}

impl Config {
    pub(super) fn read(all: &mut Section<'_>) -> Self {
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
            origins: Origins::new(),
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
        for verb in self.admin.two_person.iter().filter(|verb| !changes().any(|known| known == verb.as_str())) {
            let meant =
                nearest(verb, changes()).map(|known| format!("; did you mean \"{known}\"?")).unwrap_or_default();
            let known: Vec<_> = changes().collect();
            let shown = verb.escape_debug();
            problem(
                "admin.two_person",
                &format!("\"{shown}\" changes no plugin; there are {}{meant}", known.join(", ")),
            );
        }
        let dashboard = &self.dashboard;
        if dashboard.token.as_ref().is_some_and(|token| token.trim().len() < LEAST_TOKEN) {
            let setting = if dashboard.token_file.is_some() { "dashboard.token_file" } else { "dashboard.token" };
            problem(setting, &format!("needs {LEAST_TOKEN} characters or more"));
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
    /// The files with secrets, by the settings that name them.
    pub fn secret_files(&self) -> Vec<(String, PathBuf)> {
        let mut files = vec![("dashboard.token_file".to_owned(), self.dashboard.token_file.as_ref())];
        for (name, network) in &self.connect.networks {
            files.push((format!("connect.{name}.password_file"), network.password_file.as_ref()));
            files.push((format!("connect.{name}.account_password_file"), network.account_password_file.as_ref()));
        }
        files.into_iter().filter_map(|(setting, file)| Some((setting, file?.clone()))).collect()
    }

    /// Reads the files with secrets, whose contents count as values.
    fn read_secrets(&mut self) -> Vec<Problem> {
        for (setting, file) in self.secret_files() {
            let value = self.values.entry(setting).or_default();
            value.push_str(&secret_in(&file).unwrap_or_default());
        }
        let Some(file) = &self.dashboard.token_file else { return Vec::new() };
        let read = match &self.dashboard.token {
            Some(_) => Err("is set, and dashboard.token too; remove one of the two".to_owned()),
            None => secret_in(file),
        };
        let wrong = read.map(|token| self.dashboard.token = Some(token)).err();
        wrong.map(|why| Problem::new("dashboard.token_file", why)).into_iter().collect()
    }

    /// Adds the origin of its setting to a problem.
    pub(super) fn place(&self, problem: Problem) -> Problem {
        let origin = problem.origin.or_else(|| layers::origin(&self.origins, &problem.setting).cloned());
        Problem { origin, ..problem }
    }

    /// What to know when `admin.two_person` asks for more persons than the configuration names.
    pub(super) fn lonely(&self) -> Option<String> {
        let named = self.owner.iter().chain(&self.admins).cloned();
        let in_roles = self.roles.iter().filter(|(_, role)| **role >= Role::Operator).map(|(name, _)| name.clone());
        // One name in two places is one person.
        let persons: BTreeSet<_> =
            named.chain(in_roles).map(|name| name.rsplit(':').next().unwrap_or(&name).to_lowercase()).collect();
        if self.admin.two_person.is_empty() || persons.len() > 1 {
            return None;
        }
        let who = persons.first().map_or_else(|| "nobody".to_owned(), |name| format!("only {name}"));
        let token = self.dashboard.enabled && self.dashboard.token.is_some();
        let others =
            if token { "the dashboard's token, or the system user of Rosey" } else { "the system user of Rosey" };
        let verbs = self.admin.two_person.join(", ");
        Some(format!(
            "{verbs} needs two persons, and {who} is an admin here: the other yes can come only from {others}; add to admins"
        ))
    }

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
        let folder = self.file.as_deref().map(layers::folder);
        let files = self.secret_files();
        secret.extend(self.file.iter().chain(&folder).map(|file| ("the configuration", file.as_path())));
        secret.extend(files.iter().map(|(_, file)| ("a secret", file.as_path())));
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
            two_person: section.or("two_person", default.two_person),
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
            token_file: section.get("token_file"),
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
