//! Checks what a plugin says of itself, before anything of it is stored or shown.

use crate::text::clean;
use rosey_wire::manifest::Manifest;
use std::collections::HashSet;

/// Commands of one plugin, aliases included. `!help` must stay readable.
const MAX_COMMANDS: usize = 64;

/// Bytes in a command's name.
const MAX_COMMAND: usize = 32;

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
    if names.len() > MAX_COMMANDS {
        return Err(format!("{} commands and aliases are over the limit of {MAX_COMMANDS}", names.len()));
    }
    Ok(manifest)
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
            cooldown_ms: 0,
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
            reads_state: (0, 0),
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
