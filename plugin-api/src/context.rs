//! The context of an event: who caused it, where, and how long the answer may take. [`effects`](crate::effects)
//! documents what a handler may change through it.

use crate::{
    Finished, Reply, Result, Store,
    args::first_word,
    event::Kind,
    journal::{Journal, LazyJournal},
    random::Random,
    testing,
};
use rosey_wire::event::{Body, Event};
use std::{
    fmt,
    sync::MutexGuard,
    time::{Duration, Instant, SystemTime},
};

/// The context of one event. It owns its texts, so a handler may keep it over an `await`.
pub struct Context {
    /// All texts end to end: one allocation for each event instead of six.
    text: String,
    /// The end of each text in `text`, in the order of `Part`. All texts fit one frame of the link, so a `u32` is
    /// enough, and the small context moves in registers.
    ends: [u32; PARTS],
    /// The length of the subcommand at the start of the arguments, and of the arguments up to the text after it. Both are
    /// 0 without a subcommand.
    subcommand: (u32, u32),
    id: u64,
    probe: bool,
    kind: Kind,
    deadline_ms: u32,
    /// When this process got the event; the deadline counts from here.
    since: Instant,
    /// Empty for most events, which read and change nothing.
    journal: LazyJournal,
}

/// The texts of an event, in the order in which they are packed.
#[derive(Clone, Copy)]
enum Part {
    Command,
    Args,
    User,
    Channel,
    Connector,
    Traceparent,
}
const PARTS: usize = 6;

impl Context {
    pub(crate) fn new(event: &Event<'_>) -> Self {
        let Event { id, probe, deadline_ms, user, channel, connector, traceparent, ref body, .. } = *event;
        let (command, args) = match *body {
            Body::Command { name, args } => (name, args),
            _ => ("", ""),
        };
        let parts = [command, args, user, channel, connector, traceparent];
        let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
        let ends = parts.map(|part| {
            text.push_str(part);
            u32::try_from(text.len()).expect("an event fits a frame")
        });
        let (kind, journal) = (body.kind(), LazyJournal::default());
        Self { text, ends, subcommand: (0, 0), id, probe, kind, deadline_ms, since: Instant::now(), journal }
    }

    /// A context for work that belongs to no event: `#[migrate]`.
    pub(crate) fn of_no_event(id: u64, deadline_ms: u32) -> Self {
        let (user, channel, connector) = ("", "", "");
        let body = Body::Start;
        Self::new(&Event { id, probe: false, deadline_ms, handler: 0, user, channel, connector, traceparent: "", body })
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock()
    }

    /// Ends the event: combines what the handler returned with what it read and wants changed. The code of `#[plugin]`
    /// calls it.
    #[doc(hidden)]
    #[inline]
    pub fn finish(self, result: Result<Reply>) -> Finished {
        Finished { result, journal: self.journal.into_inner() }
    }

