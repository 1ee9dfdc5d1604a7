//! The page of one plugin: whether it works, and if not, why.

use super::{
    Shared,
    answer::{self, Notice},
    auth::Login,
    axis::Quantity,
    cache::Rendered,
    chart::{Range, Span, escape},
    favourites, groups,
    groups::{CrashGroup, LetterGroup},
    headline,
    pages::{self, At, query},
    timeline::{Line, Panel, Shape, Timeline},
    uptime, words,
};
use crate::{
    journal::Line as LogLine,
    metrics::History,
    time,
    view::{
        DISABLED, Detail, Plugin, Point, StateSpan,
        mark::{Mark, MarkKind, Severity},
    },
};
use askama::Template;
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::Response,
};
use rosey_core::state::PluginState;
use std::{sync::Arc, time::Duration};

/// The window of the figures on the page.
const HOUR: Duration = Duration::from_secs(3600);

/// Lines of log on the page.
const LINES: usize = 50;

/// Marks in the charts.
const DRAWN: usize = 100;

/// Marks below the charts; `/events` has all.
const LISTED: usize = 4;

/// States on the page; JSON has more.
const STATES: usize = 10;

#[derive(Template)]
#[template(path = "plugin.html")]
struct PluginPage<'a> {
    detail: &'a Detail,
    plugin: &'a Plugin,
    /// The class and the words of its state.
    state: (&'static str, String),
    mood: Severity,
    /// How long it has been in that state.
    lasts: String,
    is_favourite: bool,
    uptime: String,
    outcomes: String,
    p50: String,
    p95: String,
    store: String,
    starts: Option<String>,
    span: Span,
    /// What happened by a button.
    notice: Option<&'a Notice>,
    charts: String,
    marks: Vec<(Shape, &'a Mark)>,
    why: Option<String>,
    crashes: Vec<CrashGroup<'a>>,
    letters: Vec<LetterGroup<'a>>,
    states: &'a [StateSpan],
    /// The sections that have something: the anchor, the title, and how many there are.
    jumps: Vec<Jump>,
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
    enable: bool,
    roll_back: bool,
}

/// What a reader chose, from the URL.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Look {
    range: String,
    /// The number of a notice.
    said: String,
}

/// `GET /plugin/{name}`.
pub async fn page(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    look: Result<Query<Look>, QueryRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let look = look.map_or_else(|_| Look::default(), |Query(look)| look);
    let (board, login) = (shared.metrics.latest(), shared.auth.login(&headers));
    let chosen = Span::of(&look.range);
    let span = chosen.unwrap_or_else(|| Span::usual(board.snapshot.bot_uptime));
    let here = format!("/plugin/{}{}", pages::encoded(&name), query(&[("range", chosen.map_or("", Span::word))]));
    let notice = shared.notices.find(&name, &look.said).filter(|_| login == Login::In);
    let number = if notice.is_some() { look.said.as_str() } else { "" };
    let favourites = favourites::of(&shared, &headers);
    let is_favourite = favourites.contains(&name);
    let reader = format!("{login:?}{}", if is_favourite { "-favourite" } else { "" });
    let render = async || {
        let detail = shared.metrics.detail(&name, HOUR).await.ok_or(())?;
        let reading = Reading { span, notice: notice.as_deref(), is_favourite };
        let html = render(&shared, &detail, &reading, At::new("../", login, &here)).await;
        Ok::<Rendered, ()>(shared.named(pages::HTML, html, board.number, &reader))
    };
    match shared.cache.get(board.number, format!("{reader} {here} {} {number}", span.word()), render).await {
        Ok(rendered) => rendered.respond(&headers),
        // It was unloaded, or could not be loaded.
        Err(()) if let Some(notice) = &notice => {
            answer::problem(StatusCode::OK, &notice.text, &At::new("../", login, "/"), &headers)
        }
        Err(()) => pages::missing(&name, At::of(&Method::GET, &uri, login), &headers),
    }
}

/// What one reader sees.
struct Reading<'a> {
    span: Span,
    notice: Option<&'a Notice>,
    is_favourite: bool,
}

/// A link to a section.
struct Jump {
    to: &'static str,
    title: &'static str,
    count: usize,
}

/// The links to the sections that have something, in the order of the page.
fn jumps(detail: &Detail) -> Vec<Jump> {
    let of = |to, title, count| Jump { to, title, count };
    let all = [
        of("failures", "Failures", detail.failures.len()),
        of("crashes", "Crashes", detail.crashes.len()),
        of("letters", "Dead letters", detail.letters.len()),
        of("timers", "Timers", detail.timers.len()),
        of("changes", "Reloads", detail.changes.len()),
        of("states", "States", detail.states.len()),
        of("generations", "Generations", detail.generations.len()),
        of("sandbox", "Sandbox", detail.plugin.sandbox.len()),
        of("custom", "Its own metrics", detail.custom.len()),
        of("commands", "Commands", detail.commands.len()),
        of("own-settings", "Settings", detail.settings.len()),
    ];
    all.into_iter().filter(|jump| jump.count > 0).collect()
}

