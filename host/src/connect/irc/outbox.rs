//! What waits to be sent: the protocol's own lines before answers, all at the speed that servers allow. Pure.
//!
//! An answer waits for its channel to be entered again, so one that was due when the connection was lost is said after it
//! has come back, but not after [`KEEP`].

use super::{flood::Bucket, name::is_channel, session::Session, split};
use crate::event::{Form, Outgoing};
use rosey_wire::effect::Style;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Time after which an answer is dropped: the person has gone on to other things.
pub const KEEP: Duration = Duration::from_secs(60);

/// Most lines of the protocol that wait: a bot enters at most 200 channels. Only a faulty server causes more.
const OWN: usize = 256;

/// Most answers that the outbox keeps: about as many as can be sent within [`KEEP`]. Others wait in the queue in which
/// room was reserved for them.
const KEPT: usize = 64;

/// The beginning of an action; one more byte ends it.
const ACTION: &str = "\u{1}ACTION ";

/// The lines that wait to be sent.
#[derive(Debug)]
pub struct Outbox {
    bucket: Bucket,
    max_lines: usize,
    own: VecDeque<String>,
    answers: VecDeque<Answer>,
    saying: Option<Saying>,
}

#[derive(Debug)]
struct Answer {
    since: Instant,
    target: String,
    text: String,
    style: Style,
    receipt: Option<Receipt>,
}

/// An answer of which a line may have been sent already.
#[derive(Debug)]
struct Saying {
    since: Instant,
    target: String,
    lines: VecDeque<String>,
    style: Style,
    receipt: Option<Receipt>,
}

/// A line to send now.
#[derive(Debug)]
pub struct Next {
    /// The text, without its line break.
    pub line: String,
    /// Whether it belongs to an answer, and not to the protocol.
    pub is_answer: bool,
    /// Whether the answer that it begins was cut.
    pub cut: bool,
    /// With the last line of an answer: completed once it is sent.
    pub receipt: Option<Receipt>,
}

type Receipt = oneshot::Sender<()>;

impl Saying {
    /// The line for the server.
    fn line(&self, text: &str) -> String {
        let target = &self.target;
        match self.style {
            Style::Plain => format!("PRIVMSG {target} :{text}"),
            Style::Notice => format!("NOTICE {target} :{text}"),
            Style::Action => format!("PRIVMSG {target} :{ACTION}{text}\u{1}"),
        }
    }
}

impl Outbox {
    /// An empty outbox.
    pub fn new(burst: u32, interval: Duration, max_lines: usize, now: Instant) -> Self {
        Self {
            bucket: Bucket::new(burst, interval, now),
            max_lines,
            own: VecDeque::new(),
            answers: VecDeque::new(),
            saying: None,
        }
    }

    /// Whether it takes an answer now. While connected it takes one at a time, so that all others keep their reserved
    /// room, and users do not ask for more than can be answered.
    pub fn wants(&self, session: Option<&Session>) -> bool {
        let busy = |session| self.saying.is_some() || self.reachable(session).is_some();
        self.answers.len() < KEPT && !session.filter(|session| session.is_registered()).is_some_and(busy)
    }

    /// Takes a text. An answer in a channel begins with the name of its person, because others ask there as well.
    pub fn push(&mut self, outgoing: Outgoing, now: Instant) {
        let Outgoing { place, user, text: Some(text), form, receipt } = outgoing else { return };
        let target = place.channel.clone();
        let (text, style) = match form {
            Form::Answer if is_channel(&target) => (format!("{}: {text}", user.name), Style::Plain),
            Form::Answer => (text, Style::Plain),
            Form::Line(style) => (text, style),
        };
        self.answers.push_back(Answer { since: now, target, text, style, receipt });
    }

    /// Takes a line of the protocol that can wait for its turn. Beyond [`OWN`] lines it is dropped; the session tries
    /// channels and nicks again anyway.
    pub fn push_own(&mut self, line: String) {
        if self.own.len() < OWN {
            self.own.push_back(line);
        }
    }

    /// Records a line that did not wait for its turn.
    pub fn hurried(&mut self, now: Instant) {
        self.bucket.take(now);
    }

    /// The next line, if one may be sent now.
    pub fn next(&mut self, session: &Session, now: Instant) -> Option<Next> {
        if self.bucket.ready_at(now) > now {
            return None;
        }
        if let Some(line) = self.own.pop_front() {
            self.bucket.take(now);
            return Some(Next { line, is_answer: false, cut: false, receipt: None });
        }
        if self.saying.as_ref().is_some_and(|saying| !session.reaches(&saying.target)) {
            self.put_back();
        }
        loop {
            let mut cut = false;
            if self.saying.is_none() {
                let Answer { since, target, text, style, receipt } = self.answers.remove(self.reachable(session)?)?;
                let frame = if style == Style::Action { ACTION.len() + 1 } else { 0 };
                let room = split::room(session.mask(), &target).saturating_sub(frame);
                let lines;
                (lines, cut) = split::pieces(&text, room, self.max_lines);
                self.saying = Some(Saying { since, target, lines: lines.into(), style, receipt });
            }
            let saying = self.saying.as_mut()?;
            let line = saying.lines.pop_front().map(|text| saying.line(&text));
            let receipt = if saying.lines.is_empty() { self.saying.take()?.receipt } else { None };
            // An answer without any visible character has no line.
            if let Some(line) = line {
                self.bucket.take(now);
                return Some(Next { line, is_answer: true, cut, receipt });
            }
        }
    }

    /// Time of the next check.
    pub fn wake(&self, session: Option<&Session>, now: Instant) -> Option<Instant> {
        let can_speak = |session| self.saying.is_some() || self.reachable(session).is_some();
        let next = (!self.own.is_empty() || session.is_some_and(can_speak)).then(|| self.bucket.ready_at(now));
        let old = self.answers.iter().filter(|answer| answer.receipt.is_none()).map(|answer| answer.since + KEEP).min();
        next.into_iter().chain(old).min()
    }

    /// Records the end of the connection. An answer that is sent in part continues on the next one, with the line
    /// length that the next server allows.
    pub fn disconnected(&mut self) {
        self.own.clear();
        self.put_back();
    }

    /// Drops answers that are too old, and returns their number. A line that a plugin says unasked, with a receipt,
    /// waits for the connection.
    pub fn expire(&mut self, now: Instant) -> usize {
        let before = self.answers.len();
        let is_new = |answer: &Answer| now.saturating_duration_since(answer.since) < KEEP;
        self.answers.retain(|answer| answer.receipt.is_some() || is_new(answer));
        before - self.answers.len()
    }

    /// Number of answers that wait.
    pub fn len(&self) -> usize {
        self.answers.len() + usize::from(self.saying.is_some())
    }

    /// Whether no answer waits.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.len() == 0
    }

    fn put_back(&mut self) {
        if let Some(Saying { since, target, lines, style, receipt }) = self.saying.take() {
            let text = Vec::from(lines).join("\n");
            self.answers.push_front(Answer { since, target, text, style, receipt });
        }
    }

    fn reachable(&self, session: &Session) -> Option<usize> {
        self.answers.iter().position(|answer| session.reaches(&answer.target))
    }
}

#[cfg(test)]
mod tests;
