//! What counts over the file: the files in the folder beside it, then credentials, then variables of the environment.

use super::read::parse;
use crate::{
    settings::{Document, Node, Origin, Problem, Table, Value, secret_in, unreadable},
    text::nearest,
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The ending of the folder beside the file: `rosey.conf.d` for `rosey.toml`.
pub const FOLDER: &str = "conf.d";

/// Most files that are read from a folder.
const MOST: usize = 256;

/// The beginning of the variables that set something.
const PREFIX: &str = "ROSEY_";

/// The beginning of credentials of a whole folder: systemd names them so for `LoadCredential=rosey:FOLDER`.
const LOADED: &str = "rosey_";

/// Settings outside of a table.
const TOP: [&str; 7] = ["owner", "admins", "plugin_dir", "state_dir", "shim", "spare_shim", "repeat_lines"];

/// Tables that can have secrets in them. A credential with another name is none of Rosey's settings.
const SECRETIVE: [&str; 3] = ["connect", "dashboard", "plugins"];

/// Tables whose entries have free names.
const FREE: [&str; 2] = ["plugins", "connect"];

/// Where settings and tables come from, if not from the file, each by its path as problems show it.
pub type Origins = BTreeMap<String, Origin>;

/// What surrounds the process.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// The environment.
    pub variables: Vec<(String, String)>,
    /// The folder of credentials.
    pub credentials: Option<PathBuf>,
}

impl Outside {
    /// The surroundings of this process.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { variables: std::env::vars_os().filter_map(text).collect(), credentials }
    }
}

/// The folder whose files count over a file.
pub fn folder(file: &Path) -> PathBuf {
    file.with_extension(FOLDER)
}

/// The origin of a setting: its own, or that of the innermost table around it.
pub fn origin<'a>(origins: &'a Origins, setting: &str) -> Option<&'a Origin> {
    let mut path = setting;
    loop {
        if let Some(found) = origins.get(path) {
            return Some(found);
        }
        path = path.rsplit_once('.')?.0;
    }
}

/// A document with what counts over it.
#[derive(Debug)]
pub struct Layers<'a> {
    /// All settings.
    pub document: &'a mut Document,
    /// Where they come from.
    pub origins: Origins,
    /// What is wrong with the layers themselves.
    pub problems: Vec<Problem>,
}

impl<'a> Layers<'a> {
    /// Puts all layers over a document: the files beside `file`, and what surrounds the process.
    pub fn over(document: &'a mut Document, file: Option<&Path>, outside: &Outside) -> Self {
        let mut all = Self { document, origins: Origins::new(), problems: Vec::new() };
        for path in file.map(|file| all.files(&folder(file))).unwrap_or_default() {
            all.file(path);
        }
        for path in outside.credentials.as_deref().map(|folder| all.files(folder)).unwrap_or_default() {
            all.credential(&path);
        }
        let mut variables: Vec<_> = outside.variables.iter().collect();
        variables.sort_unstable();
        for (name, value) in variables {
            if let Some(keys) = setting_of(&all.document.table, name) {
                all.set(&keys, Value::Loose(value.clone()), Origin::Whole(format!("the variable {name}")));
            }
        }
        all
    }

