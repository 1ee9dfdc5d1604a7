//! How often people guessed wrong, in memory: a write into the store for each guess would cost more than the number is worth.

use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The wrong guesses at the last question of each channel.
#[derive(Debug, Default)]
pub struct WrongGuesses(Mutex<HashMap<String, Count>>);

/// The wrong guesses at one question.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Count {
    question: u64,
    guesses: u32,
}

impl WrongGuesses {
    /// By channel, for a reload that hands them over.
    pub fn all(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds guesses at the question with this number, and returns how many there are.
    pub fn add(&self, channel: String, question: u64, more: u32) -> u32 {
        let mut all = self.all();
        let count = all.entry(channel).or_default();
        if count.question != question {
            *count = Count { question, guesses: 0 };
        }
        count.guesses += more;
        count.guesses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_counted_for_one_question() {
        let wrong = WrongGuesses::default();
        let add = |channel: &str, question, more| wrong.add(channel.to_owned(), question, more);
        assert_eq!((add("a", 1, 1), add("a", 1, 1), add("b", 1, 0), add("a", 2, 1)), (1, 2, 0, 1));
    }
}
