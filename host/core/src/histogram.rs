//! Response times of one plugin, counted in buckets. One task writes them, so they are plain numbers.

use std::time::Duration;

/// Upper edges in seconds, about three a decade, from a warm round trip (some 10 µs) to the longest deadline (30 s).
/// The promised times (100 ms, 3 s, 5 s, 30 s) are among them.
pub const EDGES: [f64; 20] = [
    0.000_010, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 3.0, 5.0, 10.0, 30.0,
];

/// The same edges in microseconds, to compare whole numbers.
const EDGES_US: [u32; EDGES.len()] = {
    let mut edges = [0; EDGES.len()];
    let mut at = 0;
    while at < edges.len() {
        edges[at] = (EDGES[at] * 1e6).round() as u32;
        at += 1;
    }
    edges
};

/// The first bucket for a value of so many bits. If the value is above that bucket's edge, it belongs to the next one:
/// no two edges have the same number of bits.
const FIRST: [u8; u32::BITS as usize + 1] = {
    let mut first = [0; u32::BITS as usize + 1];
    let mut bits = 1;
    while bits < first.len() {
        let mut at = first[bits - 1] as usize;
        while at < EDGES_US.len() && EDGES_US[at] < 1 << (bits - 1) {
            at += 1;
        }
        first[bits] = at as u8;
        bits += 1;
    }
    first
};

/// Counts by [`EDGES`], and one more count for longer times.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Histogram {
    /// The count of each bucket alone, not cumulative.
    pub counts: [u64; EDGES.len() + 1],
    /// The sum of all observations, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Counts one observation.
    pub fn observe(&mut self, took: Duration) {
        // An edge belongs to the bucket below it, so a part of a microsecond rounds up.
        let micros =
            u64::from(took.subsec_nanos().div_ceil(1000)).saturating_add(took.as_secs().saturating_mul(1_000_000));
        let micros = u32::try_from(micros).unwrap_or(u32::MAX);
        let first = usize::from(FIRST[micros.checked_ilog2().map_or(0, |log| log as usize + 1)]);
        let bucket = first + usize::from(EDGES_US.get(first).is_some_and(|edge| *edge < micros));
        self.counts[bucket] += 1;
        self.sum += took.as_secs_f64();
    }

    /// The number of observations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The value below which this share (0 to 1) of the observations lies, in seconds. Interpolated within its bucket
    /// as Prometheus does; `None` without observations.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.count();
        let rank = share * total as f64;
        let mut below = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            if count > 0 && (below + count) as f64 >= rank {
                let Some(&upper) = EDGES.get(bucket) else { return EDGES.last().copied() };
                let lower = if bucket == 0 { 0.0 } else { EDGES[bucket - 1] };
                return Some(lower + (upper - lower) * ((rank - below as f64) / count as f64).clamp(0.0, 1.0));
            }
            below += count;
        }
        None
    }

    /// The observations since an earlier copy of this histogram.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = *self;
        for (count, before) in difference.counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        difference.sum = (self.sum - earlier.sum).max(0.0);
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_in_the_bucket_of_their_rank() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for _ in 0..90 {
            histogram.observe(Duration::from_micros(80));
        }
        for _ in 0..10 {
            histogram.observe(Duration::from_millis(80));
        }
        let (median, p95) = (histogram.quantile(0.5).expect("some"), histogram.quantile(0.95).expect("some"));
        assert!((0.000_05..=0.000_1).contains(&median), "{median}");
        assert!((0.05..=0.1).contains(&p95), "{p95}");
        histogram.observe(Duration::from_secs(90));
        assert_eq!(histogram.quantile(1.0), Some(30.0));
        assert_eq!(histogram.count(), 101);
    }

    fn bucket(took: Duration) -> usize {
        let mut histogram = Histogram::default();
        histogram.observe(took);
        histogram.counts.iter().position(|count| *count == 1).expect("it is counted")
    }

    #[test]
    fn an_edge_belongs_to_the_bucket_below_it() {
        for (at, edge) in EDGES.into_iter().enumerate() {
            let edge = Duration::from_nanos((edge * 1e9).round() as u64);
            assert_eq!(bucket(edge), at);
            assert_eq!(bucket(edge + Duration::from_nanos(1)), at + 1);
            assert_eq!(bucket(edge - Duration::from_nanos(1)), at);
        }
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, EDGES.len()));
    }
}
