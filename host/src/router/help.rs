//! The texts of `!help`.

use super::table::{Entry, Table, fold};
use crate::{event::PREFIX, text::visible};
use rosey_wire::manifest::Command;

/// Most commands in one line of help; a chat line carries no more.
const NAMED: usize = 40;

impl<H> Table<H> {
    /// The text of `!help`: about a command, a subcommand or a plugin, or about all commands.
    pub fn help(&self, topic: Option<&str>) -> String {
        let Some(topic) = topic.map(|topic| topic.trim_start_matches(PREFIX)).filter(|topic| !topic.is_empty()) else {
            return self.list();
        };
        let (first, rest) = topic.split_once(char::is_whitespace).unwrap_or((topic, ""));
        match (self.find(first), fold(first)) {
            (Some(route), name) => {
                let entry = &self.entries[route.entry];
                match entry.command.subcommand(rest) {
                    Some(subcommand) => of_subcommand(entry, subcommand),
                    None => self.of_command(entry, &fold(&route.spelled)) + &self.more(entry, &name),
                }
            }
            (None, name) if name == "admin" => "!admin help lists what an admin can do.".to_owned(),
            (None, name) => self.of_plugin(&name).unwrap_or_else(|| self.unknown(&name)),
        }
    }

    fn list(&self) -> String {
        let names: Vec<_> = self.entries.iter().map(|entry| entry.shown.as_str()).collect();
        match names.is_empty() {
            true => "No plugin is running yet.".to_owned(),
            false => format!("Commands: {}. {PREFIX}help COMMAND says more.", listed(&names)),
        }
    }

    fn unknown(&self, name: &str) -> String {
        let meant = self.nearest(name).map(|near| format!("; did you mean {PREFIX}{near}?"));
        let meant = meant.as_deref().unwrap_or(".");
        format!("There is no command {}{meant} {PREFIX}help lists all.", visible(name))
    }

    /// About a command that the user calls by this name. Names that another plugin owns are left out.
    fn of_command(&self, entry: &Entry, name: &str) -> String {
        let Entry { plugin, command, .. } = entry;
        let is_reached = |other: &&String| {
            let route = self.find(other).map(|route| &self.entries[route.entry]);
            fold(other) != name && route.is_some_and(|it| it.plugin == *plugin)
        };
        let names: Vec<_> = std::iter::once(&command.name).chain(&command.aliases).filter(is_reached).collect();
        let same = |other: &&Entry| {
            let mut names = std::iter::once(&other.command.name).chain(&other.command.aliases);
            other.plugin != *plugin && names.any(|other| fold(other) == name)
        };
        let others: Vec<_> =
            self.entries.iter().filter(same).map(|it| format!("{PREFIX}{}:{name}", it.plugin)).collect();
        let mut notes = notes(plugin, command);
        if !names.is_empty() {
            let names: Vec<_> = names.iter().map(|name| format!("{PREFIX}{name}")).collect();
            notes.push(format!("or {}", names.join(", ")));
        }
        if !others.is_empty() {
            notes.push(format!("also {}", others.join(", ")));
        }
        let with: Vec<_> = command.subcommands.iter().map(|it| it.name.as_str()).collect();
        let with = match with.first() {
            Some(first) => format!(". With {}: {PREFIX}help {} {first} says more.", with.join(", "), command.name),
            None => String::new(),
        };
        format!("{} ({}){with}", described(command), notes.join("; "))
    }

    /// The other commands of a plugin that has the name of its command.
    fn more(&self, entry: &Entry, name: &str) -> String {
        let of_it = self.entries.iter().filter(|it| it.plugin == entry.plugin && it.shown != entry.shown);
        let names: Vec<_> = of_it.map(|it| it.shown.as_str()).collect();
        match fold(&entry.plugin) == name && !names.is_empty() {
            true => format!(" The plugin {} also has {}.", entry.plugin, listed(&names)),
            false => String::new(),
        }
    }

    /// About a plugin, by its name in the configuration.
    fn of_plugin(&self, name: &str) -> Option<String> {
        let (plugin, description) = self.descriptions.iter().find(|(plugin, _)| fold(plugin) == name)?;
        let of_it = self.entries.iter().filter(|it| it.plugin == *plugin);
        let names: Vec<_> = of_it.map(|it| it.shown.as_str()).collect();
        let what = match description.trim_end_matches('.') {
            "" => plugin.clone(),
            description => format!("{plugin} — {description}"),
        };
        Some(match names.is_empty() {
            true => format!("{what}. It has no commands."),
            false => format!("{what}. Commands: {}. {PREFIX}help COMMAND says more.", listed(&names)),
        })
    }
}

