//! What a handler does besides answering: lines, timers and signals. Like changes to the [`store`](crate::store), they happen
//! when the handler has ended well, together with its answer, once; and not at all when it fails.
//!
//! An event has room for 256 changes of 256 KiB together; what is more is an error where it is made.

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
    /// Its cron expression, when it fires again and again.
    pub cron: Option<String>,
}

impl Context {
    /// Says a line to the channel of the event, before the answer and addressed to no person.
    ///
    /// # Errors
    /// When the event changes too much.
    pub fn say(&self, text: &str) -> Result<()> {
        self.say_as(Target::Here, Style::Plain, text)
    }

    /// Says a line to the channel of the event as a notice, which other bots do not answer, where the network has such.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn notice(&self, text: &str) -> Result<()> {
        self.say_as(Target::Here, Style::Notice, text)
    }

    /// Says to the channel of the event what the bot does, as `/me` does, where the network has such.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn action(&self, text: &str) -> Result<()> {
        self.say_as(Target::Here, Style::Action, text)
    }

    /// Says a line to another channel, which the operator has to grant.
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

    /// Has a timer fire once, so long after this event has ended. A timer of this name that is there already is replaced. It
    /// outlives reloads and restarts, and comes to the method with `#[timer]` in the channel and with the person of this
    /// event.
    ///
    /// # Errors
    /// When `payload` is not JSON, and when the event changes too much.
    pub fn after<T: Serialize + ?Sized>(&self, delay: Duration, name: &str, payload: &T) -> Result<()> {
        self.set_timer(When::After(millis(delay)), name, payload)
    }

    /// Has a timer fire once, at a time; at once when that is over. Else as [`after`](Self::after).
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn at<T: Serialize + ?Sized>(&self, time: SystemTime, name: &str, payload: &T) -> Result<()> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.set_timer(When::At(millis(since)), name, payload)
    }

    /// Has a timer fire again and again: `cron` has five fields (minute, hour, day of the month, month, day of the week), read
    /// in the time zone `zone` (`Europe/Berlin`; UTC when empty). Else as [`after`](Self::after).
    ///
    /// # Errors
    /// As [`after`](Self::after). What is wrong with `cron` or `zone` fails the event when it ends.
    pub fn every<T: Serialize + ?Sized>(&self, cron: &str, zone: &str, name: &str, payload: &T) -> Result<()> {
        self.set_timer(When::Every { cron, zone }, name, payload)
    }

    fn set_timer<T: Serialize + ?Sized>(&self, when: When<'_>, name: &str, payload: &T) -> Result<()> {
        let payload = serde_json::to_vec(payload)?;
        self.journal().change(&Effect::SetTimer { name, when, payload: &payload })
    }

    /// Removes a timer; nothing happens where there is none.
    ///
    /// # Errors
    /// When the event changes too much.
    pub fn cancel_timer(&self, name: &str) -> Result<()> {
        self.journal().change(&Effect::CancelTimer { name })
    }

    /// The plugin's timers, by name, as they were before this event changed any.
    ///
    /// # Errors
    /// When the host cannot tell.
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

    /// Sends a signal to the plugins that subscribe to `topic`: `#[on(signal, topic = "…")]`.
    ///
    /// # Errors
    /// When `payload` is not JSON, and when the event changes too much.
    pub fn publish<T: Serialize + ?Sized>(&self, topic: &str, payload: &T) -> Result<()> {
        let payload = serde_json::to_vec(payload)?;
        self.journal().change(&Effect::Publish { topic, payload: &payload })
    }
}
