//! Problems that a bot would have with a configuration whose settings are valid one by one.

use super::{
    AppError, shim,
    state::{self, LONGEST_RUN_DIR},
};
use crate::{
    artifact::Store,
    config::Config,
    journal::Journal,
    plugins::{self, PluginConfig, PluginError, wishes},
    process::{
        manifest, sandbox,
        spawn::Spawner,
        start::{Shims, StartError, Starter},
    },
    report,
    settings::Problem,
};
use rosey_wire::manifest::Manifest;
use std::{io, net::ToSocketAddrs, path::Path, sync::Arc};

/// What a check has found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Every problem.
    pub problems: Vec<Problem>,
    /// What the sandbox of each plugin would hold on this machine, for people.
    pub sandboxes: Vec<(String, String)>,
}

/// Finds every problem: no connector, no shim, a folder that is missing or not Rosey's, and each library that is
/// missing, is no plugin, or refuses its settings. It loads each library in its own process, creates no plugin, and
/// changes nothing in the state directory. Blocks for up to `start_timeout` for each library.
pub fn check(config: &Config) -> Checked {
    let mut problems = Vec::new();
    if config.connect.names().next().is_none() {
        let text = "no connector is configured, so users cannot reach the bot; add [connect.console] or [connect.irc]";
        problems.push(Problem::new("connect", text));
    }
    problems.extend(state::refusal(&config.state_dir).map(|error| Problem::new("state_dir", error.to_string())));
    if let Some(folder) = config.admin.audit_file.as_deref().and_then(Path::parent)
        && !folder.is_dir()
    {
        let text = format!("its folder {} does not exist; create it first", folder.display());
        problems.push(Problem::new("admin.audit_file", text));
    }
    let dashboard = &config.dashboard;
    if dashboard.enabled && (dashboard.host.as_str(), dashboard.port).to_socket_addrs().is_err() {
        let text = "no address is known for this name; write an address, such as 127.0.0.1 or 0.0.0.0";
        problems.push(Problem::new("dashboard.host", text));
    }
    let plugins = plugins(config).unwrap_or_else(|problem| Checked { problems: vec![problem], ..Checked::default() });
    problems.extend(plugins.problems);
    Checked { problems, sandboxes: plugins.sandboxes }
}

fn plugins(config: &Config) -> Result<Checked, Problem> {
    let shim = shim(config);
    if !shim.is_file() {
        return Err(Problem::new("shim", AppError::NoShim(shim).to_string()));
    }
    let cannot = |error: io::Error| Problem::new("plugins", format!("cannot be checked: {error}"));
    let directory = match tempfile::tempdir().map_err(cannot)? {
        long if long.path().as_os_str().len() > LONGEST_RUN_DIR => tempfile::tempdir_in("/tmp").map_err(cannot)?,
        directory => directory,
    };
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
        let mut checked = Checked::default();
        for config in config.plugins() {
            checked.problems.extend(match plugins::inspect(&starter, &config, config.own()).await {
                Ok(candidate) => {
                    let wishes = wishes::told(&candidate.manifest.wishes, &config);
                    let wishes = if wishes.is_empty() { wishes } else { format!("; {wishes}") };
                    checked.sandboxes.push((config.name.clone(), sandbox::text(&candidate.sandbox) + &wishes));
                    unknown_probe(&config, &candidate.manifest)
                }
                Err(error) => Some(problem(&config, error)),
            });
        }
        Ok(checked)
    })
}

/// The problem of a probe that no build of this plugin could pass.
fn unknown_probe(config: &PluginConfig, manifest: &Manifest) -> Option<Problem> {
    if manifest::message_probe(manifest, config.probe.as_deref()?).is_some() {
        return None;
    }
    let command = config.probe.as_deref()?.split_whitespace().next().unwrap_or_default();
    let mut known = manifest.commands.iter().flat_map(|command| command.aliases.iter().chain([&command.name]));
    if known.any(|name| name == command) {
        return None;
    }
    let names: Vec<_> = manifest.commands.iter().map(|command| command.name.as_str()).collect();
    let text = format!("needs a command of the plugin, without a prefix; it has {}", names.join(", "));
    Some(Problem::new(format!("plugins.{}.probe", config.name), text))
}

fn problem(config: &PluginConfig, error: PluginError) -> Problem {
    let table = format!("plugins.{}", config.name);
    match error {
        PluginError::Start(StartError::Settings { setting, why, .. }) => {
            Problem::new(setting, format!("is refused by the plugin: {why}"))
        }
        PluginError::Intake(_) | PluginError::Start(StartError::Load { .. } | StartError::Manifest(_)) => {
            Problem::new(format!("{table}.library"), report::chain(&error))
        }
        error => Problem::new(table, report::chain(&error)),
    }
}
