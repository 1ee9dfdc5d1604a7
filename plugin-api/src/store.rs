//! The store: values under keys that a plugin keeps in the host's database. It belongs to the plugin's name, so reloads,
//! rollbacks, crashes and restarts do not change it.
//!
//! ```
//! use plugin_api::prelude::*;
//!
//! #[derive(Default)]
//! struct Karma;
//!
//! #[plugin]
//! impl Karma {
//!     /// Thank a person: `!thank bob`
//!     #[command]
//!     async fn thank(&self, cx: &Context, whom: String) -> Result<String> {
//!         let thanks: u32 = cx.store().channel().get(&whom).await?.unwrap_or(0) + 1;
//!         cx.store().channel().put(&whom, &thanks)?;
//!         Ok(format!("{whom} was thanked {thanks} times."))
//!     }
//! }
//! ```
//!
//! The host applies all changes of a handler together with its answer, before the user sees the answer, or none: a handler
//! that fails, panics or dies with its process has changed nothing. The host also checks what the handler read. If another
//! event changed that meanwhile, the handler runs again from the start, at most three times in all, and then the event fails.
//! So two events cannot both count from 7 to 8. Within one event, a read sees the changes made before it.
//!
//! Every handler can change values. Only an `async fn` can read them, because the host answers a read.
//!
//! ```
//! use plugin_api::{
//!     prelude::*,
//!     store::{Page, Store},
//!     testing::Bot,
//! };
//! use std::time::Duration;
//!
//! #[derive(Default)]
//! struct Quotes;
//!
//! async fn all(store: Store<'_>) -> Result<Vec<String>> {
//!     let (mut quotes, mut after) = (Vec::new(), String::new());
//!     loop {
//!         let Page { entries, next } = store.list::<String>("quote/", 100, &after).await?;
//!         quotes.extend(entries.into_iter().map(|(_, quote)| quote));
//!         match next {
//!             Some(next) => after = next,
//!             None => return Ok(quotes),
//!         }
//!     }
//! }
//!
//! #[plugin]
//! impl Quotes {
//!     /// Keep a quote, for a day: `!keep tea is ready`
//!     #[command]
//!     async fn keep(&self, cx: &Context, quote: String) -> Result<String> {
//!         cx.store().put_for(&format!("quote/{}", cx.event()), &quote, Duration::from_secs(86_400))?;
//!         cx.store().member().add("kept", 1)?;
//!         Ok(all(cx.store()).await?.join(" · "))
//!     }
//!
//!     /// Forget how often a person kept something: `!forget`
//!     #[command]
//!     fn forget(&self, cx: &Context) -> Result<()> {
//!         cx.store().member().delete("kept")
//!     }
//! }
//!
//! let bot = Bot::<Quotes>::new();
//! assert_eq!(bot.say("!keep tea is ready").reply(), "tea is ready");
//! ```

use crate::{Error, Result, abi::calls, journal::LazyJournal, walk::Walk};
use rosey_wire::{
    call::{Call, Returned},
    effect::{Effect, Effects, Scope},
    frame::decode,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt, time::Duration};

/// The store in one scope. [`Context::store`](crate::Context::store) is the global scope, the same in every event.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    journal: &'a LazyJournal,
    event: u64,
    scope: Scope,
}

/// Keys of a page that a plugin does not see: as many as the host gives.
const PAGE: u32 = 1000;

/// Some of the values, in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Keys and values, in the order of the keys.
    pub entries: Vec<(String, T)>,
    /// The `after` of the next page; `None` when this is the last page.
    pub next: Option<String>,
}

impl<'a> Store<'a> {
    pub(crate) fn new(journal: &'a LazyJournal, event: u64) -> Self {
        Self { journal, event, scope: Scope::Global }
    }

    /// The values of the event's channel.
    #[must_use]
    pub fn channel(self) -> Self {
        Self { scope: Scope::Channel, ..self }
    }

    /// The values of the event's person: of the account if the network has verified one, else of the nick on that
    /// network.
    #[must_use]
    pub fn user(self) -> Self {
        Self { scope: Scope::User, ..self }
    }

    /// The values of the event's person in the event's channel.
    #[must_use]
    pub fn member(self) -> Self {
        Self { scope: Scope::Member, ..self }
    }

