//! Repeated times: a cron expression of five fields, read in a time zone.
//!
//! The clock of a zone is put forward and back. An expression that names hours, such as `30 2 * * *`, means times of
//! the day: a skipped time fires at the first instant after the gap, and a time that comes twice fires only the first
//! time. An expression for every hour, such as `*/10 * * * *`, means a pace: it counts the minutes that really pass.
//! Imports nothing of this crate.

mod cron;

use cron::Cron;
use jiff::{
    Span, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};

/// Longest expression in bytes. One that names every minute has 170.
const MAX_EXPRESSION: usize = 256;

/// Longest name of a time zone in bytes; the longest existing one has 32.
const MAX_ZONE: usize = 64;

/// Why an expression and a zone give no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression cannot be used.
    #[error("the cron expression {expression:?} {why}")]
    Cron {
        /// The expression as written, cut if it is too long.
        expression: String,
        /// The mistake in it, as a predicate.
        why: String,
    },
    /// The time-zone database has no zone with this name.
    #[error("there is no time zone {0:?}; write one like Europe/Berlin, or UTC")]
    Zone(
        /// The name as written, cut if it is too long.
        String,
    ),
}

/// A repeated time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads an expression and the name of a zone; the empty name is UTC.
    ///
    /// # Errors
    ///
    /// The mistake in either of them.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let wrong = |why| ScheduleError::Cron { expression: expression.chars().take(MAX_EXPRESSION).collect(), why };
        if expression.len() > MAX_EXPRESSION {
            return Err(wrong(format!("has {} bytes, and {MAX_EXPRESSION} at most are read", expression.len())));
        }
        let cron = Cron::parse(expression).map_err(wrong)?;
        let no_zone = || ScheduleError::Zone(zone.chars().take(MAX_ZONE).collect());
        let zone = match zone {
            "" | "UTC" => TimeZone::UTC,
            name if name.len() > MAX_ZONE => return Err(no_zone()),
            name => TimeZone::get(name).map_err(|_| no_zone())?,
        };
        Ok(Self { cron, zone })
    }

    /// The first time after this one at which it fires, in milliseconds since 1970. `None` after the year 9999.
    pub fn next(&self, after: u64) -> Option<u64> {
        let after = Timestamp::from_millisecond(i64::try_from(after).ok()?).ok()?;
        let next = if self.cron.is_every_hour() { self.next_by_pace(after) } else { self.next_by_clock(after) };
        u64::try_from(next?.as_millisecond()).ok()
    }

    /// The next time of the day that it names. A later time of the clock is never an earlier instant, so the first one
    /// found is the next.
    fn next_by_clock(&self, after: Timestamp) -> Option<Timestamp> {
        let mut civil = self.zone.to_datetime(after);
        loop {
            civil = self.cron.after(civil)?;
            // In the second run of an hour that comes twice, its times are over.
            if let Some(at) = self.instant(civil).filter(|at| *at > after) {
                return Some(at);
            }
        }
    }

    /// The instant at which the clock of the zone first shows this time, or would have shown it.
    fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset: before } | AmbiguousOffset::Fold { before, .. } => {
                before.to_timestamp(civil).ok()
            }
            AmbiguousOffset::Gap { after, .. } => {
                // With the offset after the change, a time in the gap lies before it.
                let before = after.to_timestamp(civil).ok()?;
                self.zone.following(before).next().map(|transition| transition.timestamp())
            }
        }
    }

    /// The next instant at which the clock shows a matching time. Searches one stretch between two changes of the clock
    /// after the other.
    fn next_by_pace(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut since, mut offset) = (after, self.zone.to_offset(after));
        let mut civil = offset.to_datetime(after);
        loop {
            civil = self.cron.after(civil)?;
            let at = offset.to_timestamp(civil).ok()?;
            match self.zone.following(since).next() {
                Some(change) if change.timestamp() <= at => {
                    (since, offset) = (change.timestamp(), change.offset());
                    // The minute in which the change happens counts.
                    civil = offset.to_datetime(since).checked_sub(Span::new().nanoseconds(1)).ok()?;
                }
                _ if at > after => return Some(at),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
