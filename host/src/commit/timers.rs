//! The timers of plugins in `rosey.db`. A timer is set and cancelled in the transaction of the event that asks for it.
//!
//! A timer that is due becomes an event in one transaction: it leaves this table, or gets its next time, and the event stays
//! in `accepted` until it has ended. So each fires once, whenever the host is killed.

use super::{Batch, CommitError, NewEvent, pending};
use crate::{
    event::{Event, Occurrence, What},
    schedule::Schedule,
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use std::sync::Arc;

/// The tables. The count has a table of its own, because each new timer needs it.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS timer (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,  -- another one each time that it is set
    plugin   TEXT NOT NULL,
    name     TEXT NOT NULL,
    due      INTEGER NOT NULL,  -- milliseconds since 1970
    cron     TEXT NOT NULL,     -- '' for one that fires once
    zone     TEXT NOT NULL,     -- of cron
    payload  BLOB NOT NULL,
    origin   TEXT NOT NULL,     -- JSON: who set it, and where; '' for none
    declared INTEGER NOT NULL,  -- 1 for one that the plugin's manifest has, and no handler has set
    UNIQUE (plugin, name)
) STRICT;
CREATE INDEX IF NOT EXISTS timer_due ON timer (plugin, due);
CREATE TABLE IF NOT EXISTS timer_count (
    plugin TEXT PRIMARY KEY,
    timers INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS timer_added AFTER INSERT ON timer BEGIN
    INSERT INTO timer_count (plugin, timers) VALUES (new.plugin, 1)
        ON CONFLICT (plugin) DO UPDATE SET timers = timers + 1;
END;
CREATE TRIGGER IF NOT EXISTS timer_removed AFTER DELETE ON timer BEGIN
    UPDATE timer_count SET timers = timers - 1 WHERE plugin = old.plugin;
END;";

/// Longest name of a timer in bytes. Long enough for a user and a channel, short enough for a line of a list.
pub const MAX_NAME: usize = 256;

/// Most timers in one answer to a plugin.
pub const MAX_LISTED: u32 = 10_000;

/// A change of a timer by one event, or one transaction.
#[derive(Debug, PartialEq, Eq)]
pub enum TimerChange {
    /// Sets a timer, in place of one with the same name.
    Set {
        /// The plugin's name for the timer.
        name: String,
        /// When it fires.
        when: When,
        /// The plugin's data.
        payload: Box<[u8]>,
        /// The person and the place that set it, as [`crate::event::origin`] writes them; empty for none.
        origin: Arc<str>,
    },
    /// Cancels a timer, if there is one.
    Cancel {
        /// The plugin's name for the timer.
        name: String,
    },
}

/// When a timer fires.
#[derive(Debug, PartialEq, Eq)]
pub enum When {
    /// This many milliseconds after the commit.
    After(u64),
    /// At this time, in milliseconds since 1970.
    At(u64),
    /// Repeatedly, by a schedule.
    Every(Box<Cron>),
}

/// A schedule, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    /// The five fields.
    pub cron: String,
    /// The name of the time zone; empty for UTC.
    pub zone: String,
    /// The schedule that both mean.
    pub schedule: Schedule,
}

/// A timer of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The plugin's name for the timer.
    pub name: String,
    /// When it fires.
    pub when: Cron,
}

/// The timers for which a plugin has a handler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handlers {
    /// Timers with these names.
    pub names: Vec<String>,
    /// Whether all other timers have one, too.
    pub others: bool,
}

/// A timer in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub id: i64,
    /// The plugin's name for the timer.
    pub name: String,
    /// When it fires next, in milliseconds since 1970.
    pub due: u64,
    /// Its cron expression; empty when it fires once.
    pub cron: String,
    /// The time zone of that; empty for UTC.
    pub zone: String,
    /// The person and the place that set it; empty for none.
    pub origin: String,
    /// Whether the plugin's manifest declares it.
    pub declared: bool,
}

/// The timers of a plugin after a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// Number of timers.
    pub count: u64,
    /// The earliest due time of the timers that changed.
    pub next: Option<u64>,
}

/// Timers that became events, and when the next ones are due.
#[derive(Debug, Default)]
pub struct Fired {
    /// The events, the one that was due first before the others.
    pub events: Vec<Event>,
    /// Whether more are due.
    pub more: bool,
    /// The time at which the next timer is due.
    pub next: Option<u64>,
    /// How many timers there are now.
    pub count: u64,
}

/// Limits of a plugin's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerQuota {
    /// Most timers at a time.
    pub timers: u64,
    /// Most bytes stored with one timer.
    pub bytes: usize,
}

