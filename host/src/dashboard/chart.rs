//! Charts as SVG, made here: attributes only, because the content policy allows no style. Numbers come from the history, and
//! words are escaped.

use crate::view::{Mark, Point};
use std::fmt::Write;

/// Columns of a chart: an hour of points is rolled up to as many, each showing its greatest value.
const COLUMNS: usize = 120;

/// Columns of a line in the overview, which has four for each plugin.
const SPARK_COLUMNS: usize = 40;

/// Marks drawn on a chart; more would hide the line.
const MOST_MARKS: usize = 60;

/// A line over time in a box of this size.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// In SVG units.
    pub width: f32,
    /// In SVG units.
    pub height: f32,
}

/// Text in SVG or HTML.
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

/// The greatest value of each column; `None` where nothing was measured.
fn columns(count: usize, points: &[Point], value: impl Fn(&Point) -> f32, from: u64, to: u64) -> Vec<Option<f32>> {
    let mut columns = vec![None; count];
    let span = to.saturating_sub(from).max(1);
    for point in points.iter().filter(|point| (from..=to).contains(&point.at)) {
        let value = value(point);
        let at = ((point.at - from) * (count as u64 - 1) / span) as usize;
        if !value.is_nan() {
            columns[at] = Some(columns[at].map_or(value, |before: f32| before.max(value)));
        }
    }
    // Between two measurements the line goes on; rates of a poll are for the time since the one before.
    let (mut last, mut gap) = (None, 0);
    for column in &mut columns {
        match column {
            Some(value) => (last, gap) = (Some(*value), 0),
            None => {
                gap += 1;
                *column = last.filter(|_| gap <= 1);
            }
        }
    }
    columns
}

fn path(columns: &[Option<f32>], most: f32, size: Size) -> String {
    let (mut path, mut pen_down) = (String::new(), false);
    for (at, value) in columns.iter().enumerate() {
        let Some(value) = value else {
            pen_down = false;
            continue;
        };
        let x = at as f32 * size.width / (columns.len() - 1) as f32;
        let y = size.height - value / most * (size.height - 2.0) - 1.0;
        // Writing to a string does not fail.
        let _ = write!(path, "{}{x:.1} {y:.1}", if pen_down { "L" } else { "M" });
        if !pen_down {
            let _ = write!(path, "h0.5");
        }
        pen_down = true;
    }
    path
}

/// A small line without words, for a figure of the overview: `what` over the time, labelled with its greatest value for who
/// cannot see it.
pub fn spark(points: &[Point], value: impl Fn(&Point) -> f32, from: u64, to: u64, what: &str) -> String {
    let size = Size { width: 80.0, height: 20.0 };
    let columns = columns(SPARK_COLUMNS, points, value, from, to);
    let most = columns.iter().flatten().fold(0.0f32, |most, value| most.max(*value));
    let label = format!("{what}: at most {} within the last hour", number(most));
    // A flat line at the bottom is nothing; noise of a thousandth is nothing either.
    let most = most.max(0.001);
    format!(
        "<svg class=\"spark\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" preserveAspectRatio=\"none\">\
         <path class=\"line\" d=\"{}\"/></svg>",
        size.width,
        size.height,
        escape(&label),
        path(&columns, most, size)
    )
}

/// One line of a chart.
pub struct Line<'a> {
    /// What it shows.
    pub name: &'static str,
    /// The value of a point.
    pub value: &'a dyn Fn(&Point) -> f32,
}

/// A chart with its marks, each with its cause as a title.
pub fn chart(
    title: &str,
    unit: &str,
    points: &[Point],
    lines: &[Line<'_>],
    marks: &[Mark],
    from: u64,
    to: u64,
) -> String {
    let size = Size { width: 600.0, height: 120.0 };
    let all: Vec<_> = lines.iter().map(|line| columns(COLUMNS, points, line.value, from, to)).collect();
    let most = all.iter().flatten().flatten().fold(0.0f32, |most, value| most.max(*value));
    let scale = if most > 0.0 { most * 1.1 } else { 1.0 };
    let mut svg = format!(
        "<figure class=\"chart\"><figcaption>{} <span class=\"quiet\">most {} {}</span></figcaption>\
         <svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}: at most {} {} within the last hour\" preserveAspectRatio=\"none\">",
        escape(title),
        number(most),
        escape(unit),
        size.width,
        size.height,
        escape(title),
        number(most),
        escape(unit)
    );
    let span = to.saturating_sub(from).max(1) as f32;
    for mark in marks.iter().rev().filter(|mark| (from..=to).contains(&mark.at_seconds)).take(MOST_MARKS) {
        let x = (mark.at_seconds - from) as f32 / span * size.width;
        let _ = write!(
            svg,
            "<line class=\"mark {}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{}\"><title>{} {}</title></line>",
            escape(mark.severity),
            size.height,
            escape(&mark.at),
            escape(&mark.text)
        );
    }
    for (at, (columns, line)) in all.iter().zip(lines).enumerate() {
        let path = path(columns, scale, size);
        let _ = write!(svg, "<path class=\"line l{at}\" d=\"{path}\"><title>{}</title></path>", escape(line.name));
    }
    svg.push_str("</svg>");
    if lines.len() > 1 {
        let legend: Vec<_> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("<span class=\"key l{at}\">{}</span>", escape(line.name)))
            .collect();
        let _ = write!(svg, "<p class=\"legend\">{}</p>", legend.join(" "));
    }
    svg.push_str("</figure>");
    svg
}

/// Two or three digits that count.
pub fn number(value: f32) -> String {
    match value {
        value if !value.is_finite() => "–".to_owned(),
        value if value >= 100.0 || value == 0.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<Point> {
        (0..720u16)
            .map(|n| Point { at: u64::from(n) * 5, cpu: f32::from(n % 10), response_p95: f32::NAN, ..Point::default() })
            .collect()
    }

    #[test]
    fn an_hour_is_rolled_up_to_its_greatest_values() {
        let columns = columns(COLUMNS, &points(), |point| point.cpu, 0, 3600);
        assert_eq!(columns.len(), COLUMNS);
        assert!(columns.iter().flatten().all(|value| *value >= 5.0));
        assert!(spark(&points(), |point| point.response_p95, 0, 3600, "none").contains("d=\"\""));
    }

    #[test]
    fn whatever_is_said_is_text() {
        let mark =
            Mark { at_seconds: 10, text: "<script>alert(1)</script>".into(), severity: "error", ..Mark::default() };
        let line = Line { name: "CPU", value: &|point| point.cpu };
        let svg = chart("<b>", "\"%", &points(), &[line], &[mark], 0, 3600);
        assert!(!svg.contains("<script>") && !svg.contains("<b>") && svg.contains("&lt;script&gt;"));
        assert!(!svg.contains("style="));
    }

    #[test]
    fn a_gap_is_a_gap() {
        let points = [Point { at: 0, cpu: 1.0, ..Point::default() }, Point { at: 3600, cpu: 1.0, ..Point::default() }];
        let columns = columns(COLUMNS, &points, |point| point.cpu, 0, 3600);
        assert_eq!(columns.iter().flatten().count(), 3);
    }
}
