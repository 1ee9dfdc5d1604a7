//! The bars that show when a plugin served. Pure.

use super::{chart::Span, words};
use crate::metrics::Served;
use std::fmt::Write;

/// Seconds without service in one part of a bar that do not matter: a start, a restart.
const NOTICED: f64 = 1.0;

/// The height of a bar in its own units.
const HEIGHT: usize = 8;

/// A bar, and what it says in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bar {
    /// The bar as SVG.
    pub svg: String,
    /// `99.2 %`; a dash when nothing is known.
    pub share: String,
    /// The same with the range, and how long the plugin was down.
    pub text: String,
    /// How bad it is; empty if it is not.
    pub class: &'static str,
}

impl Span {
    /// The parts of a bar of this range: each stands for one point of the history or for a few.
    pub fn parts(self) -> usize {
        match self {
            Self::Quarter => 15,
            Self::Hour => 60,
            Self::SixHours => 120,
            Self::Day => 96,
            Self::Week => 84,
        }
    }
}

/// The sums of all parts.
pub fn sum(parts: &[Served]) -> Served {
    parts.iter().fold(Served::default(), |mut sum, part| {
        sum.add(*part);
        sum
    })
}

/// A share in percent that says 100 only if it is all.
pub fn percent(served: Served) -> String {
    if served.seconds <= 0.0 {
        return "–".to_owned();
    }
    let share = (1.0 - served.down / served.seconds).clamp(0.0, 1.0) * 100.0;
    match share {
        share if served.down < NOTICED || share >= 99.995 => "100 %".to_owned(),
        share if share > 99.0 => format!("{:.2} %", share.min(99.99)),
        share if share > 10.0 => format!("{share:.1} %"),
        share => format!("{share:.0} %"),
    }
}

/// How well a part was served: its class and the height of its bar.
fn grade(part: &Served) -> Option<(&'static str, usize)> {
    match part {
        part if part.seconds <= 0.0 => None,
        part if part.down < NOTICED => Some(("ok", HEIGHT)),
        part if part.down < part.seconds / 2.0 => Some(("some", 5)),
        _ => Some(("down", 3)),
    }
}

/// Runs of equal parts: where each begins, its number of parts, and its grade.
fn runs(parts: &[Served]) -> Vec<(usize, usize, &'static str, usize)> {
    let mut runs: Vec<(usize, usize, &'static str, usize)> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let Some((class, height)) = grade(part) else { continue };
        match runs.last_mut() {
            Some((from, count, last, _)) if *from + *count == at && *last == class => *count += 1,
            _ => runs.push((at, 1, class, height)),
        }
    }
    runs
}

/// The bar of these parts of a range.
pub fn bar(parts: &[Served], span: Span) -> Bar {
    let whole = sum(parts);
    let share = percent(whole);
    let text = match whole {
        whole if whole.seconds <= 0.0 => format!("Nothing is known of the last {}.", span.text()),
        whole if whole.down < NOTICED => format!("It served all of the last {}{}.", span.text(), known(whole, span)),
        whole => format!(
            "It served {share} of the last {}{}; it did not for {}.",
            span.text(),
            known(whole, span),
            words::span(whole.down.round() as u64)
        ),
    };
    let mut svg = format!(
        "<svg class=\"bar\" viewBox=\"0 0 {} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        parts.len()
    );
    for (from, count, class, height) in runs(parts) {
        // Writing to a string does not fail.
        let _ = write!(svg, "<path class=\"{class}\" d=\"M{from} {HEIGHT}v-{height}h{count}v{height}z\"/>");
    }
    svg.push_str("</svg>");
    let class = match whole {
        whole if whole.down < NOTICED => "",
        whole if whole.down > whole.seconds / 20.0 => "error",
        _ => "warning",
    };
    Bar { svg, share, text, class }
}

/// What of the range is known, if that is not nearly all of it.
fn known(whole: Served, span: Span) -> String {
    if whole.seconds * 10.0 >= span.seconds() as f64 * 9.0 {
        return String::new();
    }
    format!(", of which Rosey ran {}", words::span(whole.seconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(seconds: f64, down: f64) -> Served {
        Served { seconds, down }
    }

    #[test]
    fn a_share_is_100_only_if_it_is_all() {
        let all = [part(0.0, 0.0), part(3600.0, 0.4), part(86_400.0, 2.0), part(3600.0, 40.0), part(60.0, 57.0)];
        assert_eq!(all.map(percent), ["–", "100 %", "100 %", "98.9 %", "5 %"]);
        assert_eq!(percent(part(3600.0, 2.0)), "99.94 %");
    }

    #[test]
    fn equal_parts_are_one_shape_and_a_gap_is_a_gap() {
        let parts = [part(60.0, 0.0), part(60.0, 0.0), part(0.0, 0.0), part(60.0, 10.0), part(60.0, 60.0)];
        assert_eq!(runs(&parts), [(0, 2, "ok", 8), (3, 1, "some", 5), (4, 1, "down", 3)]);
        let bar = bar(&parts, Span::Hour);
        assert_eq!((bar.share.as_str(), bar.class), ("70.8 %", "error"));
        let text = "It served 70.8 % of the last 1 h, of which Rosey ran 4 m 0 s; it did not for 1 m 10 s.";
        assert_eq!(bar.text, text);
        assert_eq!(bar.svg.matches("<path").count(), 3);
        assert_eq!(super::bar(&[], Span::Day).text, "Nothing is known of the last 24 h.");
    }
}