/// Applies one change. The inner error is that of the record, the outer one the database's.
pub(super) fn change(
    connection: &Connection,
    batch: &Batch,
    change: &TimerChange,
    next: &mut Option<u64>,
) -> rusqlite::Result<Result<(), CommitError>> {
    let (plugin, quota, now) = (&*batch.plugin, batch.timer_quota, batch.clock.now());
    let (name, when, payload, origin) = match change {
        TimerChange::Cancel { name } => {
            remove(connection, plugin, name)?;
            return Ok(Ok(()));
        }
        TimerChange::Set { name, when, payload, origin } => (name, when, payload, origin),
    };
    if let Err(why) = check(name, payload, quota.bytes) {
        return Ok(Err(CommitError::Refused(why)));
    }
    let (due, cron, zone) = match when {
        When::After(delay) => (Some(now.saturating_add(*delay)), "", ""),
        When::At(time) => (Some(*time), "", ""),
        When::Every(every) => (every.schedule.next(now), every.cron.as_str(), every.zone.as_str()),
    };
    // SQLite's numbers end there, in the year 292 million.
    let Some(due) = due.filter(|due| i64::try_from(*due).is_ok()) else {
        return Ok(Err(CommitError::Refused(format!("the timer {name:?} is set to a time that never comes"))));
    };
    insert(connection, plugin, name, &[&due, &cron, &zone, payload, origin, &false])?;
    if count(connection, plugin)? > quota.timers {
        let text = format!("the plugin may have {} timers; cancel some, or raise limits.timers", quota.timers);
        return Ok(Err(CommitError::Refused(text)));
    }
    *next = earlier(*next, Some(due));
    Ok(Ok(()))
}

fn check(name: &str, payload: &[u8], most: usize) -> Result<(), String> {
    if name.is_empty() || name == "*" || name.len() > MAX_NAME {
        return Err(format!(
            "the name of a timer has 1 to {MAX_NAME} bytes and is not *, and this one has {}",
            name.len()
        ));
    }
    if payload.len() > most {
        return Err(format!(
            "what is stored with the timer {name:?} has {} bytes, and may have {most} (limits.timer_bytes)",
            payload.len()
        ));
    }
    Ok(())
}

/// Sets a timer, in place of one with the same name.
fn insert(connection: &Connection, plugin: &str, name: &str, rest: &[&dyn ToSql; 6]) -> rusqlite::Result<()> {
    remove(connection, plugin, name)?;
    let [due, cron, zone, payload, origin, declared] = rest;
    connection
        .prepare_cached(
            "INSERT INTO timer (plugin, name, due, cron, zone, payload, origin, declared)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![plugin, name, due, cron, zone, payload, origin, declared])
        .map(|_| ())
}

fn remove(connection: &Connection, plugin: &str, name: &str) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("DELETE FROM timer WHERE plugin = ?1 AND name = ?2")?;
    Ok(statement.execute([plugin, name])? > 0)
}

