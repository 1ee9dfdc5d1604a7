//! `rosey check`: names every problem of a configuration, including those that would otherwise show only while the bot
//! runs.

use super::{fail, say};
use crate::{
    app,
    cli::exit,
    config::{Config, ConfigFile},
    metrics::secrets,
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Checks a file, and shows the settings in force if nothing is wrong.
pub fn check_file(path: &Path) -> u8 {
    check(ConfigFile::read(path), "")
}

/// Checks the default without a file.
pub fn check_default() -> u8 {
    let unread = super::unread().map(|text| format!("{:<10} WARNING: {text}\n", "config")).unwrap_or_default();
    check(ConfigFile::embedded(), &unread)
}

fn check(mut file: ConfigFile, more: &str) -> u8 {
    let mut sandboxes = String::new();
    if file.is_readable {
        let checked = app::check::check(&file.config);
        sandboxes = lines(&checked);
        for problem in checked.problems {
            file.add(problem);
        }
    }
    let summary = file.config.summary() + &sandboxes + &warnings(&file.config) + more;
    match file.into_config() {
        Ok(_) => say(&summary),
        Err(error) => fail(exit::CONFIG, &error.to_string()),
    }
}

/// What the sandbox of each plugin would hold here.
fn lines(checked: &app::check::Checked) -> String {
    checked.sandboxes.iter().map(|(plugin, text)| format!("{:<10} {plugin}: {text}\n", "sandbox")).collect()
}

/// Warnings about files with secrets that other users of the machine can read.
fn warnings(config: &Config) -> String {
    let mut files: BTreeSet<_> = config.secret_files().into_iter().map(|(_, file)| file).collect();
    files.extend(
        config.values.keys().filter(|setting| is_secret(config, setting)).filter_map(|setting| config.file_of(setting)),
    );
    let is_open = |file: &PathBuf| fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o077 != 0);
    files.retain(is_open);
    files
        .iter()
        .map(|file| {
            let file = file.display();
            format!(
                "{:<10} WARNING: other users can read {file}, which has a secret in it; run: chmod 600 {file}\n",
                "secrets"
            )
        })
        .collect()
}

/// Whether a setting holds a secret itself, or may hold one.
fn is_secret(config: &Config, setting: &str) -> bool {
    let parts: Vec<_> = setting.split('.').collect();
    match parts[..] {
        ["dashboard", "token"] | ["connect", _, "password" | "account_password"] => true,
        ["plugins", name, "config", own, ..] => config.plugins.get(name).is_some_and(|plugin| {
            let own = serde_json::json!({ own: plugin.config.get(own) });
            secrets::hidden(&own) != own
        }),
        _ => false,
    }
}
