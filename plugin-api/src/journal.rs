//! The reads and changes of one event, or of one transaction. They are recorded here while the handler runs and travel
//! with the answer, so a handler that fails has changed nothing.

use crate::{Error, Result};
use rosey_wire::{
    effect::{Effect, Effects, Read, Scope},
    frame::{decode, pack},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

/// Changes, and reads, that one event or transaction may have.
pub(crate) const MOST: usize = 256;
/// Bytes of all changes of one event or transaction.
pub(crate) const MOST_BYTES: usize = 256 << 10;
/// Bytes of all values that one event or transaction may read by key. They are kept, so that a second read returns the
/// same value.
const MOST_READ: usize = 4 << 20;

/// The most bytes of what a migration changes between two steps of a walk.
const MOST_REWRITTEN: usize = 1 << 20;

/// A journal that exists once something is recorded, so that most events have none.
#[derive(Default)]
pub(crate) struct LazyJournal(OnceLock<Box<Mutex<Journal>>>);

impl LazyJournal {
    /// The journal, locked. Do not hold it over an `await`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal, if something was recorded.
    pub(crate) fn into_inner(self) -> Option<Box<Mutex<Journal>>> {
        self.0.into_inner()
    }
}

/// Reads and changes, in order.
#[derive(Default)]
pub(crate) struct Journal {
    keys: Vec<SeenKey>,
    prefixes: Vec<SeenPrefix>,
    /// Each is an encoded [`Effect`], so that its bytes are known and it is encoded only once.
    changes: Vec<Vec<u8>>,
    change_bytes: usize,
    /// What a migration changes in any scope, likewise.
    rewrites: Vec<Vec<u8>>,
    rewrite_bytes: usize,
    read_bytes: usize,
}

struct SeenKey {
    scope: Scope,
    key: String,
    version: u64,
    value: Option<String>,
}

struct SeenPrefix {
    scope: Scope,
    prefix: String,
    count: u64,
    version: u64,
}

impl Journal {
    /// Records a change.
    pub(crate) fn change(&mut self, effect: &Effect<'_>) -> Result<()> {
        let packed = pack(effect)?;
        self.change_bytes = room("changes", self.changes.len(), self.change_bytes + packed.len(), MOST_BYTES)?;
        self.changes.push(packed);
        Ok(())
    }

    /// Notes a change of a migration.
    pub(crate) fn rewrite(&mut self, effect: &Effect<'_>) -> Result<()> {
        let packed = pack(effect)?;
        let bytes = self.rewrite_bytes + packed.len();
        self.rewrite_bytes = room("changes", self.rewrites.len(), bytes, MOST_REWRITTEN)?;
        self.rewrites.push(packed);
        Ok(())
    }

    /// Encoded [`Effects`] of a migration so far, when they are worth a message to the host.
    pub(crate) fn take_rewrites(&mut self) -> Result<Option<Vec<u8>>> {
        if self.rewrites.len() < MOST / 2 && self.rewrite_bytes < MOST_BYTES {
            return Ok(None);
        }
        let rewrites = std::mem::take(&mut self.rewrites);
        self.rewrite_bytes = 0;
        let effects = Effects { reads: Vec::new(), changes: decoded(&rewrites).collect() };
        Ok(Some(pack(&effects)?))
    }

    /// Records the value of a key. Reads are repeatable: the first value counts.
    pub(crate) fn saw_key(&mut self, scope: Scope, key: &str, version: u64, value: Option<&str>) -> Result<()> {
        let bytes = key.len() + value.map_or(0, str::len);
        self.read_bytes = room("reads", self.reads(), self.read_bytes + bytes, MOST_READ)?;
        self.keys.push(SeenKey { scope, key: key.to_owned(), version, value: value.map(str::to_owned) });
        Ok(())
    }

    /// Records how many keys have a prefix, and the highest version among them.
    pub(crate) fn saw_prefix(&mut self, scope: Scope, prefix: &str, count: u64, version: u64) -> Result<()> {
        let known = |seen: &SeenPrefix| {
            (seen.scope, seen.prefix.as_str(), seen.count, seen.version) == (scope, prefix, count, version)
        };
        if !self.prefixes.iter().any(known) {
            self.read_bytes = room("reads", self.reads(), self.read_bytes + prefix.len(), MOST_READ)?;
            self.prefixes.push(SeenPrefix { scope, prefix: prefix.to_owned(), count, version });
        }
        Ok(())
    }

    /// The stored value of a key before this event's changes, as far as it is known and matters. `None` when the host
    /// must be asked.
    pub(crate) fn base(&self, scope: Scope, key: &str) -> Option<Option<String>> {
        let decides = |effect: Effect<'_>| match effect {
            Effect::Put { scope: s, key: k, .. } | Effect::Delete { scope: s, key: k } => (s, k) == (scope, key),
            _ => false,
        };
        if self.effects().any(decides) {
            return Some(None);
        }
        self.keys.iter().find(|seen| seen.scope == scope && seen.key == key).map(|seen| seen.value.clone())
    }

    /// Applies this event's changes to `values`, for keys of `scope` that `covers` accepts.
    pub(crate) fn apply(
        &self,
        scope: Scope,
        values: &mut BTreeMap<String, String>,
        covers: impl Fn(&str) -> bool,
    ) -> Result<()> {
        for effect in self.effects() {
            match effect {
                Effect::Put { scope: s, key, value, .. } if s == scope && covers(key) => {
                    values.insert(key.to_owned(), value.to_owned());
                }
                Effect::Delete { scope: s, key } if s == scope && covers(key) => {
                    values.remove(key);
                }
                Effect::Add { scope: s, key, by } if s == scope && covers(key) => {
                    let sum = sum(key, values.get(key).map(String::as_str), by).map_err(Error::internal)?;
                    values.insert(key.to_owned(), sum);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Encoded [`Effects`]; `None` without reads and changes.
    pub(crate) fn pack(&self) -> Result<Option<Vec<u8>>> {
        if self.changes.is_empty() && self.rewrites.is_empty() && self.reads() == 0 {
            return Ok(None);
        }
        let keys = self.keys.iter().map(|seen| Read::Key { scope: seen.scope, key: &seen.key, version: seen.version });
        let prefixes = self.prefixes.iter().map(|seen| Read::Prefix {
            scope: seen.scope,
            prefix: &seen.prefix,
            count: seen.count,
            version: seen.version,
        });
        let effects = Effects {
            reads: keys.chain(prefixes).collect(),
            changes: decoded(&self.rewrites).chain(self.effects()).collect(),
        };
        Ok(Some(pack(&effects)?))
    }

    fn reads(&self) -> usize {
        self.keys.len() + self.prefixes.len()
    }

    fn effects(&self) -> impl Iterator<Item = Effect<'_>> {
        decoded(&self.changes)
    }
}

fn decoded(packed: &[Vec<u8>]) -> impl Iterator<Item = Effect<'_>> {
    packed.iter().map(|packed| decode(packed).expect("the journal has encoded it"))
}

/// The bytes with one more entry; an error when there is no room for it.
fn room(what: &str, count: usize, bytes: usize, most: usize) -> Result<usize> {
    if count >= MOST {
        return Err(Error::internal(format!("an event may have at most {MOST} {what}")));
    }
    if bytes > most {
        let text = format!("the {what} of an event may have at most {} KiB together", most >> 10);
        return Err(Error::internal(text));
    }
    Ok(bytes)
}

/// The sum of a stored number and `by`.
pub(crate) fn sum(key: &str, value: Option<&str>, by: i64) -> Result<String, String> {
    let before = match value {
        None => 0,
        Some(text) => text.parse::<i64>().map_err(|_| format!("the value of {key:?} is no whole number to add to"))?,
    };
    let sum = before.checked_add(by).ok_or_else(|| format!("the sum of {key:?} is beyond an i64"))?;
    Ok(sum.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put<'a>(key: &'a str, value: &'a str) -> Effect<'a> {
        Effect::Put { scope: Scope::Global, key, value, ttl_ms: 0 }
    }

    #[test]
    fn an_event_has_room_for_so_many_changes_and_no_more() {
        let mut journal = Journal::default();
        for _ in 0..MOST {
            journal.change(&put("k", "1")).expect("there is room");
        }
        let error = journal.change(&put("k", "1")).expect_err("it is full");
        assert_eq!(error.detail(), "an event may have at most 256 changes");

        let mut journal = Journal::default();
        let error = journal.change(&put("k", &"x".repeat(MOST_BYTES))).expect_err("it is too long");
        assert_eq!(error.detail(), "the changes of an event may have at most 256 KiB together");
        assert!(journal.pack().expect("it is empty").is_none());
    }

    #[test]
    fn later_changes_go_over_earlier_ones() {
        let mut journal = Journal::default();
        let add = |by| Effect::Add { scope: Scope::Global, key: "n", by };
        journal.change(&add(2)).expect("there is room");
        assert_eq!(journal.base(Scope::Global, "n"), None, "a sum needs what it is added to");
        journal.saw_key(Scope::Global, "n", 3, Some("40")).expect("there is room");
        let value = |journal: &Journal| {
            let base = journal.base(Scope::Global, "n").expect("it was read");
            let mut values: BTreeMap<_, _> = base.map(|base| ("n".to_owned(), base)).into_iter().collect();
            journal.apply(Scope::Global, &mut values, |key| key == "n").expect("they are numbers");
            values.remove("n")
        };
        assert_eq!(value(&journal).as_deref(), Some("42"));
        journal.change(&put("n", "7")).expect("there is room");
        journal.change(&add(1)).expect("there is room");
        assert_eq!(value(&journal).as_deref(), Some("8"));
        journal.change(&Effect::Delete { scope: Scope::Global, key: "n" }).expect("there is room");
        assert_eq!(value(&journal), None);
    }
}
