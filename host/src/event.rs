//! Events of every kind, and where the answers go. Data only.

pub mod name;
mod occurrence;
pub mod origin;

pub use occurrence::{CommandLine, Occurrence, What};

use name::CaseMapping;
use rosey_wire::{effect::Style, event::Kind};
use rustc_hash::FxBuildHasher;
use std::{borrow::Cow, fmt, hash::BuildHasher, sync::Arc};
use tokio::sync::{mpsc::OwnedPermit, oneshot};

/// The longest chat line that becomes an event, in bytes. IRC carries 512, Discord 2,000 characters; the rest is pasted
/// by mistake or in bad faith.
pub const MAX_LINE: usize = 4096;

/// What starts a command in chat.
pub const PREFIX: char = '!';

/// Commands of the host itself; no plugin can take them.
pub const RESERVED: [&str; 2] = ["admin", "help"];

/// Who said something, as far as the connector knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name that chat shows.
    pub name: String,
    /// How that name was verified.
    pub identity: Identity,
}

/// With the account, where the chat network verified one: it says who that is, and the nick does not.
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
    /// It was not: anyone on this network can take a nick.
    Nick {
        /// The network that the nick belongs to.
        network: Network,
    },
    /// No person: the event comes from Rosey itself.
    Nobody,
    /// The person at the terminal, named by the configuration.
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
    /// Stands for the person where only equality matters: the account where there is one, or else the name that chat shows.
    pub fn key(&self, name: &str) -> u64 {
        match self {
            Self::Account { network, name } => FxBuildHasher.hash_one((network.id.as_str(), name)),
            _ => FxBuildHasher.hash_one(name),
        }
    }

    /// Whether the name is proved, and not only claimed.
    pub fn is_verified(&self) -> bool {
        !matches!(self, Self::Nick { .. } | Self::Nobody)
    }
}

impl User {
    /// Stands where no person has caused an event.
    pub fn nobody() -> Self {
        Self { name: String::new(), identity: Identity::Nobody }
    }
}

/// A chat network, for comparing the names of its people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The connector that talks to it.
    pub id: ConnectorId,
    /// Which spellings of a name are one name.
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

/// Where something was said: one conversation of one connector.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The connector that the conversation belongs to.
    pub connector: ConnectorId,
    /// The channel's name within it.
    pub channel: String,
    /// Stands for both where only equality matters. Two places may share a key by chance.
    pub key: u64,
}

impl Place {
    /// A place of this connector.
    pub fn new(connector: impl Into<ConnectorId>, channel: impl Into<String>) -> Self {
        let (connector, channel) = (connector.into(), channel.into());
        let key = FxBuildHasher.hash_one((connector.as_str(), &channel));
        Self { connector, channel, key }
    }

    /// Where an event belongs to no channel.
    pub fn none() -> Self {
        Self::new("", "")
    }
}

/// One event for one plugin.
#[derive(Debug)]
pub struct Event {
    body: Body,
    /// Who caused it.
    pub user: Arc<User>,
    /// The channel that it happened in.
    pub place: Arc<Place>,
    /// Where the one answer goes.
    pub reply_to: ReplyTo,
}

/// Nearly all events are commands that a connector brings: these need no memory but that of their line.
#[derive(Debug)]
enum Body {
    Command(CommandLine),
    Other(Box<Occurrence>),
}

impl Event {
    /// Makes an event of a line that [`command_of`] found a command in.
    pub fn new(line: impl Into<Box<str>>, user: Arc<User>, place: Arc<Place>, reply_to: ReplyTo) -> Self {
        Self { body: Body::Command(CommandLine::new(line.into())), user, place, reply_to }
    }

    /// Makes an event of any kind.
    pub fn of(occurrence: Occurrence, user: Arc<User>, place: Arc<Place>, reply_to: ReplyTo) -> Self {
        Self { body: Body::Other(Box::new(occurrence)), user, place, reply_to }
    }

    /// The same event, which has a row of `accepted` from now on.
    pub fn with_row(self, row: i64) -> Self {
        let body = match self.body {
            Body::Command(command) => Box::new(Occurrence::new(What::Command(command), 0, "")),
            Body::Other(occurrence) => occurrence,
        };
        Self { body: Body::Other(Box::new(Occurrence { row: Some(row), ..*body })), ..self }
    }

    /// What kind of event it is.
    pub fn kind(&self) -> Kind {
        match &self.body {
            Body::Command(_) => Kind::Command,
            Body::Other(occurrence) => occurrence.what.kind(),
        }
    }

    /// The command that it is, if it is one.
    pub fn command(&self) -> Option<&CommandLine> {
        match &self.body {
            Body::Command(command) => Some(command),
            Body::Other(occurrence) => match &occurrence.what {
                What::Command(command) => Some(command),
                _ => None,
            },
        }
    }

    /// What it is beyond a command of a person who waits for the answer.
    pub fn occurrence(&self) -> Option<&Occurrence> {
        match &self.body {
            Body::Command(_) => None,
            Body::Other(occurrence) => Some(occurrence),
        }
    }

    /// Whose answers keep an order: of two events of one plugin with the same key the one accepted first is answered
    /// first, whatever happens. That is one person in one place, so that an answer that takes long holds up no other person.
    pub fn order_key(&self) -> u64 {
        FxBuildHasher.hash_one((self.place.key, &self.user.name))
    }

    /// For people: the whole line, with the command as the plugin spells it; of another event what happened.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.body {
            Body::Command(command) => Cow::Borrowed(command.line()),
            Body::Other(occurrence) => occurrence.what.text(),
        }
    }
}

/// Has the processor fetch the lines of a batch from memory side by side. Each would be waited for by itself otherwise, when
/// it is needed.
pub fn prefetch<'a>(events: impl Iterator<Item = &'a Event>) {
    let line = |event: &'a Event| match &event.body {
        Body::Command(command) => Some(command.line().as_bytes()),
        Body::Other(_) => None,
    };
    let ends = events.filter_map(line).filter_map(|line| Some((*line.first()?, *line.last()?)));
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

/// The way back for the one answer of one event.
///
/// To a connector it holds room in the outgoing queue, reserved when the event was made: an answer is never lost for want
/// of room, and a connector that cannot send takes no new events.
#[derive(Debug)]
pub enum ReplyTo {
    /// The room that a connector has reserved for the answer.
    Connector(OwnedPermit<Outgoing>),
    /// The answer is a line of its own, kept until it has been said: no connector waits for it.
    Line,
    /// The answer is not wanted.
    Nowhere,
}

impl ReplyTo {
    /// Hands over how the event ended: a text to say, or `None` when there is nothing to say. A text without anything to see
    /// is nothing.
    pub fn answer(self, place: Arc<Place>, user: Arc<User>, form: Form, text: Option<String>) {
        if let Self::Connector(permit) = self {
            let is_empty = |text: &str| text.chars().all(|c| c.is_whitespace() || c.is_control());
            let text = text.filter(|text| !is_empty(text));
            permit.send(Outgoing { place, user, text, form, receipt: None });
        }
    }
}

/// How a connector says a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As the answer to a person, who is named where others ask as well.
    Answer,
    /// As it is, to everyone in the channel.
    Line(Style),
}

/// One text on its way to a connector.
#[derive(Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub place: Arc<Place>,
    /// Whom it answers.
    pub user: Arc<User>,
    /// What to say; nothing, when the event ended in silence.
    pub text: Option<String>,
    /// How to say it.
    pub form: Form,
    /// Told when the network has all of it. Dropped when it cannot be said.
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
