//! Answers yes-or-no questions: `!8ball will it work?`.
#![forbid(unsafe_code)]

use plugin_api::prelude::*;

/// The answers of the ball: ten mean yes, five mean perhaps, five mean no.
const ANSWERS: [&str; 20] = [
    "It is certain.",
    "It is decidedly so.",
    "Without a doubt.",
    "Yes, definitely.",
    "You may rely on it.",
    "As I see it, yes.",
    "Most likely.",
    "Outlook good.",
    "Yes.",
    "Signs point to yes.",
    "Reply hazy, try again.",
    "Ask again later.",
    "Better not tell you now.",
    "Cannot predict now.",
    "Concentrate and ask again.",
    "Don't count on it.",
    "My reply is no.",
    "My sources say no.",
    "Outlook not so good.",
    "Very doubtful.",
];

/// The plugin. It keeps nothing.
#[derive(Default)]
pub struct EightBall;

#[plugin(probe = "8ball is anybody there?")]
impl EightBall {
    /// Ask the magic 8-ball: `!8ball will it work?`
    #[command(name = "8ball", aliases("eightball"))]
    fn answer(&self, cx: &Context, question: Rest) -> &'static str {
        if question.is_empty() {
            return "Ask me something: !8ball will it work?";
        }
        cx.random().pick(&ANSWERS).copied().unwrap_or(ANSWERS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::Bot;

    #[test]
    fn it_answers_questions_and_asks_for_one() {
        let bot = Bot::<EightBall>::new();
        assert!(ANSWERS.contains(&bot.say("!8ball will it work?").text()));
        assert!(ANSWERS.contains(&bot.say("!eightball and now?").text()));
        assert_eq!(bot.say("!8ball").text(), "Ask me something: !8ball will it work?");
        assert!(ANSWERS.contains(&bot.probe().text()));
    }
}