    /// A way through all keys of all scopes. For `#[migrate]`; the host refuses it elsewhere.
    pub fn walk(&self) -> Walk<'a> {
        Walk::new(self.journal, self.event)
    }

    /// Reads the value of a key; `None` if there is none. Asks the host at the first read of a key; later reads in the
    /// same event return the same value, with this event's own changes.
    ///
    /// Dropping the future withdraws the read.
    ///
    /// # Errors
    /// When the value is not a `T`, when the event reads more than 256 keys or 4 MiB, and when the host cannot read the
    /// value.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let known = self.journal.lock().base(self.scope, key);
        let base = match known {
            Some(base) => base,
            None => self.read(key).await?,
        };
        let mut values: BTreeMap<_, _> = base.map(|base| (key.to_owned(), base)).into_iter().collect();
        self.journal.lock().apply(self.scope, &mut values, |it| it == key)?;
        values.get(key).map(|value| parse(key, value)).transpose()
    }

    /// Reads keys with the prefix `prefix` and their values, at most `limit` of them. The host gives at most 1,000 keys
    /// and 1 MiB a page. `after` is empty for the first page, and then [`Page::next`].
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn list<T: DeserializeOwned>(&self, prefix: &str, limit: u32, after: &str) -> Result<Page<T>> {
        let call = Call::List { scope: self.scope, prefix, limit, after };
        let answer = calls::ask(self.event, &call).await?;
        let (entries, more) = match decode(&answer)? {
            Returned::Page { entries, more, count, version } => {
                self.journal.lock().saw_prefix(self.scope, prefix, count, version)?;
                (entries, more)
            }
            other => return Err(refused(&format!("listing {prefix:?}"), &other)),
        };
        let end = entries.last().filter(|_| more).map(|(key, _)| (*key).to_owned());
        let mut values: BTreeMap<_, _> =
            entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let within = |key: &str| key.starts_with(prefix) && key > after && end.as_deref().is_none_or(|end| key <= end);
        self.journal.lock().apply(self.scope, &mut values, within)?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let cut = values.len() > most;
        let mut page = Page { entries: Vec::with_capacity(values.len().min(most)), next: None };
        for (key, value) in values.into_iter().take(most) {
            let value = parse(&key, &value)?;
            page.entries.push((key, value));
        }
        page.next = if cut { page.entries.last().map(|(key, _)| key.clone()) } else { end };
        Ok(page)
    }

    /// Reads all keys with the prefix `prefix` in the order of the keys, page by page, and gives each to `visit`: the key
    /// without the prefix, and the value. So a plugin finds the highest of many values without all of them in memory.
    ///
    /// ```
    /// use plugin_api::{prelude::*, testing::Bot};
    ///
    /// #[derive(Default)]
    /// struct Scores;
    ///
    /// #[plugin]
    /// impl Scores {
    ///     /// Score a point: `!score`
    ///     #[command]
    ///     fn score(&self, cx: &Context) -> Result<()> {
    ///         cx.store().channel().add(&format!("score/{}", cx.user()), 1)
    ///     }
    ///
    ///     /// Add all points up: `!sum`
    ///     #[command]
    ///     async fn sum(&self, cx: &Context) -> Result<String> {
    ///         let mut sum = 0;
    ///         cx.store().channel().for_each("score/", |_name, points: i64| sum += points).await?;
    ///         Ok(sum.to_string())
    ///     }
    /// }
    ///
    /// let bot = Bot::<Scores>::new();
    /// bot.say("!score");
    /// bot.person("bob").say("!score");
    /// assert_eq!(bot.say("!sum").text(), "2");
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get). All pages count as one read.
    pub async fn for_each<T: DeserializeOwned>(&self, prefix: &str, mut visit: impl FnMut(&str, T)) -> Result<()> {
        let mut after = Some(String::new());
        while let Some(from) = after {
            let page = self.list(prefix, PAGE, &from).await?;
            page.entries.into_iter().for_each(|(key, value)| visit(&key[prefix.len()..], value));
            after = page.next;
        }
        Ok(())
    }

    /// Stores a value as JSON, in place of the present one. A key has 1 to 256 bytes, and a value at most 256 KiB as
    /// JSON.
    ///
    /// # Errors
    /// When the value is not JSON, or the event has too many changes (256, or 256 KiB together). A key or value over
    /// its limit, or a store over its quota (`limits.store_keys`, `limits.store_bytes`), fails the event when it ends.
    pub fn put<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        self.put_ms(key, value, 0)
    }

    /// Stores a value that expires after `ttl`. The store counts whole milliseconds, at least one.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_for<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: Duration) -> Result<()> {
        self.put_ms(key, value, millis(ttl).max(1))
    }

    /// Removes a value. A missing value is no error.
    ///
    /// # Errors
    /// When the event has too many changes (256, or 256 KiB together).
    pub fn delete(&self, key: &str) -> Result<()> {
        self.journal.lock().change(&Effect::Delete { scope: self.scope, key })
    }

    /// Adds to a whole number; a missing value counts as 0. An addition reads nothing, so it never conflicts with
    /// another event.
    ///
    /// # Errors
    /// When the event has too many changes (256, or 256 KiB together). A value that is no whole number, or a sum that
    /// does not fit an `i64`, fails the event when it ends.
    pub fn add(&self, key: &str, by: i64) -> Result<()> {
        self.journal.lock().change(&Effect::Add { scope: self.scope, key, by })
    }

    fn put_ms<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl_ms: u64) -> Result<()> {
        let value = serde_json::to_string(value)?;
        self.journal.lock().change(&Effect::Put { scope: self.scope, key, value: &value, ttl_ms })
    }

    async fn read(&self, key: &str) -> Result<Option<String>> {
        let answer = calls::ask(self.event, &Call::Get { scope: self.scope, key }).await?;
        match decode(&answer)? {
            Returned::Value { version, value } => {
                let value = Some(value).filter(|_| version != 0);
                self.journal.lock().saw_key(self.scope, key, version, value)?;
                Ok(value.map(str::to_owned))
            }
            other => Err(refused(&format!("reading {key:?}"), &other)),
        }
    }
}

