//! The version of `rosey.db`: steps that bring an older file to it, and the copy that is kept before.
//!
//! A later column or table that an older Rosey can ignore needs no new version: the rooms add it in their schema.

use super::{StoreError, private};
use rusqlite::Connection;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// SQL that brings a file from each version to the next one, from version 1 on. A file without a version is from before
/// there were any; the schema of the rooms alone brings it to version 1.
const STEPS: [&str; 0] = [];

/// The version that this Rosey reads and writes.
pub const VERSION: i64 = 1 + STEPS.len() as i64;

/// The version of a file.
///
/// # Errors
/// [`StoreError::Newer`] when a newer Rosey wrote it; those of SQLite.
pub fn of(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    up_to(VERSION, connection, path)
}

fn up_to(newest: i64, connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    match version.map_err(|error| StoreError::of(error, path))? {
        version if version > newest => Err(StoreError::Newer { path: path.to_owned(), version }),
        version => Ok(version),
    }
}

/// Brings a file to the newest version in one transaction, after it has kept a copy of an older one.
pub(super) fn migrate(connection: &mut Connection, path: &Path, schema: &[&str]) -> Result<(), StoreError> {
    migrate_by(connection, path, schema, &STEPS)
}

fn migrate_by(connection: &mut Connection, path: &Path, schema: &[&str], steps: &[&str]) -> Result<(), StoreError> {
    let problem = |error| StoreError::of(error, path);
    let to = 1 + steps.len() as i64;
    let from = up_to(to, connection, path)?;
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    let is_new = tables.map_err(problem)? == 0;
    if from < to && !is_new {
        let copy = copy_path(path, from);
        keep_copy(connection, path, &copy)?;
        tracing::info!("rosey.db goes from version {from} to {to}; {} is as it was before", copy.display());
    }
    let transaction = connection.transaction().map_err(problem)?;
    for part in schema {
        match transaction.execute_batch(part) {
            Err(error) if error.to_string().contains("duplicate column name") => {}
            done => done.map_err(problem)?,
        }
    }
    // The schema makes a new file in the newest form.
    let done = if is_new { steps.len() } else { usize::try_from(from - 1).unwrap_or(0) };
    for step in &steps[done..] {
        transaction.execute_batch(step).map_err(problem)?;
    }
    if from < to {
        transaction.pragma_update(None, "user_version", to).map_err(problem)?;
    }
    transaction.commit().map_err(problem)
}

/// The path of the copy of a file that had this version.
fn copy_path(path: &Path, version: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-version-{version}"));
    name.into()
}

/// Keeps a copy under its name only when it is whole and on the disk.
fn keep_copy(connection: &Connection, path: &Path, copy: &Path) -> Result<(), StoreError> {
    let part = copy.with_extension("part");
    copy_into(connection, path, &part)?;
    let in_place = || {
        fs::rename(&part, copy)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    in_place().map_err(|source| StoreError::Open { path: copy.to_owned(), source })
}

/// Writes the content of one moment into another file, which this user alone may read, and waits for the disk. Replaces
/// that file. Other programs may write to the database meanwhile.
///
/// # Errors
/// When the file cannot be written, or the database is damaged.
pub fn copy_into(connection: &Connection, path: &Path, target: &Path) -> Result<(), StoreError> {
    let problem = |source: io::Error| StoreError::Open { path: target.to_owned(), source };
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(problem(error)),
        _ => {}
    }
    // SQLite fills an empty file, and keeps its mode.
    let file = private(target).map_err(problem)?;
    let name = target.to_str().ok_or_else(|| problem(io::ErrorKind::InvalidFilename.into()))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| StoreError::of(error, path))?;
    file.sync_all().map_err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE IF NOT EXISTS line (text TEXT NOT NULL) STRICT;";
    const LATER: [&str; 2] = [
        "CREATE TABLE IF NOT EXISTS line (text TEXT NOT NULL, by TEXT) STRICT;",
        "ALTER TABLE line ADD COLUMN by TEXT;",
    ];

    fn open(path: &Path) -> Connection {
        Connection::open(path).expect("ours")
    }

    fn version(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("readable")
    }

    fn number(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).expect("readable")
    }

    #[test]
    fn an_older_file_goes_through_every_step_and_a_copy_of_it_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rosey.db");
        let mut connection = open(&path);
        connection.execute_batch(FIRST).expect("ours");
        connection.execute("INSERT INTO line VALUES ('a')", []).expect("ours");
        migrate_by(&mut connection, &path, &LATER, &[]).expect("it takes a column");
        assert_eq!(version(&connection), 1);
        let steps = ["UPDATE line SET by = 'alice'", "UPDATE line SET text = text || by"];
        let text = |connection: &Connection| {
            connection.query_row("SELECT text FROM line", [], |row| row.get::<_, String>(0)).expect("one line")
        };
        for _ in 0..2 {
            migrate_by(&mut connection, &path, &LATER, &steps).expect("two steps, and then none");
            assert_eq!((text(&connection).as_str(), version(&connection)), ("aalice", 3));
        }
        for (before, columns) in [(0, 1), (1, 2)] {
            let copy = open(&copy_path(&path, before));
            let found = number(&copy, "SELECT count(*) FROM pragma_table_info('line')");
            assert_eq!((version(&copy), found), (before, columns));
        }
    }

    #[test]
    fn a_step_that_fails_changes_nothing_and_a_new_file_needs_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rosey.db");
        let mut connection = open(&path);
        migrate_by(&mut connection, &path, &[FIRST], &[]).expect("a new file");
        assert!(!copy_path(&path, 0).exists(), "there was nothing to copy");
        let steps = ["INSERT INTO line VALUES ('half')", "nonsense"];
        migrate_by(&mut connection, &path, &[FIRST], &steps).expect_err("no SQL");
        assert_eq!((number(&connection, "SELECT count(*) FROM line"), version(&connection)), (0, 1));
        let fresh = directory.path().join("fresh.db");
        migrate_by(&mut open(&fresh), &fresh, &[FIRST], &steps).expect("the schema has the newest form");
    }

    #[test]
    fn a_file_of_a_newer_rosey_is_refused_with_both_versions() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rosey.db");
        let mut connection = open(&path);
        connection.pragma_update(None, "user_version", 7).expect("ours");
        let error = migrate(&mut connection, &path, &[FIRST]).expect_err("newer").to_string();
        assert!(error.contains("has version 7") && error.contains("reads up to version 1"), "{error}");
        assert_eq!(number(&connection, "SELECT count(*) FROM sqlite_schema"), 0, "it is left as it is");
    }
}
