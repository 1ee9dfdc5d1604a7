//! Runs `async` handlers: the first poll on the shim's main thread, all later polls on a thread of the library.
//!
//! Most handlers are ready at the first poll, and their answers leave with the batch that they came in. The first
//! handler that is not ready, or that leaves a task behind, starts a single thread, which drives a tokio runtime for
//! all of them. The runtime itself (some 40 KiB) exists from `create` on, so that code anywhere can create timers and
//! tasks.

use super::{glue::reply, module::HostApiRef};
use crate::{Error, Finished, Result, guard};
use std::{
    future::{Future, pending, poll_fn},
    mem,
    pin::Pin,
    sync::{Once, OnceLock},
    task::{Poll, Waker},
    thread,
    time::Instant,
};
use tokio::runtime::{Builder, Runtime};

type Handler = Pin<Box<dyn Future<Output = Finished> + Send>>;

/// The lane of the runtime's thread in `HostApi::executing`.
const RUNTIME_LANE: u32 = 1;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Creates the runtime and enters it on the calling thread for good. To enter it for each event would cost more than
/// the poll.
pub(super) fn start() -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    RUNTIME.set(runtime).map_err(|_| Error::internal("the runtime was started twice"))?;
    mem::forget(RUNTIME.get().map(Runtime::enter));
    Ok(())
}

/// Polls a handler for the first time, and answers or moves it to the runtime's thread. Never unwinds.
pub(super) fn poll_once(host: HostApiRef, event: u64, deadline: Instant, mut handler: Handler) {
    match poll_guarded(&mut handler, Waker::noop()) {
        Poll::Ready(finished) => {
            discard(handler);
            reply(host, event, finished);
        }
        Poll::Pending => {
            if let Some(runtime) = RUNTIME.get() {
                runtime.spawn(finish(host, event, deadline, handler));
            }
        }
    }
}

/// Starts the thread that drives the runtime, once there is something to drive.
pub(super) fn drive() {
    static DRIVEN: Once = Once::new();
    let Some(runtime) = RUNTIME.get() else { return };
    if DRIVEN.is_completed() || runtime.metrics().num_alive_tasks() == 0 {
        return;
    }
    DRIVEN.call_once(|| {
        let run = || runtime.block_on(pending::<()>());
        if let Err(error) = thread::Builder::new().name("plugin-runtime".into()).spawn(run) {
            // Handlers that wait end at the host's deadline.
            tracing::error!("the plugin's runtime thread did not start: {error}");
        }
    });
}

/// Polls a handler to its end, records every poll, and ends its event. At the deadline, when the host has ended the
/// event itself, it drops the handler without an answer, so that handlers that never end do not accumulate.
async fn finish(host: HostApiRef, event: u64, deadline: Instant, mut handler: Handler) {
    let mut late = std::pin::pin!(tokio::time::sleep_until(deadline.into()));
    let result = poll_fn(|cx| {
        host.executing()(RUNTIME_LANE, event);
        let polled = poll_guarded(&mut handler, cx.waker());
        host.executing()(RUNTIME_LANE, 0);
        if polled.is_pending() && late.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        polled.map(Some)
    })
    .await;
    host.executing()(RUNTIME_LANE, event);
    discard(handler);
    host.executing()(RUNTIME_LANE, 0);
    match result {
        Some(finished) => reply(host, event, finished),
        None => tracing::warn!("a handler that still awaited at its deadline was dropped"),
    }
}

fn poll_guarded(handler: &mut Handler, waker: &Waker) -> Poll<Finished> {
    guard::catch(|| handler.as_mut().poll(&mut std::task::Context::from_waker(waker)))
        .unwrap_or_else(|panic| Poll::Ready(panic.into()))
}

/// Drops a handler. The values that it holds run the author's code, which may panic.
fn discard(handler: Handler) {
    if let Err(panic) = guard::catch(|| drop(handler)) {
        tracing::error!("dropping a handler {panic}");
    }
}
