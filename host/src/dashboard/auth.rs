//! Who holds the admin token: people by a form and a cookie, scripts by a header. The token is compared in constant
//! time, wrong tokens are counted, and requests that another site makes a browser send are refused.

use super::{
    Shared,
    answer::{self, is_browser},
    client::Client,
    guesses::{Guesses, Throttle},
    pages::{self, At},
};
use askama::Template;
use axum::{
    Extension, Form,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;

/// The least length of a token: 16 characters of a password manager are 96 bits.
pub const LEAST_TOKEN: usize = 16;

/// How long a login lasts.
const SESSION: Duration = Duration::from_secs(12 * 3600);

/// Logins at a time. A further login ends the oldest.
const MOST_SESSIONS: usize = 64;

/// The cookie of a login begins so; [`Auth::suffix`] follows.
const COOKIE: &str = "rosey_session_";

/// The token and the sessions.
#[derive(Debug, Default)]
pub struct Auth {
    token: Option<String>,
    /// Tells the cookies of the bots on one host apart: browsers ignore the port.
    suffix: String,
    readers: Readers,
    sessions: Mutex<HashMap<String, Instant>>,
    guesses: Guesses,
    complaints: Throttle,
}

/// Who may read without the token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Readers {
    /// Everyone who can reach the address.
    #[default]
    All,
    /// Clients on this machine, except those from elsewhere that come through a proxy on it.
    Local,
    /// No one: reading requires the token.
    None,
}

/// The token in a request of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// The request has no token, or none is configured.
    None,
    /// The right token.
    Right,
    /// A wrong token.
    Wrong,
    /// A wrong token, after too many others.
    TooOften,
}

/// Whether a token is configured, and whether this reader has logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// No token is configured: no one can change anything.
    Off,
    /// A token is configured, and this reader has not shown it.
    Out,
    /// This reader has shown the token.
    In,
}

impl Auth {
    /// Without a token no one can log in, and everyone reads.
    /// `port` and the machine's name make the suffix of cookies.
    pub fn new(token: Option<String>, readers: Readers, port: u16) -> Self {
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let hash = Sha256::digest(format!("{machine}:{port}"));
        let suffix = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { token, readers, suffix, ..Self::default() }
    }

    /// The login of this request.
    pub fn login(&self, headers: &HeaderMap) -> Login {
        match &self.token {
            None => Login::Off,
            Some(token) if bearer(headers).is_some_and(|shown| is_same(shown, token)) => Login::In,
            Some(_) if self.session(headers).is_some_and(|session| self.is_open(session)) => Login::In,
            Some(_) => Login::Out,
        }
    }

    /// Whether this request may read this path.
    pub fn may_read(&self, headers: &HeaderMap, path: &str, client: &Client) -> bool {
        let is_reader = match self.readers {
            Readers::All => true,
            Readers::Local => client.is_local(),
            Readers::None => false,
        };
        is_reader || is_free(path) || self.login(headers) != Login::Out
    }

    /// The token in a script's request. A wrong token is counted. The right one, or a session, is never refused because
    /// of wrong tokens of others, who may have the same address.
    pub fn shown(&self, headers: &HeaderMap, client: &Client, now: Instant) -> Bearer {
        let (Some(_), Some(_)) = (&self.token, bearer(headers)) else { return Bearer::None };
        if self.login(headers) == Login::In {
            return Bearer::Right;
        }
        match self.guess(client, now) {
            true => Bearer::Wrong,
            false => Bearer::TooOften,
        }
    }

    /// Counts a wrong token. Returns false when there were too many from this address already.
    fn guess(&self, client: &Client, now: Instant) -> bool {
        let from = client.whose();
        self.complaints.warn(&format!("the dashboard got a wrong token from {from}"));
        let may = self.guesses.may(from, now);
        if may {
            self.guesses.wrong(from, now);
        }
        may
    }

    /// The session in the browser's cookie.
    pub fn session<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, &self.cookie())
    }

    /// The end of the name of each cookie of this bot.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    fn cookie(&self) -> String {
        format!("{COOKIE}{}", self.suffix)
    }

    fn is_open(&self, session: &str) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(session).is_some_and(|until| *until > Instant::now())
    }

    /// Opens a session for a client that shows the token.
    fn open(&self, shown: &str, client: &Client, now: Instant) -> Result<String, Wrong> {
        if !self.token.as_ref().is_some_and(|token| is_same(shown, token)) {
            return Err(if self.guess(client, now) { Wrong::Token } else { Wrong::TooOften });
        }
        let session = random().ok_or(Wrong::NoRandom)?;
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
    /// The kernel returns no random bits.
    NoRandom,
}

