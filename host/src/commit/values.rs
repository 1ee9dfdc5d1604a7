//! The values that a plugin used last, as they are stored, so that neither a read nor a commit has to ask SQLite for them.
//!
//! The slot reads from it, and the thread that writes the store keeps it up to date. The number of a plugin's commits tells
//! whether it is valid: everything that changes a store raises that number (`import`, `delete`, `migrate`, `put_back`).
//! Values that expire are never in it.

use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most keys that are held for a plugin. With one more it begins again, empty.
const MOST_KEYS: usize = 1024;

/// Most bytes of keys and values that are held for a plugin, likewise.
const MOST_BYTES: usize = 256 << 10;

/// The values that one plugin used last. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Values(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// The number of the plugin's commits that this is the state after.
    commits: u64,
    /// How often it was emptied.
    emptied: u64,
    scopes: FxHashMap<Arc<str>, FxHashMap<Box<str>, Value>>,
    keys: usize,
    bytes: usize,
}

/// The state of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    /// The value, as JSON; empty for a key that does not exist.
    pub text: String,
    /// The commit that wrote it; 0 for a key that does not exist.
    pub version: u64,
}

/// A moment in the life of [`Values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(u64);

impl Values {
    /// Passes the state of a key to `take`, if it is known.
    pub fn read<T>(&self, scope: &str, key: &str, take: impl FnOnce(&Value) -> T) -> Option<T> {
        self.held().scopes.get(scope)?.get(key).map(take)
    }

    /// The present moment, for [`Values::learn`].
    pub fn moment(&self) -> Moment {
        Moment(self.held().emptied)
    }

    /// Adds what a read found that began at this moment. A later state, which a commit has left, stays.
    pub fn learn(&self, since: Moment, scope: &Arc<str>, key: &str, value: Value) {
        let mut held = self.held();
        let is_known = held.scopes.get(scope).is_some_and(|keys| keys.contains_key(key));
        if held.emptied == since.0 && !is_known {
            held.put(scope, key, value);
        }
    }

    /// Empties it, unless it is the state after this many commits.
    pub(super) fn must_be_after(&self, commits: u64) {
        let mut held = self.held();
        if held.commits != commits {
            held.empty();
            held.commits = commits;
        }
    }

    /// Takes the changes of a batch, after which the plugin has this many commits. `None` stands for a state that may not
    /// be held.
    pub(super) fn change<'a>(
        &self,
        commits: u64,
        changes: impl Iterator<Item = (&'a Arc<str>, &'a str, Option<Value>)>,
    ) {
        let mut held = self.held();
        held.commits = commits;
        for (scope, key, value) in changes {
            match value {
                Some(value) => held.put(scope, key, value),
                None => held.remove(scope, key),
            }
        }
    }

    /// Forgets everything: it may not be what is stored.
    pub fn forget(&self) {
        self.held().empty();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn put(&mut self, scope: &Arc<str>, key: &str, value: Value) {
        let size = key.len() + value.text.len();
        if let Some(known) = self.scopes.get_mut(scope).and_then(|keys| keys.get_mut(key)) {
            self.bytes = self.bytes + value.text.len() - known.text.len();
            *known = value;
        } else {
            self.keys += 1;
            self.bytes += size;
            self.scopes.entry(Arc::clone(scope)).or_default().insert(key.into(), value);
        }
        if self.keys > MOST_KEYS || self.bytes > MOST_BYTES {
            self.empty();
        }
    }

    fn remove(&mut self, scope: &str, key: &str) {
        if let Some(keys) = self.scopes.get_mut(scope)
            && let Some(value) = keys.remove(key)
        {
            self.keys -= 1;
            self.bytes -= key.len() + value.text.len();
        }
    }

    fn empty(&mut self) {
        self.emptied += 1;
        self.scopes.clear();
        (self.keys, self.bytes) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, version: u64) -> Value {
        Value { text: text.to_owned(), version }
    }

    #[test]
    fn a_read_that_was_overtaken_by_a_commit_changes_nothing() {
        let (values, scope) = (Values::default(), Arc::from("user al"));
        let since = values.moment();
        values.change(7, [(&scope, "tea", Some(value("2", 7)))].into_iter());
        values.learn(since, &scope, "tea", value("1", 3));
        assert_eq!(values.read("user al", "tea", Value::clone), Some(value("2", 7)));
        // A commit may have left a state that was forgotten since.
        values.forget();
        values.learn(since, &scope, "tea", value("1", 3));
        assert_eq!(values.read("user al", "tea", Value::clone), None);
        values.learn(values.moment(), &scope, "tea", value("2", 7));
        assert_eq!(values.read("user al", "tea", |it| it.version), Some(7));
    }

    #[test]
    fn what_others_have_committed_empties_it() {
        let (values, scope) = (Values::default(), Arc::from(""));
        values.change(7, [(&scope, "tea", Some(value("2", 7)))].into_iter());
        values.must_be_after(7);
        assert!(values.read("", "tea", |_| ()).is_some());
        values.must_be_after(8);
        assert!(values.read("", "tea", |_| ()).is_none());
    }

    #[test]
    fn it_is_bounded() {
        let (values, scope) = (Values::default(), Arc::from(""));
        for n in 0..3 * MOST_KEYS {
            values.change(1, [(&scope, n.to_string().as_str(), Some(Value::default()))].into_iter());
            assert!(values.held().keys <= MOST_KEYS);
        }
        values.change(1, [(&scope, "long", Some(value(&"x".repeat(MOST_BYTES), 1)))].into_iter());
        let held = values.held();
        assert_eq!((held.keys, held.bytes, held.scopes.len()), (0, 0, 0));
    }
}
