//! One record of the audit, and the hash that links it to the record before.

use crate::{
    admin::{Actor, permission},
    text::clean,
    time::rfc3339,
};
use rusqlite::{Row, params, types::Type};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// Bytes of a text of a user or a plugin that a record keeps.
const MAX_TEXT: usize = 500;

/// The stage of an action that a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// A query was answered. Listeners get it, and it is not kept.
    Read,
    /// A person lacked the role.
    Denied,
    /// An action did not begin: it made no sense, or came too often or too soon.
    Refused,
    /// A question got no yes: the answer was no, none came in time, or another command replaced it.
    Dropped,
    /// An action is about to begin.
    Before,
    /// An action ended.
    After,
    /// Another program changed the audit.
    Alarm,
}

/// All stages that are kept.
const KEPT: [Stage; 6] = [Stage::Denied, Stage::Refused, Stage::Dropped, Stage::Before, Stage::After, Stage::Alarm];

impl Stage {
    /// The name of the stage.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
            Self::Before => "before",
            Self::After => "after",
            Self::Alarm => "alarm",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// One record: who did what, where, and with which result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// 1, 2, 3, … without a gap.
    pub id: i64,
    /// The time, RFC 3339 in UTC.
    pub at: String,
    /// How far the action was: before it, after it, refused, dropped.
    pub stage: Stage,
    /// For the end of an action: the number of the record of its beginning.
    pub about: Option<i64>,
    /// The name of the person who asked, or `rosey`.
    pub user: String,
    /// How the name was verified: `console`, `system`, `account`, `token` or `nick`; `host` for Rosey itself.
    pub verified: String,
    /// The name that chat showed, where an account was verified and has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nick: Option<String>,
    /// `chat`, `shell` or `dashboard`; `host` for Rosey itself.
    pub via: String,
    /// The channel, terminal or address.
    pub place: String,
    /// The command, without `!admin`.
    pub command: String,
    /// The plugin it is about.
    pub plugin: Option<String>,
    /// The version before.
    pub from: Option<String>,
    /// The version after, or the one that was refused.
    pub to: Option<String>,
    /// Whether the action was done; `None` while it is under way.
    pub ok: Option<bool>,
    /// The result, as the user read it.
    pub result: Option<String>,
    /// The duration, in microseconds.
    pub took_us: Option<i64>,
    /// The hash of the record before; empty in the first one.
    pub previous: String,
    /// SHA-256 of the JSON of all fields above.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// The last column. A table that only an earlier Rosey has opened has it not.
const NICK: usize = 17;

/// The columns, in the order in which they were added.
const COLUMNS: &str = "id, at, stage, about, user, verified, via, place, command, plugin, from_version, \
                                  to_version, ok, result, took_us, previous, hash, nick";

impl AuditRecord {
    /// A record of what an actor does now, still without a number and a hash.
    pub(in crate::admin) fn new(stage: Stage, actor: &Actor, command: &str, plugin: Option<&str>) -> Self {
        let (user, verified) = permission::identity(&actor.user);
        Self {
            id: 0,
            at: rfc3339(SystemTime::now()),
            stage,
            about: None,
            user: clean(user, MAX_TEXT),
            verified: verified.to_owned(),
            nick: (user != actor.user.name).then(|| clean(&actor.user.name, MAX_TEXT)),
            via: actor.via.to_string(),
            place: clean(&actor.place, MAX_TEXT),
            command: command.to_owned(),
            plugin: plugin.map(|plugin| clean(plugin, MAX_TEXT)),
            from: None,
            to: None,
            ok: None,
            result: None,
            took_us: None,
            previous: String::new(),
            hash: String::new(),
        }
    }

    /// The record of a changed audit.
    pub(super) fn alarm(text: &str) -> Self {
        let verified = "host".to_owned();
        Self { verified, ..Self::new(Stage::Alarm, &Actor::host(), "audit", None) }.ended(false, text, None)
    }

    /// Adds the versions before and after.
    pub(in crate::admin) fn between(mut self, from: Option<String>, to: Option<String>) -> Self {
        (self.from, self.to) = (from, to);
        self
    }

    /// Adds the result.
    pub(in crate::admin) fn ended(mut self, ok: bool, result: &str, took: Option<Duration>) -> Self {
        self.ok = Some(ok);
        self.result = Some(clean(result, MAX_TEXT));
        self.took_us = took.map(|took| i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
        self
    }

    /// The record of the end of this action.
    pub(in crate::admin) fn after(&self, ok: bool, result: &str, took: Option<Duration>) -> Self {
        let (at, about) = (rfc3339(SystemTime::now()), Some(self.id));
        Self { id: 0, at, stage: Stage::After, about, ..self.clone() }.ended(ok, result, took)
    }

    /// The record as a line of the file.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a struct of texts and numbers");
        line.push(b'\n');
        line
    }

    /// Gives it its number and links it to the record before.
    pub(super) fn seal(&mut self, id: i64, previous: String) {
        (self.id, self.previous) = (id, previous);
        self.hash = self.digest();
    }

    /// The hash of its content.
    pub(super) fn digest(&self) -> String {
        let bare = Self { hash: String::new(), ..self.clone() };
        let json = serde_json::to_vec(&bare).expect("a struct of texts and numbers");
        Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn insert(&self, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        let sql = format!(
            "INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
             ?16, ?17, ?18)"
        );
        connection.prepare_cached(&sql)?.execute(params![
            self.id,
            self.at,
            self.stage.to_string(),
            self.about,
            self.user,
            self.verified,
            self.via,
            self.place,
            self.command,
            self.plugin,
            self.from,
            self.to,
            self.ok,
            self.result,
            self.took_us,
            self.previous,
            self.hash,
            self.nick,
        ])?;
        Ok(())
    }

    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let word: String = row.get(2)?;
        let stage = KEPT.into_iter().find(|stage| stage.name() == word).ok_or_else(|| {
            let problem = format!("{word} is no stage").into();
            rusqlite::Error::FromSqlConversionFailure(2, Type::Text, problem)
        })?;
        Ok(Self {
            id: row.get(0)?,
            at: row.get(1)?,
            stage,
            about: row.get(3)?,
            user: row.get(4)?,
            verified: row.get(5)?,
            nick: if row.as_ref().column_count() > NICK { row.get(NICK)? } else { None },
            via: row.get(6)?,
            place: row.get(7)?,
            command: row.get(8)?,
            plugin: row.get(9)?,
            from: row.get(10)?,
            to: row.get(11)?,
            ok: row.get(12)?,
            result: row.get(13)?,
            took_us: row.get(14)?,
            previous: row.get(15)?,
            hash: row.get(16)?,
        })
    }
}
