//! The page of events: what happened to the host and its plugins, the newest first.

use super::{
    Shared,
    auth::Login,
    chart::{Span, escape},
    pages::{At, HTML, encoded, missing, query, shown_page},
    words,
};
use crate::view::mark::{Mark, MarkKind, Severity};
use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::Response,
};
use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

/// Events on one page of the list.
const LISTED: usize = 200;

/// People that the filter suggests.
const PEOPLE: usize = 100;

/// Seconds between a change and what belongs to it: the new generation, and the record of who asked.
const BESIDE: u64 = 5;

/// Seconds after a change in which the end of its trial belongs to it.
const TRIAL: u64 = 900;

/// The filter of the list, from the URL. An invalid value means the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Look {
    plugin: String,
    kind: String,
    severity: String,
    person: String,
    /// Only marks of the last hour, day, …
    range: String,
    /// Only marks with this text.
    q: String,
    /// Only marks with a smaller number: an older page.
    before: String,
}

impl Look {
    /// What the reader looks at.
    pub fn of(look: Result<Query<Self>, QueryRejection>) -> Self {
        let Query(mut look) = look.unwrap_or_default();
        if Span::of(&look.range).is_none() {
            look.range.clear();
        }
        for text in [&mut look.person, &mut look.q] {
            *text = text.trim().to_owned();
        }
        look
    }

    /// The first value that filters nothing, for programs: a page shows all events instead.
    pub fn mistake(look: &Result<Query<Self>, QueryRejection>) -> Option<&'static str> {
        let Ok(Query(look)) = look else { return Some("the query cannot be read") };
        let is_any = |text: &str, is_known: bool| text.is_empty() || is_known;
        if !is_any(&look.kind, MarkKind::ALL.iter().any(|kind| kind.word() == look.kind)) {
            Some("kind: there is no such kind of event")
        } else if !is_any(&look.severity, Severity::OF_MARKS.iter().any(|severity| severity.word() == look.severity)) {
            Some("severity: info, warning or error")
        } else if !is_any(&look.range, Span::of(&look.range).is_some()) {
            Some("range: 15m, 1h, 6h, 24h or 7d")
        } else if !is_any(&look.before, look.before.parse::<u64>().is_ok_and(|number| number < 1 << 53)) {
            Some("before: the number of an event")
        } else {
            None
        }
    }

    /// The query of this filter.
    fn query(&self, before: &str) -> String {
        let filter = [
            ("plugin", &*self.plugin),
            ("kind", &self.kind),
            ("severity", &self.severity),
            ("person", &self.person),
            ("range", &self.range),
            ("q", &self.q),
            ("before", before),
        ];
        query(&filter)
    }

    fn link(&self, before: &str) -> String {
        format!("events{}", self.query(before))
    }

    fn is_filtered(&self) -> bool {
        !self.query("").is_empty()
    }

    /// The plugin of the filter; `None` for all.
    pub fn plugin(&self) -> Option<&str> {
        Some(self.plugin.as_str()).filter(|plugin| !plugin.is_empty())
    }

    /// Whether a mark passes. `now` is in seconds since 1970.
    pub fn passes(&self, mark: &Mark, now: u64) -> bool {
        self.passes_without_person(mark, now) && self.is_by(mark)
    }

    fn is_by(&self, mark: &Mark) -> bool {
        let is_same = |person: &String| person.eq_ignore_ascii_case(&self.person);
        self.person.is_empty() || mark.person.as_ref().is_some_and(is_same)
    }

    fn passes_without_person(&self, mark: &Mark, now: u64) -> bool {
        let before = self.before.parse().unwrap_or(u64::MAX);
        let since = Span::of(&self.range).map_or(0, |span| now.saturating_sub(span.seconds()));
        (self.plugin.is_empty() || mark.plugin.as_deref() == Some(&self.plugin))
            && (self.kind.is_empty() || mark.kind.word() == self.kind)
            && (self.severity.is_empty() || mark.severity.word() == self.severity)
            && (self.q.is_empty() || has(mark, &self.q.to_lowercase()))
            && mark.at_seconds >= since
            && mark.number < before
    }
}

/// Whether a mark has this text, in lower case.
fn has(mark: &Mark, text: &str) -> bool {
    let parts = [Some(&mark.text), mark.plugin.as_ref(), mark.person.as_ref()];
    parts.into_iter().flatten().any(|part| part.to_lowercase().contains(text))
}

