//! Which plugins belong to the set: what the configuration says, and what an operator decided since, which counts over
//! it and is remembered in `rosey.db`. The decisions are pure.

use super::PluginConfig;
use crate::store::{Database, StoreError};
use rusqlite::params;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The table of this module: only what differs from the configuration.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS plugin_set (
    name    TEXT PRIMARY KEY,
    wish    TEXT NOT NULL,      -- loaded, unloaded or disabled
    library TEXT                -- instead of the configured one
) STRICT;";

/// The file name of a plugin's library.
pub fn library_name(plugin: &str) -> String {
    format!("lib{}.so", plugin.replace('-', "_"))
}

/// What the configuration says of the set.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The folder of libraries that have no path of their own.
    pub plugin_dir: PathBuf,
    /// The configured plugins, by name, and whether each is enabled.
    pub configured: BTreeMap<String, (PluginConfig, bool)>,
    /// The settings of a plugin that has no table. Its name and its library are replaced.
    pub plain: PluginConfig,
}

/// What an operator decided about a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedState {
    /// It belongs to the set, and runs.
    Loaded,
    /// It does not belong to the set.
    Unloaded,
    /// It belongs to the set, and does not run.
    Disabled,
}

impl WantedState {
    const ALL: [(Self, &str); 3] =
        [(Self::Loaded, "loaded"), (Self::Unloaded, "unloaded"), (Self::Disabled, "disabled")];

    /// The word in the database, which people read too.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(wanted, _)| *wanted == self).map_or("", |(_, word)| word)
    }
}

/// A decision that counts over the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub wanted: WantedState,
    /// The library, instead of the configured one.
    pub library: Option<PathBuf>,
}

/// The decisions, by plugin.
pub type Decisions = BTreeMap<String, Decision>;

/// A plugin that belongs to the set.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Its settings.
    pub config: PluginConfig,
    /// Whether it does not run.
    pub disabled: bool,
}

impl From<Vec<PluginConfig>> for Catalog {
    /// A set of enabled plugins, whose first one lends its folder and its limits to plugins without a table.
    fn from(configs: Vec<PluginConfig>) -> Self {
        let plain = configs.first().cloned().unwrap_or_default();
        let plugin_dir = plain.library.parent().map(Path::to_owned).unwrap_or_default();
        let configured = configs.into_iter().map(|config| (config.name.clone(), (config, true))).collect();
        let plain = PluginConfig { limits: plain.limits, ..PluginConfig::default() };
        Self { plugin_dir, configured, plain }
    }
}

impl Catalog {
    /// The settings of a plugin, configured or not, with this library or that of the configuration.
    pub fn config(&self, plugin: &str, library: Option<&Path>) -> PluginConfig {
        let mut config = match self.configured.get(plugin) {
            Some((config, _)) => config.clone(),
            None => PluginConfig {
                name: plugin.to_owned(),
                library: self.plugin_dir.join(library_name(plugin)),
                ..self.plain.clone()
            },
        };
        if let Some(library) = library {
            config.library = self.plugin_dir.join(library);
        }
        config
    }

    /// The plugins of the set, in the order of their names.
    pub fn choose(&self, decisions: &Decisions) -> BTreeMap<String, Chosen> {
        let enabled = self.configured.iter().filter(|(_, (_, enabled))| *enabled).map(|(name, _)| name);
        let mut chosen = BTreeMap::new();
        for name in enabled.chain(decisions.keys()) {
            let decision = decisions.get(name);
            let disabled = match decision.map(|decision| decision.wanted) {
                None | Some(WantedState::Loaded) => false,
                Some(WantedState::Disabled) => true,
                Some(WantedState::Unloaded) => continue,
            };
            let config = self.config(name, decision.and_then(|decision| decision.library.as_deref()));
            chosen.insert(name.clone(), Chosen { config, disabled });
        }
        chosen
    }

    /// What must be remembered so that this counts; `None` when the configuration says the same.
    pub fn decision(&self, plugin: &str, wanted: WantedState, library: Option<PathBuf>) -> Option<Decision> {
        let enabled = self.configured.get(plugin).is_some_and(|(_, enabled)| *enabled);
        let says_the_same = match wanted {
            WantedState::Loaded => enabled && library.is_none(),
            WantedState::Unloaded => !enabled,
            WantedState::Disabled => false,
        };
        (!says_the_same).then_some(Decision { wanted, library })
    }

    /// Where the configuration and the decisions differ, a sentence each.
    pub fn differences(&self, decisions: &Decisions) -> Vec<String> {
        let sentence = |(name, decision): (&String, &Decision)| {
            let file = match self.configured.get(name) {
                Some((_, true)) => "the configuration enables it",
                Some((_, false)) => "the configuration disables it",
                None => "the configuration does not have it",
            };
            let from = decision.library.as_ref().map(|library| format!(" from {}", library.display()));
            let back = match (decision.wanted, self.configured.get(name)) {
                (WantedState::Loaded, Some((_, true))) => "unload it and load it without a path",
                (WantedState::Loaded, _) => "unload",
                (WantedState::Unloaded, _) => "load",
                (WantedState::Disabled, _) => "enable",
            };
            format!(
                "{name} is {}{} by an operator, and {file}; to go by the configuration: {back}",
                decision.wanted.word(),
                from.unwrap_or_default()
            )
        };
        decisions.iter().map(sentence).collect()
    }
}

