//! The events of one plugin between acceptance and outcome: queue, in-flight table, order, guilt.
//!
//! Pure: no clock, no I/O, generic over what an event is. Each event is one entry in a slab from [`Flow::admit`] until
//! its outcome is handed out, and only `Flow::release` removes an entry, so the ledger balances by construction.
//!
//! **Order.** Entries with one order key (the caller says whose order that is) form a chain in the order of their
//! acceptance. Generations may finish them in any order; an outcome waits in its entry until everything before it in the
//! chain has been handed out.
//!
//! **Guilt.** Of the entries in flight in a generation that crashed, only those it was *executing* are guilty. An entry
//! that is guilty twice is quarantined: it stays here until its dead letter is durable. A process that somebody else ended
//! while it executed nothing says nothing about its events. One that ended by its own doing, and nobody knows at what,
//! leaves a doubt: what was in flight at two such ends is a suspect, and suspects are delivered one at a time, so that
//! the next crash names the guilty one.
//!
//! **Contention.** Of entries that read and change the same, one is applied and the others have to run again. If all did so
//! at once, all but one would be in vain again. So those that run again do so one at a time, in the order in which they came to
//! be in vain, and nothing else is delivered meanwhile. What is in flight from before may still come between; an entry to
//! which that happened, too, waits until nothing is. So two runs are mostly enough, and three always, unless somebody else
//! than events changes what they read.

use crate::ledger::Ledger;
use crate::outcome::{Outcome, Rejection};
use rustc_hash::FxHashMap;
use slab::Slab;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Stands for "no entry" in a chain.
const NONE: u32 = u32::MAX;

/// Bits of an id that are the place in the slab; the rest count events, so that no id is used twice.
const INDEX_BITS: u32 = 24;

/// Crashes an event may be executing at before it is set aside. Once can be chance; twice is a poison event, and a
/// third would take the plugin down for everyone.
const QUARANTINED_AT: usize = 2;

/// How often an event runs at most when what it reads is changed by others each time. The last one is alone.
pub const RUNS: u32 = 3;

/// An id that [`Flow`] never gives out, for the `n`th health check.
pub fn probe_id(n: u64) -> u64 {
    (n << INDEX_BITS) | ((1 << INDEX_BITS) - 1)
}

/// Whether this is one of [`probe_id`]'s.
pub fn is_probe(id: u64) -> bool {
    id & ((1 << INDEX_BITS) - 1) == (1 << INDEX_BITS) - 1
}

/// How many events may be where, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct FlowLimits {
    /// Events waiting for a generation.
    pub queue: usize,
    /// Events in flight in one generation.
    pub in_flight: usize,
    /// From acceptance to outcome.
    pub deadline: Duration,
}

/// One event that ended.
#[derive(Debug)]
pub struct Ended<E> {
    /// The event, on its way out.
    pub event: E,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was accepted.
    pub accepted: Instant,
    /// The generation that decided the outcome, if one did.
    pub generation: Option<u64>,
}

/// Events of one plugin on their way.
#[derive(Debug)]
pub struct Flow<E> {
    entries: Slab<Entry<E>>,
    /// Ids in the order of delivery. Entries that ended while queued are skipped when they come up.
    queue: VecDeque<u64>,
    /// Those that ran in vain and wait to run again. They go before the others, one at a time.
    again: VecDeque<u64>,
    /// In both queues.
    queued: usize,
    /// The last entry of each chain, by its order key.
    tails: FxHashMap<u64, u32>,
    /// Entries in flight by generation; there are never more than a handful of generations.
    in_flight: Vec<(u64, usize)>,
    /// Answered with effects that are not applied yet.
    committing: usize,
    /// Of those that ran in vain: how many wait to run again, and how many do.
    contended: (usize, usize),
    suspects: usize,
    count: u64,
    ledger: Ledger,
    limits: FlowLimits,
}

#[derive(Debug)]
struct Entry<E> {
    event: E,
    id: u64,
    order_key: u64,
    next: u32,
    is_head: bool,
    accepted: Instant,
    stage: Stage,
    delivered: bool,
    /// Nearly every event there is has none.
    record: Option<Box<Record>>,
}

/// What speaks against an event, and how often it ran in vain.
#[derive(Debug, Default)]
struct Record {
    /// How often something that it had read was changed by another event before its effects were applied.
    conflicts: u32,
    /// The crashes it was executing at.
    causes: Vec<String>,
    /// Whether it was in flight at a crash that nobody could explain.
    doubtful: bool,
    suspect: bool,
}

