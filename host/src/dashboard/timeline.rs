//! The charts of one plugin, below each other on one time axis, with what happened in a lane above them. The script adds a
//! line that follows the pointer, with the values of its time.

use super::{
    axis::{Axis, Quantity},
    chart::{self, BOX, Column, Range, Span, escape},
    uptime::Bar,
    words,
};
use crate::{
    time,
    view::{
        Point,
        mark::{Mark, MarkKind, Severity},
    },
};
use std::{
    fmt::Write,
    time::{Duration, UNIX_EPOCH},
};

/// Columns of a chart: each has its greatest value. The script knows the number from the page.
const COLUMNS: usize = 160;

/// Marks in the lane. More would hide each other.
const MOST_MARKS: usize = 60;

/// The height of a chart in pixels, and the place of its highest tick.
const HEIGHT: f32 = 72.0;
const TOP: f32 = 8.0;

/// One line of a chart.
pub struct Line<'a> {
    /// The name of the line.
    pub name: &'static str,
    /// The value of a point.
    pub value: &'a dyn Fn(&Point) -> f32,
}

/// One chart.
pub struct Panel<'a> {
    /// What it is about.
    pub title: &'static str,
    /// What it measures.
    pub quantity: Quantity,
    /// The lines, in the order of the legend.
    pub lines: &'a [Line<'a>],
    /// The limit in force, if there is one: its name in the configuration, and its value.
    pub limit: Option<(&'static str, f32)>,
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
    /// The host started, stopped or stood still.
    Square,
}

impl Shape {
    /// The shape of a mark; `None` for marks that matter beside no figure.
    pub fn of(mark: &Mark) -> Option<Self> {
        match (mark.kind, mark.severity) {
            (MarkKind::Crash | MarkKind::Failed | MarkKind::Health, Severity::Error) => Some(Self::Triangle),
            (MarkKind::Rollback, _) => Some(Self::Diamond),
            (MarkKind::Reload | MarkKind::Restart, Severity::Info) => Some(Self::Circle),
            (MarkKind::Host, _) => Some(Self::Square),
            _ => None,
        }
    }

    /// The shape as SVG, around its own origin.
    fn svg(self) -> &'static str {
        match self {
            Self::Triangle => "<path d=\"M0-6L6 5H-6Z\"/>",
            Self::Diamond => "<path d=\"M0-7L6 0L0 7L-6 0Z\"/>",
            Self::Circle => "<circle r=\"4.5\"/>",
            Self::Square => "<path d=\"M-4-4H4V4H-4Z\"/>",
        }
    }

    /// The name of its class.
    fn name(self) -> &'static str {
        match self {
            Self::Triangle => "crash",
            Self::Diamond => "rollback",
            Self::Circle => "reload",
            Self::Square => "host",
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
        let one = |(shape, word): (Self, &str)| format!("<span>{} {word}</span>", shape.icon());
        let all = [
            (Self::Triangle, "crash"),
            (Self::Diamond, "rollback"),
            (Self::Circle, "reload or restart"),
            (Self::Square, "Rosey started, stopped or stood still"),
        ];
        all.map(one).join(" ")
    }
}

/// Charts of the same time.
pub struct Timeline<'a> {
    /// What the reader chose.
    pub span: Span,
    /// From when to when.
    pub range: Range,
    /// What was measured.
    pub points: &'a [Point],
    /// What happened, the newest first.
    pub marks: &'a [Mark],
    /// When the plugin served.
    pub served: &'a Bar,
}