/// Paths that need no token even if reading does, because they reveal nothing.
pub fn is_free(path: &str) -> bool {
    ["/healthz", "/readyz", "/openapi.json", "/login", "/style.css", "/live.js", "/favicon.ico"].contains(&path)
}

/// Compares hashes, so that timing does not even reveal the length.
fn is_same(shown: &str, token: &str) -> bool {
    Sha256::digest(shown).ct_eq(&Sha256::digest(token)).into()
}

/// 256 random bits from the kernel, in hex.
pub fn random() -> Option<String> {
    let mut bytes = [0u8; 32];
    std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut cookies = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|it| it.trim().split_once('='));
    cookies.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Whether a request that changes something comes from our own page, or from a script with the token. A browser says
/// where a form comes from; a request without that is refused.
///
/// # Errors
/// What was expected and what came.
pub fn is_own(method: &Method, headers: &HeaderMap, client: &Client) -> Result<(), String> {
    if [Method::GET, Method::HEAD].contains(method) || bearer(headers).is_some() {
        return Ok(());
    }
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let (origin, host) = (text(header::ORIGIN), client.host.as_deref().unwrap_or_default());
    let is_own = match (site, origin.and_then(|origin| origin.split_once("://"))) {
        (Some(site), _) => site == "same-origin",
        (None, Some((scheme, named))) => {
            let is_here = without_usual_port(scheme, named).eq_ignore_ascii_case(without_usual_port(scheme, host));
            is_here && !host.is_empty() && client.scheme.is_none_or(|known| known == scheme)
        }
        (None, None) => false,
    };
    if is_own {
        return Ok(());
    }
    let came = match (site, origin) {
        (Some(site), _) => format!("Sec-Fetch-Site: {site:?}"),
        (None, Some(origin)) => format!("Origin: {origin:?}"),
        (None, None) => "no Origin".to_owned(),
    };
    Err(format!(
        "This was sent by another site's page, or a proxy changed it. Expected: Origin: \"{}://{host}\"; it came with {came}. \
         Behind a proxy see \"Behind a proxy\" in docs/guides/DASHBOARD.md; a script shows the token: Authorization: \
         Bearer …\n",
        client.scheme.unwrap_or("http")
    ))
}

/// A host without the default port of its scheme: a browser leaves it out, a proxy may not.
fn without_usual_port<'a>(scheme: &str, host: &'a str) -> &'a str {
    let usual = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(usual).unwrap_or(host)
}

/// The answer for a client that must log in first: the form for a browser, JSON for a script.
pub fn refuse(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let mut response = match is_browser(headers) {
        true => ask_to_log_in(&At::of(method, uri, Login::Out), headers),
        false => answer::json(
            StatusCode::UNAUTHORIZED,
            "error",
            "Log in at /login, or show the token: Authorization: Bearer …",
        ),
    };
    // Not `Basic`, so browsers do not ask for a password.
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Rosey\""));
    response
}

/// The form to log in, in place of a page that needs the token. It leads back to that page.
pub fn ask_to_log_in(at: &At, headers: &HeaderMap) -> Response {
    let page = LoginPage { at, next: &at.here, problem: None };
    pages::page(StatusCode::UNAUTHORIZED, &page, headers)
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    at: &'a At,
    /// The page after the login, from the root of the dashboard.
    next: &'a str,
    problem: Option<&'a str>,
}

/// The form's fields.
#[derive(serde::Deserialize)]
pub struct Shown {
    token: String,
    #[serde(default)]
    next: String,
}

/// The page after the login.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct Wanted {
    next: String,
}

/// `GET /login`: the form.
pub async fn form(
    State(shared): State<Arc<Shared>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Query(wanted) = wanted.unwrap_or_default();
    let at = At::new("./", shared.auth.login(&headers), "/");
    pages::page(StatusCode::OK, &LoginPage { at: &at, next: &wanted.next, problem: None }, &headers)
}

/// `POST /login`: the completed form.
pub async fn log_in(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Form(shown): Form<Shown>,
) -> Response {
    let (status, problem) = match shared.auth.open(shown.token.trim(), &client, Instant::now()) {
        Ok(session) => return redirect(&shown.next, &shared.auth.set(&session, SESSION.as_secs(), &client)),
        Err(Wrong::Token) => (StatusCode::FORBIDDEN, "That is not the token."),
        Err(Wrong::TooOften) => {
            shared.metrics.dashboard_limit("guesses");
            (StatusCode::TOO_MANY_REQUESTS, "That is not the token, and your address has tried too many wrong ones.")
        }
        Err(Wrong::NoRandom) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The system returns no random bits (/dev/urandom), so no login is possible.",
        ),
    };
    let at = At::new("./", shared.auth.login(&headers), "/");
    pages::page(status, &LoginPage { at: &at, next: &shown.next, problem: Some(problem) }, &headers)
}

