//! Whether a batch for the store should wait for more records.
//!
//! Each batch costs one sync of the disk. On a slow disk, half of the events of a busy plugin wait for the sync of the other
//! half, and each sync takes only half of them. When a batch ends while records wait, the people whose events it had are
//! likely to go on at once; so the next batch waits a moment for them, and then one sync takes all.

use std::time::{Duration, Instant};

/// A batch that took less than this is followed at once: the shortest wait of a timer would cost more than a second sync.
const SLOW: Duration = Duration::from_millis(2);

/// The wait, as a part of the time that the last batch took.
const PART: u32 = 4;

/// Longest wait.
const MOST: Duration = Duration::from_millis(10);

/// What the next batch waits for.
#[derive(Debug, Default)]
pub struct Gather(Option<Wait>);

#[derive(Debug)]
struct Wait {
    until: Instant,
    /// With as many records there is nothing to wait for.
    enough: usize,
}

impl Gather {
    /// A batch of `size` records has ended after this time, and `waiting` records are there for the next one.
    pub fn ended(&mut self, now: Instant, took: Duration, size: usize, waiting: usize) {
        let waits = took >= SLOW && waiting > 0;
        self.0 = waits.then(|| Wait { until: now + (took / PART).min(MOST), enough: size + waiting });
    }

    /// Whether the next batch, with as many records now, should wait.
    pub fn waits(&self, now: Instant, waiting: usize) -> bool {
        self.0.as_ref().is_some_and(|wait| now < wait.until && waiting < wait.enough)
    }

    /// A batch begins.
    pub fn begins(&mut self) {
        self.0 = None;
    }

    /// When the wait ends.
    pub fn until(&self) -> Option<Instant> {
        self.0.as_ref().map(|wait| wait.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn after_a_slow_sync_the_next_one_takes_all() {
        let (mut gather, now) = (Gather::default(), Instant::now());
        gather.ended(now, 8 * MS, 100, 50);
        assert!(gather.waits(now, 50) && gather.waits(now + MS, 149));
        assert!(!gather.waits(now + MS, 150), "all are there");
        assert!(!gather.waits(now + 2 * MS, 50), "a quarter of the time of the last one");
        gather.begins();
        assert!(!gather.waits(now, 50) && gather.until().is_none());
    }

    #[test]
    fn one_event_at_a_time_and_a_quick_disk_wait_for_nothing() {
        let (mut gather, now) = (Gather::default(), Instant::now());
        gather.ended(now, 8 * MS, 1, 0);
        assert!(!gather.waits(now, 1));
        gather.ended(now, MS, 100, 100);
        assert!(!gather.waits(now, 100));
        gather.ended(now, 10_000 * MS, 100, 100);
        assert_eq!(gather.until(), Some(now + MOST));
    }
}
