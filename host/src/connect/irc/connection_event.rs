//! Events of a connection: each is one line in the log, and those that matter later are marks on the time axis. Data and
//! words only.

use super::{message::plain, split::head};
use crate::{event::ConnectorId, metrics::Metrics, text::visible, time::span};
use std::time::Duration;
use tracing::Level;

/// Bytes of a server's text that are quoted.
const QUOTED: usize = 200;

/// One event of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The server let the bot in.
    Registered {
        /// What the server calls itself.
        server: String,
        /// The nick that the bot has got.
        nick: String,
    },
    /// The wanted nick is taken.
    OtherNick {
        /// The nick that the bot has.
        nick: String,
        /// The one that it wants.
        wanted: String,
    },
    /// The server gave the bot another nick than the wanted one.
    Renamed {
        /// The nick that the bot has.
        nick: String,
        /// The one that it wants.
        wanted: String,
    },
    /// The wanted nick is the bot's again.
    NickBack {
        /// The nick that was wanted.
        nick: String,
    },
    /// The connection is over, or could not be made.
    Lost {
        /// What ended it, for the operator.
        why: String,
        /// When the next attempt is made.
        after: Duration,
    },
    /// The bot is in a channel.
    Joined {
        /// The channel, as the server spells it.
        channel: String,
    },
    /// The bot was thrown out of a channel.
    Removed {
        /// The channel, as the server spells it.
        channel: String,
        /// By whom, and what they said.
        why: String,
        /// When the bot tries to come back.
        after: Duration,
    },
    /// The server refuses to let the bot into a channel.
    Refused {
        /// The channel, as the server spells it.
        channel: String,
        /// What the server says.
        why: String,
        /// What to do.
        advice: String,
        /// When the bot tries again.
        after: Duration,
    },
    /// The bot was put into a channel that is not configured; it leaves again.
    Misplaced {
        /// The channel, as the server spells it.
        channel: String,
    },
    /// The bot may not speak in a channel.
    Muted {
        /// The channel, as the server spells it.
        channel: String,
        /// What the server says.
        why: String,
    },
    /// A person gives more commands than one person may.
    Flood {
        /// The nick of that person.
        who: String,
    },
    /// More answers are due than can be sent in time, so commands are dropped.
    Busy,
    /// Answers were dropped because they were too old.
    Late {
        /// How many answers were dropped.
        answers: usize,
    },
}

impl ConnectionEvent {
    /// Logs it for the connector with this name, and marks it on the time axis where it matters later.
    pub fn report(&self, id: &ConnectorId, metrics: &Metrics) {
        let (level, text) = self.line(id);
        match level {
            Level::WARN => tracing::warn!("{id}: {text}"),
            _ => tracing::info!("{id}: {text}"),
        }
        match self {
            Self::Registered { .. } => return metrics.connector(id, true),
            Self::Joined { .. } => return,
            Self::Lost { .. } => metrics.connector(id, false),
            _ => {}
        }
        metrics.connector_event(id, level == Level::WARN, &text);
    }

    fn line(&self, id: &ConnectorId) -> (Level, String) {
        let warn = |text: String| (Level::WARN, text);
        let info = |text: String| (Level::INFO, text);
        match self {
            Self::Registered { server, nick } => info(format!("{server} knows this bot as {nick}")),
            Self::OtherNick { nick, wanted } => {
                warn(format!("the nick {wanted} is taken; this bot is {nick} until it is free"))
            }
            Self::Renamed { nick, wanted } => {
                warn(format!("the server renamed this bot to {nick}; it asks for {wanted} again"))
            }
            Self::NickBack { nick } => info(format!("this bot is {nick} again")),
            Self::Lost { why, after: Duration::ZERO } => warn(format!("{why}; connecting again at once")),
            Self::Lost { why, after } => warn(format!("{why}; connecting again in {:.1} s", after.as_secs_f32())),
            Self::Joined { channel } => info(format!("in {channel}")),
            Self::Removed { channel, why, after } => {
                warn(format!("removed from {channel} by {why}; coming back in {}", span(*after)))
            }
            Self::Refused { channel, why, advice, after } => {
                let after = span(*after);
                warn(format!("cannot enter {channel} ({why}): {advice}; trying again in {after}, then less often"))
            }
            Self::Misplaced { channel } => {
                warn(format!("put into {channel}, which is not in connect.{id}.channels; leaving it"))
            }
            Self::Muted { channel, why } => {
                warn(format!("cannot speak in {channel} ({why}): ask an operator of the channel to give it voice (+v)"))
            }
            Self::Flood { who } => {
                warn(format!("{who} gives more commands than connect.{id}.user_commands; the rest is dropped"))
            }
            Self::Busy => warn("more answers are due than can be said in a minute; commands are dropped".to_owned()),
            Self::Late { answers } => warn(format!("{answers} answers could not be said in time and were dropped")),
        }
    }
}

/// What a server or a person said, short, and without anything that cannot be seen.
pub fn quoted(text: &str) -> String {
    visible(head(&plain(text), QUOTED).trim()).into_owned()
}