/// `POST /logout`: ends the session.
pub async fn log_out(
    State(shared): State<Arc<Shared>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Response {
    if let Some(session) = shared.auth.session(&headers) {
        shared.auth.close(session);
    }
    redirect("/", &shared.auth.set("", 0, &client))
}

/// A redirect to a page of ours, whatever `next` says: a path that begins with a dot has no host. Relative, because a
/// proxy may have put the dashboard under a path.
fn redirect(next: &str, cookie: &str) -> Response {
    let next = if next.starts_with('/') { next } else { "/" };
    let to = HeaderValue::from_str(&format!(".{next}")).unwrap_or_else(|_| HeaderValue::from_static("./"));
    (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie)], [(header::LOCATION, to)]).into_response()
}

impl Auth {
    /// Without `Path`, so that a browser keeps the cookie for the dashboard's folder behind its proxy and no other.
    /// `Lax`, so that a reader who follows a link from elsewhere is logged in; requests that change something require
    /// more ([`is_own`]).
    fn set(&self, session: &str, seconds: u64, client: &Client) -> String {
        let secure = if client.scheme == Some("https") { "; Secure" } else { "" };
        format!("{}={session}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", self.cookie())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::guesses;

    const TOKEN: &str = "correct horse battery staple";

    fn client(address: [u8; 4], host: &str, scheme: Option<&'static str>) -> Client {
        Client { address: address.into(), host: Some(host.into()), scheme }
    }

    fn here() -> Client {
        client([127, 0, 0, 1], "localhost:8080", None)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[tokio::test]
    async fn the_token_opens_a_session_and_only_guesses_are_limited() {
        let (auth, now) = (Auth::new(Some(TOKEN.into()), Readers::None, 8080), Instant::now());
        assert_eq!(auth.open("guess", &here(), now), Err(Wrong::Token));
        let session = auth.open(TOKEN, &here(), now).expect("it is the token");
        let cookie = headers(&[("cookie", &format!("a=b; {}={session}", auth.cookie()))]);
        assert_eq!(auth.login(&cookie), Login::In);
        assert!(auth.may_read(&cookie, "/", &here()) && !auth.may_read(&HeaderMap::new(), "/", &here()));
        assert!(auth.may_read(&HeaderMap::new(), "/healthz", &here()));
        auth.close(&session);
        assert_eq!(auth.login(&cookie), Login::Out);
        for _ in 1..guesses::MOST {
            assert_eq!(auth.open("guess", &here(), now), Err(Wrong::Token));
        }
        assert_eq!(auth.open("guess", &here(), now), Err(Wrong::TooOften));
        assert!(auth.open(TOKEN, &here(), now).is_ok(), "the right one is taken all the same");
        assert_eq!(auth.open("guess", &client([10, 0, 0, 1], "x", None), now), Err(Wrong::Token), "others may try");
        assert_eq!(auth.open("guess", &here(), now + Duration::from_secs(61)), Err(Wrong::Token));
    }

    #[tokio::test]
    async fn a_script_shows_the_token_itself() {
        let auth = Auth::new(Some(TOKEN.into()), Readers::All, 8080);
        let (right, wrong) = (format!("Bearer {TOKEN}"), "Bearer no");
        assert_eq!(auth.login(&headers(&[("authorization", &right)])), Login::In);
        assert_eq!(auth.login(&headers(&[("authorization", &format!("bearer {TOKEN}"))])), Login::In);
        assert_eq!(auth.login(&headers(&[("authorization", &format!("Basic {TOKEN}"))])), Login::Out);
        assert_eq!(auth.login(&headers(&[("authorization", wrong)])), Login::Out);
        let show = |pairs: &[(&'static str, &str)]| auth.shown(&headers(pairs), &here(), Instant::now());
        let tried: Vec<_> = (0..12).map(|_| show(&[("authorization", wrong)])).collect();
        assert_eq!((tried[0], tried[9], tried[10]), (Bearer::Wrong, Bearer::Wrong, Bearer::TooOften));
        assert_eq!(auth.open("no", &here(), Instant::now()), Err(Wrong::TooOften), "the form has the same budget");
        assert_eq!(show(&[("authorization", &right)]), Bearer::Right, "wrong tokens of others lock no client out");
        let session = auth.open(TOKEN, &here(), Instant::now()).expect("it is the token");
        let cookie = format!("{}={session}", auth.cookie());
        assert_eq!(show(&[("authorization", wrong), ("cookie", &cookie)]), Bearer::Right, "nor a session");
        assert_eq!(Auth::new(None, Readers::None, 8080).login(&headers(&[("authorization", "Bearer ")])), Login::Off);
        assert!(Auth::new(None, Readers::None, 8080).may_read(&HeaderMap::new(), "/", &here()), "nothing to show");
        let local = Auth::new(Some(TOKEN.into()), Readers::Local, 8080);
        let elsewhere = client([192, 0, 2, 7], "bot.example", None);
        assert!(local.may_read(&HeaderMap::new(), "/", &here()) && !local.may_read(&HeaderMap::new(), "/", &elsewhere));
    }

    #[test]
    fn what_comes_from_elsewhere_changes_nothing() {
        let post = |client: &Client, pairs: &[(&'static str, &str)]| is_own(&Method::POST, &headers(pairs), client);
        let local = |pairs: &[(&'static str, &str)]| post(&here(), pairs);
        assert_eq!(local(&[("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(local(&[("origin", "http://localhost:8080")]), Ok(()));
        assert_eq!(local(&[("authorization", "Bearer x")]), Ok(()), "no browser sends that by itself");
        for bad in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:8080")],
            &[("origin", "http://evil.example")],
            &[("origin", "http://localhost")],
            &[("origin", "http://localhost:8080.evil.example")],
            &[("origin", "localhost:8080")],
            &[("origin", "null")],
            &[("origin", "")],
        ] {
            let problem = local(bad).expect_err("it is another site's");
            assert!(problem.contains("Expected: Origin: \"http://localhost:8080\""), "{problem}");
        }
        assert!(local(&[("origin", "null")]).is_err_and(|problem| problem.contains("came with Origin: \"null\"")));
        let proxied = client([192, 0, 2, 7], "Bot.example", Some("https"));
        assert_eq!(post(&proxied, &[("origin", "https://bot.example")]), Ok(()));
        let with_port = client([192, 0, 2, 7], "bot.example:443", None);
        assert_eq!(post(&with_port, &[("origin", "https://bot.example")]), Ok(()), "the port that it has anyway");
        assert!(post(&with_port, &[("origin", "http://bot.example")]).is_err());
        let nameless = Client { host: None, ..here() };
        assert!(
            post(&nameless, &[("origin", "http://")]).is_err() && post(&nameless, &[("origin", "http://:80")]).is_err()
        );
        assert!(post(&proxied, &[("origin", "http://bot.example")]).is_err(), "another scheme is another origin");
        assert_eq!(is_own(&Method::GET, &HeaderMap::new(), &here()), Ok(()));
    }

    #[test]
    fn after_the_form_one_stays_on_this_dashboard() {
        let to = |next: &str| redirect(next, "").headers()["location"].to_str().expect("text").to_owned();
        assert_eq!(to("/plugin/x?window=5m"), "./plugin/x?window=5m");
        assert_eq!((to(""), to("https://evil.example"), to("evil")), ("./".into(), "./".into(), "./".into()));
        assert_eq!(
            (to("//evil.example"), to("/\\evil")),
            (".//evil.example".into(), "./\\evil".into()),
            "no host in it"
        );
        assert_eq!(to("/x\r\nSet-Cookie: a=b"), "./");
        let (auth, other) = (Auth::new(None, Readers::All, 1), Auth::new(None, Readers::All, 2));
        let set = auth.set("s", 5, &here());
        assert!(set.starts_with(COOKIE) && set.ends_with("=s; Max-Age=5; HttpOnly; SameSite=Lax"), "{set}");
        assert!(auth.set("s", 5, &client([1, 1, 1, 1], "x", Some("https"))).ends_with("; Secure"));
        assert_ne!(auth.cookie(), other.cookie(), "two bots on one machine do not log each other out");
    }

    #[test]
    fn sessions_are_bounded() {
        let (auth, now) = (Auth::new(Some(TOKEN.into()), Readers::All, 8080), Instant::now());
        for _ in 0..MOST_SESSIONS + 10 {
            auth.open(TOKEN, &here(), now).expect("it is the token");
        }
        assert_eq!(auth.sessions.lock().expect("no code panics here").len(), MOST_SESSIONS);
    }
}
