//! The events as files: JSON for programs, CSV for spreadsheets. Both take the filter of the page.

use super::{Shared, answer, events::Look, words};
use crate::{text, view::mark::Mark};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{borrow::Cow, sync::Arc};

/// The events that pass, the newest first. At most as many as are kept. `None` when there is no such plugin.
fn passing(shared: &Shared, look: &Look) -> Option<Vec<Mark>> {
    let board = shared.metrics.latest();
    if let Some(plugin) = look.plugin()
        && board.number > 0
        && !board.snapshot.plugins.iter().any(|known| known.name == plugin)
    {
        return None;
    }
    let now = words::now();
    Some(shared.metrics.marks_that(|mark| look.passes(mark, now), usize::MAX))
}

fn missing(look: &Look) -> Response {
    let text = format!("there is no plugin {}", look.plugin().unwrap_or_default());
    answer::json(StatusCode::NOT_FOUND, "error", &text)
}

/// `GET /api/events`.
pub async fn json(State(shared): State<Arc<Shared>>, look: Result<Query<Look>, QueryRejection>) -> Response {
    if let Some(mistake) = Look::mistake(&look) {
        return answer::json(StatusCode::BAD_REQUEST, "error", mistake);
    }
    let look = Look::of(look);
    let Some(events) = passing(&shared, &look) else { return missing(&look) };
    // Marks are plain data that JSON can represent.
    let body = serde_json::to_vec(&serde_json::json!({"events": events})).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// `GET /events.csv`, as RFC 4180 has it.
pub async fn csv(State(shared): State<Arc<Shared>>, look: Result<Query<Look>, QueryRejection>) -> Response {
    let look = Look::of(look);
    let Some(events) = passing(&shared, &look) else { return missing(&look) };
    let mut body = "number,at,plugin,kind,severity,person,text\r\n".to_owned();
    for event in events {
        let number = event.number.to_string();
        let fields = [
            &number,
            &event.at,
            event.plugin.as_deref().unwrap_or_default(),
            event.kind.word(),
            event.severity.word(),
            event.person.as_deref().unwrap_or_default(),
            &event.text,
        ];
        body.push_str(&fields.map(field).join(","));
        body.push_str("\r\n");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"rosey-events.csv\""),
    ];
    (headers, body).into_response()
}

/// A field of CSV. A spreadsheet takes a text that begins like a formula for one, so an apostrophe comes before it.
fn field(text: &str) -> String {
    let text: Cow<'_, str> = text::visible(text);
    let is_formula = text.starts_with(['=', '+', '-', '@']);
    let text = if is_formula { format!("'{text}") } else { text.into_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_one_field_and_no_formula() {
        let fields = ["plain", "a, b", "said \"no\"", "=HYPERLINK(\"x\")", "-1", "rolled\u{202e}back"].map(field);
        let expected =
            ["plain", "\"a, b\"", "\"said \"\"no\"\"\"", "\"'=HYPERLINK(\"\"x\"\")\"", "'-1", "rolled\\u{202e}back"];
        assert_eq!(fields, expected);
    }
}
