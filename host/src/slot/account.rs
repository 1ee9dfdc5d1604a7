//! The counters and records of a slot beside the ledger: times, crashes, changes, limits that were hit.

use crate::{
    commit::Usage,
    slot::{
        crash::{Cause, Crash},
        failures::Failures,
    },
};
use rosey_core::histogram::Histogram;
use rosey_core::outcome::{Outcome, Rejection};
use rosey_wire::event::Kind;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Crashes kept for each plugin.
const CRASHES: usize = 50;

/// The account of one plugin since the host started.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Events by their kind, in the order of [`Kind::ALL`], the rejected ones included.
    pub kinds: [u64; Kind::ALL.len()],
    /// Time from acceptance to outcome. Rejected events do not count: they end at once, whatever the plugin does.
    pub response: Histogram,
    /// Why events ended badly.
    pub failures: Arc<Failures>,
    /// Number of crashes.
    pub crash_count: u64,
    /// The last crashes, the newest last.
    pub crashes: VecDeque<Arc<Crash>>,
    /// Crashes by cause.
    pub causes: BTreeMap<&'static str, u64>,
    /// Starts that the slot made by itself, by the cause of the crash before, or `start` after a start that failed.
    pub restarts: BTreeMap<&'static str, u64>,
    /// Changes that someone asked for: those that succeeded, and those that were refused.
    pub reloads: (u64, u64),
    /// Rollbacks that the slot made by itself.
    pub rollbacks: u64,
    /// Time of the last such rollback, and its reason; `None` once a requested change has succeeded.
    pub rolled_back: Option<(SystemTime, String)>,
    /// Times of the changes that succeeded.
    pub reload_times: Histogram,
    /// Runs in vain, because another event changed what they had read.
    pub conflicts: u64,
    /// The plugin's usage of the store.
    pub kept: Usage,
    /// Times until the store had made the changes of an event, or of a transaction, durable.
    pub commit_times: Histogram,
    /// Times between the moment when a timer was due and its event. The count is that of the timers that fired.
    pub lateness: Histogram,
    /// Commands refused because of a cooldown.
    pub cooled: u64,
    /// Number of times that a limit was hit, by its setting.
    pub limit_hits: BTreeMap<&'static str, u64>,
    /// The generation that wrote the plugin's own metrics last, and the metrics as JSON; empty before the first
    /// collection.
    pub custom: (u64, Arc<str>),
    trouble: &'static str,
}

impl Account {
    /// The account of a plugin with this usage of the store.
    pub fn of(kept: Usage) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Counts an event that ended.
    pub fn ended(&mut self, outcome: &Outcome, waited: Duration) {
        if !matches!(outcome, Outcome::Rejected(_)) {
            self.response.observe(waited);
        }
        match outcome {
            Outcome::Rejected(Rejection::QueueFull) => self.hit("queue"),
            Outcome::Rejected(Rejection::WaitedTooLong) | Outcome::TimedOut => self.hit("event_deadline"),
            _ => {}
        }
    }

    /// Counts a crash of a generation that was not staged.
    pub fn crashed(&mut self, crash: &Arc<Crash>) {
        self.crash_count += 1;
        self.trouble = crash.cause.name();
        *self.causes.entry(self.trouble).or_default() += 1;
        match crash.cause {
            Cause::Memory { .. } => self.hit("memory_mb"),
            Cause::Hung(_) => self.hit("hang_timeout"),
            Cause::Exited(_) | Cause::Protocol(_) => {}
        }
        if self.crashes.len() >= CRASHES {
            self.crashes.pop_front();
        }
        self.crashes.push_back(Arc::clone(crash));
    }

    /// Counts a generation that did not come up.
    pub fn start_failed(&mut self) {
        self.trouble = "start";
    }

    /// Counts a start that the slot makes by itself.
    pub fn restarting(&mut self) {
        *self.restarts.entry(self.trouble).or_default() += 1;
    }

    /// Counts the end of a requested change.
    pub fn changed(&mut self, good: bool, took: Duration) {
        if good {
            self.rolled_back = None;
            self.reloads.0 += 1;
            self.reload_times.observe(took);
        } else {
            self.reloads.1 += 1;
        }
    }

    /// Counts a rollback that the slot made by itself.
    pub fn rolled_back(&mut self, why: String) {
        self.rollbacks += 1;
        self.rolled_back = Some((SystemTime::now(), why));
    }

    /// Takes the plugin's usage of the store. When two reports arrive out of order, the newer one counts.
    pub fn keeps(&mut self, usage: Usage) {
        if usage.commits >= self.kept.commits {
            self.kept = usage;
        }
    }

    /// Counts a timer that fired. Both times are in milliseconds since 1970.
    pub fn fired(&mut self, due: u64, now: u64) {
        self.lateness.observe(Duration::from_millis(now.saturating_sub(due)));
    }

    /// Counts a limit that was hit.
    pub fn hit(&mut self, limit: &'static str) {
        *self.limit_hits.entry(limit).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rejected_says_nothing_of_how_fast_the_plugin_answers() {
        let mut account = Account::default();
        account.ended(&Outcome::Ignored, Duration::from_millis(200));
        for rejection in [Rejection::QueueFull, Rejection::NotRunning, Rejection::WaitedTooLong] {
            account.ended(&Outcome::Rejected(rejection), Duration::from_micros(5));
        }
        account.ended(&Outcome::TimedOut, Duration::from_secs(30));
        assert_eq!(account.response.count(), 2);
        assert!(account.response.quantile(0.5).is_some_and(|median| median > 0.1), "{:?}", account.response);
        assert_eq!(account.limit_hits, BTreeMap::from([("queue", 1), ("event_deadline", 2)]));
    }
}
