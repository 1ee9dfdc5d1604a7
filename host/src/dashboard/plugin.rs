//! The page of one plugin: whether it works, and if not, why.

use super::{
    Shared,
    auth::Login,
    cache::Rendered,
    chart::{Chart, Line, Range, Shape},
    headline,
    pages::{self, At},
    words,
};
use crate::{
    journal::Line as LogLine,
    time,
    view::{
        Crash, Detail, Plugin, Point,
        mark::{Mark, Severity},
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use rosey_core::state::PluginState;
use std::{sync::Arc, time::Duration};

/// The history that the page shows.
const HOUR: Duration = Duration::from_secs(3600);

/// Lines of log on the page.
const LINES: usize = 50;

/// Marks below the charts; `/events` has all.
const LISTED: usize = 12;

#[derive(Template)]
#[template(path = "plugin.html")]
struct PluginPage<'a> {
    detail: &'a Detail,
    plugin: &'a Plugin,
    /// The class and the words of its state.
    state: (&'static str, String),
    mood: Severity,
    uptime: String,
    outcomes: String,
    p50: String,
    p95: String,
    store: String,
    starts: Option<String>,
    charts: Vec<String>,
    marks: Vec<(Shape, &'a Mark)>,
    why: Option<String>,
    crashes: Vec<(&'a Crash, Option<String>)>,
    changes: Vec<(&'a crate::view::Change, String)>,
    config: Option<String>,
    lines: Vec<LogLine>,
    can: Can,
    at: At,
}

/// The buttons that make sense in the plugin's state.
struct Can {
    start: bool,
    restart: bool,
    stop: bool,
}

/// `GET /plugin/{name}`.
pub async fn page(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let (board, login) = (shared.metrics.latest(), shared.auth.login(&headers));
    let render = async || {
        let detail = shared.metrics.detail(&name, HOUR).await.ok_or(())?;
        let html = render(&shared, &detail, board.snapshot.bot_uptime, login);
        Ok::<Rendered, ()>(shared.named(pages::HTML, html, board.number, login))
    };
    match shared.cache.get(board.number, format!("{login:?} /plugin/{name}"), render).await {
        Ok(rendered) => rendered.respond(&headers),
        Err(()) => pages::missing(&name, At::of(&Method::GET, &uri, login), &headers),
    }
}

fn render(shared: &Shared, detail: &Detail, uptime: u64, login: Login) -> String {
    let plugin = &detail.plugin;
    let range = Range::of(uptime, words::now(), shared.metrics.poll_interval().as_secs_f32());
    let points = shared.metrics.series(&plugin.name);
    let is_empty = detail.config.as_object().is_none_or(serde_json::Map::is_empty);
    let mut lines = shared.journal.last(&plugin.name, LINES);
    lines.reverse();
    let listed = detail.marks.iter().rev().filter(|mark| mark.at_seconds >= range.from);
    let is_down = matches!(plugin.state, PluginState::Stopped | PluginState::Failed);
    let page = PluginPage {
        state: headline::state(plugin),
        mood: plugin.troubles.first().map_or(Severity::Good, |trouble| trouble.severity),
        uptime: if plugin.pid.is_some() { words::span(plugin.uptime) } else { "–".to_owned() },
        outcomes: words::outcomes(&plugin.outcomes),
        p50: words::response(plugin.response_p50),
        p95: words::response(plugin.response_p95),
        store: words::store(&plugin.store),
        starts: words::failed_starts(plugin),
        charts: charts(&points, &detail.marks, range),
        marks: listed.filter_map(|mark| Some((Shape::of(mark)?, mark))).take(LISTED).collect(),
        why: words::why(&detail.crashes),
        crashes: detail.crashes.iter().map(|crash| (crash, words::guilty(crash))).collect(),
        changes: detail.changes.iter().map(|change| (change, words::versions(change))).collect(),
        config: if is_empty { None } else { serde_json::to_string_pretty(&detail.config).ok() },
        lines,
        can: Can { start: is_down, restart: !is_down, stop: !is_down },
        at: At::new("../", login, &format!("/plugin/{}", plugin.name)),
        plugin,
        detail,
    };
    pages::shown_page(&page)
}

fn charts(points: &[Point], marks: &[Mark], range: Range) -> Vec<String> {
    let bad = |point: &Point| {
        let count: u32 = point.outcomes.iter().skip(2).sum();
        count as f32 / range.poll.max(0.001)
    };
    let chart = |title, unit, lines: &[Line<'_>]| Chart { title, unit, lines }.svg(points, marks, range);
    vec![
        chart("Events", "/s", &[Line { name: "events", value: &|point| point.events_per_second }]),
        chart(
            "Response time",
            "ms",
            &[
                Line { name: "p50", value: &|point| point.response_p50 * 1e3 },
                Line { name: "p95", value: &|point| point.response_p95 * 1e3 },
            ],
        ),
        chart("Failures", "/s", &[Line { name: "failures", value: &bad }]),
        chart(
            "Queue",
            "events",
            &[
                Line { name: "queued", value: &|point| point.queued as f32 },
                Line { name: "in flight", value: &|point| point.in_flight as f32 },
            ],
        ),
        chart("CPU", "% of one core", &[Line { name: "CPU", value: &|point| point.cpu }]),
        chart("Memory", "MiB", &[Line { name: "memory", value: &|point| point.memory }]),
    ]
}

/// One line of the log.
fn line(line: &LogLine) -> String {
    format!("{} {}", words::clock(&time::rfc3339(line.at)), line.text)
}