/// A line of the list: one event, or a change with what belongs to it.
#[derive(Debug, PartialEq)]
struct Entry {
    mark: Mark,
    /// What belongs to it, the oldest first.
    steps: Vec<Mark>,
}

impl Entry {
    fn count(&self) -> String {
        words::counted(self.steps.len() as u64, "step", "steps")
    }
}

#[derive(Template)]
#[template(path = "events.html")]
struct Events<'a> {
    entries: Vec<Entry>,
    plugins: Vec<&'a str>,
    people: Vec<String>,
    look: &'a Look,
    /// The link to the page before this one in time.
    older: Option<String>,
    at: At,
}

/// `GET /events`: the marks, the newest first.
pub async fn page(
    State(shared): State<Arc<Shared>>,
    look: Result<Query<Look>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let look = Look::of(look);
    let (board, login) = (shared.metrics.latest(), shared.auth.login(&headers));
    let plugins: Vec<&str> = board.snapshot.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    if !look.plugin.is_empty() && !plugins.contains(&&*look.plugin) && board.number > 0 {
        return missing(&look.plugin, At::new("./", login, "/"), &headers);
    }
    let name = format!("{login:?} /{}", look.link(&look.before));
    let render = async || {
        let now = words::now();
        // What belongs to a change of a person has no person of its own.
        let passes = |mark: &Mark| look.passes_without_person(mark, now);
        let limit = if look.person.is_empty() { LISTED + 1 } else { usize::MAX };
        let mut marks = shared.metrics.marks_that(passes, limit);
        let has_older = look.person.is_empty() && marks.len() > LISTED;
        marks.truncate(if look.person.is_empty() { LISTED } else { usize::MAX });
        let last = marks.last().filter(|_| has_older);
        let older = last.map(|last| look.link(&last.number.to_string()));
        let is_whole = look.kind.is_empty() && look.severity.is_empty() && look.q.is_empty();
        let mut entries = if is_whole { folded(marks) } else { each(marks) };
        entries.retain(|entry| look.is_by(&entry.mark) || entry.steps.iter().any(|step| look.is_by(step)));
        entries.truncate(LISTED);
        let at = At::new("./", login, &format!("/{}", look.link(&look.before)));
        let people = people(&shared);
        let html = shown_page(&Events { entries, plugins: plugins.clone(), people, look: &look, older, at });
        Ok::<_, Infallible>(shared.named(HTML, html, board.number, &format!("{login:?}")))
    };
    let Ok(rendered) = shared.cache.get(board.number, name, render).await;
    rendered.respond(&headers)
}

/// The people of the events, by name: suggestions for the filter.
fn people(shared: &Shared) -> Vec<String> {
    let marks = shared.metrics.marks_that(|mark| mark.person.is_some(), usize::MAX);
    let people: BTreeSet<String> = marks.into_iter().filter_map(|mark| mark.person).collect();
    people.into_iter().take(PEOPLE).collect()
}

/// One event as HTML.
fn line(mark: &Mark, at: &At) -> String {
    let severity = mark.severity;
    let plugin = mark.plugin.as_deref().map_or_else(String::new, |name| {
        format!("<a href=\"{}plugin/{}\">{}</a> ", at.root, encoded(name), escape(name))
    });
    let kind = words::kind(mark.kind.word());
    let (when, text) = (words::when(&mark.at), escape(&mark.text));
    format!("{when} <span class=\"kind {severity}\">{kind}</span> <span class=\"what\">{plugin}{text}</span>")
}

fn each(marks: Vec<Mark>) -> Vec<Entry> {
    marks.into_iter().map(|mark| Entry { mark, steps: Vec::new() }).collect()
}

/// Whether other marks can belong to this one: to a change its steps, and to a crash the start after it.
fn is_head(mark: &Mark) -> bool {
    match mark.kind {
        MarkKind::Reload | MarkKind::Rollback | MarkKind::Crash => true,
        MarkKind::Restart => mark.severity == Severity::Info,
        _ => false,
    }
}

/// Whether a mark of the same plugin belongs to this head.
fn belongs(mark: &Mark, head: &Mark) -> bool {
    let is_beside = mark.at_seconds.abs_diff(head.at_seconds) <= BESIDE;
    let is_after = mark.number > head.number;
    match (mark.kind, head.kind) {
        (MarkKind::Restart | MarkKind::Active, MarkKind::Crash) => is_beside && is_after,
        (_, MarkKind::Crash) => false,
        (MarkKind::Active | MarkKind::Admin, _) => is_beside,
        (MarkKind::Bake | MarkKind::Drain, _) => is_after && mark.at_seconds <= head.at_seconds + TRIAL,
        _ => false,
    }
}

