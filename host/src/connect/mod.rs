//! Connectors: they bring chat lines to the router and answers back.
//!
//! `config` is what an operator writes under `[connect]`, [`start`] makes a [`Connector`] of each entry, and
//! [`Connectors`] is what the host holds. A new kind of network is a module with a configuration and a [`Connector`], an arm
//! in [`start`], and a word in `config::KINDS`.

pub mod config;
pub mod console;
pub mod irc;

use crate::{event::ConnectorId, metrics::Metrics, router::Router, speech::Speech};
use config::Connect;
use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::task::JoinSet;

/// The end of a connector.
pub type Ending<'a> = Pin<Box<dyn Future<Output = Result<(), ConnectError>> + Send + 'a>>;

/// One running connection to a chat network, or to the terminal. Dropped, it breaks off without a word.
pub trait Connector: Send + fmt::Debug {
    /// Its name.
    fn id(&self) -> &ConnectorId;

    /// Takes no more commands. Those accepted are still answered.
    fn stop_accepting(&self);

    /// Waits until it has ended by itself, as the console does at the end of its input; a network never does. May be
    /// cancelled and called again, but not after it returned.
    fn ended(&mut self) -> Ending<'_>;

    /// Sends the answers that are due, within some seconds, and ends. Cancelled, the rest is lost.
    fn finish(self: Box<Self>) -> Ending<'static>;
}

/// Why a connector cannot be started, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The terminal or the pipe does not take the answers.
    #[error("the console cannot be written to: {0}")]
    Console(#[source] io::Error),
    /// A network's settings do not hold any more; the text names them and says what to do.
    #[error("cannot start connect.{id}: {why}")]
    Settings {
        /// The connector's name.
        id: ConnectorId,
        /// What is wrong with it.
        why: String,
    },
}

/// All connectors that are configured.
#[derive(Debug)]
pub struct Connectors(Vec<Box<dyn Connector>>);

/// Starts the connectors, on the runtime that this is called on. A network that cannot be reached is tried for ever.
///
/// # Errors
/// [`ConnectError::Settings`]; the connectors started before are dropped.
pub fn start(
    connect: &Connect,
    router: &Arc<Router>,
    metrics: &Metrics,
    speech: &Speech,
) -> Result<Connectors, ConnectError> {
    let mut all: Vec<Box<dyn Connector>> = Vec::new();
    if let Some(console) = &connect.console {
        all.push(Box::new(console::Console::start(&console.user, Arc::clone(router), metrics, speech)));
    }
    for (name, network) in &connect.networks {
        let refused = |why| ConnectError::Settings { id: name.as_str().into(), why };
        // They were checked when they were read; a file with a password may have gone since.
        let settings = network
            .settings(name)
            .map_err(|problems| refused(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
        all.push(Box::new(irc::Irc::start(settings, Arc::clone(router), metrics, speech).map_err(refused)?));
    }
    if all.is_empty() {
        tracing::warn!("no connector is configured, so no one can talk to this bot; see [connect.console]");
    }
    Ok(Connectors(all))
}

impl Connectors {
    /// Takes no more commands. Those accepted are still answered.
    pub fn stop_accepting(&self) {
        self.0.iter().for_each(|connector| connector.stop_accepting());
    }

    /// Waits until one of them has ended by itself; it is not among them any more. May be cancelled and called again.
    ///
    /// # Errors
    /// That of the connector that ended.
    pub async fn ended(&mut self) -> Result<(), ConnectError> {
        let (at, result) = {
            let mut endings: Vec<_> = self.0.iter_mut().map(|connector| connector.ended()).collect();
            let first = |context: &mut Context<'_>| {
                let mut polled = endings.iter_mut().enumerate();
                let done = polled.find_map(|(at, ending)| match ending.as_mut().poll(context) {
                    Poll::Ready(result) => Some((at, result)),
                    Poll::Pending => None,
                });
                done.map_or(Poll::Pending, Poll::Ready)
            };
            std::future::poll_fn(first).await
        };
        self.0.swap_remove(at);
        result
    }

    /// Has all of them send what is due, side by side, and end. Cancelled, the rest is lost.
    ///
    /// # Errors
    /// The first; the others end all the same.
    pub async fn finish(self) -> Result<(), ConnectError> {
        let mut all: JoinSet<_> = self.0.into_iter().map(Connector::finish).collect();
        let mut result = Ok(());
        while let Some(joined) = all.join_next().await {
            // A panic was reported where it happened.
            result = result.and(joined.unwrap_or(Ok(())));
        }
        result
    }
}
