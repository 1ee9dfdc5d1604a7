//! Why a generation died, and what is kept about it.

use crate::process::spawn::Exit;
use rosey_core::hash::Hash;
use rosey_core::state::GenerationId;
use rustix::process::Signal;
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// What ended a generation against its will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It ended by itself.
    Exited(Exit),
    /// It was killed for not answering.
    Hung(Duration),
    /// It was killed for breaking the protocol.
    Protocol(String),
    /// It was killed for using more memory than it may, in bytes.
    Memory {
        /// Resident memory when it was measured.
        used: u64,
        /// What it may use.
        limit: u64,
    },
}

impl Cause {
    /// All that [`Cause::name`] says.
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

    /// Whether the process did this itself, as opposed to being ended by the host, an operator or the kernel.
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
                write!(out, "used {} MiB of memory, and may use {} MiB", used >> 20, limit >> 20)
            }
        }
    }
}

/// How a process of a plugin ended that was not told to.
#[derive(Debug, Clone)]
pub struct Crash {
    /// When the host noticed it.
    pub at: SystemTime,
    /// The generation whose process it was.
    pub generation: GenerationId,
    /// What it ran.
    pub artifact: Hash,
    /// The version it ran.
    pub version: String,
    /// How long it had been up.
    pub uptime: Duration,
    /// What ended it.
    pub cause: Cause,
    /// What it was executing, as typed.
    pub executing: Vec<String>,
    /// Who typed each of them.
    pub by: Vec<String>,
    /// The last lines of its standard error.
    pub stderr: Vec<String>,
}
