//! Events of every kind, and the way of their answers. Data only.

pub mod name;
mod occurrence;
pub mod origin;

pub use occurrence::{CommandLine, Occurrence, What};

use name::CaseMapping;
use rosey_wire::{
    effect::Style,
    event::{self as wire, Kind},
    manifest::{Manifest, Order},
};
use rustc_hash::FxBuildHasher;
use std::{borrow::Cow, fmt, hash::BuildHasher, sync::Arc};
use tokio::sync::{mpsc::OwnedPermit, oneshot};

/// Longest chat line that becomes an event, in bytes. IRC carries 512, Discord 2,000 characters; a longer line was
/// pasted by mistake or in bad faith.
pub const MAX_LINE: usize = 4096;

/// The first character of a command in chat.
pub const PREFIX: char = '!';

/// Commands of the host itself; no plugin can have them.
pub const RESERVED: [&str; 2] = ["admin", "help"];

/// The person who caused an event, as far as the connector knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name in chat.
    pub name: String,
    /// How that name was verified.
    pub identity: Identity,
}

/// Names the account, if the chat network verified one: the account identifies the person, and the nick does not.
impl fmt::Display for User {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Identity::Account { name, .. } if *name != self.name => write!(out, "{} (account {name})", self.name),
            _ => out.write_str(&self.name),
        }
    }
}

/// How a user's name was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It was not verified: anyone on this network can take a nick.
    Nick {
        /// The network that the nick belongs to.
        network: Network,
    },
    /// No person caused the event; it comes from Rosey itself.
    Nobody,
    /// The person at the terminal, whom the configuration names.
    Console,
    /// A process of the local system user with this name, verified by the kernel on the control socket.
    System(String),
    /// A request that carries the dashboard's token.
    Token,
    /// A services account, verified by its chat network. The same name on another network is another person.
    Account {
        /// The network that verified the account.
        network: Network,
        /// The account's name, spelled as the network spells it; compare with [`CaseMapping::same`].
        name: String,
    },
}

impl Identity {
    /// A hash of the person for comparisons: of the account if there is one, else of the name in chat.
    pub fn key(&self, name: &str) -> u64 {
        match self {
            Self::Account { network, name } => FxBuildHasher.hash_one((network.id.as_str(), name)),
            _ => FxBuildHasher.hash_one(name),
        }
    }

    /// Whether the name is verified, and not only claimed.
    pub fn is_verified(&self) -> bool {
        !matches!(self, Self::Nick { .. } | Self::Nobody)
    }
}

impl User {
    /// The user of an event that no person caused.
    pub fn nobody() -> Self {
        Self { name: String::new(), identity: Identity::Nobody }
    }
}

/// A chat network, whose names have their own rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The connector to it.
    pub id: ConnectorId,
    /// Which spellings of a name are the same name.
    pub case: CaseMapping,
}

/// The name of a connector: `console`, `irc`, or the NAME of `[connect.NAME]`. A clone costs no allocation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectorId(Arc<str>);

impl ConnectorId {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ConnectorId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<&Self> for ConnectorId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl fmt::Display for ConnectorId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The place of an event: one conversation of one connector.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The connector of the conversation.
    pub connector: ConnectorId,
    /// The name of the channel.
    pub channel: String,
    /// A hash of both for comparisons. Two places may share a key by chance.
    pub key: u64,
}

impl Place {
    /// A place of this connector.
    pub fn new(connector: impl Into<ConnectorId>, channel: impl Into<String>) -> Self {
        let (connector, channel) = (connector.into(), channel.into());
        let key = FxBuildHasher.hash_one((connector.as_str(), &channel));
        Self { connector, channel, key }
    }

    /// The place of an event that belongs to no channel.
    pub fn none() -> Self {
        Self::new("", "")
    }
}

/// One event for one plugin.
#[derive(Debug)]
pub struct Event {
    body: Body,
    /// The person who caused it.
    pub user: Arc<User>,
    /// The channel in which it happened.
    pub place: Arc<Place>,
    /// The way of its one answer.
    pub reply_to: ReplyTo,
}

/// Nearly all events are commands from a connector. These need no memory besides that of their line.
#[derive(Debug)]
enum Body {
    Command(CommandLine),
    Other(Box<Occurrence>),
}

