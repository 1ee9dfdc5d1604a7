//! The store in `rosey.db`.

use super::{
    Answer, Applied, Batch, Change, CommitError, Kept, MAX_CHANGES, MAX_KEY, MAX_PAGE, MAX_PAGE_BYTES, MAX_VALUE,
    Question, Quota, Read, Record, Results, To, Usage, WalkedEntry, migrate, pending,
    table::{Table, get},
    timers::{self, Pending},
    view::{KeyState, View},
};
use crate::time::unix_millis;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::borrow::Cow;

/// The tables.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS kept (
    plugin  TEXT NOT NULL,
    scope   TEXT NOT NULL,      -- '' is global; else which channel or person
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,      -- JSON
    version INTEGER NOT NULL,   -- the commit that wrote it
    expires INTEGER NOT NULL,   -- milliseconds since 1970, 0 for never
    PRIMARY KEY (plugin, scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kept_expires ON kept (expires) WHERE expires > 0;
CREATE TABLE IF NOT EXISTS kept_usage (
    plugin  TEXT PRIMARY KEY,
    commits INTEGER NOT NULL,   -- how many records were applied; the last one's number is its version
    keys    INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_version (
    plugin        TEXT PRIMARY KEY,
    store_version INTEGER NOT NULL   -- of what it keeps, as its builds count it
) STRICT, WITHOUT ROWID;";

/// Runs a batch in one transaction.
pub fn run(connection: &mut Connection, batch: &Batch) -> rusqlite::Result<Results> {
    let now = batch.clock.now().try_into().unwrap_or(i64::MAX);
    let (mut records, mut after, mut timer_state) = (Vec::with_capacity(batch.records.len()), None, None);
    let (mut accepts, mut has) = (Vec::with_capacity(batch.accepts.len()), None);
    if !batch.records.is_empty() || !batch.accepts.is_empty() {
        let transaction = connection.transaction()?;
        for event in &batch.accepts {
            accepts.push(pending::accept(&transaction, event)?);
        }
        let before = usage(&transaction, &batch.plugin)?;
        let mut counted = before;
        forget_expired(&transaction, &batch.plugin, now, &mut counted)?;
        batch.values.must_be_after(before.commits);
        let mut view = View::of(&batch.values);
        let mut table = Table::new(&transaction, &batch.plugin);
        has = version(&transaction, &batch.plugin)?;
        let was = has;
        for record in &batch.records {
            let result = match has.or(batch.store_version) {
                Some(has) if has != record.store_version && record.has_store() => {
                    Err(CommitError::OtherVersion { has, wrote: record.store_version })
                }
                _ => apply(&mut table, batch, record, now, &mut view, &mut counted, &mut timer_state)?,
            };
            if result.is_ok() && !record.changes.is_empty() && counted.keys > 0 {
                has = Some(record.store_version);
            }
            records.push(result);
        }
        if let Some(version) = has.filter(|_| has != was) {
            set_version(&transaction, &batch.plugin, version)?;
        }
        if let Some(state) = &mut timer_state {
            state.count = timers::count(&transaction, &batch.plugin)?;
        }
        if counted != before {
            count(&transaction, &batch.plugin, counted)?;
        }
        drop(table);
        transaction.commit().inspect_err(|_| batch.values.forget())?;
        view.keep(counted.commits);
        after = Some(counted);
    }
    Ok(Results { accepts: Ok(accepts), records, usage: after, timers: timer_state, version: has })
}

/// The time, in milliseconds since 1970.
pub(super) fn now() -> i64 {
    i64::try_from(unix_millis()).unwrap_or(i64::MAX)
}

/// The usage of the store by a plugin.
///
/// # Errors
///
/// The database cannot be read.
pub fn usage(connection: &Connection, plugin: &str) -> rusqlite::Result<Usage> {
    let mut statement = connection.prepare_cached("SELECT keys, bytes, commits FROM kept_usage WHERE plugin = ?1")?;
    let row = |row: &rusqlite::Row<'_>| Ok(Usage { keys: row.get(0)?, bytes: row.get(1)?, commits: row.get(2)? });
    Ok(statement.query_row([plugin], row).optional()?.unwrap_or_default())
}

/// Stores the usage of a plugin.
pub(super) fn count(transaction: &Transaction<'_>, plugin: &str, usage: Usage) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO kept_usage (plugin, commits, keys, bytes) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (plugin) DO UPDATE SET commits = ?2, keys = ?3, bytes = ?4",
        )?
        .execute(params![plugin, usage.commits, usage.keys, usage.bytes])?;
    Ok(())
}

/// The version of a plugin's data, which its builds declare; `None` without data.
pub(super) fn version(connection: &Connection, plugin: &str) -> rusqlite::Result<Option<u32>> {
    let mut statement = connection.prepare_cached("SELECT store_version FROM kept_version WHERE plugin = ?1")?;
    let known = statement.query_row([plugin], |row| row.get(0)).optional()?;
    Ok(match known {
        None if usage(connection, plugin)?.keys > 0 => Some(0),
        known => known,
    })
}

/// A plugin keeps nothing any more: the next build begins a store of its own version.
pub(super) fn forget_version(transaction: &Transaction<'_>, plugin: &str) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM kept_version WHERE plugin = ?1", [plugin])?;
    Ok(())
}

/// Stores the version of a plugin's data.
pub(super) fn set_version(transaction: &Transaction<'_>, plugin: &str, version: u32) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO kept_version (plugin, store_version) VALUES (?1, ?2)
             ON CONFLICT (plugin) DO UPDATE SET store_version = ?2",
        )?
        .execute(params![plugin, version])?;
    Ok(())
}

