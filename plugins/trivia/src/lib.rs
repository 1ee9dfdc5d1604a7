//! Asks questions in rounds: `!trivia`, `!trivia 10`, `!trivia top`.
//!
//! It keeps two kinds of state. The round and the scores are in the store, so that no crash loses them. The count of wrong
//! guesses changes with each line that people say, and is in memory: a reload hands it over, and a crash loses it.
#![forbid(unsafe_code)]

mod questions;
mod round;
mod wrong;

use plugin_api::{
    event::{Message, Timer},
    prelude::*,
    state,
};
use questions::Question;
use round::Round;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wrong::WrongGuesses;

/// The key of the round of a channel.
const ROUND: &str = "round";

/// The key of the number of questions that a channel was ever asked. It tells a timer whether its question is still open.
const ASKED: &str = "asked";

/// What the key of a score begins with; the name of the person follows.
const SCORE: &str = "score/";

/// Places of `!trivia top`.
const PLACES: usize = 5;

/// The most questions of a round.
const MOST: usize = 30;

/// The table `[plugins.trivia.config]` of the operator's configuration.
#[derive(Settings)]
pub struct TriviaSettings {
    /// How long a question is open. The hint comes after half of it.
    #[setting(default = "30s", range = "2s"..="10m")]
    time: Duration,
    /// The questions of a round.
    #[setting(default = 5, range = 1..=30, unit = "questions")]
    questions: usize,
    /// A file with a question a line, `Which planet is red? | Mars`, instead of the questions that come with the plugin.
    /// The path counts from the plugin's own folder.
    file: Option<String>,
}

/// The plugin.
pub struct Trivia {
    time: Duration,
    length: usize,
    questions: Vec<Question>,
    wrong: WrongGuesses,
}

/// What a timer is for.
#[derive(Serialize, Deserialize)]
enum Due {
    Hint,
    End,
}

#[plugin(reload = "handoff", probe = "trivia top", store_version = 1)]
impl Trivia {
    #[create]
    fn new(settings: TriviaSettings) -> Result<Self> {
        let questions = questions::load(settings.file.as_deref()).map_err(Error::internal)?;
        Ok(Self { time: settings.time, length: settings.questions, questions, wrong: WrongGuesses::default() })
    }

    #[snapshot]
    fn save(&self) -> Result<Vec<u8>> {
        state::to_bytes(&*self.wrong.all())
    }

    #[restore]
    fn load(&self, _version: u32, state: &[u8]) -> Result<()> {
        *self.wrong.all() = state::from_bytes(state)?;
        Ok(())
    }

    /// Begin a round, or see the open question: `!trivia`, `!trivia 10`
    #[command]
    async fn trivia(&self, cx: &Context, questions: Option<usize>) -> Result<String> {
        if let Some(round) = cx.store().channel().get::<Round>(ROUND).await? {
            return Ok(round.text());
        }
        let length = questions.unwrap_or(self.length);
        if !(1..=MOST).contains(&length) {
            return Ok(format!("A round has 1 to {MOST} questions."));
        }
        let all: Vec<_> = self.questions.iter().collect();
        self.ask(cx, &all, |number, question| Round::new(length.min(all.len()), number, question)).await
    }

    /// End the round: `!trivia stop`
    #[command(path = "trivia stop", aliases("end"))]
    async fn stop(&self, cx: &Context) -> Result<String> {
        match cx.store().channel().get::<Round>(ROUND).await? {
            Some(round) => Ok(format!("It was {}. {}", round.question.answer(), end(cx, &round)?)),
            None => Ok("There is no round. To begin one: !trivia".to_owned()),
        }
    }

    /// Tell who has the most points: `!trivia top`
    #[command(path = "trivia top")]
    async fn top(&self, cx: &Context) -> Result<String> {
        let mut all = Vec::new();
        let visit = |name: &str, points: u32| all.push((std::cmp::Reverse(points), name.to_owned()));
        cx.store().channel().for_each(SCORE, visit).await?;
        all.sort();
        let lines = all.iter().take(PLACES).zip(1..).map(|((points, name), n)| format!("{n}. {name} {}", points.0));
        let lines = lines.collect::<Vec<_>>().join(" · ");
        Ok(if lines.is_empty() { "No one has points here. To begin a round: !trivia".to_owned() } else { lines })
    }

