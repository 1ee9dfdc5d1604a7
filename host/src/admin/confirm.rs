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
    /// Where the last question of somebody expired, until they have read so once more. As many as ask.
    expired: HashMap<String, u64>,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    place: u64,
    question: T,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { next: 0, waiting: HashMap::new(), expired: HashMap::new() }) }
    }
}

impl<T> Pending<T> {
    /// Puts a question in place of this person's last one, wherever that was. Returns the number of the new one, and the
    /// old one if it was still waiting.
    pub fn ask(&self, who: String, place: u64, question: T) -> (u64, Option<T>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.next += 1;
        let number = inner.next;
        inner.expired.remove(&who);
        let replaced = inner.waiting.insert(who, Waiting { number, place, question });
        (number, replaced.map(|waiting| waiting.question))
    }

    /// The question that this person's yes or no is about. Whoever gets it is the only one.
    pub fn take(&self, who: &str, place: u64) -> Option<T> {
        self.remove_if(who, |waiting| waiting.place == place)
    }

    /// This person's question, wherever it was put: they want something else now.
    pub fn withdraw(&self, who: &str) -> Option<T> {
        self.remove_if(who, |_| true)
    }

    /// The question with this number, if it still waits: its time is over.
    pub fn expire(&self, who: &str, number: u64) -> Option<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let place = inner.waiting.get(who).filter(|waiting| waiting.number == number)?.place;
        inner.expired.insert(who.to_owned(), place);
        inner.waiting.remove(who).map(|waiting| waiting.question)
    }

    /// Whether the last question that this person had here expired. True once: what they say next is talk again.
    pub fn came_late(&self, who: &str, place: u64) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let here = inner.expired.get(who) == Some(&place);
        if here {
            inner.expired.remove(who);
        }
        here
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
        assert!(!pending.came_late("al", 1) && pending.came_late("al", 2) && !pending.came_late("al", 2));
    }

    #[test]
    fn a_question_is_withdrawn_wherever_it_was_put() {
        let pending = Pending::default();
        pending.ask("al".into(), 1, "q");
        assert_eq!((pending.withdraw("bo"), pending.withdraw("al")), (None, Some("q")));
        assert_eq!(pending.take("al", 1), None);
        assert!(!pending.came_late("al", 1));
    }
}
