//! Events, and where the answers go. Data only.

pub mod name;

use name::CaseMapping;
use rustc_hash::FxBuildHasher;
use std::{fmt, hash::BuildHasher, sync::Arc};
use tokio::sync::mpsc::OwnedPermit;

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
        !matches!(self, Self::Nick { .. })
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
    /// The channel that it was typed in.
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

    /// Whose answers keep an order: of two events of one plugin with the same key the one accepted first is answered
    /// first, whatever happens. That is one person in one place, so that an answer that takes long holds up no other person.
    pub fn order_key(&self) -> u64 {
        FxBuildHasher.hash_one((self.place.key, &self.user.name))
    }

    /// The whole line, with the command as the plugin spells it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Has the processor fetch the lines of a batch from memory side by side. Each would be waited for by itself otherwise, when
/// it is needed.
pub fn prefetch<'a>(events: impl Iterator<Item = &'a Event>) {
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
    /// The room that a connector has reserved for the answer.
    Connector(OwnedPermit<Outgoing>),
    /// The answer is not wanted.
    Nowhere,
}

impl ReplyTo {
    /// Hands over how the event ended: a text for the user, or `None` when there is nothing to say. A text without
    /// anything to see is nothing.
    pub fn answer(self, place: Arc<Place>, user: Arc<User>, text: Option<String>) {
        if let Self::Connector(permit) = self {
            let is_empty = |text: &str| text.chars().all(|c| c.is_whitespace() || c.is_control());
            let text = text.filter(|text| !is_empty(text));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> Event {
        let user = User { name: "al".into(), identity: Identity::Console };
        Event::new(line, user.into(), Place::new("console", "terminal").into(), ReplyTo::Nowhere)
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
            ReplyTo::Connector(permit).answer(place, user, Some(text.to_owned()));
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
