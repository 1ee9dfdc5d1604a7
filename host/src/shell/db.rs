//! `rosey db`: reads `rosey.db` in the state directory, whether the bot runs or not.

use super::{fail, forgotten, say};
use crate::{
    app,
    cli::{DbCommand, exit},
    config::Config,
    store::{StoreError, version},
};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Faults that are listed. In a file of noise SQLite finds very many.
const LISTED: usize = 20;

/// Checks the file.
pub fn db(config: &Config, config_given: bool, command: &DbCommand) -> u8 {
    let DbCommand::Check = command;
    with(config, config_given, |path, connection| {
        let faults = faults(connection)?;
        let path = path.display();
        if faults.is_empty() {
            return Ok(say(&format!("{path} is whole.\n")));
        }
        let text = format!(
            "{path} is damaged: {}. Stop Rosey, then put back a copy or save what can be read: see \"rosey.db is damaged\" in \
             docs/OPERATIONS.md",
            faults.join("; ")
        );
        Ok(fail(exit::FAILED, &text))
    })
}

/// The faults that SQLite finds: in pages, indexes, and values that their tables do not allow.
fn faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({LISTED})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let faults = lines.iter().flat_map(|lines| lines.lines()).filter(|line| *line != "ok");
    Ok(faults.take(LISTED).map(str::to_owned).collect())
}

/// Calls `act` with the database, or reports why it cannot be read. Returns the exit code.
pub(super) fn with(
    config: &Config,
    config_given: bool,
    act: impl FnOnce(&Path, &mut Connection) -> rusqlite::Result<u8>,
) -> u8 {
    let path = config.state_dir.join(app::DATABASE);
    match path.metadata() {
        Ok(meta) if meta.is_file() => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return not_yours(&path),
        _ => {
            let hint = forgotten(config_given);
            let text = format!("no rosey has run here yet: {} does not exist; see --config{hint}", path.display());
            return fail(exit::FAILED, &text);
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = match Connection::open_with_flags(&path, flags) {
        Ok(connection) => connection,
        Err(error) => return failed(error, path),
    };
    if let Err(error @ StoreError::Newer { .. }) = version::of(&connection, &path) {
        return fail(exit::FAILED, &error.to_string());
    }
    let result = connection.busy_timeout(Duration::from_secs(5)).and_then(|()| act(&path, &mut connection));
    result.unwrap_or_else(|error| failed(error, path))
}

/// Reads from the database, if there is one that can be read. Says nothing.
pub(super) fn peek<T>(config: &Config, read: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Option<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(config.state_dir.join(app::DATABASE), flags).ok()?;
    read(&mut connection).ok()
}

fn failed(error: rusqlite::Error, path: PathBuf) -> u8 {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied};
    match error.sqlite_error_code() {
        Some(CannotOpen | PermissionDenied) if File::open(&path).is_err() => not_yours(&path),
        _ => fail(exit::FAILED, &StoreError::of(error, &path).to_string()),
    }
}

fn not_yours(path: &Path) -> u8 {
    let text = format!("permission denied: {} belongs to another user; run this as that user", path.display());
    fail(exit::DENIED, &text)
}
