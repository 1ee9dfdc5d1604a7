//! Being in the channels that are configured, whatever happens.

use super::{
    super::{config, connection_event::quoted},
    ConnectionEvent, Message, Session,
};
use std::time::{Duration, Instant};

/// Before the first return to a channel; it doubles up to [`LONGEST_WAIT`], so that nobody has to kick the bot every second.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Between two attempts to enter a channel.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A stay this long was a good one: the waits begin anew.
const GOOD_STAY: Duration = Duration::from_secs(300);

/// For the server's answer to an attempt.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A channel to be in.
#[derive(Debug)]
pub(super) struct Channel {
    name: String,
    key: Option<String>,
    state: State,
    /// Attempts that failed, and times that the bot was thrown out.
    failures: u32,
    /// Whether it was said that the bot may not speak here.
    muted: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Since then.
    Inside(Instant),
    /// To be entered at that time.
    Outside(Instant),
    /// Not before the server has let the bot in.
    Waiting,
}

impl Channel {
    pub(super) fn new(channel: &config::Channel) -> Self {
        let (name, key) = (channel.name.clone(), channel.key.clone());
        Self { name, key, state: State::Waiting, failures: 0, muted: false }
    }

    /// How long to stay out, this time.
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

    /// When the next channel is to be entered.
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
                let key = channel.key.as_deref().map(|key| format!(" {key}")).unwrap_or_default();
                lines.push(format!("JOIN {}{key}", channel.name));
            }
        }
        lines.into_iter().for_each(|line| self.send(line));
    }

    pub(super) fn joined(&mut self, message: &Message<'_>, now: Instant) {
        let name = message.parameter(0);
        if let (true, Some(channel)) = (self.is_me(message.nick()), self.channel(name)) {
            (channel.state, channel.muted) = (State::Inside(now), false);
            let channel = channel.name.clone();
            self.report(ConnectionEvent::Joined { channel });
        }
    }

    pub(super) fn kicked(&mut self, message: &Message<'_>, now: Instant) {
        if self.is_me(message.parameter(1)) {
            let said = message.parameters().get(2).map(|said| format!(" ({})", quoted(said))).unwrap_or_default();
            self.removed(message.parameter(0), format!("{}{said}", quoted(message.nick())), now);
        }
    }

    /// The bot never leaves a channel of its own will: services or an operator did that.
    pub(super) fn parted(&mut self, message: &Message<'_>, now: Instant) {
        if self.is_me(message.nick()) {
            self.removed(message.parameter(0), "the server".to_owned(), now);
        }
    }

    fn removed(&mut self, name: &str, why: String, now: Instant) {
        if let Some(channel) = self.channel(name) {
            let (after, channel) = (channel.wait(now), channel.name.clone());
            self.report(ConnectionEvent::Removed { channel, why, after });
        }
    }

    /// Somebody opens the door: no need to wait any longer.
    pub(super) fn invited(&mut self, message: &Message<'_>, now: Instant) {
        if let (true, Some(channel)) = (self.is_me(message.parameter(0)), self.channel(message.parameter(1)))
            && matches!(channel.state, State::Outside(_))
        {
            channel.state = State::Outside(now);
            self.enter_those_due(now);
        }
    }

    /// Why a channel cannot be entered, or nothing can be said in it.
    pub(super) fn channel_reply(&mut self, code: &str, message: &Message<'_>, now: Instant) {
        let advice = match code {
            "404" => return self.muted(message),
            "403" | "476" | "479" => "the server has no such channel; check its name in connect.irc.channels",
            "405" => "the server allows no more channels; take some out of connect.irc.channels",
            "437" => "it is not available at the moment",
            "471" => "it is full; ask one of its operators to raise the limit",
            "473" => "it is for the invited; ask one of its operators to invite the bot, or to except it (+I)",
            "474" => "the bot is banned; ask one of its operators to lift the ban, or to except the bot (+e)",
            "475" => "it needs a key; write \"#channel key\" in connect.irc.channels",
            "477" => "it is for those with a services account; set connect.irc.account",
            "489" | "520" => "it needs another kind of user, mostly an encrypted connection; set connect.irc.tls",
            _ => return,
        };
        // A nick may be unavailable as well, and has no place here.
        if let Some(channel) = self.channel(message.parameter(1)).filter(|one| !matches!(one.state, State::Inside(_))) {
            let (after, channel) = (channel.wait(now), channel.name.clone());
            self.report(ConnectionEvent::Refused { channel, why: quoted(message.last()), advice, after });
        }
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
