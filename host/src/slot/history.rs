//! What Rosey remembers of a plugin across restarts of the host: one row a plugin in `rosey.db`.

use crate::{
    commit,
    store::{Database, StoreError},
};
use rosey_core::{hash::Hash, state::BuildHistory};
use rosey_wire::manifest::Manifest;
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::HashSet, str::FromStr};

/// The table.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS plugin (
    name      TEXT PRIMARY KEY,
    active    TEXT,               -- sha256 of the artifact that was active last
    last_good TEXT,               -- the one that a host that starts runs
    history   TEXT NOT NULL,      -- good ones, oldest first, comma-separated
    condemned TEXT NOT NULL,      -- rolled back from, oldest first, comma-separated
    failures  INTEGER NOT NULL,   -- starts in a row that did not stay up
    manifest  TEXT                -- JSON
) STRICT;
CREATE TABLE IF NOT EXISTS plugin_versions (
    name     TEXT PRIMARY KEY,
    versions TEXT NOT NULL        -- JSON: the versions of the artifacts that its row in plugin names
) STRICT;
CREATE TABLE IF NOT EXISTS plugin_trial (
    name     TEXT PRIMARY KEY,
    artifact TEXT NOT NULL        -- sha256 of what was on trial at an orderly stop
) STRICT;";

/// Saves the history. `unneeded` is the version of the store from before a migration, once nothing goes back to it: the same
/// transaction forgets it. Cancelled, the write continues.
///
/// # Errors
///
/// The database cannot be written; the last save stands.
pub async fn save(
    database: &Database,
    plugin: &str,
    history: BuildHistory,
    manifest: Option<&Manifest>,
    unneeded: Option<u32>,
) -> Result<(), StoreError> {
    let plugin = plugin.to_owned();
    // A checked manifest can always be written as JSON.
    let manifest = manifest.and_then(|manifest| serde_json::to_string(manifest).ok());
    let write = move |connection: &mut Connection| {
        let transaction = connection.transaction()?;
        let versions = serde_json::to_string(&history.versions).unwrap_or_default();
        transaction.execute(
            "INSERT INTO plugin_versions (name, versions) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET versions = ?2",
            [&plugin, &versions],
        )?;
        match &history.on_trial {
            Some(artifact) => transaction.execute(
                "INSERT INTO plugin_trial (name, artifact) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET artifact = ?2",
                [&plugin, &artifact.to_string()],
            )?,
            None => transaction.execute("DELETE FROM plugin_trial WHERE name = ?1", [&plugin])?,
        };
        transaction.execute(
            "INSERT INTO plugin (name, active, last_good, history, condemned, failures, manifest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (name) DO UPDATE SET active = ?2, last_good = ?3, history = ?4, condemned = ?5, failures = ?6,
                                              manifest = coalesce(?7, manifest)",
            params![
                plugin,
                history.active.map(|hash| hash.to_string()),
                history.last_good.map(|hash| hash.to_string()),
                join(&history.good),
                join(&history.blocked),
                history.failures,
                manifest,
            ],
        )?;
        if let Some(version) = unneeded {
            commit::forget_before(&transaction, &plugin, version)?;
        }
        transaction.commit()
    };
    database.run(write).await
}

/// The saved history; an empty one for a new plugin.
///
/// # Errors
///
/// The database cannot be read.
pub async fn load(database: &Database, plugin: &str) -> Result<(BuildHistory, Option<Manifest>), StoreError> {
    let plugin = plugin.to_owned();
    let row = database
        .run(move |connection| {
            connection
                .query_row(
                    "SELECT active, last_good, history, condemned, failures, manifest, versions, artifact
                     FROM plugin LEFT JOIN plugin_versions USING (name) LEFT JOIN plugin_trial USING (name)
                     WHERE name = ?1",
                    [plugin],
                    |row| {
                        let history = BuildHistory {
                            active: row.get::<_, Option<String>>(0)?.and_then(|text| text.parse().ok()),
                            last_good: row.get::<_, Option<String>>(1)?.and_then(|text| text.parse().ok()),
                            on_trial: row.get::<_, Option<String>>(7)?.and_then(|text| text.parse().ok()),
                            good: split(&row.get::<_, String>(2)?),
                            blocked: split(&row.get::<_, String>(3)?),
                            failures: row.get(4)?,
                            // A database of an older Rosey has no versions.
                            versions: row
                                .get::<_, Option<String>>(6)?
                                .and_then(|json| serde_json::from_str(&json).ok())
                                .unwrap_or_default(),
                        };
                        Ok((history, row.get::<_, Option<String>>(5)?))
                    },
                )
                .optional()
        })
        .await?;
    let (mut history, manifest) = row.unwrap_or_default();
    let manifest: Option<Manifest> = manifest.and_then(|json| serde_json::from_str(&json).ok());
    if let (Some(active), Some(manifest)) = (history.active, &manifest) {
        history.versions.entry(active).or_insert_with(|| manifest.version.clone());
    }
    Ok((history, manifest))
}

/// The artifacts of all plugins except these, for plugins that are not in the configuration now and may return.
///
/// # Errors
///
/// The database cannot be read.
pub async fn artifacts_of_others(database: &Database, these: Vec<String>) -> Result<HashSet<Hash>, StoreError> {
    let query = "SELECT name, coalesce(active, '') || ',' || coalesce(last_good, '') || ',' || history FROM plugin";
    let read = move |connection: &mut Connection| {
        let mut statement = connection.prepare(query)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    let rows = database.run(read).await?;
    let others = rows.iter().filter(|(name, _)| !these.contains(name));
    Ok(others.flat_map(|(_, hashes)| split::<Hash>(hashes)).collect())
}

fn join<T: ToString>(hashes: &[T]) -> String {
    hashes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Skips a text that is no hash: Rosey did not write it.
fn split<T: FromStr>(text: &str) -> Vec<T> {
    text.split(',').filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn versions_are_remembered_beside_artifacts_and_a_database_without_them_opens() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rosey.db");
        let old = SCHEMA.split_inclusive("STRICT;").next().expect("the first table");
        let (first, second) = (Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
        let manifest = r#"{"name":"x","version":"1.2.3","api":"1","description":"","commands":[],"probe":null,
                          "reload":"Overlap","state_version":0,"reads_state":[0,0]}"#;
        let row =
            format!("INSERT INTO plugin VALUES ('x', '{second}', '{second}', '{first},{second}', '', 0, '{manifest}')");
        rusqlite::Connection::open(&path)
            .and_then(|connection| connection.execute_batch(&format!("{old} {row}")))
            .expect("a database of before");

        let database = Database::open(&path, &[SCHEMA]).expect("it opens");
        let (mut history, _) = load(&database, "x").await.expect("readable");
        assert_eq!(history.good, [first, second]);
        assert_eq!(history.versions.get(&first), None);
        history.versions.insert(first, "1.0.0".to_owned());
        history.on_trial = Some(second);
        save(&database, "x", history.clone(), None, None).await.expect("there is room");
        let (again, manifest) = load(&database, "x").await.expect("readable");
        assert_eq!(again, history);
        history.on_trial = None;
        save(&database, "x", history.clone(), None, None).await.expect("there is room");
        assert_eq!(load(&database, "x").await.expect("readable").0, history);
        assert_eq!(
            manifest.map(|manifest| manifest.version).as_deref(),
            history.versions.get(&second).map(String::as_str)
        );
    }
}
