//! The login: password, capabilities, SASL, a nick, up to the welcome.
//!
//! If an account is configured, the bot does not go on without it: a bot that cannot prove its name must not talk.

use super::{super::connection_event::quoted, ConnectionEvent, Message, Phase, REGAIN_EVERY, Session};
use std::time::Instant;

/// Most nicks that the bot tries in one connection.
const NICKS: usize = 12;

/// Most underscores behind a nick.
const UNDERSCORES: usize = 3;

/// Bytes of base64 in one line of SASL, by its specification.
const CHUNK: usize = 400;

/// Capabilities that the bot asks for if the server has them: accounts on each message. (With an account also `sasl`.)
const WANTED: [&str; 2] = ["message-tags", "account-tag"];

/// The progress of the login.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) deadline: Instant,
    /// Requests for capabilities without an answer.
    asked: usize,
    /// Whether the server's list of capabilities has ended.
    listed: bool,
    /// Whether the server offers SASL with a mechanism that the bot has.
    sasl: bool,
    wanted: Vec<&'static str>,
    logged_in: bool,
    ended: bool,
    nicks: usize,
}

impl Registration {
    pub(super) fn new(deadline: Instant) -> Self {
        let (sasl, wanted) = (false, Vec::new());
        Self { deadline, asked: 0, listed: false, sasl, wanted, logged_in: false, ended: false, nicks: 0 }
    }
}

impl Session {
    /// Sends the first lines.
    pub(super) fn introduce(&mut self) {
        let settings = std::sync::Arc::clone(&self.settings);
        if let Some(password) = &settings.password {
            self.urgent(format!("PASS :{}", password.reveal()));
        }
        self.urgent("CAP LS 302".to_owned());
        self.urgent(format!("NICK {}", settings.nick));
        self.urgent(format!("USER {} 0 * :{}", settings.user, settings.realname));
    }

    pub(super) fn capability(&mut self, message: &Message<'_>) {
        match message.parameter(1).to_ascii_uppercase().as_str() {
            "LS" => self.offered(message),
            "ACK" => message.last().split(' ').for_each(|name| self.acknowledged(name)),
            "NAK" => message.last().split(' ').for_each(|name| self.denied(name)),
            "NEW" if self.is_registered() => {
                let names = message.last().split(' ').map(|cap| cap.split('=').next().unwrap_or_default());
                for name in names.filter(|name| WANTED.contains(name)) {
                    self.send(format!("CAP REQ :{name}"));
                }
            }
            "DEL" if message.last().split(' ').any(|name| name == "account-tag") => self.account_tag = false,
            _ => {}
        }
    }

    fn offered(&mut self, message: &Message<'_>) {
        let Phase::Registering(registration) = &mut self.phase else { return };
        for offer in message.last().split(' ') {
            let (name, value) = offer.split_once('=').unwrap_or((offer, ""));
            if name == "sasl" {
                registration.sasl = value.is_empty() || value.split(',').any(|name| name.eq_ignore_ascii_case("PLAIN"));
            }
            if let Some(wanted) = WANTED.into_iter().find(|wanted| *wanted == name)
                && !registration.wanted.contains(&wanted)
            {
                registration.wanted.push(wanted);
            }
        }
        if message.parameters().len() > 3 && message.parameter(2) == "*" || registration.listed {
            return;
        }
        registration.listed = true;
        let mut wanted = std::mem::take(&mut registration.wanted);
        if self.settings.account.is_some() {
            if !registration.sasl {
                let account = self.setting("account");
                return self
                    .close(format!("the server offers no login with SASL PLAIN at the moment, and {account} is set"));
            }
            wanted.push("sasl");
        }
        registration.asked = wanted.len();
        // One by one, because the server grants a request as a whole or not at all.
        wanted.into_iter().for_each(|name| self.urgent(format!("CAP REQ :{name}")));
        self.end_if_done();
    }

    fn acknowledged(&mut self, name: &str) {
        match name {
            "account-tag" => self.account_tag = true,
            "-account-tag" => self.account_tag = false,
            "sasl" if !self.is_registered() => self.urgent("AUTHENTICATE PLAIN".to_owned()),
            _ => {}
        }
        self.answered(name);
    }

    fn denied(&mut self, name: &str) {
        if name == "sasl" && !self.is_registered() {
            return self.close("the server denies a login with SASL".to_owned());
        }
        self.answered(name);
    }

