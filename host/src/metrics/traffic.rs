//! The traffic of a connector, counted where it passes, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a connector dropped something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// A command, while too many answers were due.
    Busy,
    /// The end of an answer that was too long.
    Cut,
    /// A command of a person who gave too many.
    Flood,
    /// An answer that could not be sent in time.
    Late,
    /// A line from outside that was too long.
    Malformed,
}

impl Dropped {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Busy, Self::Cut, Self::Flood, Self::Late, Self::Malformed];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Cut => "cut",
            Self::Flood => "flood",
            Self::Late => "late",
            Self::Malformed => "malformed",
        }
    }
}

/// The counts of one connector since the host started.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
    connections: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl Traffic {
    /// A person said a line.
    pub fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    /// The bot said a line.
    pub fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// The bot connected.
    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// The connector dropped something, or several things.
    pub fn dropped(&self, why: Dropped, count: usize) {
        self.dropped[why as usize].fetch_add(count as u64, Relaxed);
    }

    /// The counts of messages received, lines sent, and connections.
    pub(super) fn read(&self) -> (u64, u64, u64) {
        (self.received.load(Relaxed), self.sent.load(Relaxed), self.connections.load(Relaxed))
    }

    /// The count of drops for this reason.
    pub(super) fn read_dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize].load(Relaxed)
    }
}