impl Timeline<'_> {
    /// The charts as HTML.
    pub fn html(&self, panels: &[Panel<'_>]) -> String {
        let Range { from, to, .. } = self.range;
        let mut html = format!(
            "<div id=\"timeline\" class=\"timeline\" tabindex=\"0\" role=\"group\" aria-label=\"Charts of the last {}; \
             arrow keys move through them\" data-from=\"{from}\" data-to=\"{to}\" data-columns=\"{COLUMNS}\">",
            self.span.text()
        );
        let drawn: Vec<(&Mark, Shape)> = self
            .marks
            .iter()
            .filter(|mark| self.range.has(mark.at_seconds))
            .filter_map(|mark| Some((mark, Shape::of(mark)?)))
            .take(MOST_MARKS)
            .collect();
        self.write_lane(&mut html, &drawn);
        self.write_served(&mut html);
        for panel in panels {
            self.write_panel(&mut html, panel, &drawn);
        }
        self.write_times(&mut html);
        html.push_str("</div>");
        html
    }

    /// The place of a time, in percent of the width.
    fn place(&self, at: u64) -> f32 {
        self.range.share(at) * 100.0
    }

    fn write_lane(&self, html: &mut String, drawn: &[(&Mark, Shape)]) {
        html.push_str("<div class=\"lane\"><svg class=\"plot\">");
        for (mark, shape) in drawn {
            let (x, text) = (self.place(mark.at_seconds), escape(&mark.text));
            // Writing to a string does not fail.
            let _ = write!(
                html,
                "<svg id=\"at-{}\" class=\"mark {}\" x=\"{x:.2}%\" y=\"11\" overflow=\"visible\" tabindex=\"0\" role=\"img\" \
                 aria-label=\"{text}\" data-at=\"{}\"><title>{} UTC: {text}</title>{}</svg>",
                mark.number,
                shape.name(),
                mark.at_seconds,
                words::clock(&mark.at),
                shape.svg()
            );
        }
        html.push_str("</svg><p class=\"tip\" id=\"tip\"></p></div>");
    }

    fn write_served(&self, html: &mut String) {
        let Bar { svg, share, text, class } = self.served;
        // Writing to a string does not fail.
        let _ = write!(
            html,
            "<div id=\"served\" class=\"panel served {class}\"><p><b>Served</b> <b class=\"share\">{share}</b> \
             <span>{}</span></p>{svg}</div>",
            escape(text)
        );
    }

    fn write_panel(&self, html: &mut String, panel: &Panel<'_>, drawn: &[(&Mark, Shape)]) {
        let lines: Vec<Vec<Column>> =
            panel.lines.iter().map(|line| chart::columns(COLUMNS, self.points, line.value, self.range)).collect();
        let most = lines.iter().map(|columns| chart::greatest(columns)).fold(0.0f32, f32::max);
        let axis = Axis::of(panel.quantity, most, panel.limit.map(|(_, limit)| limit));
        let y = |value: f32| HEIGHT - value / axis.top * (HEIGHT - TOP);
        let _ = write!(html, "<div class=\"panel\" data-unit=\"{}\"><p><b>{}</b>", axis.unit, escape(panel.title));
        for (at, (line, columns)) in panel.lines.iter().zip(&lines).enumerate() {
            let newest = columns.last().map_or("–".to_owned(), |last| axis.text(last.value));
            let _ = write!(
                html,
                " <span class=\"key l{at}{}\">{} <b data-values=\"{}\">{}</b></span>",
                bad(line),
                escape(line.name),
                values(columns, axis.factor),
                newest
            );
        }
        if let Some((name, limit)) = panel.limit {
            let _ = write!(html, " <span class=\"limit\">{} {}</span>", escape(name), panel.quantity.text(limit));
        }
        html.push_str("</p><svg class=\"y\" aria-hidden=\"true\">");
        for (value, text) in &axis.ticks {
            let _ = write!(html, "<text x=\"100%\" y=\"{:.1}\">{text}</text>", y(*value) + 4.0);
        }
        let _ = write!(
            html,
            "</svg><svg class=\"plot\" role=\"img\" aria-label=\"{}: {}\">",
            escape(panel.title),
            described(panel, &lines)
        );
        for (value, _) in &axis.ticks {
            let y = y(*value);
            let _ = write!(html, "<line class=\"grid\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        }
        for (mark, shape) in drawn {
            let x = self.place(mark.at_seconds);
            let _ = write!(
                html,
                "<line class=\"mark {}\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"{HEIGHT}\"/>",
                shape.name()
            );
        }
        if let Some((_, limit)) = panel.limit.filter(|(_, limit)| *limit <= axis.top) {
            let y = y(limit);
            let _ = write!(html, "<line class=\"limit\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        }
        let height = HEIGHT - TOP;
        let _ = write!(
            html,
            "<svg y=\"{TOP}\" width=\"100%\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
             preserveAspectRatio=\"none\">",
            BOX.0, BOX.1
        );
        for (at, columns) in lines.iter().enumerate() {
            let path = chart::path(columns, COLUMNS, axis.top, BOX, self.range);
            let _ = write!(html, "<path class=\"line l{at}{}\" d=\"{path}\"/>", bad(&panel.lines[at]));
        }
        html.push_str("</svg><line class=\"cross\" y2=\"100%\"/></svg></div>");
    }

    /// The times below the charts: round ones, in UTC. The script writes them in the time zone of the browser.
    fn write_times(&self, html: &mut String) {
        html.push_str("<div class=\"times\"><span class=\"zone\" data-zone=\"short\">UTC</span><svg class=\"plot\">");
        let between = self.span.between_times();
        let mut at = self.range.from.div_ceil(between) * between;
        while at <= self.range.to {
            let place = self.place(at);
            // At the edges there is no room for half a time.
            if (3.0..97.0).contains(&place) {
                let when = time::rfc3339(UNIX_EPOCH + Duration::from_secs(at));
                let text = if self.span == Span::Week { when.get(5..10) } else { when.get(11..16) };
                let _ = write!(
                    html,
                    "<text x=\"{place:.2}%\" y=\"12\" data-at=\"{at}\">{}</text>",
                    text.unwrap_or_default()
                );
            }
            at += between;
        }
        html.push_str("<text id=\"cross\" y=\"12\"></text></svg></div>");
    }
}

/// The further class of a line that shows failures.
fn bad(line: &Line<'_>) -> &'static str {
    if line.name == "failed" { " bad" } else { "" }
}

/// The values of all columns in the unit of the axis, for the script: `1.2,,3`.
fn values(columns: &[Column], factor: f32) -> String {
    let mut text = String::new();
    let mut next = 0;
    for column in columns {
        while next <= column.place {
            if next > 0 {
                text.push(',');
            }
            next += 1;
        }
        let value = column.value * factor;
        let _ = match value {
            value if value >= 100.0 || value.fract() == 0.0 => write!(text, "{value:.0}"),
            value if value >= 1.0 => write!(text, "{value:.1}"),
            value => write!(text, "{value:.2}"),
        };
    }
    text
}

/// A chart in words: the greatest value of each line.
fn described(panel: &Panel<'_>, lines: &[Vec<Column>]) -> String {
    let one = |(line, columns): (&Line<'_>, &Vec<Column>)| {
        format!("{} at most {}", escape(line.name), panel.quantity.text(chart::greatest(columns)))
    };
    panel.lines.iter().zip(lines).map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(points: &[Point], mark: Mark, limit: Option<(&'static str, f32)>) -> String {
        let lines = [Line { name: "CPU", value: &|point| point.cpu }];
        let panel = Panel { title: "<b>", quantity: Quantity::Percent, lines: &lines, limit };
        let range = Range { from: 7200, to: 10_800, poll: 5.0 };
        let served = Bar { share: "98.9 %".into(), ..Bar::default() };
        Timeline { span: Span::Hour, range, points, marks: &[mark], served: &served }.html(&[panel])
    }

    fn mark(text: &str) -> Mark {
        Mark {
            at_seconds: 9000,
            at: "1970-01-01T02:30:00.000Z".into(),
            text: text.into(),
            kind: MarkKind::Crash,
            severity: Severity::Error,
            ..Mark::default()
        }
    }

    #[test]
    fn whatever_is_said_is_text() {
        let html = html(&[], mark("<script>alert(1)</script>"), None);
        assert!(!html.contains("<script>") && !html.contains("<b><b>") && html.contains("&lt;script&gt;"));
        assert!(!html.contains("style="));
    }

    #[test]
    fn charts_share_one_axis_with_clock_times_and_marks_tell_their_cause() {
        let point = Point { at: 9000, cpu: 80.0, ..Point::default() };
        let html = html(&[point], mark("exit status 3"), Some(("limit", 90.0)));
        assert!(html.contains(">02:30</text>") && html.contains(">02:10</text>"), "{html}");
        assert!(html.contains("<title>02:30:00 UTC: exit status 3</title>") && html.contains("tabindex=\"0\""));
        assert!(html.contains(">100 %</text>") && html.contains("class=\"limit\" x2"), "{html}");
        assert!(html.contains("<b data-values=\",,,"), "{html}");
        assert_eq!(html.matches("class=\"times\"").count(), 1);
        assert!(html.contains("<b class=\"share\">98.9 %</b>") && html.contains(">UTC</span>"), "{html}");
    }

    #[test]
    fn values_keep_their_columns() {
        let column = |place, value| Column { place, at: 0, value };
        assert_eq!(values(&[column(0, 1.25), column(2, 0.5), column(3, 200.4)], 1.0), "1.2,,0.50,200");
        assert_eq!(values(&[column(2, 3.0)], 1.0), ",,3");
    }
}
