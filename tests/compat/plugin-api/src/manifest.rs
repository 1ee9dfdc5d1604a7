//! What a plugin says about itself before it is made: plain data, known when it is compiled.

use serde::Serialize;

/// A plugin's description of itself. `#[plugin]` writes it; the host reads it as JSON, in this order of fields.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Manifest {
    /// The author's package name.
    pub name: &'static str,
    /// The author's package version.
    pub version: &'static str,
    /// The version of `plugin-api` it was built with.
    pub api: &'static str,
    /// The author's package description, perhaps empty.
    pub description: &'static str,
    /// At least one.
    pub commands: &'static [Command],
    /// A command line, without the prefix, that proves a new generation healthy.
    pub probe: Option<&'static str>,
    /// How it wants to be reloaded.
    pub reload: Reload,
    /// The version of the state that `snapshot` writes.
    pub state_version: u32,
    /// The first and the last version of the state that `restore` reads.
    pub reads_state: [u32; 2],
}

/// One command.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Command {
    /// As typed, without the prefix.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// How to call it, from the code spans of the doc comment: `!roll 2d6+3`.
    pub usage: &'static str,
    /// What it does, from the doc comment.
    pub help: &'static str,
    /// Milliseconds one user waits between two calls; 0 for none.
    pub cooldown_ms: u64,
}

/// How a plugin wants to be reloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reload {
    /// The old and the new one run side by side for a moment.
    Overlap,
    /// The old one's state is handed to the new one; events wait meanwhile.
    Handoff,
    /// The old one stops before the new one starts.
    Exclusive,
}

/// The version of this crate, for [`Manifest::api`].
#[doc(hidden)]
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_what_the_host_expects() {
        let commands =
            &[Command { name: "roll", aliases: &["r"], usage: "!roll 2d6", help: "Roll", cooldown_ms: 1000 }];
        let manifest = Manifest {
            name: "dice",
            version: "1.0.0",
            api: "1.0.0",
            description: "",
            commands,
            probe: None,
            reload: Reload::Handoff,
            state_version: 2,
            reads_state: [1, 2],
        };
        assert_eq!(
            serde_json::to_string(&manifest).expect("plain data"),
            r#"{"name":"dice","version":"1.0.0","api":"1.0.0","description":"","commands":[{"name":"roll","aliases":["r"],"usage":"!roll 2d6","help":"Roll","cooldown_ms":1000}],"probe":null,"reload":"handoff","state_version":2,"reads_state":[1,2]}"#
        );
    }
}
