//! Data that outlives the host: marks, crashes and changes in `rosey.db`, and the beginning and end of each host.
//! Written in one transaction after each board, never on the path of an event, and read once at the start.

use super::{
    lasting::{self, Counts},
    marks, rollup,
};
use crate::{
    slot::crash::Cause,
    store::{Database, StoreError},
    view::{
        Change, Crash,
        mark::{Mark, MarkKind, Severity},
    },
};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The tables.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS mark (
    number   INTEGER PRIMARY KEY,
    at       TEXT NOT NULL,       -- RFC 3339, UTC
    seconds  INTEGER NOT NULL,    -- the same since 1970
    plugin   TEXT,
    kind     TEXT NOT NULL,
    severity TEXT NOT NULL,
    text     TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS crash (
    id         INTEGER PRIMARY KEY,
    plugin     TEXT NOT NULL,
    at         TEXT NOT NULL,     -- RFC 3339, UTC
    generation INTEGER NOT NULL,
    version    TEXT NOT NULL,
    artifact   TEXT NOT NULL,
    uptime     REAL NOT NULL,     -- seconds
    kind       TEXT NOT NULL,
    cause      TEXT NOT NULL,
    executing  TEXT NOT NULL,     -- JSON, as typed
    by         TEXT NOT NULL,     -- JSON, who typed it
    stderr     TEXT NOT NULL      -- JSON, line by line
) STRICT;
CREATE TABLE IF NOT EXISTS change (
    id           INTEGER PRIMARY KEY,
    plugin       TEXT NOT NULL,
    at           TEXT NOT NULL,   -- RFC 3339, UTC
    kind         TEXT NOT NULL,
    by           TEXT NOT NULL,
    from_version TEXT,
    to_version   TEXT,
    from_artifact TEXT,           -- SHA-256
    to_artifact  TEXT,            -- SHA-256
    took         REAL,            -- seconds
    ok           INTEGER NOT NULL,
    result       TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS life (
    id      INTEGER PRIMARY KEY,
    version TEXT NOT NULL,
    pid     INTEGER NOT NULL,
    began   TEXT NOT NULL,        -- RFC 3339, UTC
    ended   TEXT                  -- NULL while it runs, and of one that was killed
) STRICT;";

/// The column of a later Rosey: the person of a mark.
pub const PERSON: &str = "ALTER TABLE mark ADD COLUMN person TEXT";

/// Crashes, and changes, kept in all: 50 for each of 200 plugins.
const KEPT: usize = 10_000;

/// Runs of the host that are kept. The system's journal has older ones.
const LIVES: u32 = 100;

/// Entries that may wait to be written. A database that lags further behind has other troubles.
const MOST_UNSAVED: usize = 2000;

/// Entries that are not written yet.
#[derive(Debug, Clone, Default)]
pub struct Unsaved {
    /// Marks that are not in the database.
    pub marks: Vec<Mark>,
    /// Crashes, each with its plugin.
    pub crashes: Vec<(String, Crash)>,
    /// Changes, each with its plugin.
    pub changes: Vec<(String, Change)>,
    /// Points of the history of a week.
    pub history: Vec<rollup::Entry>,
    /// The counts of plugins that have changed.
    pub counts: BTreeMap<String, Counts>,
}

/// The entries of earlier hosts, the oldest first.
#[derive(Debug, Default)]
pub struct Past {
    /// Marks, the oldest first.
    pub marks: Vec<Mark>,
    /// Crashes, each with its plugin.
    pub crashes: Vec<(String, Crash)>,
    /// Changes, each with its plugin.
    pub changes: Vec<(String, Change)>,
    /// The start of the host before this one, if it did not record its end.
    pub cut_short: Option<String>,
    /// The number of this run of the host.
    pub life: i64,
    /// The counts of plugins.
    pub counts: HashMap<String, Counts>,
}

impl Unsaved {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.has_no_events() && self.history.is_empty() && self.counts.is_empty()
    }

    fn has_no_events(&self) -> bool {
        self.marks.is_empty() && self.crashes.is_empty() && self.changes.is_empty()
    }

    /// Puts entries back that could not be written, before newer ones. Entries beyond the limit stay only in memory.
    pub fn put_back(&mut self, mut before: Self) {
        before.marks.append(&mut self.marks);
        before.crashes.append(&mut self.crashes);
        before.changes.append(&mut self.changes);
        before.history.append(&mut self.history);
        before.counts.append(&mut self.counts);
        before.marks.truncate(MOST_UNSAVED);
        before.crashes.truncate(MOST_UNSAVED);
        before.changes.truncate(MOST_UNSAVED);
        before.history.truncate(MOST_UNSAVED);
        *self = before;
    }
}

/// Writes the entries.
///
/// # Errors
/// Those of the database, with the entries that are not written.
pub async fn save(database: &Database, unsaved: Unsaved) -> Result<(), (Unsaved, StoreError)> {
    let unsaved = Arc::new(unsaved);
    let copy = Arc::clone(&unsaved);
    let written = database.run(move |connection| write(connection, &copy)).await;
    written.map_err(|error| (Arc::unwrap_or_clone(unsaved), error))
}

/// Writes the entries, and the end of this run of the host.
///
/// # Errors
/// Those of the database.
pub async fn finish(database: &Database, life: i64, unsaved: Unsaved, ended: String) -> Result<(), StoreError> {
    database
        .run(move |connection| {
            write(connection, &unsaved)?;
            connection.execute("UPDATE life SET ended = ?1 WHERE id = ?2", params![ended, life])?;
            Ok(())
        })
        .await
}

fn as_row_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn json(lines: &[String]) -> String {
    // Texts can always be JSON.
    serde_json::to_string(lines).unwrap_or_default()
}

fn write(connection: &mut Connection, unsaved: &Unsaved) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for mark in &unsaved.marks {
        transaction.execute(
            "INSERT OR REPLACE INTO mark (number, at, seconds, plugin, kind, severity, text, person)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                mark.number.cast_signed(),
                mark.at,
                mark.at_seconds.cast_signed(),
                mark.plugin,
                mark.kind.word(),
                mark.severity.word(),
                mark.text,
                mark.person
            ],
        )?;
    }
    for (plugin, crash) in &unsaved.crashes {
        transaction.execute(
            "INSERT INTO crash (plugin, at, generation, version, artifact, uptime, kind, cause, executing, by, stderr)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                plugin,
                crash.at,
                crash.generation.cast_signed(),
                crash.version,
                crash.artifact,
                crash.uptime,
                crash.kind,
                crash.cause,
                json(&crash.executing),
                json(&crash.by),
                json(&crash.stderr)
            ],
        )?;
    }
    for (plugin, change) in &unsaved.changes {
        transaction.execute(
            "INSERT INTO change (plugin, at, kind, by, from_version, to_version, took, ok, result, from_artifact,
                                 to_artifact)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                plugin,
                change.at,
                change.kind,
                change.by,
                change.from,
                change.to,
                change.took,
                change.ok,
                change.result,
                change.from_artifact,
                change.to_artifact
            ],
        )?;
    }
    rollup::write(&transaction, &unsaved.history)?;
    lasting::write(&transaction, &unsaved.counts)?;
    if !unsaved.has_no_events() {
        bound(&transaction)?;
    }
    transaction.commit()
}

