//! Charts as SVG. They use attributes only, because the content policy allows no style. Numbers come from the history,
//! and texts are escaped. Lines stretch to the width of the page. Labels and marks lie on top, placed by percent, and
//! do not stretch.

use crate::view::{
    Point,
    mark::{Mark, MarkKind, Severity},
};
use std::fmt::Write;

/// Columns of a chart. An hour of points becomes as many columns, each with its greatest value.
const COLUMNS: usize = 120;

/// Columns of a line in the overview, which has four lines for each plugin.
const SPARK_COLUMNS: usize = 40;

/// Marks on one chart. More would hide the line.
const MOST_MARKS: usize = 60;

/// Polls without a measurement that a line bridges: one may be late and the next one missing.
const BRIDGED: f32 = 2.5;

/// Ranges of a chart in minutes. A chart of a young host shows the shortest range with its whole life.
const RANGES: [u64; 4] = [5, 10, 30, 60];

/// The vertical place of lines in a chart, from the top, in pixels: below the label of the greatest value, above the
/// times.
const PLOT: (f32, f32) = (16.0, 96.0);

/// The width of a line in its own units, before it stretches.
const WIDTH: f32 = 600.0;

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
    /// The last hour, or less while the host is younger.
    pub fn of(uptime: u64, now: u64, poll: f32) -> Self {
        let minutes = RANGES.into_iter().find(|minutes| minutes * 60 >= uptime).unwrap_or(60);
        Self { from: now.saturating_sub(minutes * 60), to: now, poll }
    }

    /// The last hour, or the host's life if that is shorter: for lines without times.
    pub fn so_far(uptime: u64, now: u64, poll: f32) -> Self {
        Self { from: now.saturating_sub(uptime.clamp(60, 3600)), to: now, poll }
    }

    fn span(&self) -> u64 {
        self.to.saturating_sub(self.from).max(1)
    }

    fn has(&self, at: u64) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// The place of a time in the range, from 0 to 1.
    fn share(&self, at: u64) -> f32 {
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

/// The greatest value of each column with points, and the time of the last point in it.
fn columns(count: usize, points: &[Point], value: impl Fn(&Point) -> f32, range: Range) -> Vec<(u64, f32)> {
    let mut columns: Vec<(u64, u64, f32)> = Vec::with_capacity(count);
    for point in points.iter().filter(|point| range.has(point.at)) {
        let value = value(point);
        if value.is_nan() {
            continue;
        }
        let column = (point.at - range.from) * (count as u64 - 1) / range.span();
        match columns.last_mut() {
            Some((last, at, most)) if *last == column => (*at, *most) = (point.at, most.max(value)),
            _ => columns.push((column, point.at, value)),
        }
    }
    columns.into_iter().map(|(_, at, value)| (at, value)).collect()
}

fn path(columns: &[(u64, f32)], count: usize, most: f32, (width, height): (f32, f32), range: Range) -> String {
    // Two neighbouring points are at most two columns apart, whatever was measured in between.
    let bridged = (range.poll * BRIDGED).max(2.0 * range.span() as f32 / count as f32);
    let (mut path, mut before) = (String::new(), None::<u64>);
    for (index, &(at, value)) in columns.iter().enumerate() {
        let x = range.share(at) * width;
        let y = height - value / most * (height - 2.0) - 1.0;
        let goes_on = |from: u64, to: u64| (to - from) as f32 <= bridged;
        let begins = before.is_none_or(|before| !goes_on(before, at));
        // Writing to a string does not fail.
        let _ = write!(path, "{}{x:.1} {y:.1}", if begins { "M" } else { "L" });
        let ends = columns.get(index + 1).is_none_or(|(next, _)| !goes_on(at, *next));
        if begins && ends {
            // A single point becomes a visible dash.
            let _ = write!(path, "h{}", width / 100.0);
        }
        before = Some(at);
    }
    path
}

fn greatest(columns: &[(u64, f32)]) -> f32 {
    columns.iter().fold(0.0, |most, (_, value)| most.max(*value))
}

/// A small line without labels for a figure of the overview. `what` and its greatest value describe it for people who
/// cannot see it. Empty without values.
pub fn spark(points: &[Point], value: impl Fn(&Point) -> f32, range: Range, what: &str) -> String {
    let columns = columns(SPARK_COLUMNS, points, value, range);
    let most = greatest(&columns);
    // Less than a thousandth is noise.
    if most < 0.001 {
        return String::new();
    }
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 80 20\" role=\"img\" aria-label=\"{}: at most {} lately\" \
         preserveAspectRatio=\"none\"><path class=\"line\" d=\"{}\"/></svg>",
        escape(what),
        number(most),
        path(&columns, SPARK_COLUMNS, most, (80.0, 20.0), range)
    )
}

