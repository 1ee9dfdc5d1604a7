//! A person who talks all the time: each line has a number, and its answer is that number or a refusal.

use crate::bot::Bot;
use std::{collections::BTreeSet, process::Child};

/// Lines that may wait for their answers.
const MOST_WAITING: u64 = 20;

/// The lines that were said, and what came back.
#[derive(Debug, Default)]
pub struct Talk {
    said: u64,
    answered: u64,
    numbers: BTreeSet<u64>,
}

impl Talk {
    /// Talks until a command of the shell ends.
    ///
    /// # Panics
    /// When an answer is wrong.
    pub fn until(&mut self, bot: &mut Bot, command: &mut Child) {
        while command.try_wait().expect("ours").is_none() {
            self.say(bot);
        }
    }

    /// Says a line. When many wait for their answers, waits for one.
    ///
    /// # Panics
    /// When an answer is wrong.
    pub fn say(&mut self, bot: &mut Bot) {
        self.said += 1;
        bot.say(&format!("!echo {}", self.said));
        if self.said - self.answered >= MOST_WAITING {
            self.hear(bot);
        }
    }

    /// Waits for all answers, and returns how many lines were echoed, and how many refused.
    ///
    /// # Panics
    /// When an answer is wrong, or does not come.
    pub fn finish(&mut self, bot: &Bot) -> (usize, usize) {
        while self.answered < self.said {
            self.hear(bot);
        }
        let refused = usize::try_from(self.said).expect("a count") - self.numbers.len();
        (self.numbers.len(), refused)
    }

    fn hear(&mut self, bot: &Bot) {
        let line = bot.answer();
        self.answered += 1;
        match line.parse() {
            Ok(number) => assert!(self.numbers.insert(number), "{number} is answered twice\n{}", bot.log()),
            Err(_) => {
                let is_refusal = line.contains("no such command") || line.contains("misbehave is ");
                assert!(is_refusal, "{line}\n{}", bot.log());
            }
        }
    }
}