    /// A line in a channel, which may be an answer.
    #[on(message)]
    async fn guess(&self, cx: &Context, message: &Message) -> Result<Reply> {
        let store = cx.store().channel();
        // When two people answer at once, the host runs the second event again, and there the question is the next one.
        let Some(mut round) = store.get::<Round>(ROUND).await? else { return Ok(Reply::none()) };
        if !round.question.is_answered_by(&message.text) {
            self.wrong.add(place(cx), round.number, 1);
            return Ok(Reply::none());
        }
        let guesses = match self.wrong.add(place(cx), round.number, 0) {
            0 => String::new(),
            1 => " (after 1 wrong guess)".to_owned(),
            wrong => format!(" (after {wrong} wrong guesses)"),
        };
        store.add(&format!("{SCORE}{}", cx.user()), 1)?;
        round.give_point(cx.user());
        let text = format!("{} is right: {}{guesses}.", cx.user(), round.question.answer());
        Ok(self.next(cx, round, &text).await?.into())
    }

    /// A question is half over, or over.
    #[timer]
    async fn due(&self, cx: &Context, timer: &Timer) -> Result<Reply> {
        let (number, due): (u64, Due) = timer.payload()?;
        let round: Option<Round> = cx.store().channel().get(ROUND).await?;
        let Some(round) = round.filter(|round| round.number == number) else { return Ok(Reply::none()) };
        match due {
            Due::Hint => {
                cx.after(self.time / 2, &place(cx), &(number, Due::End))?;
                Ok(format!("Hint: {}", round.question.hint()).into())
            }
            Due::End => {
                let text = format!("Time is up. It was {}.", round.question.answer());
                Ok(self.next(cx, round, &text).await?.into())
            }
        }
    }
}

impl Trivia {
    /// Says how a question ended, and asks the next one or ends the round.
    async fn next(&self, cx: &Context, round: Round, text: &str) -> Result<String> {
        let left = round.left(&self.questions);
        let next = match left.is_empty() {
            true => end(cx, &round)?,
            false => self.ask(cx, &left, |number, question| round.with_next(number, question)).await?,
        };
        Ok(format!("{text}\n{next}"))
    }

    /// Asks one of these questions.
    async fn ask(
        &self,
        cx: &Context,
        questions: &[&Question],
        round: impl FnOnce(u64, Question) -> Round,
    ) -> Result<String> {
        let store = cx.store().channel();
        let question = cx.random().pick(questions).copied().ok_or_else(|| Error::internal("there are no questions"))?;
        let number = store.get::<u64>(ASKED).await?.unwrap_or(0) + 1;
        let round = round(number, question.clone());
        store.put(ASKED, &number)?;
        store.put(ROUND, &round)?;
        cx.after(self.time / 2, &place(cx), &(number, Due::Hint))?;
        Ok(round.text())
    }
}

/// Ends the round, and says who has how many points.
fn end(cx: &Context, round: &Round) -> Result<String> {
    cx.cancel_timer(&place(cx))?;
    cx.store().channel().delete(ROUND)?;
    Ok(round.result())
}

