//! Events, their outcomes, and where the answers go. Data only.

use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::OwnedPermit;

/// The longest chat line that becomes an event, in bytes. IRC carries 512, Discord 2,000 characters; the rest is pasted
/// by mistake or in bad faith.
pub const MAX_LINE: usize = 4096;

/// What starts a command in chat.
pub const PREFIX: char = '!';

/// Who said something, as far as the connector knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name that chat shows.
    pub name: String,
    /// How sure we are.
    pub identity: Identity,
}

/// How a user's name was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It was not: anyone can take a nick.
    Unverified,
    /// The person at the terminal, named by the configuration.
    Console,
    /// A process of the local system user with this name, verified by the kernel on the control socket.
    System(String),
    /// Whoever holds the dashboard's token.
    Token,
    /// A services account, verified by the chat network.
    Account(String),
}

/// Where something was said: one conversation of one connector.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The connector's name: `console`.
    pub connector: &'static str,
    /// The channel's name within it.
    pub channel: String,
    /// Stands for both where only equality matters. Two places may share a key by chance; they then keep one order.
    pub key: u64,
}

impl Place {
    /// A place of this connector.
    pub fn new(connector: &'static str, channel: impl Into<String>) -> Self {
        use std::hash::BuildHasher;
        let channel = channel.into();
        let key = rustc_hash::FxBuildHasher.hash_one((connector, &channel));
        Self { connector, channel, key }
    }
}

/// One command for a plugin.
#[derive(Debug)]
pub struct Event {
    /// The whole line as typed, at most [`MAX_LINE`] bytes.
    text: Box<str>,
    command_end: u32,
    args_start: u32,
    /// Who typed it.
    pub user: Arc<User>,
    /// Where.
    pub place: Arc<Place>,
    /// Where the one answer goes.
    pub reply_to: ReplyTo,
}

impl Event {
    /// Makes an event of a line that [`command_of`] found a command in.
    pub fn new(line: impl Into<Box<str>>, user: Arc<User>, place: Arc<Place>, reply_to: ReplyTo) -> Self {
        let text: Box<str> = line.into();
        let body = text.strip_prefix(PREFIX).unwrap_or(&text);
        let command_end = text.len() - body.len() + first_word(body).len();
        let args_start = text.len() - text[command_end..].trim_start().len();
        let at = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        Self { command_end: at(command_end), args_start: at(args_start), text, user, place, reply_to }
    }

    /// The command, without the prefix.
    pub fn command(&self) -> &str {
        let command = &self.text[..self.command_end as usize];
        command.strip_prefix(PREFIX).unwrap_or(command)
    }

    /// What follows the command, trimmed.
    pub fn args(&self) -> &str {
        self.text[self.args_start as usize..].trim_end()
    }

    /// The whole line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Has the processor fetch the lines of a batch from memory side by side. Each would be waited for by itself otherwise, when
/// it is needed.
pub fn fetch<'a>(events: impl Iterator<Item = &'a Event>) {
    let ends = events.filter_map(|event| Some((*event.text.as_bytes().first()?, *event.text.as_bytes().last()?)));
    std::hint::black_box(ends.fold(0, |all, (first, last)| all ^ first ^ last));
}

/// The command in a chat line, without the prefix; `None` when the line is not a command.
pub fn command_of(line: &str) -> Option<&str> {
    Some(first_word(line.strip_prefix(PREFIX)?)).filter(|command| !command.is_empty())
}

/// What comes before the first white space.
fn first_word(text: &str) -> &str {
    // Mostly it is ASCII and ends with a space, and then nothing has to be decoded.
    let end = match text.bytes().position(|byte| !byte.is_ascii_graphic()) {
        Some(at) if text.as_bytes()[at] == b' ' => at,
        Some(_) => text.find(char::is_whitespace).unwrap_or(text.len()),
        None => text.len(),
    };
    &text[..end]
}

/// The way back to the connector for the one answer of one event.
///
/// It holds room in the connector's outgoing queue, reserved when the event was made: an answer is never lost for want
/// of room, and a connector that cannot send takes no new events.
#[derive(Debug)]
pub enum ReplyTo {
    /// To a connector.
    Connector(OwnedPermit<Outgoing>),
    /// Nowhere: nobody waits for it.
    Nobody,
}

