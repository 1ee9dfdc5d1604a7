//! `!help`: made of what the plugins say of themselves.

use crate::event::PREFIX;
use rosey_wire::manifest::{Command, Manifest};

/// Commands named in one line of help; a chat line carries no more.
const NAMED: usize = 40;

/// Everything `!help` can say.
#[derive(Debug, Default)]
pub(super) struct Help {
    commands: Vec<(String, Command)>,
}

impl Help {
    pub(super) fn of<'a>(plugins: impl Iterator<Item = (&'a str, &'a Manifest)>) -> Self {
        let of_plugin = |(plugin, manifest): (&str, &'a Manifest)| {
            let plugin = plugin.to_owned();
            manifest.commands.iter().map(move |command| (plugin.clone(), command.clone()))
        };
        Self { commands: plugins.flat_map(of_plugin).collect() }
    }

    /// One command, or all.
    pub(super) fn about(&self, topic: Option<&str>) -> String {
        let Some(topic) = topic.map(|topic| topic.trim_start_matches(PREFIX).to_lowercase()) else {
            let names: Vec<_> = self.commands.iter().take(NAMED).map(|(_, c)| format!("{PREFIX}{}", c.name)).collect();
            let more = self.commands.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return match names.is_empty() {
                true => "No plugin is running yet.".to_owned(),
                false => format!("Commands: {}{more}. {PREFIX}help COMMAND says more.", names.join(" ")),
            };
        };
        let is_it = |command: &Command| {
            std::iter::once(&command.name).chain(&command.aliases).any(|name| name.to_lowercase() == topic)
        };
        match self.commands.iter().find(|(_, command)| is_it(command)) {
            Some((plugin, command)) => format!("{} — {} ({plugin})", command.usage, command.help),
            None if topic == "admin" => "!admin help lists what an admin can do.".to_owned(),
            None => format!("There is no command {PREFIX}{topic}. {PREFIX}help lists all."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_and_explains() {
        let command = Command {
            name: "roll".into(),
            aliases: vec!["r".into()],
            usage: "!roll 2d6+3".into(),
            help: "Roll dice".into(),
            cooldown_ms: 0,
        };
        let help = Help { commands: vec![("dice-roller".into(), command)] };
        assert_eq!(help.about(None), "Commands: !roll. !help COMMAND says more.");
        assert_eq!(help.about(Some("!R")), "!roll 2d6+3 — Roll dice (dice-roller)");
        assert!(help.about(Some("dance")).contains("no command !dance"));
        assert!(Help::default().about(None).contains("No plugin"));
    }
}
