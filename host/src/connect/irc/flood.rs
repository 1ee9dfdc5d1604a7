//! How much comes in and goes out, and how soon again: three small clocks. Pure.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// People that are counted at a time. More at once is an attack by many hosts, and then all are counted anew.
const PEOPLE: usize = 1024;

/// The first wait that is one; the very first attempt to connect again is made at once.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two attempts to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A connection that lasted this long was a good one: the waits begin anew.
const STABLE: Duration = Duration::from_secs(60);

/// Lines that may be sent: so many at once, and then one in each interval.
#[derive(Debug)]
pub struct Bucket {
    tolerance: Duration,
    interval: Duration,
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(burst: u32, interval: Duration, now: Instant) -> Self {
        Self { tolerance: interval * burst.saturating_sub(1), interval, full_at: now }
    }

    /// When the next line may go.
    pub fn ready_at(&self, now: Instant) -> Instant {
        now + self.full_at.saturating_duration_since(now).saturating_sub(self.tolerance)
    }

    /// A line has gone. One that could not wait makes the next ones wait longer, up to a bound.
    pub fn take(&mut self, now: Instant) {
        let most = now + self.tolerance + 2 * self.interval;
        self.full_at = (self.full_at.max(now) + self.interval).min(most);
    }
}

/// What is to be done with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Carry it out.
    Fine,
    /// Drop it, and say so once.
    Told,
    /// Drop it.
    Dropped,
}

/// The commands of each person within a window of time.
#[derive(Debug)]
pub struct People {
    commands: u32,
    window: Duration,
    seen: HashMap<String, Person>,
}

#[derive(Debug)]
struct Person {
    since: Instant,
    commands: u32,
}

impl People {
    /// A count of people, all of whom are silent so far.
    pub fn new(commands: u32, window: Duration) -> Self {
        Self { commands, window, seen: HashMap::new() }
    }

    /// Counts a command of a person.
    pub fn says(&mut self, who: &str, now: Instant) -> Verdict {
        let window = self.window;
        let is_over = |person: &Person| now.saturating_duration_since(person.since) >= window;
        if self.seen.len() >= PEOPLE && !self.seen.contains_key(who) {
            self.seen.retain(|_, person| !is_over(person));
            if self.seen.len() >= PEOPLE {
                self.seen.clear();
            }
        }
        let person = self.seen.entry(who.to_owned()).or_insert(Person { since: now, commands: 0 });
        if is_over(person) {
            *person = Person { since: now, commands: 0 };
        }
        person.commands = person.commands.saturating_add(1);
        match person.commands.checked_sub(self.commands) {
            None | Some(0) => Verdict::Fine,
            Some(1) => Verdict::Told,
            Some(_) => Verdict::Dropped,
        }
    }
}

/// The waits between attempts to connect.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait now that a connection is over which had `lasted` so long. `random` is within 0 and 1: not all
    /// clients of a server that comes back are to connect in the same second.
    pub fn next(&mut self, lasted: Duration, random: f64) -> Duration {
        if lasted >= STABLE {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let doublings = match self.failures {
            1 => return Duration::ZERO,
            failures => (failures - 2).min(16),
        };
        (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_goes_at_once_and_the_rest_one_by_one() {
        let start = Instant::now();
        let (mut bucket, mut now) = (Bucket::new(3, SECOND, start), start);
        let mut sent = Vec::new();
        for _ in 0..6 {
            now = bucket.ready_at(now);
            bucket.take(now);
            sent.push((now - start).as_secs());
        }
        assert_eq!(sent, [0, 0, 0, 1, 2, 3]);
        // A minute of silence is worth no more than the burst.
        now += 60 * SECOND;
        for _ in 0..3 {
            assert_eq!(bucket.ready_at(now), now);
            bucket.take(now);
        }
        assert_eq!(bucket.ready_at(now), now + SECOND);
    }

    #[test]
    fn what_cannot_wait_makes_others_wait_but_not_for_ever() {
        let now = Instant::now();
        let mut bucket = Bucket::new(3, SECOND, now);
        for _ in 0..100 {
            bucket.take(now);
        }
        assert_eq!(bucket.ready_at(now), now + 2 * SECOND);
    }

    #[test]
    fn one_person_is_told_once_and_others_are_not_disturbed() {
        let now = Instant::now();
        let mut people = People::new(2, 10 * SECOND);
        let mut says = |who: &str, after: u32| people.says(who, now + after * SECOND);
        assert_eq!(
            [0, 1, 2, 3].map(|at| says("al", at)),
            [Verdict::Fine, Verdict::Fine, Verdict::Told, Verdict::Dropped]
        );
        assert_eq!(says("bo", 3), Verdict::Fine);
        assert_eq!(says("al", 9), Verdict::Dropped);
        assert_eq!(says("al", 10), Verdict::Fine);
        for n in 0..3 * PEOPLE {
            people.says(&n.to_string(), now);
        }
        assert!(people.seen.len() <= PEOPLE);
    }

    #[test]
    fn waits_grow_up_to_five_minutes_and_begin_anew_after_a_good_connection() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..12).map(|_| backoff.next(Duration::ZERO, 1.0).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.next(SECOND, 0.0), Duration::from_secs(150));
        assert_eq!(backoff.next(STABLE, 1.0), Duration::ZERO);
        assert_eq!(backoff.next(SECOND, 0.0), Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn no_second_has_more_lines_than_the_burst_and_its_own(
            burst in 1_u32..8, waits in proptest::collection::vec(0_u64..3000, 1..30),
        ) {
            let start = Instant::now();
            let (mut bucket, mut now, mut sent) = (Bucket::new(burst, SECOND, start), start, Vec::new());
            for wait in waits {
                now = bucket.ready_at(now + Duration::from_millis(wait));
                bucket.take(now);
                sent.push(now);
            }
            for (index, from) in sent.iter().enumerate() {
                for seconds in 0..6_u32 {
                    let within = sent[index..].iter().filter(|at| **at < *from + seconds * SECOND).count();
                    prop_assert!(within <= (burst + seconds) as usize, "{within} in {seconds} s");
                }
            }
        }
    }
}
