//! What `rosey` does in a shell besides running the bot: check a configuration (`check`), talk to one that runs
//! (`control`), read its audit (`audit`), look at its database (`db`) and at what its plugins keep (`store`), and help the shell (`completion`, `man`). Each
//! returns an exit code.
//!

pub mod audit;
pub mod check;
pub mod completion;
pub mod control;
pub mod db;
pub mod man;
pub mod store;

use crate::cli::exit;
use std::{
    io::{self, Write},
    path::Path,
};

/// The file that people call their configuration.
const USUAL: &str = "rosey.toml";

/// Says on standard error what is wrong.
pub fn fail(code: u8, problem: &str) -> u8 {
    eprintln!("rosey: {problem}");
    code
}

/// Writes to standard output. A reader that has had enough, such as `head`, is no failure.
pub fn say(text: &str) -> u8 {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => exit::OK,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => fail(exit::FAILED, &format!("standard output: {error}")),
    }
}

/// The configuration that lies here and is not read, because `--config` was not given.
pub fn unread() -> Option<String> {
    Path::new(USUAL).is_file().then(|| format!("{USUAL} lies here and is not read; add --config {USUAL}"))
}

/// What may have been forgotten: without `--config`, the bot of a file that lies here is not found.
fn forgotten(config_given: bool) -> String {
    let lies_here = !config_given && Path::new(USUAL).is_file();
    if lies_here { format!("; or did you mean --config {USUAL}?") } else { String::new() }
}