fn of_subcommand(entry: &Entry, subcommand: &Command) -> String {
    let mut notes = notes(&entry.plugin, subcommand);
    if !subcommand.aliases.is_empty() {
        notes.push(format!("or {}", subcommand.aliases.join(", ")));
    }
    format!("{} ({})", described(subcommand), notes.join("; "))
}

fn described(command: &Command) -> String {
    match command.help.as_str() {
        "" => command.usage.clone(),
        help => format!("{} — {help}", command.usage),
    }
}

/// The first words in the parentheses: the plugin, and who may use the command.
fn notes(plugin: &str, command: &Command) -> Vec<String> {
    let role = Some(&command.requires).filter(|role| !role.is_empty());
    std::iter::once(plugin.to_owned()).chain(role.map(|role| format!("needs the role {role}"))).collect()
}

/// Commands with their prefix; of many, the first ones and the number of the others.
fn listed(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(NAMED).map(|name| format!("{PREFIX}{name}")).collect();
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::table::Known;
    use rosey_wire::manifest::Manifest;
    use std::sync::Arc;

    /// A command, with its aliases after a `/`.
    fn command(names: &str) -> Command {
        let mut names = names.split('/').map(str::to_owned);
        let name = names.next().expect("a name");
        let usage = format!("!{name} ARGS");
        Command { name, aliases: names.collect(), usage, help: "Does it".into(), ..Command::default() }
    }

    fn table(plugins: &[(&'static str, Manifest)]) -> Table<&'static str> {
        let mut known = Known::default();
        for (name, manifest) in plugins {
            known.learn(name, *name, Arc::new(manifest.clone()), false);
        }
        known.table()
    }

    fn manifest(commands: Vec<Command>, description: &str) -> Manifest {
        Manifest { commands, description: description.into(), ..Manifest::default() }
    }

    #[test]
    fn help_names_each_command_once_and_says_which_plugin_is_meant() {
        let other = manifest(vec![command("roll"), command("spin")], "");
        let table = table(&[("dice", manifest(vec![command("roll/r")], "")), ("other", other)]);
        assert_eq!(table.help(None), "Commands: !roll !other:roll !spin. !help COMMAND says more.");
        assert_eq!(table.help(Some("!R")), "!roll ARGS — Does it (dice; or !roll)");
        assert_eq!(table.help(Some("ROLL")), "!roll ARGS — Does it (dice; or !r; also !other:roll)");
        assert_eq!(table.help(Some("other:roll")), "!roll ARGS — Does it (other; also !dice:roll)");
        assert_eq!(table.help(Some("dance\u{200b}")), r"There is no command dance\u{200b}. !help lists all.");
        assert_eq!(table.help(Some("rol")), "There is no command rol; did you mean !roll? !help lists all.");
        assert!(Table::<()>::default().help(None).contains("No plugin"));
    }

    #[test]
    fn help_about_a_plugin_names_its_commands() {
        let quotes = manifest(vec![command("quotes"), command("quote")], "");
        let all = [
            ("dice", manifest(vec![command("roll")], "Rolls dice.")),
            ("quotes", quotes),
            ("links", manifest(vec![], "")),
        ];
        let table = table(&all);
        assert_eq!(table.help(Some("DICE")), "dice — Rolls dice. Commands: !roll. !help COMMAND says more.");
        assert_eq!(table.help(Some("links")), "links. It has no commands.");
        let text = "!quotes ARGS — Does it (quotes) The plugin quotes also has !quote.";
        assert_eq!(table.help(Some("quotes")), text);
    }

    #[test]
    fn help_about_a_command_names_its_subcommands() {
        let delete = Command { requires: "operator".into(), ..command("delete/rm") };
        let quotes = Command { subcommands: vec![command("search"), delete], ..command("quotes") };
        let table = table(&[("q", manifest(vec![quotes], ""))]);
        let text = "!quotes ARGS — Does it (q). With search, delete: !help quotes search says more.";
        assert_eq!(table.help(Some("quotes")), text);
        assert_eq!(table.help(Some("quotes nothing")), text);
        assert_eq!(table.help(Some("!quotes  RM")), "!delete ARGS — Does it (q; needs the role operator; or rm)");
    }
}