/// Removes entries beyond the limits, as in memory: of one kind for one plugin, and in all.
fn bound(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM mark WHERE number IN (SELECT number FROM (SELECT number, row_number() OVER
         (PARTITION BY plugin, kind ORDER BY number DESC) AS place FROM mark) WHERE place > ?1)",
        [as_row_count(marks::KEPT_OF_A_KIND)],
    )?;
    transaction.execute(
        "DELETE FROM mark WHERE number NOT IN (SELECT number FROM mark ORDER BY number DESC LIMIT ?1)",
        [as_row_count(marks::KEPT)],
    )?;
    for table in ["crash", "change"] {
        transaction.execute(
            &format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER
                 (PARTITION BY plugin ORDER BY id DESC) AS place FROM {table}) WHERE place > ?1)"
            ),
            [as_row_count(super::MOST_CHANGES)],
        )?;
        transaction.execute(
            &format!("DELETE FROM {table} WHERE id NOT IN (SELECT id FROM {table} ORDER BY id DESC LIMIT ?1)"),
            [as_row_count(KEPT)],
        )?;
    }
    Ok(())
}

/// Reads the entries of earlier hosts, and records the beginning of this one.
///
/// # Errors
/// Those of the database.
pub async fn begin(database: &Database, began: String) -> Result<Past, StoreError> {
    database
        .run(move |connection| {
            let transaction = connection.transaction()?;
            let last = "SELECT began, ended FROM life ORDER BY id DESC LIMIT 1";
            let last: Option<(String, Option<String>)> =
                transaction.query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            transaction.execute(
                "INSERT INTO life (version, pid, began) VALUES (?1, ?2, ?3)",
                params![env!("CARGO_PKG_VERSION"), std::process::id(), began],
            )?;
            let life = transaction.last_insert_rowid();
            let old = "DELETE FROM life WHERE id NOT IN (SELECT id FROM life ORDER BY id DESC LIMIT ?1)";
            transaction.execute(old, [LIVES])?;
            rollup::clear(&transaction)?;
            transaction.commit()?;
            Ok(Past {
                marks: read_marks(connection)?,
                crashes: read_crashes(connection)?,
                changes: read_changes(connection)?,
                cut_short: last.filter(|(_, ended)| ended.is_none()).map(|(began, _)| began),
                life,
                counts: lasting::read(connection)?,
            })
        })
        .await
}

