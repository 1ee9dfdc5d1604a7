//! Random numbers that a test can repeat.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    ops::RangeInclusive,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// A source of random numbers, from [`Context::random`](crate::Context::random). In a bot every event gets another
/// one; in a test it follows from the seed of the [`Bot`](crate::testing::Bot). Fit for games, not for secrets.
///
/// ```
/// use plugin_api::{prelude::*, testing::Bot};
///
/// #[derive(Default)]
/// struct Coin;
///
/// #[plugin]
/// impl Coin {
///     /// Flip a coin: `!flip`
///     #[command]
///     fn flip(&self, cx: &Context) -> &'static str {
///         cx.random().pick(&["heads", "tails"]).expect("there are two")
///     }
/// }
///
/// let flips = |seed| {
///     let bot = Bot::<Coin>::new().seed(seed);
///     (0..20).map(|_| bot.say("!flip").text().to_owned()).collect::<Vec<_>>()
/// };
/// assert_eq!(flips(1), flips(1));
/// assert_ne!(flips(1), flips(2));
///
/// // A source of one's own, such as for a game whose numbers go on from event to event.
/// let (mut dice, mut cards) = (plugin_api::Random::seeded(7), [1, 2, 3]);
/// assert!((1..=6).contains(&dice.between(1..=6)));
/// dice.shuffle(&mut cards);
/// assert_eq!(cards.iter().sum::<i32>(), 6);
/// ```
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Other numbers than before.
    pub(crate) fn new() -> Self {
        // Hashing a count with keys of the system costs no call to it.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        thread_local!(static KEYS: RandomState = RandomState::new());
        Self(KEYS.with(|keys| keys.hash_one(COUNT.fetch_add(1, Relaxed))))
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of this range, each with the same chance: `between(1..=6)`. An empty range gives its start.
    pub fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (first, last) = range.into_inner();
        let Some(count) = last.checked_sub(first) else { return first };
        let Some(count) = count.checked_add(1) else { return self.next_u64() };
        // Numbers beyond the last whole multiple would make the first results likelier.
        let beyond = u64::MAX - (u64::MAX % count + 1) % count;
        loop {
            let number = self.next_u64();
            if number <= beyond {
                return first + number % count;
            }
        }
    }

    /// One of these; `None` when there are none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.index(all.len())?)
    }

    /// Puts these into a random order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            if let Some(at) = self.index(end + 1) {
                all.swap(at, end);
            }
        }
    }

    fn index(&mut self, count: usize) -> Option<usize> {
        let last = u64::try_from(count.checked_sub(1)?).ok()?;
        usize::try_from(self.between(0..=last)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_a_range_comes_and_no_other() {
        let mut random = Random::seeded(7);
        let mut seen = [0; 7];
        for _ in 0..600 {
            seen[usize::try_from(random.between(1..=6)).expect("small")] += 1;
        }
        assert!(seen[0] == 0 && seen[1..].iter().all(|count| *count > 60), "{seen:?}");
        assert_eq!(random.between(5..=5), 5);
        assert_eq!(random.between(RangeInclusive::new(5, 1)), 5);
        random.between(0..=u64::MAX);
        assert_eq!(random.pick::<u8>(&[]), None);
    }

    #[test]
    fn a_seed_repeats_and_without_one_nothing_does() {
        let numbers = |mut random: Random| [random.next_u64(), random.next_u64()];
        assert_eq!(numbers(Random::seeded(1)), numbers(Random::seeded(1)));
        assert_ne!(numbers(Random::new()), numbers(Random::new()));
        let mut all = [1, 2, 3, 4, 5, 6, 7, 8];
        Random::seeded(1).shuffle(&mut all);
        assert_ne!(all, [1, 2, 3, 4, 5, 6, 7, 8]);
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