    /// The files of a folder, by name. A folder that does not exist has none.
    fn files(&mut self, folder: &Path) -> Vec<PathBuf> {
        let read = fs::read_dir(folder)
            .and_then(|entries| entries.take(MOST + 1).map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
        let wrong = match read {
            Ok(files) if files.len() > MOST => format!("the folder has more than {MOST} files"),
            Ok(mut files) => {
                files.sort_unstable();
                return files;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => format!("cannot be read: {}", unreadable(&error)),
        };
        self.problems.push(Problem::new("", wrong).of(&Origin::File(folder.to_owned())));
        Vec::new()
    }

    /// A file of the folder. Those of editors, and others that are neither TOML nor JSON, do not count.
    fn file(&mut self, path: PathBuf) {
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_ours = path.extension().is_some_and(|end| end == "toml" || end == "json");
        if is_hidden || !is_ours {
            return;
        }
        let (parsed, origin) = (parse(&path), Origin::File(path));
        match parsed {
            Ok(mut more) => {
                self.problems.extend(more.twice.drain(..).map(|problem| problem.of(&origin)));
                merge(&mut self.document.table, more.table, "", &origin, &mut self.origins);
            }
            Err(wrong) => self.problems.extend(wrong.into_iter().map(|problem| problem.of(&origin))),
        }
    }

    /// A credential has the name of a setting, such as `dashboard.token`. Others belong to other settings or programs.
    fn credential(&mut self, path: &Path) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let keys: Vec<String> = name.strip_prefix(LOADED).unwrap_or(name).split('.').map(str::to_owned).collect();
        let is_table = |key: &str| SECRETIVE.contains(&key) || nearest(key, SECRETIVE.into_iter()).is_some();
        if keys.len() < 2 || keys.iter().any(String::is_empty) || !is_table(&keys[0]) {
            return;
        }
        let origin = Origin::Whole(format!("the credential {name}"));
        match secret_in(path) {
            Ok(text) => self.set(&keys, Value::Text(text), origin),
            Err(why) => self.problems.push(Problem::new(keys.join("."), why).of(&origin)),
        }
    }

    fn set(&mut self, keys: &[String], value: Value, origin: Origin) {
        let node = |value| Node { line: 0, value };
        let over = keys.iter().rev().fold(value, |value, key| Value::Table([(key.clone(), node(value))].into()));
        if let Value::Table(over) = over {
            merge(&mut self.document.table, over, "", &origin, &mut self.origins);
        }
    }
}

/// The setting that a variable is about: `ROSEY_DASHBOARD__PORT` is `dashboard.port`.
fn setting_of(table: &Table, variable: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = variable.strip_prefix(PREFIX)?.split("__").map(str::to_ascii_lowercase).collect();
    let is_setting = match &parts[..] {
        // Other variables begin like this, too. One that is nearly a setting is a slip, which its reader names.
        [only] => nearest(only, TOP.into_iter()).is_some(),
        all => all.iter().all(|part| !part.is_empty()),
    };
    if !is_setting {
        return None;
    }
    let (mut keys, mut inner) = (Vec::<String>::new(), Some(table));
    for part in parts {
        let known = inner.and_then(|table| table.keys().find(|key| key.to_ascii_lowercase().replace('-', "_") == part));
        // A variable has no hyphens, and the names of plugins and networks have no underscores.
        let is_free = keys.len() == 1 && FREE.contains(&keys[0].as_str());
        let key = known.cloned().unwrap_or_else(|| if is_free { part.replace('_', "-") } else { part });
        inner = inner.and_then(|table| match &table.get(&key)?.value {
            Value::Table(inner) => Some(inner),
            _ => None,
        });
        keys.push(key);
    }
    Some(keys)
}

/// Puts one table over another: tables merge, and anything else is replaced.
fn merge(table: &mut Table, over: Table, prefix: &str, origin: &Origin, origins: &mut Origins) {
    for (name, node) in over {
        let path = format!("{prefix}{name}");
        match (table.get_mut(&name).map(|known| &mut known.value), node.value) {
            (Some(Value::Table(known)), Value::Table(over)) => {
                merge(known, over, &format!("{path}."), origin, origins);
            }
            (_, value) => {
                origins.insert(path, origin.clone());
                table.insert(name, Node { line: node.line, value });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigFile};
    use super::*;

    const SECRET: &str = "a secret of many letters";

    fn read(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
            fs::write(path, text).expect("ours");
        }
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let outside = Outside { variables, credentials: Some(folder.path().join("credentials")) };
        let read = ConfigFile::read_with(&folder.path().join("rosey.toml"), &outside);
        read.into_config().map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn later_files_credentials_and_variables_count_over_the_file() {
        let file = "owner = \"a\"\n[dashboard]\nport = 1\nhost = \"::1\"\n[plugins.dice-roller]\n[plugins.a.config]\nApi-Key = 1\n";
        let files = [
            ("rosey.toml", file),
            ("rosey.conf.d/10-x.toml", "owner = \"b\"\n[dashboard]\nport = 2\n"),
            ("rosey.conf.d/20-y.json", "{\"owner\": \"c\"}"),
            ("rosey.conf.d/.20-z.toml", "not ="),
            ("rosey.conf.d/README", "nothing"),
            ("credentials/rosey_dashboard.token", "a secret of many letters\n"),
            ("credentials/plugins.a.config.word", "17"),
            ("credentials/rosey_irc", "not ours"),
            ("credentials/other.service", "not ours"),
        ];
        let variables = [
            ("ROSEY_DASHBOARD__PORT", "3"),
            ("ROSEY_PLUGINS__DICE_ROLLER__JOURNAL", "true"),
            ("ROSEY_PLUGINS__EIGHT_BALL__LIMITS__BAKE", "5s"),
            ("ROSEY_PLUGINS__EIGHT_BALL__RELOAD", "handoff"),
            ("ROSEY_PLUGINS__A__CONFIG__API_KEY", "x y"),
            ("ROSEY_PLUGINS__A__CONFIG__LIST", "[1, \"b\"]"),
            ("ROSEY_ROLES__EVE", "viewer"),
            ("ROSEY_ADMINS", "bob, dave"),
            ("ROSEY_LOG", "debug"),
            ("ROSEY_CHAOS_SEED", "7"),
        ];
        let config = read(&files, &variables).expect("valid");
        assert_eq!((config.owner.as_deref(), config.dashboard.port, &*config.dashboard.host), (Some("c"), 3, "::1"));
        assert_eq!(config.dashboard.token.as_deref(), Some(SECRET));
        assert_eq!(config.plugins.keys().collect::<Vec<_>>(), ["a", "dice-roller", "eight-ball"]);
        assert!(config.plugins["dice-roller"].journal && config.plugins["eight-ball"].reload.is_some());
        let own = serde_json::Value::Object(config.plugins["a"].config.clone());
        assert_eq!(own, serde_json::json!({ "Api-Key": "x y", "list": [1, "b"], "word": "17" }));
        assert_eq!(config.admins, ["bob", "dave"]);
        assert!(config.roles.contains_key("eve"));
    }

    #[test]
    fn a_problem_names_the_place_that_it_comes_from() {
        let files = [
            ("rosey.toml", "owner = \"a\"\n[limits]\nbake = \"soon\"\n"),
            ("rosey.conf.d/x.toml", "\n[dashbord]\nport = 1\n"),
            ("rosey.conf.d/y.toml", "a =\n"),
            ("rosey.conf.d/z.toml", "[limits]\n\nqueue = 0\nqueue = 1\n"),
            ("credentials/dashbord.token", SECRET),
        ];
        let variables = [
            ("ROSEY_DASHBOARD__PORT", "many"),
            ("ROSEY_DASHBOARD__TOKEN", "short"),
            ("ROSEY_DASHBOARD__ENABLED", "yes"),
            ("ROSEY_OWNR", "alice"),
            ("ROSEY_PLUGINS__X__RELOAD", "handof"),
            ("ROSEY_PLUGINS__X__SANDBOX__NETWORK", "api.example.org"),
        ];
        let problem = read(&files, &variables).expect_err("wrong");
        for part in [
            "rosey.toml:3: limits.bake: needs a time",
            "rosey.conf.d/x.toml:2: dashbord: there is no such setting; did you mean dashboard?",
            "rosey.conf.d/y.toml:1: this is not TOML",
            "rosey.conf.d/z.toml:3: limits.queue: needs a whole number from 1 to",
            "rosey.conf.d/z.toml:4: queue: this name occurs twice",
            "the variable ROSEY_DASHBOARD__PORT: dashboard.port: needs a whole number from 0 to 65535\n",
            "the variable ROSEY_DASHBOARD__TOKEN: dashboard.token: needs 16 characters or more",
            "the variable ROSEY_DASHBOARD__ENABLED: dashboard.enabled: needs true or false\n",
            "the variable ROSEY_OWNR: ownr: there is no such setting; did you mean owner?",
            "the variable ROSEY_PLUGINS__X__RELOAD: plugins.x.reload: needs one of \"overlap\"",
            "the variable ROSEY_PLUGINS__X__SANDBOX__NETWORK: plugins.x.sandbox.network: \"api.example.org\" needs",
        ] {
            assert!(problem.contains(part), "{part}\n{problem}");
        }
        assert!(!problem.contains("short") && !problem.contains(SECRET), "a secret is never shown: {problem}");
        let credential = read(&[files[0], ("credentials/dashbord.token", SECRET)], &[]).expect_err("wrong");
        assert!(
            credential.contains("the credential dashbord.token: dashbord: there is no such setting"),
            "{credential}"
        );
    }

    #[test]
    fn secrets_come_from_files_and_one_place_each() {
        let token = "[dashboard]\ntoken_file = \"token\"\n";
        let config = read(&[("rosey.toml", token), ("token", "a secret of many letters\n")], &[]).expect("valid");
        assert_eq!(config.dashboard.token.as_deref(), Some(SECRET));
        for (files, problem) in [
            (
                &[("rosey.toml", token)][..],
                "rosey.toml:2: dashboard.token_file: token cannot be read: there is no such file",
            ),
            (&[("rosey.toml", token), ("token", "short\n")], "rosey.toml:2: dashboard.token_file: needs 16 characters"),
            (
                &[("rosey.toml", token), ("token", SECRET), ("credentials/dashboard.token", SECRET)],
                "rosey.toml:2: dashboard.token_file: is set, and dashboard.token too; remove one of the two",
            ),
        ] {
            let found = read(files, &[]).expect_err(problem);
            assert!(found.contains(problem) && !found.contains(SECRET), "{problem}\n{found}");
        }
        let irc = "[connect.irc]\nserver = \"irc.example\"\nnick = \"rosey\"\npassword_file = \"none\"\n";
        let found = read(&[("rosey.toml", irc)], &[]).expect_err("no file");
        assert!(
            found.contains("rosey.toml:4: connect.irc.password_file: none cannot be read: there is no such file"),
            "{found}"
        );
        // A secret that has changed is a setting that has changed.
        let (one, other) = (["one secret of many letters", "other secret of many letters"])
            .map(|secret| read(&[("rosey.toml", token), ("token", secret)], &[]).expect("valid"))
            .into();
        assert_eq!(Config::needs_restart(&one, &other), ["dashboard.token_file"]);
    }
}