/// The usage of each plugin, by name.
///
/// # Errors
///
/// The database cannot be read.
pub fn all_usage(connection: &Connection) -> rusqlite::Result<Vec<(String, Usage)>> {
    let mut statement = connection.prepare("SELECT plugin, keys, bytes, commits FROM kept_usage ORDER BY plugin")?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok((row.get(0)?, Usage { keys: row.get(1)?, bytes: row.get(2)?, commits: row.get(3)? }))
    };
    statement.query_map([], row)?.collect()
}

/// Keys of a plugin in all scopes with this prefix, at most `limit`.
///
/// # Errors
///
/// The database cannot be read.
pub fn kept(connection: &Connection, plugin: &str, prefix: &str, limit: u32) -> rusqlite::Result<Vec<Kept>> {
    let mut statement = connection.prepare(
        "SELECT scope, key, value FROM kept
         WHERE plugin = ?1 AND key >= ?2 AND key < ?3 AND (expires = 0 OR expires > ?4) ORDER BY scope, key LIMIT ?5",
    )?;
    let row = |row: &rusqlite::Row<'_>| Ok(Kept { scope: row.get(0)?, key: row.get(1)?, value: row.get(2)? });
    statement.query_map(params![plugin, prefix, end_of(prefix), now(), limit], row)?.collect()
}

/// Number of keys of a plugin with this prefix, in all scopes.
///
/// # Errors
///
/// The database cannot be read.
pub fn count_keys(connection: &Connection, plugin: &str, prefix: &str) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM kept WHERE plugin = ?1 AND key >= ?2 AND key < ?3";
    connection.query_row(sql, params![plugin, prefix, end_of(prefix)], |row| row.get(0))
}

/// The value of one key of a plugin.
///
/// # Errors
///
/// The database cannot be read.
pub fn kept_value(connection: &Connection, plugin: &str, scope: &str, key: &str) -> rusqlite::Result<Option<String>> {
    let found = get(connection, plugin, scope, key, now())?;
    Ok((found.version > 0).then(|| found.text.into_owned()))
}

/// Removes expired values. A read skips them anyway; this frees their room.
fn forget_expired(transaction: &Transaction<'_>, plugin: &str, now: i64, counted: &mut Usage) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "DELETE FROM kept WHERE expires > 0 AND expires <= ?2 AND plugin = ?1
         RETURNING length(CAST(key AS BLOB)) + length(CAST(value AS BLOB))",
    )?;
    let mut rows = statement.query(params![plugin, now])?;
    while let Some(row) = rows.next()? {
        counted.keys -= 1;
        counted.bytes -= row.get::<_, u64>(0)?;
    }
    Ok(())
}

/// Applies one record, or nothing of it. The inner error is this record's own; the outer one is the database's.
fn apply<'a>(
    table: &mut Table<'_>,
    batch: &'a Batch,
    record: &'a Record,
    now: i64,
    view: &mut View<'a>,
    counted: &mut Usage,
    timer_state: &mut Option<Pending>,
) -> rusqlite::Result<Result<Applied, CommitError>> {
    let transaction = table.transaction;
    for read in &record.reads {
        if !is_unchanged(transaction, &batch.plugin, read, now, view)? {
            return Ok(Err(CommitError::Conflict));
        }
    }
    if record.writes_nothing() {
        return Ok(Ok(Applied::default()));
    }
    let changes = record.changes.len() + record.timers.len();
    if changes > MAX_CHANGES {
        let text = format!("it changes {changes} keys and timers, and one event may change {MAX_CHANGES}");
        return Ok(Err(CommitError::Refused(text)));
    }
    if record.writes_once() {
        // Whatever can go wrong with it does so before the write.
        return change_all(table, batch, record, now, view, counted, timer_state);
    }
    // Prepared once, because many events have one: SQLite would otherwise parse the text each time.
    transaction.prepare_cached("SAVEPOINT record")?.execute([])?;
    view.begin();
    let result = change_all(table, batch, record, now, view, counted, timer_state)?;
    if result.is_err() {
        view.undo();
        transaction.prepare_cached("ROLLBACK TO record")?.execute([])?;
    }
    transaction.prepare_cached("RELEASE record")?.execute([])?;
    Ok(result)
}

