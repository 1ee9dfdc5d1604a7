//! Answers that say how something went: a page for browsers, JSON for programs. What happened by a button stands on the
//! plugin's page afterwards, under a number in its address.

use super::{auth, auth::Login, pages, pages::At};
use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Notices kept. Each stays readable until so many later ones.
const MOST: usize = 64;

/// Letters of a notice's number: too many to guess one.
const NUMBER: usize = 24;

/// Whether this client shows pages to a person.
pub fn is_browser(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).is_some_and(|it| it.contains("text/html"))
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    at: &'a At,
    text: &'a str,
}

/// The answer to a request that cannot be fulfilled.
pub fn problem(status: StatusCode, text: &str, at: &At, headers: &HeaderMap) -> Response {
    match is_browser(headers) {
        true => pages::page(status, &ProblemPage { at, text: text.trim_end() }, headers),
        false => json(status, "error", text.trim_end()),
    }
}

/// One field as JSON.
pub fn json(status: StatusCode, field: &str, text: &str) -> Response {
    let body = serde_json::json!({field: text}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What happened by a button.
#[derive(Debug)]
pub struct Notice {
    number: String,
    plugin: String,
    /// The result, as chat would read it.
    pub text: String,
    /// `good`, or `error` if it was refused.
    pub mood: &'static str,
}

/// The newest notices.
#[derive(Debug, Default)]
pub struct Notices(Mutex<VecDeque<Arc<Notice>>>);

impl Notices {
    /// Keeps a notice, and returns its number.
    fn keep(&self, plugin: &str, text: String, is_good: bool) -> Option<String> {
        let number = auth::random()?.get(..NUMBER)?.to_owned();
        let mood = if is_good { "good" } else { "error" };
        let notice = Notice { number: number.clone(), plugin: plugin.to_owned(), text, mood };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(Arc::new(notice));
        Some(number)
    }

    /// The notice with this number about this plugin.
    pub fn find(&self, plugin: &str, number: &str) -> Option<Arc<Notice>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|notice| notice.number == number && notice.plugin == plugin).cloned()
    }

    /// The answer after a button: a browser goes back to the page of the plugin, which says what happened.
    pub fn said(&self, headers: &HeaderMap, status: StatusCode, plugin: &str, text: String) -> Response {
        let is_good = status.is_success();
        if !is_browser(headers) {
            return json(status, if is_good { "done" } else { "error" }, &text);
        }
        let number = self.keep(plugin, text.clone(), is_good);
        let query = number.map(|number| format!("?said={number}")).unwrap_or_default();
        match HeaderValue::from_str(&format!("../{}{query}", pages::encoded(plugin))) {
            Ok(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
            Err(_) => problem(status, &text, &At::new("../../", Login::In, "/"), headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_bounded_and_belong_to_their_plugin() {
        let notices = Notices::default();
        let first = notices.keep("a", "done".into(), true).expect("random numbers");
        assert_eq!(notices.find("a", &first).map(|notice| notice.mood), Some("good"));
        assert!(notices.find("b", &first).is_none() && notices.find("a", "").is_none());
        for _ in 0..MOST {
            notices.keep("a", "refused".into(), false);
        }
        assert!(notices.find("a", &first).is_none());
    }

    #[test]
    fn a_browser_gets_pages_and_a_program_json() {
        let at = At::new("./", Login::Off, "/");
        let browser = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"))]);
        let kind = |headers: &HeaderMap| {
            let answer = problem(StatusCode::NOT_FOUND, "nothing\n", &at, headers);
            answer.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned()
        };
        assert_eq!((kind(&browser).as_str(), kind(&HeaderMap::new()).as_str()), (pages::HTML, "application/json"));
        let back = Notices::default().said(&browser, StatusCode::OK, "a b", "done".into());
        let to = back.headers()[header::LOCATION].to_str().expect("text");
        assert!(back.status() == StatusCode::SEE_OTHER && to.starts_with("../a%20b?said="), "{to}");
    }
}
