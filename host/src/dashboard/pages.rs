//! The pages for people: the overview, and the list of events. Status comes first, in words, and the worst plugins come
//! first. `plugin` has the page of one plugin.

use super::{
    Shared,
    auth::Login,
    cache::Rendered,
    chart::{self, Range},
    headline::{self, Headline},
    words,
};
use crate::{
    text,
    view::{
        Plugin, Point, Snapshot,
        mark::{Mark, MarkKind, Severity},
        mebibytes, trouble,
    },
};
use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use std::{
    cmp::Reverse,
    convert::Infallible,
    fmt::Write as _,
    sync::{Arc, LazyLock},
};

/// The content type of pages.
pub const HTML: &str = "text/html; charset=utf-8";

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");

/// Events on one page of the list.
const LISTED: usize = 200;

/// Letters of a reason that fit the row. A longer one gets its own row.
const SHORT_REASON: usize = 60;

/// The sort orders of the overview: the word in the URL, and the title.
const SORTS: [(&str, &str); 10] = [
    ("name", "Plugin"),
    ("state", "State"),
    ("version", "Version"),
    ("up", "Up"),
    ("cpu", "CPU"),
    ("memory", "Memory"),
    ("events", "Events"),
    ("rate", "Events/s"),
    ("p95", "p95"),
    ("crashes", "Crashes"),
];

/// The filter and order of a list, from the URL. An invalid value means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Look {
    show: String,
    sort: String,
    q: String,
    plugin: String,
    kind: String,
    severity: String,
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
        look.q = look.q.trim().to_lowercase();
        look
    }

    /// The link to the overview with one of these changed.
    fn link(&self, show: &str, sort: &str) -> String {
        let sort = if sort == "state" { "" } else { sort };
        format!("./{}", query(&[("show", show), ("sort", sort), ("q", &self.q)]))
    }

    /// The link to the list of events with this filter.
    fn events(&self) -> String {
        format!("/events{}", query(&[("plugin", &self.plugin), ("kind", &self.kind), ("severity", &self.severity)]))
    }

    fn sorted_by(&self) -> &str {
        if self.sort.is_empty() { "state" } else { &self.sort }
    }
}

/// The query `?a=b&c=d` of all pairs that are not empty.
fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        query.push(if query.is_empty() { '?' } else { '&' });
        // Writing to a string does not fail.
        let _ = write!(query, "{name}={}", encoded(value));
    }
    query
}

/// The place of a page. Links are relative, because a proxy may have put the dashboard under a path that only the
/// browser knows.
#[derive(Debug, Clone)]
pub struct At {
    /// The login of the reader.
    pub login: Login,
    /// The path from the page to `/`: `./`, or `../` for each folder in between.
    pub root: String,
    /// The path of the page from there, to come back after a login.
    pub here: String,
}

impl At {
    /// A page at a known place.
    pub fn new(root: &str, login: Login, here: &str) -> Self {
        Self { login, root: root.to_owned(), here: here.to_owned() }
    }

    /// A page at the requested address. A form is not sent again: after a login the reader gets the page of the plugin.
    pub fn of(method: &Method, uri: &Uri, login: Login) -> Self {
        let folders = uri.path().matches('/').count().saturating_sub(1);
        let root = if folders == 0 { "./".to_owned() } else { "../".repeat(folders) };
        let here = match *method {
            Method::GET | Method::HEAD => uri.path_and_query().map_or("/", |here| here.as_str()),
            _ => uri.path().rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder }),
        };
        Self { login, root, here: here.to_owned() }
    }

    /// The link to the form to log in, which leads back here.
    pub fn log_in(&self) -> String {
        let next = if self.here == "/" { "" } else { &self.here };
        format!("{}login{}", self.root, query(&[("next", next)]))
    }
}

/// A text as part of a URL.
pub fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// `GET /`: the verdict, and a row for each plugin.
pub async fn overview(State(shared): State<Arc<Shared>>, look: Asked, headers: HeaderMap) -> Response {
    let look = Look::of(look);
    let (board, login) = (shared.metrics.latest(), shared.auth.login(&headers));
    let name = format!("{login:?} {}", look.link(&look.show, look.sorted_by()));
    let render = async || {
        let html = render_overview(&shared, &board.snapshot, &look, login);
        Ok::<_, Infallible>(shared.named(HTML, html, board.number, login))
    };
    let Ok(rendered) = shared.cache.get(board.number, name, render).await;
    rendered.respond(&headers)
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    snapshot: &'a Snapshot,
    headline: Headline,
    /// The troubles that neither the headline nor a row names.
    more: Vec<&'a str>,
    uptime: String,
    memory: String,
    outcomes: String,
    connectors: String,
    rows: Vec<Row<'a>>,
    look: &'a Look,
    heads: Vec<Head>,
    at: At,
}

