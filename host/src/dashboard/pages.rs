//! What people read: the overview, one plugin, and what happened. Status first, in words; what is bad comes first.

use super::{
    Shared,
    auth::Login,
    chart::{self, Line},
};
use crate::{
    time,
    view::{Change, Crash, Detail, Letter, Mark, Plugin, Point, Snapshot},
};
use askama::Template;
use axum::{
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");

/// How far back charts go.
const HOUR: u64 = 3600;

/// Lines of log on the page of a plugin.
const LINES: usize = 50;

/// Lines of the list of events on one page.
const LISTED: usize = 200;

/// How the overview is looked at, from the URL. What makes no sense is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Look {
    show: String,
    sort: String,
    plugin: String,
}

type Asked = Result<Query<Look>, QueryRejection>;

/// A page as it was rendered for one board.
#[derive(Debug, Clone)]
struct Rendered {
    board: u64,
    html: Bytes,
    gzip: Bytes,
}

/// The overview as most people look at it, rendered once a board and shared.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Option<Rendered>>);

/// The overview.
pub async fn overview(State(shared): State<Arc<Shared>>, look: Asked, headers: HeaderMap) -> Response {
    let look = look.map_or_else(|_| Look::default(), |Query(look)| look);
    let board = shared.metrics.latest();
    let tag = format!("W/\"{}-{}\"", std::process::id(), board.number);
    let login = shared.auth.login(&headers);
    // What all who are not logged in see is the same.
    let is_plain = look == Look::default() && login != Login::In;
    if is_plain && headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let known = shared.overview.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let rendered = match known.filter(|known| is_plain && known.board == board.number) {
        Some(rendered) => rendered,
        None => {
            let rendered = Rendered::new(board.number, render_overview(&shared, &board.snapshot, &look, login));
            if is_plain {
                *shared.overview.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rendered.clone());
            }
            rendered
        }
    };
    let mut response = rendered.respond(&headers);
    if let (true, Ok(tag)) = (is_plain, tag.parse()) {
        response.headers_mut().insert(header::ETAG, tag);
        response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    }
    response
}

impl Rendered {
    fn new(board: u64, html: String) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail.
        let _ = gzip.write_all(html.as_bytes());
        Self { board, gzip: gzip.finish().unwrap_or_default().into(), html: html.into() }
    }

    fn respond(self, headers: &HeaderMap) -> Response {
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, HTML), (header::VARY, "accept-encoding")];
        match accepted.split(',').any(|one| one.trim().split(';').next() == Some("gzip")) {
            true => (kind, [(header::CONTENT_ENCODING, "gzip")], self.gzip).into_response(),
            false => (kind, self.html).into_response(),
        }
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    headline: String,
    mood: &'static str,
    snapshot: &'a Snapshot,
    uptime: String,
    memory: String,
    outcomes: String,
    connectors: String,
    rows: Vec<Row<'a>>,
    look: &'a Look,
    login: Login,
}

struct Row<'a> {
    plugin: &'a Plugin,
    uptime: String,
    rate: String,
    p95: String,
    sparks: Sparks,
    why: Option<String>,
}

/// An hour of each figure.
struct Sparks {
    cpu: String,
    memory: String,
    rate: String,
    p95: String,
}

fn render_overview(shared: &Shared, snapshot: &Snapshot, look: &Look, login: Login) -> String {
    let (from, to) = last_hour(snapshot.bot_uptime);
    let mut plugins: Vec<&Plugin> =
        snapshot.plugins.iter().filter(|plugin| look.show != "bad" || severity(plugin) < 3).collect();
    match look.sort.as_str() {
        "name" => plugins.sort_by(|a, b| a.name.cmp(&b.name)),
        "events" => plugins.sort_by_key(|plugin| std::cmp::Reverse(plugin.event_count)),
        "crashes" => plugins.sort_by_key(|plugin| std::cmp::Reverse(plugin.crash_count)),
        "memory" => plugins.sort_by_key(|plugin| std::cmp::Reverse(plugin.memory_bytes)),
        "cpu" => plugins.sort_by(|a, b| b.cpu_percent.total_cmp(&a.cpu_percent)),
        _ => plugins.sort_by_key(|plugin| severity(plugin)),
    }
    let series = plugins.iter().map(|plugin| shared.metrics.series(&plugin.name));
    let rows: Vec<_> = plugins.iter().zip(series).map(|(plugin, points)| row(plugin, &points, from, to)).collect();
    let (headline, mood) = headline(snapshot);
    let page = Overview {
        headline,
        mood,
        snapshot,
        uptime: span(snapshot.bot_uptime),
        memory: format!("{:.1} MB", snapshot.system.memory_bytes as f64 / 1e6),
        outcomes: outcomes(&snapshot.system.outcomes),
        connectors: list(snapshot.system.connectors.iter().map(|(name, state)| format!("{name} {state}")).collect()),
        rows,
        look,
        login,
    };
    shown(&page)
}

