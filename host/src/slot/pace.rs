//! When a slot wakes its shim.
//!
//! A write wakes a process, which costs more than all other work for an event. While few shims work, each event leaves
//! at once. When there are as many as processors, a further shim that is woken could only wait for a processor. Then
//! its events wait here, further events join them, and all leave in one write when the slot's turn comes. A shim works
//! from a write until it answers; then the next slot in line has its turn.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Waker},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Time for which a shim without an answer counts as working. After that, a shim whose handlers only wait or take long
/// delays no other slot. An event is held for at most twice this time, because `look` runs once in each.
const AT_WORK: Duration = Duration::from_millis(1);

/// Events that are worth a write of their own. With fewer, while others are in line, a slot that has its turn lets the
/// thread read more input first.
const ENOUGH: usize = 256;

/// Most rounds of everything ready on the thread for which it does so. Eight and sixteen were no better than four at 10
/// and 100 plugins, and 32 were worse.
const ROUNDS: u32 = 4;

/// Gives turns to the slots of a host.
#[derive(Debug)]
pub struct Pacer {
    line: Mutex<Line>,
    /// Signals that the first slot waits, or that the pacer ended.
    waits: Arc<Notify>,
}

#[derive(Debug)]
struct Line {
    /// Most shims that may work at a time.
    most: usize,
    at_work: Vec<Turn>,
    waiting: VecDeque<(u64, Waker)>,
    slots: u64,
}

#[derive(Debug)]
struct Turn {
    slot: u64,
    since: Instant,
    /// Whether the slot has used the turn.
    taken: bool,
}

impl Pacer {
    /// A pacer that lets one shim more work than there are processors, so that no processor waits for the host. A task
    /// on the current runtime, which ends with the pacer, ends turns that were not given back.
    pub fn start() -> Arc<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let pacer = Arc::new(Self::new(processors + 1));
        tokio::spawn(look_after(Arc::downgrade(&pacer), Arc::clone(&pacer.waits)));
        pacer
    }

    fn new(most: usize) -> Self {
        let line = Line { most, at_work: Vec::new(), waiting: VecDeque::new(), slots: 0 };
        Self { line: Mutex::new(line), waits: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // No code in here panics halfway.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.waits.notify_one();
    }
}

async fn look_after(pacer: Weak<Pacer>, waits: Arc<Notify>) {
    while let Some(pacer) = pacer.upgrade() {
        let waiting = {
            let mut line = pacer.lock();
            line.look(Instant::now());
            !line.waiting.is_empty()
        };
        // While it waits, the task must not keep the pacer alive.
        drop(pacer);
        if waiting {
            tokio::time::sleep(AT_WORK).await;
        } else {
            waits.notified().await;
        }
    }
}

impl Line {
    /// Ends turns that were taken too long ago. When no others are left, the shims wait for something other than a
    /// processor, and every slot in line gets a turn.
    fn look(&mut self, now: Instant) {
        self.at_work.retain(|turn| !turn.taken || now.saturating_duration_since(turn.since) < AT_WORK);
        let room = if self.at_work.is_empty() { usize::MAX } else { self.most };
        self.advance(now, room);
    }

    /// Gives turns to the slots that have waited longest.
    fn advance(&mut self, now: Instant, room: usize) {
        while self.at_work.len() < room
            && let Some((slot, waker)) = self.waiting.pop_front()
        {
            match self.turn(slot) {
                Some(turn) => (turn.since, turn.taken) = (now, false),
                None => self.at_work.push(Turn { slot, since: now, taken: false }),
            }
            waker.wake();
        }
    }

    fn turn(&mut self, slot: u64) -> Option<&mut Turn> {
        self.at_work.iter_mut().find(|turn| turn.slot == slot)
    }

    fn leave(&mut self, now: Instant, stays: impl Fn(&Turn) -> bool) {
        self.at_work.retain(stays);
        self.advance(now, self.most);
    }
}

