//! `rosey backup` and `rosey restore`: work on the state directory. A backup can be made whether the bot runs or not.

use super::{fail, forgotten, say};
use crate::{
    app::{self, state::Host},
    backup::{self, BackupError},
    cli::exit,
    config::Config,
    view::mebibytes,
};
use std::{io, path::Path};

/// Writes a backup of the state directory into a file.
pub fn write(config: &Config, config_given: bool, file: &Path) -> u8 {
    let database = config.state_dir.join(app::DATABASE);
    if let Err(error) = database.metadata()
        && error.kind() == io::ErrorKind::NotFound
    {
        let hint = forgotten(config_given);
        let text = format!("no rosey has run here yet: {} does not exist; see --config{hint}", database.display());
        return fail(exit::FAILED, &text);
    }
    match backup::write(&config.state_dir, file) {
        Ok(written) => {
            for note in &written.notes {
                eprintln!("rosey: {note}");
            }
            say(&format!("{}: {} files, {} MiB.\n", file.display(), written.files, mebibytes(written.bytes)))
        }
        Err(error) => failed(&error),
    }
}

/// Restores a backup into the state directory.
pub fn restore(config: &Config, file: &Path) -> u8 {
    let state = &config.state_dir;
    if Host::lives(state) {
        return fail(
            exit::FAILED,
            &format!("a rosey uses {}; stop it, and move the directory away first", state.display()),
        );
    }
    if let Some(problem) = app::state::of_another_user(state) {
        return fail(exit::DENIED, &problem);
    }
    match backup::restore(file, state) {
        Ok(restored) => {
            let (files, bytes) = (restored.files, mebibytes(restored.bytes));
            say(&format!(
                "{}: {files} files, {bytes} MiB, of {} by rosey {}. You can start the bot now.\n",
                state.display(),
                restored.created,
                restored.rosey
            ))
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &BackupError) -> u8 {
    let code = match error {
        BackupError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => exit::DENIED,
        _ => exit::FAILED,
    };
    fail(code, &error.to_string())
}