fn row<'a>(plugin: &'a Plugin, points: &[Point], from: u64, to: u64) -> Row<'a> {
    let spark = |what: &str, value: fn(&Point) -> f32| chart::spark(points, value, from, to, what);
    let why = plugin.explanation.clone().filter(|_| severity(plugin) < 3 || plugin.state == "reloading");
    let last = plugin.last_crash.as_ref().map(|crash| format!("last crash: {}", crash.cause));
    Row {
        uptime: if plugin.pid.is_some() { span(plugin.uptime) } else { "–".to_owned() },
        rate: chart::number(plugin.events_per_second as f32),
        p95: plugin.response_p95.map_or("–".to_owned(), response),
        sparks: Sparks {
            cpu: spark("CPU in percent", |point| point.cpu),
            memory: spark("memory in MB", |point| point.memory),
            rate: spark("events a second", |point| point.events_per_second),
            p95: spark("response time in milliseconds", |point| point.response_p95 * 1e3),
        },
        why: why.or(last),
        plugin,
    }
}

/// What is worst is least.
fn severity(plugin: &Plugin) -> u8 {
    match plugin.state {
        "failed" => 0,
        "crashed" | "unhealthy" => 1,
        "starting" | "stopped" => 2,
        _ if plugin.crash_count > 0 || plugin.dead_letters > 0 => 3,
        _ => 4,
    }
}

/// Whether all is well, in words, and the colour to say it in.
fn headline(snapshot: &Snapshot) -> (String, &'static str) {
    let named = |states: &[&str]| -> Vec<&str> {
        let of_them = snapshot.plugins.iter().filter(|plugin| states.contains(&plugin.state));
        of_them.map(|plugin| plugin.name.as_str()).collect()
    };
    let bad = named(&["failed", "crashed", "unhealthy"]);
    let (starting, stopped) = (named(&["starting"]), named(&["stopped"]));
    let crashes: u64 = snapshot.plugins.iter().map(|plugin| plugin.crash_count).sum();
    let some = |names: &[&str]| match names {
        [one] => (*one).to_owned(),
        [first, rest @ ..] if rest.len() > 3 => format!("{first} and {} others", rest.len()),
        names => names.join(", "),
    };
    if snapshot.timestamp.is_empty() {
        return ("Starting.".to_owned(), "warning");
    }
    if snapshot.plugins.is_empty() {
        return ("No plugins are configured.".to_owned(), "warning");
    }
    if !bad.is_empty() {
        let verb = if bad.len() == 1 { "is" } else { "are" };
        return (format!("{} of {} plugins {verb} down: {}.", bad.len(), snapshot.plugins.len(), some(&bad)), "error");
    }
    if !starting.is_empty() {
        return (format!("{} starting.", some(&starting)), "warning");
    }
    if !stopped.is_empty() {
        return (format!("All is well, but {} was stopped.", some(&stopped)), "warning");
    }
    match crashes {
        0 => ("All is well.".to_owned(), "good"),
        1 => ("All is well now; there was 1 crash since the start.".to_owned(), "good"),
        crashes => (format!("All is well now; there were {crashes} crashes since the start."), "good"),
    }
}

#[derive(Template)]
#[template(path = "plugin.html")]
struct PluginPage<'a> {
    detail: &'a Detail,
    plugin: &'a Plugin,
    mood: &'static str,
    uptime: String,
    outcomes: String,
    p50: String,
    p95: String,
    charts: Vec<String>,
    crashes: &'a [Crash],
    letters: &'a [Letter],
    changes: &'a [Change],
    config: String,
    lines: Vec<String>,
    login: Login,
}