/// The place of one slot in the line.
#[derive(Debug)]
pub(super) struct Pace {
    pacer: Arc<Pacer>,
    slot: u64,
    waits: bool,
    at_work: bool,
    rounds: u32,
}

impl Pace {
    pub fn new(pacer: Arc<Pacer>) -> Self {
        let slot = {
            let mut line = pacer.lock();
            line.slots += 1;
            line.slots
        };
        Self { pacer, slot, waits: false, at_work: false, rounds: 0 }
    }

    /// Whether the slot, with this many events to send, may send now. If not, its task is woken when it should ask
    /// again.
    pub fn is_turn(&mut self, cx: &mut Context<'_>, now: Instant, events: usize) -> bool {
        let mut line = self.pacer.lock();
        let (is_contended, is_full) = (!line.waiting.is_empty(), line.at_work.len() >= line.most);
        let is_turn = match line.turn(self.slot) {
            Some(turn) if !turn.taken && is_contended && events < ENOUGH && self.rounds < ROUNDS => {
                self.rounds += 1;
                // Wakes this task after all other ready tasks have run, and the thread has read new input.
                let _ = std::pin::pin!(tokio::task::yield_now()).poll(cx);
                return false;
            }
            // Its shim is awake: another write delays no other shim, unless another slot waits for that.
            Some(turn) if !turn.taken || !is_contended => {
                (turn.since, turn.taken) = (now, true);
                true
            }
            None if !is_contended && !is_full => {
                line.at_work.push(Turn { slot: self.slot, since: now, taken: true });
                true
            }
            _ => false,
        };
        if is_turn {
            (self.waits, self.at_work, self.rounds) = (false, true, 0);
        } else {
            self.waits = true;
            if !line.waiting.iter().any(|(slot, _)| *slot == self.slot) {
                line.waiting.push_back((self.slot, cx.waker().clone()));
            }
            if !is_contended {
                self.pacer.waits.notify_one();
            }
        }
        is_turn
    }

    /// Whether the slot stands in line, or has a turn that it has not used.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Ends the slot's turn: its shim has answered, or there was nothing to send.
    pub fn release(&mut self, now: Instant) {
        if std::mem::take(&mut self.at_work) {
            let slot = self.slot;
            self.pacer.lock().leave(now, |turn| turn.slot != slot || !turn.taken);
        }
    }

