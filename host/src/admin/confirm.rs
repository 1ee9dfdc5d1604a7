//! Questions that wait for a yes: one for each user in each place, for a while.

use crate::event::{Place, User};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Questions that may wait in all. An admin asks one at a time, and there are few admins.
const MOST: usize = 256;

/// What waits.
#[derive(Debug)]
pub struct Pending<T> {
    questions: Mutex<HashMap<(String, u64), (Instant, T)>>,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { questions: Mutex::default() }
    }
}

impl<T> Pending<T> {
    /// Puts a question, in place of the last one of this user here.
    pub fn ask(&self, user: &User, place: &Place, until: Instant, question: T) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if questions.len() >= MOST {
            let now = Instant::now();
            questions.retain(|_, (until, _)| *until > now);
        }
        questions.insert((user.name.clone(), place.key), (until, question));
    }

    /// The question that this user's yes or no is about, unless its time is over.
    pub fn take(&self, user: &User, place: &Place, now: Instant) -> Option<T> {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, question) = questions.remove(&(user.name.clone(), place.key))?;
        (now < until).then_some(question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Identity;
    use std::time::Duration;

    #[test]
    fn a_question_belongs_to_one_user_in_one_place_for_a_while() {
        let user = |name: &str| User { name: name.into(), identity: Identity::Console };
        let (here, there) = (Place::new("console", "a"), Place::new("console", "b"));
        let (now, soon) = (Instant::now(), Instant::now() + Duration::from_secs(30));
        let pending = Pending::default();
        pending.ask(&user("al"), &here, soon, 1);
        assert_eq!(pending.take(&user("bo"), &here, now), None);
        assert_eq!(pending.take(&user("al"), &there, now), None);
        assert_eq!(pending.take(&user("al"), &here, now), Some(1));
        assert_eq!(pending.take(&user("al"), &here, now), None);
        pending.ask(&user("al"), &here, soon, 2);
        assert_eq!(pending.take(&user("al"), &here, soon), None);
    }
}
