//! What was measured over time: a ring of points for each plugin, and sums over any part of it.

use crate::view::{Aggregates, Point};
use std::{collections::VecDeque, time::Duration};

/// The points of one plugin, the oldest first.
#[derive(Debug, Default)]
pub struct History {
    points: VecDeque<Point>,
}

impl History {
    /// Adds a point, and forgets what is older than `keep`. A reload does not break the series.
    pub fn push(&mut self, point: Point, keep: Duration) {
        let oldest = point.at.saturating_sub(keep.as_secs());
        while self.points.front().is_some_and(|first| first.at < oldest) {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// All points.
    pub fn points(&self) -> impl ExactSizeIterator<Item = &Point> {
        self.points.iter()
    }

    /// Least, mean, greatest and 95th percentile over the points since `from`, in seconds since 1970.
    pub fn aggregates(&self, from: u64) -> Aggregates {
        let within = || self.points.iter().filter(|point| point.at >= from);
        let [cpu_min, cpu_avg, cpu_max, cpu_p95] = statistics(within().map(|point| point.cpu));
        let [memory_min, memory_avg, memory_max, memory_p95] = statistics(within().map(|point| point.memory));
        Aggregates { cpu_min, cpu_avg, cpu_max, cpu_p95, memory_min, memory_avg, memory_max, memory_p95 }
    }
}

/// Least, mean, greatest, 95th percentile (nearest rank); zeros of nothing.
fn statistics(values: impl Iterator<Item = f32>) -> [f64; 4] {
    let mut values: Vec<f64> = values.map(f64::from).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (Some(least), Some(greatest)) = (values.first(), values.last()) else { return [0.0; 4] };
    let rank = (values.len() * 95).div_ceil(100).max(1);
    [*least, values.iter().sum::<f64>() / values.len() as f64, *greatest, values[rank - 1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> History {
        let mut history = History::default();
        for at in 0..100u16 {
            let point = Point { at: u64::from(at), cpu: f32::from(at + 1), memory: 10.0, ..Point::default() };
            history.push(point, Duration::from_secs(3600));
        }
        history
    }

    #[test]
    fn aggregates_are_what_they_say_over_any_window() {
        let all = filled().aggregates(0);
        assert_eq!((all.cpu_min, all.cpu_avg, all.cpu_max, all.cpu_p95), (1.0, 50.5, 100.0, 95.0));
        assert_eq!((all.memory_min, all.memory_avg, all.memory_p95), (10.0, 10.0, 10.0));
        let late = filled().aggregates(90);
        assert_eq!((late.cpu_min, late.cpu_p95), (91.0, 100.0));
        assert_eq!(History::default().aggregates(0), Aggregates::default());
    }

    #[test]
    fn what_is_older_than_it_is_kept_goes() {
        let mut history = filled();
        history.push(Point { at: 7200, ..Point::default() }, Duration::from_secs(3600));
        assert_eq!(history.points().len(), 1);
        history.push(Point { at: 7205, ..Point::default() }, Duration::from_secs(3600));
        assert_eq!(history.points().len(), 2);
    }

    #[test]
    fn an_hour_of_a_plugin_is_far_below_the_limit_of_5_mb() {
        let points = 3600 / 5 + 1;
        assert!(points * size_of::<Point>() < 100_000, "{} bytes a point", size_of::<Point>());
        // The most that a configuration allows: a day, five times a second.
        assert!(86_400 * 5 * size_of::<Point>() < 20_000_000);
    }
}
