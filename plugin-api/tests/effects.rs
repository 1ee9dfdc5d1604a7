//! The store, handlers and effects of a plugin, as its author tests them.

use plugin_api::{
    event::{Join, Kind, Message, Nick, Part, Signal, Start, Timer, Topic},
    prelude::*,
    store::Committed,
    testing::{Answer, Bot, SentLine},
};
use std::time::Duration;

#[derive(Default)]
struct Subject;

#[plugin(store_version = 2)]
impl Subject {
    #[command]
    async fn count(&self, cx: &Context) -> Result<String> {
        let before: u64 = cx.store().get("count").await?.unwrap_or(0);
        cx.store().put("count", &(before + 1))?;
        cx.store().add("count", 10)?;
        let now: Option<u64> = cx.store().get("count").await?;
        Ok(format!("{before} {now:?}"))
    }

    #[command]
    async fn fail(&self, cx: &Context, how: String) -> Result<()> {
        cx.store().put("count", &99)?;
        cx.say("never said")?;
        cx.after(Duration::from_secs(1), "never", &())?;
        assert_ne!(how, "panic");
        Err(Error::internal("on purpose"))
    }

    #[command]
    async fn scopes(&self, cx: &Context) -> Result<String> {
        let store = cx.store();
        for (scope, name) in
            [(store, "global"), (store.channel(), "channel"), (store.user(), "user"), (store.member(), "member")]
        {
            scope.put("where", name)?;
        }
        let user: Option<String> = store.user().get("where").await?;
        Ok(user.unwrap_or_default())
    }

    #[command]
    async fn whose(&self, cx: &Context) -> Result<String> {
        let (store, mut all) = (cx.store(), Vec::new());
        for scope in [store, store.channel(), store.user(), store.member()] {
            all.push(scope.get::<String>("where").await?.unwrap_or_else(|| "-".into()));
        }
        Ok(all.join(" "))
    }

    #[command]
    async fn pages(&self, cx: &Context) -> Result<String> {
        let store = cx.store();
        store.put("p/b2", "new")?;
        store.delete("p/c")?;
        let (mut after, mut pages) = (String::new(), Vec::new());
        loop {
            let page = store.list::<String>("p/", 2, &after).await?;
            pages.push(page.entries.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(" "));
            match page.next {
                Some(next) => after = next,
                None => return Ok(pages.join(" | ")),
            }
        }
    }

    #[command]
    fn fill(&self, cx: &Context, words: Rest) -> Result<()> {
        words.split_whitespace().try_for_each(|key| cx.store().put(&format!("p/{key}"), key))
    }

    #[command]
    fn flood(&self, cx: &Context, changes: i64) -> Result<()> {
        (0..changes).try_for_each(|by| cx.store().add("flood", by))
    }