impl Event {
    /// Makes an event from a line in which [`command_of`] found a command.
    pub fn new(line: impl Into<Box<str>>, user: Arc<User>, place: Arc<Place>, reply_to: ReplyTo) -> Self {
        Self { body: Body::Command(CommandLine::new(line.into())), user, place, reply_to }
    }

    /// Makes an event from a line whose command, with its prefix, ends after this many bytes.
    pub fn split(
        line: impl Into<Box<str>>,
        command_end: usize,
        user: Arc<User>,
        place: Arc<Place>,
        reply_to: ReplyTo,
    ) -> Self {
        Self { body: Body::Command(CommandLine::split(line.into(), command_end)), user, place, reply_to }
    }

    /// Makes an event of any kind.
    pub fn of(occurrence: Occurrence, user: Arc<User>, place: Arc<Place>, reply_to: ReplyTo) -> Self {
        Self { body: Body::Other(Box::new(occurrence)), user, place, reply_to }
    }

    /// The same event with a row of `accepted`.
    pub fn with_row(self, row: i64) -> Self {
        let body = match self.body {
            Body::Command(command) => Box::new(Occurrence::new(What::Command(command), 0, "")),
            Body::Other(occurrence) => occurrence,
        };
        Self { body: Body::Other(Box::new(Occurrence { row: Some(row), ..*body })), ..self }
    }

    /// The kind of event.
    pub fn kind(&self) -> Kind {
        match &self.body {
            Body::Command(_) => Kind::Command,
            Body::Other(occurrence) => occurrence.what.kind(),
        }
    }

    /// The command, if the event is one.
    pub fn command(&self) -> Option<&CommandLine> {
        match &self.body {
            Body::Command(command) => Some(command),
            Body::Other(occurrence) => match &occurrence.what {
                What::Command(command) => Some(command),
                _ => None,
            },
        }
    }

    /// The occurrence, if the event is more than a command of a person who waits for the answer.
    pub fn occurrence(&self) -> Option<&Occurrence> {
        match &self.body {
            Body::Command(_) => None,
            Body::Other(occurrence) => Some(occurrence),
        }
    }

    /// The event for a process of the build with this manifest. `now` says the time, in milliseconds since 1970, if it is
    /// needed. `None` when that build has no handler for the event.
    #[inline]
    pub fn for_build(
        &self,
        manifest: &Manifest,
        id: u64,
        deadline_ms: u32,
        now: impl FnOnce() -> u64,
    ) -> Option<wire::Event<'_>> {
        let (handler, body) = match &self.body {
            Body::Command(command) => (0, command.body()),
            Body::Other(occurrence) => match &occurrence.what {
                What::Command(command) => (0, command.body()),
                what => (occurrence.handler_in(manifest)?, what.body(now())),
            },
        };
        Some(wire::Event {
            id,
            probe: false,
            deadline_ms,
            handler,
            user: &self.user.name,
            channel: &self.place.channel,
            connector: self.place.connector.as_str(),
            traceparent: "",
            body,
        })
    }

    /// The key of the order of answers: of two events of one plugin with the same key, the one accepted first is
    /// answered first, whatever happens. `None` for an event whose answer waits for no other.
    ///
    /// By default the key is one person in one place, so that a slow answer delays no other person.
    #[inline]
    pub fn order_key(&self, order: Order) -> Option<u64> {
        match order {
            Order::User => Some(FxBuildHasher.hash_one((self.place.key, &self.user.name))),
            Order::Channel => Some(FxBuildHasher.hash_one(self.place.key)),
            Order::None => None,
        }
    }

    /// The text for people: the whole line, with the command as the plugin spells it; for another event, what happened.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.body {
            Body::Command(command) => Cow::Borrowed(command.line()),
            Body::Other(occurrence) => occurrence.what.text(),
        }
    }
}

/// Makes the processor fetch the lines of a batch from memory in parallel. Otherwise it waits for each line when it
/// needs it.
pub fn prefetch<'a>(events: impl Iterator<Item = &'a Event>) {
    let line = |event: &'a Event| match &event.body {
        Body::Command(command) => Some(command.line().as_bytes()),
        Body::Other(_) => None,
    };
    let ends = events.filter_map(line).filter_map(|line| Some((*line.first()?, *line.last()?)));
    std::hint::black_box(ends.fold(0, |all, (first, last)| all ^ first ^ last));
}

