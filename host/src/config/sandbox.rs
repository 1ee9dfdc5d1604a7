//! The tables `[sandbox]` and `[plugins.NAME.sandbox]`.

use crate::settings::{Problem, Section};
use rosey_wire::sandbox::{Network, Profile, Rule, port};
use std::path::{Path, PathBuf};

/// The table `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Require {
    /// The rules without which no plugin runs, by name.
    pub require: Vec<String>,
}

/// The table `[plugins.NAME.sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SandboxConfig {
    /// How strict it is.
    pub profile: Profile,
    /// Where the plugin may connect to, as `HOST:PORT`.
    pub network: Vec<String>,
    /// What it may read besides its own folder and the system's libraries.
    pub files: Vec<PathBuf>,
    /// What it may read and change besides its own folder.
    pub writable: Vec<PathBuf>,
    /// Whether it may start processes.
    pub processes: bool,
}

impl Require {
    /// Reads the table.
    pub fn read(section: &mut Section<'_>) -> Self {
        Self { require: section.or("require", Vec::new()) }
    }

    /// The rules. Unknown names are left out; [`Require::problems`] has them.
    pub fn rules(&self) -> Vec<Rule> {
        self.require.iter().filter_map(|name| rule(name)).collect()
    }

    /// Problems of values that have the right type.
    pub fn problems(&self) -> Vec<Problem> {
        let unknown = self.require.iter().filter(|name| rule(name).is_none());
        let known = Rule::ALL.map(Rule::name).join(", ");
        unknown
            .map(|name| format!("\"{}\": no rule has this name; the rules are {known}", name.escape_debug()))
            .map(|text| Problem::new("sandbox.require", text))
            .collect()
    }
}

fn paths(section: &mut Section<'_>, name: &'static str) -> Vec<PathBuf> {
    section.or(name, Vec::<String>::new()).into_iter().map(PathBuf::from).collect()
}

fn rule(name: &str) -> Option<Rule> {
    Rule::ALL.into_iter().find(|rule| rule.name() == name)
}

impl SandboxConfig {
    /// Reads the table.
    pub fn read(section: &mut Section<'_>) -> Self {
        let profiles = Profile::ALL.map(|profile| (profile.name(), profile));
        Self {
            profile: section.choice("profile", &profiles).unwrap_or_default(),
            network: section.or("network", Vec::new()),
            files: paths(section, "files"),
            writable: paths(section, "writable"),
            processes: section.or("processes", false),
        }
    }

    /// Makes the paths absolute.
    pub fn resolve(&mut self, base: &Path) {
        for path in self.files.iter_mut().chain(&mut self.writable) {
            *path = base.join(&*path);
        }
    }

    /// What the kernel can enforce of `network`: the ports.
    pub fn network(&self) -> Network {
        let ports = self.network.iter().map(|target| port(target).unwrap_or(Some(0)));
        match ports.collect::<Option<Vec<u16>>>() {
            None => Network::All,
            Some(ports) if ports.is_empty() => Network::None,
            Some(ports) => Network::Ports(ports),
        }
    }

    /// Problems of values that have the right type. `table` is the name of the table, and `secret` are the folder and the
    /// file that no plugin may get.
    pub fn problems(&self, table: &str, secret: &[(&str, &Path)]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |name: &str, text: String| problems.push(Problem::new(format!("{table}.{name}"), text));
        for target in self.network.iter().filter(|target| port(target).is_none()) {
            let shown = target.escape_debug();
            problem(
                "network",
                format!("\"{shown}\" needs a host and a port, such as api.example.org:443 or *:443, or is *"),
            );
        }
        for (name, paths) in [("files", &self.files), ("writable", &self.writable)] {
            for path in paths {
                if let Some((what, _)) = secret.iter().find(|(_, secret)| secret.starts_with(path)) {
                    problem(
                        name,
                        format!("{} contains {what}, which no plugin may get; name a folder below", path.display()),
                    );
                }
            }
        }
        let grants = !self.network.is_empty() || !self.files.is_empty() || !self.writable.is_empty() || self.processes;
        if self.profile == Profile::Strict && grants {
            problem("profile", "strict grants nothing; use standard, or take out what is granted".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(network: &[&str]) -> SandboxConfig {
        SandboxConfig { network: network.iter().map(ToString::to_string).collect(), ..SandboxConfig::default() }
    }

    #[test]
    fn ports_are_what_a_kernel_enforces_of_the_network() {
        assert_eq!(grants(&[]).network(), Network::None);
        assert_eq!(
            grants(&["api.example.org:443", "*:80", "[::1]:8080"]).network(),
            Network::Ports(vec![443, 80, 8080])
        );
        assert_eq!(grants(&["api.example.org:443", "*"]).network(), Network::All);
        assert_eq!(grants(&["api.example.org:*"]).network(), Network::All);
        for wrong in ["443", "api.example.org", ":443", "a b:443", "a:0", "a:65536", ""] {
            let problems = grants(&[wrong]).problems("plugins.x.sandbox", &[]);
            assert_eq!(problems.len(), 1, "{wrong}");
            assert_eq!(problems[0].setting, "plugins.x.sandbox.network");
        }
    }

    #[test]
    fn what_holds_secrets_is_never_granted() {
        let state = Path::new("/srv/bot/.rosey");
        let of = |files: &str| {
            let config = SandboxConfig { files: vec![files.into()], ..SandboxConfig::default() };
            config.problems("t", &[("the state directory", state)]).len()
        };
        assert_eq!((of("/"), of("/srv/bot"), of("/srv/bot/.rosey"), of("/srv/words")), (1, 1, 1, 0));
    }
}
