//! IRC: one connection to one server, kept up for ever.
//!
//! The rules are pure and know neither a clock nor a socket: `session` is what client and server say to each other, on top
//! of `message` (a line) and `name`; `outbox` what waits to be sent, at the speed of `flood`, in lines made by `split`.
//! `task` owns the socket, `tls` and `frame` serve it. What happens is a `happening`: a line in the log and a figure.
//!
//! What people say goes through a bounded queue to the router, which reserves room for the answer before it accepts an event.
//! Reading never waits for it: a server that gets no `PONG` hangs up. When the queue is full, commands are dropped, and
//! that is counted. A line that was sent when the connection broke may be lost: IRC acknowledges nothing.

mod config;
mod flood;
mod frame;
mod happening;
mod message;
mod name;
mod outbox;
mod session;
mod split;
mod task;
mod tls;

pub use config::{IrcConfig, Settings};

use crate::{metrics::Metrics, router::Router};
use std::sync::Arc;
use tokio::{sync::watch, task::JoinHandle};

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    /// It lives.
    Up,
    /// It takes no more commands, and still says answers.
    Deaf,
    /// It says what is due, and goodbye.
    Leaving,
}

/// The running connector. Dropped, the connection is lost without a word.
#[derive(Debug)]
pub struct Irc {
    life: watch::Sender<Life>,
    task: JoinHandle<()>,
}

impl Irc {
    /// Begins to connect, on the runtime that this is called on. From now on it is never given up.
    ///
    /// # Errors
    /// When nobody could be trusted with TLS; the text says what to do.
    pub fn start(settings: Settings, router: Arc<Router>, metrics: &Metrics) -> Result<Self, String> {
        let tls = settings.tls.then(|| tls::connector(settings.ca_file.as_deref())).transpose()?;
        if settings.is_exposed() {
            let secret = settings.password.is_some() || settings.account.is_some();
            let secret = if secret { "passwords and " } else { "" };
            tracing::warn!(
                "{}: {secret}all that is said go to {} unencrypted; anybody on the way can read them, and speak as an \
                 admin; set connect.{}.tls",
                settings.id,
                settings.server,
                settings.id
            );
        }
        let (life, lives) = watch::channel(Life::Up);
        let task = tokio::spawn(task::run(settings, tls, router, metrics.clone(), lives));
        Ok(Self { life, task })
    }

    /// Takes no more commands. Those accepted are still answered.
    pub fn hush(&self) {
        self.life.send_replace(Life::Deaf);
    }

    /// Says what is due, as far as that takes no longer than five seconds, and goodbye. Cancelled, the connection is
    /// lost without a word.
    pub async fn finish(self) {
        self.life.send_replace(Life::Leaving);
        // It has nothing to return, and its panic was reported.
        let _ = self.task.await;
    }
}
