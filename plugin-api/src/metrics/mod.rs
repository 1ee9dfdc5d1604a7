//! An author's own metrics: declared once as statics. The host shows them beside its own.
//!
//! ```
//! use plugin_api::metrics::{Counter, CounterSeries, Gauge, GaugeSeries, Histogram, HistogramSeries};
//!
//! static ROLLS: Counter = Counter::new("dice_rolls_total", "Dice rolled.").labels(&["sides"]);
//! static SUMS: Histogram = Histogram::new("dice_sum_points", "Sums of rolls.", &[5.0, 10.0, 50.0]);
//!
//! ROLLS.with(&["6"]).inc();
//! SUMS.observe(9.0);
//!
//! static DICE: Gauge = Gauge::new("dice_in_cup", "Dice that are in the cup.").labels(&["colour"]);
//! static WAITS: Histogram = Histogram::new("dice_wait_seconds", "Waits for a roll.", &[1.0, 10.0]).labels(&["sides"]);
//!
//! let red: GaugeSeries<'_> = DICE.with(&["red"]);
//! red.set(5.0);
//! red.add(-1.0);
//! let (sixes, waits): (CounterSeries<'_>, HistogramSeries<'_>) = (ROLLS.with(&["6"]), WAITS.with(&["6"]));
//! sixes.add(3.0);
//! waits.observe(0.5);
//! ```
//!
//! A metric registers itself at its first use. Its name must pass Prometheus' lint (see [`Counter::new`]). A metric with
//! another name or beyond a limit records nothing; it is logged once as an error, and the host counts it as
//! `custom_metrics` in `rosey_plugin_limit_hits_total`. A call takes one uncontended lock. Probes run handlers too, so
//! check [`Context::is_probe`](crate::Context::is_probe) before you count.

mod family;
mod lint;
mod registry;

use family::{Family, Kind};
pub(crate) use registry::render;

/// Metrics of one plugin. With a hundred plugins, a scrape stays within a few thousand lines.
pub const MOST_METRICS: usize = 64;
/// Combinations of label values of one metric. Values of further ones are dropped and counted.
pub const MOST_SERIES: usize = 64;
/// The longest label value, in bytes. A longer one is cut.
pub const LONGEST_LABEL: usize = 128;
/// Buckets of one histogram.
pub const MOST_BUCKETS: usize = 32;

/// A value that only grows.
#[derive(Debug)]
pub struct Counter(Family);

impl Counter {
    /// Declares a counter. `name` is lower case and ends in `_total`. It uses base units (`_seconds`, `_bytes`), and
    /// contains neither a type nor a colon. `help` is not empty and has at most 512 bytes.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self(Family::new(Kind::Counter, name, help, &[]))
    }

    /// Declares up to 8 labels, whose values [`with`](Self::with) gives.
    #[must_use]
    pub const fn labels(mut self, names: &'static [&'static str]) -> Self {
        self.0.labels = names;
        self
    }

    /// The series with these label values, one for each label. With another number of values it records nothing, and
    /// the host counts that.
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

    /// Adds `amount`. A negative or non-finite amount is ignored, because a counter only grows.
    pub fn add(self, amount: f64) {
        if amount >= 0.0 && amount.is_finite() {
            self.0.update(self.1, |series| series.value += amount);
        }
    }
}

/// A value that goes up and down.
#[derive(Debug)]
pub struct Gauge(Family);

impl Gauge {
    /// Declares a gauge. The rules for the name are those of [`Counter::new`], except that it does not end in `_total`.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self(Family::new(Kind::Gauge, name, help, &[]))
    }

    /// Declares up to 8 labels, whose values [`with`](Self::with) gives.
    #[must_use]
    pub const fn labels(mut self, names: &'static [&'static str]) -> Self {
        self.0.labels = names;
        self
    }

    /// The series with these label values, one for each label. With another number of values it records nothing, and
    /// the host counts that.
    pub const fn with<'a>(&'static self, values: &'a [&'a str]) -> GaugeSeries<'a> {
        GaugeSeries(&self.0, values)
    }

    /// Sets a gauge without labels. A non-finite value is ignored.
    pub fn set(&'static self, value: f64) {
        self.with(&[]).set(value);
    }

    /// Adds to a gauge without labels; a negative amount subtracts. A non-finite amount is ignored.
    pub fn add(&'static self, amount: f64) {
        self.with(&[]).add(amount);
    }
}

/// One series of a [`Gauge`].
#[derive(Clone, Copy, Debug)]
pub struct GaugeSeries<'a>(&'static Family, &'a [&'a str]);

impl GaugeSeries<'_> {
    /// Sets the value. A non-finite value is ignored.
    pub fn set(self, value: f64) {
        if value.is_finite() {
            self.0.update(self.1, |series| series.value = value);
        }
    }

    /// Adds to the value; a negative amount subtracts. A non-finite amount is ignored.
    pub fn add(self, amount: f64) {
        if amount.is_finite() {
            self.0.update(self.1, |series| series.value += amount);
        }
    }
}

/// Values sorted into buckets.
#[derive(Debug)]
pub struct Histogram(Family);

impl Histogram {
    /// Declares a histogram with these upper bounds, which are finite, ascend, and are 1 to 32 in number. A last bucket
    /// without a bound is implied. For the name see [`Gauge::new`].
    pub const fn new(name: &'static str, help: &'static str, bounds: &'static [f64]) -> Self {
        Self(Family::new(Kind::Histogram, name, help, bounds))
    }

    /// Declares up to 8 labels, whose values [`with`](Self::with) gives.
    #[must_use]
    pub const fn labels(mut self, names: &'static [&'static str]) -> Self {
        self.0.labels = names;
        self
    }

    /// The series with these label values, one for each label. With another number of values it records nothing, and
    /// the host counts that.
    pub const fn with<'a>(&'static self, values: &'a [&'a str]) -> HistogramSeries<'a> {
        HistogramSeries(&self.0, values)
    }

    /// Records a value in a histogram without labels. A non-finite value is ignored.
    pub fn observe(&'static self, value: f64) {
        self.with(&[]).observe(value);
    }
}

/// One series of a [`Histogram`].
#[derive(Clone, Copy, Debug)]
pub struct HistogramSeries<'a>(&'static Family, &'a [&'a str]);

impl HistogramSeries<'_> {
    /// Records a value. A non-finite value is ignored.
    pub fn observe(self, value: f64) {
        if value.is_finite() {
            let bucket = self.0.bounds().partition_point(|bound| *bound < value);
            self.0.update(self.1, |series| series.observe(bucket, value));
        }
    }
}
