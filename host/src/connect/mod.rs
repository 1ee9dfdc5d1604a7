//! Connectors: they bring chat lines to the router and answers back.
//!
//! `config` reads `[connect]`, [`start`] makes a [`Connector`] from each entry, and the host holds them as
//! [`Connectors`]. A new kind of network is a module with a configuration and a [`Connector`], a word in
//! `config::KINDS`, and a case in [`start`]; docs/HOW_TO_ADD.md has the steps.

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

/// One running connection to a chat network, or to the terminal. Dropped, it closes without a goodbye.
pub trait Connector: Send + fmt::Debug {
    /// Its name.
    fn id(&self) -> &ConnectorId;

    /// Stops taking commands. Accepted ones are still answered.
    fn stop_accepting(&self);

    /// Waits until it has ended by itself, like the console at the end of its input; a network never does. May be
    /// cancelled and called again, but not after it returned.
    fn ended(&mut self) -> Ending<'_>;

    /// Sends the answers that are due, within some seconds, and ends. Cancelled, the rest is dropped.
    fn finish(self: Box<Self>) -> Ending<'static>;
}

/// Why a connector cannot start, or ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The terminal or the pipe does not take the answers.
    #[error("the console cannot be written to: {0}")]
    Console(#[source] io::Error),
    /// A network's settings are not valid any more; the text names them and says what to do.
    #[error("cannot start connect.{id}: {why}")]
    Settings {
        /// The connector's name.
        id: ConnectorId,
        /// The mistake in its settings.
        why: String,
    },
}

/// All configured connectors.
#[derive(Debug)]
pub struct Connectors(Vec<Box<dyn Connector>>);

/// Starts the connectors on the current runtime. A network that cannot be reached is tried for ever.
///
/// # Errors
///
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
        // The configuration was checked when it was read, but a file with a password may be gone since.
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
    /// Stops taking commands. Accepted ones are still answered.
    pub fn stop_accepting(&self) {
        self.0.iter().for_each(|connector| connector.stop_accepting());
    }

    /// Waits until one of them has ended by itself, and removes it. May be cancelled and called again.
    ///
    /// # Errors
    ///
    /// The error of the connector that ended.
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

    /// Ends all of them in parallel, each after its answers that are due. Cancelled, the rest is dropped.
    ///
    /// # Errors
    ///
    /// The first error; the others end all the same.
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
