//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Published exit codes; scripts rely on them.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// It did not work; standard error says why and what to do.
    pub const FAILED: u8 = 1;
    /// The command line makes no sense. (clap's own.)
    pub const USAGE: u8 = 2;
    /// The configuration is wrong: trying again will not help.
    pub const CONFIG: u8 = 3;
    /// No rosey is running with this state directory.
    pub const NOT_RUNNING: u8 = 4;
    /// You may not do that.
    pub const DENIED: u8 = 5;
    /// Not now: too many commands, too soon after another change, or another change is under way. Try again in a moment.
    pub const LATER: u8 = 6;
    /// The question was not answered with yes; nothing was done.
    pub const UNCONFIRMED: u8 = 7;
    /// The audit was changed by somebody else than Rosey.
    pub const TAMPERED: u8 = 8;

    /// Each with what it means, for the man pages.
    pub const MEANINGS: [(u8, &str); 9] = [
        (OK, "Done."),
        (FAILED, "Not done; standard error says why and what to do."),
        (USAGE, "The command line makes no sense."),
        (CONFIG, "The configuration is wrong: trying again will not help."),
        (NOT_RUNNING, "No rosey is running with this state directory, or it is only just starting or stopping."),
        (DENIED, "You may not do that."),
        (
            LATER,
            "Not now: too often, too soon after another change, or another change is under way. Try again in a moment.",
        ),
        (UNCONFIRMED, "The question was not answered with yes; nothing was done."),
        (TAMPERED, "rosey audit verify: the audit was changed by somebody else than Rosey."),
    ];
}

/// Rosey connects to chat and runs each plugin in a process of its own, replaceable while users talk.
///
/// Without a command it starts with what it finds beside itself: chat on this terminal, state in ./.rosey, and the
/// dashboard on http://127.0.0.1:8080.
#[derive(Debug, Parser)]
#[command(name = "rosey", version, about)]
pub struct Cli {
    /// The configuration, TOML or JSON. Without one, the built-in default.
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the bot: chat on standard output, log on standard error. Example: rosey run --config rosey.toml
    Run,
    /// Read the configuration and show what is in force. Example: rosey check --config rosey.toml
    Check,
    /// Tell the running bot what to do. Example: rosey admin reload dice-roller --yes
    #[command(disable_help_subcommand = true)]
    Admin(AdminArgs),
    /// Who did what with the bot.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The database, which has the audit, the dead letters and what happened.
    #[command(subcommand)]
    Db(DbCommand),
    /// Completions for a shell. Example: rosey completions bash > /etc/bash_completion.d/rosey
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write the man pages. Example: rosey man /usr/local/share/man/man1
    Man {
        /// Where to.
        #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// The configured plugins, for completions.
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
    /// What.
    #[command(subcommand)]
    pub command: AdminCommand,
    /// Do not ask.
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Answer in JSON, also where something is refused.
    #[arg(long, global = true)]
    pub json: bool,
    /// Wait until the plugin has settled: it is up, and the process before has finished what it had.
    #[arg(long, global = true)]
    pub wait: bool,
}

/// A word without spaces: what it is sent as is a line of words.
fn word(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("one word is wanted, without spaces".to_owned());
    }
    Ok(text.to_owned())
}

/// The admin commands, as in chat.
#[derive(Debug, Clone, Subcommand)]
pub enum AdminCommand {
    /// What you may do.
    Help,
    /// All plugins, short.
    List,
    /// One plugin, or all with their figures.
    Status {
        /// Which.
        #[arg(value_parser = word)]
        plugin: Option<String>,
    },
    /// Where the dashboard is.
    Metrics,
    /// What a plugin last said, and what happened to it.
    Logs {
        /// Which.
        #[arg(value_parser = word)]
        plugin: String,
    },
    /// Events that were set aside because a plugin crashed on them. Example: rosey admin deadletters dice-roller replay 3
    Deadletters {
        /// Which.
        #[arg(value_parser = word)]
        plugin: Option<String>,
        /// `replay NUMBER` delivers one again.
        #[arg(num_args = 2, value_names = ["replay", "NUMBER"], requires = "plugin", value_parser = word)]
        replay: Vec<String>,
    },
    /// Change to the build that lies in the plugin folder, while users talk.
    Reload {
        /// Which.
        #[arg(value_parser = word)]
        plugin: String,
        /// Also when that very build runs already, or was rolled back from.
        #[arg(long)]
        force: bool,
    },
    /// Stop the process and start the same build again.
    Restart {
        /// Which.
        #[arg(value_parser = word)]
        plugin: String,
    },
    /// Go back to the build before.
    Rollback {
        /// Which.
        #[arg(value_parser = word)]
        plugin: String,
    },
    /// Start a plugin that is stopped or has failed.
    Start {
        /// Which.
        #[arg(value_parser = word)]
        plugin: String,
    },
    /// Stop a plugin after it has answered what it has.
    Stop {
        /// Which.
        #[arg(value_parser = word)]
        plugin: String,
    },
}

impl AdminCommand {
    /// The same as a line of chat without `!admin`.
    pub fn line(&self) -> String {
        let (word, plugin) = match self {
            Self::Help => ("help", ""),
            Self::List => ("list", ""),
            Self::Metrics => ("metrics", ""),
            Self::Status { plugin } => ("status", plugin.as_deref().unwrap_or_default()),
            Self::Logs { plugin } => ("logs", plugin.as_str()),
            Self::Deadletters { plugin, .. } => ("deadletters", plugin.as_deref().unwrap_or_default()),
            Self::Reload { plugin, .. } => ("reload", plugin.as_str()),
            Self::Restart { plugin } => ("restart", plugin.as_str()),
            Self::Rollback { plugin } => ("rollback", plugin.as_str()),
            Self::Start { plugin } => ("start", plugin.as_str()),
            Self::Stop { plugin } => ("stop", plugin.as_str()),
        };
        let more = match self {
            Self::Deadletters { replay, .. } => replay.join(" "),
            Self::Reload { force: true, .. } => "force".to_owned(),
            _ => String::new(),
        };
        format!("{word} {plugin} {more}").trim_end().to_owned()
    }
}

/// `rosey audit`. Works on the state directory, whether the bot runs or not.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// Look for edits, deletions and truncation. Exit code 8 when there are any.
    ///
    /// What nobody can see in the audit alone is that its newest records, or all of it, were removed with care. For that
    /// note the head that this prints somewhere else, and give it the next time.
    Verify {
        /// A head that was noted before: HASH@COUNT, or a hash alone.
        #[arg(long, value_name = "HEAD")]
        head: Option<String>,
    },
    /// Show records, the oldest first. Example: rosey audit list --plugin dice-roller --since 1h
    List {
        /// Of this plugin only.
        #[arg(long, value_parser = word)]
        plugin: Option<String>,
        /// Since this long ago (`30m`, `1h`, `7d`, `2w`), or since a date (`2026-03-01`, `2026-03-01T12:00:00Z`).
        #[arg(long)]
        since: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// At most this many, the newest.
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
}

/// `rosey db`. Works on the state directory, whether the bot runs or not.
#[derive(Debug, Clone, Subcommand)]
pub enum DbCommand {
    /// Look for damage. Exit code 1 when there is any. Example: rosey db check --config rosey.toml
    Check,
}