/// One plugin.
pub async fn plugin(State(shared): State<Arc<Shared>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let login = shared.auth.login(&headers);
    let Some(detail) = shared.metrics.detail(&name).await else {
        return page(StatusCode::NOT_FOUND, &Missing { name: &name, login }, &headers);
    };
    let uptime = shared.metrics.latest().snapshot.bot_uptime;
    let (points, (from, to)) = (shared.metrics.series(&name), last_hour(uptime));
    let chart = |title, unit, lines: &[Line<'_>]| chart::chart(title, unit, &points, lines, &detail.marks, from, to);
    let charts = vec![
        chart("Events a second", "/s", &[Line { name: "events", value: &|point| point.events_per_second }]),
        chart(
            "Response time",
            "ms",
            &[
                Line { name: "p50", value: &|point| point.response_p50 * 1e3 },
                Line { name: "p95", value: &|point| point.response_p95 * 1e3 },
            ],
        ),
        chart("CPU", "% of one core", &[Line { name: "CPU", value: &|point| point.cpu }]),
        chart("Memory", "MB", &[Line { name: "memory", value: &|point| point.memory }]),
    ];
    let plugin = &detail.plugin;
    let page = PluginPage {
        mood: match severity(plugin) {
            0 | 1 => "error",
            2 => "warning",
            _ => "good",
        },
        uptime: span(plugin.uptime),
        outcomes: outcomes(&plugin.outcomes),
        p50: plugin.response_p50.map_or("–".to_owned(), response),
        p95: plugin.response_p95.map_or("–".to_owned(), response),
        charts,
        crashes: &detail.crashes,
        letters: &detail.letters,
        changes: &detail.changes,
        config: serde_json::to_string_pretty(&detail.config).unwrap_or_default(),
        lines: lines(&shared, &name),
        login,
        plugin,
        detail: &detail,
    };
    self::page(StatusCode::OK, &page, &headers)
}

#[derive(Template)]
#[template(path = "missing.html")]
struct Missing<'a> {
    name: &'a str,
    login: Login,
}

#[derive(Template)]
#[template(path = "events.html")]
struct Events<'a> {
    marks: Vec<Mark>,
    plugin: &'a str,
    login: Login,
}

/// What happened, the newest first.
pub async fn events(State(shared): State<Arc<Shared>>, look: Asked, headers: HeaderMap) -> Response {
    let look = look.map_or_else(|_| Look::default(), |Query(look)| look);
    let wanted = Some(look.plugin.as_str()).filter(|plugin| !plugin.is_empty());
    let (marks, login) = (shared.metrics.marks(wanted, LISTED), shared.auth.login(&headers));
    page(StatusCode::OK, &Events { marks, plugin: &look.plugin, login }, &headers)
}

/// The style sheet.
pub async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// The script.
pub async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

fn asset(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=60")], body).into_response()
}

/// The last lines about a plugin, with their times.
fn lines(shared: &Shared, plugin: &str) -> Vec<String> {
    let lines = shared.journal.last(plugin, LINES);
    lines.into_iter().map(|line| format!("{} {}", time::rfc3339(line.at), line.text)).collect()
}

/// A page that is rendered for this request alone.
pub fn page(status: StatusCode, page: &impl Template, headers: &HeaderMap) -> Response {
    let mut response = Rendered::new(0, shown(page)).respond(headers);
    *response.status_mut() = status;
    response
}

fn shown(page: &impl Template) -> String {
    // A template fails only when a value cannot be written, and ours are texts and numbers.
    page.render().unwrap_or_else(|error| {
        let mut text = String::new();
        let _ = write!(text, "This page cannot be shown: {error}");
        text
    })
}

fn list(parts: Vec<String>) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn outcomes(counts: &BTreeMap<&'static str, u64>) -> String {
    let counted = counts.iter().filter(|(_, count)| **count > 0);
    list(counted.map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect())
}

fn response(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

fn span(seconds: u64) -> String {
    time::span(Duration::from_secs(seconds))
}

/// What charts show: the last hour, or less while the host is younger.
fn last_hour(uptime: u64) -> (u64, u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    (now.saturating_sub(uptime.clamp(60, HOUR)), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(states: &[&'static str]) -> Snapshot {
        let plugin = |(n, state): (usize, &&'static str)| Plugin { name: format!("p{n}"), state, ..Plugin::default() };
        let plugins = states.iter().enumerate().map(plugin).collect();
        Snapshot { timestamp: "2026-01-01T00:00:00.000Z".into(), plugins, ..Snapshot::default() }
    }

    #[test]
    fn the_headline_says_whether_all_is_well() {
        let said = |states: &[&'static str]| headline(&snapshot(states));
        assert_eq!(said(&["running", "running"]), ("All is well.".into(), "good"));
        assert_eq!(said(&["running", "failed"]), ("1 of 2 plugins is down: p1.".into(), "error"));
        assert_eq!(said(&["crashed"; 9]), ("9 of 9 plugins are down: p0 and 8 others.".into(), "error"));
        assert_eq!(said(&["running", "stopped"]).1, "warning");
        assert_eq!(said(&[]).0, "No plugins are configured.");
        assert_eq!(headline(&Snapshot::default()).0, "Starting.");
    }

    #[test]
    fn assets_are_small() {
        assert!(STYLE.len() + SCRIPT.len() < 12_000);
    }
}
