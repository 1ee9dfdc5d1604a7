//! Reads and writes single keys of a plugin.

use super::view::KeyState;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, params};
use std::borrow::Cow;

/// The keys of one plugin in a transaction.
pub(super) struct Table<'t> {
    pub transaction: &'t Transaction<'t>,
    pub plugin: &'t str,
    /// Writes a key. It stays with the transaction, because a busy plugin writes hundreds in one.
    put: Option<CachedStatement<'t>>,
}

impl<'t> Table<'t> {
    /// The keys of this plugin.
    pub fn new(transaction: &'t Transaction<'t>, plugin: &'t str) -> Self {
        Self { transaction, plugin, put: None }
    }

    /// Writes a key.
    ///
    /// # Errors
    ///
    /// As SQLite says.
    pub fn put(&mut self, scope: &str, key: &str, value: &str, version: u64, expires: i64) -> rusqlite::Result<()> {
        let statement = match &mut self.put {
            Some(statement) => statement,
            none => {
                let mut statement = self.transaction.prepare_cached(
                    "INSERT INTO kept (plugin, scope, key, value, version, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (plugin, scope, key) DO UPDATE SET value = ?4, version = ?5, expires = ?6",
                )?;
                statement.raw_bind_parameter(1, self.plugin)?;
                none.insert(statement)
            }
        };
        statement.raw_bind_parameter(2, scope)?;
        statement.raw_bind_parameter(3, key)?;
        statement.raw_bind_parameter(4, value)?;
        statement.raw_bind_parameter(5, version)?;
        statement.raw_bind_parameter(6, expires)?;
        statement.raw_execute().map(drop)
    }
}

/// The state of a key.
///
/// # Errors
///
/// As SQLite says.
pub(super) fn get(
    connection: &Connection,
    plugin: &str,
    scope: &str,
    key: &str,
    now: i64,
) -> rusqlite::Result<KeyState<'static>> {
    let row = |row: &rusqlite::Row<'_>| {
        Ok(KeyState { text: Cow::Owned(row.get(0)?), version: row.get(1)?, expires: row.get::<_, i64>(2)? > 0 })
    };
    connection
        .prepare_cached(
            "SELECT value, version, expires FROM kept
             WHERE plugin = ?1 AND scope = ?2 AND key = ?3 AND (expires = 0 OR expires > ?4)",
        )?
        .query_row(params![plugin, scope, key, now], row)
        .optional()
        .map(Option::unwrap_or_default)
}
