//! Which plugin has which command, in `rosey.db`: after a restart of the host each command goes to the plugin that had
//! it.

use crate::store::{Database, StoreError};
use std::collections::BTreeMap;

/// The table of this room.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS command (
    name   TEXT PRIMARY KEY,    -- in small letters, without the prefix
    plugin TEXT NOT NULL
) STRICT;";

/// The plugin of each command in the host before this one.
///
/// # Errors
///
/// The database cannot be read.
pub async fn load(database: &Database) -> Result<BTreeMap<String, String>, StoreError> {
    let load = |connection: &mut rusqlite::Connection| {
        let mut statement = connection.prepare("SELECT name, plugin FROM command")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    database.run(load).await
}

/// Replaces all saved owners.
///
/// # Errors
///
/// The database cannot be written.
pub async fn save(database: &Database, owners: BTreeMap<String, String>) -> Result<(), StoreError> {
    let save = move |connection: &mut rusqlite::Connection| {
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM command", [])?;
        for (name, plugin) in owners {
            transaction.execute("INSERT INTO command (name, plugin) VALUES (?1, ?2)", [name, plugin])?;
        }
        transaction.commit()
    };
    database.run(save).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_saved_replaces_what_was_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = Database::open(&directory.path().join("rosey.db"), &[SCHEMA]).expect("a database");
        let owners = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(name, plugin)| ((*name).to_owned(), (*plugin).to_owned())).collect()
        };
        for saved in [owners(&[("roll", "dice"), ("r", "dice")]), owners(&[("roll", "alias")]), owners(&[])] {
            save(&database, saved.clone()).await.expect("written");
            assert_eq!(load(&database).await.expect("readable"), saved);
        }
    }
}
