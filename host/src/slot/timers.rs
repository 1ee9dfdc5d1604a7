//! When the timers of a plugin are due. Pure: the store has the timers; this decides when to ask it, and takes its
//! answers.
//!
//! The slot keeps only the time of the next timer, however many there are. At that time it asks the store for the due
//! timers, and each becomes an event.

use crate::{
    commit::timers::{Cron, Declared, Fired, Handlers, Pending, earlier},
    event::Event,
    schedule::Schedule,
};
use rosey_wire::{event::Kind, manifest::Manifest};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Most timers that become events at a time.
pub(super) const MOST: usize = 256;

/// Longest time between two checks of the clock, because a clock can be set. A plugin without timers needs no checks.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Pause before the next try, after the store could not fire or declare timers.
const RETRY: Duration = Duration::from_secs(1);

const RETRY_MS: u64 = RETRY.as_millis() as u64;

/// The slot's knowledge of its plugin's timers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    pub handlers: Handlers,
    /// The timers that the manifest declares, and the time to store them.
    declared: Arc<[Declared]>,
    declare_at: Option<Instant>,
    /// Number of timers.
    pub count: u64,
    /// The earliest time at which a timer is due, in milliseconds since 1970.
    next: Option<u64>,
    /// Time of the next check of the clock.
    look_at: Option<Instant>,
    /// Whether a request to the store is under way.
    is_asking: bool,
}

impl Timers {
    /// With this many stored timers.
    pub fn with(count: u64) -> Self {
        Self { count, ..Self::default() }
    }

    /// Uses the timers of this manifest from now on. Its expressions were checked when the host read the manifest.
    pub fn go_by(&mut self, manifest: &Manifest, now: Instant) {
        let timers = manifest.subscriptions.iter().filter(|it| it.kind == Kind::Timer.name());
        let (all, names): (Vec<_>, Vec<_>) = timers.clone().map(|it| it.pattern.clone()).partition(|name| name == "*");
        self.handlers = Handlers { names, others: !all.is_empty() };
        let declared = timers.filter(|it| !it.cron.is_empty()).filter_map(|it| {
            let schedule = Schedule::parse(&it.cron, &it.zone).ok()?;
            let when = Cron { cron: it.cron.clone(), zone: it.zone.clone(), schedule };
            Some(Declared { name: it.pattern.clone(), when })
        });
        (self.declared, self.declare_at) = (declared.collect(), Some(now));
    }

    /// The declared timers to store now, if it is time.
    pub fn take_declared(&mut self, now: Instant) -> Option<Arc<[Declared]>> {
        self.declare_at.take_if(|at| *at <= now).map(|_| Arc::clone(&self.declared))
    }

    /// Records that the store has the declared timers: `count` is the number of all timers, and any of them may be due.
    /// `None` means that the store failed, and the slot tries again.
    pub fn told(&mut self, count: Option<u64>, now: Instant) {
        let Some(count) = count else {
            self.declare_at.get_or_insert(now + RETRY);
            return;
        };
        self.count = count;
        self.look_from(now, Some(0).filter(|_| count > 0));
    }

    /// Records that events set or cancelled timers.
    pub fn changed(&mut self, pending: Pending, now: Instant) {
        self.count = pending.count;
        if pending.next.is_some() && earlier(self.next, pending.next) != self.next {
            self.look_from(now, pending.next);
        }
    }

    /// Time of the next action.
    pub fn wake_at(&self) -> Option<Instant> {
        let look_at = self.look_at.filter(|_| !self.is_asking);
        [look_at, self.declare_at].into_iter().flatten().min()
    }

    /// Whether due timers should fire now; if so, a request to the store counts as under way. `clock` is the time in
    /// milliseconds since 1970.
    pub fn is_time(&mut self, now: Instant, clock: u64) -> bool {
        if self.is_asking || self.look_at.is_none_or(|at| at > now) {
            return false;
        }
        let has_handlers = self.handlers.others || !self.handlers.names.is_empty();
        let Some(next) = self.next.filter(|_| has_handlers) else {
            self.look_at = None;
            return false;
        };
        let left = Duration::from_millis(next.saturating_sub(clock));
        if !left.is_zero() {
            self.look_at = Some(now + left.min(LOOK_EVERY));
            return false;
        }
        (self.next, self.look_at, self.is_asking) = (None, None, true);
        true
    }

    /// Takes the events of the timers that fired. `None` means that the store failed, and the slot tries again.
    pub fn fired(&mut self, fired: Option<Fired>, now: Instant, clock: u64) -> Vec<Event> {
        self.is_asking = false;
        let Some(Fired { events, more, next, count }) = fired else {
            self.wait(now, clock);
            return Vec::new();
        };
        self.count = count;
        self.look_from(now, if more { Some(0) } else { next });
        events
    }

