//! One plugin over time: turns the slot's counts at each poll into rates, recent sums and a point of the history.

use super::{history::History, now_seconds, show, usage::Usage};
use crate::{
    slot::view::View,
    view::{Point, mebibytes},
};
use rosey_core::{histogram::Histogram, ledger::Ledger, outcome::OUTCOMES};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The time over which response times are summed up for people.
const MINUTE: Duration = Duration::from_secs(60);

/// The time over which failures are summed up; the alert has the same.
const MINUTES: Duration = Duration::from_secs(300);

/// The outcomes that are bad for the user.
const BAD: [&str; 4] = ["failed", "timed_out", "rejected", "dead_lettered"];

/// The number of bad outcomes in these counts.
pub fn bad(outcomes: &[u64; OUTCOMES.len()]) -> u64 {
    OUTCOMES.iter().zip(outcomes).filter(|(name, _)| BAD.contains(name)).map(|(_, count)| count).sum()
}

/// One plugin over time.
#[derive(Debug, Default)]
pub struct Series {
    /// A point for each poll.
    pub history: History,
    before: Ledger,
    polled: Option<Instant>,
    /// The response times at each poll of the last minute, the oldest first.
    minute: VecDeque<(Instant, Histogram)>,
    /// The number of ended events, and of those that ended badly, at each poll of the last minutes, the oldest first.
    ends: VecDeque<(Instant, u64, u64)>,
}

/// What a poll shows about the recent past.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    /// Events accepted a second, since the poll before.
    pub rate: f64,
    /// Response times of the last minute.
    pub minute: Histogram,
    /// Events that ended within the last five minutes.
    pub ended: u64,
    /// Events of these that ended badly.
    pub failed: u64,
}

impl Series {
    /// Adds a point, and sums up.
    pub fn poll(&mut self, view: &View, usage: Usage, now: Instant, keep: Duration) -> Recent {
        let (ledger, response) = (&view.ledger, &view.account.response);
        let passed = self.polled.replace(now).map(|polled| now.saturating_duration_since(polled).as_secs_f64());
        let accepted = ledger.accepted.saturating_sub(self.before.accepted);
        let rate = passed.map_or(0.0, |passed| accepted as f64 / passed.max(0.001));
        let mut outcomes = [0; OUTCOMES.len()];
        for (at, count) in outcomes.iter_mut().enumerate() {
            let ended = ledger.outcomes[at].saturating_sub(self.before.outcomes[at]);
            *count = u32::try_from(ended).unwrap_or(u32::MAX);
        }
        self.before = *ledger;
        let last = self.minute.back().map_or(Histogram::default(), |(_, last)| *last);
        let lately = response.since(&last);
        let quantile = |share| lately.quantile(share).map_or(f32::NAN, |seconds| show::rounded(seconds) as f32);
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.history.push(
            Point {
                at: now_seconds(),
                cpu: ((usage.cpu_percent * 10.0).round() / 10.0) as f32,
                memory: mebibytes(usage.memory_bytes) as f32,
                events_per_second: ((rate * 100.0).round() / 100.0) as f32,
                response_p50: quantile(0.5),
                response_p95: quantile(0.95),
                outcomes,
                crashes: u32::try_from(view.account.crash_count).unwrap_or(u32::MAX),
                queued: small(view.queued),
                in_flight: small(view.in_flight),
                generation: view.active().map_or(0, |active| u32::try_from(active.number).unwrap_or(u32::MAX)),
            },
            keep,
        );
        Recent { rate, minute: self.last_minute(now, response), ..self.last_minutes(now, ledger) }
    }

    fn last_minute(&mut self, now: Instant, response: &Histogram) -> Histogram {
        while self.minute.len() > 1 && now.saturating_duration_since(self.minute[0].0) > MINUTE {
            self.minute.pop_front();
        }
        if self.minute.is_empty() {
            // Events before the first poll count for the last minute too.
            self.minute.push_back((now, Histogram::default()));
        }
        let first = self.minute[0].1;
        self.minute.push_back((now, *response));
        response.since(&first)
    }

    fn last_minutes(&mut self, now: Instant, ledger: &Ledger) -> Recent {
        while self.ends.len() > 1 && now.saturating_duration_since(self.ends[0].0) > MINUTES {
            self.ends.pop_front();
        }
        let (ended, failed) = (ledger.outcomes.iter().sum::<u64>(), bad(&ledger.outcomes));
        if self.ends.is_empty() {
            self.ends.push_back((now, 0, 0));
        }
        let (_, ended_before, failed_before) = self.ends[0];
        self.ends.push_back((now, ended, failed));
        Recent {
            ended: ended.saturating_sub(ended_before),
            failed: failed.saturating_sub(failed_before),
            ..Recent::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_before_the_first_poll_stays_for_its_minutes() {
        let (mut series, now) = (Series::default(), Instant::now());
        let ledger = |ended: u64| Ledger { outcomes: [ended, 0, ended, 0, 0, 0], ..Ledger::default() };
        let recent = |series: &mut Series, at: u64, ended| {
            let recent = series.last_minutes(now + Duration::from_secs(at), &ledger(ended));
            (recent.ended, recent.failed)
        };
        assert_eq!(recent(&mut series, 0, 12), (24, 12));
        assert_eq!(recent(&mut series, 5, 12), (24, 12));
        assert_eq!(recent(&mut series, 200, 20), (40, 20));
        assert_eq!(recent(&mut series, 304, 21), (18, 9), "those of the first minutes are over");
        assert_eq!(recent(&mut series, 900, 21), (0, 0));
    }
}
