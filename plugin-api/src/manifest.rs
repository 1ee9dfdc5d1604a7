//! A plugin's description of itself: plain data, known at compile time. `#[plugin]` writes it; by hand it begins with
//! [`Manifest::new`]. The documentation of [`Plugin`](crate::Plugin) has a whole plugin without `#[plugin]`.
//!
//! ```
//! use plugin_api::manifest::{Command, Manifest, Reload, Setting, Subscription};
//!
//! const MANIFEST: Manifest = Manifest {
//!     commands: &[Command { usage: "!tea 4", help: "Make tea", cooldown_ms: 500, ..Command::new("tea") }],
//!     subscriptions: &[Subscription { kind: "message", pattern: "(?i)coffee", cron: "", zone: "" }],
//!     settings: &[Setting { kind: "whole number", default: "3", unit: "cups", ..Setting::new("cups") }],
//!     reload: Reload::Exclusive,
//!     ..Manifest::new("tea", "1.0.0")
//! };
//! # assert_eq!(MANIFEST.reload, Reload::Exclusive);
//! ```

use serde::Serialize;

/// A plugin's description of itself. `#[plugin]` writes it, and the host reads it as JSON with these fields.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Manifest {
    /// The author's package name.
    pub name: &'static str,
    /// The author's package version.
    pub version: &'static str,
    /// The version of `plugin-api` it was built with.
    pub api: &'static str,
    /// The author's package description; may be empty.
    pub description: &'static str,
    /// The commands that users may type. A plugin has at least one command or subscription.
    pub commands: &'static [Command],
    /// A command line, without the prefix, with which the host checks a new generation. `None` for no probe.
    pub probe: Option<&'static str>,
    /// The reload mode that the plugin asks for.
    pub reload: Reload,
    /// The version of the state that `snapshot` writes.
    pub state_version: u32,
    /// The first and the last version of the state that `restore` reads.
    pub reads_state: [u32; 2],
    /// The handlers of events that are no commands. The host names one by its index here.
    pub subscriptions: &'static [Subscription],
    /// The version of the plugin's data in the store; 0 when the plugin does not say.
    pub store_version: u32,
    /// Whether it has `#[migrate]`.
    pub migrates: bool,
    /// The settings, from [`Settings::SCHEMA`](crate::Settings::SCHEMA). Empty when nothing is known about them.
    pub settings: &'static [Setting],
    /// What it needs beside its own folder and the system's libraries.
    pub wishes: Wishes,
}

/// What a plugin needs of its sandbox. The operator sees it before a load or a reload, and grants it in the configuration.
///
/// ```
/// use plugin_api::manifest::{Manifest, Wishes};
///
/// const WISHES: Wishes = Wishes { network: &["api.example.org:443"], ..Wishes::NONE };
/// const MANIFEST: Manifest = Manifest { wishes: WISHES, ..Manifest::new("weather", "1.0.0") };
/// assert!(!MANIFEST.wishes.processes);
/// ```
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Wishes {
    /// Where it connects to, as `HOST:PORT`; `*` stands for every host and for every port.
    pub network: &'static [&'static str],
    /// Files and folders that it reads.
    pub files: &'static [&'static str],
    /// Whether it starts processes.
    pub processes: bool,
    /// Memory that it needs, in MiB; 0 when it does not say.
    pub memory: u64,
}

impl Wishes {
    /// No wishes: what nearly every plugin has.
    ///
    /// ```
    /// assert!(plugin_api::manifest::Wishes::NONE.network.is_empty());
    /// ```
    pub const NONE: Self = Self { network: &[], files: &[], processes: false, memory: 0 };
}

/// The description of one setting.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Setting {
    /// The name in the operator's file.
    pub name: &'static str,
    /// What it is for, from the doc comment.
    pub help: &'static str,
    /// The kind of value in plain words: `text`, `whole number`, `number`, `true or false`, `duration`, `list`,
    /// `table`. Empty for another one.
    pub kind: &'static str,
    /// What a number counts; may be empty.
    pub unit: &'static str,
    /// The values that it may have: `1 to 100`; empty for all.
    pub range: &'static str,
    /// The default, as the operator would write it; empty when there is none or it is not a literal.
    pub default: &'static str,
    /// Whether it must be set.
    pub required: bool,
    /// Whether its value is secret, and never shown.
    pub secret: bool,
}

impl Setting {
    /// A setting with this name that need not be set.
    ///
    /// ```
    /// use plugin_api::manifest::Setting;
    ///
    /// const CITY: Setting = Setting { kind: "text", default: "\"Bern\"", ..Setting::new("city") };
    /// assert!(!CITY.required);
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self { name, help: "", kind: "", unit: "", range: "", default: "", required: false, secret: false }
    }
}

/// A handler of events that are no commands.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Subscription {
    /// The name of a [`Kind`](crate::event::Kind).
    pub kind: &'static str,
    /// For messages, the regular expression that a line must match. For signals, the topic. For a timer, its name, or
    /// `*` for every name without another handler. Otherwise empty.
    pub pattern: &'static str,
    /// For a timer that fires by itself, its cron expression. Otherwise empty.
    pub cron: &'static str,
    /// The time zone of `cron`; UTC when empty.
    pub zone: &'static str,
}

