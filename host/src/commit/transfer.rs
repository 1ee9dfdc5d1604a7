//! The data of a plugin as lines of JSON: exports it, checks such lines, and imports them in one transaction.
//!
//! The first line names the plugin and the number of keys, so that a file that is cut off is noticed. A line for each
//! key follows, in the order of scope and key.

use super::{MAX_KEY, MAX_VALUE, Quota, Usage, sql};
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// The version of this format.
const FORMAT: u32 = 1;

/// The name of the global scope for people; the table has an empty text.
pub const GLOBAL: &str = "global";

/// The beginnings of the other scopes, as [`scope`](super::scope) writes them.
const SCOPES: [&str; 3] = ["channel ", "user ", "member "];

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// [`FORMAT`].
    rosey_store: u32,
    /// The plugin whose data it is.
    plugin: String,
    /// The version of the plugin's data, which its builds declare.
    store_version: u32,
    /// The number of lines that follow.
    keys: u64,
}

/// One key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// As `rosey store list` shows it.
    scope: String,
    /// The name within the scope.
    key: String,
    /// The value as it is stored, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    /// A value that is not JSON in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The time at which it expires, in milliseconds since 1970; 0 for never.
    #[serde(default, skip_serializing_if = "is_never")]
    expires: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_never(expires: &u64) -> bool {
    *expires == 0
}

/// Exports the data of a plugin, as it is at one moment. Returns the number of keys; `None` if the plugin has never had
/// data.
///
/// # Errors
///
/// The outer error comes from the database, the inner one from `output`.
pub fn export(
    connection: &mut Connection,
    plugin: &str,
    output: &mut impl Write,
) -> rusqlite::Result<io::Result<Option<u64>>> {
    // The transaction reads everything at one moment, whatever the bot writes meanwhile.
    let transaction = connection.transaction()?;
    let Some(version) = sql::version(&transaction, plugin)? else { return Ok(Ok(None)) };
    let now = sql::now();
    let keys: u64 = transaction.query_row(
        "SELECT count(*) FROM kept WHERE plugin = ?1 AND (expires = 0 OR expires > ?2)",
        params![plugin, now],
        |row| row.get(0),
    )?;
    let head = Head { rosey_store: FORMAT, plugin: plugin.to_owned(), store_version: version, keys };
    if let Err(error) = line(output, &head) {
        return Ok(Err(error));
    }
    let mut statement = transaction.prepare(
        "SELECT scope, key, value, expires FROM kept
         WHERE plugin = ?1 AND (expires = 0 OR expires > ?2) ORDER BY scope, key",
    )?;
    let mut rows = statement.query(params![plugin, now])?;
    while let Some(row) = rows.next()? {
        let (scope, key, value, expires): (String, String, String, u64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let scope = if scope.is_empty() { GLOBAL.to_owned() } else { scope };
        let (value, text) = match as_json(&value) {
            Some(raw) => (Some(raw), None),
            None => (None, Some(value)),
        };
        if let Err(error) = line(output, &Line { scope, key, value, text, expires }) {
            return Ok(Err(error));
        }
    }
    Ok(output.flush().map(|()| Some(keys)))
}

/// A value as part of a line, if a reader gets the same text back. `null` is read as no value.
fn as_json(value: &str) -> Option<Box<RawValue>> {
    if value.contains(['\n', '\r']) || value == "null" {
        return None;
    }
    RawValue::from_string(value.to_owned()).ok().filter(|raw| raw.get() == value)
}

fn line(output: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, what)?;
    output.write_all(b"\n")
}

/// The lines of an export, checked one by one. Refuses more than the quota of the plugin.
#[derive(Debug)]
pub struct Import {
    plugin: String,
    quota: Quota,
    head: Option<Head>,
    lines: u64,
    /// By scope and key: the value, and the time at which it expires.
    entries: BTreeMap<(String, String), (String, u64)>,
    bytes: u64,
}

impl Import {
    /// An import for this plugin with this quota.
    pub fn new(plugin: &str, quota: Quota) -> Self {
        let plugin = plugin.to_owned();
        Self { plugin, quota, head: None, lines: 0, entries: BTreeMap::new(), bytes: 0 }
    }

