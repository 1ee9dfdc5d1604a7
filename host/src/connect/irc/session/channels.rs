//! Keeps the bot in its configured channels, whatever happens.

use super::{
    super::{config, connection_event::quoted, message::plain, name::is_channel},
    ConnectionEvent, Effect, Message, Occurred, Session,
};
use crate::event::{ConnectorId, Identity, What};
use std::time::{Duration, Instant};

/// Wait before the first return to a channel. It doubles up to [`LONGEST_WAIT`], so that operators who do not want the
/// bot need not kick it every second.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Longest wait between two attempts to enter a channel.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A stay this long resets the waits.
const GOOD_STAY: Duration = Duration::from_secs(300);

/// Time for the server's answer to an attempt.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The first numeric of the protocol that is an error.
const ERRORS: u16 = 400;

/// A configured channel.
#[derive(Debug)]
pub(super) struct Channel {
    name: String,
    key: Option<String>,
    state: State,
    /// Attempts that failed, and kicks.
    failures: u32,
    /// Whether it was reported that the bot may not speak here.
    muted: bool,
    /// Attempts since the bot was here last.
    attempts: u32,
    /// The numeric of the last refusal since then, which was reported.
    refused_with: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The bot has been in it since this time.
    Inside(Instant),
    /// The bot enters it at this time.
    Outside(Instant),
    /// The server has not let the bot in yet.
    Waiting,
}

impl Channel {
    pub(super) fn new(channel: &config::Channel) -> Self {
        let (name, key) = (channel.name.clone(), channel.key.clone());
        Self { name, key, state: State::Waiting, failures: 0, muted: false, attempts: 0, refused_with: None }
    }

    /// The time to stay out, this time.
    fn wait(&mut self, now: Instant) -> Duration {
        if let State::Inside(since) = self.state
            && now.saturating_duration_since(since) >= GOOD_STAY
        {
            self.failures = 0;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures += 1;
        self.state = State::Outside(now + wait);
        wait
    }
}

impl Session {
    pub(super) fn is_in(&self, name: &str) -> bool {
        let inside = |channel: &&Channel| matches!(channel.state, State::Inside(_));
        self.channels.iter().filter(inside).any(|channel| self.case.same(&channel.name, name))
    }

    /// The time at which the bot enters the next channel.
    pub(super) fn channels_due(&self) -> Option<Instant> {
        let due = self.channels.iter().filter_map(|channel| match channel.state {
            State::Outside(at) => Some(at),
            State::Inside(_) | State::Waiting => None,
        });
        due.min()
    }

    pub(super) fn enter_those_due(&mut self, now: Instant) {
        if !self.is_registered() {
            return;
        }
        let mut lines = Vec::new();
        for channel in &mut self.channels {
            if match channel.state {
                State::Waiting => true,
                State::Outside(at) => at <= now,
                State::Inside(_) => false,
            } {
                channel.state = State::Outside(now + ANSWER_WITHIN);
                channel.attempts = channel.attempts.saturating_add(1);
                let key = channel.key.as_deref().map(|key| format!(" {key}")).unwrap_or_default();
                lines.push(format!("JOIN {}{key}", channel.name));
            }
        }
        lines.into_iter().for_each(|line| self.send(line));
    }

    pub(super) fn joined(&mut self, message: &Message<'_>, now: Instant) {
        let name = message.parameter(0);
        if !self.is_me(message.nick()) {
            return self.occurred(message, name, What::Join);
        }
        match self.channel(name) {
            Some(channel) => {
                (channel.state, channel.muted) = (State::Inside(now), false);
                (channel.attempts, channel.refused_with) = (0, None);
                let channel = channel.name.clone();
                self.report(ConnectionEvent::Joined { channel });
            }
            // The server forwards from a closed channel, or an operator of the network moved the bot.
            None if is_channel(name) => {
                self.send(format!("PART {name}"));
                self.report(ConnectionEvent::Misplaced { channel: quoted(name) });
            }
            None => {}
        }
    }

    /// Whether the bot is in none of its channels, and has to wait before it can enter one.
    pub fn is_nowhere(&self) -> bool {
        let in_vain = |channel: &Channel| match channel.state {
            State::Inside(_) => false,
            State::Outside(_) => channel.refused_with.is_some() || channel.attempts > 1,
            State::Waiting => false,
        };
        self.is_registered() && !self.channels.is_empty() && self.channels.iter().all(in_vain)
    }

    pub(super) fn kicked(&mut self, message: &Message<'_>, now: Instant) {
        let (channel, who, by) = (message.parameter(0), message.parameter(1), quoted(message.nick()));
        let reason = message.parameters().get(2).map(|reason| quoted(reason));
        if self.is_me(who) {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            return self.removed(channel, format!("{by}{reason}"), now);
        }
        if self.is_in(channel) {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            let what = What::Part { reason: format!("kicked by {by}{reason}").into() };
            // The message has the identity of the person who kicks; of the kicked person it has only the nick.
            let identity = Identity::Nick { network: self.network() };
            let occurred = Occurred { nick: quoted(who), identity, place: self.case.lower(channel), what };
            self.effects.push(Effect::Occurred(occurred));
        }
    }