/// Number of timers of a plugin.
///
/// # Errors
///
/// The database cannot be read.
pub fn count(connection: &Connection, plugin: &str) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT timers FROM timer_count WHERE plugin = ?1")?;
    Ok(statement.query_row([plugin], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// The schedule of a repeated timer. It was checked when the timer was set; if the system has lost the zone since, it
/// counts as UTC.
fn again(plugin: &str, name: &str, cron: &str, zone: &str) -> Option<Schedule> {
    if cron.is_empty() {
        return None;
    }
    Schedule::parse(cron, zone)
        .or_else(|error| {
            tracing::warn!(%plugin, timer = name, "{error}; it goes by UTC from now on");
            Schedule::parse(cron, "")
        })
        .ok()
}

/// The earlier one of two times.
pub fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().min()
}

/// Makes the declared timers of a plugin those of this manifest, and removes others that an earlier manifest declared.
/// A timer that exists keeps its due time.
///
/// # Errors
///
/// The database cannot be written; then nothing is changed.
pub fn declare(connection: &mut Connection, plugin: &str, declared: &[Declared], now: u64) -> rusqlite::Result<u64> {
    let transaction = connection.transaction()?;
    let before: Vec<(String, String, String)> = transaction
        .prepare_cached("SELECT name, cron, zone FROM timer WHERE plugin = ?1 AND declared = 1")?
        .query_map([plugin], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (name, ..) in &before {
        if !declared.iter().any(|timer| timer.name == *name) {
            remove(&transaction, plugin, name)?;
        }
    }
    for Declared { name, when: Cron { cron, zone, schedule } } in declared {
        if before.iter().any(|(n, c, z)| (n, c, z) == (name, cron, zone)) {
            continue;
        }
        if let Some(due) = schedule.next(now) {
            insert(&transaction, plugin, name, &[&due, cron, zone, &[0_u8; 0], &"", &true])?;
        }
    }
    let count = count(&transaction, plugin)?;
    transaction.commit()?;
    Ok(count)
}

/// Has the timers fire that are due and have a handler, at most so many.
///
/// # Errors
/// As SQLite says; then none has fired.
pub fn fire(
    connection: &mut Connection,
    plugin: &Arc<str>,
    handlers: &Handlers,
    now: u64,
    most: usize,
) -> rusqlite::Result<Fired> {
    let names = serde_json::to_string(&handlers.names).unwrap_or_default();
    let transaction = connection.transaction()?;
    let mut due = due(&transaction, (plugin, handlers.others, &names), now, most.saturating_add(1))?;
    let more = due.len() > most;
    due.truncate(most);
    let mut events = Vec::with_capacity(due.len());
    for Due { id, name, due, cron, zone, payload, origin } in due {
        let pattern = if handlers.names.contains(&name) { name.as_str() } else { "*" };
        // Not twice for the same time where the clock is set back, and once for all times that were missed.
        let again = again(plugin, &name, &cron, &zone).and_then(|schedule| schedule.next(now.max(due)));
        match again {
            Some(again) => {
                transaction.prepare_cached("UPDATE timer SET due = ?2 WHERE id = ?1")?.execute(params![id, again])?
            }
            None => transaction.prepare_cached("DELETE FROM timer WHERE id = ?1")?.execute([id])?,
        };
        let pattern: Arc<str> = pattern.into();
        let what = What::Timer { name: name.into(), payload, due_ms: due };
        let new = NewEvent { plugin: Arc::clone(plugin), what, pattern: Arc::clone(&pattern), origin };
        let row = pending::accept(&transaction, &new)?;
        events.push(pending::restore(
            Occurrence { row: Some(row), ..Occurrence::new(new.what, 0, pattern) },
            &new.origin,
        ));
    }
    let next = transaction
        .prepare_cached(
            "SELECT due FROM timer
             WHERE plugin = ?1 AND due > ?2 AND (?3 OR name IN (SELECT value FROM json_each(?4))) ORDER BY due LIMIT 1",
        )?
        .query_row(params![plugin, now, handlers.others, names], |row| row.get(0))
        .optional()?;
    let count = count(&transaction, plugin)?;
    transaction.commit()?;
    Ok(Fired { events, more, next, count })
}

/// A row that is due.
struct Due {
    id: i64,
    name: String,
    due: u64,
    cron: String,
    zone: String,
    payload: Box<[u8]>,
    origin: String,
}

fn due(
    connection: &Connection,
    (plugin, all, names): (&str, bool, &str),
    now: u64,
    most: usize,
) -> rusqlite::Result<Vec<Due>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, due, cron, zone, payload, origin FROM timer
         WHERE plugin = ?1 AND due <= ?2 AND (?3 OR name IN (SELECT value FROM json_each(?4))) ORDER BY due, name LIMIT ?5",
    )?;
    let row = |row: &Row<'_>| {
        Ok(Due {
            id: row.get(0)?,
            name: row.get(1)?,
            due: row.get(2)?,
            cron: row.get(3)?,
            zone: row.get(4)?,
            payload: row.get::<_, Vec<u8>>(5)?.into(),
            origin: row.get(6)?,
        })
    };
    statement.query_map(params![plugin, now, all, names, most], row)?.collect()
}

/// The timers of a plugin that fire next, at most `most`.
///
/// # Errors
///
/// The database cannot be read.
pub fn list(connection: &Connection, plugin: &str, most: u32) -> rusqlite::Result<Vec<Listed>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, due, cron, zone, origin, declared FROM timer WHERE plugin = ?1 ORDER BY due, name LIMIT ?2",
    )?;
    statement.query_map(params![plugin, most], listed)?.collect()
}

/// One timer of a plugin.
///
/// # Errors
///
/// The database cannot be read.
pub fn find(connection: &Connection, plugin: &str, id: i64) -> rusqlite::Result<Option<Listed>> {
    connection
        .prepare_cached("SELECT id, name, due, cron, zone, origin, declared FROM timer WHERE plugin = ?1 AND id = ?2")?
        .query_row(params![plugin, id], listed)
        .optional()
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        id: row.get(0)?,
        name: row.get(1)?,
        due: row.get(2)?,
        cron: row.get(3)?,
        zone: row.get(4)?,
        origin: row.get(5)?,
        declared: row.get(6)?,
    })
}

/// Removes a timer. Returns the number of timers left, or `None` without a timer of that number.
///
/// # Errors
///
/// The database cannot be written.
pub fn cancel(connection: &Connection, plugin: &str, id: i64) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection.prepare_cached("DELETE FROM timer WHERE plugin = ?1 AND id = ?2")?;
    if statement.execute(params![plugin, id])? == 0 {
        return Ok(None);
    }
    count(connection, plugin).map(Some)
}

#[cfg(test)]
mod tests;