#[derive(Debug)]
enum Stage {
    Queued,
    InFlight(u64),
    /// Answered by this generation with effects; waiting for them to be applied.
    Committing(u64),
    /// Ended, and waiting for those before it in its chain.
    Answered(Box<(Outcome, Option<u64>)>),
    /// Guilty; waiting for its dead letter to be durable.
    Quarantined,
}

/// An event that must become a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id, for [`Flow::buried`].
    pub id: u64,
    /// The crashes it was executing at.
    pub causes: Vec<String>,
}

impl<E> Entry<E> {
    /// How often it ran in vain.
    fn conflicts(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.conflicts)
    }
}

impl<E> Flow<E> {
    /// An empty flow. FlowLimits beyond what an id can hold (16 million events) are cut to that.
    pub fn new(limits: FlowLimits) -> Self {
        let most = (1 << INDEX_BITS) - 2;
        let limits =
            FlowLimits { queue: limits.queue.min(most / 2), in_flight: limits.in_flight.min(most / 4), ..limits };
        Self {
            entries: Slab::new(),
            queue: VecDeque::new(),
            again: VecDeque::new(),
            queued: 0,
            tails: FxHashMap::default(),
            in_flight: Vec::new(),
            committing: 0,
            contended: (0, 0),
            suspects: 0,
            count: 0,
            ledger: Ledger::default(),
            limits,
        }
    }

    /// Takes an event in, or hands it back as rejected. Either way it is in the ledger.
    pub fn admit(&mut self, now: Instant, order_key: u64, event: E) -> Option<Ended<E>> {
        if self.queued >= self.limits.queue {
            return Some(self.turn_away(now, event, Rejection::QueueFull));
        }
        let id = self.enter(now, order_key, event, Stage::Queued);
        self.queue.push_back(id);
        self.queued += 1;
        None
    }

    /// Takes an event in that has ended already, without any generation, and hands its outcome out after those before it in its
    /// chain. Where more entries wait than the limits allow, it is handed out at once.
    pub fn admit_ended(
        &mut self,
        now: Instant,
        order_key: u64,
        event: E,
        outcome: Outcome,
        due: &mut impl FnMut(Ended<E>),
    ) {
        let is_crowded = self.entries.len() >= self.limits.queue + self.limits.in_flight;
        if !is_crowded && self.tails.contains_key(&order_key) {
            self.enter(now, order_key, event, Stage::Answered(Box::new((outcome, None))));
            return;
        }
        self.ledger.accepted += 1;
        self.ledger.ended(&outcome);
        due(Ended { event, outcome, accepted: now, generation: None });
    }

    /// Makes the entry of an event, at the end of its chain.
    fn enter(&mut self, now: Instant, order_key: u64, event: E, stage: Stage) -> u64 {
        self.ledger.accepted += 1;
        self.count += 1;
        let room = self.entries.vacant_entry();
        let key = u32::try_from(room.key()).expect("the limits keep the slab below 2^24 entries");
        let id = (self.count << INDEX_BITS) | u64::from(key);
        room.insert(Entry {
            event,
            id,
            order_key,
            next: NONE,
            is_head: true,
            accepted: now,
            stage,
            delivered: false,
            record: None,
        });
        if let Some(before) = self.tails.insert(order_key, key) {
            self.entries[before as usize].next = key;
            self.entries[key as usize].is_head = false;
        }
        id
    }

    /// Rejects an event at the door.
    pub fn turn_away(&mut self, now: Instant, event: E, why: Rejection) -> Ended<E> {
        let outcome = Outcome::Rejected(why);
        self.ledger.accepted += 1;
        self.ledger.ended(&outcome);
        Ended { event, outcome, accepted: now, generation: None }
    }

    /// The next event for this generation, which has it in flight from now on. `None` when the queue is empty, the
    /// generation has its fill, or a suspect, or an event that ran in vain, must be alone.
    pub fn next_for(&mut self, generation: u64) -> Option<(u64, Instant, &E)> {
        if !self.has_room(generation) {
            return None;
        }
        self.trim();
        let id = if self.contended.0 > 0 {
            self.contended = (self.contended.0 - 1, self.contended.1 + 1);
            self.again.pop_front()?
        } else {
            self.queue.pop_front()?
        };
        self.queued -= 1;
        self.count_in_flight(generation, 1);
        let entry = &mut self.entries[index(id)];
        entry.stage = Stage::InFlight(generation);
        self.ledger.redelivered += u64::from(std::mem::replace(&mut entry.delivered, true));
        Some((id, entry.accepted, &entry.event))
    }

