//! `[connect]`: the console, and chat networks by name.

use super::irc::IrcConfig;
use crate::{
    settings::{Problem, Section, person_problem},
    text::nearest,
};
use std::{collections::BTreeMap, path::Path};

/// The kinds of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `connect::irc`.
    Irc,
}

/// The values of `kind`.
pub const KINDS: [(&str, Kind); 1] = [(IRC, Kind::Irc)];

/// The network that needs no `kind`. A plain name in `owner`, `admins` and `[roles]` counts on this network.
pub const IRC: &str = "irc";

/// Names that have another meaning as the place or the network of a person.
const TAKEN: [&str; 3] = ["system", "dashboard", "replay"];

/// The configured connectors.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    /// The terminal, or a pipe.
    pub console: Option<ConsoleConfig>,
    /// Networks, by the NAME of `[connect.NAME]`.
    pub networks: BTreeMap<String, IrcConfig>,
}

/// The terminal as a chat.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// The name of the person at the terminal.
    pub user: String,
}

impl Connect {
    /// The names of all connectors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.console.iter().map(|_| "console").chain(self.networks.keys().map(String::as_str))
    }

    /// Makes relative paths count from `base`.
    pub fn resolve(&mut self, base: &Path) {
        self.networks.values_mut().for_each(|network| network.resolve(base));
    }

    /// Lines for `rosey check`: each name with the settings in force.
    pub fn summary(&self) -> Vec<(&str, String)> {
        let console = self.console.iter().map(|console| ("console", format!("as {}", console.user)));
        console.chain(self.networks.iter().map(|(name, network)| (name.as_str(), network.summary()))).collect()
    }

    /// Reads `[connect]` from a file.
    pub fn read(section: &mut Section<'_>) -> Self {
        let console = |section: &mut Section<'_>| ConsoleConfig { user: section.needed("user", "\"alice\"") };
        let console = section.table("console", console);
        Self { console, networks: section.others(IrcConfig::read).into_iter().collect() }
    }

    /// Mistakes in values of the right type.
    pub fn problems(&self) -> Vec<Problem> {
        let console = self.console.as_ref().and_then(|console| person_problem(&console.user));
        let mut problems: Vec<_> = console.map(|why| Problem::new("connect.console.user", why)).into_iter().collect();
        for (name, network) in &self.networks {
            problems.extend(problem_of_name(name, network.kind));
            problems.extend(network.settings(name).err().unwrap_or_default());
        }
        problems
    }
}

fn problem_of_name(name: &str, kind: Option<Kind>) -> Option<Problem> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let setting = format!("connect.{}", name.escape_debug());
    if name.is_empty() || name.len() > 32 || !name.chars().all(fits) || TAKEN.contains(&name) {
        let taken = TAKEN.join(", ");
        let text = format!("the name of a network has 1 to 32 of a-z, 0-9 and -, and is none of {taken}");
        return Some(Problem::new(setting, text));
    }
    if kind.is_some() || name == IRC {
        return None;
    }
    let meant = nearest(name, ["console", IRC].into_iter()).map(|known| format!("; did you mean connect.{known}?"));
    let text = format!("a network with a name of its own needs kind = \"irc\"{}", meant.unwrap_or_default());
    Some(Problem::new(format!("{setting}.kind"), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Document;

    /// Reads `[connect]`, and the mistakes in it.
    fn read(json: &str) -> (Connect, Vec<String>) {
        let document = Document::parse(json.as_bytes(), |_| true).expect("JSON");
        let mut problems = Vec::new();
        let connect = document.read(&mut problems, Connect::read);
        problems.extend(connect.problems());
        (connect, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn there_may_be_several_networks_of_a_kind() {
        let json = r#"{"console": {"user": "al"}, "irc": {"server": "a.example", "nick": "rosey"},
            "libera": {"kind": "irc", "server": "b.example", "nick": "rosey"}}"#;
        let (connect, problems) = read(json);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(connect.names().collect::<Vec<_>>(), ["console", "irc", "libera"]);
        assert_eq!(connect.summary()[2], ("libera", "rosey at b.example:6697 (TLS), no channel".to_owned()));
    }

    #[test]
    fn a_network_has_a_kind_and_a_name_of_its_own() {
        for (name, kind, text) in [
            ("libera", "", r#"connect.libera.kind: a network with a name of its own needs kind = "irc""#),
            ("ircc", "", r#"connect.ircc.kind: a network with a name of its own needs kind = "irc"; did you mean"#),
            ("system", r#", "kind": "irc""#, "connect.system: the name of a network"),
            ("Libera", r#", "kind": "irc""#, "connect.Libera: the name of a network"),
            ("a:b", r#", "kind": "irc""#, "connect.a:b: the name of a network"),
        ] {
            let json = format!(r#"{{"{name}": {{"server": "a.example", "nick": "rosey"{kind}}}}}"#);
            let (_, problems) = read(&json);
            assert!(problems.len() == 1 && problems[0].starts_with(text), "{problems:?}");
        }
        let (_, wrong) = read(r#"{"libera": {"kind": "irc", "server": "a.example", "nick": "9"}}"#);
        assert!(wrong[0].starts_with("connect.libera.nick: "), "{wrong:?}");
        let (_, unknown) = read(r#"{"libera": {"kind": "matrix", "server": "a.example", "nick": "rosey"}}"#);
        assert!(unknown[0].contains(r#"kind: needs one of "irc""#), "{unknown:?}");
        assert!(read(r#"{"libera": 5}"#).1[0].contains("libera: needs a table"));
    }
}
