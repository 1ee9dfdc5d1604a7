//! The command line.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Published exit codes; scripts rely on them.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// It did not work; standard error says why, and trying again may help.
    pub const FAILED: u8 = 1;
    /// The command line makes no sense. (clap's own.)
    pub const USAGE: u8 = 2;
    /// The configuration is wrong: trying again will not help.
    pub const CONFIG: u8 = 3;
}

/// Rosey connects to chat and runs each plugin in a process of its own, replaceable while users talk.
///
/// Without a command it starts with what it finds beside itself: chat on this terminal, state in ./.rosey, and the
/// dashboard on http://127.0.0.1:8080.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// The configuration, TOML or JSON. Without one, the built-in default.
    #[arg(long, global = true, value_name = "FILE")]
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
}
