//! One connection, from its first line to its last. Pure: no clock and no I/O. Lines and the time come in, and
//! [`Effect`]s come out.
//!
//! `register` logs the bot in: capabilities, SASL, a nick. `channels` keeps it in its channels. This file handles the
//! rest: the lines of people, and a server that does not answer.

mod channels;
mod register;

use super::{
    config::Settings,
    connection_event::{ConnectionEvent, quoted},
    message::{Message, plain},
};
use crate::event::{Identity, Network, What, name::CaseMapping};
use channels::Channel;
use register::Registration;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Silence after which the bot pings the server. Servers ping about every two minutes.
const PING_AFTER: Duration = Duration::from_secs(60);

/// Time for an answer to that: any line counts.
const PONG_WITHIN: Duration = Duration::from_secs(30);

/// Time from the connection to the welcome. Servers look up names and identities first, which takes up to 30 s.
const REGISTER_WITHIN: Duration = Duration::from_secs(90);

/// Interval between two attempts to get the wanted nick. The bot mostly sees its holder leave; this is for holders that
/// it does not see.
const REGAIN_EVERY: Duration = Duration::from_secs(60);

/// Bytes assumed for a user's name and a host, until the server has shown those of the bot: servers allow 10 and 63.
const LONGEST_USER_AND_HOST: usize = 11 + 63;

/// What the task has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this line before all others.
    Urgent(String),
    /// Send this line when its turn comes.
    Send(String),
    /// Pass on this line of a person.
    Inbound(Inbound),
    /// Pass on another occurrence.
    Occurred(Occurred),
    /// Log this event.
    Report(ConnectionEvent),
    /// Close the connection, for this reason.
    Close(String),
}

/// A message of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// The sender's nick.
    pub nick: String,
    /// The sender, as far as the server verified it.
    pub identity: Identity,
    /// User and host, by which the bot counts people.
    pub host: String,
    /// The channel in lower case, or the nick if it was sent to the bot alone.
    pub place: String,
    /// Whether it was sent to the bot alone.
    pub is_query: bool,
    /// The text, without control characters.
    pub text: String,
}

/// An occurrence among people other than a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurred {
    /// The person's nick.
    pub nick: String,
    /// The person, as far as the server verified it.
    pub identity: Identity,
    /// The channel in lower case; empty if it belongs to none.
    pub place: String,
    /// The kind of event, with its data.
    pub what: What,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    phase: Phase,
    nick: String,
    /// Bytes of the bot's user and host, as the server shows them.
    user_and_host: Option<usize>,
    case: CaseMapping,
    channel_types: String,
    /// Whether the server announced that it names accounts.
    account_tag: bool,
    channels: Vec<Channel>,
    regain_at: Option<Instant>,
    heard: Instant,
    pinged: Option<Instant>,
    effects: Vec<Effect>,
}

#[derive(Debug)]
enum Phase {
    Registering(Registration),
    Registered,
}

impl Session {
    /// A new connection, and its first lines.
    pub fn begin(settings: Arc<Settings>, now: Instant) -> (Self, Vec<Effect>) {
        let mut session = Self {
            nick: settings.nick.clone(),
            channels: settings.channels.iter().map(Channel::new).collect(),
            settings,
            phase: Phase::Registering(Registration::new(now + REGISTER_WITHIN)),
            user_and_host: None,
            case: CaseMapping::default(),
            channel_types: "#&+!".to_owned(),
            account_tag: false,
            regain_at: None,
            heard: now,
            pinged: None,
            effects: Vec::new(),
        };
        session.introduce();
        let effects = std::mem::take(&mut session.effects);
        (session, effects)
    }

    /// Takes a line of the server, without its line break.
    pub fn line(&mut self, line: &str, now: Instant) -> Vec<Effect> {
        (self.heard, self.pinged) = (now, None);
        if let Some(message) = Message::parse(line) {
            self.message(&message, now);
        }
        std::mem::take(&mut self.effects)
    }

