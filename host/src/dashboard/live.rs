//! Tells an open page that there is something new: server-sent events, each the number of a board. The page then asks for
//! itself, and replaces what has changed.

use super::Shared;
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use std::{convert::Infallible, pin::Pin, sync::Arc, task, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Open pages at a time: fewer than connections, so that they cannot keep everybody else out.
pub const MOST: usize = 60;

/// Between two signs of life, so that whatever lies between does not take the connection for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// One line for each new board, until the reader goes.
pub async fn stream(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(permit) = Arc::clone(&shared.live).try_acquire_owned() else {
        let retry = [(header::RETRY_AFTER, "30")];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, "Too many pages are open; this one refreshes slowly.\n")
            .into_response();
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
                () = tokio::time::sleep(SIGN_OF_LIFE) => ":\n\n".to_owned(),
                () = lines.closed() => break,
            };
            if lines.send(line).await.is_err() {
                break;
            }
        }
    });
    let body = Body::from_stream(Lines { waiting, _permit: permit });
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
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
