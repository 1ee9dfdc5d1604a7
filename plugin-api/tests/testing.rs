//! What authors can test with `testing::Bot`: time, people, randomness, failures and reloads.

use plugin_api::{
    event::{Message, Timer},
    prelude::*,
    state,
    testing::{Answer, Bot},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::{Duration, SystemTime},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Monday, 5 January 2026, 00:00 in UTC.
fn monday() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_571_200)
}

/// Everything that time moves.
#[derive(Default)]
struct Times;

#[plugin(store_version = 1)]
impl Times {
    /// Sets timers of these names, each a minute after the one before.
    #[command]
    fn set(&self, cx: &Context, names: Vec<String>) -> Result<()> {
        for (at, name) in (1..).zip(&names) {
            cx.after(at * MINUTE, name, name)?;
        }
        Ok(())
    }

    #[command]
    fn hourly(&self, cx: &Context) -> Result<()> {
        cx.every("0 * * * *", "", "hourly", "hour")
    }

    #[command]
    fn lend(&self, cx: &Context, time: Duration) -> Result<()> {
        cx.store().put_for("lent", &true, time)
    }

    #[command(cooldown = "1m")]
    async fn lent(&self, cx: &Context) -> Result<String> {
        Ok(format!("{:?}", cx.store().get::<bool>("lent").await?))
    }

    /// A timer that sets itself again.
    #[timer("again")]
    fn again(&self, cx: &Context, timer: &Timer) -> Result<String> {
        cx.after(10 * MINUTE, "again", "again")?;
        Ok(format!("again at {:?}", cx.now().duration_since(timer.due).expect("it is due")))
    }

    #[timer]
    fn fired(&self, cx: &Context, timer: &Timer) -> Result<String> {
        let minutes = cx.now().duration_since(monday()).expect("later").as_secs() / 60;
        Ok(format!("{} at {minutes} for {}", timer.payload::<String>()?, cx.user()))
    }

    #[every("30 9 * * 1-5")]
    fn stand_up(&self, _cx: &Context) -> &'static str {
        "stand up"
    }
}

fn texts(answers: &[Answer]) -> Vec<&str> {
    answers.iter().map(Answer::text).collect()
}

#[test]
fn timers_fire_in_order_and_on_time() {
    let bot = Bot::<Times>::new().starting_at(monday());
    bot.person("bob").say("!set b a");
    assert_eq!(texts(&bot.advance(MINUTE - Duration::from_millis(1))), [""; 0]);
    assert_eq!(texts(&bot.advance(Duration::from_millis(1))), ["b at 1 for bob"]);
    assert_eq!(texts(&bot.advance(HOUR)), ["a at 2 for bob"]);
    assert!(bot.timers().is_empty());
    bot.say("!set again");
    assert_eq!(bot.advance(HOUR).len(), 6, "the first after a minute, then every ten");
    assert_eq!(bot.now(), monday() + 2 * HOUR + MINUTE);
}

#[test]
fn repeated_timers_fire_as_often_as_their_time_comes() {
    let bot = Bot::<Times>::new().starting_at(monday());
    assert_eq!(texts(&bot.advance(9 * HOUR + 30 * MINUTE)), ["stand up"]);
    assert_eq!(bot.advance(7 * 24 * HOUR).len(), 5, "not on Saturday and Sunday");
    bot.say("!hourly");
    let answers = bot.advance(2 * HOUR);
    assert_eq!((answers.len(), bot.timers().len()), (2, 1));
    assert!(answers[0].reply().starts_with("hour at "), "{answers:?}");
}

#[test]
fn values_and_cooldowns_end_in_that_time_too() {
    let bot = Bot::<Times>::new();
    bot.say("!lend 2m");
    assert_eq!(bot.say("!lent").text(), "Some(true)");
    assert_eq!(bot.say("!lent").text(), "Wait 60 s before !lent.");
    bot.advance(MINUTE);
    assert_eq!(bot.say("!lent").text(), "Some(true)");
    bot.advance(MINUTE);
    assert_eq!(bot.say("!lent").text(), "None");
}

/// What people do, and what it leaves behind.
#[derive(Default)]
struct People;

#[plugin(store_version = 1)]
impl People {
    #[command]
    async fn count(&self, cx: &Context) -> Result<String> {
        let mine = cx.store().user();
        let count: u32 = mine.get("count").await?.unwrap_or(0) + 1;
        mine.put("count", &count)?;
        cx.store().channel().put("last", cx.user())?;
        cx.say(&format!("{} in {}", cx.user(), cx.channel()))?;
        Ok(count.to_string())
    }

    #[command]
    fn fail(&self, _cx: &Context) -> Result<()> {
        Err(Error::internal("the disk is full"))
    }

    #[command]
    fn roll(&self, cx: &Context) -> String {
        let (mut one, mut two) = (cx.random(), cx.random());
        format!("{} {}", one.between(1..=1_000_000), two.between(1..=1_000_000))
    }

