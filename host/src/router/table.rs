//! Which plugin has which command. Pure: `H` is a handle to a plugin.
//!
//! A command belongs to one plugin. It stays with that plugin: neither a reload of another plugin nor a restart of the
//! host takes it away. Of plugins that start together for the first time, the first by name gets the command.
//! `!PLUGIN:COMMAND` always reaches that plugin.

use crate::{
    event::{PREFIX, RESERVED},
    text::nearest,
};
use rosey_wire::manifest::{Command, Manifest};
use rustc_hash::FxHashMap;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Most commands that a sentence names; it counts the others.
const LISTED: usize = 8;

/// Most plugins in the answer to an unknown command.
const UNKNOWN: usize = 5;

/// The manifests of the plugins, and the owner of each command.
#[derive(Debug)]
pub struct Known<H> {
    /// The plugins of the set.
    expected: BTreeSet<String>,
    plugins: BTreeMap<String, (H, Arc<Manifest>)>,
    /// The plugin of each command, by its folded name.
    owners: BTreeMap<String, String>,
    /// The same at the end of the last host.
    before: BTreeMap<String, String>,
}

impl<H> Default for Known<H> {
    fn default() -> Self {
        let (expected, plugins) = (BTreeSet::new(), BTreeMap::new());
        Self { expected, plugins, owners: BTreeMap::new(), before: BTreeMap::new() }
    }
}

impl<H: Clone> Known<H> {
    /// Takes the owners that the last host saved.
    pub fn recall(&mut self, before: BTreeMap<String, String>) {
        self.before = before;
    }

    /// The handle to a plugin.
    pub fn handle(&self, plugin: &str) -> Option<H> {
        self.plugins.get(plugin).map(|(handle, _)| handle.clone())
    }

    /// The plugins with their manifests, for their subscriptions.
    pub fn listening(&self) -> Vec<(H, Arc<Manifest>)> {
        self.plugins.values().filter(|(_, manifest)| !manifest.subscriptions.is_empty()).cloned().collect()
    }

    /// Takes the commands of a plugin, in place of its earlier ones; true when its subscriptions change. While plugins
    /// start together (`starting`), no plugin owns a command yet: the plugin that had it before gets it, or the first
    /// by name.
    pub fn learn(&mut self, plugin: &str, handle: H, manifest: Arc<Manifest>, starting: bool) -> bool {
        let subscriptions = manifest.subscriptions.clone();
        let before = self.plugins.insert(plugin.to_owned(), (handle, manifest));
        if starting {
            self.owners.clone_from(&self.before);
        }
        self.claim();
        before.map_or(!subscriptions.is_empty(), |(_, before)| before.subscriptions != subscriptions)
    }

    /// Forgets a plugin that leaves the set; true when it has subscriptions. Another plugin that has one of its commands
    /// gets it.
    pub fn forget(&mut self, plugin: &str) -> bool {
        self.expected.remove(plugin);
        self.before.retain(|_, owner| owner != plugin);
        let gone = self.plugins.remove(plugin);
        self.claim();
        gone.is_some_and(|(_, manifest)| !manifest.subscriptions.is_empty())
    }

    /// Gives each command to a plugin that has it, and leaves it where it is if that plugin still has it.
    fn claim(&mut self) {
        let claimed: BTreeMap<&String, BTreeSet<String>> =
            self.plugins.iter().map(|(name, (_, manifest))| (name, names(manifest).collect())).collect();
        let claims = |command: &String, plugin: &String| claimed.get(plugin).is_some_and(|all| all.contains(command));
        self.owners.retain(|command, plugin| claims(command, plugin));
        for (plugin, commands) in &claimed {
            for command in commands.iter().filter(|command| !RESERVED.contains(&command.as_str())) {
                self.owners.entry(command.clone()).or_insert_with(|| (*plugin).clone());
            }
        }
    }

    /// Adds a plugin of the set.
    pub fn expect(&mut self, plugin: &str) {
        self.expected.insert(plugin.to_owned());
    }

