//! Where an `async` handler runs: its first poll on the shim's main thread, the rest on a thread of the library.
//!
//! Most handlers are ready at the first poll and are answered in the batch they came in. Only when one is not, or leaves
//! a task behind, a single thread starts that drives a tokio runtime for all of them. The runtime itself (some 40 KiB)
//! exists from `create` on, so that timers and tasks can be made everywhere.

use super::{glue::reply, module::HostApiRef};
use crate::{Error, Reply, Result, guard};
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

type Handler = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

/// The lane of the runtime's thread in `HostApi::executing`.
const RUNTIME_LANE: u32 = 1;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Makes the runtime, and the current one of the calling thread for good: to enter it per event would cost more than
/// the poll.
pub(super) fn start() -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    RUNTIME.set(runtime).map_err(|_| Error::internal("the runtime was started twice"))?;
    mem::forget(RUNTIME.get().map(Runtime::enter));
    Ok(())
}

/// Polls a handler for the first time, and answers or sends it on to the runtime's thread. Never unwinds.
pub(super) fn poll_once(host: HostApiRef, event: u64, deadline: Instant, mut handler: Handler) {
    match poll_guarded(&mut handler, Waker::noop()) {
        Poll::Ready(result) => {
            discard(handler);
            reply(host, event, &result);
        }
        Poll::Pending => {
            if let Some(runtime) = RUNTIME.get() {
                runtime.spawn(finish(host, event, deadline, handler));
            }
        }
    }
}

/// Starts the thread that drives the runtime, once, when there is anything to drive.
pub(super) fn drive() {
    static DRIVEN: Once = Once::new();
    let Some(runtime) = RUNTIME.get() else { return };
    if DRIVEN.is_completed() || runtime.metrics().num_alive_tasks() == 0 {
        return;
    }
    DRIVEN.call_once(|| {
        let run = || runtime.block_on(pending::<()>());
        if let Err(error) = thread::Builder::new().name("plugin-runtime".into()).spawn(run) {
            // What waits meanwhile ends at the host's deadline.
            tracing::error!("the plugin's runtime thread did not start: {error}");
        }
    });
}

/// Polls a handler to its end, marking every poll, and ends its event. Past the deadline nobody waits for it, and the host
/// has said so: it is dropped without an answer, so that handlers which never end cannot pile up.
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
        Some(result) => reply(host, event, &result),
        None => tracing::warn!("a handler was still waiting at its deadline and was dropped"),
    }
}

fn poll_guarded(handler: &mut Handler, waker: &Waker) -> Poll<Result<Reply>> {
    guard::catch(|| handler.as_mut().poll(&mut std::task::Context::from_waker(waker)))
        .unwrap_or_else(|panic| Poll::Ready(Err(panic)))
}

/// Drops a handler: what it still holds is the author's code too, and may panic.
fn discard(handler: Handler) {
    if let Err(panic) = guard::catch(|| drop(handler)) {
        tracing::error!("dropping a handler {panic}");
    }
}
