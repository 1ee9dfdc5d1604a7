//! A plugin's own metrics across its generations: each begins to count at 0, and a counter that people and Prometheus read
//! only grows. What a generation counted is added to what those before it did. Pure.

use crate::view::Custom;
use std::collections::BTreeMap;

/// Series remembered of a plugin, those of generations before included: as many as one generation may have.
const MOST: usize = 64 * 64;

type Key = (String, BTreeMap<String, String>);

/// The sums of one plugin.
#[derive(Debug, Default)]
pub struct Totals {
    series: BTreeMap<Key, Sum>,
}

#[derive(Debug)]
struct Sum {
    /// What generations before the last one counted.
    before: Option<Custom>,
    /// What the last one said.
    last: Custom,
    generation: u64,
}

impl Totals {
    /// Takes in what a generation says that it has counted so far.
    pub fn take(&mut self, generation: u64, said: Vec<Custom>) {
        for one in said {
            let key = (one.name.clone(), one.labels.clone());
            if let Some(sum) = self.series.get_mut(&key) {
                sum.take(generation, one);
            } else if self.series.len() < MOST {
                self.series.insert(key, Sum { before: None, last: one, generation });
            }
        }
        // A gauge says what is now: that of a generation which is gone says nothing.
        self.series.retain(|_, sum| sum.last.kind != "gauge" || sum.generation == generation);
    }

    /// All of them, by name and labels.
    pub fn shown(&self) -> Vec<Custom> {
        self.series.values().map(Sum::total).collect()
    }
}

impl Sum {
    fn take(&mut self, generation: u64, said: Custom) {
        if self.last.kind != said.kind {
            *self = Self { before: None, last: said, generation };
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
        assert_eq!((value(&totals, "counter"), value(&totals, "gauge")), (Some(6.0), None));
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

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut totals = Totals::default();
        for number in 0..2 * MOST {
            totals.take(1, vec![Custom { name: number.to_string(), kind: "counter", ..Custom::default() }]);
        }
        assert_eq!(totals.shown().len(), MOST);
    }
}
