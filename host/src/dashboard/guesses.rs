//! Counts wrong tokens by address, and logs one line a second about them. Bounded.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Wrong tokens from one address within [`WITHIN`] that get the usual answer. Further ones are answered with 429.
pub const MOST: usize = 10;

const WITHIN: Duration = Duration::from_secs(60);

/// Addresses that are remembered. Further ones share one budget.
pub const MOST_ADDRESSES: usize = 1024;

/// Wrong tokens by address.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<HashMap<IpAddr, VecDeque<Instant>>>);

/// The address that an address counts as. For IPv6 the network, because its owner has all of it.
pub fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

/// The entry of an address in a bounded table: its own, or beyond the bound the one that all others share.
pub fn entry<T>(all: &HashMap<IpAddr, T>, address: IpAddr) -> IpAddr {
    let address = whose(address);
    if all.len() < MOST_ADDRESSES || all.contains_key(&address) { address } else { IpAddr::from([0, 0, 0, 0]) }
}

impl Guesses {
    /// Whether this address may try another token.
    pub fn may(&self, from: IpAddr, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = entry(&all, from);
        let Some(guesses) = all.get_mut(&at) else { return true };
        while guesses.front().is_some_and(|guess| now.saturating_duration_since(*guess) > WITHIN) {
            guesses.pop_front();
        }
        if guesses.is_empty() {
            all.remove(&at);
            return true;
        }
        guesses.len() < MOST
    }

    /// Records a wrong token.
    pub fn wrong(&self, from: IpAddr, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_ADDRESSES {
            let is_old = |guess: &Instant| now.saturating_duration_since(*guess) > WITHIN;
            all.retain(|_, guesses| guesses.back().is_some_and(|last| !is_old(last)));
        }
        let at = entry(&all, from);
        let guesses = all.entry(at).or_default();
        if guesses.len() < MOST {
            guesses.push_back(now);
        }
    }
}

/// Time between two lines of the log about the same thing.
const QUIET: Duration = Duration::from_secs(1);

/// Logs a warning at most once a second, with the number of repetitions, so that a flood of requests does not flood the
/// log.
#[derive(Debug, Clone, Default)]
pub struct Throttle(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    logged_at: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// Logs a warning now, or counts it for the line within the next second. Called on a runtime.
    pub fn warn(&self, text: &str) {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now());
        match counted {
            0 => tracing::warn!("{text}"),
            1 => {
                let (held, text) = (Arc::clone(&self.0), text.to_owned());
                tokio::spawn(async move {
                    tokio::time::sleep(QUIET).await;
                    let count = held.lock().unwrap_or_else(PoisonError::into_inner).release(Instant::now());
                    let more = if count > 1 { format!(", and {} more like it", count - 1) } else { String::new() };
                    tracing::warn!("{text}{more}");
                });
            }
            _ => {}
        }
    }
}

impl Held {
    /// The number of lines that wait, with this one; 0 when it may be logged now.
    fn count(&mut self, now: Instant) -> u64 {
        if self.left_out == 0 && self.logged_at.is_none_or(|at| now.saturating_duration_since(at) >= QUIET) {
            self.logged_at = Some(now);
        } else {
            self.left_out += 1;
        }
        self.left_out
    }

    /// Takes the number of lines that waited, because they are logged now.
    fn release(&mut self, now: Instant) -> u64 {
        self.logged_at = Some(now);
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second_and_a_count() {
        let (mut held, now) = (Held::default(), Instant::now());
        assert_eq!(
            (0..3400).map(|_| held.count(now)).filter(|count| *count <= 1).count(),
            2,
            "one now, one in a second"
        );
        assert_eq!(held.release(now + QUIET), 3399);
        assert_eq!(held.count(now + QUIET), 1, "that was a line as well");
        assert_eq!(held.release(now + 2 * QUIET), 1);
        assert_eq!(held.count(now + 3 * QUIET), 0);
    }

    #[test]
    fn each_address_has_its_own_budget_and_it_comes_back() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let (stranger, operator) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..MOST {
            assert!(guesses.may(stranger, now));
            guesses.wrong(stranger, now);
        }
        assert!(!guesses.may(stranger, now) && guesses.may(operator, now));
        assert!(guesses.may(stranger, now + WITHIN + Duration::from_secs(1)));
        for number in 0..5000u32 {
            guesses.wrong(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(guesses.0.lock().expect("no code panics here").len() <= MOST_ADDRESSES + 1);
    }

    #[test]
    fn a_network_of_addresses_is_one_guesser() {
        let ip = |text: &str| whose(text.parse().expect("an address"));
        assert_eq!(ip("2001:db8:1:2::3"), ip("2001:db8:1:2:ffff::9"));
        assert_ne!(ip("2001:db8:1:2::3"), ip("2001:db8:1:3::3"));
        assert_eq!((ip("::ffff:10.0.0.1"), ip("::1").is_loopback()), (ip("10.0.0.1"), true));
    }
}
