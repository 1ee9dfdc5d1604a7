//! A round: its questions so far, and who has how many points.

use crate::questions::Question;
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::BTreeMap};

/// A round, as the store has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Round {
    /// The number of the open question among all that the channel was asked.
    pub number: u64,
    /// The open question.
    pub question: Question,
    /// Texts of the questions of this round, the open one last.
    asked: Vec<String>,
    length: usize,
    points: BTreeMap<String, u32>,
}

impl Round {
    /// A round with its first question.
    pub fn new(length: usize, number: u64, question: Question) -> Self {
        Self { number, asked: vec![question.text.clone()], question, length, points: BTreeMap::new() }
    }

    /// The round with its next question.
    pub fn with_next(mut self, number: u64, question: Question) -> Self {
        self.asked.push(question.text.clone());
        Self { number, question, ..self }
    }

    /// The questions that may come next; none after the last one.
    pub fn left<'a>(&self, all: &'a [Question]) -> Vec<&'a Question> {
        let is_over = self.asked.len() >= self.length;
        all.iter().filter(|question| !is_over && !self.asked.contains(&question.text)).collect()
    }

    /// Gives a person a point.
    pub fn give_point(&mut self, name: &str) {
        *self.points.entry(name.to_owned()).or_default() += 1;
    }

    /// The open question, with its place in the round.
    pub fn text(&self) -> String {
        format!("Question {} of {}: {}", self.asked.len(), self.length, self.question.text)
    }

    /// Who has how many points, the best first.
    pub fn result(&self) -> String {
        let mut points: Vec<_> = self.points.iter().map(|(name, points)| (Reverse(points), name)).collect();
        points.sort();
        let points: Vec<_> = points.iter().map(|(points, name)| format!("{name} {}", points.0)).collect();
        if points.is_empty() {
            "The round is over.".to_owned()
        } else {
            format!("The round is over: {}.", points.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions;

    #[test]
    fn no_question_comes_twice_and_the_last_ends_the_round() {
        let all = questions::read("a? | 1\nb? | 2\nc? | 3").expect("they are right");
        let round = Round::new(2, 1, all[0].clone());
        assert_eq!((round.text().as_str(), round.left(&all).len()), ("Question 1 of 2: a?", 2));
        let mut round = round.with_next(2, all[2].clone());
        assert_eq!((round.text().as_str(), round.left(&all).len()), ("Question 2 of 2: c?", 0));
        assert_eq!(round.result(), "The round is over.");
        for name in ["bob", "alice", "bob"] {
            round.give_point(name);
        }
        assert_eq!(round.result(), "The round is over: bob 2, alice 1.");
        assert_eq!(Round::new(5, 1, all[0].clone()).with_next(2, all[1].clone()).left(&all), [&all[2]]);
    }
}
