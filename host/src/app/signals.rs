//! The signals that end the bot, and the one that may not.

use crate::{admin::Admin, log};
use std::{
    io::{self, IsTerminal},
    sync::Arc,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

/// Ctrl-C, requests to terminate, and a terminal that closes. Created once, so that no signal between two waits is
/// lost.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    /// Whether the process had a terminal at its start. A closed terminal can no longer be queried.
    has_terminal: bool,
    /// Told of a hangup that does not end the bot.
    hangups: Arc<Notify>,
}

impl Signals {
    pub fn watch() -> io::Result<Self> {
        let has_terminal = io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            // A program that was started with nohup must outlive the terminal.
            hangup: if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) },
            has_terminal,
            hangups: Arc::default(),
        })
    }

    /// Told of each hangup that asks to read the configuration again. Hangups that come together count as one.
    pub fn hangups(&self) -> Arc<Notify> {
        Arc::clone(&self.hangups)
    }

    /// Waits for a signal that ends the bot. Cancellation loses no signal.
    pub async fn next(&mut self) {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = hangup => {
                    if self.has_terminal {
                        return;
                    }
                    tracing::info!("SIGHUP: reading the configuration again");
                    self.hangups.notify_one();
                }
            }
        }
    }
}

/// The signal after which the log and the audit file are opened again. Without a handler it would end the process.
pub(super) fn reopening() -> io::Result<Signal> {
    signal(SignalKind::user_defined1())
}

/// Opens the log and the audit file again at each signal, for programs like logrotate. Never ends.
pub(super) async fn reopen_files(mut signals: Signal, admin: Arc<Admin>) {
    while signals.recv().await.is_some() {
        log::reopen();
        admin.reopen_audit_file().await;
        tracing::info!("SIGUSR1: the files of the log and the audit are opened again");
    }
}

/// Whether this process was started with SIGHUP ignored.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is signal 1, the lowest bit.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}
