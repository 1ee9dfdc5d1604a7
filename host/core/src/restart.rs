//! When to start a plugin again after it went down, and when to give up. Pure.
//!
//! A sliding window with a growing backoff never trips, because the starts get rarer as the window moves. So there are
//! two budgets: starts in a row that did not stay up, and crashes within an hour, however long each start stayed up.

use crate::limits::Limits;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const HOUR: Duration = Duration::from_secs(3600);

/// The two budgets, and the pauses between starts.
#[derive(Debug, Clone)]
pub struct RestartPolicy {
    /// Time that a start must last to count as good.
    pub stable_after: Duration,
    /// Starts in a row that may fail to last.
    pub starts: u32,
    /// Crashes within an hour that are allowed.
    pub per_hour: usize,
    /// Pause before the second start in a row; each further pause is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
}

impl From<&Limits> for RestartPolicy {
    fn from(limits: &Limits) -> Self {
        Self {
            stable_after: limits.stable_after,
            starts: limits.crash_loop_starts,
            per_hour: limits.crash_loop_hour,
            first: limits.backoff_first,
            most: limits.backoff_max,
        }
    }
}

/// What to do about a plugin that went down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Start it again after this time; zero for the first restart.
    After(Duration),
    /// Do not start it again, for this reason.
    GiveUp(String),
}

/// The starts and crashes so far.
#[derive(Debug)]
pub struct Restart {
    policy: RestartPolicy,
    random: fastrand::Rng,
    up_since: Option<Instant>,
    failures: u32,
    downs: VecDeque<Instant>,
}

impl Restart {
    /// A plugin without a start so far.
    pub fn new(policy: RestartPolicy, random: fastrand::Rng) -> Self {
        Self { policy, random, up_since: None, failures: 0, downs: VecDeque::new() }
    }

    /// Goes by another policy from now on.
    pub fn set_policy(&mut self, policy: RestartPolicy) {
        self.policy = policy;
    }

    /// Records that a generation serves from now on.
    pub fn on_up(&mut self, now: Instant) {
        self.up_since = Some(now);
    }

    /// Records that a generation went down, or did not come up.
    pub fn on_down(&mut self, now: Instant) -> Decision {
        let stable = |since| now.saturating_duration_since(since) >= self.policy.stable_after;
        if self.up_since.take().is_some_and(stable) {
            self.failures = 0;
        }
        self.failures += 1;
        while self.downs.front().is_some_and(|down| now.saturating_duration_since(*down) > HOUR) {
            self.downs.pop_front();
        }
        self.downs.push_back(now);
        if self.failures >= self.policy.starts {
            let starts =
                if self.failures == 1 { "1 start".to_owned() } else { format!("{} starts in a row", self.failures) };
            return Decision::GiveUp(format!("{starts} did not stay up"));
        }
        if self.downs.len() >= self.policy.per_hour {
            return Decision::GiveUp(format!("{} crashes within an hour", self.downs.len()));
        }
        Decision::After(self.backoff())
    }

    /// No pause before the first restart, then doubling pauses. Each varies by up to a fifth, so that plugins that went
    /// down together do not come up together.
    fn backoff(&mut self) -> Duration {
        let Some(doublings) = self.failures.checked_sub(2) else { return Duration::ZERO };
        let base = self.policy.first.saturating_mul(1 << doublings.min(20)).min(self.policy.most);
        base.mul_f64(0.8 + 0.4 * self.random.f64())
    }

    /// Records that the last crash came from an event that is now set aside. Neither this crash nor the one before, by
    /// the same event, shows that the plugin cannot stay up.
    pub fn on_poison(&mut self) {
        self.up_since = None;
        self.failures = self.failures.saturating_sub(1);
        self.downs.pop_back();
    }

    /// Forgets the failed starts in a row, because the last start has lasted.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Forgets everything, because a person decided to try again, or another build runs.
    pub fn forget(&mut self) {
        self.failures = 0;
        self.downs.clear();
    }

    /// Continues the count of the host before this one.
    pub fn resume(&mut self, failures: u32) {
        self.failures = failures;
    }

    /// Starts in a row that did not stay up.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn restart() -> Restart {
        let policy = RestartPolicy {
            stable_after: Duration::from_secs(30),
            starts: 5,
            per_hour: 20,
            first: Duration::from_millis(250),
            most: Duration::from_secs(30),
        };
        Restart::new(policy, fastrand::Rng::with_seed(7))
    }

    #[test]
    fn the_first_restart_is_immediate_and_the_next_ones_wait_longer() {
        let (mut restart, now) = (restart(), Instant::now());
        let mut waits = Vec::new();
        while let Decision::After(wait) = restart.on_down(now) {
            waits.push(wait);
        }
        assert_eq!(waits.len(), 4);
        assert_eq!(waits[0], Duration::ZERO);
        assert!(waits[1] >= Duration::from_millis(200) && waits[1] <= Duration::from_millis(300));
        assert!(waits[1] < waits[2] && waits[2] < waits[3]);
    }

    #[test]
    fn staying_up_is_forgiven_but_not_twenty_times_an_hour() {
        let (mut restart, mut now) = (restart(), Instant::now());
        for crash in 1..20 {
            restart.on_up(now);
            now += Duration::from_secs(31);
            assert_eq!(restart.on_down(now), Decision::After(Duration::ZERO), "crash {crash}");
        }
        restart.on_up(now);
        now += Duration::from_secs(31);
        assert_eq!(restart.on_down(now), Decision::GiveUp("20 crashes within an hour".into()));
    }

    #[test]
    fn poison_events_do_not_use_up_the_budgets() {
        let (mut restart, now) = (restart(), Instant::now());
        for _ in 0..100 {
            restart.on_up(now);
            assert_eq!(restart.on_down(now), Decision::After(Duration::ZERO));
            restart.on_up(now);
            restart.on_poison();
        }
        assert_eq!((restart.failures(), restart.downs.len()), (0, 0));
    }

    #[test]
    fn whoever_tries_anew_gets_all_of_both_budgets() {
        let (mut restart, mut now) = (restart(), Instant::now());
        let mut give_up = |restart: &mut Restart| loop {
            restart.on_up(now);
            now += Duration::from_secs(31);
            if let Decision::GiveUp(_) = restart.on_down(now) {
                break;
            }
        };
        give_up(&mut restart);
        restart.forget();
        give_up(&mut restart);
        assert_eq!(restart.downs.len(), 20);
    }

    #[test]
    fn an_old_crash_is_forgotten_after_an_hour() {
        let (mut restart, mut now) = (restart(), Instant::now());
        for _ in 0..100 {
            restart.on_up(now);
            now += Duration::from_secs(240);
            assert_eq!(restart.on_down(now), Decision::After(Duration::ZERO));
        }
    }

    proptest! {
        #[test]
        fn a_loop_always_ends(uptimes in prop::collection::vec(0u64..29, 5..50)) {
            let (mut restart, mut now, mut starts) = (restart(), Instant::now(), 0);
            for uptime in uptimes {
                restart.on_up(now);
                now += Duration::from_secs(uptime);
                starts += 1;
                match restart.on_down(now) {
                    Decision::After(wait) => {
                        prop_assert!(wait <= Duration::from_secs(36));
                        now += wait;
                    }
                    Decision::GiveUp(_) => break,
                }
            }
            prop_assert_eq!(starts, 5);
        }
    }
}
