//! Who holds the admin token: by a form and a cookie for people, by a header for scripts. The token is compared in constant
//! time, guesses are counted, and what a browser sends on somebody else's behalf is refused.

use super::{Shared, pages};
use askama::Template;
use axum::{
    Form,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    io::Read,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;

/// The least length of a token: 16 characters of a password manager are 96 bits.
pub const LEAST_TOKEN: usize = 16;

/// How long somebody stays logged in.
const SESSION: Duration = Duration::from_secs(12 * 3600);

/// People logged in at a time; the oldest session ends for one more.
const MOST_SESSIONS: usize = 64;

/// Wrong tokens within a minute, from wherever. Beyond that even the right one waits.
const GUESSES: usize = 10;

const COOKIE: &str = "rosey_session";

/// What is known about who may.
#[derive(Debug, Default)]
pub struct Auth {
    token: Option<String>,
    /// Whether reading takes the token as well.
    locked: bool,
    sessions: Mutex<HashMap<String, Instant>>,
    guesses: Mutex<VecDeque<Instant>>,
}

/// Whether there is a token, and whether this reader has shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// There is none: nobody can change anything.
    Off,
    /// Not shown.
    Out,
    /// Shown.
    In,
}

impl Auth {
    /// With or without a token; `locked` when reading takes it too.
    pub fn new(token: Option<String>, locked: bool) -> Self {
        Self { locked: locked && token.is_some(), token, ..Self::default() }
    }

    /// How this request stands.
    pub fn login(&self, headers: &HeaderMap) -> Login {
        match &self.token {
            None => Login::Off,
            Some(token) if bearer(headers).is_some_and(|shown| is_same(shown, token)) => Login::In,
            Some(_) if session(headers).is_some_and(|session| self.is_open(session)) => Login::In,
            Some(_) => Login::Out,
        }
    }

    /// Whether this request may read this path.
    pub fn may_read(&self, headers: &HeaderMap, path: &str) -> bool {
        const FREE: [&str; 5] = ["/healthz", "/readyz", "/login", "/style.css", "/live.js"];
        !self.locked || FREE.contains(&path) || self.login(headers) == Login::In
    }

    fn is_open(&self, session: &str) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(session).is_some_and(|until| *until > Instant::now())
    }

    /// A session for who shows the token.
    fn open(&self, shown: &str, now: Instant) -> Result<String, Wrong> {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        while guesses.front().is_some_and(|at| now.saturating_duration_since(*at) > Duration::from_secs(60)) {
            guesses.pop_front();
        }
        if guesses.len() >= GUESSES {
            return Err(Wrong::TooOften);
        }
        if !self.token.as_ref().is_some_and(|token| is_same(shown, token)) {
            guesses.push_back(now);
            return Err(Wrong::Token);
        }
        let session = random().ok_or(Wrong::TooOften)?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, until| *until > now);
        if sessions.len() >= MOST_SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, until)| **until).map(|(session, _)| session.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(session.clone(), now + SESSION);
        Ok(session)
    }

    fn close(&self, session: &str) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Token,
    TooOften,
}

/// Of hashes, so that not even the length shows.
fn is_same(shown: &str, token: &str) -> bool {
    Sha256::digest(shown).ct_eq(&Sha256::digest(token)).into()
}

/// 256 random bits of the kernel, in hex.
pub fn random() -> Option<String> {
    let mut bytes = [0u8; 32];
    std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The session that the browser's cookie names.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split(';')
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// Whether a request that changes something comes from our own page, or from a script that shows the token itself. A browser
/// says where it comes from; one that says nothing is not believed.
pub fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    if [Method::GET, Method::HEAD].contains(method) || bearer(headers).is_some() {
        return true;
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, named)| named == host),
        _ => false,
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    login: Login,
    problem: Option<&'a str>,
}

/// What the form sends.
#[derive(serde::Deserialize)]
pub struct Shown {
    token: String,
}