    fn part(&self, part: Part) -> &str {
        let index = part as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start as usize..self.ends[index] as usize]
    }

    /// The kind of the event. In `#[migrate]`, which belongs to no event, it is [`Kind::Start`].
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The plugin's own values, which outlive reloads, crashes and restarts. See [`store`](crate::store).
    pub fn store(&self) -> Store<'_> {
        Store::new(&self.journal, self.id)
    }

    /// The command as the user typed it, without the prefix: its name or one of its aliases. Empty for an event that is
    /// no command.
    pub fn command(&self) -> &str {
        self.part(Part::Command)
    }

    /// The subcommand as the user typed it: `search` in `!quotes search WORD`. Empty without one.
    ///
    /// ```
    /// use plugin_api::{prelude::*, testing::Bot};
    ///
    /// #[derive(Default)]
    /// struct Quotes;
    ///
    /// #[plugin]
    /// impl Quotes {
    ///     /// Find a quote: `!quotes search tea`
    ///     #[command(path = "quotes search", aliases("find"))]
    ///     fn search(&self, cx: &Context, word: String) -> String {
    ///         format!("{} {}: {word}", cx.command(), cx.subcommand())
    ///     }
    /// }
    ///
    /// assert_eq!(Bot::<Quotes>::new().say("!quotes find tea").text(), "quotes find: tea");
    /// ```
    pub fn subcommand(&self) -> &str {
        &self.part(Part::Args)[..self.subcommand.0 as usize]
    }

    /// The text after the command and its subcommand, trimmed, before it becomes arguments. Empty for an event that is
    /// no command.
    pub fn args(&self) -> &str {
        &self.part(Part::Args)[self.subcommand.1 as usize..]
    }

    /// Takes the first word of the arguments as the subcommand.
    pub(crate) fn take_subcommand(&mut self) {
        let args = self.part(Part::Args);
        let (word, rest) = first_word(args);
        let length = |text: &str| u32::try_from(text.len()).expect("an event fits a frame");
        self.subcommand = (length(word), length(args) - length(rest));
    }

    /// The person who caused the event, as chat shows the name; empty without a person. Do not trust it: a user may
    /// take any name.
    pub fn user(&self) -> &str {
        self.part(Part::User)
    }

    /// The channel of the event; empty without a channel.
    pub fn channel(&self) -> &str {
        self.part(Part::Channel)
    }

    /// The connector that brought the event: `console`, `irc`, or the name of another network; empty if it comes from
    /// no network.
    pub fn connector(&self) -> &str {
        self.part(Part::Connector)
    }

    /// The W3C `traceparent` of the event, if it has one.
    pub fn traceparent(&self) -> Option<&str> {
        Some(self.part(Part::Traceparent)).filter(|text| !text.is_empty())
    }

    /// The host's number for this event, which the host's logs show too. Never 0, and unique while the host runs.
    pub fn event(&self) -> u64 {
        self.id
    }

    /// Whether this is a probe, the host's health check. Its reply does not reach chat, and the host applies none of
    /// its effects. The handler itself must not change anything else, such as files or counters.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The time of the clock. In a test it is the time of [`Bot`](crate::testing::Bot::advance), so handlers that compare
    /// times read it here.
    ///
    /// ```
    /// use plugin_api::{prelude::*, testing::Bot};
    /// use std::time::{Duration, SystemTime};
    ///
    /// #[derive(Default)]
    /// struct Clock;
    ///
    /// #[plugin]
    /// impl Clock {
    ///     /// The seconds since 1970: `!seconds`
    ///     #[command]
    ///     fn seconds(&self, cx: &Context) -> String {
    ///         cx.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().to_string()
    ///     }
    /// }
    ///
    /// let bot = Bot::<Clock>::new().starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1000));
    /// bot.advance(Duration::from_secs(5));
    /// assert_eq!(bot.say("!seconds").text(), "1005");
    /// ```
    pub fn now(&self) -> SystemTime {
        testing::current().map_or_else(SystemTime::now, |memory| memory.now())
    }

    /// Random numbers, which a test can repeat: [`Random`] has an example.
    pub fn random(&self) -> Random {
        testing::current().map_or_else(Random::new, |memory| Random::seeded(memory.seed(self.id)))
    }

    /// When the event times out. The host then stops waiting and ends the event, and `plugin-api` drops a handler that
    /// still awaits. Time in the queue counts, so less than `limits.event_deadline` (30 s by default) may be left.
    pub fn deadline(&self) -> Instant {
        self.since + Duration::from_millis(self.deadline_ms.into())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("event", &self.id)
            .field("command", &self.command())
            .field("args", &self.args())
            .field("user", &self.user())
            .field("channel", &self.channel())
            .field("connector", &self.connector())
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_comes_back_out() {
        let event = |args| Event {
            id: 7,
            probe: true,
            deadline_ms: 1500,
            handler: 0,
            user: "alice",
            channel: "#dice",
            connector: "irc",
            traceparent: "",
            body: Body::Command { name: "roll", args },
        };
        let cx = Context::new(&event("2d6 é"));
        assert_eq!((cx.command(), cx.args(), cx.user()), ("roll", "2d6 é", "alice"));
        assert_eq!((cx.channel(), cx.connector(), cx.traceparent()), ("#dice", "irc", None));
        assert_eq!((cx.event(), cx.is_probe()), (7, true));
        let mut with = Context::new(&event("search  two words"));
        assert_eq!((with.subcommand(), with.args()), ("", "search  two words"));
        with.take_subcommand();
        assert_eq!((with.subcommand(), with.args()), ("search", "two words"));
        assert_eq!(cx.deadline() - cx.since, Duration::from_millis(1500));
    }
}
