//! The command line and the exit codes.

mod admin;

pub use admin::AdminCommand;

use crate::log;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Published exit codes; scripts rely on them.
pub mod exit {
    /// The command succeeded.
    pub const OK: u8 = 0;
    /// The command failed; standard error says why and what to do.
    pub const FAILED: u8 = 1;
    /// The command line is wrong. clap uses this code.
    pub const USAGE: u8 = 2;
    /// The configuration is wrong; another try does not help.
    pub const CONFIG: u8 = 3;
    /// No rosey is running with this state directory.
    pub const NOT_RUNNING: u8 = 4;
    /// You may not do that.
    pub const DENIED: u8 = 5;
    /// Not now: too many commands, too soon after another change, or another change is under way. Try again in a moment.
    pub const LATER: u8 = 6;
    /// The question got no yes, or the change waits for a second person; nothing was done.
    pub const UNCONFIRMED: u8 = 7;
    /// Another program changed the audit.
    pub const TAMPERED: u8 = 8;

    /// The codes with their meanings, for the man pages.
    pub const MEANINGS: [(u8, &str); 9] = [
        (OK, "The command succeeded."),
        (FAILED, "The command failed; standard error says why and what to do."),
        (USAGE, "The command line is wrong."),
        (CONFIG, "The configuration is wrong; another try does not help."),
        (NOT_RUNNING, "No rosey is running with this state directory, or it is only just starting or stopping."),
        (DENIED, "You may not do that."),
        (
            LATER,
            "Not now: too often, too soon after another change, or another change is under way. Try again in a moment.",
        ),
        (UNCONFIRMED, "You did not answer the question with yes, or a second person has to agree; nothing was done."),
        (TAMPERED, "rosey audit verify: another program changed the audit."),
    ];
}

