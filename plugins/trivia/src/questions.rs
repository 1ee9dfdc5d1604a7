//! Questions, what counts as their answers, and hints.

use serde::{Deserialize, Serialize};

/// The questions that come with the plugin.
const BUILT_IN: &str = include_str!("questions.txt");

/// An answer that is at least so long, in characters, may have one wrong letter.
const FORGIVEN: usize = 5;

/// The longest line of a guess that is looked at, in bytes. People do not guess with more.
const LONGEST_GUESS: usize = 200;

/// A question with its answers, of which the first is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub text: String,
    pub answers: Vec<String>,
}

/// The questions in a file, or those that come with the plugin.
///
/// # Errors
/// What is wrong with the file.
pub fn load(file: Option<&str>) -> Result<Vec<Question>, String> {
    let Some(file) = file else { return Ok(built_in()) };
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    match read(&text) {
        Ok(questions) if questions.is_empty() => Err(format!("{file} has no questions")),
        Ok(questions) => Ok(questions),
        Err(line) => Err(format!("{file}, line {line}: write Which planet is red? | Mars")),
    }
}

/// The questions that come with the plugin.
pub fn built_in() -> Vec<Question> {
    read(BUILT_IN).unwrap_or_default()
}

/// Reads a question a line: `Which planet is red? | Mars`. Empty lines and lines that begin with `#` do not count.
///
/// # Errors
/// The number of the first line that is no question.
pub fn read(text: &str) -> Result<Vec<Question>, usize> {
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    lines
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, n)| question(line).ok_or(n))
        .collect()
}

fn question(line: &str) -> Option<Question> {
    let mut parts = line.split('|').map(str::trim);
    let text = parts.next().filter(|text| !text.is_empty())?.to_owned();
    let answers: Vec<_> = parts.map(str::to_owned).collect();
    let can_be_said = |answer: &String| !plain(answer).is_empty();
    (!answers.is_empty() && answers.iter().all(can_be_said)).then_some(Question { text, answers })
}

impl Question {
    /// Whether a line of a person has an answer.
    pub fn is_answered_by(&self, line: &str) -> bool {
        if line.len() > LONGEST_GUESS {
            return false;
        }
        let line = plain(line);
        self.answers.iter().map(|answer| plain(answer)).any(|answer| {
            let long = answer.chars().count() >= FORGIVEN && !answer.contains(|c: char| c.is_ascii_digit());
            line == answer || (long && (format!(" {line} ").contains(&format!(" {answer} ")) || nearly(&line, &answer)))
        })
    }

    /// The answer that is told.
    pub fn answer(&self) -> &str {
        self.answers.first().map_or("", String::as_str)
    }

    /// The first letter of each word of the answer, and a `_` for each other one: `L___ B_____`.
    pub fn hint(&self) -> String {
        let word = |word: &str| {
            let mut letters = word.chars();
            let first: String = letters.next().into_iter().collect();
            first + &letters.map(|c| if c.is_alphanumeric() { '_' } else { c }).collect::<String>()
        };
        self.answer().split_whitespace().map(word).collect::<Vec<_>>().join(" ")
    }
}

/// A text as answers are compared: in lower case, without an article at its start and without punctuation.
fn plain(text: &str) -> String {
    let text = text.to_lowercase();
    let mut words: Vec<_> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.len() > 1 && ["the", "a", "an"].contains(&words[0]) {
        words.remove(0);
    }
    words.join(" ")
}

/// Whether one letter changed, added or removed makes one text of the other.
fn nearly(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let before = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[before..], &other[before..]);
    let behind = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    one.len() - behind <= 1 && other.len() - behind <= 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(answers: &[&str]) -> Question {
        Question { text: "Well?".to_owned(), answers: answers.iter().map(|&answer| answer.to_owned()).collect() }
    }

    #[test]
    fn the_built_in_questions_are_whole_and_differ() {
        let all = built_in();
        assert!(all.len() > 40 && all.iter().all(|question| question.text.ends_with('?')));
        assert!(all.iter().all(|question| question.is_answered_by(question.answer())));
        let mut texts: Vec<_> = all.iter().map(|question| &question.text).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), all.len());
    }

    #[test]
    fn a_file_has_a_question_a_line() {
        let read_one = read("# planets\n\nWhich is red? | Mars | the red one\n").expect("it is right");
        assert_eq!(read_one, [Question { text: "Which is red?".to_owned(), ..with(&["Mars", "the red one"]) }]);
        for text in ["Which is red?", "| Mars", "Which is red? |", "Which is red? | ?!", "Which is red? | Mars |"] {
            assert_eq!(read(&format!("# first\n{text}")), Err(2), "{text}");
        }
    }

    #[test]
    fn answers_count_as_a_person_would_take_them() {
        for (answer, line, counts) in [
            ("Lake Baikal", "lake baikal!", true),
            ("Lake Baikal", "is it Lake Baikal?", true),
            ("Saturn", "the Saturn", true),
            ("Saturn", "Satrun", false),
            ("Saturn", "Satur", true),
            ("Saturn", "Satturn", true),
            ("Saturn", "Sadurn", true),
            ("8", "8", true),
            ("8", "I have 8 cats", false),
            ("1969", "1968", false),
            ("Au", "Ag", false),
            ("Saturn", "saturnine", false),
        ] {
            assert_eq!(with(&[answer]).is_answered_by(line), counts, "{line} for {answer}");
        }
        assert!(with(&["Carbon dioxide", "CO2"]).is_answered_by("co2"));
        assert!(!with(&["Saturn"]).is_answered_by(&"Saturn ".repeat(40)));
    }

    #[test]
    fn a_hint_shows_the_first_letters() {
        assert_eq!(with(&["Lake Baikal"]).hint(), "L___ B_____");
        assert_eq!(with(&["sixty-four"]).hint(), "s____-____");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,40}", line in "\\PC{0,40}") {
            let _ = read(&text);
            let _ = with(&[&text]).is_answered_by(&line);
            let _ = with(&[&text]).hint();
        }

        #[test]
        fn one_wrong_letter_is_forgiven(answer in "[a-z]{5,12}", at in 0..5usize, letter in "[a-zé]", how in 0..3) {
            let mut letters: Vec<char> = answer.chars().collect();
            let letter = letter.chars().next().expect("one letter");
            match how {
                0 => letters[at] = letter,
                1 => letters.insert(at, letter),
                _ => drop(letters.remove(at)),
            }
            let line: String = letters.into_iter().collect();
            prop_assert!(with(&[&answer]).is_answered_by(&line), "{} for {}", line, answer);
        }

        #[test]
        fn what_is_written_is_read(text in "[a-z ]{1,20}[?]", answers in prop::collection::vec("[a-z0-9]{1,9}", 1..4)) {
            let read_again = read(&format!("{text} | {}", answers.join(" | "))).expect("it is right");
            prop_assert_eq!(&read_again[0].answers, &answers);
            prop_assert_eq!(&read_again[0].text, text.trim());
        }
    }
}
