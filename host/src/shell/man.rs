//! The man pages: clap's pages of each command, with exit codes and files.

use super::fail;
use crate::cli::{Cli, exit};
use clap::CommandFactory;
use std::{
    fmt::Write,
    fs::{self, OpenOptions},
    io,
    path::Path,
};

/// The files of the section FILES.
const FILES: [(&str, &str); 5] = [
    ("rosey.toml", "The configuration, where --config says so; docs/CONFIG.md has all settings."),
    (".rosey/", "The state directory (state_dir): builds in artifacts/, and what follows."),
    (".rosey/rosey.db", "SQLite: what each plugin runs, dead letters, the audit."),
    (".rosey/lock", "Locked while a bot lives; says whether it is starting, running or stopping, and its process."),
    (".rosey/run/control.sock", "The socket that rosey admin talks to."),
];

/// Writes the man pages, one for each command.
pub fn write(directory: &Path) -> u8 {
    let written = fs::create_dir_all(directory).and_then(|()| {
        clap_mangen::generate_to(super::completion::visible(Cli::command()), directory)?;
        complete(directory)
    });
    match written {
        Ok(()) => exit::OK,
        Err(error) => {
            fail(exit::FAILED, &format!("the man pages cannot be written to {}: {error}", directory.display()))
        }
    }
}

/// Adds the sections that clap does not know.
fn complete(directory: &Path) -> io::Result<()> {
    for page in fs::read_dir(directory)? {
        let path = page?.path();
        let is_ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rosey"));
        if is_ours && path.extension().is_some_and(|section| section == "1") {
            let mut page = OpenOptions::new().append(true).open(path)?;
            io::Write::write_all(&mut page, sections().as_bytes())?;
        }
    }
    Ok(())
}

fn sections() -> String {
    let mut text = String::from(".SH \"EXIT STATUS\"\n");
    // Writing to a string does not fail.
    for (code, meaning) in exit::MEANINGS {
        let _ = writeln!(text, ".TP\n.B {code}\n{meaning}");
    }
    text.push_str(".SH FILES\n");
    for (file, what) in FILES {
        // roff takes a line that begins with a dot for a command.
        let _ = writeln!(text, ".TP\n.I \\&{file}\n\\&{what}");
    }
    text
}