/// The name of a channel among all networks. It is the name of its timer, too.
fn place(cx: &Context) -> String {
    format!("{}/{}", cx.connector(), cx.channel())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::{Answer, Bot};

    /// The answer to a question that was asked.
    fn answer(asked: &str) -> String {
        let all = questions::built_in();
        let question = all.iter().find(|question| asked.contains(&question.text)).expect("it was asked");
        question.answer().to_owned()
    }

    #[test]
    fn a_round_asks_questions_and_counts_points() {
        let bot = Bot::<Trivia>::new();
        assert_eq!(bot.hear("hello"), [Answer::Ignored]);
        let first = bot.say("!trivia 2").reply().to_owned();
        assert!(first.starts_with("Question 1 of 2: "), "{first}");
        assert_eq!(bot.say_as("bob", "!trivia").reply(), first, "the open question");
        assert_eq!(bot.person("bob").hear("no idea"), [Answer::Ignored]);
        assert_eq!(bot.person("bob").in_channel("#other").hear(&answer(&first)), [Answer::Ignored]);
        let second = bot.person("bob").hear(&answer(&first))[0].reply().to_owned();
        assert!(
            second.starts_with(&format!("bob is right: {} (after 1 wrong guess).\nQuestion 2 of 2: ", answer(&first)))
        );
        let last = second.split('\n').next_back().expect("the question").to_owned();
        assert_eq!(bot.hear(&answer(&first)), [Answer::Ignored], "that was the question before");
        let over = bot.hear(&answer(&last))[0].reply().to_owned();
        assert!(over.ends_with(".\nThe round is over: alice 1, bob 1."), "{over}");
        assert!(bot.timers().is_empty());
        bot.say("!trivia 1");
        assert!(bot.say("!trivia stop").reply().ends_with(". The round is over."));
        assert_eq!(bot.say("!trivia stop").reply(), "There is no round. To begin one: !trivia");
        assert_eq!(bot.say("!trivia top").reply(), "1. alice 1 · 2. bob 1");
        assert_eq!(bot.say("!trivia 31").reply(), "A round has 1 to 30 questions.");
    }

    #[test]
    fn time_brings_a_hint_and_then_the_next_question() {
        let bot = Bot::<Trivia>::with_settings(r#"{"time": "20s", "questions": 2}"#).expect("these are right");
        let first = bot.say("!trivia").reply().to_owned();
        let hint = bot.advance(Duration::from_secs(10))[0].reply().to_owned();
        assert!(hint.starts_with("Hint: ") && hint.contains(&answer(&first)[..1]), "{hint}");
        let over = bot.advance(Duration::from_secs(10))[0].reply().to_owned();
        assert!(over.starts_with(&format!("Time is up. It was {}.\nQuestion 2 of 2: ", answer(&first))), "{over}");
        let said = bot.advance(Duration::from_secs(60));
        assert!(said.len() == 2 && said[1].reply().ends_with("The round is over."), "{said:?}");
    }

    #[test]
    fn a_reload_in_the_middle_of_a_round_hands_everything_over() {
        let bot = Bot::<Trivia>::new();
        let first = bot.say("!trivia 1").reply().to_owned();
        bot.hear("no idea");
        let bot = bot.reload::<Trivia>().expect("it is the same");
        bot.hear("none at all");
        assert_eq!(bot.say("!trivia").reply(), first);
        let over = bot.hear(&answer(&first))[0].reply().to_owned();
        assert!(over.contains(" (after 2 wrong guesses).\nThe round is over: alice 1."), "{over}");
        assert_eq!(bot.probe().reply(), "1. alice 1");
    }

    #[test]
    fn an_operator_has_questions_in_a_file() {
        let folder = std::env::temp_dir().join(format!("rosey-trivia-{}", std::process::id()));
        let with = |text: &str| {
            std::fs::write(&folder, text).expect("our file");
            Bot::<Trivia>::with_settings(&format!(r#"{{"file": {folder:?}}}"#))
        };
        let bot = with("Which planet is red? | Mars").expect("these are right");
        assert_eq!(bot.say("!trivia").reply(), "Question 1 of 1: Which planet is red?");
        let error = with("# planets\nWhich planet is red?").err().expect("it has no answer");
        assert!(error.detail().ends_with(", line 2: write Which planet is red? | Mars"), "{error}");
        assert!(with("").err().expect("it is empty").detail().ends_with(" has no questions"));
        std::fs::remove_file(&folder).expect("our file");
        let error = Bot::<Trivia>::with_settings(r#"{"file": "none.txt"}"#).err().expect("there is none");
        assert!(error.detail().starts_with("none.txt: No such file"), "{error}");
    }
}