/// Makes the changes of one record. After an error the caller undoes them.
fn change_all<'a>(
    table: &mut Table<'_>,
    batch: &'a Batch,
    record: &'a Record,
    now: i64,
    view: &mut View<'a>,
    counted: &mut Usage,
    timer_state: &mut Option<Pending>,
) -> rusqlite::Result<Result<Applied, CommitError>> {
    let (transaction, plugin, quota) = (table.transaction, &*batch.plugin, batch.quota);
    let mut applied = Applied::default();
    let mut after = *counted;
    after.commits += 1;
    if let Some(row) = record.ends_row
        && !pending::end(transaction, row)?
    {
        return Ok(Err(CommitError::Ended));
    }
    let last = record.changes.len().saturating_sub(1);
    for (at, change) in record.changes.iter().enumerate() {
        let limit = (at == last).then_some((quota, *counted));
        if let Err(error) = change_key(table, change, now, view, &mut after, limit)? {
            return Ok(Err(error));
        }
    }
    let mut next = timer_state.and_then(|state| state.next);
    for change in &record.timers {
        if let Err(error) = timers::change(transaction, batch, change, &mut next)? {
            return Ok(Err(error));
        }
    }
    for line in &record.lines {
        if let Err(error) = pending::add_line(transaction, plugin, line, quota.lines, now)? {
            return Ok(Err(error));
        }
    }
    for signal in &record.signals {
        match pending::publish(transaction, signal)? {
            Ok(row) => applied.signals.push(row),
            Err(error) => return Ok(Err(error)),
        }
    }
    if !record.timers.is_empty() {
        timer_state.get_or_insert_default().next = next;
    }
    *counted = after;
    Ok(Ok(applied))
}

/// The error for a store that has grown beyond its quota. One that is full may change, and shrink.
fn check_quota(quota: Quota, before: Usage, after: Usage) -> Result<(), CommitError> {
    if after.keys > before.keys.max(quota.keys) {
        return Err(CommitError::Refused(over(&format!("{} keys", quota.keys), "store_keys")));
    }
    if after.bytes > before.bytes.max(quota.bytes) {
        return Err(CommitError::Refused(over(&format!("{} bytes", quota.bytes), "store_bytes")));
    }
    Ok(())
}

/// The error for a full store.
pub(super) fn over(limit: &str, setting: &str) -> String {
    format!("the store of the plugin is full: it may keep {limit}; delete something, or raise limits.{setting}")
}

/// Whether a value is as it was when it was read.
pub(super) fn is_unchanged<'a>(
    transaction: &Transaction<'_>,
    plugin: &str,
    read: &'a Read,
    now: i64,
    view: &mut View<'a>,
) -> rusqlite::Result<bool> {
    match read {
        Read::Key { scope, key, version } => {
            let get = || get(transaction, plugin, scope, key, now);
            view.read(scope, key, get, |_, found| found == *version)
        }
        Read::Prefix { scope, prefix, count, version } => {
            Ok(extent(transaction, plugin, scope, prefix, now)? == (*count, *version))
        }
    }
}

