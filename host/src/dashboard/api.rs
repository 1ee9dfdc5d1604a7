//! The pages for programs: JSON, Prometheus text, and two probes. docs/openapi.json describes them, and `/openapi.json`
//! serves it.

use super::{
    Shared, answer,
    auth::Login,
    cache::Rendered,
    pages::{self, At},
};
use crate::metrics::{Board, LONGEST};
use axum::{
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rosey_core::state::PluginState;
use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The history that is shown by default.
const HOUR: Duration = Duration::from_secs(3600);

const JSON: &str = "application/json";

/// Prometheus 3 refuses a scrape with another type.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn typed(kind: &'static str, body: impl Into<Bytes>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

/// All plugins.
pub async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared_body(&shared, "/api/metrics", JSON, |board| &board.json, &headers).await
}

/// An answer that is the same for all who may read, shared until the next board.
async fn shared_body(
    shared: &Shared,
    path: &str,
    kind: &'static str,
    body: fn(&Board) -> &Arc<[u8]>,
    headers: &HeaderMap,
) -> Response {
    let board = shared.metrics.latest();
    if board.number == 0 {
        let answer = problem(StatusCode::SERVICE_UNAVAILABLE, "Rosey is starting; try again in a second");
        return ([(header::RETRY_AFTER, "1")], answer).into_response();
    }
    let render = async || {
        let body = Bytes::from_owner(Arc::clone(body(&board)));
        Ok::<_, Infallible>(shared.named(kind, body, board.number, ""))
    };
    let Ok(rendered) = shared.cache.get(board.number, path.to_owned(), render).await;
    rendered.respond(headers)
}

/// The query of a request about a plugin.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The length of the window.
    window: Option<String>,
}

/// Parses a time above zero, such as `900`, `90s`, `15m`, `1h` or `7d`. A time that does not fit the number becomes the
/// longest one.
fn window(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[at..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    if at == 0 {
        return None;
    }
    let seconds = text[..at].parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// One plugin in full.
pub async fn plugin(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map_or_else(|_| Asked { window: Some(String::new()) }, |Query(asked)| asked);
    let most = shared.metrics.history_duration().max(LONGEST);
    let window = match asked.window.as_deref().map(window) {
        None => HOUR,
        Some(Some(window)) => window.min(most),
        Some(None) => return problem(StatusCode::BAD_REQUEST, "window: a time such as 90s, 15m, 1h or 7d"),
    };
    match shared.metrics.detail(&name, window).await {
        // The read model is plain data that JSON can represent.
        Some(detail) => typed(JSON, serde_json::to_vec(&detail).unwrap_or_default()),
        None => problem(StatusCode::NOT_FOUND, &format!("there is no plugin {name}")),
    }
}

/// `GET /metrics`: the text for Prometheus.
pub async fn prometheus(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    match shared.prometheus {
        true => shared_body(&shared, "/metrics", PROMETHEUS, |board| board.prometheus(), &headers).await,
        false => problem(StatusCode::NOT_FOUND, "metrics.prometheus_enabled is off"),
    }
}

/// `GET /openapi.json`: the description of all of this.
pub async fn description(headers: HeaderMap) -> Response {
    static DESCRIPTION: LazyLock<Rendered> =
        LazyLock::new(|| pages::asset(JSON, include_str!("../../../docs/openapi.json")));
    DESCRIPTION.respond(&headers)
}

/// Time in which the thread of events answers `/healthz`. A turn of it takes milliseconds.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);

/// `GET /healthz`: the host answers, and the thread that moves events runs.
pub async fn health(State(shared): State<Arc<Shared>>) -> Response {
    match tokio::time::timeout(ALIVE_WITHIN, shared.data.spawn(async {})).await {
        Ok(_) => typed("text/plain; charset=utf-8", "ok\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer from the thread that moves events\n").into_response(),
    }
}

/// `GET /readyz`: every plugin that should serve does, and Rosey can record changes. Does not require a login, and so
/// says no more.
pub async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let board = shared.metrics.latest();
    let waiting = |plugin: &&crate::view::Plugin| {
        !matches!(plugin.state, PluginState::Running | PluginState::Reloading | PluginState::Stopped)
    };
    let down: Vec<_> = board.snapshot.plugins.iter().filter(waiting).map(|plugin| plugin.name.as_str()).collect();
    if board.number == 0 {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response();
    }
    if !down.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("not serving: {}\n", down.join(", "))).into_response();
    }
    if board.snapshot.system.database.is_some() {
        return (StatusCode::SERVICE_UNAVAILABLE, "rosey.db cannot be written to\n").into_response();
    }
    typed("text/plain; charset=utf-8", "ready\n")
}

/// The answer for a path without a page.
pub async fn nothing(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let at = At::of(&method, &uri, Login::Off);
    answer::problem(StatusCode::NOT_FOUND, &format!("there is nothing at {}", uri.path()), &at, &headers)
}

/// The answer for a wrong method; axum adds the allowed ones. For `OPTIONS` that is the answer. A browser that opens the
/// address of a button goes to the page that has the button.
pub async fn not_allowed(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let is_button = uri.path().starts_with("/plugin/") && [Method::GET, Method::HEAD].contains(&method);
    let plugin = uri.path().rsplit('/').nth(1).filter(|_| is_button && answer::is_browser(&headers));
    if let Some(to) = plugin.and_then(|plugin| HeaderValue::from_str(&format!("../{plugin}")).ok()) {
        return (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    }
    let at = At::of(&Method::GET, &uri, Login::Off);
    let text = format!("{method} cannot be used here; see Allow");
    answer::problem(StatusCode::METHOD_NOT_ALLOWED, &text, &at, &headers)
}

fn problem(status: StatusCode, text: &str) -> Response {
    answer::json(status, "error", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_times_and_nothing_else() {
        let seconds = |text| window(text).map(|window| window.as_secs());
        assert_eq!(
            [seconds("900"), seconds("90s"), seconds("15m"), seconds("7d")],
            [Some(900), Some(90), Some(900), Some(604_800)]
        );
        for bad in ["", "0", "m", "-1s", "1.5h", "1w", "1hm", "1 h"] {
            assert_eq!(window(bad), None, "{bad}");
        }
        for long in ["99999999999999999999", "18446744073709551615h"] {
            assert_eq!(seconds(long), Some(u64::MAX), "{long}");
        }
    }
}