    #[command]
    async fn speak(&self, cx: &Context) -> Result<&'static str> {
        cx.say("here")?;
        cx.whisper("for you")?;
        cx.say_to("irc", "#other", "there")?;
        cx.publish("spoken", &3)?;
        cx.every("0 9 * * *", "Europe/Berlin", "daily", &"wake")?;
        cx.after(Duration::from_secs(60), "tea", &7)?;
        cx.after(Duration::from_secs(60), "gone", &7)?;
        cx.cancel_timer("gone")?;
        Ok("said")
    }

    #[command]
    async fn timers(&self, cx: &Context) -> Result<String> {
        Ok(cx.timers().await?.into_iter().map(|it| it.name).collect::<Vec<_>>().join(" "))
    }

    #[command]
    async fn background(&self, _cx: &Context) -> Result<String> {
        let work = tokio::spawn(async {
            let transaction = plugin_api::background();
            let polls: u64 = transaction.get("polls").await?.unwrap_or(0);
            let other = plugin_api::background();
            other.put("polls", &5)?;
            let other = other.commit().await?;
            transaction.put("polls", &(polls + 1))?;
            Ok::<_, Error>((other, transaction.commit().await?))
        });
        let (other, late) = work.await??;
        assert_eq!((other, late), (Committed::Applied, Committed::Conflict));
        Ok("one of two".to_owned())
    }

    #[on(message)]
    fn all(&self, cx: &Context, message: &Message) -> String {
        assert_eq!((cx.kind(), cx.command(), cx.args()), (Kind::Message, "", ""));
        format!("{} said {}", cx.user(), message.text)
    }

    #[on(message, regex = r"^\d+$")]
    async fn numbers(&self, _cx: &Context, message: &Message) -> Result<Number> {
        Ok(Number(message.text.parse()?))
    }

    #[on(join)]
    async fn welcome(&self, cx: &Context, _join: &Join) -> Result<String> {
        let seen = cx.store().member().get::<bool>("seen").await?.is_some();
        cx.store().member().put("seen", &true)?;
        Ok(if seen { "again" } else { "welcome" }.to_owned())
    }

    #[on(part)]
    fn bye(&self, _cx: &Context, part: &Part) -> String {
        part.reason.clone()
    }

    #[on(nick)]
    fn renamed(&self, cx: &Context, nick: &Nick) -> String {
        format!("{} is {}", cx.user(), nick.new)
    }

    #[on(topic)]
    fn titled(&self, _cx: &Context, topic: &Topic) -> String {
        topic.text.clone()
    }

    #[on(signal, topic = "built")]
    fn built(&self, _cx: &Context, signal: &Signal) -> Result<String> {
        Ok(format!("{} {} {}", signal.from, signal.topic, signal.payload::<u32>()?))
    }

    #[timer("tea")]
    async fn tea(&self, cx: &Context, timer: &Timer) -> Result<String> {
        Ok(format!("{} {}", cx.user(), timer.payload::<u32>()?))
    }

    #[timer]
    fn other(&self, _cx: &Context, timer: &Timer) -> Result<String> {
        timer.payload()
    }

    #[every("*/5 * * * *", tz = "UTC")]
    fn every_five(&self, cx: &Context) -> Result<()> {
        cx.store().add("fives", 1)
    }

    #[start]
    fn started(&self, cx: &Context, _start: &Start) -> Result<()> {
        cx.store().put("started", &true)
    }

    #[migrate]
    async fn upgrade(&self, cx: &Context, from: u32) -> Result<()> {
        let old: Option<u64> = cx.store().get("count").await?;
        let mut walk = cx.store().walk();
        while let Some(entry) = walk.next().await? {
            match entry.key.as_str() {
                "where" => walk.put(&entry, &format!("{} was {}", entry.value::<String>()?, entry.scope))?,
                "p/a" => walk.delete(&entry)?,
                key if key.starts_with("p/") => walk.rename(&entry, &format!("q{}", &key[1..]))?,
                _ => {}
            }
        }
        cx.store().put("counts", &(from, old))
    }
}

/// A reply of the author's own.
struct Number(u64);

impl From<Number> for Reply {
    fn from(number: Number) -> Self {
        Self::text(number.0.to_string())
    }
}

fn texts(answers: &[Answer]) -> Vec<&str> {
    answers.iter().map(Answer::text).collect()
}

#[test]
fn a_read_sees_the_changes_before_it_and_the_next_event_too() {
    let bot = Bot::<Subject>::new();
    assert_eq!(bot.say("!count").text(), "0 Some(11)");
    assert_eq!(bot.say("!count").text(), "11 Some(22)");
    assert_eq!(bot.stored("count"), Some(22));
}

#[test]
fn a_handler_that_fails_or_panics_changes_nothing() {
    let bot = Bot::<Subject>::new();
    bot.say("!count");
    for how in ["error", "panic"] {
        assert!(matches!(bot.say(&format!("!fail {how}")), Answer::Failed { .. }), "{how}");
    }
    assert_eq!((bot.stored("count"), bot.sent(), bot.timers()), (Some(11), vec![], vec![]));
}

#[test]
fn each_scope_has_its_own_values() {
    let bot = Bot::<Subject>::new();
    assert_eq!(bot.say("!scopes").text(), "user");
    assert_eq!(bot.say("!whose").text(), "global channel user member");
    assert_eq!(bot.say_as("bob", "!whose").text(), "global channel - -");
    assert_eq!(bot.channel("#other").say("!whose").text(), "global - user -");
}

