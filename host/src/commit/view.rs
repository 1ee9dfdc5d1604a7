//! What a batch sees of single keys while its transaction is under way: its own changes, else what the plugin used last, else
//! what SQLite has.

use super::values::{Value, Values};
use rustc_hash::FxHashMap;
use std::{borrow::Cow, sync::Arc};

/// The state of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyState<'a> {
    /// The value, as JSON; empty for a key that does not exist.
    pub text: Cow<'a, str>,
    /// The commit that wrote it; 0 for a key that does not exist.
    pub version: u64,
    /// Whether it expires.
    pub expires: bool,
}

type Name<'a> = (&'a Arc<str>, &'a str);

/// What a batch sees.
#[derive(Debug, Default)]
pub(super) struct View<'a> {
    values: Values,
    /// Keys that the batch has read from SQLite or changed.
    own: FxHashMap<Name<'a>, KeyState<'a>>,
    /// What the changes since [`View::begin`] have replaced, in their order.
    before: Vec<(Name<'a>, Option<KeyState<'a>>)>,
    /// Whether [`View::undo`] may follow.
    may_undo: bool,
}

impl<'a> View<'a> {
    /// A view of these values.
    pub fn of(values: &Values) -> Self {
        Self { values: values.clone(), ..Self::default() }
    }

    /// Passes the text and the version of a key to `take`; `get` asks SQLite for them.
    pub fn read<T>(
        &mut self,
        scope: &'a Arc<str>,
        key: &'a str,
        get: impl FnOnce() -> rusqlite::Result<KeyState<'static>>,
        take: impl Fn(&str, u64) -> T,
    ) -> rusqlite::Result<T> {
        if let Some(seen) = self.own.get(&(scope, key)) {
            return Ok(take(&seen.text, seen.version));
        }
        if let Some(taken) = self.values.read(scope, key, |value| take(&value.text, value.version)) {
            return Ok(taken);
        }
        let seen = get()?;
        let taken = take(&seen.text, seen.version);
        self.own.insert((scope, key), seen);
        Ok(taken)
    }

    /// Records the new state of a key.
    pub fn changed(&mut self, scope: &'a Arc<str>, key: &'a str, to: KeyState<'a>) {
        let before = self.own.insert((scope, key), to);
        if self.may_undo {
            self.before.push(((scope, key), before));
        }
    }

    /// Begins a record whose changes may be undone.
    pub fn begin(&mut self) {
        self.before.clear();
        self.may_undo = true;
    }

    /// Undoes the changes since [`View::begin`], as SQLite does.
    pub fn undo(&mut self) {
        for (name, before) in self.before.drain(..).rev() {
            match before {
                Some(before) => self.own.insert(name, before),
                None => self.own.remove(&name),
            };
        }
    }

    /// Keeps what is committed now, for the next batch and for reads. The plugin has this many commits.
    pub fn keep(self, commits: u64) {
        let changes = self.own.into_iter().map(|((scope, key), seen)| {
            let value = (!seen.expires).then(|| Value { text: seen.text.into_owned(), version: seen.version });
            (scope, key, value)
        });
        self.values.change(commits, changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str, version: u64) -> KeyState<'static> {
        KeyState { text: Cow::Owned(text.to_owned()), version, expires: false }
    }

    #[test]
    fn an_undone_record_leaves_what_was_there_before() {
        let scope = Arc::from("");
        let values = Values::default();
        let mut view = View::of(&values);
        view.changed(&scope, "tea", seen("1", 1));
        view.begin();
        view.changed(&scope, "tea", seen("2", 2));
        view.changed(&scope, "tea", seen("3", 2));
        view.changed(&scope, "milk", seen("4", 2));
        view.undo();
        let none = || Ok(KeyState::default());
        let taken = |text: &str, version| (text.to_owned(), version);
        assert_eq!(view.read(&scope, "tea", none, taken), Ok(("1".to_owned(), 1)));
        assert_eq!(view.read(&scope, "milk", none, taken), Ok((String::new(), 0)));
        view.keep(1);
        assert_eq!(values.read("", "tea", |value| value.version), Some(1));
        assert_eq!(values.read("", "milk", |value| value.version), Some(0));
    }

    #[test]
    fn a_value_that_expires_is_not_kept() {
        let scope = Arc::from("");
        let values = Values::default();
        for (expires, kept) in [(false, true), (true, false)] {
            let mut view = View::of(&values);
            view.changed(&scope, "tea", KeyState { expires, ..seen("1", 1) });
            view.keep(1);
            assert_eq!(values.read("", "tea", |_| ()).is_some(), kept);
        }
    }
}
