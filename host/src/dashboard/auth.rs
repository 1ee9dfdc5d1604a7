//! Who holds the admin token: by a form and a cookie for people, by a header for scripts. The token is compared in constant
//! time, guesses are counted, and what a browser sends on somebody else's behalf is refused.

use super::{
    Shared,
    guesses::{self, Guesses},
    pages,
};
use askama::Template;
use axum::{
    Extension, Form,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    io::Read,
    net::{IpAddr, SocketAddr},
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

const COOKIE: &str = "rosey_session";

/// What is known about who may.
#[derive(Debug, Default)]
pub struct Auth {
    token: Option<String>,
    /// Whether reading takes the token as well.
    locked: bool,
    sessions: Mutex<HashMap<String, Instant>>,
    guesses: Guesses,
}

/// What a script shows with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// Nothing, or there is nothing to show.
    None,
    /// The token.
    Right,
    /// Something else.
    Wrong,
    /// Whatever it is, too many others were wrong before.
    TooOften,
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
        !self.locked || is_free(path) || self.login(headers) == Login::In
    }

    /// What a script from here shows with its request; a wrong token is counted.
    pub fn shown(&self, headers: &HeaderMap, from: IpAddr, now: Instant) -> Bearer {
        let (Some(token), Some(shown)) = (&self.token, bearer(headers)) else { return Bearer::None };
        if !self.guesses.may(from, now) {
            return Bearer::TooOften;
        }
        if is_same(shown, token) {
            return Bearer::Right;
        }
        self.guesses.wrong(from, now);
        tracing::warn!("a wrong token was shown to the dashboard from {from}");
        Bearer::Wrong
    }

    fn is_open(&self, session: &str) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(session).is_some_and(|until| *until > Instant::now())
    }

    /// A session for who shows the token.
    fn open(&self, shown: &str, from: IpAddr, now: Instant) -> Result<String, Wrong> {
        if !self.guesses.may(from, now) {
            return Err(Wrong::TooOften);
        }
        if !self.token.as_ref().is_some_and(|token| is_same(shown, token)) {
            self.guesses.wrong(from, now);
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

/// What needs no token even where reading does: it says nothing.
pub fn is_free(path: &str) -> bool {
    ["/healthz", "/readyz", "/login", "/style.css", "/live.js"].contains(&path)
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
pub async fn log_in(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<SocketAddr>,
    headers: HeaderMap,
    Form(shown): Form<Shown>,
) -> Response {
    let (status, problem) = match shared.auth.open(shown.token.trim(), peer.ip(), Instant::now()) {
        Ok(session) => {
            let seconds = SESSION.as_secs();
            let cookie = format!("{COOKIE}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict");
            return ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response();
        }
        Err(Wrong::Token) => (StatusCode::FORBIDDEN, "That is not the token."),
        Err(Wrong::TooOften) => {
            shared.metrics.dashboard_limit("guesses");
            (StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens; try again in a minute.")
        }
    };
    tracing::warn!("somebody at {} could not log in to the dashboard: {problem}", guesses::whose(peer.ip()));
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
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn the_token_opens_a_session_and_guesses_are_counted() {
        let (auth, now) = (Auth::new(Some(TOKEN.into()), true), Instant::now());
        assert_eq!(auth.open("guess", HERE, now), Err(Wrong::Token));
        let session = auth.open(TOKEN, HERE, now).expect("it is the token");
        let cookie = headers(&[("cookie", &format!("a=b; {COOKIE}={session}"))]);
        assert_eq!(auth.login(&cookie), Login::In);
        assert!(auth.may_read(&cookie, "/") && !auth.may_read(&HeaderMap::new(), "/"));
        assert!(auth.may_read(&HeaderMap::new(), "/healthz"));
        auth.close(&session);
        assert_eq!(auth.login(&cookie), Login::Out);
        for _ in 1..guesses::MOST {
            assert_eq!(auth.open("guess", HERE, now), Err(Wrong::Token));
        }
        assert_eq!(auth.open(TOKEN, HERE, now), Err(Wrong::TooOften));
        assert!(auth.open(TOKEN, IpAddr::from([10, 0, 0, 1]), now).is_ok(), "nobody else is kept out");
        assert!(auth.open(TOKEN, HERE, now + Duration::from_secs(61)).is_ok());
    }

    #[test]
    fn a_script_shows_the_token_itself() {
        let auth = Auth::new(Some(TOKEN.into()), false);
        assert_eq!(auth.login(&headers(&[("authorization", &format!("Bearer {TOKEN}"))])), Login::In);
        assert_eq!(auth.login(&headers(&[("authorization", "Bearer no")])), Login::Out);
        let wrong = headers(&[("authorization", "Bearer no")]);
        let tried: Vec<_> = (0..12).map(|_| auth.shown(&wrong, HERE, Instant::now())).collect();
        assert_eq!((tried[0], tried[9], tried[10]), (Bearer::Wrong, Bearer::Wrong, Bearer::TooOften));
        assert_eq!(auth.open(TOKEN, HERE, Instant::now()), Err(Wrong::TooOften), "the form has the same budget");
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
            auth.open(TOKEN, HERE, now).expect("it is the token");
        }
        assert_eq!(auth.sessions.lock().expect("nobody panics").len(), MOST_SESSIONS);
    }
}