#[test]
fn a_list_comes_in_pages_and_sees_the_changes_before_it() {
    let bot = Bot::<Subject>::new();
    bot.say("!fill a b c d e");
    assert_eq!(bot.say("!pages").text(), "p/a p/b | p/b2 p/d | p/e");
}

#[test]
fn what_is_too_much_fails_and_changes_nothing() {
    let bot = Bot::<Subject>::new();
    assert_eq!(bot.say("!flood 256"), Answer::Ignored);
    let sum: i64 = (0..256).sum();
    let Answer::Failed { detail, .. } = bot.say("!flood 257") else { panic!("it is too much") };
    assert_eq!(detail, "an event may have at most 256 changes");
    assert_eq!(bot.stored("flood"), Some(sum));
}

#[test]
fn lines_timers_and_signals_are_seen() {
    let bot = Bot::<Subject>::new();
    assert_eq!(bot.say("!speak").text(), "said");
    let line = |to: &str, text: &str| SentLine { to: to.into(), text: text.into() };
    assert_eq!(bot.sent(), [line("#test", "here"), line("alice", "for you"), line("irc:#other", "there")]);
    assert_eq!(bot.published(), [("spoken".to_owned(), "3".to_owned())]);
    assert_eq!(bot.say("!timers").text(), "daily tea");
    assert_eq!(bot.timers()[0].cron.as_deref(), Some("0 9 * * *"));
    assert_eq!(bot.fire("tea").text(), "alice 7");
    assert_eq!(bot.fire("daily").text(), "wake");
    assert_eq!(bot.say("!timers").text(), "daily");
}

#[test]
fn every_kind_of_event_has_its_handlers() {
    let bot = Bot::<Subject>::new();
    assert_eq!(texts(&bot.hear("hello")), ["alice said hello"]);
    assert_eq!(texts(&bot.hear("42")), ["alice said 42", "42"]);
    assert_eq!(texts(&bot.join("bob")), ["welcome"]);
    assert_eq!(texts(&bot.join("bob")), ["again"]);
    assert_eq!(texts(&bot.part("bob", "tea")), ["tea"]);
    assert_eq!(texts(&bot.nick("bob", "rob")), ["bob is rob"]);
    assert_eq!(texts(&bot.topic("news")), ["news"]);
    assert_eq!(texts(&bot.signal("ci", "built", &7)), ["ci built 7"]);
    assert_eq!(texts(&bot.signal("ci", "other", &7)), [""; 0]);
    assert_eq!(bot.fire("every-five"), Answer::Ignored);
    assert_eq!(bot.start(), [Answer::Ignored]);
    assert_eq!((bot.stored("fives"), bot.stored("started")), (Some(1), Some(true)));
}

#[test]
fn a_migration_reads_and_changes_the_store() {
    let bot = Bot::<Subject>::new();
    bot.say("!count");
    assert_eq!(bot.migrate(1), Answer::Ignored);
    assert_eq!(bot.stored("counts"), Some((1, Some(11))));
    let manifest = Subject::MANIFEST;
    assert_eq!((manifest.store_version, manifest.migrates, manifest.subscriptions.len()), (2, true, 11));
    let every = manifest.subscriptions[9];
    assert_eq!((every.kind, every.pattern, every.cron, every.zone), ("timer", "every-five", "*/5 * * * *", "UTC"));
}

#[test]
fn a_migration_walks_through_all_keys_of_all_scopes() {
    let bot = Bot::<Subject>::new();
    bot.say("!scopes");
    let many: Vec<_> = (0..600).map(|n| format!("k{n}")).collect();
    for some in many.chunks(200) {
        bot.say(&format!("!fill a b {}", some.join(" ")));
    }
    assert_eq!(bot.migrate(1), Answer::Ignored);
    let whose = "global was  channel was channel #test user was user alice member was member #test alice";
    assert_eq!(bot.say("!whose").text(), whose);
    let stored = |key: &str| bot.stored::<String>(key);
    assert_eq!((stored("p/a"), stored("p/k7"), stored("q/k7").as_deref()), (None, None, Some("k7")));
}

#[test]
fn background_work_commits_all_or_nothing() {
    let bot = Bot::<Subject>::new();
    assert_eq!(bot.say("!background").text(), "one of two");
    assert_eq!(bot.stored("polls"), Some(5));
}
