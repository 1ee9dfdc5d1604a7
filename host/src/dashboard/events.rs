//! The page of events: what happened to the host and its plugins, the newest first.

use super::{
    Shared,
    auth::Login,
    chart::escape,
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
use std::{convert::Infallible, sync::Arc};

/// Events on one page of the list.
const LISTED: usize = 200;

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
    /// Only marks with a smaller number: an older page.
    before: String,
}

impl Look {
    fn link(&self, before: &str) -> String {
        let filter =
            [("plugin", &*self.plugin), ("kind", &self.kind), ("severity", &self.severity), ("before", before)];
        format!("events{}", query(&filter))
    }

    fn is_filtered(&self) -> bool {
        [&self.plugin, &self.kind, &self.severity].iter().any(|one| !one.is_empty())
    }

    fn passes(&self, mark: &Mark) -> bool {
        let before = self.before.parse().unwrap_or(u64::MAX);
        (self.plugin.is_empty() || mark.plugin.as_deref() == Some(&self.plugin))
            && (self.kind.is_empty() || mark.kind.word() == self.kind)
            && (self.severity.is_empty() || mark.severity.word() == self.severity)
            && mark.number < before
    }
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
    let look = look.map_or_else(|_| Look::default(), |Query(look)| look);
    let (board, login) = (shared.metrics.latest(), shared.auth.login(&headers));
    let plugins: Vec<&str> = board.snapshot.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    if !look.plugin.is_empty() && !plugins.contains(&&*look.plugin) && board.number > 0 {
        return missing(&look.plugin, At::new("./", login, "/"), &headers);
    }
    let name = format!("{login:?} /{}", look.link(&look.before));
    let render = async || {
        let mut marks = shared.metrics.marks_that(|mark| look.passes(mark), LISTED + 1);
        let has_older = marks.len() > LISTED;
        marks.truncate(LISTED);
        let last = marks.last().filter(|_| has_older);
        let older = last.map(|last| look.link(&last.number.to_string()));
        let entries = if look.kind.is_empty() && look.severity.is_empty() { folded(marks) } else { each(marks) };
        let at = At::new("./", login, &format!("/{}", look.link(&look.before)));
        let html = shown_page(&Events { entries, plugins: plugins.clone(), look: &look, older, at });
        Ok::<_, Infallible>(shared.named(HTML, html, board.number, login))
    };
    let Ok(rendered) = shared.cache.get(board.number, name, render).await;
    rendered.respond(&headers)
}

/// One event as HTML.
fn line(mark: &Mark, at: &At) -> String {
    let severity = mark.severity;
    let plugin = mark.plugin.as_deref().map_or_else(String::new, |name| {
        format!("<a href=\"{}plugin/{}\">{}</a> ", at.root, encoded(name), escape(name))
    });
    let kind = words::kind(mark.kind.word());
    let (when, text) = (words::when(&mark.at), escape(&mark.text));
    format!("{when} {plugin}<span class=\"kind {severity}\">{kind}</span> {text}")
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
        assert!(look.passes(&mark(6, 0, "a b", MarkKind::Crash)) && !look.passes(&mark(7, 0, "a b", MarkKind::Crash)));
        let newest = Look { before: "x".into(), ..Look::default() };
        assert!(newest.passes(&mark(7, 0, "c", MarkKind::Crash)), "an invalid number is none");
        assert!(!newest.is_filtered() && look.is_filtered());
    }
}
