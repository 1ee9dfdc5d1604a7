//! `rosey store`: reads what plugins keep where it lies, whether the bot runs or not.

use super::{db, fail, say};
use crate::{
    cli::{StoreCommand, exit},
    commit::{self, Kept},
    config::Config,
    text::visible,
};

/// Lists, gets or counts.
pub fn store(config: &Config, config_given: bool, command: &StoreCommand) -> u8 {
    db::with(config, config_given, |_, connection| match command {
        StoreCommand::Usage => {
            let lines = commit::all_usage(connection)?.into_iter().map(|(plugin, usage)| {
                format!("{plugin:20} {:>10} keys {:>14} bytes {:>10} commits\n", usage.keys, usage.bytes, usage.commits)
            });
            let text: String = lines.collect();
            Ok(say(if text.is_empty() { "No plugin keeps anything.\n" } else { &text }))
        }
        StoreCommand::List { plugin, prefix, limit } => {
            let kept = commit::kept(connection, plugin, prefix.as_deref().unwrap_or_default(), *limit)?;
            let lines = kept.iter().map(|Kept { scope, key, value }| {
                let scope = if scope.is_empty() { "global" } else { scope };
                format!("{}\t{}\t{}\n", visible(scope), visible(key), visible(value))
            });
            Ok(say(&lines.collect::<String>()))
        }
        StoreCommand::Get { plugin, key, scope } => {
            let scope = if scope == "global" { "" } else { scope };
            match commit::kept_value(connection, plugin, scope, key)? {
                Some(value) => Ok(say(&format!("{}\n", visible(&value)))),
                None => Ok(fail(exit::FAILED, &format!("{plugin} keeps nothing under that key and scope"))),
            }
        }
    })
}
