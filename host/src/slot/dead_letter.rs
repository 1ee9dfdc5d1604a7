//! Dead letters: events that were executing at two crashes. They are stored, listed, and replayed on request.

use crate::{
    event::{Event, Identity, Network, Occurrence, Place, ReplyTo, User, What, name::CaseMapping},
    store::{Database, StoreError},
    time::unix_millis,
};
use rosey_wire::{
    event::Body,
    frame::{decode, pack},
};
use rusqlite::params;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The tables.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS dead_letter (
    id        INTEGER PRIMARY KEY,
    plugin    TEXT NOT NULL,
    buried_at INTEGER NOT NULL,   -- milliseconds since 1970, UTC
    accepted_at INTEGER NOT NULL, -- milliseconds since 1970, UTC
    line      TEXT NOT NULL,      -- as typed
    user      TEXT NOT NULL,
    connector TEXT NOT NULL,
    channel   TEXT NOT NULL,
    causes    TEXT NOT NULL       -- one a line
) STRICT;
CREATE TABLE IF NOT EXISTS dead_letter_event ( -- of those that are no commands
    letter    INTEGER PRIMARY KEY,
    pattern   TEXT NOT NULL,      -- of the subscription that it belongs to
    body      BLOB NOT NULL       -- what happened, as the plugin gets it
) STRICT;";

/// Most dead letters that are kept; the oldest are removed first. Ten thousand mean one poison event that no operator
/// has looked at.
const KEPT: u32 = 10_000;

/// Pause before the next try of a write that failed: a full disk is not emptied within a second.
const RETRY: Duration = Duration::from_secs(1);

/// A stored event that was executing at two crashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number in the database; 0 before it is stored.
    pub id: i64,
    /// The plugin that crashed on it.
    pub plugin: String,
    /// When it was set aside.
    pub buried_at: SystemTime,
    /// When it was accepted.
    pub accepted_at: SystemTime,
    /// The line as typed.
    pub line: String,
    /// Who typed it.
    pub user: String,
    /// The connector that brought it.
    pub connector: String,
    /// The channel that it was typed in.
    pub channel: String,
    /// The crashes at which it was executing.
    pub causes: Vec<String>,
    /// For an event other than a command: the `pattern` of its subscription, and its body as a plugin gets it.
    pub occurrence: Option<(String, Vec<u8>)>,
}

impl DeadLetter {
    /// Makes a dead letter of an event.
    pub fn new(plugin: &str, event: &Event, accepted: Instant, causes: Vec<String>) -> Self {
        let now = SystemTime::now();
        Self {
            id: 0,
            plugin: plugin.to_owned(),
            buried_at: now,
            accepted_at: now - accepted.elapsed(),
            line: event.text().into_owned(),
            user: event.user.name.clone(),
            connector: event.place.connector.to_string(),
            channel: event.place.channel.clone(),
            causes,
            // The line of a command says all of it.
            occurrence: event.occurrence().filter(|_| event.command().is_none()).and_then(|occurrence| {
                Some((occurrence.pattern.to_string(), pack(&occurrence.what.body(unix_millis())).ok()?))
            }),
        }
    }

    /// The event for a replay. Its answer goes nowhere, because the user has long gone on.
    pub fn event(&self) -> Event {
        let network = Network { id: self.connector.as_str().into(), case: CaseMapping::default() };
        let user = User { name: self.user.clone(), identity: Identity::Nick { network } };
        let place = Place::new("replay", format!("{}/{}", self.connector, self.channel));
        let occurrence = self.occurrence.as_ref().and_then(|(pattern, body)| {
            let body = decode::<Body<'_>>(body).ok()?;
            Some(Occurrence::new(What::of(&body), 0, pattern.as_str()))
        });
        match occurrence {
            Some(occurrence) => Event::of(occurrence, user.into(), place.into(), ReplyTo::Nowhere),
            None => Event::new(self.line.as_str(), user.into(), place.into(), ReplyTo::Nowhere),
        }
    }
}

/// Stores a dead letter, trying until it succeeds: the event is not released before that.
pub async fn bury(database: &Database, letter: DeadLetter) {
    loop {
        let copy = letter.clone();
        match database.run(move |connection| write(connection, &copy)).await {
            Ok(()) => break,
            Err(error) => {
                tracing::error!(plugin = %letter.plugin, "a dead letter cannot be written, trying again: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn write(connection: &mut rusqlite::Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute(
        "INSERT INTO dead_letter (plugin, buried_at, accepted_at, line, user, connector, channel, causes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            letter.plugin,
            millis(letter.buried_at),
            millis(letter.accepted_at),
            letter.line,
            letter.user,
            letter.connector,
            letter.channel,
            letter.causes.join("\n"),
        ],
    )?;
    if let Some((pattern, body)) = &letter.occurrence {
        transaction.execute(
            "INSERT INTO dead_letter_event (letter, pattern, body) VALUES (last_insert_rowid(), ?1, ?2)",
            params![pattern, body],
        )?;
    }
    transaction.execute(
        "DELETE FROM dead_letter WHERE id NOT IN (SELECT id FROM dead_letter ORDER BY id DESC LIMIT ?1)",
        [KEPT],
    )?;
    transaction.execute("DELETE FROM dead_letter_event WHERE letter NOT IN (SELECT id FROM dead_letter)", [])?;
    transaction.commit()
}

/// The dead letters of one plugin or of all, the newest first.
///
/// # Errors
///
/// The database cannot be read.
pub async fn list(database: &Database, plugin: Option<&str>, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
    let plugin = plugin.map(str::to_owned);
    database
        .run(move |connection| {
            let mut statement = connection.prepare(
                "SELECT id, plugin, buried_at, accepted_at, line, user, connector, channel, causes, pattern, body
                 FROM dead_letter LEFT JOIN dead_letter_event ON letter = id
                 WHERE ?1 IS NULL OR plugin = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![plugin, limit], |row| {
                Ok(DeadLetter {
                    id: row.get(0)?,
                    plugin: row.get(1)?,
                    buried_at: time(row.get(2)?),
                    accepted_at: time(row.get(3)?),
                    line: row.get(4)?,
                    user: row.get(5)?,
                    connector: row.get(6)?,
                    channel: row.get(7)?,
                    causes: row.get::<_, String>(8)?.lines().map(str::to_owned).collect(),
                    occurrence: row.get::<_, Option<String>>(9)?.zip(row.get(10)?),
                })
            })?;
            rows.collect()
        })
        .await
}

/// Number of dead letters of each plugin.
///
/// # Errors
///
/// The database cannot be read.
pub async fn counts(database: &Database) -> Result<BTreeMap<String, u32>, StoreError> {
    database
        .run(|connection| {
            let mut statement = connection.prepare("SELECT plugin, count(*) FROM dead_letter GROUP BY plugin")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })
        .await
}

/// One dead letter. `None` when this plugin has none with that number.
///
/// # Errors
///
/// The database cannot be read.
pub async fn find(database: &Database, plugin: &str, id: i64) -> Result<Option<DeadLetter>, StoreError> {
    Ok(list(database, Some(plugin), KEPT).await?.into_iter().find(|letter| letter.id == id))
}

/// Removes a dead letter.
///
/// # Errors
///
/// The database cannot be written.
pub async fn remove(database: &Database, id: i64) -> Result<(), StoreError> {
    let delete = move |connection: &mut rusqlite::Connection| {
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM dead_letter WHERE id = ?1", [id])?;
        transaction.execute("DELETE FROM dead_letter_event WHERE letter = ?1", [id])?;
        transaction.commit()
    };
    database.run(delete).await
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