    /// The plugins whose commands are not known yet: their number, and a list for people.
    pub fn unknown(&self) -> (usize, String) {
        let unknown: Vec<_> = self.expected.iter().filter(|name| !self.plugins.contains_key(*name)).collect();
        let named: Vec<_> = unknown.iter().take(UNKNOWN).map(|name| name.as_str()).collect();
        let more = unknown.len().saturating_sub(UNKNOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (unknown.len(), format!("{}{more}", named.join(", ")))
    }

    /// The commands of this manifest that stay with other plugins, in a sentence: `!roll stays with dice; !x:roll
    /// reaches x.`
    pub fn clashing(&self, plugin: &str, manifest: &Manifest) -> Option<String> {
        let clashes = self.clashes(plugin, manifest);
        let first = clashes.keys().next()?;
        let owners: BTreeSet<_> = clashes.values().collect();
        let stay = owners.into_iter().map(|owner| {
            let kept: Vec<_> =
                clashes.iter().filter(|(_, other)| *other == owner).map(|(command, _)| command).collect();
            format!("{} {} with {owner}", listed(&kept), if kept.len() == 1 { "stays" } else { "stay" })
        });
        let stay: Vec<_> = stay.collect();
        Some(format!("{}; {PREFIX}{plugin}:{first} reaches {plugin}.", stay.join("; ")))
    }

    /// The commands of this manifest that the plugin would not get, each with its owner.
    pub fn clashes(&self, plugin: &str, manifest: &Manifest) -> BTreeMap<String, String> {
        let owned = |command: String| {
            let reserved = RESERVED.contains(&command.as_str()).then(|| "Rosey".to_owned());
            let owner = reserved.or_else(|| self.owners.get(&command).cloned())?;
            (owner != plugin).then_some((command, owner))
        };
        names(manifest).filter_map(owned).collect()
    }

    /// The plugin of each command.
    pub fn owners(&self) -> &BTreeMap<String, String> {
        &self.owners
    }

    /// The table for the router.
    pub fn table(&self) -> Table<H> {
        let mut table = Table::default();
        for (plugin, (handle, manifest)) in &self.plugins {
            table.descriptions.insert(plugin.clone(), manifest.description.clone());
            for command in &manifest.commands {
                let is_owned = |name: &str| self.owners.get(name) == Some(plugin);
                for spelled in std::iter::once(&command.name).chain(&command.aliases) {
                    let (folded, entry) = (fold(spelled), table.entries.len());
                    let needs_role = needs_role(command) || command.subcommands.iter().any(needs_role);
                    let route = Route { handle: handle.clone(), spelled: spelled.as_str().into(), entry, needs_role };
                    if is_owned(&folded) {
                        table.routes.insert(folded.clone(), route.clone());
                    }
                    table.routes.insert(format!("{plugin}:{folded}"), route);
                }
                let shown = match is_owned(&fold(&command.name)) {
                    true => command.name.clone(),
                    false => format!("{plugin}:{}", command.name),
                };
                table.entries.push(Entry { plugin: plugin.clone(), command: command.clone(), shown });
            }
        }
        table
    }
}

/// Commands with their prefix; of many, the first ones and the number of the others.
pub fn listed(commands: &[&String]) -> String {
    let shown: Vec<_> = commands.iter().take(LISTED).map(|name| format!("{PREFIX}{name}")).collect();
    let more = commands.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// All names of a manifest, folded.
fn names(manifest: &Manifest) -> impl Iterator<Item = String> {
    manifest.commands.iter().flat_map(|command| std::iter::once(&command.name).chain(&command.aliases)).map(|c| fold(c))
}

/// A command in lower case, for comparisons.
pub(super) fn fold(command: &str) -> String {
    command.to_lowercase()
}

/// The route of a command.
#[derive(Debug, Clone)]
pub struct Route<H> {
    /// The handle to the plugin.
    pub handle: H,
    /// The command as the plugin spells it.
    pub(super) spelled: Arc<str>,
    /// Its place in [`Table::entries`].
    pub(super) entry: usize,
    /// Whether the command or a subcommand of it needs a role.
    needs_role: bool,
}

impl<H> Route<H> {
    /// The line for the plugin: with the command in the plugin's spelling, and without the plugin's name.
    pub fn spell<'a>(&self, line: &'a str, command: &str) -> Cow<'a, str> {
        if command == &*self.spelled {
            return Cow::Borrowed(line);
        }
        let rest = &line[PREFIX.len_utf8() + command.len()..];
        Cow::Owned(format!("{PREFIX}{}{rest}", self.spelled))
    }

    /// The length of the command in a line from [`Route::spell`], with the prefix.
    pub fn command_end(&self) -> usize {
        PREFIX.len_utf8() + self.spelled.len()
    }
}

/// One command of one plugin.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) plugin: String,
    pub(super) command: Command,
    /// How users reach it: by its name, or with the plugin's name too if another plugin owns the name.
    pub(super) shown: String,
}

/// What a person needs for a command.
#[derive(Debug, PartialEq, Eq)]
pub struct NeededRole {
    /// The command, with its subcommand and the prefix: `!quotes delete`.
    pub command: String,
    /// The roles, of which the person needs each: that of the command, and that of the subcommand.
    pub roles: Vec<String>,
}