/// One line of a chart.
pub struct Line<'a> {
    /// The name of the line.
    pub name: &'static str,
    /// The value of a point.
    pub value: &'a dyn Fn(&Point) -> f32,
}

/// The shape of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A crash.
    Triangle,
    /// A rollback.
    Diamond,
    /// A change by a person.
    Circle,
}

impl Shape {
    /// The shape of a mark; `None` for marks that matter beside no figure.
    pub fn of(mark: &Mark) -> Option<Self> {
        match (mark.kind, mark.severity) {
            (MarkKind::Crash | MarkKind::Failed | MarkKind::Health, Severity::Error) => Some(Self::Triangle),
            (MarkKind::Rollback, _) => Some(Self::Diamond),
            (MarkKind::Reload | MarkKind::Restart, Severity::Info) => Some(Self::Circle),
            _ => None,
        }
    }

    /// The shape as SVG, around its own origin.
    fn svg(self) -> &'static str {
        match self {
            Self::Triangle => "<path d=\"M0-6L6 5H-6Z\"/>",
            Self::Diamond => "<path d=\"M0-7L6 0L0 7L-6 0Z\"/>",
            Self::Circle => "<circle r=\"4.5\"/>",
        }
    }

    /// The name of its class.
    fn name(self) -> &'static str {
        match self {
            Self::Triangle => "crash",
            Self::Diamond => "rollback",
            Self::Circle => "reload",
        }
    }

    /// The shape as an icon for a line of text.
    pub fn icon(self) -> String {
        format!(
            "<svg class=\"icon mark {0}\" viewBox=\"-8 -8 16 16\" role=\"img\" aria-label=\"{0}\">{1}</svg>",
            self.name(),
            self.svg()
        )
    }

    /// The legend of all shapes.
    pub fn legend() -> String {
        let one = |shape: Self, word: &str| format!("<span>{} {word}</span>", shape.icon());
        [one(Self::Triangle, "crash"), one(Self::Diamond, "rollback"), one(Self::Circle, "reload or restart")].join(" ")
    }
}

/// The content of a chart.
pub struct Chart<'a> {
    /// What it is about.
    pub title: &'static str,
    /// The unit of the numbers.
    pub unit: &'static str,
    /// The lines, in the order of the legend.
    pub lines: &'a [Line<'a>],
}

impl Chart<'_> {
    /// The chart with its marks, each with its cause as a title.
    pub fn svg(&self, points: &[Point], marks: &[Mark], range: Range) -> String {
        let (top, bottom) = PLOT;
        let all: Vec<_> = self.lines.iter().map(|line| columns(COLUMNS, points, line.value, range)).collect();
        let most = all.iter().map(|columns| greatest(columns)).fold(0.0f32, f32::max);
        let scale = if most > 0.0 { most } else { 1.0 };
        let (title, unit) = (escape(self.title), escape(self.unit));
        let greatest = if most > 0.0 { format!("{} {unit}", number(most)) } else { format!("0 {unit}") };
        let mut svg = format!(
            "<figure class=\"chart\"><figcaption>{title} {}</figcaption><svg class=\"plot\" role=\"img\" \
             aria-label=\"{title}: at most {greatest} within the last {} minutes\">\
             <line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{top}\" y2=\"{top}\"/>\
             <line class=\"base\" x1=\"0\" x2=\"100%\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"0\" y=\"11\">{greatest}</text>",
            self.keys(),
            range.span() / 60
        );
        let height = bottom - top;
        let _ = write!(
            svg,
            "<svg y=\"{top}\" width=\"100%\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
             preserveAspectRatio=\"none\">"
        );
        for (at, (columns, line)) in all.iter().zip(self.lines).enumerate() {
            let path = path(columns, COLUMNS, scale, (WIDTH, height), range);
            let _ = write!(svg, "<path class=\"line l{at}\" d=\"{path}\"><title>{}</title></path>", escape(line.name));
        }
        svg.push_str("</svg>");
        write_marks(&mut svg, marks, range);
        write_times(&mut svg, range);
        svg.push_str("</svg></figure>");
        svg
    }

    /// The legend of a chart with two lines.
    fn keys(&self) -> String {
        if self.lines.len() < 2 {
            return String::new();
        }
        let key = |(at, line): (usize, &Line<'_>)| format!("<span class=\"key l{at}\">{}</span>", escape(line.name));
        self.lines.iter().enumerate().map(key).collect::<Vec<_>>().join(" ")
    }
}

