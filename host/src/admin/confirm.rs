//! Questions that wait for a yes: one for each person, in the place where it was put.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// What waits. How long is up to whoever asks, with [`Pending::expire`].
#[derive(Debug)]
pub struct Pending<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    next: u64,
    waiting: HashMap<String, Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    place: u64,
    question: T,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { next: 0, waiting: HashMap::new() }) }
    }
}

impl<T> Pending<T> {
    /// Puts a question in place of this person's last one, wherever that was. Returns the number of the new one, and the
    /// old one if it was still waiting.
    pub fn ask(&self, who: String, place: u64, question: T) -> (u64, Option<T>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.next += 1;
        let number = inner.next;
        let replaced = inner.waiting.insert(who, Waiting { number, place, question });
        (number, replaced.map(|waiting| waiting.question))
    }

    /// The question that this person's yes or no is about. Whoever gets it is the only one.
    pub fn take(&self, who: &str, place: u64) -> Option<T> {
        self.remove_if(who, |waiting| waiting.place == place)
    }

    /// The question with this number, if it still waits: its time is over.
    pub fn expire(&self, who: &str, number: u64) -> Option<T> {
        self.remove_if(who, |waiting| waiting.number == number)
    }

    fn remove_if(&self, who: &str, is_it: impl FnOnce(&Waiting<T>) -> bool) -> Option<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.get(who).is_some_and(is_it).then(|| inner.waiting.remove(who))?.map(|waiting| waiting.question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_belongs_to_one_person_in_one_place() {
        let (pending, here, there) = (Pending::default(), 1, 2);
        pending.ask("al".into(), here, "q");
        assert_eq!(pending.take("bo", here), None);
        assert_eq!(pending.take("al", there), None);
        assert_eq!(pending.take("al", here), Some("q"));
        assert_eq!(pending.take("al", here), None);
    }

    #[test]
    fn two_admins_do_not_answer_for_each_other() {
        let (pending, here) = (Pending::default(), 1);
        pending.ask("al".into(), here, "al's");
        pending.ask("bo".into(), here, "bo's");
        assert_eq!(pending.take("bo", here), Some("bo's"));
        assert_eq!(pending.take("al", here), Some("al's"));
    }

    #[test]
    fn a_new_question_replaces_the_old_one_and_only_the_newest_expires() {
        let pending = Pending::default();
        let (first, none) = pending.ask("al".into(), 1, "first");
        let (second, replaced) = pending.ask("al".into(), 2, "second");
        assert_eq!((none, replaced), (None, Some("first")));
        assert_eq!(pending.take("al", 1), None);
        assert_eq!(pending.expire("al", first), None);
        assert_eq!(pending.expire("al", second), Some("second"));
        assert_eq!(pending.take("al", 2), None);
    }
}