/// The routes, and what `!help` says about them.
#[derive(Debug)]
pub struct Table<H> {
    routes: FxHashMap<String, Route<H>>,
    pub(super) entries: Vec<Entry>,
    /// The description of each plugin, by its name in the configuration.
    pub(super) descriptions: BTreeMap<String, String>,
}

impl<H> Default for Table<H> {
    fn default() -> Self {
        Self { routes: FxHashMap::default(), entries: Vec::new(), descriptions: BTreeMap::new() }
    }
}

impl<H> Table<H> {
    /// The route of a command, in any spelling.
    pub fn find(&self, command: &str) -> Option<&Route<H>> {
        // Most people type the plugin's spelling.
        self.routes.get(command).or_else(|| self.routes.get(&fold(command)))
    }

    /// The known command nearest to an unknown one, without the prefix.
    pub fn nearest(&self, command: &str) -> Option<String> {
        // With two letters any command is near.
        let is_long = |name: &str| name.chars().count() > 2 && !name.contains(':');
        let names = self.routes.keys().map(String::as_str).chain(RESERVED).filter(|name| is_long(name));
        Some(fold(command)).filter(|command| is_long(command)).and_then(|command| nearest(&command, names))
    }

    /// The roles that a line with this command needs; `None` when everyone may give it.
    pub fn needed_role(&self, route: &Route<H>, line: &str, command: &str) -> Option<NeededRole> {
        if !route.needs_role {
            return None;
        }
        let Entry { command: declared, .. } = self.entries.get(route.entry)?;
        let subcommand = declared.subcommand(&line[PREFIX.len_utf8() + command.len()..]);
        let roles = std::iter::once(declared).chain(subcommand).map(|it| it.requires.clone());
        let roles: Vec<_> = roles.filter(|role| !role.is_empty()).collect();
        let name = subcommand.map(|it| format!(" {}", it.name)).unwrap_or_default();
        (!roles.is_empty()).then(|| NeededRole { command: format!("{PREFIX}{}{name}", declared.name), roles })
    }
}

