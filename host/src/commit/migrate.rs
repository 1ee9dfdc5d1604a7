//! Another version of what a plugin keeps: applied in one transaction, with the store from before kept beside it until it is
//! not needed any more.

use super::{Change, CommitError, MAX_KEY, MAX_VALUE, Quota, Read, Usage, sql, table::Table, view::View};
use rosey_core::state::{StoreLost, StoreVersions};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::sync::Arc;

/// The tables of stores from before a migration.
pub const BEFORE: &str = "CREATE TABLE IF NOT EXISTS kept_before (
    plugin  TEXT NOT NULL,
    scope   TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (plugin, scope, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_before_version (
    plugin        TEXT PRIMARY KEY,
    store_version INTEGER NOT NULL,   -- of what is in kept_before
    commits       INTEGER NOT NULL,   -- how many records were applied before the migration
    keys          INTEGER NOT NULL,
    bytes         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;";

/// What a migration changes.
#[derive(Debug)]
pub struct Migration {
    /// Whose store it is.
    pub plugin: Arc<str>,
    /// How much the plugin may keep.
    pub quota: Quota,
    /// The version that the store must have, unless nothing is kept.
    pub from: u32,
    /// The version that it then has.
    pub to: u32,
    /// How many records were applied when it began: none may have come between.
    pub commits: u64,
    /// Applied first, in order.
    pub rewrites: Vec<Rewrite>,
    /// What its end has read.
    pub reads: Vec<Read>,
    /// Applied after that.
    pub changes: Vec<Change>,
}

/// A change of one key in any scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// As the table has it.
    pub scope: String,
    /// The name within the scope.
    pub key: String,
    /// JSON; nothing when the key goes.
    pub value: Option<String>,
    /// When it is gone, in milliseconds since 1970; 0 for never.
    pub expires: u64,
}

impl Rewrite {
    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        (self.scope.len() + self.key.len() + self.value.as_ref().map_or(0, String::len)) as u64
    }

    fn problem(&self) -> Option<String> {
        let (key, value) = (self.key.len(), self.value.as_ref().map_or(0, String::len));
        if key == 0 || key > MAX_KEY {
            return Some(format!("a key has 1 to {MAX_KEY} bytes, and this one has {key}"));
        }
        (value > MAX_VALUE)
            .then(|| format!("a value has at most {MAX_VALUE} bytes, and that of {:?} has {value}", self.key))
    }
}

/// A key of any scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkedEntry {
    /// As the table has it.
    pub scope: String,
    /// The name within the scope.
    pub key: String,
    /// JSON.
    pub value: String,
    /// When it is gone, in milliseconds since 1970; 0 for never.
    pub expires: u64,
}

impl WalkedEntry {
    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.scope.len() + self.key.len() + self.value.len()
    }
}

/// Which versions of what a plugin keeps there are.
///
/// # Errors
/// As SQLite says.
pub fn versions(connection: &Connection, plugin: &str) -> rusqlite::Result<StoreVersions> {
    let before = before(connection, plugin)?.map(|(version, _)| version);
    Ok(StoreVersions { now: sql::version(connection, plugin)?, before })
}

/// The version and the figures of the store from before, if one is kept.
fn before(connection: &Connection, plugin: &str) -> rusqlite::Result<Option<(u32, Usage)>> {
    let sql = "SELECT store_version, keys, bytes, commits FROM kept_before_version WHERE plugin = ?1";
    let row = |row: &rusqlite::Row<'_>| {
        Ok((row.get(0)?, Usage { keys: row.get(1)?, bytes: row.get(2)?, commits: row.get(3)? }))
    };
    connection.query_row(sql, [plugin], row).optional()
}

/// Keys of all scopes after this one.
pub(super) fn walk(
    connection: &Connection,
    plugin: &str,
    after: (&str, &str),
    now: i64,
    limit: u32,
) -> rusqlite::Result<Vec<WalkedEntry>> {
    let mut statement = connection.prepare_cached(
        "SELECT scope, key, value, expires FROM kept
         WHERE plugin = ?1 AND (scope, key) > (?2, ?3) AND (expires = 0 OR expires > ?4) ORDER BY scope, key LIMIT ?5",
    )?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(WalkedEntry { scope: row.get(0)?, key: row.get(1)?, value: row.get(2)?, expires: row.get(3)? })
    };
    statement.query_map(params![plugin, after.0, after.1, now, limit], row)?.collect()
}

/// Applies a migration. The store from before is kept, unless an older one is.
///
/// # Errors
/// The outer one as SQLite says, the inner one where the migration is not allowed. Nothing has changed then.
pub fn migrate(
    connection: &mut Connection,
    migration: &Migration,
) -> rusqlite::Result<Result<(StoreVersions, Usage), CommitError>> {
    let transaction = connection.transaction()?;
    let plugin = &*migration.plugin;
    let (usage, has) = (sql::usage(&transaction, plugin)?, sql::version(&transaction, plugin)?);
    if usage.commits != migration.commits || has.is_some_and(|has| has != migration.from) {
        return Ok(Err(CommitError::Conflict));
    }
    keep(&transaction, plugin, migration.from, usage)?;
    let mut after = Usage { commits: usage.commits + 1, ..usage };
    if let Err(error) = change(&transaction, migration, &mut after)? {
        return Ok(Err(error));
    }
    for (grew, many, limit, setting) in [
        (
            after.keys > usage.keys,
            after.keys > migration.quota.keys,
            format!("{} keys", migration.quota.keys),
            "store_keys",
        ),
        (
            after.bytes > usage.bytes,
            after.bytes > migration.quota.bytes,
            format!("{} bytes", migration.quota.bytes),
            "store_bytes",
        ),
    ] {
        if grew && many {
            return Ok(Err(CommitError::Refused(sql::over(&limit, setting))));
        }
    }
    sql::set_version(&transaction, plugin, migration.to)?;
    sql::count(&transaction, plugin, after)?;
    let versions = versions(&transaction, plugin)?;
    transaction.commit()?;
    Ok(Ok((versions, after)))
}