/// The command in a chat line, without the prefix; `None` when the line has no command.
pub fn command_of(line: &str) -> Option<&str> {
    Some(first_word(line.strip_prefix(PREFIX)?)).filter(|command| !command.is_empty())
}

/// The text before the first white space.
fn first_word(text: &str) -> &str {
    // Most text is ASCII and ends with a space; then nothing has to be decoded.
    let end = match text.bytes().position(|byte| !byte.is_ascii_graphic()) {
        Some(at) if text.as_bytes()[at] == b' ' => at,
        Some(_) => text.find(char::is_whitespace).unwrap_or(text.len()),
        None => text.len(),
    };
    &text[..end]
}

/// The way of the one answer of an event.
///
/// For a connector it holds room in the outgoing queue, reserved when the event was made. So no answer is lost for want
/// of room, and a connector that cannot send takes no new events.
#[derive(Debug)]
pub enum ReplyTo {
    /// Room that a connector reserved for the answer.
    Connector(OwnedPermit<Outgoing>),
    /// The answer is a line of its own, stored until it is said: no connector waits for it.
    Line,
    /// The answer is dropped.
    Nowhere,
}

impl ReplyTo {
    /// Delivers the answer: a text, or `None` when the event ended without one. A text without anything visible counts
    /// as none.
    pub fn answer(self, place: Arc<Place>, user: Arc<User>, form: Form, text: Option<String>) {
        if let Self::Connector(permit) = self {
            let is_empty = |text: &str| text.chars().all(|c| c.is_whitespace() || c.is_control());
            let text = text.filter(|text| !is_empty(text));
            permit.send(Outgoing { place, user, text, form, receipt: None });
        }
    }
}

/// How a connector shows a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As the answer to a person, whose name it shows where others can ask as well.
    Answer,
    /// Unchanged, to everyone in the channel.
    Line(Style),
}

/// One text on its way to a connector.
#[derive(Debug)]
pub struct Outgoing {
    /// The channel.
    pub place: Arc<Place>,
    /// The person whom it answers.
    pub user: Arc<User>,
    /// The text; `None` when the event ended without one.
    pub text: Option<String>,
    /// How to show it.
    pub form: Form,
    /// Completed when the network has the whole text. Dropped when it cannot be sent.
    pub receipt: Option<oneshot::Sender<()>>,
}

impl Outgoing {
    /// The answer to a person.
    pub fn answer(place: Arc<Place>, user: Arc<User>, text: String) -> Self {
        Self { place, user, text: Some(text), form: Form::Answer, receipt: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> Event {
        let user = User { name: "al".into(), identity: Identity::Console };
        Event::new(line, user.into(), Place::new("console", "terminal").into(), ReplyTo::Nowhere)
    }

    #[test]
    fn a_line_is_split_into_command_and_arguments() {
        for (line, command, args) in
            [("!roll  2d6 + 3 ", "roll", "2d6 + 3"), ("!roll", "roll", ""), ("!würfle\u{3000}ja", "würfle", "ja")]
        {
            let event = event(line);
            let parts = event.command().expect("it is one");
            assert_eq!((parts.name(), parts.args(), &*event.text()), (command, args, line));
        }
    }

    #[test]
    fn a_user_is_named_with_the_account_that_was_verified() {
        let network = Network { id: "irc".into(), case: CaseMapping::Ascii };
        let account = |name: &str| Identity::Account { network: network.clone(), name: name.into() };
        let shown = |identity| User { name: "al".into(), identity }.to_string();
        assert_eq!(shown(account("alice")), "al (account alice)");
        assert_eq!(shown(account("al")), "al");
        assert_eq!(shown(Identity::Nick { network: network.clone() }), "al");
    }

    #[tokio::test]
    async fn an_answer_without_anything_to_see_is_none() {
        let (outgoing, mut answers) = tokio::sync::mpsc::channel(1);
        for (text, said) in [("", None), (" \u{2}\n", None), (" x ", Some(" x "))] {
            let Event { user, place, .. } = event("!roll");
            let permit = outgoing.clone().reserve_owned().await.expect("there is room");
            ReplyTo::Connector(permit).answer(place, user, Form::Answer, Some(text.to_owned()));
            assert_eq!(answers.recv().await.expect("an end").text.as_deref(), said, "{text:?}");
        }
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