    #[on(join)]
    fn joined(&self, cx: &Context) -> String {
        format!("Hello {} in {}", cx.user(), cx.channel())
    }

    #[on(message, regex = "tea")]
    fn tea(&self, cx: &Context, message: &Message) -> String {
        format!("{}: {}", cx.user(), message.text)
    }
}

#[test]
fn several_people_in_several_channels() {
    let bot = Bot::<People>::new();
    let (bob, eve) = (bot.person("bob"), bot.person("eve").in_channel("#tea"));
    assert_eq!((bob.say("!count").text(), bob.say("!count").text(), eve.say("!count").text()), ("1", "2", "1"));
    assert_eq!(texts(&eve.join()), ["Hello eve in #tea"]);
    assert_eq!(texts(&bob.hear("more tea")), ["bob: more tea"]);
    assert_eq!((bot.stored_in::<u32>("user bob", "count"), bot.stored_in::<u32>("user zoe", "count")), (Some(2), None));
    assert_eq!(bot.stored_in::<String>("channel #tea", "last").as_deref(), Some("eve"));
    let sent: Vec<_> = bot.take_sent().into_iter().map(|line| (line.to, line.text)).collect();
    assert_eq!(sent[2], ("#tea".to_owned(), "eve in #tea".to_owned()));
    assert!(sent.len() == 3 && bot.sent().is_empty());
}

#[test]
fn a_failing_handler_shows_its_error() {
    let bot = Bot::<People>::new();
    let panic = catch_unwind(AssertUnwindSafe(|| bot.say("!fail").reply().to_owned())).expect_err("it failed");
    assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("the handler failed: the disk is full"));
}

#[test]
fn a_seed_repeats_every_roll() {
    let rolls = |seed| {
        let bot = Bot::<People>::new().seed(seed);
        [bot.say("!roll").reply().to_owned(), bot.say("!roll").reply().to_owned()]
    };
    let first = rolls(1);
    assert_eq!(first, rolls(1));
    assert_ne!(first, rolls(2));
    assert_ne!(first[0], first[1], "each event has numbers of its own");
    let (one, two) = first[0].split_once(' ').expect("two numbers");
    assert_ne!(one, two, "and each call too");
}

/// A build whose state moves on to the next.
#[derive(Default)]
struct First {
    notes: Mutex<Vec<String>>,
}

#[plugin(reload = "handoff", store_version = 1)]
impl First {
    #[command]
    fn note(&self, cx: &Context, text: String) -> Result<()> {
        self.notes.lock().expect("nothing panics while it is held").push(text);
        cx.after(HOUR, "later", "noted")?;
        cx.store().put("note", "in the store")
    }

    #[snapshot]
    fn save(&self) -> Result<Vec<u8>> {
        state::to_bytes(&*self.notes.lock().expect("nothing panics while it is held"))
    }

    #[restore]
    fn load(&self, _version: u32, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Second {
    notes: Mutex<Vec<String>>,
}

#[plugin(reload = "handoff", store_version = 2, probe = "notes")]
impl Second {
    #[command]
    async fn notes(&self, cx: &Context) -> Result<String> {
        let notes = self.notes.lock().expect("nothing panics while it is held").join(", ");
        let (stored, from): (Option<String>, Option<u32>) =
            (cx.store().get("note").await?, cx.store().get("from").await?);
        Ok(format!("{notes}; {stored:?}; {from:?}"))
    }

    #[start]
    fn started(&self, cx: &Context) -> Result<()> {
        cx.store().put("started", &true)
    }

    #[migrate]
    fn migrate(&self, cx: &Context, from: u32) -> Result<()> {
        cx.store().put("from", &from)
    }

    #[timer]
    fn due(&self, _cx: &Context, timer: &Timer) -> Result<String> {
        timer.payload()
    }

    #[snapshot]
    fn save(&self) -> Result<Vec<u8>> {
        Err(Error::internal("it forgets"))
    }

    #[restore]
    fn load(&self, _version: u32, bytes: &[u8]) -> Result<()> {
        *self.notes.lock().expect("nothing panics while it is held") = state::from_bytes(bytes)?;
        Ok(())
    }
}

#[test]
fn a_reload_hands_state_store_and_timers_over() {
    let bot = Bot::<First>::new();
    bot.say("!note tea");
    let bot = bot.reload::<Second>().expect("it is taken");
    assert_eq!(bot.say("!notes").reply(), "tea; Some(\"in the store\"); Some(1)");
    assert_eq!(bot.stored::<bool>("started"), Some(true));
    assert_eq!(texts(&bot.advance(HOUR)), ["noted"]);
    let refused = |error: Option<Error>| error.expect("it is refused").detail().to_owned();
    assert_eq!(refused(bot.reload::<Second>().err()), "it forgets");
    let older = Bot::<Second>::new().reload::<People>().err();
    assert_eq!(refused(older), "the store has version 2, and this build reads version 1");
}
