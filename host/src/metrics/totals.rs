//! A plugin's own metrics across its generations. Each generation counts from 0, but a counter that people and
//! Prometheus read only grows. So the counts of a generation are added to those of earlier ones. Only series of the
//! current generation are shown; the sums of others wait until the generation has them too. Pure.

use crate::view::Custom;
use std::collections::BTreeMap;

/// Series remembered for each plugin, including those of earlier generations: as many as one generation may have.
const MOST: usize = 64 * 64;

type Key = (String, BTreeMap<String, String>);

/// The sums of one plugin.
#[derive(Debug, Default)]
pub struct Totals {
    series: BTreeMap<Key, Sum>,
    /// The number of reports so far.
    report: u64,
}

#[derive(Debug)]
struct Sum {
    /// The sum of the generations before the last one.
    before: Option<Custom>,
    /// The last report.
    last: Custom,
    generation: u64,
    /// The number of the last report.
    report: u64,
}

impl Totals {
    /// Takes a report of a generation: everything that it has counted so far.
    pub fn take(&mut self, generation: u64, reported: Vec<Custom>) {
        self.report += 1;
        let report = self.report;
        let mut new = Vec::new();
        for one in reported {
            let key = (one.name.clone(), one.labels.clone());
            match self.series.get_mut(&key) {
                Some(sum) => sum.take(generation, report, one),
                None => new.push((key, Sum { before: None, last: one, generation, report })),
            }
        }
        // A gauge shows the present, and a series that this generation dropped is gone. Series that only earlier
        // generations had are remembered, unless the room is needed.
        self.series.retain(|_, sum| sum.report == report || sum.generation != generation && sum.last.kind != "gauge");
        if self.series.len() + new.len() > MOST {
            self.series.retain(|_, sum| sum.report == report);
        }
        let room = MOST.saturating_sub(self.series.len());
        self.series.extend(new.into_iter().take(room));
    }

    /// The series of the last report, by name and labels.
    pub fn shown(&self) -> Vec<Custom> {
        self.series.values().filter(|sum| sum.report == self.report).map(Sum::total).collect()
    }
}

impl Sum {
    fn take(&mut self, generation: u64, report: u64, reported: Custom) {
        self.report = report;
        if self.last.kind != reported.kind {
            *self = Self { before: None, last: reported, generation, report };
            return;
        }
        // A lower count means that counting began again, whatever the number of the generation.
        if generation != self.generation || reported.value < self.last.value && reported.kind != "gauge" {
            self.before = Some(self.total());
        }
        (self.last, self.generation) = (reported, generation);
    }

    fn total(&self) -> Custom {
        let mut total = self.last.clone();
        let Some(before) = self.before.as_ref().filter(|_| total.kind != "gauge") else { return total };
        let bounds = |one: &Custom| one.buckets.iter().map(|(bound, _)| bound.to_bits()).collect::<Vec<_>>();
        if bounds(before) != bounds(&total) {
            // A histogram with other bounds is another histogram.
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