/// The form.
pub async fn form(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    pages::page(StatusCode::OK, &LoginPage { login: shared.auth.login(&headers), problem: None }, &headers)
}

/// The form, filled in.
pub async fn log_in(State(shared): State<Arc<Shared>>, headers: HeaderMap, Form(shown): Form<Shown>) -> Response {
    let (status, problem) = match shared.auth.open(shown.token.trim(), Instant::now()) {
        Ok(session) => {
            let seconds = SESSION.as_secs();
            let cookie = format!("{COOKIE}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict");
            return ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response();
        }
        Err(Wrong::Token) => (StatusCode::FORBIDDEN, "That is not the token."),
        Err(Wrong::TooOften) => (StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens; try again in a minute."),
    };
    tracing::warn!("somebody could not log in to the dashboard: {problem}");
    pages::page(status, &LoginPage { login: shared.auth.login(&headers), problem: Some(problem) }, &headers)
}

/// Ends the session.
pub async fn log_out(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(session) = session(&headers) {
        shared.auth.close(session);
    }
    let cookie = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct horse battery staple";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn the_token_opens_a_session_and_guesses_are_counted() {
        let (auth, now) = (Auth::new(Some(TOKEN.into()), true), Instant::now());
        assert_eq!(auth.open("guess", now), Err(Wrong::Token));
        let session = auth.open(TOKEN, now).expect("it is the token");
        let cookie = headers(&[("cookie", &format!("a=b; {COOKIE}={session}"))]);
        assert_eq!(auth.login(&cookie), Login::In);
        assert!(auth.may_read(&cookie, "/") && !auth.may_read(&HeaderMap::new(), "/"));
        assert!(auth.may_read(&HeaderMap::new(), "/healthz"));
        auth.close(&session);
        assert_eq!(auth.login(&cookie), Login::Out);
        for _ in 1..GUESSES {
            assert_eq!(auth.open("guess", now), Err(Wrong::Token));
        }
        assert_eq!(auth.open(TOKEN, now), Err(Wrong::TooOften));
        assert!(auth.open(TOKEN, now + Duration::from_secs(61)).is_ok());
    }

    #[test]
    fn a_script_shows_the_token_itself() {
        let auth = Auth::new(Some(TOKEN.into()), false);
        assert_eq!(auth.login(&headers(&[("authorization", &format!("Bearer {TOKEN}"))])), Login::In);
        assert_eq!(auth.login(&headers(&[("authorization", "Bearer no")])), Login::Out);
        assert_eq!(Auth::new(None, true).login(&headers(&[("authorization", "Bearer ")])), Login::Off);
        assert!(Auth::new(None, true).may_read(&HeaderMap::new(), "/"), "there is nothing to show");
    }

    #[test]
    fn what_comes_from_elsewhere_changes_nothing() {
        let post = |pairs: &[(&'static str, &str)]| is_own(&Method::POST, &headers(pairs));
        assert!(post(&[("sec-fetch-site", "same-origin")]));
        assert!(post(&[("origin", "http://localhost:8080"), ("host", "localhost:8080")]));
        assert!(post(&[("authorization", "Bearer x")]), "no browser sends that by itself");
        assert!(!post(&[]));
        assert!(!post(&[("sec-fetch-site", "cross-site")]));
        assert!(!post(&[("origin", "http://evil.example"), ("host", "localhost:8080")]));
        assert!(!post(&[("origin", "null"), ("host", "localhost:8080")]));
        assert!(is_own(&Method::GET, &HeaderMap::new()));
    }

    #[test]
    fn sessions_are_bounded() {
        let (auth, now) = (Auth::new(Some(TOKEN.into()), false), Instant::now());
        for _ in 0..MOST_SESSIONS + 10 {
            auth.open(TOKEN, now).expect("it is the token");
        }
        assert_eq!(auth.sessions.lock().expect("nobody panics").len(), MOST_SESSIONS);
    }
}
