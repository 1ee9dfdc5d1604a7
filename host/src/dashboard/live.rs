//! Tells open pages about new boards: server-sent events with the number of each board. The page then requests itself
//! and replaces what has changed. When too many pages are open, a page is told to poll instead.

use super::Shared;
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use std::{convert::Infallible, pin::Pin, sync::Arc, task, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Open pages at a time: fewer than connections, so that they do not keep other clients out.
pub const MOST: usize = 60;

/// Time between two signs of life, by which the page knows that the host and everything in between still works. The
/// script relies on it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Headers of a stream. nginx buffers answers unless a header forbids it.
const STREAM: [(HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "text/event-stream"),
    (header::CACHE_CONTROL, "no-store, no-transform"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// Sends one event for each new board, until the reader disconnects.
pub async fn stream(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(permit) = Arc::clone(&shared.live).try_acquire_owned() else {
        shared.metrics.dashboard_limit("pages");
        // As an event, because a browser takes any other status for an error and does not try again.
        return (STREAM, "event: full\ndata: \n\n").into_response();
    };
    let (lines, waiting) = mpsc::channel(1);
    let mut boards = shared.metrics.subscribe();
    // A board may have come between the page and its stream.
    boards.mark_changed();
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
