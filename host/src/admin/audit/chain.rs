//! The chain in `rosey.db`: how a record is added, and how it shows that one was changed or is missing.
//!
//! Each record carries the hash of the one before, and a row beside the table how many there are and the last hash. An
//! edit breaks a hash, a deletion leaves a gap, and a truncation does not fit the head. Whoever can write the file can
//! still set the head back, or make a whole new chain. A running bot knows its head and notices at the next record; a
//! head noted elsewhere, the log, or the `audit_file` on another machine show it later.

use super::record::AuditRecord;
use rusqlite::{Connection, OptionalExtension, Params, Statement};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The tables.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS audit (
    id           INTEGER PRIMARY KEY, -- 1, 2, 3, … without a gap
    at           TEXT NOT NULL,       -- RFC 3339, UTC
    stage        TEXT NOT NULL,       -- denied, refused, dropped, before, after, alarm
    about        INTEGER,             -- of an after: the id of its before
    user         TEXT NOT NULL,
    verified     TEXT NOT NULL,       -- console, system, account, token, nick; host for Rosey itself
    via          TEXT NOT NULL,       -- chat, shell, dashboard; host for Rosey itself
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

/// The column that came after those: what chat showed, where the account has another name. The hash of a record without it
/// is as if there were no such column.
pub const NICK: &str = "ALTER TABLE audit ADD COLUMN nick TEXT";

/// More records than there can be: a greater number was not given by Rosey, and no other follows it.
const MOST_RECORDS: i64 = 1 << 40;

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
    /// What is not wrong, and worth knowing.
    pub notes: Vec<String>,
    /// The hashes of the records that can be read, by number.
    hashes: BTreeMap<i64, String>,
}

/// The end of a chain: how many records there are, and the hash of the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// How many records it has.
    pub count: i64,
    /// The last one's hash; empty when there is none.
    pub hash: String,
}

impl fmt::Display for Head {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hash.is_empty() { out.write_str("nothing") } else { write!(out, "{}@{}", self.hash, self.count) }
    }
}

impl Head {
    /// Whether Rosey may have written it.
    pub(super) fn is_plausible(&self) -> bool {
        (0..MOST_RECORDS).contains(&self.count)
    }
}

impl Verified {
    pub(super) fn problem(&mut self, text: String) {
        if self.problems.len() < DESCRIBED {
            self.problems.push(text);
        }
    }

    /// Looks for a head that was noted elsewhere: `HASH@COUNT`, or a hash alone.
    pub fn expect(&mut self, hash: &str, count: Option<i64>) {
        let last = self.hashes.range(..MOST_RECORDS).next_back().map_or(0, |(number, _)| *number);
        match count {
            Some(count) if count > last => {
                self.problem(format!("record {count}, whose hash was noted, is not there: the end was cut off"));
            }
            Some(count) if !self.hashes.get(&count).is_some_and(|found| found.starts_with(hash)) => {
                self.problem(format!("record {count} is not the one whose hash was noted: the chain was made anew"));
            }
            None if !self.hashes.values().any(|found| found.starts_with(hash)) => {
                self.problem("the record whose hash was noted is not there".to_owned());
            }
            _ => self.notes.push("the noted head is there".to_owned()),
        }
    }
}

/// Adds a record, durably, behind what is known to be the end. Returns it with its number and hash; and before it a
/// record of its own when the end is not what it was left as.
pub(super) fn append(
    connection: &mut Connection,
    mut record: AuditRecord,
    known: &mut Head,
) -> rusqlite::Result<(Option<AuditRecord>, AuditRecord)> {
    let transaction = connection.transaction()?;
    let mut end = known.clone();
    let alarm = check(&transaction, &mut end)?;
    add(&transaction, &mut record, &mut end)?;
    transaction.commit()?;
    *known = end;
    Ok((alarm, record))
}

/// Holds the end of the table against what is known to be the end; if they differ, that is recorded, behind the known
/// end, so that what is missing stays missing.
pub(super) fn check(connection: &Connection, end: &mut Head) -> rusqlite::Result<Option<AuditRecord>> {
    let newest = newest(connection)?;
    if newest == *end && head(connection)? == *end {
        return Ok(None);
    }
    let text = format!(
        "the audit was changed by somebody else: it ended with {end} and ends with {newest}; see rosey audit verify"
    );
    end.count = if end.is_plausible() { end.count.max(newest.count) } else { newest.count };
    alarm(connection, end, &text).map(Some)
}