fn write_marks(svg: &mut String, marks: &[Mark], range: Range) {
    let (top, bottom) = PLOT;
    let drawn = marks.iter().rev().filter(|mark| range.has(mark.at_seconds));
    for (mark, shape) in drawn.filter_map(|mark| Some((mark, Shape::of(mark)?))).take(MOST_MARKS) {
        let x = range.share(mark.at_seconds) * 100.0;
        let _ = write!(
            svg,
            "<g class=\"mark {}\"><title>{} {}</title>\
             <line x1=\"{x:.1}%\" x2=\"{x:.1}%\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <svg x=\"{x:.1}%\" y=\"{}\" overflow=\"visible\">{}</svg></g>",
            shape.name(),
            escape(&mark.at),
            escape(&mark.text),
            top + 6.0,
            shape.svg()
        );
    }
}

fn write_times(svg: &mut String, range: Range) {
    let minutes = range.span() as f32 / 60.0;
    let y = PLOT.1 + 14.0;
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"0\" y=\"{y}\">−{minutes:.0} min</text>\
         <text class=\"tick\" x=\"50%\" y=\"{y}\" text-anchor=\"middle\">−{} min</text>\
         <text class=\"tick\" x=\"100%\" y=\"{y}\" text-anchor=\"end\">now</text>",
        minutes / 2.0
    );
}

/// A number with two or three significant digits.
pub fn number(value: f32) -> String {
    match value {
        value if !value.is_finite() => "–".to_owned(),
        value if value >= 99.95 || value == 0.0 => format!("{value:.0}"),
        value if (value - value.round()).abs() < 0.005 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Range = Range { from: 0, to: 3600, poll: 5.0 };

    fn points() -> Vec<Point> {
        (0..720u16)
            .map(|n| Point { at: u64::from(n) * 5, cpu: f32::from(n % 10), response_p95: f32::NAN, ..Point::default() })
            .collect()
    }

    fn strokes(points: &[Point], range: Range) -> usize {
        let columns = columns(COLUMNS, points, |point| point.cpu, range);
        path(&columns, COLUMNS, 10.0, (WIDTH, 80.0), range).matches('M').count()
    }

    #[test]
    fn an_hour_is_rolled_up_to_its_greatest_values() {
        let columns = columns(COLUMNS, &points(), |point| point.cpu, HOUR);
        assert!(columns.len() >= COLUMNS - 1);
        assert!(columns.iter().all(|(_, value)| *value >= 5.0));
        assert_eq!(strokes(&points(), HOUR), 1);
        assert_eq!(spark(&points(), |point| point.response_p95, HOUR, "none"), "", "of nothing there is no line");
        assert_eq!(spark(&points(), |_| 0.0, HOUR, "none"), "");
    }

    #[test]
    fn the_first_minutes_are_a_line_and_not_dots() {
        for uptime in [20, 60, 120, 290] {
            let range = Range::of(uptime, 3600, 5.0);
            let young: Vec<_> = points().into_iter().filter(|point| point.at >= 3600 - uptime).collect();
            assert_eq!((range.to - range.from, strokes(&young, range)), (300, 1), "after {uptime} s");
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
    fn a_range_has_all_of_a_young_hosts_life() {
        let minutes = |uptime| (Range::of(uptime, 1_000_000, 5.0).span()) / 60;
        assert_eq!([minutes(1), minutes(300), minutes(301), minutes(1800), minutes(100_000)], [5, 5, 10, 30, 60]);
    }

    #[test]
    fn whatever_is_said_is_text() {
        let mark = Mark {
            at_seconds: 10,
            text: "<script>alert(1)</script>".into(),
            kind: MarkKind::Crash,
            severity: Severity::Error,
            ..Mark::default()
        };
        let lines = [Line { name: "CPU", value: &|point| point.cpu }];
        let svg = Chart { title: "<b>", unit: "\"%", lines: &lines }.svg(&points(), &[mark], HOUR);
        assert!(!svg.contains("<script>") && !svg.contains("<b>") && svg.contains("&lt;script&gt;"));
        assert!(!svg.contains("style="));
        assert!(svg.contains("−60 min") && svg.contains("−30 min") && svg.contains(">now<"), "{svg}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.25, 3.0, 3.12, 99.99, 1234.5].map(number), ["0", "0.25", "3", "3.1", "100", "1234"]);
    }
}