    /// Takes the time. Call it at [`Session::wake`].
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        if let Phase::Registering(registration) = &self.phase
            && registration.deadline <= now
        {
            let seconds = REGISTER_WITHIN.as_secs();
            self.close(format!("the server did not let this bot in within {seconds} s"));
        }
        match self.pinged {
            Some(pinged) if pinged + PONG_WITHIN <= now => {
                let seconds = (now - self.heard).as_secs();
                self.close(format!("the server has said nothing for {seconds} s"));
            }
            None if self.heard + PING_AFTER <= now => {
                self.pinged = Some(now);
                self.urgent("PING :rosey".to_owned());
            }
            _ => {}
        }
        if self.regain_at.is_some_and(|at| at <= now) {
            self.regain(now);
        }
        self.enter_those_due(now);
        std::mem::take(&mut self.effects)
    }

    /// The time of the next [`Session::tick`].
    pub fn wake(&self) -> Instant {
        let silence = self.pinged.map_or(self.heard + PING_AFTER, |pinged| pinged + PONG_WITHIN);
        let registration = match &self.phase {
            Phase::Registering(registration) => Some(registration.deadline),
            Phase::Registered => None,
        };
        registration.into_iter().chain(self.regain_at).chain(self.channels_due()).fold(silence, Instant::min)
    }

    /// Whether the server has let the bot in.
    pub fn is_registered(&self) -> bool {
        matches!(self.phase, Phase::Registered)
    }

    /// Whether the bot can speak there now.
    pub fn reaches(&self, target: &str) -> bool {
        self.is_registered() && (!target.starts_with(|c| self.channel_types.contains(c)) || self.is_in(target))
    }

    /// Bytes of the bot's own `nick!user@host`, which the server puts before each of its lines.
    pub fn mask(&self) -> usize {
        self.nick.len() + "!@".len() + self.user_and_host.unwrap_or(LONGEST_USER_AND_HOST)
    }

    fn message(&mut self, message: &Message<'_>, now: Instant) {
        self.learn_mask(message);
        match message.command {
            // As short as the server's line, and one line whatever it contains.
            "PING" => self.urgent(format!("PONG :{}", message.last())),
            "PRIVMSG" => self.inbound(message),
            "NICK" => self.renamed(message, now),
            "QUIT" => {
                self.left(message.nick(), now);
                self.occurred(message, "", What::Part { reason: plain(message.parameter(0)).trim().into() });
            }
            "TOPIC" => {
                let text = plain(message.parameter(1)).trim().into();
                self.occurred(message, message.parameter(0), What::Topic { text });
            }
            "JOIN" => self.joined(message, now),
            "KICK" => self.kicked(message, now),
            "PART" => self.parted(message, now),
            "INVITE" => self.invited(message, now),
            "CAP" => self.capability(message),
            "AUTHENTICATE" => self.authenticate(message),
            "ERROR" => self.close(format!("the server closes the connection: {}", quoted(message.last()))),
            "005" => self.supported(message),
            "396" => self.host_changed(message.parameter(1)),
            code if code.len() == 3 => {
                self.registration_reply(code, message, now);
                self.channel_reply(code, message, now);
            }
            _ => {}
        }
    }

    fn inbound(&mut self, message: &Message<'_>) {
        let Some(sender) = message.sender() else { return };
        let (target, text) = (message.parameter(0), message.parameter(1));
        // A request to the client (CTCP), or an action, is never a command.
        if self.is_me(sender.nick) || text.starts_with('\u{1}') || !self.is_registered() {
            return;
        }
        let is_query = self.is_me(target);
        // Otherwise it was sent to the operators of a channel (`@#rosey`), or to a whole network.
        if !is_query && !self.is_in(target) {
            return;
        }
        self.effects.push(Effect::Inbound(Inbound {
            nick: quoted(sender.nick),
            identity: self.identity(message),
            host: format!("{}@{}", sender.user, sender.host),
            place: self.case.lower(if is_query { sender.nick } else { target }),
            is_query,
            text: plain(text).trim().to_owned(),
        }));
    }

    /// The sender of a message, as far as the message identifies it.
    fn identity(&self, message: &Message<'_>) -> Identity {
        let account = if self.account_tag { message.tag("account") } else { None };
        let network = self.network();
        match account.filter(|account| account != "*") {
            Some(name) => Identity::Account { network, name: quoted(&name) },
            None => Identity::Nick { network },
        }
    }

    fn network(&self) -> Network {
        Network { id: self.settings.id.clone(), case: self.case }
    }

    /// Reports an act of another person, in one of the bot's channels or in none.
    fn occurred(&mut self, message: &Message<'_>, channel: &str, what: What) {
        let Some(sender) = message.sender() else { return };
        if self.is_me(sender.nick) || !self.is_registered() || !(channel.is_empty() || self.is_in(channel)) {
            return;
        }
        self.effects.push(Effect::Occurred(Occurred {
            nick: quoted(sender.nick),
            identity: self.identity(message),
            place: self.case.lower(channel),
            what,
        }));
    }

    fn renamed(&mut self, message: &Message<'_>, now: Instant) {
        let (before, after) = (message.nick().to_owned(), message.parameter(0));
        if !self.is_me(&before) {
            self.left(&before, now);
            return self.occurred(message, "", What::Nick { new: quoted(after).into() });
        }
        self.nick = after.to_owned();
        if self.has_wanted_nick() {
            self.regain_at = None;
            self.report(ConnectionEvent::NickBack { nick: after.to_owned() });
        } else {
            self.regain_at = Some(now + REGAIN_EVERY);
            let (nick, wanted) = (quoted(after), self.settings.nick.clone());
            self.report(ConnectionEvent::Renamed { nick, wanted });
        }
    }

    /// The full name of a setting.
    fn setting(&self, name: &str) -> String {
        format!("connect.{}.{name}", self.settings.id)
    }

    /// Handles a person who gives up a nick: the bot may want it.
    fn left(&mut self, nick: &str, now: Instant) {
        if self.is_registered() && !self.has_wanted_nick() && self.case.same(nick, &self.settings.nick) {
            self.regain(now);
        }
    }

    fn regain(&mut self, now: Instant) {
        self.regain_at = Some(now + REGAIN_EVERY);
        self.send(format!("NICK {}", self.settings.nick));
    }

    /// `005`: the features of the server.
    fn supported(&mut self, message: &Message<'_>) {
        for token in message.parameters() {
            match token.split_once('=') {
                Some(("CASEMAPPING", name)) => self.case = CaseMapping::of(name),
                // With more types, anything could be a channel.
                Some(("CHANTYPES", types)) if types.len() <= 8 => self.channel_types = types.to_owned(),
                _ => {}
            }
        }
    }

    fn learn_mask(&mut self, message: &Message<'_>) {
        if let Some(me) = message.sender()
            && self.is_me(me.nick)
        {
            self.user_and_host = Some(me.user.len() + me.host.len());
        }
    }

    /// `396`: the host, or user and host, that others see from now on. A host alone leaves the user unchanged.
    fn host_changed(&mut self, shown: &str) {
        self.user_and_host = shown.split_once('@').map(|(user, host)| user.len() + host.len());
    }

    fn has_wanted_nick(&self) -> bool {
        self.case.same(&self.nick, &self.settings.nick)
    }

    fn is_me(&self, nick: &str) -> bool {
        self.case.same(nick, &self.nick)
    }

    fn urgent(&mut self, line: String) {
        self.effects.push(Effect::Urgent(line));
    }

    fn send(&mut self, line: String) {
        self.effects.push(Effect::Send(line));
    }

    fn report(&mut self, event: ConnectionEvent) {
        self.effects.push(Effect::Report(event));
    }

    fn close(&mut self, why: String) {
        self.effects.push(Effect::Close(why));
    }
}

#[cfg(test)]
mod tests;