    /// Whether this generation may have one more in flight.
    pub fn has_room(&self, generation: u64) -> bool {
        let in_flight = self.in_flight_in(generation);
        let alone = self.suspects > 0 && in_flight > 0;
        in_flight < self.limits.in_flight && !alone && self.is_turn_of_contended()
    }

    /// Notes how a generation says that an event ended, and hands out every outcome that is now due. An answer that
    /// nobody waits for is counted as late and dropped.
    pub fn answered(&mut self, id: u64, generation: u64, outcome: Outcome, due: &mut impl FnMut(Ended<E>)) {
        if !self.is_in_flight(id, generation) {
            self.ledger.late += 1;
            return;
        }
        self.count_in_flight(generation, -1);
        self.settle(index(id), outcome, Some(generation), due);
    }

    fn is_queued(&self, id: u64) -> bool {
        self.entries.get(index(id)).is_some_and(|entry| entry.id == id && matches!(entry.stage, Stage::Queued))
    }

    fn is_in_flight(&self, id: u64, generation: u64) -> bool {
        self.entries.get(index(id)).is_some_and(|entry| {
            entry.id == id && matches!(entry.stage, Stage::InFlight(holder) if holder == generation)
        })
    }

    /// Ends every event whose time is up: those in flight as timed out, those queued as rejected.
    pub fn expire(&mut self, now: Instant, due: &mut impl FnMut(Ended<E>)) {
        let deadline = self.limits.deadline;
        let late: Vec<usize> = self
            .entries
            .iter()
            .filter(|(_, entry)| now.saturating_duration_since(entry.accepted) >= deadline)
            .filter(|(_, entry)| matches!(entry.stage, Stage::Queued | Stage::InFlight(_)))
            .map(|(key, _)| key)
            .collect();
        for key in late {
            if let Stage::InFlight(generation) = self.entries[key].stage {
                self.count_in_flight(generation, -1);
                self.settle(key, Outcome::TimedOut, Some(generation), due);
            } else {
                self.queued -= 1;
                self.settle(key, Outcome::Rejected(Rejection::WaitedTooLong), None, due);
            }
        }
        self.trim();
    }

    /// Drops the ids at the front of the queues whose entries are gone, so that a queue that nobody takes from does not
    /// grow by what expires in it.
    fn trim(&mut self) {
        while self.queue.front().is_some_and(|id| !self.is_queued(*id)) {
            self.queue.pop_front();
        }
        while self.again.front().is_some_and(|id| !self.is_queued(*id)) {
            self.again.pop_front();
        }
    }

    /// Rejects everything that waits for a generation, because none will come.
    pub fn reject_queued(&mut self, why: Rejection, due: &mut impl FnMut(Ended<E>)) {
        let waiting = std::mem::take(&mut self.again).into_iter().chain(std::mem::take(&mut self.queue));
        for id in waiting {
            if self.is_queued(id) {
                self.queued -= 1;
                self.settle(index(id), Outcome::Rejected(why), None, due);
            }
        }
    }

