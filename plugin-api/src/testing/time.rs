//! The clock of a bot under test. It stands still until a test presses it forward.

use super::{Answer, Bot, cron::Cron, memory::since_1970};
use crate::Plugin;
use std::time::{Duration, SystemTime};

/// Timers that may fire in one step of the clock. More come from a timer that sets itself again for the same time.
const MOST: usize = 100_000;

impl<P: Plugin> Bot<P> {
    /// Sets the clock, before time is pressed forward. Otherwise it shows the time at which the bot was made. Handlers
    /// read it with [`Context::now`](crate::Context::now).
    #[must_use]
    pub fn starting_at(self, time: SystemTime) -> Self {
        self.memory.set_now(time);
        self
    }

    /// The time that handlers see.
    pub fn now(&self) -> SystemTime {
        self.memory.now()
    }

    /// Presses time forward. Each timer that is due on the way fires, in order and on time: those that handlers have
    /// set, and those of `#[every(…)]`, whose zone is UTC in a test. Values of the store and cooldowns end in that
    /// time too.
    ///
    /// ```
    /// use plugin_api::{event::Timer, prelude::*, testing::Bot};
    /// use std::time::Duration;
    ///
    /// #[derive(Default)]
    /// struct Tea;
    ///
    /// #[plugin]
    /// impl Tea {
    ///     /// Be told when the tea is ready: `!tea 4m`
    ///     #[command]
    ///     fn tea(&self, cx: &Context, wait: Duration) -> Result<&'static str> {
    ///         cx.after(wait, "tea", &())?;
    ///         Ok("It is on its way.")
    ///     }
    ///
    ///     #[timer("tea")]
    ///     fn ready(&self, cx: &Context) -> String {
    ///         format!("{}: it is ready.", cx.user())
    ///     }
    ///
    ///     #[every("0 16 * * *")]
    ///     fn tea_time(&self, _cx: &Context) {}
    /// }
    ///
    /// let bot = Bot::<Tea>::new();
    /// bot.say("!tea 4m");
    /// assert!(bot.advance(Duration::from_secs(239)).iter().all(|answer| answer.text().is_empty()));
    /// assert!(bot.advance(Duration::from_secs(1)).iter().any(|answer| answer.text() == "alice: it is ready."));
    /// assert_eq!(bot.advance(Duration::from_secs(86_400)).len(), 1, "tea time comes once a day");
    /// ```
    ///
    /// # Panics
    /// When a timer of `#[every(…)]` has a cron expression that is not valid, when timers fire without end, and
    /// inside a tokio runtime.
    pub fn advance(&self, time: Duration) -> Vec<Answer> {
        let end = self.memory.now() + time;
        let mut answers = Vec::new();
        while let Some((due, name)) = self.next_due().filter(|(due, _)| *due <= since_1970(end)) {
            let due = SystemTime::UNIX_EPOCH + Duration::from_millis(due);
            // A timer that was set for a time that has passed fires now.
            if due > self.memory.now() {
                self.memory.set_now(due);
            }
            answers.push(self.fire(&name));
            assert!(answers.len() < MOST, "{MOST} timers have fired, the last one {name:?}: one sets itself again");
        }
        self.memory.set_now(end);
        answers
    }

    /// The timer that fires next, and when, in milliseconds since 1970.
    fn next_due(&self) -> Option<(u64, String)> {
        let now = since_1970(self.memory.now());
        let set = self.memory.timers().into_iter().map(|timer| (since_1970(timer.due), timer.name));
        let declared = P::MANIFEST.subscriptions.iter().filter(|it| !it.cron.is_empty()).filter_map(|it| {
            let cron = Cron::parse(it.cron).unwrap_or_else(|error| panic!("{error}"));
            Some((cron.next(now)?, it.pattern.to_owned()))
        });
        set.chain(declared).min()
    }
}
