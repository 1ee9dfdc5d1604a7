//! A plugin's own metrics across its generations: each begins to count at 0, and a counter that people and Prometheus read
//! only grows. What a generation counted is added to what those before it did. Only series of the current generation are shown;
//! sums of the others wait for it to have them too. Pure.

use crate::view::Custom;
use std::collections::BTreeMap;

/// Series remembered of a plugin, those of generations before included: as many as one generation may have.
const MOST: usize = 64 * 64;

type Key = (String, BTreeMap<String, String>);

/// The sums of one plugin.
#[derive(Debug, Default)]
pub struct Totals {
    series: BTreeMap<Key, Sum>,
    /// How often a generation has said what it counted.
    look: u64,
}

#[derive(Debug)]
struct Sum {
    /// What generations before the last one counted.
    before: Option<Custom>,
    /// What the last one said.
    last: Custom,
    generation: u64,
    /// When that was.
    look: u64,
}

impl Totals {
    /// Takes in all that a generation says that it has counted so far.
    pub fn take(&mut self, generation: u64, said: Vec<Custom>) {
        self.look += 1;
        let look = self.look;
        let mut new = Vec::new();
        for one in said {
            let key = (one.name.clone(), one.labels.clone());
            match self.series.get_mut(&key) {
                Some(sum) => sum.take(generation, look, one),
                None => new.push((key, Sum { before: None, last: one, generation, look })),
            }
        }
        // A gauge says what is now, and what this generation has dropped is gone. What only others counted is remembered,
        // unless the room is needed.
        self.series.retain(|_, sum| sum.look == look || sum.generation != generation && sum.last.kind != "gauge");
        if self.series.len() + new.len() > MOST {
            self.series.retain(|_, sum| sum.look == look);
        }
        let room = MOST.saturating_sub(self.series.len());
        self.series.extend(new.into_iter().take(room));
    }

    /// Those that were said last, by name and labels.
    pub fn shown(&self) -> Vec<Custom> {
        self.series.values().filter(|sum| sum.look == self.look).map(Sum::total).collect()
    }
}

impl Sum {
    fn take(&mut self, generation: u64, look: u64, said: Custom) {
        self.look = look;
        if self.last.kind != said.kind {
            *self = Self { before: None, last: said, generation, look };
            return;
        }
        // One that counts less than it did has begun anew, whatever its number.
        if generation != self.generation || said.value < self.last.value && said.kind != "gauge" {
            self.before = Some(self.total());
        }
        (self.last, self.generation) = (said, generation);
    }

    fn total(&self) -> Custom {
        let mut total = self.last.clone();
        let Some(before) = self.before.as_ref().filter(|_| total.kind != "gauge") else { return total };
        let bounds = |one: &Custom| one.buckets.iter().map(|(bound, _)| bound.to_bits()).collect::<Vec<_>>();
        if bounds(before) != bounds(&total) {
            // Other bounds are another histogram.
            return total;
        }
        total.value += before.value;
        total.sum += before.sum;
        for ((_, count), (_, earlier)) in total.buckets.iter_mut().zip(&before.buckets) {
            *count += earlier;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: &'static str, value: f64, buckets: &[(f64, u64)]) -> Custom {
        Custom { name: kind.into(), kind, value, sum: value, buckets: buckets.to_vec(), ..Custom::default() }
    }

    fn value(totals: &Totals, name: &str) -> Option<f64> {
        totals.shown().into_iter().find(|one| one.name == name).map(|one| one.value)
    }

    #[test]
    fn a_counter_grows_across_generations_and_a_gauge_is_what_is_now() {
        let mut totals = Totals::default();
        totals.take(1, vec![one("counter", 5.0, &[]), one("gauge", 7.0, &[])]);
        totals.take(1, vec![one("counter", 6.0, &[]), one("gauge", 3.0, &[])]);
        totals.take(2, vec![]);
        assert_eq!((value(&totals, "counter"), value(&totals, "gauge")), (None, None), "it has neither yet");
        totals.take(2, vec![one("counter", 1.0, &[]), one("gauge", 2.0, &[])]);
        assert_eq!((value(&totals, "counter"), value(&totals, "gauge")), (Some(7.0), Some(2.0)));
        totals.take(2, vec![one("counter", 2.0, &[])]);
        totals.take(3, vec![one("counter", 4.0, &[])]);
        assert_eq!(value(&totals, "counter"), Some(12.0));
    }

    #[test]
    fn histograms_add_up_while_their_bounds_are_the_same() {
        let mut totals = Totals::default();
        totals.take(1, vec![one("histogram", 3.0, &[(1.0, 2)])]);
        totals.take(2, vec![one("histogram", 4.0, &[(1.0, 1)])]);
        let [sum] = &totals.shown()[..] else { panic!("one") };
        assert_eq!((sum.value, sum.sum, &sum.buckets[..]), (7.0, 7.0, &[(1.0, 3)][..]));
        totals.take(3, vec![one("histogram", 1.0, &[(2.0, 1)])]);
        assert_eq!(value(&totals, "histogram"), Some(1.0));
    }

    fn many(kind: &'static str, from: usize, count: usize) -> Vec<Custom> {
        (from..from + count).map(|number| Custom { name: number.to_string(), kind, ..Custom::default() }).collect()
    }

    #[test]
    fn series_that_the_current_generation_has_not_are_gone() {
        let mut totals = Totals::default();
        totals.take(1, many("counter", 0, MOST));
        assert_eq!(totals.shown().len(), MOST);
        totals.take(2, many("counter", 0, 3));
        assert_eq!((totals.shown().len(), totals.series.len()), (3, MOST), "remembered, not shown");
        totals.take(2, many("counter", 0, 2));
        assert_eq!((totals.shown().len(), totals.series.len()), (2, MOST - 1), "what it has dropped is forgotten");
        totals.take(2, many("gauge", MOST, 5));
        assert_eq!((totals.shown().len(), totals.series.len()), (5, 5), "what is there needs the room");
        totals.take(3, Vec::new());
        assert!(totals.shown().is_empty() && totals.series.is_empty(), "no gauge outlives its generation");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut totals = Totals::default();
        totals.take(1, many("counter", 0, 2 * MOST));
        assert_eq!((totals.shown().len(), totals.series.len()), (MOST, MOST));
    }
}
