//! The chain in `rosey.db`: how a record is appended, and how `verify` finds records that were changed or are missing.
//!
//! Each record has the hash of the record before it. A row beside the table, the head, has the number of records and
//! the last hash. An edit breaks a hash, a deletion leaves a gap, and a truncation does not fit the head. A program
//! that can write the file can still set the head back, or make a new chain. A running bot knows its head and notices
//! that at the next record. Later only a head that was noted elsewhere, the log, or a copy of the `audit_file` on
//! another machine shows it.

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

/// A later column: the nick, where the account has another name. The hash of a record without a nick is as before there was
/// this column.
pub const NICK: &str = "ALTER TABLE audit ADD COLUMN nick TEXT";

/// More records than Rosey can ever write. A record with a higher number is not Rosey's, and no record follows it.
const MOST_RECORDS: i64 = 1 << 40;

/// Problems that `verify` describes. With more than these, the whole database is broken.
const DESCRIBED: usize = 20;

/// The result of verifying the whole chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Number of records in the table.
    pub count: i64,
    /// The hash of the last record; empty without records.
    pub head: String,
    /// Actions without a recorded end: the host was killed, or they are still under way.
    pub open: Vec<i64>,
    /// What is wrong; empty when the chain is intact.
    pub problems: Vec<String>,
    /// Remarks that are not problems.
    pub notes: Vec<String>,
    /// The hashes of the readable records, by number.
    hashes: BTreeMap<i64, String>,
}

/// The end of a chain: the number of records, and the hash of the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Number of records.
    pub count: i64,
    /// The hash of the last record; empty without records.
    pub hash: String,
}

impl fmt::Display for Head {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hash.is_empty() { out.write_str("nothing") } else { write!(out, "{}@{}", self.hash, self.count) }
    }
}

impl Head {
    /// Whether Rosey can have written this head.
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

    /// Looks for a head that was noted elsewhere: `HASH@COUNT`, or only the hash.
    pub fn expect(&mut self, hash: &str, count: Option<i64>) {
        let last = self.hashes.range(..MOST_RECORDS).next_back().map_or(0, |(number, _)| *number);
        match count {
            Some(count) if count > last => {
                self.problem(format!("record {count}, whose hash was noted, is missing: the end was cut off"));
            }
            Some(count) if !self.hashes.get(&count).is_some_and(|found| found.starts_with(hash)) => {
                self.problem(format!(
                    "record {count} is not the one whose hash was noted: another program made a new chain"
                ));
            }
            None if !self.hashes.values().any(|found| found.starts_with(hash)) => {
                self.problem("the record whose hash was noted is missing".to_owned());
            }
            _ => self.notes.push("the noted head is there".to_owned()),
        }
    }
}

/// Appends a record durably behind the known end, and returns it with its number and hash. If the table does not end
/// where Rosey left it, it appends an alarm first.
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

/// Compares the end of the table with the known end. If they differ, it records an alarm behind the known end, so that
/// missing records stay visible as missing.
pub(super) fn check(connection: &Connection, end: &mut Head) -> rusqlite::Result<Option<AuditRecord>> {
    let newest = newest(connection)?;
    if newest == *end && head(connection)? == *end {
        return Ok(None);
    }
    let text = format!(
        "another program changed the audit: it ended with {end} and ends with {newest}; see rosey audit verify"
    );
    end.count = if end.is_plausible() { end.count.max(newest.count) } else { newest.count };
    alarm(connection, end, &text).map(Some)
}

/// Records that another program changed the audit.
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

/// Keeps tables that another program changed so that Rosey cannot write to them, under another name, and begins a new
/// chain. Its first record says so.
pub(super) fn begin_anew(connection: &mut Connection, why: &str) -> rusqlite::Result<AuditRecord> {
    let transaction = connection.transaction()?;
    let found = "SELECT type, name FROM sqlite_schema WHERE tbl_name IN ('audit', 'audit_head') AND sql IS NOT NULL
                 ORDER BY type = 'table'";
    let found = transaction
        .prepare(found)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, String)>, _>>()?;
    let is_free = |number: &u32| !transaction.table_exists(None, format!("audit_{number}").as_str()).unwrap_or(true);
    let number = (1..).find(is_free).unwrap_or_default();
    for (kind, name) in found {
        match kind.as_str() {
            "table" => transaction.execute_batch(&format!("ALTER TABLE {name} RENAME TO {name}_{number}"))?,
            kind => transaction.execute_batch(&format!("DROP {kind} \"{}\"", name.replace('"', "\"\"")))?,
        }
    }
    transaction.execute_batch(SCHEMA)?;
    transaction.execute_batch(NICK)?;
    let text = format!(
        "another program changed the audit so that it cannot go on ({why}); what was there is in the table \
         audit_{number}, and a new chain begins here"
    );
    let record = alarm(&transaction, &mut Head::default(), &text)?;
    transaction.commit()?;
    Ok(record)
}

/// The end according to the row beside the table.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    one_head(connection, "SELECT count, hash FROM audit_head")
}

/// The end according to the table.
fn newest(connection: &Connection) -> rusqlite::Result<Head> {
    let sql = format!("SELECT id, hash FROM audit WHERE id > 0 AND id < {MOST_RECORDS} ORDER BY id DESC LIMIT 1");
    one_head(connection, &sql)
}

fn one_head(connection: &Connection, sql: &str) -> rusqlite::Result<Head> {
    let head = connection.prepare_cached(sql)?.query_row([], |row| Ok(Head { count: row.get(0)?, hash: row.get(1)? }));
    head.optional().map(Option::unwrap_or_default)
}

/// The records of a query. It leaves out unreadable records, which `verify` names.
fn records(statement: &mut Statement<'_>, parameters: impl Params) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut rows = statement.query(parameters)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.extend(AuditRecord::from_row(row));
    }
    Ok(records)
}

/// The record with this number; `None` when it is missing or unreadable.
pub(super) fn one(connection: &Connection, id: i64) -> rusqlite::Result<Option<AuditRecord>> {
    let mut statement = connection.prepare_cached("SELECT * FROM audit WHERE id = ?1")?;
    Ok(records(&mut statement, [id])?.pop())
}

/// Records with a number above `after`, the oldest first.
pub(super) fn since(connection: &Connection, after: i64) -> rusqlite::Result<Vec<AuditRecord>> {
    let sql = format!("SELECT * FROM audit WHERE id > ?1 AND id < {MOST_RECORDS} ORDER BY id");
    records(&mut *connection.prepare_cached(&sql)?, [after])
}

/// Records of a beginning without a record of an end.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut statement = connection.prepare(
        "SELECT * FROM audit WHERE stage = 'before' AND id NOT IN
         (SELECT about FROM audit WHERE about IS NOT NULL) ORDER BY id",
    )?;
    records(&mut statement, [])
}

/// The newest `limit` records that match the filter, the oldest first.
///
/// # Errors
/// Those of SQLite.
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

/// Verifies every record, in one snapshot of the database.
///
/// # Errors
/// Those of SQLite. An unreadable record is a problem and no error.
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
            found.problem(format!("records between {last} and {id} are missing"));
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
