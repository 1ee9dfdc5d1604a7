//! `rosey config`: shows the settings of plugins, compares the file with the running bot, and lets the bot take it over.

use super::{
    control::{self, Manner},
    db, say,
};
use crate::{admin::socket::Request, cli::ConfigCommand, config::Config, plugins::set};

/// Carries a command out. The file was read and is right, or this is not called.
pub fn config(config: &Config, config_given: bool, command: &ConfigCommand) -> u8 {
    let (line, manner) = match *command {
        ConfigCommand::Show { ref plugin, json } => (format!("settings {plugin}"), Manner { yes: false, json }),
        ConfigCommand::Plan { json } if control::host(&config.state_dir).is_none() && !json => return alone(config),
        ConfigCommand::Plan { json } => ("config plan".to_owned(), Manner { yes: false, json }),
        ConfigCommand::Apply { yes, json } => ("config reload".to_owned(), Manner { yes, json }),
    };
    let request = Request::Command { line, wait: false, follow: false };
    control::ask(config, config_given, &request, None, manner)
}

/// The plan without a running bot.
fn alone(config: &Config) -> u8 {
    let decisions = db::peek(config, set::read).unwrap_or_default();
    let decided = config.catalog().differences(&decisions);
    let decided: String = decided.iter().map(|text| format!("{text}.\n")).collect();
    say(&format!("No bot is running with this state directory, so all of it holds from its next start on.\n{decided}"))
}
