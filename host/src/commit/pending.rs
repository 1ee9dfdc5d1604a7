//! What waits in `rosey.db` until it has happened: events that outlive the host, and lines that are not said yet.
//!
//! A row is written in the transaction of the event that caused it. It is removed in the transaction of the event that
//! it became, or when the line has been said. So each happens once, whenever the host is killed.

use super::{CommitError, NewEvent, NewLine};
use crate::event::{CommandLine, ConnectorId, Event, Form, Occurrence, Place, ReplyTo, User, What, origin};
use rosey_wire::{
    effect::Style,
    event::Body,
    frame::{decode, pack},
};
use rusqlite::{Connection, params};
use std::sync::Arc;

/// The tables.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS accepted ( -- events that outlive the host, until they have ended
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    plugin  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    pattern TEXT NOT NULL,      -- of the subscription that it belongs to; of a command its line
    body    BLOB NOT NULL,      -- what happened, as the plugin gets it; empty of a command
    origin  TEXT NOT NULL       -- who and where, JSON
) STRICT;
CREATE INDEX IF NOT EXISTS accepted_plugin ON accepted (plugin, id);
CREATE TABLE IF NOT EXISTS line ( -- lines of plugins, until a connector has said it
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    plugin    TEXT NOT NULL,
    connector TEXT NOT NULL,
    channel   TEXT NOT NULL,
    user      TEXT NOT NULL,    -- whom it is addressed to
    form      INTEGER NOT NULL, -- 0 an answer, 1 a line, 2 a notice, 3 an action
    text      TEXT NOT NULL,
    at        INTEGER NOT NULL  -- milliseconds since 1970
) STRICT;
CREATE INDEX IF NOT EXISTS line_plugin ON line (plugin);
CREATE INDEX IF NOT EXISTS line_channel ON line (connector, channel, id);";

/// Most events from other plugins that may wait for one plugin. With ten thousand, the plugin does not keep up.
const MAX_ACCEPTED: u64 = 10_000;

/// Stores an event, and returns its number.
pub(super) fn accept(connection: &Connection, event: &NewEvent) -> rusqlite::Result<i64> {
    let mut statement = connection
        .prepare_cached("INSERT INTO accepted (plugin, kind, pattern, body, origin) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let NewEvent { plugin, what, pattern, origin } = event;
    let (pattern, body) = match what {
        What::Command(command) => (command.line(), Vec::new()),
        // A body is bounded and always fits.
        other => (&**pattern, pack(&other.body(0)).unwrap_or_default()),
    };
    statement.insert(params![plugin, what.kind().name(), pattern, body, origin])
}

/// Stores an event from another plugin.
pub(super) fn publish(connection: &Connection, event: &NewEvent) -> rusqlite::Result<Result<i64, CommitError>> {
    let waiting: u64 = connection
        .prepare_cached("SELECT count(*) FROM accepted WHERE plugin = ?1")?
        .query_row([&event.plugin], |row| row.get(0))?;
    if waiting >= MAX_ACCEPTED {
        let text = format!("{} does not keep up: {waiting} signals wait for it already", event.plugin);
        return Ok(Err(CommitError::Refused(text)));
    }
    accept(connection, event).map(Ok)
}

/// Removes an event that has ended. False if it had ended before; then nothing more may follow from it.
pub(super) fn end(connection: &Connection, row: i64) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached("DELETE FROM accepted WHERE id = ?1")?.execute([row])? > 0)
}

/// All events of a plugin that have not ended, in the order of acceptance. Skips unreadable ones.
///
/// # Errors
///
/// The database cannot be read.
pub fn accepted(connection: &Connection, plugin: &str) -> rusqlite::Result<Vec<Event>> {
    let mut statement =
        connection.prepare("SELECT id, kind, pattern, body, origin FROM accepted WHERE plugin = ?1 ORDER BY id")?;
    let mut rows = statement.query([plugin])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, kind, pattern): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (body, origin): (Vec<u8>, String) = (row.get(3)?, row.get(4)?);
        let what = match kind.as_str() {
            "command" => What::Command(CommandLine::new(pattern.as_str().into())),
            _ => match decode::<Body<'_>>(&body) {
                Ok(body) => What::of(&body),
                Err(_) => continue,
            },
        };
        all.push(restore(Occurrence { row: Some(id), ..Occurrence::new(what, 0, pattern) }, &origin));
    }
    Ok(all)
}

