//! What programs read: JSON in the shapes of the PRD's Appendix C, Prometheus text, and two lights. docs/openapi.json
//! describes it.

use super::Shared;
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;

const JSON: &str = "application/json";

/// Without this very type, Prometheus 3 refuses the scrape.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn typed(kind: &'static str, body: impl Into<Bytes>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body.into()).into_response()
}

/// All plugins.
pub async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    typed(JSON, Bytes::from_owner(Arc::clone(&shared.metrics.latest().json)))
}

/// One plugin in full.
pub async fn plugin(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    match shared.metrics.detail(&name).await {
        // The read model is plain data, and JSON has room for all of it.
        Some(detail) => typed(JSON, serde_json::to_vec(&detail).unwrap_or_default()),
        None => problem(StatusCode::NOT_FOUND, &format!("there is no plugin {name}")),
    }
}

/// For Prometheus.
pub async fn prometheus(State(shared): State<Arc<Shared>>) -> Response {
    match shared.prometheus {
        true => typed(PROMETHEUS, Bytes::from_owner(Arc::clone(&shared.metrics.latest().prometheus))),
        false => problem(StatusCode::NOT_FOUND, "metrics.prometheus_enabled is off"),
    }
}

/// The host answers.
pub async fn health() -> Response {
    typed("text/plain; charset=utf-8", "ok\n")
}

/// Every plugin that should serve does.
pub async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let board = shared.metrics.latest();
    let waiting = |plugin: &&crate::view::Plugin| !matches!(plugin.state, "running" | "reloading" | "stopped");
    let down: Vec<_> = board.snapshot.plugins.iter().filter(waiting).map(|plugin| plugin.name.as_str()).collect();
    if board.number == 0 {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response();
    }
    match down.is_empty() {
        true => typed("text/plain; charset=utf-8", "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("not serving: {}\n", down.join(", "))).into_response(),
    }
}

/// No such page.
pub async fn nothing(uri: Uri) -> Response {
    problem(StatusCode::NOT_FOUND, &format!("there is nothing at {}", uri.path()))
}

/// No such method.
pub async fn not_allowed() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "this can only be read")
}

fn problem(status: StatusCode, text: &str) -> Response {
    let body = serde_json::json!({"error": text}).to_string();
    (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
}
