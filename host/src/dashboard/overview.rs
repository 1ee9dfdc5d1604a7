//! The overview: whether all is well, the totals, and a row for each plugin, the worst first.

use super::{
    Shared,
    auth::Login,
    axis::{Quantity, number},
    chart::{self, Range, Span},
    favourites,
    headline::{self, Headline},
    pages::{At, HTML, query, shown_page},
    uptime::{self, Bar},
    words,
};
use crate::{
    metrics::Served,
    view::{Plugin, Point, Snapshot, mebibytes, trouble},
};
use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::Response,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

/// Parts of a bar in the list: it is small.
const PARTS: usize = 42;

/// The time that the lines beside the totals show.
const HOUR: Duration = Duration::from_secs(3600);

/// The ranges of the bars, the usual one first.
const SPANS: [Span; 3] = [Span::Hour, Span::Day, Span::Week];

/// The sort orders of the overview: the word in the URL, and the title.
const SORTS: [(&str, &str); 10] = [
    ("name", "Plugin"),
    ("state", "State"),
    ("up", "Served"),
    ("events", "Events"),
    ("rate", "Events/s"),
    ("failed", "Failed"),
    ("p95", "p95"),
    ("cpu", "CPU"),
    ("memory", "Memory"),
    ("crashes", "Crashes"),
];

/// The filter and order of the list, from the URL. An invalid value means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Look {
    show: String,
    sort: String,
    range: String,
    q: String,
}

type Asked = Result<Query<Look>, QueryRejection>;

impl Look {
    fn of(asked: Asked) -> Self {
        let mut look = asked.map_or_else(|_| Self::default(), |Query(look)| look);
        if look.show != "bad" {
            look.show.clear();
        }
        if look.sort == "state" || !SORTS.iter().any(|(word, _)| *word == look.sort) {
            look.sort.clear();
        }
        if !SPANS.iter().any(|span| span.word() == look.range) || look.range == SPANS[0].word() {
            look.range.clear();
        }
        look.q = look.q.trim().to_lowercase();
        look
    }

    /// The link to the overview with one of these changed.
    fn link(&self, show: &str, sort: &str, range: &str) -> String {
        let sort = if sort == "state" { "" } else { sort };
        let range = if range == SPANS[0].word() { "" } else { range };
        format!("./{}", query(&[("show", show), ("sort", sort), ("range", range), ("q", &self.q)]))
    }

    /// The link to what is looked at.
    fn here(&self) -> String {
        self.link(&self.show, &self.sort, &self.range)
    }

    /// The range of the bars.
    fn span(&self) -> Span {
        Span::of(&self.range).unwrap_or(SPANS[0])
    }

    fn sorted_by(&self) -> &str {
        if self.sort.is_empty() { "state" } else { &self.sort }
    }
}

/// `GET /`: the verdict, and a row for each plugin.
pub async fn page(State(shared): State<Arc<Shared>>, look: Asked, headers: HeaderMap) -> Response {
    let look = Look::of(look);
    let (board, login) = (shared.metrics.latest(), shared.auth.login(&headers));
    let favourites = favourites::of(&shared, &headers);
    let reader = favourites::tag(&favourites, login);
    let name = format!("{reader} {}", look.here());
    let render = async || {
        let host = shared.metrics.range_of_host(HOUR).await.points;
        let names: Vec<&str> = board.snapshot.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        let span = look.span();
        let served = shared.metrics.served(&names, Duration::from_secs(span.seconds()), span.parts().min(PARTS)).await;
        let seen = Seen { host: &host, served: &served, favourites: &favourites };
        let html = render_overview(&shared, &board.snapshot, &seen, &look, login);
        Ok::<_, Infallible>(shared.named(HTML, html, board.number, &reader))
    };
    let Ok(rendered) = shared.cache.get(board.number, name, render).await;
    rendered.respond(&headers)
}

/// What the list shows besides the read model.
struct Seen<'a> {
    host: &'a [Point],
    served: &'a HashMap<String, Vec<Served>>,
    favourites: &'a BTreeSet<String>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    snapshot: &'a Snapshot,
    headline: Headline,
    /// The troubles that neither the headline nor a row names.
    more: Vec<&'a str>,
    totals: Vec<Tile>,
    uptime: String,
    outcomes: String,
    connectors: String,
    sections: Vec<Section<'a>>,
    /// How many plugins are listed.
    listed: usize,
    look: &'a Look,
    heads: Vec<Head>,
    at: At,
}

