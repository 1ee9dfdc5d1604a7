//! What authors may write under `#[plugin]`, and what users then read.

use plugin_api::{
    Plugin,
    manifest::Reload,
    prelude::*,
    state,
    testing::{Answer, Bot},
};
use std::{sync::Mutex, time::Duration};

/// Every form of command.
#[derive(Default)]
struct Forms;

#[plugin(probe = "p x")]
impl Forms {
    /// Says hello
    #[command(aliases("p", "pong"))]
    fn ping(&self, cx: &Context) -> String {
        format!("{} {} {}", cx.command(), cx.user(), cx.is_probe())
    }

    /// Repeats: `!echo-it 2 words`, with `care`
    #[command]
    async fn echo_it(&self, _cx: &Context, count: u8, what: String) -> Result<Reply> {
        Ok(what.repeat(count.into()).into())
    }

    #[command(name = "8", cooldown = "1m")]
    fn eight(&self, _: &Context, _first: u8, r#type: Option<u8>) -> &'static str {
        if r#type.is_some() { "two" } else { "one" }
    }

    #[command]
    fn rest(&self, _cx: &Context, text: Rest) -> Result<String, std::num::ParseIntError> {
        if text.is_empty() { Ok("nothing".into()) } else { text.parse::<u8>().map(|number| number.to_string()) }
    }

    #[command]
    async fn slow(&self, cx: &Context) -> Result<Reply> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(Reply::text(cx.channel().to_owned()))
    }

    #[command]
    fn silent(&self, _cx: &Context) {}

    #[command]
    async fn late_panic(&self, _cx: &Context) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        panic!("late");
    }

    #[command]
    fn panic(&self, _cx: &Context) -> Reply {
        panic!("early");
    }
}

fn reply(line: &str) -> String {
    Bot::<Forms>::new().say(line).text().to_owned()
}

#[test]
fn names_come_from_the_package_and_the_methods() {
    let manifest = Forms::MANIFEST;
    assert_eq!((manifest.name, manifest.version), (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")));
    assert_eq!((manifest.probe, manifest.reload), (Some("p x"), Reload::Overlap));
    assert_eq!((manifest.state_version, manifest.reads_state), (1, [1, 1]));
    let commands: Vec<_> = manifest.commands.iter().map(|it| (it.name, it.usage, it.help, it.cooldown_ms)).collect();
    assert_eq!(commands[0], ("ping", "!ping", "Says hello", 0));
    assert_eq!(commands[1], ("echo-it", "!echo-it 2 words", "Repeats", 0));
    assert_eq!(commands[2], ("8", "!8 <first> [type]", "", 60_000));
    assert_eq!(manifest.commands[0].aliases, ["p", "pong"]);
}

#[test]
fn arguments_are_read_by_type() {
    assert_eq!(reply("!echo-it 2 ab c"), "ab cab c");
    assert_eq!(reply("!8 1"), "one");
    assert_eq!(reply("!8 1 2"), "two");
    assert_eq!(reply("!rest"), "nothing");
    assert_eq!(reply("!pong ignored words"), "pong alice false");
}

#[test]
fn wrong_arguments_are_answered_with_the_usage() {
    assert_eq!(reply("!echo-it"), "Usage: !echo-it 2 words");
    assert_eq!(reply("!echo-it 2"), "Usage: !echo-it 2 words");
    assert_eq!(reply("!echo-it x y"), "count: \"x\" is not a whole number. Usage: !echo-it 2 words");
}

#[test]
fn waiting_is_allowed_and_silence_too() {
    assert_eq!(reply("!slow"), "#test");
    assert_eq!(Bot::<Forms>::new().say("!silent"), Answer::Ignored);
}

#[test]
fn failures_tell_the_user_little_and_the_operator_all() {
    let bot = Bot::<Forms>::new();
    for (line, why) in [
        ("!panic", ": early"),
        ("!late-panic", ": late"),
        ("!rest x", "invalid digit found in string"),
        ("!nope", "this plugin has no command \"nope\""),
    ] {
        let Answer::Failed { user, detail } = bot.say(line) else { panic!("{line} succeeded") };
        assert_eq!(user, "Sorry, something went wrong.");
        assert!(detail.ends_with(why), "{detail}");
    }
}

#[test]
fn a_cooldown_is_per_user_and_not_for_probes() {
    let bot = Bot::<Forms>::new();
    assert_eq!(bot.say("!8 1").text(), "one");
    assert_eq!(bot.say("!8 1").text(), "Wait 60 s before !8.");
    assert_eq!(bot.user("bob").say("!8 1").text(), "one");
    assert_eq!(Bot::<Forms>::new().probe().text(), "p alice true");
}

/// A plugin with every hook.
struct Memory {
    limit: usize,
    notes: Mutex<Vec<String>>,
}

#[derive(serde::Deserialize)]
struct Settings {
    limit: usize,
}

#[plugin(reload = "handoff", state_version = 2, reads_state = 1..=2)]
impl Memory {
    #[create]
    fn new(settings: Settings) -> Result<Self> {
        if settings.limit == 0 {
            return Err(Error::new("a limit of 0 remembers nothing"));
        }
        Ok(Self { limit: settings.limit, notes: Mutex::default() })
    }

    #[command]
    fn note(&self, _cx: &Context, text: String) -> Result<String> {
        let mut notes = self.notes.lock().expect("nothing panics while it is held");
        if notes.len() < self.limit {
            notes.push(text);
        }
        Ok(notes.join(", "))
    }

    #[snapshot]
    fn save(&self) -> Result<Vec<u8>> {
        state::to_bytes(&*self.notes.lock().expect("nothing panics while it is held"))
    }

    #[restore]
    fn load(&self, version: u32, bytes: &[u8]) -> Result<()> {
        let notes = if version == 1 { vec![state::from_bytes(bytes)?] } else { state::from_bytes(bytes)? };
        *self.notes.lock().expect("nothing panics while it is held") = notes;
        Ok(())
    }

    #[shutdown]
    fn bye(&self) {}
}

#[test]
fn settings_are_typed() {
    let error = |json| Bot::<Memory>::with_settings(json).err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(error(r#"{"limit": 1}"#), "");
    assert_eq!(error(r#"{"limit": 0}"#), "a limit of 0 remembers nothing");
    assert_eq!(error("{}"), "limit: is not set and has no default");
}

#[test]
fn state_goes_from_one_instance_to_the_next() {
    let make = || Bot::<Memory>::with_settings(r#"{"limit": 9}"#).expect("good settings");
    let (old, new) = (make(), make());
    old.say("!note tea");
    let (version, bytes) = old.snapshot().expect("it has a snapshot");
    assert_eq!(version, 2);
    new.restore(version, &bytes).expect("its own state");
    assert_eq!(new.say("!note milk").text(), "tea, milk");
    new.restore(1, br#""old""#).expect("it reads version 1");
    assert_eq!(new.say("!note x").text(), "old, x");
    let error = new.restore(3, b"[]").expect_err("no build reads version 3 yet");
    assert_eq!(error.detail(), "the state has version 3, this plugin reads 1 to 2");
    assert!(Bot::<Forms>::new().snapshot().is_err());
}
