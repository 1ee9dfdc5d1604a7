//! Calls to the host, and the handlers that wait for their answers.
//!
//! An answer arrives on the shim's main thread. The handler is parked there (see `runtime`), or waits on the runtime's thread,
//! where its last waker is woken. A handler that is dropped withdraws its call.

use super::glue;
use crate::{Error, Result, testing};
use rosey_wire::{call::Call, frame::pack};
use std::{
    cell::Cell,
    collections::BTreeMap,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Calls that may wait for an answer at a time.
const MOST: usize = 1024;
/// How long background work waits for an answer. A handler waits until the deadline of its event.
const PATIENCE: Duration = Duration::from_secs(30);

static CALLS: Mutex<Calls> = Mutex::new(Calls { last: 0, open: BTreeMap::new() });

thread_local! {
    /// The last call that this thread made for an event, since [`watch`] began; 0 for none.
    static MADE: Cell<u64> = const { Cell::new(0) };
}

/// Polls a handler. Says which call it made meanwhile, if it made one.
pub(super) fn watch<T>(poll: impl FnOnce() -> T) -> (T, Option<u64>) {
    MADE.set(0);
    let polled = poll();
    let made = MADE.take();
    (polled, (made != 0).then_some(made))
}

struct Calls {
    last: u64,
    open: BTreeMap<u64, Slot>,
}

enum Slot {
    Waiting(Option<Waker>),
    Answered(Vec<u8>),
}

fn calls() -> MutexGuard<'static, Calls> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a call to the host for an event, or for background work (0). Returns an encoded `Returned`.
pub(crate) async fn ask(event: u64, call: &Call<'_>) -> Result<Vec<u8>> {
    let request = pack(call)?;
    if let Some(memory) = testing::current() {
        return memory.answer(event, &request);
    }
    let host = glue::host().ok_or_else(|| Error::internal("there is no host to call: the plugin was not created"))?;
    let send = host.call().ok_or_else(|| Error::internal(format!("this host takes no calls: {}", glue::OLD)))?;
    let pending = Pending::open()?;
    send(pending.0, event, request.as_slice().into());
    if event != 0 {
        MADE.set(pending.0);
        return Ok(pending.await);
    }
    let late = |_| Error::internal(format!("the host has not answered within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, pending).await.map_err(late)
}

/// Hands an answer to the handler that waits for it. An answer that no handler waits for is dropped.
pub(super) fn returned(call: u64, answer: &[u8]) {
    let mut calls = calls();
    let Some(slot) = calls.open.get_mut(&call) else { return };
    let before = std::mem::replace(slot, Slot::Answered(answer.to_vec()));
    drop(calls);
    if let Slot::Waiting(Some(waker)) = before {
        waker.wake();
    }
}

/// A call without an answer so far.
struct Pending(u64);

impl Pending {
    fn open() -> Result<Self> {
        let mut calls = calls();
        if calls.open.len() >= MOST {
            return Err(Error::internal(format!("{MOST} calls already wait for the host")));
        }
        calls.last += 1;
        let id = calls.last;
        calls.open.insert(id, Slot::Waiting(None));
        Ok(Self(id))
    }
}

impl Future for Pending {
    type Output = Vec<u8>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        match calls().open.get_mut(&self.0) {
            Some(Slot::Answered(answer)) => Poll::Ready(std::mem::take(answer)),
            Some(waiting) => {
                *waiting = Slot::Waiting(Some(cx.waker().clone()));
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Outside the lock, because dropping a waker may run code.
        let slot = calls().open.remove(&self.0);
        drop(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reaches_who_waits_and_a_dropped_question_is_gone() {
        let mut pending = Pending::open().expect("there is room");
        let id = pending.0;
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut pending).poll(cx).is_pending());
        returned(id, b"yes");
        assert_eq!(Pin::new(&mut pending).poll(cx), Poll::Ready(b"yes".to_vec()));
        drop(pending);
        assert!(!calls().open.contains_key(&id));
        returned(id, b"late");
        assert!(!calls().open.contains_key(&id));
    }
}
