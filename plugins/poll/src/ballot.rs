//! A question with its options, as people type it: `Where do we eat? pizza, sushi or soup`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The most options. More would not fit a line of chat.
const MOST: usize = 9;

/// The longest option, in characters.
const LONGEST: usize = 60;

/// The longest question, in characters.
const LONGEST_QUESTION: usize = 200;

/// A question, its options, and how many people chose each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    pub question: String,
    pub options: Vec<String>,
    pub votes: Vec<u32>,
}

/// Why a text is no ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BallotError {
    NoQuestion,
    OneOption,
    TooMany,
    Twice,
    TooLong,
}

impl fmt::Display for BallotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoQuestion => write!(f, "A poll begins with a question and a question mark"),
            Self::OneOption => write!(f, "A poll needs two options, with a comma or \"or\" between them"),
            Self::TooMany => write!(f, "A poll has at most {MOST} options"),
            Self::Twice => write!(f, "An option is there twice"),
            Self::TooLong => {
                write!(f, "A question has at most {LONGEST_QUESTION} characters, and an option at most {LONGEST}")
            }
        }
    }
}

impl FromStr for Ballot {
    type Err = BallotError;

    /// Options end at commas and at `or`. Without any, they are yes and no.
    fn from_str(text: &str) -> Result<Self, BallotError> {
        let (question, options) = text.split_once('?').ok_or(BallotError::NoQuestion)?;
        let question = format!("{}?", joined(question));
        let options = split(options);
        let options = if options.is_empty() { vec!["yes".to_owned(), "no".to_owned()] } else { options };
        if question.len() < 2 {
            return Err(BallotError::NoQuestion);
        }
        let is_long = |text: &String, most| text.chars().count() > most;
        if is_long(&question, LONGEST_QUESTION) || options.iter().any(|option| is_long(option, LONGEST)) {
            return Err(BallotError::TooLong);
        }
        let folded: Vec<_> = options.iter().map(|option| option.to_lowercase()).collect();
        match options.len() {
            ..2 => Err(BallotError::OneOption),
            2..=MOST if (1..folded.len()).any(|at| folded[..at].contains(&folded[at])) => Err(BallotError::Twice),
            2..=MOST => Ok(Self { question, votes: vec![0; options.len()], options }),
            _ => Err(BallotError::TooMany),
        }
    }
}

impl Ballot {
    /// The option with this number, with this text, or the only one that begins with this text.
    pub fn option(&self, text: &str) -> Option<usize> {
        if let Ok(number) = text.parse::<usize>() {
            return number.checked_sub(1).filter(|at| *at < self.options.len());
        }
        let text = text.to_lowercase();
        let all = || self.options.iter().map(|option| option.to_lowercase()).enumerate();
        let mut begin = all().filter(|(_, option)| option.starts_with(&text));
        let whole = all().find(|(_, option)| *option == text);
        whole.or_else(|| begin.next().filter(|_| begin.next().is_none())).map(|(at, _)| at)
    }

    /// The question with its options and their votes: `Where? 1 pizza (2), 2 sushi (0)`.
    pub fn shown(&self) -> String {
        format!("{} {}", self.question, self.counts())
    }

    /// The result in a sentence: `Where? pizza wins with 2 of 2 votes: 1 pizza (2), 2 sushi (0)`.
    pub fn result(&self) -> String {
        let most = self.votes.iter().copied().max().unwrap_or_default();
        let first = self.options.iter().zip(&self.votes).filter(|(_, votes)| **votes == most);
        let first: Vec<_> = first.map(|(option, _)| option.as_str()).collect();
        let result = match first[..] {
            _ if most == 0 => return format!("{} No one voted.", self.question),
            [one] => format!("{one} wins with {most} of {}", votes(self.votes.iter().sum())),
            _ => format!("{} are level with {} each", first.join(" and "), votes(most)),
        };
        format!("{} {result}: {}", self.question, self.counts())
    }

    fn counts(&self) -> String {
        let options = self.options.iter().zip(&self.votes).zip(1..);
        options.map(|((option, votes), n)| format!("{n} {option} ({votes})")).collect::<Vec<_>>().join(", ")
    }
}

/// The options in a text, of which some may be the word `or`.
fn split(text: &str) -> Vec<String> {
    let mut options = Vec::new();
    for part in text.split(',') {
        let mut words: Vec<&str> = Vec::new();
        for word in part.split_whitespace().chain(["or"]) {
            if !word.eq_ignore_ascii_case("or") {
                words.push(word);
            } else if !words.is_empty() {
                options.push(std::mem::take(&mut words).join(" "));
            }
        }
    }
    options
}

/// A text with single spaces.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn votes(count: u32) -> String {
    format!("{count} vote{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<String>, BallotError> {
        text.parse::<Ballot>().map(|ballot| ballot.options)
    }

    #[test]
    fn polls_are_read_as_people_type_them() {
        for (text, options) in [
            ("Where do we eat? pizza, sushi or soup", "pizza|sushi|soup"),
            ("Where? the old place or the new one", "the old place|the new one"),
            ("Tea? yes, no, or  later", "yes|no|later"),
            ("Shall we?", "yes|no"),
            ("Which? corn, , rice,", "corn|rice"),
        ] {
            assert_eq!(read(text).map(|options| options.join("|")).as_deref(), Ok(options), "{text}");
        }
        for (text, error) in [
            ("pizza, sushi", BallotError::NoQuestion),
            (" ? a, b", BallotError::NoQuestion),
            ("Where? here", BallotError::OneOption),
            ("Where? here or Here", BallotError::Twice),
            ("Which? 1,2,3,4,5,6,7,8,9,10", BallotError::TooMany),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
        assert_eq!(read(&format!("Which? a, {}", "b".repeat(61))), Err(BallotError::TooLong));
    }

    #[test]
    fn an_option_is_named_by_number_or_by_its_beginning() {
        let ballot: Ballot = "Where? Pizza, pasta, sushi, su".parse().expect("it is right");
        for (text, option) in [
            ("1", Some(0)),
            ("PIZZA", Some(0)),
            ("pa", Some(1)),
            ("su", Some(3)),
            ("p", None),
            ("5", None),
            ("0", None),
        ] {
            assert_eq!(ballot.option(text), option, "{text}");
        }
    }

    #[test]
    fn a_result_names_who_wins() {
        let with = |votes: &[u32]| {
            let ballot: Ballot = "Where? a, b, c".parse().expect("it is right");
            Ballot { votes: votes.to_vec(), ..ballot }.result()
        };
        assert_eq!(with(&[0, 0, 0]), "Where? No one voted.");
        assert_eq!(with(&[0, 1, 0]), "Where? b wins with 1 of 1 vote: 1 a (0), 2 b (1), 3 c (0)");
        assert_eq!(with(&[2, 1, 2]), "Where? a and c are level with 2 votes each: 1 a (2), 2 b (1), 3 c (2)");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn options_come_back_out(options in prop::collection::hash_set("[a-n]{1,8}( [a-n]{1,8})?", 2..9)) {
            let options: Vec<_> = options.into_iter().collect();
            let ballot: Ballot = format!("Which one? {}", options.join(", ")).parse().expect("it is right");
            for (at, option) in options.iter().enumerate() {
                prop_assert_eq!(ballot.option(option), Some(at));
            }
            prop_assert_eq!(ballot.options, options);
        }
    }
}
