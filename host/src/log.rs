//! The host's log: standard error, one line a record. Chat goes to standard output and never here.

use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging. `level` holds unless `ROSEY_LOG` says otherwise (`debug`, `rosey=trace`, …). Once in the life of a
/// process.
pub fn start(level: &str) {
    let filter = EnvFilter::try_from_env("ROSEY_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let format = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_timer(fmt::time::SystemTime);
    // Fails only when somebody has started logging already, as tests do.
    let _ = format.try_init();
}
