//! What a slot counts and keeps for people beside the ledger: times, crashes, changes, limits that were hit.

use crate::{
    commit::Usage,
    slot::crash::{Cause, Crash},
};
use rosey_core::histogram::Histogram;
use rosey_core::outcome::{Outcome, Rejection};
use rosey_wire::event::Kind;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Crashes kept for people.
const CRASHES: usize = 50;

/// Since the host started.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Events by their kind, in the order of [`Kind::ALL`], the rejected ones included.
    pub kinds: [u64; Kind::ALL.len()],
    /// From acceptance to outcome, of events that were not rejected: those end at once, and say nothing of the plugin.
    pub response: Histogram,
    /// How many crashes.
    pub crash_count: u64,
    /// The last of them, the newest last.
    pub crashes: VecDeque<Arc<Crash>>,
    /// Crashes by cause.
    pub causes: BTreeMap<&'static str, u64>,
    /// Starts that the slot made by itself, by what made them necessary: the cause of a crash, or `start`.
    pub restarts: BTreeMap<&'static str, u64>,
    /// Good changes on request and refused ones.
    pub reloads: (u64, u64),
    /// Rollbacks that the slot made by itself.
    pub rollbacks: u64,
    /// When the last of them was, and why; nothing once a change on request was good.
    pub rolled_back: Option<(SystemTime, String)>,
    /// How long the good changes took.
    pub reload_times: Histogram,
    /// How often an event ran again because something that it had read was changed meanwhile.
    pub conflicts: u64,
    /// What the plugin keeps.
    pub kept: Usage,
    /// How long the store took to make the changes of an event, or of a transaction, durable.
    pub commit_times: Histogram,
    /// Commands that were refused because of a cooldown.
    pub cooled: u64,
    /// How often a limit was hit, by its setting.
    pub limit_hits: BTreeMap<&'static str, u64>,
    /// The plugin's own metrics as a generation wrote them, JSON; empty before they were collected.
    pub custom: (u64, Arc<str>),
    trouble: &'static str,
}

impl Account {
    /// Of a plugin that keeps so much.
    pub fn of(kept: Usage) -> Self {
        Self { kept, ..Self::default() }
    }

    /// An event ended.
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

    /// A generation that was not staged crashed.
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

    /// A generation did not come up.
    pub fn start_failed(&mut self) {
        self.trouble = "start";
    }

    /// The slot starts again by itself.
    pub fn restarting(&mut self) {
        *self.restarts.entry(self.trouble).or_default() += 1;
    }

    /// A change on request ended.
    pub fn changed(&mut self, good: bool, took: Duration) {
        if good {
            self.rolled_back = None;
            self.reloads.0 += 1;
            self.reload_times.observe(took);
        } else {
            self.reloads.1 += 1;
        }
    }

    /// The slot went back to the build before by itself.
    pub fn rolled_back(&mut self, why: String) {
        self.rollbacks += 1;
        self.rolled_back = Some((SystemTime::now(), why));
    }

    /// The plugin keeps so much now. Of two that came out of order the newer counts.
    pub fn keeps(&mut self, usage: Usage) {
        if usage.commits >= self.kept.commits {
            self.kept = usage;
        }
    }

    /// A limit was hit.
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