/// Changes one key. With `limit`, the quota and the usage before, it first makes sure that the store has room for what
/// `counted` then has.
pub(super) fn change_key<'a>(
    table: &mut Table<'_>,
    change: &'a Change,
    now: i64,
    view: &mut View<'a>,
    counted: &mut Usage,
    limit: Option<(Quota, Usage)>,
) -> rusqlite::Result<Result<(), CommitError>> {
    let Change { scope, key, to } = change;
    if key.is_empty() || key.len() > MAX_KEY {
        return Ok(Err(CommitError::Refused(format!(
            "a key has 1 to {MAX_KEY} bytes, and this one has {}",
            key.len()
        ))));
    }
    let get = || get(table.transaction, table.plugin, scope, key, now);
    let (version, length, number) = view.read(scope, key, get, |text, version| {
        let number = matches!(to, To::Sum(_)).then(|| if version == 0 { Some(0) } else { text.parse::<i64>().ok() });
        (version, text.len(), number.flatten())
    })?;
    let (value, expires) = match to {
        To::Value(value, 0) => (Some(Cow::Borrowed(value.as_str())), 0),
        To::Value(value, ttl) => (Some(Cow::Borrowed(value.as_str())), now.saturating_add_unsigned(*ttl)),
        To::Nothing => (None, 0),
        To::Sum(by) => {
            let Some(sum) = number.and_then(|number| number.checked_add(*by)) else {
                let text = format!(
                    "{by} cannot be added to what {key:?} has: that is no whole number, or the sum is too large"
                );
                return Ok(Err(CommitError::Refused(text)));
            };
            (Some(Cow::Owned(sum.to_string())), 0)
        }
    };
    if version > 0 {
        counted.keys -= 1;
        counted.bytes -= (key.len() + length) as u64;
    }
    if let Some(value) = &value {
        if value.len() > MAX_VALUE {
            return Ok(Err(CommitError::Refused(format!(
                "a value has at most {MAX_VALUE} bytes, and that of {key:?} has {}",
                value.len()
            ))));
        }
        counted.keys += 1;
        counted.bytes += (key.len() + value.len()) as u64;
    }
    if let Some(Err(error)) = limit.map(|(quota, before)| check_quota(quota, before, *counted)) {
        return Ok(Err(error));
    }
    let Some(value) = value else {
        table
            .transaction
            .prepare_cached("DELETE FROM kept WHERE plugin = ?1 AND scope = ?2 AND key = ?3")?
            .execute(params![table.plugin, scope, key])?;
        view.changed(scope, key, KeyState::default());
        return Ok(Ok(()));
    };
    table.put(scope, key, &value, counted.commits, expires)?;
    view.changed(scope, key, KeyState { text: value, version: counted.commits, expires: expires > 0 });
    Ok(Ok(()))
}

/// Number of keys with this prefix, and their highest version.
fn extent(connection: &Connection, plugin: &str, scope: &str, prefix: &str, now: i64) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached(
            "SELECT count(*), coalesce(max(version), 0) FROM kept
             WHERE plugin = ?1 AND scope = ?2 AND key >= ?3 AND key < ?4 AND (expires = 0 OR expires > ?5)",
        )?
        .query_row(params![plugin, scope, prefix, end_of(prefix), now], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The first text after all keys with this prefix, in the order of bytes in which SQLite compares texts.
pub(super) fn end_of(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// Answers questions, in their order, all from the same state of the store.
pub fn answer_all(
    connection: &Connection,
    plugin: &str,
    questions: &[Question],
    now: u64,
) -> rusqlite::Result<Vec<Answer>> {
    let now = now.try_into().unwrap_or(i64::MAX);
    let transaction = connection.unchecked_transaction()?;
    questions.iter().map(|question| answer(&transaction, plugin, question, now)).collect()
}

fn answer(connection: &Connection, plugin: &str, question: &Question, now: i64) -> rusqlite::Result<Answer> {
    match question {
        Question::Timers => {
            let mut timers = timers::list(connection, plugin, timers::MAX_LISTED)?;
            timers.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(Answer::Timers(timers))
        }
        Question::Get { scope, key } => {
            let KeyState { text, version, expires } = get(connection, plugin, scope, key, now)?;
            Ok(Answer::Value { value: text.into_owned(), version, expires })
        }
        Question::List { scope, prefix, limit, after } => {
            let limit = (*limit).clamp(1, MAX_PAGE);
            let (count, version) = extent(connection, plugin, scope, prefix, now)?;
            let mut statement = connection.prepare_cached(
                "SELECT key, value FROM kept
                 WHERE plugin = ?1 AND scope = ?2 AND key >= ?3 AND key < ?4 AND key > ?5 AND (expires = 0 OR expires > ?6)
                 ORDER BY key LIMIT ?7",
            )?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let parameters = params![plugin, scope, prefix, end_of(prefix), after, now, limit + 1];
            let mut entries: Vec<(String, String)> =
                statement.query_map(parameters, row)?.collect::<rusqlite::Result<_>>()?;
            let more = cut(&mut entries, limit, |(key, value)| key.len() + value.len());
            Ok(Answer::Page { entries, more, count, version })
        }
        Question::Walk { scope, key, limit } => {
            let limit = (*limit).clamp(1, MAX_PAGE);
            let mut entries = migrate::walk(connection, plugin, (scope, key), now, limit + 1)?;
            let more = cut(&mut entries, limit, WalkedEntry::bytes);
            Ok(Answer::Walked { entries, more })
        }
    }
}

/// Cuts what was read to one page. True when there is more.
fn cut<T>(entries: &mut Vec<T>, limit: u32, size: impl Fn(&T) -> usize) -> bool {
    let mut bytes = 0;
    let fits = |entry: &&T| {
        bytes += size(entry);
        bytes <= MAX_PAGE_BYTES
    };
    // At least one, because a reader would otherwise never get past a large value.
    let fitting = entries.iter().take(limit as usize).take_while(fits).count().max(1);
    let more = entries.len() > fitting;
    entries.truncate(fitting);
    more
}

#[cfg(test)]
mod tests;
