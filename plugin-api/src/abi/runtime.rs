//! Runs `async` handlers: on the shim's main thread as long as they wait only for the host, else on a thread of the library.
//!
//! Most handlers are ready at the first poll, and their answers leave with the batch that they came in. A handler that reads
//! the store is parked until the answer comes to the main thread, and goes on there, so that it causes no switch between
//! threads. The first handler that waits for something else, or that leaves a task behind, starts a single thread, which
//! drives a tokio runtime for all of them. The runtime itself (some 40 KiB) exists from `create` on, so that code anywhere
//! can create timers and tasks.

use super::{calls, glue::reply, module::HostApiRef};
use crate::{Error, Finished, Result, guard};
use std::{
    collections::BTreeMap,
    future::{Future, pending, poll_fn},
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Poll, Wake, Waker},
    thread,
    time::Instant,
};
use tokio::runtime::{Builder, Runtime};

pub(super) type Handler = Pin<Box<dyn Future<Output = Finished> + Send>>;

/// The lanes of the shim's main thread and of the runtime's thread in `HostApi::executing`.
pub(super) const MAIN_LANE: u32 = 0;
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

/// A handler that has begun.
pub(super) struct Begun {
    pub(super) host: HostApiRef,
    pub(super) event: u64,
    pub(super) deadline: Instant,
    pub(super) handler: Handler,
}

/// Handlers that wait for the answer to a call with this number.
static PARKED: Mutex<BTreeMap<u64, Begun>> = Mutex::new(BTreeMap::new());

fn parked() -> MutexGuard<'static, BTreeMap<u64, Begun>> {
    PARKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes a parked handler for something else than the answer that it is parked for: it then goes on in the runtime.
struct Elsewhere {
    call: u64,
    woken: AtomicBool,
}

impl Wake for Elsewhere {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        unpark(self.call);
    }
}

fn unpark(call: u64) {
    let begun = parked().remove(&call);
    begun.into_iter().for_each(spawn);
}

/// Polls a handler on the main thread, and answers, parks it, or moves it to the runtime's thread. Never unwinds.
pub(super) fn poll_once(mut begun: Begun) {
    let (polled, call) = calls::watch(|| poll_guarded(&mut begun.handler, Waker::noop()));
    match (polled, call) {
        (Poll::Ready(finished), _) => answer(begun, finished),
        (Poll::Pending, None) => spawn(begun),
        (Poll::Pending, Some(call)) => park(call, begun),
    }
}

/// Goes on with the handler that is parked for this call, whose answer has come.
pub(super) fn resume(begun: Begun) {
    let (host, event) = (begun.host, begun.event);
    host.executing()(MAIN_LANE, event);
    poll_once(begun);
    host.executing()(MAIN_LANE, 0);
    drive();
}

/// Takes the handler that waits for the answer to this call.
pub(super) fn take_parked(call: u64) -> Option<Begun> {
    parked().remove(&call)
}

fn park(call: u64, mut begun: Begun) {
    let elsewhere = Arc::new(Elsewhere { call, woken: AtomicBool::new(false) });
    // Once more, so that everything that it waits for knows the waker.
    let (polled, next) = calls::watch(|| poll_guarded(&mut begun.handler, &Arc::clone(&elsewhere).into()));
    match (polled, next) {
        (Poll::Ready(finished), _) => answer(begun, finished),
        // It goes from one thing to another without waiting.
        (Poll::Pending, Some(_)) => spawn(begun),
        (Poll::Pending, None) => {
            parked().insert(call, begun);
            if elsewhere.woken.load(SeqCst) {
                unpark(call);
            }
        }
    }
}

fn answer(begun: Begun, finished: Finished) {
    let Begun { host, event, handler, .. } = begun;
    discard(handler);
    reply(host, event, finished);
}

fn spawn(begun: Begun) {
    if let Some(runtime) = RUNTIME.get() {
        runtime.spawn(finish(begun));
    }
}

/// Starts the thread that drives the runtime, once there is something to drive.
pub(super) fn drive() {
    static DRIVEN: Once = Once::new();
    let Some(runtime) = RUNTIME.get() else { return };
    // A parked handler may have set a timer.
    if DRIVEN.is_completed() || (runtime.metrics().num_alive_tasks() == 0 && parked().is_empty()) {
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
async fn finish(begun: Begun) {
    let Begun { host, event, deadline, mut handler } = begun;
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
