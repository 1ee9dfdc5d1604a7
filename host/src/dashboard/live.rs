//! Tells an open page that there is something new: server-sent events, each the number of a board. The page then asks for
//! itself, and replaces what has changed. Where too many are open, a page is told to ask by itself now and then.

use super::Shared;
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use std::{convert::Infallible, pin::Pin, sync::Arc, task, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Open pages at a time: fewer than connections, so that they cannot keep everybody else out.
pub const MOST: usize = 60;

/// Between two signs of life, by which the page knows that the host still lives, and whatever lies between that the
/// connection does. The script counts on it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A stream, which no proxy is to hold back: nginx collects answers unless it is told not to.
const STREAM: [(HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "text/event-stream"),
    (header::CACHE_CONTROL, "no-store, no-transform"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// One line for each new board, until the reader goes.
pub async fn stream(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(permit) = Arc::clone(&shared.live).try_acquire_owned() else {
        shared.metrics.dashboard_limit("pages");
        // As an event: a browser takes any other status for an error, and never tries again.
        return (STREAM, "event: full\ndata: \n\n").into_response();
    };
    let (lines, waiting) = mpsc::channel(1);
    let mut boards = shared.metrics.subscribe();
    tokio::spawn(async move {
        loop {
            let line = tokio::select! {
                changed = boards.changed() => match changed {
                    Ok(()) => format!("data: {}\n\n", *boards.borrow_and_update()),
                    Err(_) => break,
                },
                () = tokio::time::sleep(SIGN_OF_LIFE) => "event: alive\ndata: \n\n".to_owned(),
                () = lines.closed() => break,
            };
            if lines.send(line).await.is_err() {
                break;
            }
        }
    });
    let body = Body::from_stream(Lines { waiting, _permit: permit });
    (STREAM, body).into_response()
}

struct Lines {
    waiting: mpsc::Receiver<String>,
    _permit: OwnedSemaphorePermit,
}

impl futures_core::Stream for Lines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<Option<Self::Item>> {
        self.waiting.poll_recv(cx).map(|line| line.map(|line| Ok(line.into())))
    }
}