impl ReplyTo {
    /// Hands over how the event ended: a text for the user, or `None` when there is nothing to say.
    pub fn answer(self, place: Arc<Place>, user: Arc<User>, text: Option<String>) {
        if let Self::Connector(permit) = self {
            permit.send(Outgoing { place, user, text });
        }
    }
}

/// One answer on its way to a connector.
#[derive(Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub place: Arc<Place>,
    /// Whom it answers.
    pub user: Arc<User>,
    /// What to say; nothing, when the event ended in silence.
    pub text: Option<String>,
}

/// How the handling of an event ended. Each accepted event ends in exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The plugin answered.
    Replied(String),
    /// The plugin had nothing to say.
    Ignored,
    /// The plugin's handler returned an error or panicked.
    Failed {
        /// For the user.
        text: String,
        /// For the operator.
        detail: String,
    },
    /// A generation had it, and did not answer in time.
    TimedOut,
    /// No generation got it.
    Rejected(Rejection),
    /// It was executing at two crashes, and lies in the dead letters.
    DeadLettered,
}

/// Why no generation got an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The queue is at its limit.
    QueueFull,
    /// It waited in the queue for as long as it may.
    WaitedTooLong,
    /// The plugin is stopped or has failed.
    NotRunning,
    /// The host is stopping.
    Stopping,
}

impl Outcome {
    /// The name in metrics and logs.
    pub fn name(&self) -> &'static str {
        OUTCOMES[self.index()]
    }

    /// The place in [`OUTCOMES`].
    pub fn index(&self) -> usize {
        match self {
            Self::Replied(_) => 0,
            Self::Ignored => 1,
            Self::Failed { .. } => 2,
            Self::TimedOut => 3,
            Self::Rejected(_) => 4,
            Self::DeadLettered => 5,
        }
    }

    /// What the user in chat reads about it; `None` for silence.
    pub fn into_chat(self, plugin: &str, waited: Duration) -> Option<String> {
        match self {
            Self::Replied(text) => Some(text),
            Self::Ignored => None,
            Self::Failed { text, .. } if !text.is_empty() => Some(text),
            Self::Failed { .. } => Some(format!("{plugin} could not do that; the operator can see why.")),
            Self::TimedOut => Some(format!("{plugin} did not answer within {} s.", waited.as_secs().max(1))),
            Self::Rejected(Rejection::QueueFull) => Some(format!("{plugin} is busy, try again in a moment.")),
            Self::Rejected(Rejection::WaitedTooLong) => Some(format!("{plugin} is not available, try again later.")),
            Self::Rejected(Rejection::NotRunning) => Some(format!("{plugin} is not running.")),
            Self::Rejected(Rejection::Stopping) => Some("Rosey is stopping, try again later.".to_owned()),
            Self::DeadLettered => Some(format!("{plugin} crashed on that twice; it was set aside for the operator.")),
        }
    }
}

/// The names of the outcomes, by [`Outcome::index`].
pub const OUTCOMES: [&str; 6] = ["replied", "ignored", "failed", "timed_out", "rejected", "dead_lettered"];

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> Event {
        let user = User { name: "al".into(), identity: Identity::Console };
        Event::new(line, user.into(), Place::new("console", "terminal").into(), ReplyTo::Nobody)
    }

    #[test]
    fn a_line_is_split_into_command_and_arguments() {
        let roll = event("!roll  2d6 + 3 ");
        assert_eq!((roll.command(), roll.args()), ("roll", "2d6 + 3"));
        let bare = event("!roll");
        assert_eq!((bare.command(), bare.args()), ("roll", ""));
        let wide = event("!würfle\u{3000}ja");
        assert_eq!((wide.command(), wide.args()), ("würfle", "ja"));
    }

    #[test]
    fn only_a_prefixed_word_is_a_command() {
        assert_eq!(command_of("!roll 2d6"), Some("roll"));
        assert_eq!(command_of("roll 2d6"), None);
        assert_eq!(command_of("!"), None);
        assert_eq!(command_of("! roll"), None);
        assert_eq!(command_of(""), None);
    }
}