    /// Leaves the line: there is nothing to send.
    pub fn cancel(&mut self, now: Instant) {
        if std::mem::take(&mut self.waits) {
            let (slot, mut line) = (self.slot, self.pacer.lock());
            line.waiting.retain(|(waiting, _)| *waiting != slot);
            line.leave(now, |turn| turn.slot != slot || turn.taken);
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        let (slot, mut line) = (self.slot, self.pacer.lock());
        line.waiting.retain(|(waiting, _)| *waiting != slot);
        line.leave(Instant::now(), |turn| turn.slot != slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        task::Wake,
    };

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// A slot, and how often its task was woken.
    struct Slot(Pace, Arc<Wakes>);

    impl Slot {
        fn of(pacer: &Arc<Pacer>) -> Self {
            Self(Pace::new(Arc::clone(pacer)), Arc::default())
        }

        fn asks(&mut self, now: Instant, events: usize) -> bool {
            self.0.is_turn(&mut Context::from_waker(&Waker::from(Arc::clone(&self.1))), now, events)
        }

        fn woken(&self) -> usize {
            self.1.0.load(Relaxed)
        }
    }

    fn slots<const N: usize>(most: usize) -> (Arc<Pacer>, [Slot; N]) {
        let pacer = Arc::new(Pacer::new(most));
        let slots = std::array::from_fn(|_| Slot::of(&pacer));
        (pacer, slots)
    }

    #[test]
    fn while_nobody_waits_every_event_leaves_at_once() {
        let (_pacer, [mut a, mut b]) = slots(2);
        let now = Instant::now();
        assert!(a.asks(now, 1) && b.asks(now, 1) && a.asks(now, 1) && b.asks(now, 1));
    }

    #[test]
    fn turns_go_to_those_who_waited_longest_and_one_answer_makes_one_turn() {
        let (_pacer, [mut a, mut b, mut c]) = slots(1);
        let now = Instant::now();
        assert!(a.asks(now, 1));
        assert!(!b.asks(now, 1) && !c.asks(now, 1) && !c.asks(now, 1));
        assert!(b.0.waits() && c.0.waits());
        assert!(!a.asks(now, 1), "others are in line");
        a.0.release(now);
        assert_eq!((a.woken(), b.woken(), c.woken()), (0, 1, 0));
        assert!(b.asks(now, ENOUGH) && !c.asks(now, ENOUGH));
        a.0.release(now);
        assert_eq!(c.woken(), 0, "there is nothing more to pass on");
        b.0.release(now);
        assert!(c.asks(now, ENOUGH));
        c.0.release(now);
        assert_eq!(a.woken(), 1);
        assert!(a.asks(now, 1), "no other slot waits");
    }

    #[tokio::test]
    async fn few_events_wait_for_company_for_a_few_rounds_while_others_are_in_line() {
        let (_pacer, [mut a, mut b, mut c]) = slots(1);
        let now = Instant::now();
        assert!(a.asks(now, 1) && !b.asks(now, 1) && !c.asks(now, 1));
        a.0.release(now);
        let mut rounds = 0;
        while !b.asks(now, ENOUGH - 1) {
            assert!(b.0.waits());
            rounds += 1;
        }
        assert_eq!(rounds, ROUNDS);
    }

    #[test]
    fn whoever_has_nothing_to_send_any_more_leaves_the_line() {
        let (_pacer, [mut a, mut b, mut c, mut d]) = slots(1);
        let now = Instant::now();
        assert!(a.asks(now, 1) && !b.asks(now, 1) && !c.asks(now, 1) && !d.asks(now, 1));
        b.0.cancel(now);
        a.0.release(now);
        assert_eq!((b.woken(), c.woken()), (0, 1));
        c.0.cancel(now);
        assert_eq!(d.woken(), 1, "a turn that is not taken is passed on");
        drop(d);
        assert!(a.asks(now, 1), "and so is that of a slot that is gone");
    }

    #[test]
    fn a_shim_that_does_not_answer_is_out_of_the_way_and_when_none_does_nobody_waits() {
        let (pacer, [mut a, mut b, mut c, mut d]) = slots(2);
        let now = Instant::now();
        let later = now + AT_WORK;
        assert!(a.asks(now, 1) && b.asks(later, 1) && !c.asks(later, 1) && !d.asks(later, 1));
        pacer.lock().look(later);
        assert_eq!((c.woken(), d.woken()), (1, 0), "a was slow, b is at work");
        assert!(c.asks(later, ENOUGH));
        a.0.release(later);
        assert_eq!(d.woken(), 0, "the turn of a was over before");
        let last = later + AT_WORK;
        assert!(!a.asks(last, 1));
        pacer.lock().look(last);
        assert_eq!((a.woken(), d.woken()), (1, 1), "more than two, because all are slow");
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_looks_while_anybody_waits() {
        let pacer = Pacer::start();
        let most = pacer.lock().most;
        let mut slow: Vec<_> = (0..most).map(|_| Slot::of(&pacer)).collect();
        let long_ago = Instant::now() - AT_WORK;
        assert!(slow.iter_mut().all(|slot| slot.asks(long_ago, 1)));
        let mut late = Slot::of(&pacer);
        assert!(!late.asks(long_ago, 1));
        tokio::time::sleep(2 * AT_WORK).await;
        assert_eq!(late.woken(), 1);
        assert!(late.asks(long_ago, 1));
        let waits = Arc::downgrade(&pacer.waits);
        drop((late, slow, pacer));
        tokio::time::sleep(AT_WORK).await;
        assert_eq!(waits.strong_count(), 0, "the task ends with the pacer");
    }
}
