//! Measurements over time: a ring of points for each plugin, and sums over any part of it.

use crate::view::{Aggregates, Point, Sums, Window};
use rosey_core::outcome::OUTCOMES;
use std::{collections::VecDeque, time::Duration};

/// Points kept for each plugin, whatever the configuration says: three and a half hours with a poll each 0.2 s. A ring
/// doubles as it grows. With so many points it takes 4.7 MB, so a plugin's history stays below 5 MB.
const MOST: usize = 1 << 16;

/// The points of one plugin, the oldest first.
#[derive(Debug, Default)]
pub struct History {
    points: VecDeque<Point>,
}

impl FromIterator<Point> for History {
    fn from_iter<I: IntoIterator<Item = Point>>(points: I) -> Self {
        Self { points: points.into_iter().collect() }
    }
}

impl History {
    /// Adds a point, and removes points older than `keep`. A reload does not break the series.
    pub fn push(&mut self, point: Point, keep: Duration) {
        let oldest = point.at.saturating_sub(keep.as_secs());
        while self.points.front().is_some_and(|first| first.at < oldest) {
            self.points.pop_front();
        }
        if self.points.len() >= MOST {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// All points.
    pub fn points(&self) -> impl ExactSizeIterator<Item = &Point> {
        self.points.iter()
    }

    /// The newest point.
    pub fn last(&self) -> Option<&Point> {
        self.points.back()
    }

    /// The points since `from`, in seconds since 1970.
    pub fn since(&self, from: u64) -> impl ExactSizeIterator<Item = &Point> {
        let first = self.points.partition_point(|point| point.at < from);
        self.points.range(first..)
    }

    /// All figures over the points since `from`.
    pub fn window(&self, from: u64, length: Duration) -> Window {
        let sums = |value: fn(&Point) -> f32| {
            let values = self.since(from).map(value).filter(|value| !value.is_nan());
            let Some([min, avg, max, p95]) = statistics(values) else { return Sums::default() };
            Sums { min: Some(min), avg: Some(avg), max: Some(max), p95: Some(p95) }
        };
        let count = |at: usize| self.since(from).map(|point| u64::from(point.outcomes[at])).sum();
        let first = self.points.partition_point(|point| point.at < from);
        let before = first.checked_sub(1).and_then(|at| self.points.get(at)).map_or(0, |point| point.crashes);
        Window {
            seconds: length.as_secs(),
            points: self.since(from).len(),
            cpu: sums(|point| point.cpu),
            memory: sums(|point| point.memory),
            events_per_second: sums(|point| point.events_per_second),
            response_p50: sums(|point| point.response_p50),
            response_p95: sums(|point| point.response_p95),
            queued: sums(|point| point.queued as f32),
            in_flight: sums(|point| point.in_flight as f32),
            outcomes: OUTCOMES.into_iter().enumerate().map(|(at, name)| (name, count(at))).collect(),
            crashes: self.points.back().map_or(0, |last| last.crashes.saturating_sub(before)),
        }
    }

    /// Least, mean, greatest and 95th percentile over the points since `from`, in seconds since 1970.
    pub fn aggregates(&self, from: u64) -> Aggregates {
        let of = |value: fn(&Point) -> f32| statistics(self.since(from).map(value)).unwrap_or_default();
        let hundredth = |value: f64| (value * 100.0).round() / 100.0;
        let [cpu_min, cpu_avg, cpu_max, cpu_p95] = of(|point| point.cpu).map(hundredth);
        let [memory_min, memory_avg, memory_max, memory_p95] =
            of(|point| point.memory).map(|value| value.round() as u64);
        Aggregates { cpu_min, cpu_avg, cpu_max, cpu_p95, memory_min, memory_avg, memory_max, memory_p95 }
    }
}

/// Least, mean, greatest and 95th percentile (nearest rank), rounded to a millionth; `None` without values. A point has
/// no higher precision, so more digits would be noise.
fn statistics(values: impl Iterator<Item = f32>) -> Option<[f64; 4]> {
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    let mut values: Vec<f64> = values.map(|value| rounded(f64::from(value))).collect();
    values.sort_unstable_by(f64::total_cmp);
    let (least, greatest) = (values.first()?, values.last()?);
    let rank = (values.len() * 95).div_ceil(100).max(1);
    let mean = rounded(values.iter().sum::<f64>() / values.len() as f64);
    Some([*least, mean, *greatest, values[rank - 1]])
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
        assert_eq!((all.memory_min, all.memory_avg, all.memory_p95), (10, 10, 10));
        let mut short = History::default();
        for cpu in [1.2, 0.1, 0.7] {
            short.push(Point { cpu, ..Point::default() }, Duration::from_secs(3600));
        }
        let shown = serde_json::to_string(&short.aggregates(0)).expect("numbers");
        assert!(shown.contains(r#""cpu_min":0.1,"cpu_avg":0.67,"cpu_max":1.2,"#), "{shown}");
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
    fn a_window_has_all_figures() {
        let mut history = History::default();
        for at in 0..100u32 {
            let response = if at % 2 == 0 { 0.5 } else { f32::NAN };
            let (outcomes, queued) = ([2, 0, 1, 0, 0, 0], at);
            let point =
                Point { at: at.into(), crashes: at / 10, response_p95: response, outcomes, queued, ..filled_point() };
            history.push(point, Duration::from_secs(3600));
        }
        let window = history.window(50, Duration::from_secs(50));
        assert_eq!((window.seconds, window.points, window.crashes), (50, 50, 5));
        assert_eq!((window.outcomes["replied"], window.outcomes["failed"]), (100, 50));
        assert_eq!((window.queued.min, window.queued.max, window.queued.p95), (Some(50.0), Some(99.0), Some(97.0)));
        assert_eq!((window.response_p95.avg, window.response_p50.avg), (Some(0.5), None));
        assert_eq!(
            History::default().window(0, Duration::ZERO),
            Window { outcomes: OUTCOMES.into_iter().map(|name| (name, 0)).collect(), ..Window::default() }
        );
    }

    fn filled_point() -> Point {
        Point { response_p50: f32::NAN, ..Point::default() }
    }

    /// The allocated bytes: a ring doubles as it grows.
    fn bytes(history: &History) -> usize {
        history.points.capacity() * size_of::<Point>()
    }

    #[test]
    fn an_hour_of_a_plugin_is_far_below_the_limit_of_5_mb() {
        let mut history = History::default();
        for at in 0..7200u64 {
            history.push(Point { at: at * 5, ..Point::default() }, Duration::from_secs(3600));
        }
        println!("{} points of {} bytes: {} bytes", history.points().len(), size_of::<Point>(), bytes(&history));
        assert_eq!((history.points().len(), bytes(&history)), (721, 73_728));
    }

    #[test]
    fn the_longest_history_that_can_be_configured_is_below_it_too() {
        let mut history = History::default();
        // A day, five times a second.
        for at in 0..86_400 * 5u64 {
            history.push(Point { at: at / 5, ..Point::default() }, Duration::from_secs(86_400));
        }
        assert_eq!(history.points().len(), MOST);
        assert!(bytes(&history) < 5_000_000, "{} bytes", bytes(&history));
    }
}
