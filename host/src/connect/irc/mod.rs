//! IRC: one connection to one server, kept up for ever.
//!
//! The rules are pure and know neither a clock nor a socket: `session` is what client and server say to each other, on top
//! of `message` (a line) and `name`; `outbox` what waits to be sent, at the speed of `flood`, in lines made by `split`.
//! `task` owns the socket, `tls` and `frame` serve it. A `connection_event` is a line in the log and a mark on the time axis.
//!
//! What people say goes through a bounded queue to the router, which reserves room for the answer before it accepts an event.
//! Reading never waits for it: a server that gets no `PONG` hangs up. When the queue is full, commands are dropped, and
//! that is counted. A line that was sent when the connection broke may be lost: IRC acknowledges nothing.

mod config;
mod connection_event;
mod flood;
pub mod frame;
pub mod message;
mod name;
mod outbox;
mod session;
mod split;
mod task;
mod tls;

pub use config::{IrcConfig, Settings};

use super::{Connector, Ending};
use crate::{event::ConnectorId, metrics::Metrics, router::Router, speech::Speech};
use std::sync::Arc;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// The phases of the connector, from service to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ConnectorPhase {
    /// It takes commands and sends answers.
    Serving,
    /// It takes no more commands, and still sends answers.
    Draining,
    /// It sends what is due, and says goodbye.
    Leaving,
}

/// The running connector. Dropped, the connection closes without a goodbye.
#[derive(Debug)]
pub struct Irc {
    id: ConnectorId,
    phase: watch::Sender<ConnectorPhase>,
    task: JoinHandle<()>,
}

impl Irc {
    /// Begins to connect, on the current runtime, and tries for ever.
    ///
    /// # Errors
    ///
    /// TLS has no certificate authority to trust; the text says what to do.
    pub fn start(settings: Settings, router: Arc<Router>, metrics: &Metrics, speech: &Speech) -> Result<Self, String> {
        let id = settings.id.clone();
        let tls = settings.tls.then(|| tls::connector(settings.ca_file.as_deref(), &id)).transpose()?;
        if settings.is_exposed() {
            let secret = settings.password.is_some() || settings.account.is_some();
            let secret = if secret { "passwords and " } else { "" };
            tracing::warn!(
                "{id}: {secret}all messages go to {} unencrypted; anyone on the way can read them, and speak as an \
                 admin; set connect.{id}.tls",
                settings.server
            );
        }
        let (phase, phases) = watch::channel(ConnectorPhase::Serving);
        let (outgoing, answers) = mpsc::channel(task::DUE);
        speech.serve(&id, outgoing.clone());
        let task = tokio::spawn(task::run(settings, tls, router, metrics.clone(), phases, (outgoing, answers)));
        Ok(Self { id, phase, task })
    }
}

impl Connector for Irc {
    fn id(&self) -> &ConnectorId {
        &self.id
    }

    fn stop_accepting(&self) {
        self.phase.send_replace(ConnectorPhase::Draining);
    }

    fn ended(&mut self) -> Ending<'_> {
        Box::pin(std::future::pending())
    }

    /// Takes at most five seconds for the answers due, and two for the goodbye.
    fn finish(self: Box<Self>) -> Ending<'static> {
        self.phase.send_replace(ConnectorPhase::Leaving);
        Box::pin(async move {
            // It returns nothing, and its panic was reported. The sender lives until it has ended.
            let Self { phase: _phase, task, .. } = *self;
            let _ = task.await;
            Ok(())
        })
    }
}
