//! Rates: commands for each person in a minute, and changes of each plugin. Every method takes the time.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// People that a limit remembers at a time. Admins are few; this bounds the memory that strangers can fill.
const PEOPLE: usize = 1024;

const MINUTE: Duration = Duration::from_secs(60);

/// A limit on each person's commands within any minute.
#[derive(Debug)]
pub struct PerMinute {
    most: AtomicUsize,
    used: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl PerMinute {
    /// At most this many commands a minute.
    pub fn new(most: u32) -> Self {
        Self { most: AtomicUsize::new(most as usize), used: Mutex::default() }
    }

    /// Allows so many from now on.
    pub fn set(&self, most: u32) {
        self.most.store(most as usize, Ordering::Relaxed);
    }

    /// Counts one command, or returns the time to wait for it.
    ///
    /// # Errors
    /// The wait.
    pub fn take(&self, who: &str, now: Instant) -> Result<(), Duration> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Instant| now.saturating_duration_since(*at) < MINUTE;
        if used.len() >= PEOPLE && !used.contains_key(who) {
            used.retain(|_, times| times.back().is_some_and(recent));
            if used.len() >= PEOPLE {
                return Err(MINUTE);
            }
        }
        let times = used.entry(who.to_owned()).or_default();
        while times.front().is_some_and(|at| !recent(at)) {
            times.pop_front();
        }
        if times.len() < self.most.load(Ordering::Relaxed) {
            times.push_back(now);
            return Ok(());
        }
        let oldest = times.front().map_or(Duration::ZERO, |at| now.saturating_duration_since(*at));
        Err(MINUTE.saturating_sub(oldest))
    }
}

/// A pause after each change of a plugin.
#[derive(Debug)]
pub struct Cooldown {
    pause: Mutex<Duration>,
    changed: Mutex<HashMap<String, Instant>>,
}

impl Cooldown {
    /// A pause of this length.
    pub fn new(pause: Duration) -> Self {
        Self { pause: Mutex::new(pause), changed: Mutex::default() }
    }

    /// Changes the length of the pause, also of those under way.
    pub fn set(&self, pause: Duration) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = pause;
    }

    fn pause(&self) -> Duration {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the pause is over.
    ///
    /// # Errors
    /// The time that it still lasts.
    pub fn check(&self, plugin: &str, now: Instant) -> Result<(), Duration> {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let over = changed.get(plugin).map_or(Duration::ZERO, |at| (*at + self.pause()).saturating_duration_since(now));
        if over.is_zero() { Ok(()) } else { Err(over) }
    }

    /// Begins a change of the plugin, if the pause is over. Of two callers at the same time, one gets the error.
    ///
    /// # Errors
    /// The wait.
    pub fn take(&self, plugin: &str, now: Instant) -> Result<(), Duration> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let over = changed.get(plugin).map_or(Duration::ZERO, |at| (*at + self.pause()).saturating_duration_since(now));
        if over.is_zero() {
            changed.insert(plugin.to_owned(), now);
            return Ok(());
        }
        Err(over)
    }

    /// Records that the plugin was changed now.
    pub fn mark(&self, plugin: &str, now: Instant) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(plugin.to_owned(), now);
    }
}

/// Keys that are counted separately; all further ones are counted together.
const COUNTED: usize = 64;

/// Names that a count keeps.
const NAMES: usize = 16;

/// Counts of records that come too often to be written one by one.
#[derive(Debug, Default)]
pub struct Tally(Mutex<HashMap<String, Counted>>);

/// The number within a minute, and the first names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Number within the minute.
    pub count: u64,
    /// The first few names.
    pub names: Vec<String>,
}

impl Tally {
    /// Counts one. Returns the key at the first one: the caller must take the count with it after a minute.
    pub fn add(&self, key: &str, name: &str) -> Option<String> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if counted.len() >= COUNTED && !counted.contains_key(key) { "" } else { key };
        let entry = counted.entry(key.to_owned()).or_default();
        entry.count += 1;
        if entry.names.len() < NAMES && !entry.names.iter().any(|known| known == name) {
            entry.names.push(name.to_owned());
        }
        (entry.count == 1).then(|| key.to_owned())
    }

    /// Takes the count and starts anew; `None` when it was taken before.
    pub fn take(&self, key: &str) -> Option<Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_changes_at_once_one_waits() {
        let (cooldown, now) = (Cooldown::new(Duration::from_secs(2)), Instant::now());
        assert_eq!(cooldown.take("x", now), Ok(()));
        assert_eq!(cooldown.take("x", now), Err(Duration::from_secs(2)));
        assert_eq!(cooldown.take("x", now + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn what_comes_too_often_is_counted_by_name_and_bounded() {
        let tally = Tally::default();
        assert_eq!(tally.add("a", "al"), Some("a".to_owned()));
        assert_eq!(tally.add("a", "al"), None);
        assert_eq!(tally.take("a"), Some(Counted { count: 2, names: vec!["al".to_owned()] }));
        assert_eq!(tally.take("a"), None);
        let keys: Vec<_> = (0..1000).filter_map(|n| tally.add(&n.to_string(), &n.to_string())).collect();
        assert_eq!(keys.len(), COUNTED + 1);
        let rest = tally.take("").expect("those beyond");
        assert_eq!((rest.count, rest.names.len()), (1000 - COUNTED as u64, NAMES));
    }

    #[test]
    fn the_window_slides_and_each_person_has_their_own() {
        let (limit, start) = (PerMinute::new(2), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limit.take("a", at(0)), Ok(()));
        assert_eq!(limit.take("a", at(10)), Ok(()));
        assert_eq!(limit.take("a", at(20)), Err(Duration::from_secs(40)));
        assert_eq!(limit.take("b", at(20)), Ok(()));
        assert_eq!(limit.take("a", at(60)), Ok(()));
        assert_eq!(limit.take("a", at(61)), Err(Duration::from_secs(9)));
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let (limit, now) = (PerMinute::new(1), Instant::now());
        for stranger in 0..2 * PEOPLE {
            let taken = limit.take(&stranger.to_string(), now);
            assert_eq!(taken.is_ok(), stranger < PEOPLE);
        }
        assert!(limit.take("later", now + MINUTE).is_ok());
        assert!(limit.used.lock().expect("whole").len() < 2);
    }

    #[test]
    fn a_plugin_rests_after_a_change() {
        let (cooldown, now) = (Cooldown::new(Duration::from_secs(2)), Instant::now());
        assert!(cooldown.check("x", now).is_ok());
        cooldown.mark("x", now);
        assert_eq!(cooldown.check("x", now + Duration::from_secs(1)), Err(Duration::from_secs(1)));
        assert!(cooldown.check("y", now).is_ok());
        assert!(cooldown.check("x", now + Duration::from_secs(2)).is_ok());
    }
}