fn needs_role(command: &Command) -> bool {
    !command.requires.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A plugin with these commands, each with its aliases after a `/`.
    fn manifest(name: &str, commands: &[&str]) -> Arc<Manifest> {
        let command = |names: &&str| {
            let mut names = names.split('/').map(str::to_owned);
            let name = names.next().expect("a name");
            let usage = format!("!{name} ARGS");
            Command { name, aliases: names.collect(), usage, help: "Does it".into(), ..Command::default() }
        };
        Arc::new(Manifest {
            name: name.into(),
            commands: commands.iter().map(command).collect(),
            ..Manifest::default()
        })
    }

    fn known(plugins: &[(&'static str, &[&str])], by_name: bool) -> Known<&'static str> {
        let mut known = Known::default();
        for (name, commands) in plugins {
            known.learn(name, *name, manifest(name, commands), by_name);
        }
        known
    }

    fn reached(table: &Table<&'static str>, line: &str) -> Option<(&'static str, String)> {
        let command = crate::event::command_of(line)?;
        let route = table.find(command)?;
        Some((route.handle, route.spell(line, command).into_owned()))
    }

    #[test]
    fn the_plugin_gets_its_command_as_it_spells_it() {
        let table = known(&[("dice", &["roll/Würfle"])], false).table();
        for line in ["!roll 2d6", "!ROLL 2d6", "!dice:roll 2d6", "!DICE:Roll 2d6"] {
            assert_eq!(reached(&table, line), Some(("dice", "!roll 2d6".to_owned())), "{line}");
        }
        assert_eq!(reached(&table, "!WÜRFLE  x "), Some(("dice", "!Würfle  x ".to_owned())));
        let route = table.find("roll").expect("there");
        assert!(matches!(route.spell("!roll 2d6", "roll"), Cow::Borrowed(_)), "nothing is copied for the common case");
        for line in ["!rol", "!dice:", "!:roll", "!other:roll", "!dice:roll:roll"] {
            assert_eq!(reached(&table, line), None, "{line}");
        }
        assert_eq!(table.nearest("ROL").as_deref(), Some("roll"));
    }

    #[test]
    fn who_has_a_command_keeps_it() {
        let mut known = known(&[("dice", &["roll"])], true);
        known.learn("alias", "alias", manifest("alias", &["go/roll", "help"]), false);
        let table = known.table();
        assert_eq!(reached(&table, "!roll 1").expect("there").0, "dice");
        assert_eq!(reached(&table, "!alias:roll 1"), Some(("alias", "!roll 1".to_owned())));
        assert_eq!(reached(&table, "!alias:help"), Some(("alias", "!help".to_owned())));
        assert!(table.find("help").is_none(), "that is Rosey's");
        let clash = known.clashing("alias", &manifest("alias", &["ROLL", "other", "admin"]));
        let expected = "!admin stays with Rosey; !roll stays with dice; !alias:admin reaches alias.";
        assert_eq!(clash.as_deref(), Some(expected));
        assert_eq!(known.clashing("alias", &manifest("alias", &["other"])), None);
        known.learn("dice", "dice", manifest("dice", &["throw"]), false);
        assert_eq!(reached(&known.table(), "!roll 1").expect("there").0, "alias", "it is free now");
    }

    #[test]
    fn a_plugin_that_never_ran_is_named_where_a_command_is_unknown() {
        let mut known = known(&[("dice", &["roll"])], true);
        assert_eq!(known.unknown(), (0, String::new()));
        ["dice", "quotes", "a", "b", "c", "d", "e"].into_iter().for_each(|name| known.expect(name));
        assert_eq!(known.unknown(), (6, "a, b, c, d, e and 1 more".to_owned()));
        known.learn("a", "a", manifest("a", &[]), true);
        assert_eq!(known.unknown(), (5, "b, c, d, e, quotes".to_owned()));
    }

    #[test]
    fn of_plugins_that_come_up_together_the_first_by_name_gets_it() {
        let known = known(&[("b", &["roll"]), ("a", &["roll"])], true);
        assert_eq!(known.owners()["roll"], "a");
    }

    #[test]
    fn a_host_that_starts_again_gives_a_command_to_the_plugin_that_had_it() {
        let mut known = Known::default();
        known.recall([("roll", "b"), ("gone", "b"), ("spin", "c")].map(|(a, b)| (a.into(), b.into())).into());
        for (plugin, commands) in [("a", &["roll", "spin"]), ("b", &["roll", "new"])] {
            known.learn(plugin, plugin, manifest(plugin, commands), true);
        }
        let owners = [("new", "b"), ("roll", "b"), ("spin", "a")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(*known.owners(), owners.into());
    }

    #[test]
    fn a_role_is_needed_by_the_command_or_by_its_subcommand() {
        let of = |name: &str, requires: &str, subcommands: Vec<Command>| Command {
            name: name.into(),
            requires: requires.into(),
            subcommands,
            ..Command::default()
        };
        let subcommands = vec![of("search", "", vec![]), of("delete", "operator", vec![])];
        let commands =
            vec![of("quotes", "", subcommands.clone()), of("vault", "viewer", subcommands), of("roll", "", vec![])];
        let mut known = Known::default();
        known.learn("q", "q", Arc::new(Manifest { commands, ..Manifest::default() }), true);
        let table = known.table();
        let needed = |line: &str| {
            let command = crate::event::command_of(line).expect("a command");
            let needed = table.needed_role(table.find(command).expect("there"), line, command)?;
            Some(format!("{} {}", needed.command, needed.roles.join("+")))
        };
        assert_eq!((needed("!roll delete"), needed("!quotes"), needed("!quotes search delete")), (None, None, None));
        assert_eq!(needed("!QUOTES \u{3000} DELETE 7").as_deref(), Some("!quotes delete operator"));
        assert_eq!(needed("!q:quotes delete").as_deref(), Some("!quotes delete operator"));
        assert_eq!(needed("!vault delete").as_deref(), Some("!vault delete viewer+operator"));
        assert_eq!(needed("!vault").as_deref(), Some("!vault viewer"));
    }

    proptest! {
        #[test]
        fn a_plugin_gets_nothing_but_its_own_commands_and_what_stood_behind_them(
            command in "(dice:|DICE:|other:|:)?(roll|ROLL|Würfle|WÜRFLE|w|İ|ẞ|x)(:roll)?",
            rest in "( [ -~ä\u{3000}]{0,20})?",
        ) {
            let table = known(&[("dice", &["roll/Würfle", "ẞ/İ"])], false).table();
            let line = format!("!{command}{rest}");
            if let Some((plugin, line)) = reached(&table, &line) {
                prop_assert_eq!(plugin, "dice");
                let typed = crate::event::command_of(&line).expect("it is a command");
                prop_assert!(["roll", "Würfle", "ẞ", "İ"].contains(&typed), "{}", line);
                prop_assert!(line.ends_with(&rest));
            } else {
                prop_assert!(["x", "w"].contains(&command.trim_start_matches("dice:").trim_start_matches("DICE:"))
                    || command.starts_with(['o', ':']) || command.ends_with(":roll"), "{} reaches nothing", line);
            }
        }
    }
}