/// The lines of these marks, the newest first: what belongs to a change or a crash folds into it.
fn folded(marks: Vec<Mark>) -> Vec<Entry> {
    let heads: Vec<Mark> = marks.iter().filter(|mark| is_head(mark)).cloned().collect();
    let head_of = |mark: &Mark| {
        let is_its = |head: &&Mark| mark.plugin.is_some() && head.plugin == mark.plugin && belongs(mark, head);
        let near = heads.iter().filter(|_| !is_head(mark)).filter(is_its);
        near.min_by_key(|head| mark.number.abs_diff(head.number)).map(|head| head.number)
    };
    let (mut entries, mut steps): (Vec<Entry>, Vec<(u64, Mark)>) = (Vec::new(), Vec::new());
    for mark in marks {
        match head_of(&mark) {
            Some(head) => steps.push((head, mark)),
            None => entries.push(Entry { mark, steps: Vec::new() }),
        }
    }
    for (head, mark) in steps.into_iter().rev() {
        if let Some(entry) = entries.iter_mut().find(|entry| entry.mark.number == head) {
            entry.steps.push(mark);
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64, at_seconds: u64, plugin: &str, kind: MarkKind) -> Mark {
        Mark { number, at_seconds, plugin: Some(plugin.into()), kind, severity: Severity::Info, ..Mark::default() }
    }

    #[test]
    fn one_reload_or_crash_is_one_line_that_has_its_steps() {
        let mut marks = vec![
            mark(1, 100, "a", MarkKind::Active),
            mark(2, 500, "a", MarkKind::Active),
            mark(3, 500, "b", MarkKind::Active),
            mark(4, 501, "a", MarkKind::Reload),
            mark(5, 501, "a", MarkKind::Admin),
            mark(6, 531, "a", MarkKind::Bake),
            mark(7, 600, "a", MarkKind::Crash),
            Mark { severity: Severity::Warning, ..mark(8, 600, "a", MarkKind::Restart) },
            mark(9, 600, "a", MarkKind::Active),
            mark(10, 601, "a", MarkKind::Crash),
        ];
        marks.reverse();
        let entries = folded(marks);
        let shown: Vec<u64> = entries.iter().map(|entry| entry.mark.number).collect();
        assert_eq!(shown, [10, 7, 4, 3, 1]);
        assert_eq!(entries[1].steps.iter().map(|step| step.number).collect::<Vec<_>>(), [8, 9]);
        assert_eq!(entries[2].steps.iter().map(|step| step.number).collect::<Vec<_>>(), [2, 5, 6]);
    }

    #[test]
    fn older_pages_keep_the_filter() {
        let look = Look { plugin: "a b".into(), before: "7".into(), ..Look::default() };
        assert_eq!(look.link("3"), "events?plugin=a%20b&before=3");
        let passes = |look: &Look, mark: &Mark| look.passes(mark, 10_000);
        let crash = |number, at, plugin| mark(number, at, plugin, MarkKind::Crash);
        assert!(passes(&look, &crash(6, 0, "a b")) && !passes(&look, &crash(7, 0, "a b")));
        let newest = Look { before: "x".into(), ..Look::default() };
        assert!(passes(&newest, &crash(7, 0, "c")), "an invalid number is none");
        assert!(!newest.is_filtered() && look.is_filtered());
    }

    #[test]
    fn a_person_a_text_and_a_range_filter_too() {
        let by = |person: &str| Mark { person: Some(person.into()), ..mark(1, 6000, "dice", MarkKind::Admin) };
        let look = |person: &str, q: &str, range: &str| Look {
            person: person.into(),
            q: q.into(),
            range: range.into(),
            ..Look::default()
        };
        assert!(look("Alice", "", "").passes(&by("alice"), 6000) && !look("bob", "", "").passes(&by("alice"), 6000));
        assert!(!look("alice", "", "").passes(&mark(1, 6000, "dice", MarkKind::Admin), 6000), "without a person");
        assert!(look("", "DIC", "").passes(&by("x"), 6000) && !look("", "ball", "").passes(&by("x"), 6000));
        assert!(look("", "", "1h").passes(&by("x"), 9600) && !look("", "", "1h").passes(&by("x"), 9601));
    }
}