/// Records that the audit was changed.
pub(super) fn alarm(connection: &Connection, end: &mut Head, text: &str) -> rusqlite::Result<AuditRecord> {
    let mut record = AuditRecord::alarm(text);
    add(connection, &mut record, end)?;
    Ok(record)
}

fn add(connection: &Connection, record: &mut AuditRecord, end: &mut Head) -> rusqlite::Result<()> {
    record.seal(end.count + 1, std::mem::take(&mut end.hash));
    record.insert(connection)?;
    *end = Head { count: record.id, hash: record.hash.clone() };
    connection.execute(
        "INSERT INTO audit_head (only, count, hash) VALUES (1, ?1, ?2)
         ON CONFLICT (only) DO UPDATE SET count = ?1, hash = ?2",
        (end.count, &end.hash),
    )?;
    Ok(())
}

/// The end as it was noted beside the table.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    one_head(connection, "SELECT count, hash FROM audit_head")
}

/// The end as it is in the table.
fn newest(connection: &Connection) -> rusqlite::Result<Head> {
    let sql = format!("SELECT id, hash FROM audit WHERE id > 0 AND id < {MOST_RECORDS} ORDER BY id DESC LIMIT 1");
    one_head(connection, &sql)
}

fn one_head(connection: &Connection, sql: &str) -> rusqlite::Result<Head> {
    let head = connection.prepare_cached(sql)?.query_row([], |row| Ok(Head { count: row.get(0)?, hash: row.get(1)? }));
    head.optional().map(Option::unwrap_or_default)
}

/// The records of a query. One that was made unreadable is left out: verify names it, and the rest goes on.
fn records(statement: &mut Statement<'_>, parameters: impl Params) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut rows = statement.query(parameters)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.extend(AuditRecord::from_row(row));
    }
    Ok(records)
}

/// The record with this number; nothing when it is not there or cannot be read.
pub(super) fn one(connection: &Connection, id: i64) -> rusqlite::Result<Option<AuditRecord>> {
    let mut statement = connection.prepare_cached("SELECT * FROM audit WHERE id = ?1")?;
    Ok(records(&mut statement, [id])?.pop())
}

/// Records with a number over `after`, the oldest first.
pub(super) fn since(connection: &Connection, after: i64) -> rusqlite::Result<Vec<AuditRecord>> {
    let sql = format!("SELECT * FROM audit WHERE id > ?1 AND id < {MOST_RECORDS} ORDER BY id");
    records(&mut *connection.prepare_cached(&sql)?, [after])
}

/// Beginnings without an end.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut statement = connection.prepare(
        "SELECT * FROM audit WHERE stage = 'before' AND id NOT IN
         (SELECT about FROM audit WHERE about IS NOT NULL) ORDER BY id",
    )?;
    records(&mut statement, [])
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
    let mut statement = connection.prepare(
        "SELECT * FROM audit WHERE (?1 IS NULL OR plugin = ?1) AND (?2 IS NULL OR at >= ?2)
         ORDER BY id DESC LIMIT ?3",
    )?;
    let mut records = records(&mut statement, (plugin, from, limit))?;
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
    let mut statement = transaction.prepare("SELECT * FROM audit ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut last: i64 = 0;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if !(1..MOST_RECORDS).contains(&id) {
            found.problem(format!("record {id} was moved there: Rosey numbers records from 1, without a gap"));
        } else if id != last + 1 {
            found.problem(format!("between record {last} and record {id} something is missing"));
        }
        last = if id < MOST_RECORDS { id.max(0) } else { last };
        match AuditRecord::from_row(row) {
            Ok(record) => {
                if record.digest() != record.hash {
                    found.problem(format!("record {id} was changed: its content does not fit its hash"));
                }
                if record.previous != found.head {
                    found.problem(format!("record {id} does not follow the record before it"));
                }
                if record.stage == super::Stage::Alarm {
                    let result = record.result.as_deref().unwrap_or_default();
                    found.problem(format!("record {id}, {}: {result}", record.at));
                }
                match record.about {
                    Some(about) => open.remove(&about),
                    None => record.stage == super::Stage::Before && open.insert(id),
                };
                found.head.clone_from(&record.hash);
                found.hashes.insert(id, record.hash);
            }
            Err(error) => {
                found.problem(format!("record {id} cannot be read: {error}"));
            }
        }
        found.count += 1;
    }
    let written = head(&transaction)?;
    if (written.count, &written.hash) != (found.count, &found.head) {
        let text = format!(
            "there are {} records, and {} were written; the last hash is not the one noted",
            found.count, written.count
        );
        found.problem(text);
    }
    found.open = open.into_iter().collect();
    Ok(found)
}
