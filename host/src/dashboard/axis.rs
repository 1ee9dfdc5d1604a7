//! The vertical axis of a chart: two or three round numbers in a unit that fits them. Pure.

/// What a chart measures. Its values are in the unit in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// A time (seconds).
    Time,
    /// CPU (percent of one core).
    Percent,
    /// Memory (MiB).
    Memory,
    /// Events (a second).
    Rate,
    /// Events.
    Count,
}

impl Quantity {
    /// The factor from the values to the unit that is shown, the name of that unit, and the least height of the axis in
    /// the unit of the values: small figures stay small lines.
    fn unit(self, most: f32) -> (f32, &'static str, f32) {
        match self {
            Self::Time if most < 0.001 => (1e6, " µs", 0.000_1),
            Self::Time if most < 1.0 => (1e3, " ms", 0.001),
            Self::Time if most < 120.0 => (1.0, " s", 1.0),
            Self::Time => (1.0 / 60.0, " min", 60.0),
            Self::Percent => (1.0, " %", 10.0),
            Self::Memory if most >= 1024.0 => (1.0 / 1024.0, " GiB", 0.0),
            Self::Memory => (1.0, " MiB", 10.0),
            Self::Rate if most > 0.0 && most < 0.5 => (60.0, "/min", 0.05),
            Self::Rate => (1.0, "/s", 1.0),
            Self::Count => (1.0, "", 4.0),
        }
    }

    /// A value in the unit that fits it alone: `1.2 ms`.
    pub fn text(self, value: f32) -> String {
        if value.is_nan() {
            return "–".to_owned();
        }
        let (factor, unit, _) = self.unit(value);
        format!("{}{unit}", number(value * factor))
    }
}

/// An axis from 0 to its top.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The top, in the unit of the values.
    pub top: f32,
    /// The ticks from 0 to the top: the value, and its text. The highest one names the unit.
    pub ticks: Vec<(f32, String)>,
    /// The factor from the values to the unit that is shown.
    pub factor: f32,
    /// The unit that is shown.
    pub unit: &'static str,
}

impl Axis {
    /// The axis for values up to `most`. It also shows a limit that is at most four times as high.
    pub fn of(quantity: Quantity, most: f32, limit: Option<f32>) -> Self {
        let near = limit.filter(|limit| most >= limit / 4.0).unwrap_or_default();
        let (factor, unit, least) = quantity.unit(most.max(near));
        let most = most.max(near).max(least) * factor;
        let step = round_up(most / 3.0);
        let step = if quantity == Quantity::Count { step.max(1.0) } else { step };
        let count = (most / step - 0.001).ceil().max(1.0);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let tick = |at: f32| {
            let unit = if at >= count { unit } else { "" };
            (at * step / factor, format!("{:.decimals$}{unit}", at * step))
        };
        let ticks = (0..=count as u8).map(|at| tick(f32::from(at))).collect();
        Self { top: count * step / factor, ticks, factor, unit }
    }
}

impl Axis {
    /// A value in the unit of the axis.
    pub fn text(&self, value: f32) -> String {
        format!("{}{}", number(value * self.factor), self.unit)
    }
}

/// The next number of the form 1, 2 or 5 times a power of ten.
fn round_up(value: f32) -> f32 {
    let power = 10f32.powf(value.max(f32::MIN_POSITIVE).log10().floor());
    let first = [1.0, 2.0, 5.0].into_iter().find(|first| first * power >= value * 0.999);
    first.unwrap_or(10.0) * power
}

/// A number with two or three significant digits.
pub fn number(value: f32) -> String {
    match value {
        value if !value.is_finite() => "–".to_owned(),
        value if value >= 99.95 || value == 0.0 => format!("{value:.0}"),
        value if (value - value.round()).abs() < 0.005 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(quantity: Quantity, most: f32, limit: Option<f32>) -> String {
        let axis = Axis::of(quantity, most, limit);
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn ticks_are_round_and_in_a_unit_that_fits() {
        assert_eq!(ticks(Quantity::Time, 0.000_438, None), "0 | 200 | 400 | 600 µs");
        assert_eq!(ticks(Quantity::Time, 0.0242, None), "0 | 10 | 20 | 30 ms");
        assert_eq!(ticks(Quantity::Time, 28.095, None), "0 | 10 | 20 | 30 s");
        assert_eq!(ticks(Quantity::Percent, 0.2, None), "0 | 5 | 10 %", "almost nothing is almost flat");
        assert_eq!(ticks(Quantity::Percent, 230.0, None), "0 | 100 | 200 | 300 %");
        assert_eq!(ticks(Quantity::Rate, 0.2, None), "0 | 5 | 10 | 15/min");
        assert_eq!(ticks(Quantity::Rate, 1.4, None), "0.0 | 0.5 | 1.0 | 1.5/s");
        assert_eq!(ticks(Quantity::Count, 0.0, None), "0 | 2 | 4");
        assert_eq!(ticks(Quantity::Memory, 3000.0, None), "0 | 1 | 2 | 3 GiB");
    }

    #[test]
    fn a_limit_is_shown_when_it_is_near() {
        assert_eq!(Axis::of(Quantity::Memory, 3.0, Some(256.0)).top, 10.0, "far away");
        assert_eq!(Axis::of(Quantity::Memory, 100.0, Some(256.0)).top, 300.0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.25, 3.0, 3.12, 99.99, 1234.5].map(number), ["0", "0.25", "3", "3.1", "100", "1234"]);
        assert_eq!([Quantity::Time.text(0.0012), Quantity::Rate.text(0.1)], ["1.2 ms", "6/min"]);
        assert_eq!(Quantity::Time.text(f32::NAN), "–");
    }
}