    /// Takes the next line.
    ///
    /// # Errors
    ///
    /// The mistake in it, for the person who has the file.
    pub fn line(&mut self, text: &str) -> Result<(), String> {
        let Some(head) = &self.head else {
            self.head = Some(self.read_head(text)?);
            return Ok(());
        };
        self.lines += 1;
        let number = self.lines + 1;
        if self.lines > head.keys {
            return Err(format!("it has more than the {} keys that its first line says", head.keys));
        }
        let Line { scope, key, value, text, expires } =
            serde_json::from_str(text).map_err(|error| format!("line {number} is no key of an export: {error}"))?;
        let value = match (value, text) {
            (Some(value), None) => value.get().to_owned(),
            (None, Some(text)) => text,
            _ => return Err(format!("line {number} needs one of value and text")),
        };
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(format!("line {number}: a key has 1 to {MAX_KEY} bytes, and this one has {}", key.len()));
        }
        if value.len() > MAX_VALUE {
            return Err(format!(
                "line {number}: a value has at most {MAX_VALUE} bytes, and this one has {}",
                value.len()
            ));
        }
        if scope != GLOBAL && !SCOPES.iter().any(|kind| scope.starts_with(kind)) {
            return Err(format!("line {number}: {scope:?} is no scope"));
        }
        let scope = if scope == GLOBAL { String::new() } else { scope };
        self.bytes += (key.len() + value.len()) as u64;
        if self.entries.insert((scope, key), (value, expires)).is_some() {
            return Err(format!("line {number} has a key that another line has, too"));
        }
        if self.entries.len() as u64 > self.quota.keys {
            return Err(sql::over(&format!("{} keys", self.quota.keys), "store_keys"));
        }
        if self.bytes > self.quota.bytes {
            return Err(sql::over(&format!("{} bytes", self.quota.bytes), "store_bytes"));
        }
        Ok(())
    }

    fn read_head(&self, text: &str) -> Result<Head, String> {
        let head: Head =
            serde_json::from_str(text).map_err(|error| format!("its first line is not that of an export: {error}"))?;
        if head.rosey_store != FORMAT {
            return Err(format!("it has the format {}, and this Rosey reads {FORMAT}", head.rosey_store));
        }
        if head.plugin != self.plugin {
            let (theirs, ours) = (&head.plugin, &self.plugin);
            return Err(format!(
                "it is an export of {theirs}, not of {ours}; if that is meant, write {ours} in its first line"
            ));
        }
        Ok(head)
    }

    /// Checks that all lines are there.
    ///
    /// # Errors
    ///
    /// The file is cut off.
    pub fn finish(self) -> Result<Self, String> {
        match &self.head {
            None => Err("it is empty; an export begins with a line that says whose it is".to_owned()),
            Some(head) if self.lines < head.keys => {
                Err(format!("it is cut off: it has {} of the {} keys that its first line says", self.lines, head.keys))
            }
            Some(_) => Ok(self),
        }
    }

    /// The version of the data, from the first line.
    pub fn store_version(&self) -> u32 {
        self.head.as_ref().map_or(0, |head| head.store_version)
    }

    /// Number of keys.
    pub fn keys(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Replaces all data of the plugin. An event under way that has read something runs again.
    ///
    /// # Errors
    ///
    /// The database cannot be written; then nothing has changed.
    pub fn apply(&self, connection: &mut Connection) -> rusqlite::Result<Usage> {
        let transaction = connection.transaction()?;
        let plugin = self.plugin.as_str();
        let (mut usage, now) = (sql::usage(&transaction, plugin)?, sql::now());
        usage = Usage { keys: 0, bytes: 0, commits: usage.commits + 1 };
        transaction.execute("DELETE FROM kept WHERE plugin = ?1", [plugin])?;
        let mut statement = transaction.prepare(
            "INSERT INTO kept (plugin, scope, key, value, version, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for ((scope, key), (value, expires)) in &self.entries {
            if *expires == 0 || i64::try_from(*expires).is_ok_and(|expires| expires > now) {
                statement.execute(params![plugin, scope, key, value, usage.commits, expires])?;
                usage.keys += 1;
                usage.bytes += (key.len() + value.len()) as u64;
            }
        }
        drop(statement);
        sql::set_version(&transaction, plugin, self.store_version())?;
        sql::count(&transaction, plugin, usage)?;
        transaction.commit()?;
        Ok(usage)
    }
}

/// Removes all keys of a plugin with this prefix, in all scopes. Returns their number, and the usage after that. When
/// no key is left, the next build may begin with any store version.
///
/// # Errors
///
/// The database cannot be written; then nothing has changed.
pub fn delete(connection: &mut Connection, plugin: &str, prefix: &str) -> rusqlite::Result<(u64, Usage)> {
    let transaction = connection.transaction()?;
    let before = sql::usage(&transaction, plugin)?;
    let mut usage = Usage { commits: before.commits + 1, ..before };
    remove(&transaction, plugin, prefix, &mut usage)?;
    if usage.keys == 0 {
        sql::forget_version(&transaction, plugin)?;
    }
    sql::count(&transaction, plugin, usage)?;
    transaction.commit()?;
    Ok((before.keys - usage.keys, usage))
}

fn remove(transaction: &Transaction<'_>, plugin: &str, prefix: &str, usage: &mut Usage) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare(
        "DELETE FROM kept WHERE plugin = ?1 AND key >= ?2 AND key < ?3
         RETURNING length(CAST(key AS BLOB)) + length(CAST(value AS BLOB))",
    )?;
    let mut rows = statement.query(params![plugin, prefix, sql::end_of(prefix)])?;
    while let Some(row) = rows.next()? {
        usage.keys -= 1;
        usage.bytes -= row.get::<_, u64>(0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
