//! The commands of `rosey` besides running the bot: check a configuration (`check`) or write one (`init`), command a running bot (`control`),
//! read its audit (`audit`), its database (`db`) and the data of its plugins (`store`), back it up and restore it (`backup`),
//! and help the shell (`completion`, `man`). Each returns an exit code.

pub mod audit;
pub mod backup;
pub mod check;
pub mod completion;
pub mod config;
pub mod control;
pub mod db;
pub mod init;
pub mod man;
pub mod store;

use crate::cli::exit;
use std::{
    io::{self, Write},
    path::Path,
};

/// The usual file name of a configuration.
pub const USUAL: &str = "rosey.toml";

/// Reports a problem on standard error.
pub fn fail(code: u8, problem: &str) -> u8 {
    eprintln!("rosey: {problem}");
    code
}

/// Writes to standard output. A reader that closes the pipe, such as `head`, is no failure.
pub fn say(text: &str) -> u8 {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => exit::OK,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => fail(exit::FAILED, &format!("standard output: {error}")),
    }
}

/// The hint about a configuration in this folder that is not read, because `--config` is missing.
pub fn unread() -> Option<String> {
    Path::new(USUAL)
        .is_file()
        .then(|| format!("Rosey does not read the {USUAL} in this folder; to use it, add --config {USUAL}"))
}

/// The hint about a forgotten `--config`, if this folder has a configuration.
fn forgotten(config_given: bool) -> String {
    let lies_here = !config_given && Path::new(USUAL).is_file();
    if lies_here { format!("; or did you mean --config {USUAL}?") } else { String::new() }
}
