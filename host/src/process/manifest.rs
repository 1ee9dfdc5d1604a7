//! Checks what a plugin says of itself, before anything of it is stored or shown.

use crate::text::clean;
use rosey_wire::{event::Kind, manifest::Manifest};
use std::collections::HashSet;

/// Bytes of a manifest: that of 64 commands with long help has 40 KB.
const MAX_BYTES: usize = 256 << 10;

/// Handlers of events that are no commands, in one plugin.
const MAX_SUBSCRIPTIONS: usize = 64;

/// Commands of one plugin, aliases included. `!help` must stay readable.
const MAX_COMMANDS: usize = 64;

/// Bytes in a command's name.
const MAX_COMMAND: usize = 32;

/// Reads a manifest as a library writes it. What a newer library says beyond what is known here is passed over.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn read(json: &str) -> Result<Manifest, String> {
    if json.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, and {MAX_BYTES} at most are read", json.len()));
    }
    let manifest = serde_json::from_str(json).map_err(|error| format!("it is not readable: {error}"))?;
    check(manifest)
}

/// Bounds all texts and refuses what cannot be used.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn check(mut manifest: Manifest) -> Result<Manifest, String> {
    manifest.name = clean(&manifest.name, 64);
    manifest.version = clean(&manifest.version, 64);
    manifest.api = clean(&manifest.api, 64);
    manifest.description = clean(&manifest.description, 200);
    manifest.probe = manifest.probe.map(|probe| clean(&probe, 200));
    let mut names = HashSet::new();
    for command in &mut manifest.commands {
        command.usage = clean(&command.usage, 200);
        command.help = clean(&command.help, 300);
        for name in std::iter::once(&command.name).chain(&command.aliases) {
            if name.is_empty()
                || name.len() > MAX_COMMAND
                || name.contains(|c: char| c.is_whitespace() || c.is_control())
            {
                return Err(format!("{:?} cannot be a command", clean(name, 2 * MAX_COMMAND)));
            }
            if !names.insert(name.to_lowercase()) {
                return Err(format!("the command {name:?} is there twice"));
            }
        }
    }
    check_subscriptions(&manifest)?;
    if names.len() > MAX_COMMANDS {
        return Err(format!("{} commands and aliases are over the limit of {MAX_COMMANDS}", names.len()));
    }
    Ok(manifest)
}

fn check_subscriptions(manifest: &Manifest) -> Result<(), String> {
    let subscriptions = &manifest.subscriptions;
    if subscriptions.len() > MAX_SUBSCRIPTIONS {
        return Err(format!("{} handlers of events are over the limit of {MAX_SUBSCRIPTIONS}", subscriptions.len()));
    }
    for subscription in subscriptions {
        let kind = clean(&subscription.kind, 32);
        if Kind::of(&kind).is_none_or(|kind| kind == Kind::Command) {
            return Err(format!(
                "it was built with plugin-api {} and wants events of the kind {kind:?}, which Rosey {} does not know; install a \
                 newer Rosey",
                manifest.api,
                env!("CARGO_PKG_VERSION")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_wire::manifest::{Command, ReloadMode};

    fn manifest(names: &[&str]) -> Manifest {
        let command = |name: &&str| Command {
            name: (*name).to_owned(),
            aliases: vec![],
            usage: String::new(),
            help: String::new(),
            ..Command::default()
        };
        Manifest {
            name: "x".repeat(100),
            version: "1\u{1b}[31m".into(),
            api: "1".into(),
            description: String::new(),
            commands: names.iter().map(command).collect(),
            probe: None,
            reload: ReloadMode::Overlap,
            state_version: 0,
            ..Manifest::default()
        }
    }

    #[test]
    fn texts_are_bounded_and_cleaned() {
        let checked = check(manifest(&["roll"])).expect("fine");
        assert!(checked.name.len() <= 70);
        assert!(!checked.version.contains('\u{1b}'));
    }

    #[test]
    fn unusable_commands_are_refused() {
        for names in [&["a b"][..], &[""], &["a", "A"], &["\n"], &["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]] {
            assert!(check(manifest(names)).is_err(), "{names:?}");
        }
        let many: Vec<String> = (0..65).map(|n| format!("c{n}")).collect();
        assert!(check(manifest(&many.iter().map(String::as_str).collect::<Vec<_>>())).is_err());
    }
}
