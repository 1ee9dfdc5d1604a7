//! What a bot could not do with a configuration whose settings make sense one by one.

use super::{AppError, shim};
use crate::{
    artifact::Store,
    config::Config,
    journal::Journal,
    plugins::{self, PluginConfig, PluginError},
    process::{
        spawn::Spawner,
        start::{Shims, StartError, Starter},
    },
    report,
    settings::Problem,
};
use std::{io, sync::Arc};

/// Every problem: no connector, no shim, and each library that is not there, is no plugin, or refuses its settings. Each
/// library is loaded in a process of its own, which makes no plugin of it; nothing in the state directory is touched. Blocks
/// for as long as that takes, `start_timeout` at most for each.
pub fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    if config.connect.names().next().is_none() {
        let text = "no connector is configured, so nobody can talk to the bot; add [connect.console] or [connect.irc]";
        problems.push(Problem::new("connect", text));
    }
    match plugins(config) {
        Ok(of_plugins) => problems.extend(of_plugins),
        Err(problem) => problems.push(problem),
    }
    problems
}

fn plugins(config: &Config) -> Result<Vec<Problem>, Problem> {
    let shim = shim(config);
    if !shim.is_file() {
        return Err(Problem::new("shim", AppError::NoShim(shim).to_string()));
    }
    let cannot = |error: io::Error| Problem::new("plugins", format!("cannot be tried out: {error}"));
    let directory = tempfile::tempdir().map_err(cannot)?;
    let runtime = plugins::runtime().map_err(cannot)?;
    runtime.block_on(async {
        let store = Store::open(directory.path().join("artifacts")).map_err(cannot)?;
        let spawner = Spawner::start().map_err(cannot)?;
        let shims = Shims {
            spawner,
            program: shim,
            run_dir: directory.path().to_owned(),
            data_dir: directory.path().join("data"),
            spare: false,
        };
        let starter = Starter::new(shims, store, tokio::runtime::Handle::current(), Journal::default());
        let starter = Arc::new(starter);
        let mut problems = Vec::new();
        for config in config.plugins() {
            let looked = plugins::inspect(&starter, &config, config.own()).await;
            problems.extend(looked.err().map(|error| problem(&config, error)));
        }
        Ok(problems)
    })
}

fn problem(config: &PluginConfig, error: PluginError) -> Problem {
    let table = format!("plugins.{}", config.name);
    match error {
        PluginError::Start(StartError::Settings { setting, why, .. }) => {
            Problem::new(setting, format!("is refused by the plugin: {why}"))
        }
        PluginError::Intake(error) => Problem::new(format!("{table}.library"), report::chain(&error)),
        error => Problem::new(table, report::chain(&error)),
    }
}
