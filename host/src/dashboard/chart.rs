//! Lines as SVG. They use attributes only, because the content policy allows no style. Numbers come from the history,
//! and texts are escaped. Lines stretch to the width of the page. `timeline` puts them into charts.

use super::axis::number;
use crate::view::Point;
use std::fmt::Write;

/// Columns of a line in the overview, which has several lines for each plugin.
const SPARK_COLUMNS: usize = 32;

/// The size of such a line in its own units, which are whole numbers: a page has hundreds of lines.
const SPARK: (f32, f32) = (256.0, 80.0);

/// Measurements that may be missing in a line: one may be late and the next one missing.
const BRIDGED: f32 = 2.5;

/// The size of a line in a chart in its own units, before it stretches.
pub const BOX: (f32, f32) = (1200.0, 256.0);

/// The ranges that a reader can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// 15 minutes, in 5 s steps with the usual poll.
    Quarter,
    /// 60 minutes, from the same measurements.
    Hour,
    /// From the points of a minute.
    SixHours,
    /// From the points of five minutes.
    Day,
    /// From the points of half an hour.
    Week,
}

impl Span {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::Quarter, Self::Hour, Self::SixHours, Self::Day, Self::Week];

    /// The word in the URL.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// The words for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Quarter => "15 min",
            Self::Hour => "1 h",
            Self::SixHours => "6 h",
            Self::Day => "24 h",
            Self::Week => "7 d",
        }
    }

    /// The length in seconds.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Quarter => 900,
            Self::Hour => 3600,
            Self::SixHours => 6 * 3600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
        }
    }

    /// Seconds between two times on the axis.
    pub fn between_times(self) -> u64 {
        match self {
            Self::Quarter => 180,
            Self::Hour => 600,
            Self::SixHours => 3600,
            Self::Day => 4 * 3600,
            Self::Week => 86_400,
        }
    }

    /// The range in a URL; `None` if it names none.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.word() == word)
    }

    /// The range without a wish: an hour, or a quarter of it while the host is young.
    pub fn usual(uptime: u64) -> Self {
        if uptime < Self::Quarter.seconds() { Self::Quarter } else { Self::Hour }
    }
}

/// The time range of a chart.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// Seconds since 1970.
    pub from: u64,
    /// Seconds since 1970.
    pub to: u64,
    /// Seconds between two measurements.
    pub poll: f32,
}

impl Range {
    /// A range that ends now.
    pub fn of(span: Span, now: u64, poll: f32) -> Self {
        Self { from: now.saturating_sub(span.seconds()), to: now, poll }
    }

    /// The last hour, or the host's life if that is shorter: for lines without times.
    pub fn so_far(uptime: u64, now: u64, poll: f32) -> Self {
        Self { from: now.saturating_sub(uptime.clamp(60, 3600)), to: now, poll }
    }

    fn span(&self) -> u64 {
        self.to.saturating_sub(self.from).max(1)
    }

    /// Whether a time is in the range.
    pub fn has(&self, at: u64) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// The place of a time in the range, from 0 to 1.
    pub fn share(&self, at: u64) -> f32 {
        at.saturating_sub(self.from) as f32 / self.span() as f32
    }
}

/// A text for SVG or HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The part of a line in one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// Which column it is, from the left.
    pub place: u64,
    /// The time of its last measurement.
    pub at: u64,
    /// The greatest value.
    pub value: f32,
}

/// The greatest value of each column with points.
pub fn columns(count: usize, points: &[Point], value: impl Fn(&Point) -> f32, range: Range) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::with_capacity(count);
    for point in points.iter().filter(|point| range.has(point.at)) {
        let value = value(point);
        if value.is_nan() {
            continue;
        }
        let place = (point.at - range.from) * (count as u64 - 1) / range.span();
        match columns.last_mut() {
            Some(last) if last.place == place => (last.at, last.value) = (point.at, last.value.max(value)),
            _ => columns.push(Column { place, at: point.at, value }),
        }
    }
    columns
}

