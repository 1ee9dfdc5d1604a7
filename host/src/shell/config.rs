//! `rosey config`: shows the settings of plugins, compares the file with the running bot, and lets the bot take it over.

use super::{
    USUAL,
    control::{self, Manner},
    db, init, say,
};
use crate::{
    admin::socket::Request,
    cli::ConfigCommand,
    config::{Config, schema},
    plugins::set,
};
use std::path::Path;

/// Carries a command out. The file was read and is right, or this is not called.
pub fn config(config: &Config, config_given: bool, command: &ConfigCommand) -> u8 {
    let (line, manner) = match *command {
        ConfigCommand::Show { ref plugin, json } => (format!("settings {plugin}"), Manner { yes: false, json }),
        ConfigCommand::Plan { json } if control::host(&config.state_dir).is_none() && !json => return alone(config),
        ConfigCommand::Plan { json } => ("config plan".to_owned(), Manner { yes: false, json }),
        ConfigCommand::Apply { yes, json } => ("config reload".to_owned(), Manner { yes, json }),
        // These work without a configuration.
        ConfigCommand::Schema => return print_schema(),
        ConfigCommand::Init { ref file } => return init::init(file.as_deref().unwrap_or(Path::new(USUAL))),
    };
    let request = Request::Command { line, wait: false, follow: false };
    control::ask(config, config_given, &request, None, manner)
}

/// Prints the JSON Schema.
pub fn print_schema() -> u8 {
    say(&format!("{:#}\n", schema()))
}

/// The plan without a running bot.
fn alone(config: &Config) -> u8 {
    let decisions = db::peek(config, set::read).unwrap_or_default();
    let decided = config.catalog().differences(&decisions);
    let decided: String = decided.iter().map(|text| format!("{text}.\n")).collect();
    say(&format!("No bot is running with this state directory, so all of it holds from its next start on.\n{decided}"))
}