/// The head of a column that can be sorted.
struct Head {
    title: &'static str,
    link: String,
    /// `ascending` or `descending`, if the table is sorted by it.
    sorted: Option<&'static str>,
    is_number: bool,
}

struct Row<'a> {
    plugin: &'a Plugin,
    /// The class and the words of its state.
    state: (&'static str, String),
    /// How bad it is: the class of the row.
    severity: &'static str,
    uptime: String,
    rate: String,
    p95: String,
    sparks: Sparks,
    why: Option<String>,
    /// Whether the reason needs its own row.
    is_long: bool,
}

/// The lines of the last hour.
struct Sparks {
    cpu: String,
    memory: String,
    rate: String,
    p95: String,
}

fn render_overview(shared: &Shared, snapshot: &Snapshot, look: &Look, login: Login) -> String {
    let range = Range::so_far(snapshot.bot_uptime, words::now(), shared.metrics.poll_interval().as_secs_f32());
    let shown = |plugin: &&Plugin| {
        (look.show != "bad" || !plugin.troubles.is_empty()) && plugin.name.to_lowercase().contains(&look.q)
    };
    let mut plugins: Vec<&Plugin> = snapshot.plugins.iter().filter(shown).collect();
    sort(&mut plugins, look.sorted_by());
    let series = plugins.iter().map(|plugin| shared.metrics.series(&plugin.name));
    let rows: Vec<_> = plugins.iter().zip(series).map(|(plugin, points)| row(plugin, &points, range)).collect();
    let system = &snapshot.system;
    let of_the_host = system.troubles.iter().filter(|trouble| trouble.plugin.is_none());
    let more = of_the_host.map(|trouble| trouble.text.as_str()).filter(|text| *text != system.verdict);
    let page = Overview {
        headline: Headline::of_all(snapshot),
        more: more.collect(),
        snapshot,
        uptime: words::span(snapshot.bot_uptime),
        memory: format!("{:.1} MiB", mebibytes(system.memory_bytes)),
        outcomes: words::outcomes(&system.outcomes),
        connectors: words::list(system.connectors.iter().map(|(name, state)| format!("{name} {state}")).collect()),
        rows,
        look,
        heads: SORTS.iter().map(|(word, title)| head(look, word, title)).collect(),
        at: At::new("./", login, look.link(&look.show, look.sorted_by()).trim_start_matches('.')),
    };
    shown_page(&page)
}

fn sort(plugins: &mut [&Plugin], by: &str) {
    // Equal rows keep the order of their names.
    match by {
        "name" => plugins.sort_by(|a, b| a.name.cmp(&b.name)),
        "version" => plugins.sort_by(|a, b| a.version.cmp(&b.version)),
        "up" => plugins.sort_by_key(|plugin| plugin.uptime),
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
    let is_rising = matches!(word, "name" | "state" | "version" | "up");
    let sorted = (look.sorted_by() == word).then_some(if is_rising { "ascending" } else { "descending" });
    Head { title, link: look.link(&look.show, word), sorted, is_number: !is_rising }
}

fn row<'a>(plugin: &'a Plugin, points: &[Point], range: Range) -> Row<'a> {
    let spark = |what: &str, value: fn(&Point) -> f32| chart::spark(points, value, range, what);
    let why = plugin.troubles.first().map(|trouble| {
        let text = trouble.text.strip_prefix(plugin.name.as_str()).unwrap_or(&trouble.text).trim_start();
        match plugin.troubles.len() {
            1 => text.to_owned(),
            count => format!("{text} And {} more.", count - 1),
        }
    });
    let why = why.or_else(|| plugin.explanation.clone());
    Row {
        state: headline::state(plugin),
        severity: plugin.troubles.first().map_or("good", |worst| worst.severity.word()),
        uptime: if plugin.pid.is_some() { words::span(plugin.uptime) } else { "–".to_owned() },
        rate: chart::number(plugin.events_per_second as f32),
        p95: words::response(plugin.response_p95),
        sparks: Sparks {
            cpu: spark("CPU in percent", |point| point.cpu),
            memory: spark("memory in MiB", |point| point.memory),
            rate: spark("events a second", |point| point.events_per_second),
            p95: spark("response time in milliseconds", |point| point.response_p95 * 1e3),
        },
        is_long: why.as_ref().is_some_and(|why| why.chars().count() > SHORT_REASON),
        why,
        plugin,
    }
}

#[derive(Template)]
#[template(path = "missing.html")]
struct Missing<'a> {
    name: &'a str,
    at: At,
}

/// The page for a plugin that does not exist.
pub fn missing(name: &str, at: At, headers: &HeaderMap) -> Response {
    page(StatusCode::NOT_FOUND, &Missing { name, at }, headers)
}

#[derive(Template)]
#[template(path = "events.html")]
struct Events<'a> {
    marks: Vec<Mark>,
    look: &'a Look,
    is_filtered: bool,
    at: At,
}

