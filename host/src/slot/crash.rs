//! Why a generation died, and the record of it.

use crate::process::spawn::Exit;
use rosey_core::hash::Hash;
use rosey_core::state::GenerationId;
use rustix::process::Signal;
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// What ended a generation without a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The process ended by itself.
    Exited(Exit),
    /// The host killed it because it did not answer for this long.
    Hung(Duration),
    /// The host killed it because it broke the protocol.
    Protocol(String),
    /// The host killed it because it used more memory than its limit.
    Memory {
        /// Memory at the measurement, in bytes.
        used: u64,
        /// The limit, in bytes.
        limit: u64,
    },
}

impl Cause {
    /// All values of [`Cause::name`].
    pub const NAMES: [&str; 5] = ["exit", "signal", "hang", "protocol", "memory"];

    /// The `cause` label in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exited(exit) if exit.signal().is_some() => "signal",
            Self::Exited(_) => "exit",
            Self::Hung(_) => "hang",
            Self::Protocol(_) => "protocol",
            Self::Memory { .. } => "memory",
        }
    }

    /// Whether the process did this itself, and not the host, an operator or the kernel.
    pub fn is_own_doing(&self) -> bool {
        match self {
            Self::Exited(exit) => exit.signal() != Some(Signal::KILL.as_raw()),
            Self::Protocol(_) => true,
            Self::Hung(_) | Self::Memory { .. } => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(exit) => write!(out, "{exit}"),
            Self::Hung(limit) => write!(out, "hung: no sign of life for {} s", limit.as_secs_f32()),
            Self::Protocol(what) => write!(out, "broke the protocol: {what}"),
            Self::Memory { used, limit } => {
                write!(out, "used {} MiB of memory; its limit is {} MiB", used >> 20, limit >> 20)
            }
        }
    }
}

/// The end of a plugin's process that nothing had asked for.
#[derive(Debug, Clone)]
pub struct Crash {
    /// When the host noticed it.
    pub at: SystemTime,
    /// The generation whose process it was.
    pub generation: GenerationId,
    /// The artifact that it ran.
    pub artifact: Hash,
    /// The version that it ran.
    pub version: String,
    /// Time since it came up.
    pub uptime: Duration,
    /// The cause of its end.
    pub cause: Cause,
    /// The events that it was executing, as typed.
    pub executing: Vec<String>,
    /// The users who typed them.
    pub by: Vec<String>,
    /// The last lines of its standard error.
    pub stderr: Vec<String>,
}
