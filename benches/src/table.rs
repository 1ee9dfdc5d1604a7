//! The Markdown table that a run ends with.

use std::time::Duration;

/// A figure, its limit, and their ratio.
#[derive(Debug)]
pub struct Row {
    /// The name of the figure.
    pub what: String,
    /// The measured value.
    pub figure: String,
    /// The limit, measured in the same run.
    pub limit: String,
    /// Figure against limit, so that 1 is the limit itself.
    pub ratio: f64,
    /// The target of the ratio.
    pub target: String,
}

impl Row {
    /// A time beside the least time.
    pub fn time(what: impl Into<String>, took: Duration, limit: Duration, target: &str) -> Self {
        Self {
            what: what.into(),
            figure: time(took),
            limit: time(limit),
            ratio: took.as_secs_f64() / limit.as_secs_f64(),
            target: target.to_owned(),
        }
    }

    /// A rate beside the greatest rate.
    pub fn rate(what: impl Into<String>, per_second: f64, limit: f64, target: &str) -> Self {
        let shown = |rate: f64| format!("{:.0} k/s", rate / 1e3);
        Self {
            what: what.into(),
            figure: shown(per_second),
            limit: shown(limit),
            ratio: per_second / limit,
            target: target.to_owned(),
        }
    }
}

/// Prints the rows.
pub fn print(rows: &[Row]) {
    println!("\n| what | figure | limit, same run | ratio | target |\n| --- | --- | --- | --- | --- |");
    for row in rows {
        println!("| {} | {} | {} | {:.2} | {} |", row.what, row.figure, row.limit, row.ratio, row.target);
    }
}

/// A time in the unit that suits it.
pub fn time(took: Duration) -> String {
    let micros = took.as_secs_f64() * 1e6;
    if micros < 1000.0 { format!("{micros:.1} µs") } else { format!("{:.2} ms", micros / 1e3) }
}

/// The median of some measurements, or another quantile.
pub fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let at = ((times.len() as f64 - 1.0) * share).round().max(0.0) as usize;
    times.get(at).copied().unwrap_or_default()
}

/// The median of some rates.
pub fn median(rates: &mut [f64]) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