/// `GET /events`: the marks, the newest first.
pub async fn events(State(shared): State<Arc<Shared>>, look: Asked, headers: HeaderMap) -> Response {
    let look = Look::of(look);
    let (board, login) = (shared.metrics.latest(), shared.auth.login(&headers));
    let is_plugin = |name: &str| name.is_empty() || board.snapshot.plugins.iter().any(|plugin| plugin.name == name);
    if !is_plugin(&look.plugin) && board.number > 0 {
        return missing(&look.plugin, At::new("./", login, "/"), &headers);
    }
    let name = format!("{login:?} /events {} {} {}", look.plugin, look.kind, look.severity);
    let render = async || {
        let passes = |mark: &Mark| {
            (look.plugin.is_empty() || mark.plugin.as_deref() == Some(&look.plugin))
                && (look.kind.is_empty() || mark.kind.word() == look.kind)
                && (look.severity.is_empty() || mark.severity.word() == look.severity)
        };
        let marks = shared.metrics.marks_that(passes, LISTED);
        let is_filtered = [&look.plugin, &look.kind, &look.severity].iter().any(|one| !one.is_empty());
        let at = At::new("./", login, &look.events());
        let html = shown_page(&Events { marks, look: &look, is_filtered, at });
        Ok::<_, Infallible>(shared.named(HTML, html, board.number, login))
    };
    let Ok(rendered) = shared.cache.get(board.number, name, render).await;
    rendered.respond(&headers)
}

/// `GET /style.css`.
pub async fn style(headers: HeaderMap) -> Response {
    static ASSET: LazyLock<Rendered> = LazyLock::new(|| asset("text/css; charset=utf-8", STYLE));
    ASSET.respond(&headers)
}

/// `GET /live.js`. Its tag changes with its content.
pub async fn script(headers: HeaderMap) -> Response {
    static ASSET: LazyLock<Rendered> = LazyLock::new(|| asset("text/javascript; charset=utf-8", SCRIPT));
    ASSET.respond(&headers)
}

/// A file with a tag from its content, so that browsers notice an update of Rosey at once.
pub fn asset(kind: &'static str, body: &'static str) -> Rendered {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(body);
    let tag: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Rendered::named(kind, body.as_bytes(), &tag)
}

/// A page that is rendered for this request alone.
pub fn page(status: StatusCode, page: &impl Template, headers: &HeaderMap) -> Response {
    let mut response = Rendered::new(HTML, shown_page(page)).respond(headers);
    *response.status_mut() = status;
    response.into_response()
}

/// A page as HTML. This is the one place that writes hidden characters of plugins and users out; our own texts have
/// none.
pub fn shown_page(page: &impl Template) -> String {
    // A template fails only when a value cannot be written, and our values are texts and numbers.
    let html = page.render().unwrap_or_else(|error| format!("This page cannot be shown: {error}"));
    if !html.contains(|c| text::is_hidden(c) && !['\n', '\t'].contains(&c)) {
        return html;
    }
    let part = |part: &str| {
        let text = part.trim_end_matches(['\n', '\t']);
        text::visible(text).into_owned() + &part[text.len()..]
    };
    html.split_inclusive(['\n', '\t']).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_what_else_is_looked_at() {
        let look = Look { show: "bad".into(), sort: "cpu".into(), q: "a b&c".into(), ..Look::default() };
        assert_eq!(look.link("bad", "name"), "./?show=bad&sort=name&q=a%20b%26c");
        assert_eq!(look.link("", "state"), "./?q=a%20b%26c");
        assert_eq!(Look::default().link("", "state"), "./");
        assert_eq!((Look::default().sorted_by(), look.sorted_by()), ("state", "cpu"));
        assert_eq!(head(&look, "cpu", "CPU").sorted, Some("descending"));
        assert_eq!(head(&look, "name", "Plugin").sorted, None);
    }

    #[test]
    fn a_page_knows_the_way_to_the_root_and_back_after_the_form() {
        let at = |method, uri: &str| At::of(&method, &uri.parse().expect("a URI"), Login::Out);
        let link = |method, uri| at(method, uri).log_in();
        assert_eq!(link(Method::GET, "/"), "./login");
        assert_eq!(link(Method::GET, "/events?kind=crash"), "./login?next=%2Fevents%3Fkind%3Dcrash");
        assert_eq!(link(Method::GET, "/plugin/x"), "../login?next=%2Fplugin%2Fx");
        assert_eq!(link(Method::GET, "/a/b/c"), "../../login?next=%2Fa%2Fb%2Fc");
        assert_eq!(link(Method::POST, "/plugin/x/confirm"), "../../login?next=%2Fplugin%2Fx");
        assert_eq!(link(Method::POST, "/logout"), "./login");
    }

    #[test]
    fn assets_are_small() {
        assert!(STYLE.len() + SCRIPT.len() < 20_000);
    }
}
