//! `rosey check`: names every problem of a configuration, including those that would otherwise show only while the bot
//! runs.

use super::{fail, say};
use crate::{
    app,
    cli::exit,
    config::{Config, ConfigError, ConfigFile},
    metrics::secrets,
};
use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// Checks a file, and shows the settings in force if nothing is wrong.
pub fn check_file(path: &Path) -> u8 {
    let mut file = ConfigFile::read(path);
    let mut sandboxes = String::new();
    if file.is_readable {
        let checked = app::check::check(&file.config);
        sandboxes = lines(&checked);
        for problem in checked.problems {
            file.add(problem);
        }
    }
    let summary = file.config.summary() + &sandboxes + &warnings(&file.config, path);
    match file.into_config() {
        Ok(_) => say(&summary),
        Err(error) => fail(exit::CONFIG, &error.to_string()),
    }
}

/// Checks the default without a file.
pub fn check_default(config: &Config) -> u8 {
    let checked = app::check::check(config);
    let unread = super::unread().map(|text| format!("{:<10} WARNING: {text}\n", "config")).unwrap_or_default();
    if checked.problems.is_empty() {
        return say(&(config.summary() + &lines(&checked) + &unread));
    }
    let error = ConfigError { file: "the built-in default".into(), problems: checked.problems };
    fail(exit::CONFIG, &error.to_string())
}

/// What the sandbox of each plugin would hold here.
fn lines(checked: &app::check::Checked) -> String {
    checked.sandboxes.iter().map(|(plugin, text)| format!("{:<10} {plugin}: {text}\n", "sandbox")).collect()
}

/// Warnings about files with secrets that other users of the machine can read.
fn warnings(config: &Config, path: &Path) -> String {
    let networks = || config.connect.networks.values();
    let of_plugins = || config.plugins().iter().any(|plugin| secrets::hidden(&plugin.config) != plugin.config);
    let in_networks = networks().any(|irc| irc.password.is_some() || irc.account_password.is_some());
    let holds_secret = config.dashboard.token.is_some() || in_networks || of_plugins();
    let files = holds_secret.then_some(path).into_iter();
    let files = files.chain(
        networks().flat_map(|irc| [&irc.password_file, &irc.account_password_file]).flatten().map(AsRef::as_ref),
    );
    let is_open = |file: &&Path| fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o077 != 0);
    files
        .filter(is_open)
        .map(|file| {
            let file = file.display();
            format!(
                "{:<10} WARNING: other users can read {file}, which has a secret in it; run: chmod 600 {file}\n",
                "secrets"
            )
        })
        .collect()
}
