//! Checks every request: whether it is meant for this server, whether its sender asks too much, and what a browser may
//! do with the answer.

use super::{
    MAX_BODY, Shared, answer,
    auth::{self, Bearer, Login},
    client::Client,
    guesses,
    pages::At,
};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::Response,
};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Nothing from other sites, no inline script, no inline style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Requests a second from one address, over time: twice the 100 that each client can rely on. This machine has no
/// limit.
const PER_SECOND: f64 = 200.0;

/// Requests at once from one address.
const BURST: f64 = 400.0;

/// Paths that are answered under any host name.
const FOR_ANY_NAME: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Time for a whole body. It is one line, and comes with its head.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// The remaining budget of each address.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<IpAddr, (Instant, f64)>>);

impl Rates {
    /// Takes one request from an address's budget. Returns false when none is left.
    fn take(&self, address: IpAddr, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= guesses::MOST_ADDRESSES && !all.contains_key(&address) {
            // An address with a full budget has not asked for a while.
            all.retain(|_, (at, left)| *left + now.duration_since(*at).as_secs_f64() * PER_SECOND < BURST);
        }
        let address = guesses::entry(&all, address);
        let (at, left) = all.entry(address).or_insert((now, BURST));
        *left = (*left + now.saturating_duration_since(*at).as_secs_f64() * PER_SECOND).min(BURST);
        *at = now;
        if *left < 1.0 {
            return false;
        }
        *left -= 1.0;
        true
    }
}

/// Lets a request pass, or answers it here. Handlers find its [`Client`] in its extensions.
pub async fn guard(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let head = (request.version(), request.uri(), request.headers());
    let mut response = match Client::of(peer.ip(), head, &shared.proxies) {
        Err(problem) => refused(StatusCode::BAD_REQUEST, problem, request.uri(), request.headers()),
        Ok(client) => match refusal(&shared, &client, &request) {
            Some(refusal) => refusal,
            None => {
                request.extensions_mut().insert(client);
                let (uri, headers) = (request.uri().clone(), request.headers().clone());
                match whole(&shared, request).await {
                    Ok(request) => next.run(request).await,
                    Err((status, text)) => refused(status, text, &uri, &headers),
                }
            }
        },
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: with it a browser sends `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

type Refusal = (StatusCode, &'static str);

fn refusal(shared: &Shared, client: &Client, request: &Request) -> Option<Response> {
    let (now, path, headers) = (Instant::now(), request.uri().path(), request.headers());
    if !client.is_local() && !shared.rates.take(client.address, now) {
        shared.metrics.dashboard_limit("requests");
        let text = "Too many requests; slow down.";
        return Some(refused(StatusCode::TOO_MANY_REQUESTS, text, request.uri(), headers));
    }
    // A probe or a scraper may use any host name. It gets nothing that a cookie protects.
    let is_probe = FOR_ANY_NAME.contains(&path) && !headers.contains_key(header::COOKIE);
    if !is_probe && !client.host.as_deref().is_some_and(|named| is_one_of(named, &shared.hosts)) {
        return Some(refused(StatusCode::MISDIRECTED_REQUEST, &unknown_name(client), request.uri(), headers));
    }
    // The methods of a page are no secret.
    if request.method() == Method::OPTIONS {
        return None;
    }
    let shown = if auth::is_free(path) { Bearer::None } else { shared.auth.shown(headers, client, now) };
    if shown == Bearer::TooOften {
        shared.metrics.dashboard_limit("guesses");
        let text = "Too many wrong tokens; the right one still works.";
        return Some(refused(StatusCode::TOO_MANY_REQUESTS, text, request.uri(), headers));
    }
    if shown == Bearer::Wrong || !shared.auth.may_read(headers, path, client) {
        return Some(auth::refuse(request.method(), request.uri(), headers));
    }
    None
}

fn unknown_name(client: &Client) -> String {
    let asked = client.host.as_deref().map_or_else(|| "no host".to_owned(), |host| format!("the host {host:?}"));
    format!(
        "The request names {asked}, which is no name of this dashboard. Expected: its address, or a name from \
         dashboard.allowed_hosts. Behind a proxy see \"Behind a proxy\" in docs/guides/DASHBOARD.md."
    )
}

/// Refuses a form of another site's page. For every route that changes something.
pub async fn own_forms_only(Extension(client): Extension<Client>, request: Request, next: Next) -> Response {
    match auth::is_own(request.method(), request.headers(), &client) {
        Ok(()) => next.run(request).await,
        Err(problem) => refused(StatusCode::FORBIDDEN, &problem, request.uri(), request.headers()),
    }
}

/// A refusal as a page for browsers, without anything about the reader, and as JSON for programs.
fn refused(status: StatusCode, text: &str, uri: &Uri, headers: &HeaderMap) -> Response {
    answer::problem(status, text, &At::of(&Method::GET, uri, Login::Off), headers)
}

/// The request with its whole body. Only this place waits for a body.
async fn whole(shared: &Shared, request: Request) -> Result<Request, Refusal> {
    if [Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    match tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(Request::from_parts(head, Body::from(body))),
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "The form is too large.")),
        Err(_) => {
            shared.metrics.dashboard_limit("body_time");
            Err((StatusCode::REQUEST_TIMEOUT, "The rest of the request did not come in time."))
        }
    }
}

fn is_one_of(named: &str, hosts: &[String]) -> bool {
    let is_port = |port: &str| port.chars().all(|c| c.is_ascii_digit());
    let (host, port) = match named.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => named.split_once(':').unwrap_or((named, "")),
    };
    let host = if is_port(port) { host.to_lowercase() } else { String::new() };
    hosts.contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_known_names_are_served() {
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        for good in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"] {
            assert!(is_one_of(good, &hosts), "{good}");
        }
        for bad in ["", "evil.example", "localhost.evil.example", "127.0.0.1@evil.example", "a b", "localhost:x/.."] {
            assert!(!is_one_of(bad, &hosts), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_budget_that_comes_back() {
        let (rates, now) = (Rates::default(), Instant::now());
        let (greedy, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert_eq!((0..BURST as usize + 10).filter(|_| rates.take(greedy, now)).count(), BURST as usize);
        assert!(rates.take(other, now));
        assert!(rates.take(greedy, now + Duration::from_millis(10)));
        for number in 0..5000u32 {
            rates.take(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(rates.0.lock().expect("no code panics here").len() <= guesses::MOST_ADDRESSES + 1);
    }
}