/// A later build wrote a kind that this one does not know; it is left out.
fn read_marks(connection: &Connection) -> rusqlite::Result<Vec<Mark>> {
    let mut statement = connection
        .prepare("SELECT number, at, seconds, plugin, kind, severity, text, person FROM mark ORDER BY number")?;
    let rows = statement.query_map([], |row| {
        let (kind, severity): (String, String) = (row.get(4)?, row.get(5)?);
        let kind = MarkKind::ALL.into_iter().find(|known| known.word() == kind);
        let severity = Severity::OF_MARKS.into_iter().find(|known| known.word() == severity);
        Ok(kind.zip(severity).map(|(kind, severity)| Mark {
            number: row.get::<_, i64>(0).unwrap_or_default().cast_unsigned(),
            at: row.get(1).unwrap_or_default(),
            at_seconds: row.get::<_, i64>(2).unwrap_or_default().cast_unsigned(),
            plugin: row.get(3).unwrap_or_default(),
            kind,
            severity,
            text: row.get(6).unwrap_or_default(),
            person: row.get(7).unwrap_or_default(),
        }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

fn read_crashes(connection: &Connection) -> rusqlite::Result<Vec<(String, Crash)>> {
    let mut statement = connection.prepare(
        "SELECT plugin, at, generation, version, artifact, uptime, kind, cause, executing, by, stderr FROM crash
         ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        let kind: String = row.get(6)?;
        let list = |at| -> rusqlite::Result<Vec<String>> {
            Ok(serde_json::from_str(&row.get::<_, String>(at)?).unwrap_or_default())
        };
        let crash = Crash {
            at: row.get(1)?,
            generation: row.get::<_, i64>(2)?.cast_unsigned(),
            version: row.get(3)?,
            artifact: row.get(4)?,
            uptime: row.get(5)?,
            kind: Cause::NAMES.into_iter().find(|known| *known == kind).unwrap_or("exit"),
            cause: row.get(7)?,
            executing: list(8)?,
            by: list(9)?,
            stderr: list(10)?,
        };
        Ok((row.get(0)?, crash))
    })?;
    rows.collect()
}

fn read_changes(connection: &Connection) -> rusqlite::Result<Vec<(String, Change)>> {
    let mut statement = connection.prepare(
        "SELECT plugin, at, kind, by, from_version, to_version, took, ok, result, from_artifact, to_artifact FROM change
         ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| {
        let change = Change {
            at: row.get(1)?,
            kind: row.get(2)?,
            by: row.get(3)?,
            from: row.get(4)?,
            to: row.get(5)?,
            took: row.get(6)?,
            ok: row.get(7)?,
            result: row.get(8)?,
            from_artifact: row.get(9)?,
            to_artifact: row.get(10)?,
        };
        Ok((row.get(0)?, change))
    })?;
    rows.collect()
}