/// The decisions that are remembered.
///
/// # Errors
///
/// The database cannot be read.
pub async fn load(database: &Database) -> Result<Decisions, StoreError> {
    database.run(read).await
}

/// The same on an open connection.
///
/// # Errors
///
/// The database cannot be read.
pub fn read(connection: &mut rusqlite::Connection) -> rusqlite::Result<Decisions> {
    let mut statement = connection.prepare("SELECT name, wish, library FROM plugin_set")?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
    };
    let rows = statement.query_map([], row)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let decision = |(name, word, library): (String, String, Option<String>)| {
        // Another word is of a later Rosey; then the configuration counts.
        let (wanted, _) = *WantedState::ALL.iter().find(|(_, known)| *known == word)?;
        Some((name, Decision { wanted, library: library.map(PathBuf::from) }))
    };
    Ok(rows.into_iter().filter_map(decision).collect())
}

/// Remembers a decision, or forgets the one before.
///
/// # Errors
///
/// The database cannot be written; then the decision before counts.
pub async fn save(database: &Database, plugin: &str, decision: Option<Decision>) -> Result<(), StoreError> {
    let plugin = plugin.to_owned();
    let write = move |connection: &mut rusqlite::Connection| match decision {
        Some(Decision { wanted, library }) => connection.execute(
            "INSERT INTO plugin_set (name, wish, library) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET wish = ?2, library = ?3",
            params![plugin, wanted.word(), library.map(|path| path.to_string_lossy().into_owned())],
        ),
        None => connection.execute("DELETE FROM plugin_set WHERE name = ?1", [plugin]),
    };
    database.run(write).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let config = |name: &str| PluginConfig {
            name: name.into(),
            library: PathBuf::from("/p").join(library_name(name)),
            ..PluginConfig::default()
        };
        let configured = [("on", true), ("off", false)];
        let configured = configured.map(|(name, enabled)| (name.to_owned(), (config(name), enabled))).into();
        Catalog { plugin_dir: "/p".into(), configured, plain: PluginConfig::default() }
    }

    fn chosen(decisions: &[(&str, WantedState, Option<&str>)]) -> Vec<(String, bool, String)> {
        let decision = |(name, wanted, library): &(&str, WantedState, Option<&str>)| {
            ((*name).to_owned(), Decision { wanted: *wanted, library: library.map(PathBuf::from) })
        };
        let decisions = decisions.iter().map(decision).collect();
        let shown =
            |(name, chosen): (String, Chosen)| (name, chosen.disabled, chosen.config.library.display().to_string());
        catalog().choose(&decisions).into_iter().map(shown).collect()
    }

    #[test]
    fn decisions_count_over_the_configuration() {
        let on = |disabled, library: &str| ("on".to_owned(), disabled, library.to_owned());
        assert_eq!(chosen(&[]), [on(false, "/p/libon.so")]);
        assert_eq!(chosen(&[("on", WantedState::Unloaded, None)]), []);
        assert_eq!(chosen(&[("on", WantedState::Disabled, Some("x.so"))]), [on(true, "/p/x.so")]);
        let all = chosen(&[
            ("off", WantedState::Loaded, None),
            ("a-b", WantedState::Loaded, None),
            ("c", WantedState::Unloaded, None),
        ]);
        let libraries: Vec<_> = all.iter().map(|(_, _, library)| library.as_str()).collect();
        assert_eq!(libraries, ["/p/liba_b.so", "/p/liboff.so", "/p/libon.so"]);
    }

    #[test]
    fn only_what_differs_from_the_configuration_is_remembered() {
        let is_kept = |plugin, wanted, library: Option<&str>| {
            catalog().decision(plugin, wanted, library.map(PathBuf::from)).is_some()
        };
        assert!(!is_kept("on", WantedState::Loaded, None) && is_kept("on", WantedState::Loaded, Some("x.so")));
        assert!(is_kept("off", WantedState::Loaded, None) && is_kept("new", WantedState::Loaded, None));
        assert!(is_kept("on", WantedState::Unloaded, None) && !is_kept("off", WantedState::Unloaded, None));
        assert!(!is_kept("new", WantedState::Unloaded, None) && is_kept("on", WantedState::Disabled, None));
    }

    #[tokio::test]
    async fn decisions_are_remembered_and_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = Database::open(&directory.path().join("rosey.db"), &[SCHEMA]).expect("a database");
        let decision = Decision { wanted: WantedState::Loaded, library: Some("/x/y.so".into()) };
        save(&database, "a", Some(decision.clone())).await.expect("written");
        save(&database, "b", Some(Decision { wanted: WantedState::Disabled, library: None })).await.expect("written");
        let known = load(&database).await.expect("readable");
        assert_eq!((known.len(), &known["a"]), (2, &decision));
        let told = catalog().differences(&known).join("\n");
        assert!(
            told.contains("a is loaded from /x/y.so by an operator, and the configuration does not have it"),
            "{told}"
        );
        save(&database, "a", None).await.expect("written");
        assert_eq!(load(&database).await.expect("readable").len(), 1);
    }
}