/// Rows under one heading, or under none.
struct Section<'a> {
    title: String,
    rows: Vec<Row<'a>>,
}

/// The head of a column that can be sorted.
struct Head {
    title: &'static str,
    link: String,
    /// `ascending` or `descending`, if the table is sorted by it.
    sorted: Option<&'static str>,
    /// The class of its cells.
    class: &'static str,
}

/// One figure of all plugins, or of the host.
struct Tile {
    title: &'static str,
    value: String,
    spark: String,
    /// How bad it is; empty if it is not.
    class: &'static str,
}

struct Row<'a> {
    plugin: &'a Plugin,
    /// The class and the words of its state.
    state: (&'static str, String),
    /// How bad it is: the class of the row.
    severity: &'static str,
    /// How long it has been in that state, and since when.
    lasts: String,
    bar: Bar,
    is_favourite: bool,
    rate: String,
    /// The share of events that ended badly within the last five minutes.
    failed: String,
    is_failing: bool,
    p95: String,
    sparks: Sparks,
    why: Option<String>,
}

/// The lines of the last hour.
struct Sparks {
    memory: String,
    rate: String,
    p95: String,
}

fn render_overview<'a>(
    shared: &Shared,
    snapshot: &'a Snapshot,
    seen: &Seen<'_>,
    look: &'a Look,
    login: Login,
) -> String {
    let range = Range::so_far(snapshot.bot_uptime, words::now(), shared.metrics.poll_interval().as_secs_f32());
    let shown = |plugin: &&Plugin| {
        (look.show != "bad" || !plugin.troubles.is_empty()) && plugin.name.to_lowercase().contains(&look.q)
    };
    let mut plugins: Vec<&Plugin> = snapshot.plugins.iter().filter(shown).collect();
    sort(&mut plugins, look.sorted_by(), seen);
    let span = look.span();
    let is_parted = look.sorted_by() == "state" && look.q.is_empty();
    let parts = if is_parted { parted(&plugins, seen.favourites) } else { vec![(String::new(), plugins.clone())] };
    let rows = |of: Vec<&'a Plugin>| -> Vec<Row<'a>> {
        of.into_iter().map(|plugin| row(plugin, &shared.metrics.series(&plugin.name), range, span, seen)).collect()
    };
    let sections = parts.into_iter().map(|(title, of)| Section { title, rows: rows(of) });
    let system = &snapshot.system;
    let of_the_host = system.troubles.iter().filter(|trouble| trouble.plugin.is_none());
    let more = of_the_host.map(|trouble| trouble.text.as_str()).filter(|text| *text != system.verdict);
    let page = Overview {
        headline: Headline::of_all(snapshot),
        more: more.collect(),
        snapshot,
        uptime: words::span(snapshot.bot_uptime),
        totals: totals(snapshot, seen.host, range),
        outcomes: words::outcomes(&system.outcomes),
        connectors: words::list(system.connectors.iter().map(|(name, state)| format!("{name} {state}")).collect()),
        sections: sections.collect(),
        listed: plugins.len(),
        look,
        heads: SORTS.iter().map(|(word, title)| head(look, word, title)).collect(),
        at: At::new("./", login, look.here().trim_start_matches('.')),
    };
    shown_page(&page)
}

/// The plugins under their headings: what is in trouble, favourites, and each group. Without groups and favourites
/// there is one list without a heading.
fn parted<'a>(plugins: &[&'a Plugin], favourites: &BTreeSet<String>) -> Vec<(String, Vec<&'a Plugin>)> {
    if favourites.is_empty() && plugins.iter().all(|plugin| plugin.group.is_none()) {
        return vec![(String::new(), plugins.to_vec())];
    }
    let mut parts: BTreeMap<(u8, String), (String, Vec<&Plugin>)> = BTreeMap::new();
    for plugin in plugins {
        let (order, title) = match &plugin.group {
            _ if !plugin.troubles.is_empty() => (0, "In trouble"),
            _ if favourites.contains(&plugin.name) => (1, "Favourites"),
            Some(group) => (2, group.as_str()),
            None => (3, "Other plugins"),
        };
        let part = parts.entry((order, title.to_lowercase())).or_insert_with(|| (title.to_owned(), Vec::new()));
        part.1.push(plugin);
    }
    parts.into_values().collect()
}

