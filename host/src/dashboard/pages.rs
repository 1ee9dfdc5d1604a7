//! What all pages for people share: links, forms, assets, and how a page becomes an answer. `overview`, `plugin` and
//! `events` have the pages themselves.

use super::{auth::Login, cache::Rendered};
use crate::text;
use askama::Template;
use axum::{
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use std::{fmt::Write as _, sync::LazyLock};

/// The content type of pages.
pub const HTML: &str = "text/html; charset=utf-8";

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
const ICON: &str = include_str!("assets/icon.svg");

/// The query `?a=b&c=d` of all pairs that are not empty.
pub fn query(pairs: &[(&str, &str)]) -> String {
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

/// `GET /favicon.ico`.
pub async fn icon(headers: HeaderMap) -> Response {
    static ASSET: LazyLock<Rendered> = LazyLock::new(|| asset("image/svg+xml", ICON));
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
        assert!(STYLE.len() + SCRIPT.len() < 30_000, "{} bytes", STYLE.len() + SCRIPT.len());
    }
}
