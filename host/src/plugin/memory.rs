//! What is remembered of a plugin across restarts of the host: in `rosey.db`, one row a plugin.

use super::slot::state::Memory;
use crate::store::{Database, StoreError};
use rosey_wire::manifest::Manifest;
use rusqlite::{Connection, OptionalExtension, params};
use std::str::FromStr;

/// The table.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS plugin (
    name      TEXT PRIMARY KEY,
    active    TEXT,               -- sha256 of the artifact that was active last
    last_good TEXT,               -- the one that a host that starts runs
    history   TEXT NOT NULL,      -- good ones, oldest first, comma-separated
    condemned TEXT NOT NULL,      -- rolled back from, oldest first, comma-separated
    failures  INTEGER NOT NULL,   -- starts in a row that did not stay up
    manifest  TEXT                -- JSON
) STRICT;";

/// Writes it down. Cancelled, it is written all the same.
///
/// # Errors
/// As the database says; what was written before stands.
pub async fn save(
    database: &Database,
    plugin: &str,
    memory: Memory,
    manifest: Option<&Manifest>,
) -> Result<(), StoreError> {
    let plugin = plugin.to_owned();
    // A checked manifest always is JSON.
    let manifest = manifest.and_then(|manifest| serde_json::to_string(manifest).ok());
    let write = move |connection: &mut Connection| {
        connection.execute(
            "INSERT INTO plugin (name, active, last_good, history, condemned, failures, manifest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (name) DO UPDATE SET active = ?2, last_good = ?3, history = ?4, condemned = ?5, failures = ?6,
                                              manifest = coalesce(?7, manifest)",
            params![
                plugin,
                memory.active.map(|hash| hash.to_string()),
                memory.last_good.map(|hash| hash.to_string()),
                join(&memory.history),
                join(&memory.condemned),
                memory.failures,
                manifest,
            ],
        )
    };
    database.run(write).await?;
    Ok(())
}

/// What was written down, or nothing for a plugin never seen.
///
/// # Errors
/// As the database says.
pub async fn load(database: &Database, plugin: &str) -> Result<(Memory, Option<Manifest>), StoreError> {
    let plugin = plugin.to_owned();
    let row = database
        .run(move |connection| {
            connection
                .query_row(
                    "SELECT active, last_good, history, condemned, failures, manifest FROM plugin WHERE name = ?1",
                    [plugin],
                    |row| {
                        let memory = Memory {
                            active: row.get::<_, Option<String>>(0)?.and_then(|text| text.parse().ok()),
                            last_good: row.get::<_, Option<String>>(1)?.and_then(|text| text.parse().ok()),
                            history: split(&row.get::<_, String>(2)?),
                            condemned: split(&row.get::<_, String>(3)?),
                            failures: row.get(4)?,
                        };
                        Ok((memory, row.get::<_, Option<String>>(5)?))
                    },
                )
                .optional()
        })
        .await?;
    let (memory, manifest) = row.unwrap_or_default();
    Ok((memory, manifest.and_then(|json| serde_json::from_str(&json).ok())))
}

fn join<T: ToString>(hashes: &[T]) -> String {
    hashes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What is not a hash was written by somebody else, and is left out.
fn split<T: FromStr>(text: &str) -> Vec<T> {
    text.split(',').filter_map(|part| part.parse().ok()).collect()
}
