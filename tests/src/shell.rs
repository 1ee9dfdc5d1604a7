//! `rosey` in a shell beside a running bot.

use crate::{
    bot::{Bot, Folder},
    build,
};
use std::process::{Command, Output, Stdio};

/// Settings without cooldown and rate limits.
pub const PATIENT: &str = "[admin]\ncooldown = 0\nper_minute = 1000\n[plugins.misbehave]\n";

/// A folder with the misbehaving plugin as the build `first`.
pub fn folder() -> Folder {
    let folder = Folder::new(&[]);
    build::variant(&folder.library("misbehave"), "first");
    folder
}

/// A bot that serves: its first answer has come.
///
/// # Panics
/// When that is another answer.
pub fn start(folder: &Folder, more: &str) -> Bot {
    let mut bot = folder.start(more);
    assert_eq!(bot.ask("!variant"), "first");
    bot
}

/// `rosey` with these arguments and the folder's configuration.
pub fn command(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(build::rosey());
    command.args(arguments).args(["--config", "rosey.toml"]).current_dir(folder.path()).stdin(Stdio::null());
    command
}

/// The exit code, standard output and standard error of a command.
///
/// # Panics
/// When it cannot be started.
pub fn shell(folder: &Folder, arguments: &[&str]) -> (i32, String, String) {
    ended(command(folder, arguments).output().expect("it is built"))
}

/// The same for a command that has ended.
///
/// # Panics
/// When it was killed.
pub fn ended(output: Output) -> (i32, String, String) {
    (output.status.code().expect("it exits"), text(&output.stdout), text(&output.stderr))
}

/// The bytes as text, without the last line break.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