/// The `d` of a path through the columns, in a box of this size.
pub fn path(columns: &[Column], count: usize, most: f32, (width, height): (f32, f32), range: Range) -> String {
    // Two neighbouring points are at most two columns apart, whatever was measured in between.
    let bridged = (range.poll * BRIDGED).max(2.0 * range.span() as f32 / count as f32);
    let (mut path, mut before) = (String::new(), None::<u64>);
    for (index, column) in columns.iter().enumerate() {
        let (at, x) = (column.at, range.share(column.at) * width);
        let y = height - (column.value / most).min(1.0) * (height - 2.0) - 1.0;
        let goes_on = |from: u64, to: u64| (to - from) as f32 <= bridged;
        let begins = before.is_none_or(|before| !goes_on(before, at));
        // Writing to a string does not fail.
        let _ = write!(path, "{}{x:.0} {y:.0}", if begins { "M" } else { "L" });
        let ends = columns.get(index + 1).is_none_or(|next| !goes_on(at, next.at));
        if begins && ends {
            // A single point becomes a visible dash.
            let _ = write!(path, "h{:.0}", (width / 100.0).max(1.0));
        }
        before = Some(at);
    }
    path
}

/// The greatest of these values.
pub fn greatest(columns: &[Column]) -> f32 {
    columns.iter().fold(0.0, |most, column| most.max(column.value))
}

/// A small line without labels for a figure of the overview. `what` and its greatest value describe it for people who
/// cannot see it. Values below `least` stay near the ground. Empty without values.
pub fn spark(points: &[Point], value: impl Fn(&Point) -> f32, least: f32, range: Range, what: &str) -> String {
    let columns = columns(SPARK_COLUMNS, points, value, range);
    let most = greatest(&columns);
    // Less than a thousandth is noise.
    if most < 0.001 {
        return String::new();
    }
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}: at most {} lately\" \
         preserveAspectRatio=\"none\"><path class=\"line\" d=\"{}\"/></svg>",
        SPARK.0,
        SPARK.1,
        escape(what),
        number(most),
        path(&columns, SPARK_COLUMNS, most.max(least), SPARK, range)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Range = Range { from: 0, to: 3600, poll: 5.0 };
    const COLUMNS: usize = 120;

    fn points() -> Vec<Point> {
        (0..720u16)
            .map(|n| Point { at: u64::from(n) * 5, cpu: f32::from(n % 10), response_p95: f32::NAN, ..Point::default() })
            .collect()
    }

    fn strokes(points: &[Point], range: Range) -> usize {
        let columns = columns(COLUMNS, points, |point| point.cpu, range);
        path(&columns, COLUMNS, 10.0, BOX, range).matches('M').count()
    }

    #[test]
    fn an_hour_is_rolled_up_to_its_greatest_values() {
        let columns = columns(COLUMNS, &points(), |point| point.cpu, HOUR);
        assert!(columns.len() >= COLUMNS - 1);
        assert!(columns.iter().all(|column| column.value >= 5.0));
        assert_eq!(strokes(&points(), HOUR), 1);
        let none = spark(&points(), |point| point.response_p95, 0.0, HOUR, "none");
        assert_eq!(none, "", "of nothing there is no line");
        assert_eq!(spark(&points(), |_| 0.0, 0.0, HOUR, "none"), "");
    }

    #[test]
    fn the_first_minutes_are_a_line_and_not_dots() {
        for uptime in [20, 60, 120, 290] {
            let range = Range::of(Span::usual(uptime), 3600, 5.0);
            let young: Vec<_> = points().into_iter().filter(|point| point.at >= 3600 - uptime).collect();
            assert_eq!((range.to - range.from, strokes(&young, range)), (900, 1), "after {uptime} s");
            // A poll that was late, and one that was missed.
            let holes: Vec<_> = young.into_iter().filter(|point| point.at % 20 != 10).collect();
            assert_eq!(strokes(&holes, range), 1, "after {uptime} s");
        }
    }

    #[test]
    fn a_gap_is_a_gap() {
        let points = [Point { at: 0, cpu: 1.0, ..Point::default() }, Point { at: 3600, cpu: 1.0, ..Point::default() }];
        assert_eq!(strokes(&points, HOUR), 2);
    }

    #[test]
    fn ranges_have_words() {
        for span in Span::ALL {
            assert_eq!(Span::of(span.word()), Some(span));
            assert!(span.seconds() / span.between_times() < 8, "the times fit a telephone");
        }
        assert_eq!((Span::of("2y"), Span::usual(10), Span::usual(4000)), (None, Span::Quarter, Span::Hour));
    }
}
