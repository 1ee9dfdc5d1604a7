//! An author's own metrics: declared once as statics, shown by the host beside its own.
//!
//! ```
//! use plugin_api::metrics::{Counter, Histogram};
//!
//! static ROLLS: Counter = Counter::new("dice_rolls_total", "Dice rolled.").labels(&["sides"]);
//! static SUMS: Histogram = Histogram::new("dice_sum_points", "Sums of rolls.", &[5.0, 10.0, 50.0]);
//!
//! ROLLS.with(&["6"]).inc();
//! SUMS.observe(9.0);
//! ```
//!
//! A metric registers itself when it is first used. Its name has to satisfy Prometheus' lint (see [`Counter::new`]); one
//! that does not, or is beyond a limit, records nothing, is logged once as an error, and counted as over the limit.
//! Unless noted, a call takes one uncontended lock. Health checks pass through handlers too: see
//! [`Context::is_probe`](crate::Context::is_probe).

mod family;
mod lint;
mod registry;

use family::{Family, Kind};
pub(crate) use registry::render;

/// At most this many metrics per plugin: a scrape of a hundred plugins stays within a few thousand lines.
pub const MOST_METRICS: usize = 64;
/// At most this many combinations of label values per metric; further ones are counted, not kept.
pub const MOST_SERIES: usize = 64;
/// The longest label value, in bytes; a longer one is cut.
pub const LONGEST_LABEL: usize = 128;
/// At most this many buckets per histogram.
pub const MOST_BUCKETS: usize = 32;

/// Counts what only grows.
#[derive(Debug)]
pub struct Counter(Family);

impl Counter {
    /// A counter. `name` is lower case, ends in `_total`, has base units (`_seconds`, `_bytes`) and neither a type nor a
    /// colon in it; `help` is not empty.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self(Family::new(Kind::Counter, name, help, &[]))
    }

    /// Gives it labels, whose values [`with`](Self::with) names.
    #[must_use]
    pub const fn labels(mut self, names: &'static [&'static str]) -> Self {
        self.0.labels = names;
        self
    }

    /// The series with these label values, as many as there are labels.
    pub const fn with<'a>(&'static self, values: &'a [&'a str]) -> CounterSeries<'a> {
        CounterSeries(&self.0, values)
    }

    /// Adds 1 to a counter without labels.
    pub fn inc(&'static self) {
        self.with(&[]).inc();
    }

    /// Adds to a counter without labels; see [`CounterSeries::add`].
    pub fn add(&'static self, amount: f64) {
        self.with(&[]).add(amount);
    }
}

/// One series of a [`Counter`].
#[derive(Clone, Copy, Debug)]
pub struct CounterSeries<'a>(&'static Family, &'a [&'a str]);

impl CounterSeries<'_> {
    /// Adds 1.
    pub fn inc(self) {
        self.add(1.0);
    }

    /// Adds `amount`; a negative or non-finite one is ignored, as a counter only grows.
    pub fn add(self, amount: f64) {
        if amount >= 0.0 && amount.is_finite() {
            self.0.update(self.1, |series| series.value += amount);
        }
    }
}

/// Shows a value that goes up and down.
#[derive(Debug)]
pub struct Gauge(Family);

impl Gauge {
    /// A gauge. For the name see [`Counter::new`], but that it does not end in `_total`.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self(Family::new(Kind::Gauge, name, help, &[]))
    }

    /// Gives it labels, whose values [`with`](Self::with) names.
    #[must_use]
    pub const fn labels(mut self, names: &'static [&'static str]) -> Self {
        self.0.labels = names;
        self
    }

    /// The series with these label values, as many as there are labels.
    pub const fn with<'a>(&'static self, values: &'a [&'a str]) -> GaugeSeries<'a> {
        GaugeSeries(&self.0, values)
    }

    /// Sets a gauge without labels; a non-finite value is ignored.
    pub fn set(&'static self, value: f64) {
        self.with(&[]).set(value);
    }

    /// Adds to a gauge without labels, or subtracts; a non-finite amount is ignored.
    pub fn add(&'static self, amount: f64) {
        self.with(&[]).add(amount);
    }
}

/// One series of a [`Gauge`].
#[derive(Clone, Copy, Debug)]
pub struct GaugeSeries<'a>(&'static Family, &'a [&'a str]);

impl GaugeSeries<'_> {
    /// Sets the value; a non-finite one is ignored.
    pub fn set(self, value: f64) {
        if value.is_finite() {
            self.0.update(self.1, |series| series.value = value);
        }
    }

    /// Adds to the value, or subtracts; a non-finite amount is ignored.
    pub fn add(self, amount: f64) {
        if amount.is_finite() {
            self.0.update(self.1, |series| series.value += amount);
        }
    }
}

/// Sorts values into buckets.
#[derive(Debug)]
pub struct Histogram(Family);

impl Histogram {
    /// A histogram with these upper bounds, ascending and finite; the last bucket, without a bound, is implied. For the
    /// name see [`Gauge::new`].
    pub const fn new(name: &'static str, help: &'static str, bounds: &'static [f64]) -> Self {
        Self(Family::new(Kind::Histogram, name, help, bounds))
    }

    /// Gives it labels, whose values [`with`](Self::with) names.
    #[must_use]
    pub const fn labels(mut self, names: &'static [&'static str]) -> Self {
        self.0.labels = names;
        self
    }

    /// The series with these label values, as many as there are labels.
    pub const fn with<'a>(&'static self, values: &'a [&'a str]) -> HistogramSeries<'a> {
        HistogramSeries(&self.0, values)
    }

    /// Records a value in a histogram without labels; a non-finite one is ignored.
    pub fn observe(&'static self, value: f64) {
        self.with(&[]).observe(value);
    }
}

/// One series of a [`Histogram`].
#[derive(Clone, Copy, Debug)]
pub struct HistogramSeries<'a>(&'static Family, &'a [&'a str]);

impl HistogramSeries<'_> {
    /// Records a value; a non-finite one is ignored.
    pub fn observe(self, value: f64) {
        if value.is_finite() {
            let bucket = self.0.bounds().partition_point(|bound| *bound < value);
            self.0.update(self.1, |series| series.observe(bucket, value));
        }
    }
}
