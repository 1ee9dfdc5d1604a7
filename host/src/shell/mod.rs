//! What `rosey` does in a shell besides running the bot: talk to one that runs (`control`), read its audit (`audit`),
//! and help the shell (`completion`, man pages). Each returns an exit code.
//!
//! May import `cli`, `config`, `admin::{audit, socket}`, `app` (for where things lie), `time` and `report`.

pub mod audit;
pub mod completion;
pub mod control;

use crate::cli::{Cli, exit};
use clap::CommandFactory;
use std::path::Path;

/// Says on standard error what is wrong.
pub fn fail(code: u8, problem: &str) -> u8 {
    eprintln!("rosey: {problem}");
    code
}

/// Writes the man pages, one for each command.
pub fn man(directory: &Path) -> u8 {
    let written = std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    match written {
        Ok(()) => exit::OK,
        Err(error) => {
            fail(exit::FAILED, &format!("the man pages cannot be written to {}: {error}", directory.display()))
        }
    }
}