    /// Waits, because there is no room for events now.
    pub fn wait(&mut self, now: Instant, clock: u64) {
        self.is_asking = false;
        self.look_from(now, Some(clock.saturating_add(RETRY_MS)));
    }

    fn look_from(&mut self, now: Instant, next: Option<u64>) {
        self.next = earlier(self.next, next);
        self.look_at = self.next.map(|_| now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_wire::manifest::Subscription;

    const SECOND: Duration = Duration::from_secs(1);

    fn manifest(timers: &[(&str, &str)]) -> Manifest {
        let subscription = |(name, cron): &(&str, &str)| Subscription {
            kind: "timer".into(),
            pattern: (*name).into(),
            cron: (*cron).into(),
            ..Subscription::default()
        };
        let start = Subscription { kind: "start".into(), ..Subscription::default() };
        let subscriptions = std::iter::once(start).chain(timers.iter().map(subscription)).collect();
        Manifest { subscriptions, ..Manifest::default() }
    }

    fn any() -> Timers {
        let mut timers = Timers::default();
        timers.go_by(&manifest(&[("*", "")]), Instant::now());
        assert_eq!(timers.take_declared(Instant::now()).as_deref(), Some(&[][..]));
        timers
    }

    fn fired(more: bool, next: Option<u64>) -> Option<Fired> {
        Some(Fired { more, next, ..Fired::default() })
    }

    #[test]
    fn what_a_manifest_has_is_told_until_the_store_knows_it() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        timers.go_by(&manifest(&[("tea", ""), ("daily", "0 9 * * *"), ("*", "")]), now);
        assert_eq!(timers.handlers, Handlers { names: vec!["tea".into(), "daily".into()], others: true });
        let declared = timers.take_declared(now).expect("the store does not know them");
        assert_eq!(declared.iter().map(|timer| timer.name.as_str()).collect::<Vec<_>>(), ["daily"]);
        assert_eq!((timers.take_declared(now), timers.wake_at()), (None, None));
        timers.told(None, now);
        assert_eq!(timers.wake_at(), Some(now + SECOND), "once more");
        assert!(timers.take_declared(now + SECOND).is_some());
    }

    #[test]
    fn a_plugin_without_timers_never_looks_at_the_clock() {
        let (mut timers, now) = (any(), Instant::now());
        timers.told(Some(0), now);
        assert_eq!(timers.wake_at(), None);
        timers.changed(Pending { count: 0, next: None }, now);
        assert_eq!(timers.wake_at(), None);
        timers.go_by(&manifest(&[]), now);
        assert!(timers.take_declared(now).is_some(), "those that an older build had go");
        timers.told(Some(7), now);
        assert!(!timers.is_time(now, 1), "none has a handler");
        assert_eq!((timers.wake_at(), timers.count), (None, 7));
    }

    #[test]
    fn a_clock_that_is_set_is_noticed() {
        let (mut timers, now) = (any(), Instant::now());
        timers.changed(Pending { count: 1, next: Some(100_000) }, now);
        assert!(!timers.is_time(now, 0));
        assert_eq!(timers.wake_at(), Some(now + LOOK_EVERY), "not in 100 s");
        assert!(timers.is_time(now + LOOK_EVERY, 100_000), "it was set forward");
        timers.fired(fired(false, Some(100_000)), now, 50_000);
        assert!(!timers.is_time(now, 99_000), "and back");
        assert_eq!(timers.wake_at(), Some(now + SECOND));
        timers.changed(Pending { count: 2, next: Some(99_500) }, now);
        assert!(!timers.is_time(now, 99_000));
        assert_eq!(timers.wake_at(), Some(now + SECOND / 2), "one that is set to be earlier");
        timers.changed(Pending { count: 3, next: Some(200_000) }, now);
        assert_eq!(timers.wake_at(), Some(now + SECOND / 2), "and one that is later");
    }

    #[test]
    fn the_store_is_asked_once_at_a_time_and_again_while_there_are_more() {
        let (mut timers, now) = (any(), Instant::now());
        timers.told(Some(1000), now);
        assert!(timers.is_time(now, 9) && !timers.is_time(now, 9));
        timers.changed(Pending { count: 1001, next: Some(1) }, now);
        assert!(!timers.is_time(now, 9) && timers.wake_at().is_none(), "it is being asked");
        timers.fired(fired(true, Some(50)), now, 9);
        assert!(timers.is_time(now, 9), "there are more");
        timers.fired(None, now, 9);
        assert!(!timers.is_time(now, 9) && timers.is_time(now + SECOND, 1009), "a store that fails is asked again");
        timers.fired(fired(false, None), now, 9);
        assert_eq!(timers.wake_at(), None);
    }
}