    fn answered(&mut self, name: &str) {
        if let Phase::Registering(registration) = &mut self.phase
            && (WANTED.contains(&name) || name == "sasl")
        {
            registration.asked = registration.asked.saturating_sub(1);
            self.end_if_done();
        }
    }

    fn end_if_done(&mut self) {
        let Phase::Registering(registration) = &mut self.phase else { return };
        let logged_in = registration.logged_in || self.settings.account.is_none();
        if registration.listed && registration.asked == 0 && logged_in && !registration.ended {
            registration.ended = true;
            self.urgent("CAP END".to_owned());
        }
    }

    /// Sends the password: the server is ready for it.
    pub(super) fn authenticate(&mut self, message: &Message<'_>) {
        if self.is_registered() || message.parameter(0) != "+" {
            return;
        }
        let Some((account, password)) = self.settings.account.clone() else { return };
        let encoded = base64(format!("\0{account}\0{}", password.reveal()).as_bytes());
        let mut rest = encoded.as_str();
        loop {
            let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
            // An empty line follows a text that ends with a full line.
            self.urgent(format!("AUTHENTICATE {}", if chunk.is_empty() { "+" } else { chunk }));
            rest = after;
            if chunk.len() < CHUNK {
                break;
            }
        }
    }

    pub(super) fn registration_reply(&mut self, code: &str, message: &Message<'_>, now: Instant) {
        let Phase::Registering(registration) = &mut self.phase else { return };
        match code {
            "001" => self.welcomed(message, now),
            // Logged in, now or before.
            "903" | "907" => {
                registration.logged_in = true;
                self.end_if_done();
            }
            "902" | "904" | "905" | "906" | "908" => {
                let why = quoted(message.last());
                let advice = format!("check {} and its password", self.setting("account"));
                self.close(format!("the login to the services account failed ({why}): {advice}"));
            }
            "432" | "433" | "436" | "437" => self.other_nick(code, message),
            "464" => self.close(format!("{}: check {}", quoted(message.last()), self.setting("password"))),
            "465" => self.close(format!("this bot is banned from the server: {}", quoted(message.last()))),
            "421" if message.parameter(1) == "CAP" && self.settings.account.is_some() => {
                self.close(format!("the server knows no SASL, and {} is set", self.setting("account")));
            }
            _ => {}
        }
    }

    fn welcomed(&mut self, message: &Message<'_>, now: Instant) {
        let Phase::Registering(registration) = &self.phase else { return };
        if self.settings.account.is_some() && !registration.logged_in {
            return self.close("the server let this bot in without its services account".to_owned());
        }
        self.nick = message.parameter(0).to_owned();
        self.phase = Phase::Registered;
        let (nick, server) = (quoted(&self.nick), quoted(message.prefix));
        self.report(ConnectionEvent::Registered { server, nick: nick.clone() });
        if !self.has_wanted_nick() {
            self.regain_at = Some(now + REGAIN_EVERY);
            self.report(ConnectionEvent::OtherNick { nick, wanted: self.settings.nick.clone() });
        }
        self.enter_those_due(now);
    }

    /// Tries the next nick: this one is taken, or the server refuses it.
    fn other_nick(&mut self, code: &str, message: &Message<'_>) {
        let Phase::Registering(registration) = &mut self.phase else { return };
        if code == "432" && registration.nicks == 0 || registration.nicks >= NICKS {
            let nick = quoted(&self.nick);
            let why = quoted(message.last());
            let setting = self.setting("nick");
            return self.close(format!("the server does not take the nick {nick} ({why}): change {setting}"));
        }
        registration.nicks += 1;
        let (tries, wanted) = (registration.nicks, &self.settings.nick);
        self.nick = match code {
            "432" => shorter(wanted, tries),
            _ if tries > UNDERSCORES => shorter(wanted, tries),
            _ => format!("{wanted}{}", "_".repeat(tries)),
        };
        let line = format!("NICK {}", self.nick);
        self.urgent(line);
    }
}

/// A shorter nick, for servers that refuse longer ones, or cut them to a taken one: at most 9 letters, like the oldest
/// servers.
fn shorter(wanted: &str, tries: usize) -> String {
    format!("{}{tries}", &wanted[..wanted.len().min(7)])
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [one, two, three] = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or_default()));
        let group = one << 16 | two << 8 | three;
        for at in 0..4 {
            let letter = char::from(LETTERS[(group >> (18 - 6 * at) & 63) as usize]);
            out.push(if at <= chunk.len() { letter } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn the_test_vectors_of_rfc_4648() {
        let encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }
}