/// Makes a stored event again. Its answer is a line of its own.
pub fn restore(occurrence: Occurrence, written: &str) -> Event {
    let (user, place) = origin::read(written);
    Event::of(occurrence, Arc::new(user), Arc::new(place), ReplyTo::Line)
}

/// Stores a line to say, and returns its number.
pub(super) fn add_line(
    connection: &Connection,
    plugin: &str,
    line: &NewLine,
    most: u64,
    now: i64,
) -> rusqlite::Result<Result<i64, CommitError>> {
    let waiting: u64 = connection
        .prepare_cached("SELECT count(*) FROM line WHERE plugin = ?1")?
        .query_row([plugin], |row| row.get(0))?;
    if waiting >= most {
        let text =
            format!("{waiting} lines of the plugin wait already; raise limits.lines, or make the plugin say less");
        return Ok(Err(CommitError::Refused(text)));
    }
    let NewLine { connector, channel, user, form, text } = line;
    let mut statement = connection.prepare_cached(
        "INSERT INTO line (plugin, connector, channel, user, form, text, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.insert(params![plugin, connector.as_str(), channel, user, number(*form), text, now]).map(Ok)
}

/// A line to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, which gives the order of lines.
    pub id: i64,
    /// The plugin whose line it is.
    pub plugin: String,
    /// The line itself.
    pub new: NewLine,
}

/// The first waiting line of each channel of a connector, the oldest first.
///
/// # Errors
///
/// The database cannot be read.
pub fn first_lines(connection: &Connection, connector: &ConnectorId) -> rusqlite::Result<Vec<Line>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, plugin, channel, user, form, text FROM line
         WHERE id IN (SELECT min(id) FROM line WHERE connector = ?1 GROUP BY channel) ORDER BY id LIMIT 256",
    )?;
    let row = |row: &rusqlite::Row<'_>| {
        let new = NewLine {
            connector: connector.clone(),
            channel: row.get(2)?,
            user: row.get(3)?,
            form: form(row.get(4)?),
            text: row.get(5)?,
        };
        Ok(Line { id: row.get(0)?, plugin: row.get(1)?, new })
    };
    statement.query_map([connector.as_str()], row)?.collect()
}

/// Removes a line that has been said, or is about to be said. False if it is gone already.
///
/// # Errors
///
/// The database cannot be written.
pub fn remove_line(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached("DELETE FROM line WHERE id = ?1")?.execute([id])? > 0)
}

/// Removes the lines of a connector from before this time, in milliseconds since 1970. Returns the plugin of each.
///
/// # Errors
///
/// The database cannot be written.
pub fn forget_lines(connection: &Connection, connector: &ConnectorId, before: u64) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("DELETE FROM line WHERE connector = ?1 AND at < ?2 RETURNING plugin")?;
    statement.query_map(params![connector.as_str(), before], |row| row.get(0))?.collect()
}

fn number(form: Form) -> u8 {
    match form {
        Form::Answer => 0,
        Form::Line(Style::Plain) => 1,
        Form::Line(Style::Notice) => 2,
        Form::Line(Style::Action) => 3,
    }
}

fn form(number: u8) -> Form {
    match number {
        0 => Form::Answer,
        2 => Form::Line(Style::Notice),
        3 => Form::Line(Style::Action),
        _ => Form::Line(Style::Plain),
    }
}

impl Line {
    /// The person, as a connector knows people.
    pub fn user(&self) -> User {
        User { name: self.new.user.clone(), ..User::nobody() }
    }

    /// The channel.
    pub fn place(&self) -> Place {
        Place::new(&self.new.connector, self.new.channel.as_str())
    }
}
