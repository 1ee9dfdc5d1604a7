//! Effects: lines, timers and signals that a handler wants besides its answer. The host applies them like changes to
//! the [`store`](crate::store): once, together with the answer, and not at all when the handler fails.
//!
//! One event may have 256 changes with 256 KiB together, changes to the store included. The call that exceeds this
//! returns an error.
//!
//! ```
//! use plugin_api::{effects::TimerInfo, event::Timer, prelude::*, testing::Bot};
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! #[derive(Default)]
//! struct Kettle;
//!
//! #[plugin]
//! impl Kettle {
//!     /// Put the kettle on: `!kettle`
//!     #[command]
//!     fn kettle(&self, cx: &Context) -> Result<&'static str> {
//!         cx.action("puts the kettle on")?;
//!         cx.notice("It takes three minutes.")?;
//!         cx.say_to("irc", "#kitchen", "The kettle is on.")?;
//!         cx.whisper("You are next to wash up.")?;
//!         cx.publish("kettle", &"on")?;
//!         cx.after(Duration::from_secs(180), "boils", &"tea")?;
//!         cx.at(UNIX_EPOCH + Duration::from_secs(4_102_444_800), "party", &())?;
//!         cx.every("0 16 * * *", "Europe/London", "tea time", &())?;
//!         Ok("It is on.")
//!     }
//!
//!     /// Stop everything: `!off`
//!     #[command]
//!     async fn off(&self, cx: &Context) -> Result<String> {
//!         let timers = cx.timers().await?;
//!         for TimerInfo { name, .. } in &timers {
//!             cx.cancel_timer(name)?;
//!         }
//!         Ok(format!("{} timers are gone.", timers.len()))
//!     }
//!
//!     #[timer]
//!     fn due(&self, cx: &Context, timer: &Timer) -> Result<()> {
//!         cx.say(&format!("It {}.", timer.name))
//!     }
//! }
//!
//! let bot = Bot::<Kettle>::new();
//! assert_eq!(bot.say("!kettle").reply(), "It is on.");
//! assert_eq!((bot.sent().len(), bot.published().len(), bot.timers().len()), (4, 1, 3));
//! bot.fire("boils");
//! assert_eq!(bot.sent()[4].text, "It boils.");
//! assert_eq!(bot.say("!off").reply(), "2 timers are gone.");
//! ```

use crate::{
    Context, Result,
    abi::calls,
    store::{millis, refused},
};
use rosey_wire::{
    call::{Call, Returned},
    effect::{Effect, Style, Target, When},
    frame::decode,
};
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimerInfo {
    /// The name that it was set under.
    pub name: String,
    /// When it fires next.
    pub due: SystemTime,
    /// The cron expression of a repeated timer; `None` for a timer that fires once.
    pub cron: Option<String>,
}

impl Context {
    /// Says a line in the channel of the event, before the answer and addressed to no person.
    ///
    /// # Errors
    /// When the event has too many changes (256, or 256 KiB).
    pub fn say(&self, text: &str) -> Result<()> {
        self.say_as(Target::Here, Style::Plain, text)
    }

    /// Says a line in the channel of the event as a notice, which other bots do not answer, if the network has
    /// notices.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn notice(&self, text: &str) -> Result<()> {
        self.say_as(Target::Here, Style::Notice, text)
    }

    /// Says an action of the bot in the channel of the event, like `/me`, if the network has actions.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn action(&self, text: &str) -> Result<()> {
        self.say_as(Target::Here, Style::Action, text)
    }

    /// Says a line in another channel, if the operator allows that.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn say_to(&self, connector: &str, channel: &str, text: &str) -> Result<()> {
        self.say_as(Target::Channel { connector, channel }, Style::Plain, text)
    }

    /// Says a line to the person of the event alone.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn whisper(&self, text: &str) -> Result<()> {
        self.say_as(Target::Privately, Style::Plain, text)
    }

    fn say_as(&self, to: Target<'_>, style: Style, text: &str) -> Result<()> {
        self.journal().change(&Effect::Say { to, style, text })
    }

    /// Sets a timer that fires once, this long after the event ends (in whole milliseconds). It replaces a timer with
    /// the same name. The timer outlives reloads and restarts, and calls the method with `#[timer]` with the channel
    /// and the person of this event.
    ///
    /// # Errors
    /// When `payload` is not JSON, or the event has too many changes (256, or 256 KiB).
    pub fn after<T: Serialize + ?Sized>(&self, delay: Duration, name: &str, payload: &T) -> Result<()> {
        self.set_timer(When::After(millis(delay)), name, payload)
    }

    /// Sets a timer that fires once at this time, or at once if the time has passed. Otherwise as
    /// [`after`](Self::after).
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn at<T: Serialize + ?Sized>(&self, time: SystemTime, name: &str, payload: &T) -> Result<()> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.set_timer(When::At(millis(since)), name, payload)
    }

    /// Sets a timer that fires repeatedly. `cron` has five fields: minute, hour, day of the month, month, day of the
    /// week. `zone` is a time zone such as `Europe/Berlin`, or empty for UTC. Otherwise as [`after`](Self::after).
    ///
    /// # Errors
    /// As [`after`](Self::after). A wrong `cron` or `zone` fails the event when it ends.
    pub fn every<T: Serialize + ?Sized>(&self, cron: &str, zone: &str, name: &str, payload: &T) -> Result<()> {
        self.set_timer(When::Every { cron, zone }, name, payload)
    }

    fn set_timer<T: Serialize + ?Sized>(&self, when: When<'_>, name: &str, payload: &T) -> Result<()> {
        let payload = serde_json::to_vec(payload)?;
        self.journal().change(&Effect::SetTimer { name, when, payload: &payload })
    }

    /// Removes a timer. A missing timer is no error.
    ///
    /// # Errors
    /// When the event has too many changes (256, or 256 KiB).
    pub fn cancel_timer(&self, name: &str) -> Result<()> {
        self.journal().change(&Effect::CancelTimer { name })
    }

    /// The plugin's timers, by name, without the changes of this event.
    ///
    /// # Errors
    /// When the host refuses, or the event's deadline passes first.
    pub async fn timers(&self) -> Result<Vec<TimerInfo>> {
        let answer = calls::ask(self.event(), &Call::Timers).await?;
        match decode(&answer)? {
            Returned::Timers(timers) => Ok(timers
                .into_iter()
                .map(|timer| TimerInfo {
                    name: timer.name.to_owned(),
                    due: SystemTime::UNIX_EPOCH
                        .checked_add(Duration::from_millis(timer.due_ms))
                        .unwrap_or(SystemTime::UNIX_EPOCH),
                    cron: Some(timer.cron).filter(|cron| !cron.is_empty()).map(str::to_owned),
                })
                .collect()),
            other => Err(refused("listing the timers", &other)),
        }
    }

    /// Sends a signal to the plugins that subscribe to `topic` with `#[on(signal, topic = "…")]`.
    ///
    /// # Errors
    /// When `payload` is not JSON, or the event has too many changes (256, or 256 KiB).
    pub fn publish<T: Serialize + ?Sized>(&self, topic: &str, payload: &T) -> Result<()> {
        let payload = serde_json::to_vec(payload)?;
        self.journal().change(&Effect::Publish { topic, payload: &payload })
    }
}
