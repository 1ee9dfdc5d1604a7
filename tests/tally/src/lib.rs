//! Counts its events, so that a test can compare its counts with the events that were sent.
#![cfg_attr(test, allow(dead_code, reason = "there are no unit tests, and #[plugin] exports nothing to them"))]
#![expect(clippy::disallowed_methods, reason = "it is late on purpose")]

use plugin_api::{
    event::{Join, Message, Nick, Part, Signal, Start, Timer, Topic},
    prelude::*,
};
use std::time::Duration;

#[derive(Default)]
struct Tally;

#[plugin(probe = "counts")]
impl Tally {
    /// Show how often something was heard: `!heard message`
    #[command]
    async fn heard(&self, cx: &Context, what: String) -> Result<String> {
        Ok(cx.store().get::<i64>(&what).await?.unwrap_or(0).to_string())
    }

    /// Say what was heard: `!heard-text topic`
    #[command]
    async fn heard_text(&self, cx: &Context, what: String) -> Result<String> {
        Ok(cx.store().get::<String>(&what).await?.unwrap_or_else(|| "nothing".to_owned()))
    }

    /// Count something: `!bump apples`
    #[command]
    async fn bump(&self, cx: &Context, what: String) -> Result<String> {
        let count = cx.store().get::<i64>(&what).await?.unwrap_or(0) + 1;
        cx.store().put(&what, &count)?;
        Ok(count.to_string())
    }

    /// Show that it works: `!counts`
    #[command]
    fn counts(&self, _cx: &Context) -> &'static str {
        "it does"
    }

    /// Say a line beside the answer: `!say here hello`
    #[command]
    fn say(&self, cx: &Context, how: String, text: String) -> Result<String> {
        match how.as_str() {
            "here" => cx.say(&text)?,
            "notice" => cx.notice(&text)?,
            "action" => cx.action(&text)?,
            "privately" => cx.whisper(&text)?,
            place => {
                let (connector, channel) =
                    place.split_once(':').ok_or_else(|| Error::new("Where? here, or CONNECTOR:CHANNEL"))?;
                cx.say_to(connector, channel, &text)?;
            }
        }
        Ok(String::new())
    }

    /// Publish a signal: `!publish topic text`
    #[command]
    fn publish(&self, cx: &Context, topic: String, text: String) -> Result<String> {
        cx.publish(&topic, &text)?;
        Ok(format!("published {topic}"))
    }

    #[on(message, regex = "(?i)tea")]
    fn tea(&self, cx: &Context, message: &Message) -> Result<String> {
        cx.store().add("message", 1)?;
        match message.text.as_str() {
            "tea fails" => Err(Error::internal("there is no tea")),
            "tea kills" => std::process::abort(),
            "tea quietly" => Ok(String::new()),
            text => Ok(format!("{} said: {text}", cx.user())),
        }
    }

    #[on(message, regex = "^wait$")]
    async fn wait(&self, cx: &Context, _message: &Message) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cx.store().add("wait", 1)
    }

    #[on(join)]
    fn join(&self, cx: &Context, _join: &Join) -> Result<()> {
        cx.store().channel().add("join", 1)?;
        cx.store().add("join", 1)
    }

    #[on(part)]
    fn part(&self, cx: &Context, part: &Part) -> Result<()> {
        cx.store().put("part", &format!("{}: {}", cx.user(), part.reason))
    }

    #[on(nick)]
    fn nick(&self, cx: &Context, nick: &Nick) -> Result<()> {
        cx.store().put("nick", &format!("{} is {}", cx.user(), nick.new))
    }

    #[on(topic)]
    fn topic(&self, cx: &Context, topic: &Topic) -> Result<()> {
        cx.store().put("topic", &topic.text)
    }

    #[every("0 0 29 2 *", tz = "Europe/Berlin")]
    fn every(&self, cx: &Context, _timer: &Timer) -> Result<()> {
        cx.store().add("every", 1)
    }

    #[start]
    fn start(&self, cx: &Context, _start: &Start) -> Result<()> {
        cx.store().add("start", 1)
    }

    #[on(signal, topic = "count")]
    fn count(&self, cx: &Context, signal: &Signal) -> Result<()> {
        cx.store().add("signal", signal.payload::<i64>()?)
    }

    /// Answers its own signals, for ever.
    #[on(signal, topic = "echo")]
    fn echo(&self, cx: &Context, signal: &Signal) -> Result<()> {
        cx.store().add("echo", 1)?;
        cx.publish("echo", &signal.payload::<String>()?)
    }
}