/// The description of one `#[command]`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Command {
    /// The name as typed, without the prefix.
    pub name: &'static str,
    /// Further names of the command.
    pub aliases: &'static [&'static str],
    /// How to use the command, from the code spans of the doc comment: `!roll 2d6+3`.
    pub usage: &'static str,
    /// What it does, from the doc comment.
    pub help: &'static str,
    /// Milliseconds that one user must wait between two uses; 0 for none.
    pub cooldown_ms: u64,
    /// Milliseconds that a channel must wait between two uses by anyone; 0 for none.
    pub channel_cooldown_ms: u64,
    /// Milliseconds that everyone must wait between two uses by anyone; 0 for none.
    pub global_cooldown_ms: u64,
    /// The role that a person needs: `viewer`, `operator` or `owner`; empty for everyone. The host checks it before it
    /// wakes the plugin. A subcommand needs what its command needs too.
    pub requires: &'static str,
    /// Which answers wait for each other. A subcommand has an order of its own.
    pub order: Order,
    /// The commands behind the first word of the arguments, in one level: `search` in `!quotes search WORD`.
    pub subcommands: &'static [Self],
}

impl Command {
    /// A command with this name and nothing else.
    ///
    /// ```
    /// use plugin_api::manifest::Command;
    ///
    /// const ROLL: Command = Command { usage: "!roll 2d6", help: "Roll dice", ..Command::new("roll") };
    /// assert_eq!(ROLL.name, "roll");
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            usage: "",
            help: "",
            cooldown_ms: 0,
            channel_cooldown_ms: 0,
            global_cooldown_ms: 0,
            requires: "",
            order: Order::User,
            subcommands: &[],
        }
    }

    /// Whether people may type this word for the command. Upper and lower case are alike.
    pub(crate) fn is_named(&self, word: &str) -> bool {
        let folded = word.to_lowercase();
        std::iter::once(&self.name).chain(self.aliases).any(|name| *name == word || name.to_lowercase() == folded)
    }
}

impl Manifest {
    /// A manifest with this name and version, without commands, handlers and probe.
    ///
    /// ```
    /// use plugin_api::manifest::{Command, Manifest};
    ///
    /// const MANIFEST: Manifest =
    ///     Manifest { commands: &[Command::new("tea")], ..Manifest::new("tea", env!("CARGO_PKG_VERSION")) };
    /// assert_eq!(MANIFEST.commands[0].name, "tea");
    /// ```
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            api: API_VERSION,
            description: "",
            commands: &[],
            probe: None,
            reload: Reload::Overlap,
            state_version: 1,
            reads_state: [1, 1],
            subscriptions: &[],
            store_version: 0,
            migrates: false,
            settings: &[],
            wishes: Wishes::NONE,
        }
    }
}

/// Which answers come in the order in which people asked. Handlers run side by side all the same: an answer that is
/// early waits in the host.
///
/// ```
/// use plugin_api::manifest::{Command, Order};
///
/// const GUESS: Command = Command { order: Order::Channel, ..Command::new("guess") };
/// assert_eq!(Command::new("ping").order, Order::User);
/// # assert_eq!(GUESS.order, Order::Channel);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The answers to one person in one channel. A slow answer delays the next answer of the plugin to that person.
    User,
    /// The answers to everyone in one channel, of all commands of the plugin with this order: for games, in which it
    /// matters who was first. A slow answer delays those of the other players.
    Channel,
    /// No order: each answer comes as soon as it is there, and delays no other. For slow lookups.
    None,
}

/// The reload mode that a plugin asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reload {
    /// The old and the new generation run side by side for a moment.
    Overlap,
    /// The new generation takes over the state of the old one; events wait meanwhile.
    Handoff,
    /// The old generation stops before the new one starts.
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
        const COMMANDS: &[Command] = &[Command {
            name: "roll",
            aliases: &["r"],
            usage: "!roll 2d6",
            help: "Roll",
            cooldown_ms: 1000,
            channel_cooldown_ms: 0,
            global_cooldown_ms: 5,
            requires: "operator",
            order: Order::Channel,
            subcommands: &[Command::new("again")],
        }];
        const MANIFEST: Manifest = Manifest {
            name: "dice",
            version: "1.0.0",
            api: "1.0.0",
            description: "",
            commands: COMMANDS,
            probe: None,
            reload: Reload::Handoff,
            state_version: 2,
            reads_state: [1, 2],
            subscriptions: &[Subscription { kind: "message", pattern: "x", cron: "", zone: "" }],
            store_version: 3,
            migrates: true,
            settings: &[Setting { required: true, ..Setting::new("key") }],
            wishes: Wishes { network: &["*:443"], memory: 64, ..Wishes::NONE },
        };
        assert_eq!(
            serde_json::to_string(&MANIFEST).expect("plain data"),
            r#"{"name":"dice","version":"1.0.0","api":"1.0.0","description":"","commands":[{"name":"roll","aliases":["r"],"usage":"!roll 2d6","help":"Roll","cooldown_ms":1000,"channel_cooldown_ms":0,"global_cooldown_ms":5,"requires":"operator","order":"channel","subcommands":[{"name":"again","aliases":[],"usage":"","help":"","cooldown_ms":0,"channel_cooldown_ms":0,"global_cooldown_ms":0,"requires":"","order":"user","subcommands":[]}]}],"probe":null,"reload":"handoff","state_version":2,"reads_state":[1,2],"subscriptions":[{"kind":"message","pattern":"x","cron":"","zone":""}],"store_version":3,"migrates":true,"settings":[{"name":"key","help":"","kind":"","unit":"","range":"","default":"","required":true,"secret":false}],"wishes":{"network":["*:443"],"files":[],"processes":false,"memory":64}}"#
        );
    }
}