/// Keeps the store as it is now.
fn keep(transaction: &Transaction<'_>, plugin: &str, version: u32, usage: Usage) -> rusqlite::Result<()> {
    if before(transaction, plugin)?.is_some() {
        return Ok(());
    }
    transaction.execute("INSERT INTO kept_before SELECT * FROM kept WHERE plugin = ?1", [plugin])?;
    transaction.execute(
        "INSERT INTO kept_before_version (plugin, store_version, commits, keys, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![plugin, version, usage.commits, usage.keys, usage.bytes],
    )?;
    Ok(())
}

fn change(
    transaction: &Transaction<'_>,
    migration: &Migration,
    after: &mut Usage,
) -> rusqlite::Result<Result<(), CommitError>> {
    let (plugin, now) = (&*migration.plugin, sql::now());
    for read in &migration.reads {
        if !sql::is_unchanged(transaction, plugin, read, now, &mut View::default())? {
            return Ok(Err(CommitError::Conflict));
        }
    }
    for rewrite in &migration.rewrites {
        if let Some(problem) = rewrite.problem() {
            return Ok(Err(CommitError::Refused(problem)));
        }
        let Rewrite { scope, key, value, expires } = rewrite;
        let old: Option<u64> = transaction
            .prepare_cached(
                "DELETE FROM kept WHERE plugin = ?1 AND scope = ?2 AND key = ?3
                 RETURNING length(CAST(key AS BLOB)) + length(CAST(value AS BLOB))",
            )?
            .query_row(params![plugin, scope, key], |row| row.get(0))
            .optional()?;
        if let Some(bytes) = old {
            after.keys -= 1;
            after.bytes -= bytes;
        }
        if let Some(value) = value {
            transaction
                .prepare_cached(
                    "INSERT INTO kept (plugin, scope, key, value, version, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![plugin, scope, key, value, after.commits, expires])?;
            after.keys += 1;
            after.bytes += (key.len() + value.len()) as u64;
        }
    }
    let (mut view, mut table) = (View::default(), Table::new(transaction, plugin));
    for change in &migration.changes {
        if let Err(error) = sql::change_key(&mut table, change, now, &mut view, after, None)? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Puts the store from before the last migration back, if it is kept, and says what was lost by that.
///
/// # Errors
/// As SQLite says; nothing has changed then.
pub fn put_back(
    connection: &mut Connection,
    plugin: &str,
) -> rusqlite::Result<(StoreVersions, Option<StoreLost>, Usage)> {
    let transaction = connection.transaction()?;
    let usage = sql::usage(&transaction, plugin)?;
    let Some((version, before)) = before(&transaction, plugin)? else {
        return Ok((versions(&transaction, plugin)?, None, usage));
    };
    // The migration itself was one more.
    let migrated = before.commits + 1;
    let keys: u64 = transaction.query_row(
        "SELECT count(*) FROM kept WHERE plugin = ?1 AND version > ?2",
        params![plugin, migrated],
        |row| row.get(0),
    )?;
    let lost = StoreLost { version, keys, commits: usage.commits.saturating_sub(migrated) };
    transaction.execute("DELETE FROM kept WHERE plugin = ?1", [plugin])?;
    transaction.execute("INSERT INTO kept SELECT * FROM kept_before WHERE plugin = ?1", [plugin])?;
    forget(&transaction, plugin)?;
    // Versions of keys are never used twice, so what was read of the other store counts as changed.
    let after = Usage { commits: usage.commits + 1, ..before };
    if after.keys > 0 {
        sql::set_version(&transaction, plugin, version)?;
    } else {
        sql::forget_version(&transaction, plugin)?;
    }
    sql::count(&transaction, plugin, after)?;
    let versions = versions(&transaction, plugin)?;
    transaction.commit()?;
    Ok((versions, Some(lost), after))
}

/// Forgets the store from before, if it has this version.
///
/// # Errors
/// As SQLite says.
pub fn forget_before(transaction: &Transaction<'_>, plugin: &str, version: u32) -> rusqlite::Result<()> {
    if before(transaction, plugin)?.is_some_and(|(kept, _)| kept == version) {
        forget(transaction, plugin)?;
    }
    Ok(())
}

fn forget(transaction: &Transaction<'_>, plugin: &str) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM kept_before WHERE plugin = ?1", [plugin])?;
    transaction.execute("DELETE FROM kept_before_version WHERE plugin = ?1", [plugin])?;
    Ok(())
}

#[cfg(test)]
mod tests;
