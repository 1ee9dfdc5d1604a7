//! All that a plugin keeps, in every scope, for `#[migrate]`.
//!
//! ```
//! use plugin_api::prelude::*;
//! use plugin_api::walk::{Entry, Walk};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default)]
//! struct Quotes;
//!
//! #[derive(Deserialize, Serialize)]
//! struct Quote {
//!     text: String,
//!     by: Option<String>,
//! }
//!
//! #[plugin(store_version = 2)]
//! impl Quotes {
//!     /// Version 1 kept a quote as a text.
//!     #[migrate]
//!     async fn migrate(&self, cx: &Context, _from: u32) -> Result<()> {
//!         let mut walk: Walk<'_> = cx.store().walk();
//!         while let Some(entry) = walk.next().await? {
//!             let entry: Entry = entry;
//!             match entry.key.split_once(':') {
//!                 Some(("quote", _)) => walk.put(&entry, &Quote { text: entry.value()?, by: None })?,
//!                 Some(("q", number)) => walk.rename(&entry, &format!("number:{number}"))?,
//!                 _ => walk.delete(&entry)?,
//!             }
//!         }
//!         Ok(())
//!     }
//!     # /// Say a quote: `!quote`
//!     # #[command]
//!     # fn quote(&self, _cx: &Context) {}
//! }
//! ```
//!
//! A walk has no limit but the plugin's own: its changes travel to the host as it goes on, and are applied with the end of the
//! migration, or not at all. It sees the store as it was before. The probe of a new build comes before its migration, so it has to
//! do without what is migrated.

use crate::{Error, Result, abi::calls, journal::LazyJournal, store::refused};
use rosey_wire::{
    call::{Call, Returned},
    effect::{Effect, Effects},
    frame::decode,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::VecDeque, fmt};

/// Keys that one question to the host asks for; it may give fewer.
const PAGE: u32 = 256;

/// A way through all keys of all scopes, in order. [`Store::walk`](crate::Store::walk) begins one.
pub struct Walk<'a> {
    journal: &'a LazyJournal,
    event: u64,
    page: VecDeque<Entry>,
    /// Where the next page begins, as long as there may be one.
    after: Option<(String, String)>,
}

/// One key with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is: empty for the plugin's own, else `channel …`, `user …` or `member …`, as `rosey store list` shows it.
    pub scope: String,
    /// Its name within the scope.
    pub key: String,
    json: String,
    expires_ms: u64,
}

impl Entry {
    /// Its value.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn value<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.json).map_err(|error| {
            let (scope, key) = (&self.scope, &self.key);
            Error::internal(format!("the value of {key:?} in {scope:?} is not what the migration reads it as: {error}"))
        })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, key, json, .. } = self;
        write!(f, "{scope:?} {key:?} = {json}")
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(journal: &'a LazyJournal, event: u64) -> Self {
        Self { journal, event, page: VecDeque::new(), after: Some(Default::default()) }
    }

    /// The next key; `None` after the last.
    ///
    /// # Errors
    /// When the host cannot read it, cannot take what changes, or this is no migration.
    pub async fn next(&mut self) -> Result<Option<Entry>> {
        let packed = self.journal.lock().take_rewrites()?;
        if let Some(packed) = packed {
            let answer = calls::ask(self.event, &Call::Stage(decode::<Effects<'_>>(&packed)?)).await?;
            match decode(&answer)? {
                Returned::Done => {}
                other => return Err(refused("a migration", &other)),
            }
        }
        if self.page.is_empty()
            && let Some((scope, key)) = self.after.take()
        {
            let answer = calls::ask(self.event, &Call::Walk { scope: &scope, key: &key, limit: PAGE }).await?;
            let Returned::Walked { entries, more } = decode(&answer)? else {
                return Err(refused("a walk through the store", &decode(&answer)?));
            };
            self.page.extend(entries.iter().map(|entry| Entry {
                scope: entry.scope.to_owned(),
                key: entry.key.to_owned(),
                json: entry.value.to_owned(),
                expires_ms: entry.expires_ms,
            }));
            self.after = self.page.back().filter(|_| more).map(|last| (last.scope.clone(), last.key.clone()));
        }
        Ok(self.page.pop_front())
    }

    /// Gives a key another value; it is gone when the old one would have been.
    ///
    /// # Errors
    /// When the value is not JSON, or there are too many changes between two steps: 256, or 256 KiB.
    pub fn put<T: Serialize + ?Sized>(&self, entry: &Entry, value: &T) -> Result<()> {
        let value = serde_json::to_string(value)?;
        self.change(&entry.scope, &entry.key, Some(&value), entry.expires_ms)
    }

    /// Gives a value another key in the same scope.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn rename(&self, entry: &Entry, key: &str) -> Result<()> {
        self.change(&entry.scope, &entry.key, None, 0)?;
        self.change(&entry.scope, key, Some(&entry.json), entry.expires_ms)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn delete(&self, entry: &Entry) -> Result<()> {
        self.change(&entry.scope, &entry.key, None, 0)
    }

    fn change(&self, scope: &str, key: &str, value: Option<&str>, expires_ms: u64) -> Result<()> {
        self.journal.lock().rewrite(&Effect::Rewrite { scope, key, value, expires_ms })
    }
}

impl fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").finish_non_exhaustive()
    }
}