/// Rosey connects to chat and runs each plugin in its own process, replaceable while users talk.
///
/// Without a command it starts with a built-in default: chat on this terminal, state in ./.rosey, and the
/// dashboard on http://127.0.0.1:8080.
#[derive(Debug, Parser)]
#[command(name = "rosey", version, about)]
pub struct Cli {
    /// The configuration, a file in TOML or JSON. Without it a built-in default is in force
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// The form of the log of a bot: lines for people, or a JSON object a line
    #[arg(long, global = true, value_name = "FORM", default_value = "pretty", hide_default_value = true)]
    pub log_format: log::Format,
    /// Append the log to a file, which only you can read, and not to standard error. SIGUSR1 opens it again
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub log_file: Option<PathBuf>,
    /// The command; without one, [`Command::Run`] with the built-in default.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the bot: chat on standard output, log on standard error. Example: rosey run --config rosey.toml
    Run,
    /// Read the configuration and show the settings in force. Example: rosey check --config rosey.toml
    Check,
    /// Make the crate of a plugin in a folder of its name. Example: rosey new greeter
    New {
        /// The name of the plugin: 1 to 64 of a-z, 0-9 and -.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Run plugins in a bot on this terminal, and build and reload each when its source is saved. Example: rosey dev greeter
    Dev {
        /// The folders of their crates.
        #[arg(value_name = "DIR", default_value = ".", value_hint = clap::ValueHint::DirPath)]
        folders: Vec<PathBuf>,
    },
    /// Try the library of a plugin in real processes, before a bot runs it: load, sandbox, probe, each command by its usage,
    /// reload, crash, 100,000 events. Example: rosey test-plugin target/debug/libquotes.so
    TestPlugin {
        /// The library. The plugin gets its default settings, and no grants.
        #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        library: PathBuf,
        /// Number of events of the load.
        #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
        events: u32,
        /// Print the results as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give the running bot a command. Example: rosey admin reload dice-roller --yes
    #[command(disable_help_subcommand = true)]
    Admin(AdminArgs),
    /// Write the database, the builds and the files of plugins into one file, while the bot runs. Example: rosey backup
    /// rosey-backup.tar
    Backup {
        /// The tar file, which only you can read. A file that exists is replaced when the new one is whole.
        #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Restore a backup into a state directory that is empty or does not exist. Example: rosey restore rosey-backup.tar
    ///
    /// A backup that was cut off or altered is refused, and nothing of it is restored.
    Restore {
        /// The tar file that rosey backup wrote.
        #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Show and verify the audit: who did what with the bot.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Work with the database, which has the audit, the dead letters and the events
    #[command(subcommand)]
    Db(DbCommand),
    /// Show, export, import and delete the data of plugins.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Compare the configuration with the running bot, and take it over.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell. Example: rosey completions bash > /etc/bash_completion.d/rosey
    Completions {
        /// The shell that is to complete, by its name.
        shell: Shell,
    },
    /// Write the man pages. Example: rosey man /usr/local/share/man/man1
    Man {
        /// The folder for the pages. It is created if it does not exist.
        #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// Print the configured plugins, for completions.
    #[command(hide = true)]
    PluginNames,
}

/// Shells that completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// `rosey admin`.
#[derive(Debug, Clone, Args)]
pub struct AdminArgs {
    /// The command for the bot.
    #[command(subcommand)]
    pub command: AdminCommand,
    /// Carry the command out without asking for confirmation.
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Print the answer as JSON, also when the command is refused.
    #[arg(long, global = true)]
    pub json: bool,
    /// With logs: go on printing the lines of the plugin as they come, until you press Ctrl-C.
    #[arg(long, short, global = true)]
    pub follow: bool,
    /// Return only when the plugin is at rest: it is up, and the process before has answered everything that it had.
    #[arg(long, global = true)]
    pub wait: bool,
}

/// A word without spaces, because the command is sent as a line of words.
fn word(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("one word is wanted, without spaces".to_owned());
    }
    Ok(text.to_owned())
}

/// `rosey audit`. Works on the state directory, whether the bot runs or not.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// Look for edits, deletions and truncation. Exit code 8 when there are any.
    ///
    /// The audit alone cannot show that its newest records, or all of it, were removed with care. To find that, note
    /// the head that this prints somewhere else, and give it the next time.
    Verify {
        /// A head that this command printed before, and that you noted elsewhere: HASH@COUNT, or the hash alone.
        #[arg(long, value_name = "HEAD")]
        head: Option<String>,
    },
    /// Show records, the oldest first. Example: rosey audit list --plugin dice-roller --since 1h
    List {
        /// Show only records about the plugin with this name.
        #[arg(long, value_name = "PLUGIN", value_parser = word)]
        plugin: Option<String>,
        /// Show only records since this long ago (`30m`, `1h`, `7d`, `2w`), or since a date (`2026-03-01`,
        /// `2026-03-01T12:00:00Z`).
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
        /// Show at most this many records, the newest.
        #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
        limit: u32,
    },
}

/// `rosey store`. Commands that only read work on the state directory, whether the bot runs or not. Commands that change
/// something go to the running bot, which asks first and audits the change.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreCommand {
    /// Show how much each plugin keeps. Example: rosey store usage --config rosey.toml
    Usage,
    /// Show keys and values, a line each: scope, key, value. Example: rosey store list quotes --prefix quote
    List {
        /// The name of a plugin that has data in the store.
        #[arg(value_name = "PLUGIN", value_parser = word)]
        plugin: String,
        /// Show only keys with this prefix.
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
        /// Show at most this many keys.
        #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
        limit: u32,
    },
    /// Show the value of one key. Example: rosey store get quotes count
    Get {
        /// The name of a plugin that has data in the store.
        #[arg(value_name = "PLUGIN", value_parser = word)]
        plugin: String,
        /// The key, as `rosey store list` shows it.
        #[arg(value_name = "KEY")]
        key: String,
        /// The scope, as `rosey store list` shows it.
        #[arg(long, value_name = "SCOPE", default_value = "global")]
        scope: String,
    },
    /// Write the data of a plugin into a file, a JSON line for each key. Example: rosey store export quotes quotes.jsonl
    Export {
        /// The name of a plugin that has data in the store.
        #[arg(value_name = "PLUGIN", value_parser = word)]
        plugin: String,
        /// The file, which only you can read; - is standard output.
        #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Replace all data of a plugin with an export. Example: rosey store import quotes quotes.jsonl
    ///
    /// Rosey imports the whole file or nothing. The file must have the store version that the running build reads, and fit within
    /// limits.store_keys and limits.store_bytes.
    Import {
        /// The name of a configured plugin.
        #[arg(value_name = "PLUGIN", value_parser = word)]
        plugin: String,
        /// The file that rosey store export wrote; - is standard input.
        #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
        /// Do it without asking for confirmation.
        #[arg(long, short)]
        yes: bool,
    },
    /// Delete keys of a plugin, in all scopes. Example: rosey store delete quotes quote:
    Delete {
        /// The name of a plugin, which need not be in the configuration any more.
        #[arg(value_name = "PLUGIN", value_parser = word)]
        plugin: String,
        /// The prefix of the keys; without one, all keys are deleted.
        #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
        prefix: String,
        /// Do it without asking for confirmation.
        #[arg(long, short)]
        yes: bool,
    },
}

/// `rosey config`.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Show what has changed in the file since the bot read it: what would change at once, what by a reload of which
    /// plugin, and what needs a restart. Example: rosey config plan --config rosey.toml
    Plan {
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the settings of a plugin: what each is for, the value in force, where it is set, its default, and what it may
    /// be. Example: rosey config show karma --config rosey.toml
    Show {
        /// The plugin. Its settings are known once it has run.
        #[arg(value_name = "PLUGIN")]
        plugin: String,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print all settings as JSON Schema, for editors. Example: rosey config schema > rosey.schema.json
    Schema,
    /// Ask five questions and write a configuration with comments. Example: rosey config init rosey.toml
    Init {
        /// The file to write, which must not exist yet. Default: rosey.toml
        #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Let the running bot read the file again and take over what it can, plugin by plugin. A wrong file changes nothing.
    Apply {
        /// Do it without asking for confirmation.
        #[arg(long, short)]
        yes: bool,
        /// Print the answer as JSON, also when it is refused.
        #[arg(long)]
        json: bool,
    },
}

/// `rosey db`. Works on the state directory, whether the bot runs or not.
#[derive(Debug, Clone, Subcommand)]
pub enum DbCommand {
    /// Look for damage. Exit code 1 when there is any. Example: rosey db check --config rosey.toml
    Check,
}