impl fmt::Debug for Store<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Begins a transaction outside of an event, for a task that the plugin spawned.
///
/// ```no_run
/// # async fn poll() -> plugin_api::Result<()> {
/// let transaction = plugin_api::background();
/// let polls: u64 = transaction.get("polls").await?.unwrap_or(0);
/// transaction.put("polls", &(polls + 1))?;
/// transaction.commit().await?;
/// # Ok(()) }
/// ```
pub fn background() -> Transaction {
    Transaction::default()
}

/// Reads and changes outside of an event. [`commit`](Self::commit) applies all changes or none; dropping the
/// transaction applies none. It has only the global scope, because there is no channel and no person. The limits are
/// those of an event.
///
/// ```no_run
/// use plugin_api::store::{Committed, Transaction};
/// use std::time::Duration;
///
/// # async fn renew() -> plugin_api::Result<()> {
/// loop {
///     let transaction: Transaction = plugin_api::background();
///     for (key, _) in transaction.list::<String>("old/", 100, "").await?.entries {
///         transaction.delete(&key)?;
///     }
///     transaction.add("renewals", 1)?;
///     transaction.put_for("price", &"3.20", Duration::from_secs(600))?;
///     if transaction.commit().await? == Committed::Applied {
///         return Ok(());
///     }
/// }
/// # }
/// ```
#[derive(Default)]
pub struct Transaction {
    journal: LazyJournal,
}

/// How a transaction ended.
///
/// ```no_run
/// # async fn count() -> plugin_api::Result<()> {
/// use plugin_api::store::Committed;
///
/// let transaction = plugin_api::background();
/// transaction.add("polls", 1)?;
/// assert_eq!(transaction.commit().await?, Committed::Applied);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after a conflict nothing has changed: begin the transaction again"]
pub enum Committed {
    /// The changes are applied and durable.
    Applied,
    /// Another event changed a value that the transaction read, so nothing was applied. Begin again.
    Conflict,
}

impl Transaction {
    fn store(&self) -> Store<'_> {
        Store::new(&self.journal, 0)
    }

    /// As [`Store::get`].
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.store().get(key).await
    }

    /// As [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list<T: DeserializeOwned>(&self, prefix: &str, limit: u32, after: &str) -> Result<Page<T>> {
        self.store().list(prefix, limit, after).await
    }

    /// As [`Store::put`].
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn put<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        self.store().put(key, value)
    }

    /// As [`Store::put_for`].
    ///
    /// # Errors
    /// As [`Store::put_for`].
    pub fn put_for<T: Serialize + ?Sized>(&self, key: &str, value: &T, ttl: Duration) -> Result<()> {
        self.store().put_for(key, value, ttl)
    }

    /// As [`Store::delete`].
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub fn delete(&self, key: &str) -> Result<()> {
        self.store().delete(key)
    }

    /// As [`Store::add`].
    ///
    /// # Errors
    /// As [`Store::add`].
    pub fn add(&self, key: &str, by: i64) -> Result<()> {
        self.store().add(key, by)
    }

    /// Applies the changes, all or none, and returns when they are durable. Dropping the future before it returns
    /// leaves open whether they are applied.
    ///
    /// # Errors
    /// When the host cannot apply them, or does not answer within 30 s. After 30 s they may be applied or not.
    pub async fn commit(self) -> Result<Committed> {
        let Some(effects) = self.journal.lock().pack()? else {
            return Ok(Committed::Applied);
        };
        let effects: Effects<'_> = decode(&effects)?;
        let answer = calls::ask(0, &Call::Transaction(effects)).await?;
        match decode(&answer)? {
            Returned::Done => Ok(Committed::Applied),
            Returned::Conflict => Ok(Committed::Conflict),
            other => Err(refused("a transaction", &other)),
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// The error for a host that has not done `what`.
pub(crate) fn refused(what: &str, answer: &Returned<'_>) -> Error {
    match answer {
        Returned::Failed(why) => Error::internal(format!("{what}: {why}")),
        _ => Error::internal(format!("{what}: the host answered another call")),
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn parse<T: DeserializeOwned>(key: &str, value: &str) -> Result<T> {
    serde_json::from_str(value).map_err(|error| {
        Error::internal(format!("the value of {key:?} has another type than the plugin reads: {error}"))
    })
}
