//! The chain in `rosey.db`: how a record is added, and how it shows that one was changed or is missing.
//!
//! Each record carries the hash of the one before, and a row beside the table how many there are and the last hash. An
//! edit breaks a hash, a deletion leaves a gap, and a truncation does not fit the head. Whoever can write the file can
//! still make a whole new chain; a head hash kept elsewhere, or the `audit_file` on another machine, shows that too.

use super::record::{AuditRecord, COLUMNS};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

/// The tables.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS audit (
    id           INTEGER PRIMARY KEY, -- 1, 2, 3, … without a gap
    at           TEXT NOT NULL,       -- RFC 3339, UTC
    stage        TEXT NOT NULL,       -- denied, refused, before, after
    about        INTEGER,             -- of an after: the id of its before
    user         TEXT NOT NULL,
    verified     TEXT NOT NULL,       -- console, system, account, nick
    via          TEXT NOT NULL,       -- chat, shell, dashboard
    place        TEXT NOT NULL,
    command      TEXT NOT NULL,
    plugin       TEXT,
    from_version TEXT,
    to_version   TEXT,
    ok           INTEGER,
    result       TEXT,
    took_us      INTEGER,
    previous     TEXT NOT NULL,       -- hash of the record before
    hash         TEXT NOT NULL        -- SHA-256 of the JSON of all of the above
) STRICT;
CREATE TABLE IF NOT EXISTS audit_head (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    count INTEGER NOT NULL,
    hash  TEXT NOT NULL
) STRICT;";

/// Problems that are described; who wants them all has a broken database.
const DESCRIBED: usize = 20;

/// What a look at the whole chain found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records that are there.
    pub count: i64,
    /// The hash of the last one; empty when there is none.
    pub head: String,
    /// Actions whose end was never recorded: the host was killed, or is about to end them.
    pub open: Vec<i64>,
    /// What is wrong. Empty when nothing is.
    pub problems: Vec<String>,
    /// All hashes, by number less one.
    pub(super) hashes: Vec<String>,
}

impl Verified {
    pub(super) fn problem(&mut self, text: String) {
        if self.problems.len() < DESCRIBED {
            self.problems.push(text);
        }
    }
}

/// Adds a record, durably. Returns it with its number and hash.
pub(super) fn append(connection: &mut Connection, mut record: AuditRecord) -> rusqlite::Result<AuditRecord> {
    let transaction = connection.transaction()?;
    let (count, hash) = head(&transaction)?.unwrap_or_default();
    record.seal(count + 1, hash);
    record.insert(&transaction)?;
    transaction.execute(
        "INSERT INTO audit_head (only, count, hash) VALUES (1, ?1, ?2)
         ON CONFLICT (only) DO UPDATE SET count = ?1, hash = ?2",
        (record.id, &record.hash),
    )?;
    transaction.commit()?;
    Ok(record)
}

fn head(connection: &Connection) -> rusqlite::Result<Option<(i64, String)>> {
    connection.query_row("SELECT count, hash FROM audit_head", [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// Records with a number over `after`, the oldest first.
pub(super) fn since(connection: &Connection, after: i64) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM audit WHERE id > ?1 ORDER BY id"))?;
    statement.query_map([after], AuditRecord::from_row)?.collect()
}

/// Beginnings without an end.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM audit WHERE stage = 'before' AND id NOT IN
         (SELECT about FROM audit WHERE about IS NOT NULL) ORDER BY id"
    ))?;
    statement.query_map([], AuditRecord::from_row)?.collect()
}

/// The records that fit, the oldest first, at most the newest `limit`.
///
/// # Errors
/// As SQLite says.
pub fn list(
    connection: &Connection,
    plugin: Option<&str>,
    from: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM audit WHERE (?1 IS NULL OR plugin = ?1) AND (?2 IS NULL OR at >= ?2)
         ORDER BY id DESC LIMIT ?3"
    ))?;
    let rows = statement.query_map((plugin, from, limit), AuditRecord::from_row)?;
    let mut records = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    records.reverse();
    Ok(records)
}

/// Looks at every record, as of one moment.
///
/// # Errors
/// As SQLite says; a record that cannot even be read is a problem and no error.
pub fn verify(connection: &mut Connection) -> rusqlite::Result<Verified> {
    let transaction = connection.transaction()?;
    let mut found = Verified::default();
    let mut open = BTreeSet::new();
    let mut statement = transaction.prepare(&format!("SELECT {COLUMNS} FROM audit ORDER BY id"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let expected = i64::try_from(found.hashes.len()).unwrap_or(i64::MAX) + 1;
        if id != expected {
            found.problem(format!("between record {} and record {id} something is missing", expected - 1));
            found.hashes.resize(usize::try_from(id - 1).unwrap_or(0).min(1 << 24), String::new());
        }
        match AuditRecord::from_row(row) {
            Ok(record) => {
                if record.digest() != record.hash {
                    found.problem(format!("record {id} was changed: its content does not fit its hash"));
                }
                if record.previous != found.head {
                    found.problem(format!("record {id} does not follow the record before it"));
                }
                match record.about {
                    Some(about) => open.remove(&about),
                    None => record.stage == super::Stage::Before && open.insert(id),
                };
                found.head.clone_from(&record.hash);
                found.hashes.push(record.hash);
            }
            Err(error) => {
                found.problem(format!("record {id} cannot be read: {error}"));
                found.hashes.push(String::new());
            }
        }
        found.count += 1;
    }
    let (count, hash) = head(&transaction)?.unwrap_or_default();
    if (count, &hash) != (found.count, &found.head) {
        let text =
            format!("there are {} records, and {count} were written; the last hash is not the one noted", found.count);
        found.problem(text);
    }
    found.open = open.into_iter().collect();
    Ok(found)
}