    /// Takes back what a generation had when it ended, in the order of acceptance and before all that is queued.
    ///
    /// `blame` is `None` when its end is nobody's fault (the host ended it). Returned are the events to bury.
    pub fn lost(&mut self, generation: u64, blame: Option<Blame<'_>>) -> Vec<Quarantined> {
        let mut ids: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| matches!(entry.stage, Stage::InFlight(holder) if holder == generation))
            .map(|(_, entry)| entry.id)
            .collect();
        // Ids grow with acceptance.
        ids.sort_unstable();
        self.in_flight.retain(|(holder, _)| *holder != generation);
        let mut quarantined = Vec::new();
        let unexplained =
            blame.is_some_and(|blame| blame.own_doing && !ids.iter().any(|id| blame.executing.contains(id)));
        for &id in ids.iter().rev() {
            let only_one = unexplained && ids.len() == 1;
            let guilty = blame.is_some_and(|blame| blame.executing.contains(&id) || only_one);
            let entry = &mut self.entries[index(id)];
            let ran_again = entry.conflicts() > 0;
            self.contended.1 -= usize::from(ran_again);
            entry.stage = Stage::Queued;
            if let Some(blame) = blame.filter(|_| guilty || unexplained) {
                let record = entry.record.get_or_insert_default();
                if guilty {
                    record.causes.push(blame.cause.to_owned());
                }
                if record.causes.len() >= QUARANTINED_AT {
                    entry.stage = Stage::Quarantined;
                    quarantined.push(Quarantined { id, causes: record.causes.clone() });
                    continue;
                }
                let becomes_suspect = unexplained && record.doubtful && !record.suspect;
                record.doubtful |= unexplained;
                record.suspect |= becomes_suspect;
                self.suspects += usize::from(becomes_suspect);
            }
            self.contended.0 += usize::from(ran_again);
            if ran_again {
                self.again.push_front(id)
            } else {
                self.queue.push_front(id)
            }
            self.queued += 1;
        }
        quarantined
    }

    /// Lets a quarantined event go: its dead letter is durable.
    pub fn buried(&mut self, id: u64, due: &mut impl FnMut(Ended<E>)) {
        let quarantined = |entry: &Entry<E>| entry.id == id && matches!(entry.stage, Stage::Quarantined);
        if self.entries.get(index(id)).is_some_and(quarantined) {
            self.settle(index(id), Outcome::DeadLettered, None, due);
        }
    }

    /// The event with this id, while it is here.
    pub fn get(&self, id: u64) -> Option<(&E, Instant)> {
        self.entries.get(index(id)).filter(|entry| entry.id == id).map(|entry| (&entry.event, entry.accepted))
    }

    fn settle(&mut self, key: usize, outcome: Outcome, by: Option<u64>, due: &mut impl FnMut(Ended<E>)) {
        let entry = &mut self.entries[key];
        self.committing -= usize::from(matches!(entry.stage, Stage::Committing(_)));
        if entry.conflicts() > 0 {
            match entry.stage {
                Stage::Queued => self.contended.0 -= 1,
                Stage::InFlight(_) | Stage::Committing(_) => self.contended.1 -= 1,
                Stage::Answered(_) | Stage::Quarantined => {}
            }
        }
        if let Some(record) = &mut entry.record {
            self.suspects -= usize::from(std::mem::take(&mut record.suspect));
        }
        if entry.is_head {
            self.release(key, outcome, by, due);
        } else {
            entry.stage = Stage::Answered(Box::new((outcome, by)));
        }
    }

    /// Hands out the outcome of the first entry of a chain, and of those behind it that only waited for it.
    fn release(&mut self, key: usize, outcome: Outcome, by: Option<u64>, due: &mut impl FnMut(Ended<E>)) {
        let mut step = Some((key, outcome, by));
        while let Some((key, outcome, generation)) = step.take() {
            let entry = self.entries.remove(key);
            self.ledger.ended(&outcome);
            if entry.next == NONE {
                self.tails.remove(&entry.order_key);
            } else {
                let next = &mut self.entries[entry.next as usize];
                next.is_head = true;
                if let Stage::Answered(how) = &mut next.stage {
                    let (outcome, by) = std::mem::replace(&mut **how, (Outcome::Ignored, None));
                    step = Some((entry.next as usize, outcome, by));
                }
            }
            due(Ended { event: entry.event, outcome, accepted: entry.accepted, generation });
        }
    }

    fn count_in_flight(&mut self, generation: u64, change: isize) {
        match self.in_flight.iter_mut().find(|(holder, _)| *holder == generation) {
            Some((_, count)) => *count = count.saturating_add_signed(change),
            None => self.in_flight.push((generation, usize::try_from(change).unwrap_or(0))),
        }
    }

    /// Events that this generation has and has not answered, those that timed out excluded.
    pub fn in_flight_in(&self, generation: u64) -> usize {
        self.in_flight.iter().find(|(holder, _)| *holder == generation).map_or(0, |(_, count)| *count)
    }

    /// Forgets a generation that ended with nothing in flight.
    pub fn forget(&mut self, generation: u64) {
        self.in_flight.retain(|(holder, count)| *holder != generation || *count > 0);
    }

    /// Events waiting for a generation.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Events that left the queue and have no outcome yet, those that wait for their turn to be said included.
    pub fn in_flight(&self) -> usize {
        self.entries.len() - self.queued
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The account.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// When the oldest event was accepted.
    pub fn oldest(&self) -> Option<Instant> {
        self.entries.iter().map(|(_, entry)| entry.accepted).min()
    }
}

/// Whose fault the end of a generation is.
#[derive(Debug, Clone, Copy)]
pub struct Blame<'a> {
    /// What it was executing when it died, as far as known.
    pub executing: &'a [u64],
    /// What happened, for the dead letter.
    pub cause: &'a str,
    /// Whether the process ended by its own doing; then it was one of its events even if nobody knows which.
    pub own_doing: bool,
}

fn index(id: u64) -> usize {
    (id & ((1 << INDEX_BITS) - 1)) as usize
}

mod commit;
#[cfg(test)]
mod tests;