async fn render(shared: &Shared, detail: &Detail, reading: &Reading<'_>, at: At) -> String {
    let (plugin, span) = (&detail.plugin, reading.span);
    let length = Duration::from_secs(span.seconds());
    let history = shared.metrics.range(&plugin.name, length).await;
    let served = shared.metrics.served(&[&plugin.name], length, span.parts()).await;
    let served = uptime::bar(served.get(&plugin.name).map_or(&[], Vec::as_slice), span);
    let range = Range::of(span, words::now(), history.step);
    let is_shown = |mark: &Mark| {
        let is_here = mark.plugin.as_deref() == Some(&plugin.name) || mark.kind == MarkKind::Host;
        is_here && range.has(mark.at_seconds)
    };
    let marks = shared.metrics.marks_that(is_shown, DRAWN);
    let is_empty = detail.config.as_object().is_none_or(serde_json::Map::is_empty);
    let mut lines = shared.journal.last(&plugin.name, LINES);
    lines.reverse();
    let is_down = matches!(plugin.state, PluginState::Stopped | PluginState::Failed);
    let is_disabled = is_down && plugin.explanation.as_deref() == Some(DISABLED);
    let timeline = Timeline { span, range, points: &history.points, marks: &marks, served: &served };
    let page = PluginPage {
        state: headline::state(plugin),
        mood: plugin.troubles.first().map_or(Severity::Good, |trouble| trouble.severity),
        lasts: plugin.state_since.as_deref().map(words::lasts).unwrap_or_default(),
        is_favourite: reading.is_favourite,
        uptime: if plugin.pid.is_some() { words::span(plugin.uptime) } else { "–".to_owned() },
        outcomes: words::outcomes(&plugin.outcomes),
        p50: words::response(plugin.response_p50),
        p95: words::response(plugin.response_p95),
        store: words::store(&plugin.store),
        starts: words::failed_starts(plugin),
        span,
        notice: reading.notice,
        charts: charts(&timeline, detail, &history),
        marks: marks.iter().filter_map(|mark| Some((Shape::of(mark)?, mark))).take(LISTED).collect(),
        why: words::why(&detail.crashes),
        crashes: groups::of_crashes(&detail.crashes),
        letters: groups::of_letters(&detail.letters),
        states: detail.states.get(..STATES).unwrap_or(&detail.states),
        jumps: jumps(detail),
        changes: detail.changes.iter().map(|change| (change, words::versions(change))).collect(),
        config: if is_empty { None } else { serde_json::to_string_pretty(&detail.config).ok() },
        lines,
        can: Can {
            start: is_down && !is_disabled,
            restart: !is_down,
            stop: !is_down,
            enable: is_disabled,
            roll_back: !is_disabled && detail.rollback_to.is_some(),
        },
        at,
        plugin,
        detail,
    };
    pages::shown_page(&page)
}

fn charts(timeline: &Timeline<'_>, detail: &Detail, history: &History) -> String {
    let limit = |name: &'static str| {
        let limit = detail.limits.get(name).copied().filter(|limit| *limit > 0.0);
        limit.map(|limit| (name, limit as f32))
    };
    let failed = |point: &Point| {
        let count: u32 = point.outcomes.iter().skip(2).sum();
        count as f32 / history.step_at(point).max(0.001)
    };
    let events =
        [Line { name: "all", value: &|point| point.events_per_second }, Line { name: "failed", value: &failed }];
    let response = [
        Line { name: "p50", value: &|point| point.response_p50 },
        Line { name: "p95", value: &|point| point.response_p95 },
    ];
    let queue = [
        Line { name: "queued", value: &|point| point.queued as f32 },
        Line { name: "in flight", value: &|point| point.in_flight as f32 },
    ];
    let (cpu, memory) =
        ([Line { name: "", value: &|point| point.cpu }], [Line { name: "", value: &|point| point.memory }]);
    let panel = |title, quantity, lines, limit| Panel { title, quantity, lines, limit };
    timeline.html(&[
        panel("Events", Quantity::Rate, &events, None),
        panel("Response time", Quantity::Time, &response, limit("event_deadline")),
        panel("Queue", Quantity::Count, &queue, limit("queue")),
        panel("CPU of one core", Quantity::Percent, &cpu, None),
        panel("Memory", Quantity::Memory, &memory, limit("memory_mb")),
    ])
}

/// One line of the log as HTML.
fn line(line: &LogLine) -> String {
    let at = time::rfc3339(line.at);
    format!("<time datetime=\"{at}\" title=\"{at}\">{} </time>{}", words::clock(&at), escape(&line.text))
}

/// The buttons of one dead letter as HTML.
fn again(plugin: &str, letter: &i64, at: &At) -> String {
    let button = |action: &str, class: &str, words: &str| {
        format!(
            "<button name=\"action\" value=\"{action}\"{class} aria-label=\"{words} dead letter {letter}\">{words}</button>"
        )
    };
    format!(
        "<form method=\"post\" action=\"{}plugin/{}/ask\"><input type=\"hidden\" name=\"letter\" value=\"{letter}\">{} {}</form>",
        at.root,
        pages::encoded(plugin),
        button("replay", "", "Replay"),
        button("discard", " class=\"danger\"", "Discard"),
    )
}