/// The figures on top.
fn totals(snapshot: &Snapshot, host: &[Point], range: Range) -> Vec<Tile> {
    let system = &snapshot.system;
    let spark = |what, least, value: fn(&Point) -> f32| chart::spark(host, value, least, range, what);
    let count = |title, count: usize, class| Tile {
        title,
        value: count.to_string(),
        spark: String::new(),
        class: if count > 0 { class } else { "" },
    };
    let sum = |value: fn(&Plugin) -> u64| snapshot.plugins.iter().map(value).sum::<u64>();
    let (failed, ended) = (sum(|plugin| plugin.lately.failed), sum(|plugin| plugin.lately.ended));
    let figure = |title, value, spark| Tile { title, value, spark, class: "" };
    let (rate, cpu) = (system.events_per_second as f32, system.cpu_percent as f32);
    vec![
        count("Running", system.plugins_running.saturating_sub(system.plugins_failing), "good"),
        count("Failing", system.plugins_failing, "warning"),
        count("Down", system.plugins_crashed, "error"),
        figure("Events", Quantity::Rate.text(rate), spark("events a second", 0.1, |point| point.events_per_second)),
        figure("Failed, 5 min", share(failed, ended), spark("failed events", 1.0, bad)),
        figure("Host CPU", Quantity::Percent.text(cpu), spark("CPU of the host in percent", 10.0, |point| point.cpu)),
        figure(
            "Host memory",
            Quantity::Memory.text(mebibytes(system.memory_bytes) as f32),
            spark("memory of the host in MiB", 10.0, |point| point.memory),
        ),
    ]
}

/// The number of events of a point that ended badly.
fn bad(point: &Point) -> f32 {
    point.outcomes.iter().skip(2).sum::<u32>() as f32
}

/// A share in percent; nothing of nothing is a dash.
fn share(part: u64, all: u64) -> String {
    let percent = part as f32 / all.max(1) as f32 * 100.0;
    match part {
        _ if all == 0 => "–".to_owned(),
        1.. if percent < 0.1 => "< 0.1 %".to_owned(),
        _ if percent >= 10.0 => format!("{percent:.0} %"),
        _ => format!("{} %", number(percent)),
    }
}

fn sort(plugins: &mut [&Plugin], by: &str, seen: &Seen<'_>) {
    // Equal rows keep the order of their names.
    match by {
        "name" => plugins.sort_by(|a, b| a.name.cmp(&b.name)),
        "up" => {
            let down = |plugin: &Plugin| {
                let whole = uptime::sum(seen.served.get(&plugin.name).map_or(&[], Vec::as_slice));
                whole.down / whole.seconds.max(1.0)
            };
            plugins.sort_by(|a, b| down(b).total_cmp(&down(a)));
        }
        "failed" => {
            plugins.sort_by_key(|plugin| Reverse(plugin.lately.failed * 1000 / plugin.lately.ended.max(1)));
        }
        "events" => plugins.sort_by_key(|plugin| Reverse(plugin.event_count)),
        "crashes" => plugins.sort_by_key(|plugin| Reverse(plugin.crash_count)),
        "memory" => plugins.sort_by_key(|plugin| Reverse(plugin.memory_bytes)),
        "cpu" => plugins.sort_by(|a, b| b.cpu_percent.total_cmp(&a.cpu_percent)),
        "rate" => plugins.sort_by(|a, b| b.events_per_second.total_cmp(&a.events_per_second)),
        "p95" => {
            plugins.sort_by(|a, b| b.response_p95.unwrap_or_default().total_cmp(&a.response_p95.unwrap_or_default()))
        }
        _ => plugins.sort_by(|a, b| trouble::by_urgency(a, b)),
    }
}