    /// The bot never leaves a channel by itself: services or an operator removed it.
    pub(super) fn parted(&mut self, message: &Message<'_>, now: Instant) {
        if self.is_me(message.nick()) {
            self.removed(message.parameter(0), "the server".to_owned(), now);
        } else {
            let reason = plain(message.parameter(1)).trim().into();
            self.occurred(message, message.parameter(0), What::Part { reason });
        }
    }

    fn removed(&mut self, name: &str, why: String, now: Instant) {
        if let Some(channel) = self.channel(name) {
            let (after, channel) = (channel.wait(now), channel.name.clone());
            self.report(ConnectionEvent::Removed { channel, why, after });
        }
    }

    /// An invitation ends the wait before the next attempt.
    pub(super) fn invited(&mut self, message: &Message<'_>, now: Instant) {
        if let (true, Some(channel)) = (self.is_me(message.parameter(0)), self.channel(message.parameter(1)))
            && matches!(channel.state, State::Outside(_))
        {
            channel.state = State::Outside(now);
            self.enter_those_due(now);
        }
    }

    /// Handles the reason why the bot cannot enter a channel, or cannot speak in it.
    pub(super) fn channel_reply(&mut self, code: &str, message: &Message<'_>, now: Instant) {
        match code.parse() {
            Ok(404) => self.muted(message),
            // Servers have many numerics of their own: any error that names a channel to enter is a refusal.
            Ok(ERRORS..) => self.refused(code, message, now),
            _ => {}
        }
    }

    fn refused(&mut self, code: &str, message: &Message<'_>, now: Instant) {
        let connector = self.settings.id.clone();
        // The last parameter is the text for people, unless it is the only one.
        let [_, rest @ ..] = message.parameters() else { return };
        let names = rest.split_last().filter(|(_, names)| !names.is_empty()).map_or(rest, |(_, names)| names);
        let outside = |one: &&mut Channel| !matches!(one.state, State::Inside(_));
        let Some(at) = names.iter().position(|name| self.channel(name).as_ref().is_some_and(outside)) else { return };
        let Some(channel) = self.channel(names[at]) else { return };
        let (after, name) = (channel.wait(now), channel.name.clone());
        if channel.refused_with.replace(code.to_owned()).as_deref() == Some(code) {
            return;
        }
        let advice = advice(code, names.get(at + 1).copied(), &connector);
        self.report(ConnectionEvent::Refused { channel: name, why: quoted(message.last()), advice, after });
    }

    fn muted(&mut self, message: &Message<'_>) {
        if let Some(channel) = self.channel(message.parameter(1))
            && !std::mem::replace(&mut channel.muted, true)
        {
            let channel = channel.name.clone();
            self.report(ConnectionEvent::Muted { channel, why: quoted(message.last()) });
        }
    }

    fn channel(&mut self, name: &str) -> Option<&mut Channel> {
        let case = self.case;
        self.channels.iter_mut().find(|channel| case.same(&channel.name, name))
    }
}

/// Advice for an operator about a channel that the bot cannot enter. `forward` is the channel to which the server sends
/// the bot.
fn advice(code: &str, forward: Option<&str>, connector: &ConnectorId) -> String {
    let setting = |name: &str| format!("connect.{connector}.{name}");
    match code {
        "403" | "476" | "479" => format!("the server has no such channel; check its name in {}", setting("channels")),
        "405" => format!("the server allows no more channels; take some out of {}", setting("channels")),
        "437" => "it is not available at the moment".to_owned(),
        "470" => {
            let to =
                forward.filter(|name| is_channel(name)).map(|to| format!(" to {}", quoted(to))).unwrap_or_default();
            let list = setting("channels");
            format!("it forwards the bot{to}; ask one of its operators to let the bot in, or change {list}")
        }
        "471" => "it is full; ask one of its operators to raise the limit".to_owned(),
        "473" => "it is for the invited; ask one of its operators to invite the bot, or to except it (+I)".to_owned(),
        "474" => "the bot is banned; ask one of its operators to lift the ban, or to except the bot (+e)".to_owned(),
        "475" => format!("it needs a key; write \"#channel key\" in {}", setting("channels")),
        "477" => format!("it is for those with a services account; set {}", setting("account")),
        "480" | "495" | "500" => "it takes no one in for a moment, mostly after a kick or while many join".to_owned(),
        "489" | "520" => {
            format!("it needs another kind of user, mostly an encrypted connection; set {}", setting("tls"))
        }
        _ => format!("ask its operators, or those of the network, what error {code} is"),
    }
}