fn head(look: &Look, word: &'static str, title: &'static str) -> Head {
    let is_rising = matches!(word, "name" | "state" | "up");
    let sorted = (look.sorted_by() == word).then_some(if is_rising { "ascending" } else { "descending" });
    let class = match word {
        "name" => "name",
        "state" => "st",
        "up" => "up",
        "events" => "n events",
        "rate" => "n rate",
        "failed" => "n failed",
        "p95" => "n p95",
        "cpu" => "n cpu",
        "memory" => "n memory",
        _ => "n crashes",
    };
    Head { title, link: look.link(&look.show, word, &look.range), sorted, class }
}

fn row<'a>(plugin: &'a Plugin, points: &[Point], range: Range, span: Span, seen: &Seen<'_>) -> Row<'a> {
    let spark = |what: &str, least: f32, value: fn(&Point) -> f32| chart::spark(points, value, least, range, what);
    let why = plugin.troubles.first().map(|trouble| {
        let text =
            headline::short(trouble.text.strip_prefix(plugin.name.as_str()).unwrap_or(&trouble.text).trim_start());
        match plugin.troubles.len() {
            1 => text,
            count => format!("{text} And {} more.", count - 1),
        }
    });
    let why = why.or_else(|| plugin.explanation.clone());
    Row {
        state: headline::state(plugin),
        severity: plugin.troubles.first().map_or("good", |worst| worst.severity.word()),
        lasts: plugin.state_since.as_deref().map(words::lasts).unwrap_or_default(),
        bar: uptime::bar(seen.served.get(&plugin.name).map_or(&[], Vec::as_slice), span),
        is_favourite: seen.favourites.contains(&plugin.name),
        rate: number(plugin.events_per_second as f32),
        failed: share(plugin.lately.failed, plugin.lately.ended),
        is_failing: trouble::is_failing(plugin),
        p95: words::response(plugin.response_p95),
        sparks: Sparks {
            memory: spark("memory in MiB", 10.0, |point| point.memory),
            rate: spark("events a second", 0.1, |point| point.events_per_second),
            p95: spark("response time in milliseconds", 1.0, |point| point.response_p95 * 1e3),
        },
        why,
        plugin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_core::state::PluginState;

    #[test]
    fn links_keep_what_else_is_looked_at() {
        let look = Look { show: "bad".into(), sort: "cpu".into(), range: "7d".into(), q: "a b&c".into() };
        assert_eq!(look.link("bad", "name", "7d"), "./?show=bad&sort=name&range=7d&q=a%20b%26c");
        assert_eq!(look.link("", "state", "1h"), "./?q=a%20b%26c");
        assert_eq!(Look::default().link("", "state", ""), "./");
        assert_eq!((Look::default().sorted_by(), look.sorted_by()), ("state", "cpu"));
        assert_eq!(head(&look, "cpu", "CPU").sorted, Some("descending"));
        assert_eq!(head(&look, "name", "Plugin").sorted, None);
    }

    #[test]
    fn what_is_in_trouble_comes_first_then_favourites_then_groups() {
        let plugin = |name: &str, group: Option<&str>| Plugin {
            name: name.into(),
            group: group.map(str::to_owned),
            ..Plugin::default()
        };
        let mut all = vec![plugin("a", None), plugin("b", Some("games")), plugin("c", Some("Work")), plugin("d", None)];
        all.push(plugin("e", Some("games")));
        all.iter_mut().for_each(|plugin| {
            plugin.state = if plugin.name == "e" { PluginState::Stopped } else { PluginState::Running };
            plugin.troubles = trouble::of_plugin(plugin);
        });
        let all: Vec<&Plugin> = all.iter().collect();
        let shown = |favourites: &[&str]| -> Vec<String> {
            let parts = parted(&all, &favourites.iter().map(|&name| name.to_owned()).collect());
            let names = |of: &[&Plugin]| of.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>().join(" ");
            parts.iter().map(|(title, of)| format!("{title}: {}", names(of))).collect()
        };
        assert_eq!(shown(&["d"]), ["In trouble: e", "Favourites: d", "games: b", "Work: c", "Other plugins: a"]);
        let without: Vec<&Plugin> = all.iter().copied().filter(|plugin| plugin.group.is_none()).collect();
        assert_eq!(parted(&without, &BTreeSet::new()).len(), 1);
    }

    #[test]
    fn shares_are_short() {
        assert_eq!([share(0, 0), share(0, 9), share(1, 3), share(1, 9999)], ["–", "0 %", "33 %", "< 0.1 %"]);
    }
}
