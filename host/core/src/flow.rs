//! The events of one plugin between acceptance and outcome: queue, in-flight table, order, guilt.
//!
//! Pure: no clock, no I/O, generic over the type of events. Each event is one entry in a slab from [`Flow::admit`]
//! until its outcome is handed out, and only `Flow::release` removes an entry, so the ledger balances by construction.
//!
//! **Order.** Entries with one order key (the caller chooses the key) form a chain in the order of their acceptance.
//! Generations may finish them in any order; an outcome waits in its entry until all earlier outcomes of the chain have
//! been handed out. An entry without a key waits for none, and none waits for it.
//!
//! **Guilt.** When a generation crashes, only the entries that it was *executing* are guilty. An entry that is guilty
//! twice is quarantined: it stays here until its dead letter is durable. When another program ends a process that
//! executes nothing, no event is guilty. When a process ends by itself and the cause is unknown, its events are
//! doubtful. An event that is doubtful twice is a suspect. Suspects are delivered alone: the next crash names the guilty.
//!
//! Events that read and change the same value run one at a time: see `commit`.

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

/// Bits of an id that hold the place in the slab. The other bits count events, so that no id is used twice.
const INDEX_BITS: u32 = 24;

/// Crashes while it executes, after which an event is set aside. One can be chance; a third would hurt everyone again.
const QUARANTINED_AT: usize = 2;

/// How often an event runs at most when other events change what it reads each time. The last run is alone.
pub const RUNS: u32 = 3;

/// An id that neither [`Flow`] nor [`probe_id`] gives out, for a migration of the store.
pub const MIGRATION: u64 = (1 << INDEX_BITS) - 1;

/// An id that [`Flow`] never gives out, for the `n`th probe, counted from 1.
pub fn probe_id(n: u64) -> u64 {
    (n << INDEX_BITS) | ((1 << INDEX_BITS) - 1)
}

/// Whether [`probe_id`] made this id, or it is [`MIGRATION`]: the id of no event.
pub fn is_probe(id: u64) -> bool {
    id & ((1 << INDEX_BITS) - 1) == (1 << INDEX_BITS) - 1
}

/// How many events a flow holds, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct FlowLimits {
    /// Events that may wait for a generation.
    pub queue: usize,
    /// Events that may be in flight in one generation.
    pub in_flight: usize,
    /// Time from acceptance to outcome.
    pub deadline: Duration,
}

/// One event that ended.
#[derive(Debug)]
pub struct Ended<E> {
    /// The event, moved out of the flow.
    pub event: E,
    /// Its number in this slot, which the plugin knows too; `None` if it was turned away.
    pub id: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was accepted.
    pub accepted: Instant,
    /// The generation that decided the outcome, if one did.
    pub generation: Option<u64>,
}

/// The events of one plugin that have no outcome yet, or whose outcome waits for its chain.
#[derive(Debug)]
pub struct Flow<E> {
    entries: Slab<Entry<E>>,
    /// Ids in the order of delivery. `next_for` skips entries that ended while they were queued.
    queue: VecDeque<u64>,
    /// Entries that ran in vain and wait to run again. They go before the others, one at a time.
    again: VecDeque<u64>,
    /// Entries in the queue, without those that ended.
    queued: usize,
    /// The last entry of each chain, by its order key.
    tails: FxHashMap<u64, u32>,
    /// Entries in flight by generation. A vector, because a plugin never has more than a handful of generations.
    in_flight: Vec<(u64, usize)>,
    /// Entries answered with effects that are not applied yet.
    committing: usize,
    /// Of the entries that ran in vain: how many wait to run again, and how many do.
    contended: (usize, usize),
    /// Entries that must be delivered alone.
    suspects: usize,
    /// Events accepted so far: the upper bits of the next id.
    count: u64,
    ledger: Ledger,
    limits: FlowLimits,
}

#[derive(Debug)]
struct Entry<E> {
    event: E,
    id: u64,
    order_key: Option<u64>,
    /// The place of the next entry in the chain, or [`NONE`].
    next: u32,
    /// Whether it is the first of its chain, so that its outcome need not wait.
    is_head: bool,
    accepted: Instant,
    stage: Stage,
    /// Whether a generation has had it, so that a further delivery counts as redelivered.
    delivered: bool,
    /// Boxed, because nearly no event has one.
    record: Option<Box<Record>>,
}

/// The crashes and conflicts of one event.
#[derive(Debug, Default)]
struct Record {
    /// How often another event changed what this one had read, before its effects were applied.
    conflicts: u32,
    /// The crashes at which it was executing.
    causes: Vec<String>,
    /// Whether it was in flight at a crash whose cause is unknown.
    doubtful: bool,
    /// Whether it was doubtful twice, and must be delivered alone.
    suspect: bool,
}

#[derive(Debug)]
enum Stage {
    Queued,
    InFlight(u64),
    /// This generation answered it with effects; the effects are not applied yet.
    Committing(u64),
    /// Ended, and waiting for earlier outcomes of its chain.
    Answered(Box<(Outcome, Option<u64>)>),
    /// Guilty; waiting for its dead letter to be durable.
    Quarantined,
}

/// An event that must become a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The id to pass to [`Flow::buried`].
    pub id: u64,
    /// The crashes at which it was executing.
    pub causes: Vec<String>,
}

impl<E> Flow<E> {
    /// An empty flow.
    pub fn new(limits: FlowLimits) -> Self {
        let mut flow = Self {
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
        };
        flow.set_limits(limits);
        flow
    }

    /// Goes by other limits from now on, cut to what an id can hold. Accepted events stay.
    pub fn set_limits(&mut self, FlowLimits { queue, in_flight, deadline }: FlowLimits) {
        self.limits = FlowLimits { queue: queue.min(1 << 22), in_flight: in_flight.min(1 << 21), deadline };
    }

    /// Accepts an event, or returns it as rejected. The ledger counts it in both cases.
    pub fn admit(&mut self, now: Instant, order_key: Option<u64>, event: E) -> Option<Ended<E>> {
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
        order_key: Option<u64>,
        event: E,
        outcome: Outcome,
        due: &mut impl FnMut(Ended<E>),
    ) {
        let is_crowded = self.entries.len() >= self.limits.queue + self.limits.in_flight;
        if !is_crowded && order_key.is_some_and(|order_key| self.tails.contains_key(&order_key)) {
            self.enter(now, order_key, event, Stage::Answered(Box::new((outcome, None))));
            return;
        }
        self.ledger.accepted += 1;
        self.ledger.ended(&outcome);
        due(Ended { event, id: None, outcome, accepted: now, generation: None });
    }

    /// Makes the entry of an event, at the end of its chain.
    fn enter(&mut self, now: Instant, order_key: Option<u64>, event: E, stage: Stage) -> u64 {
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
        if let Some(before) = order_key.and_then(|order_key| self.tails.insert(order_key, key)) {
            self.entries[before as usize].next = key;
            self.entries[key as usize].is_head = false;
        }
        id
    }

    /// Rejects an event without accepting it.
    pub fn turn_away(&mut self, now: Instant, event: E, why: Rejection) -> Ended<E> {
        let outcome = Outcome::Rejected(why);
        self.ledger.accepted += 1;
        self.ledger.ended(&outcome);
        Ended { event, id: None, outcome, accepted: now, generation: None }
    }

    /// The next event for this generation, which has it in flight from now on. `None` when the queue is empty, the
    /// generation has as many events as it may, or a suspect or an event that ran in vain must run alone.
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

    /// Whether this generation may have one more event in flight.
    pub fn has_room(&self, generation: u64) -> bool {
        let in_flight = self.in_flight_in(generation);
        let alone = self.suspects > 0 && in_flight > 0;
        in_flight < self.limits.in_flight && !alone && self.is_turn_of_contended()
    }

    /// Records a generation's outcome of an event, and hands out every outcome that is now due. The ledger counts a late
    /// answer, to an event that has ended or is elsewhere, and the flow drops it.
    pub fn answered(&mut self, id: u64, generation: u64, outcome: Outcome, due: &mut impl FnMut(Ended<E>)) {
        if !self.is_in_flight(id, generation) {
            self.ledger.late += 1;
            return;
        }
        self.count_in_flight(generation, -1);
        self.finish(index(id), outcome, Some(generation), due);
    }

    fn is_queued(&self, id: u64) -> bool {
        self.entries.get(index(id)).is_some_and(|entry| entry.id == id && matches!(entry.stage, Stage::Queued))
    }

    fn is_in_flight(&self, id: u64, generation: u64) -> bool {
        self.entries.get(index(id)).is_some_and(|entry| {
            entry.id == id && matches!(entry.stage, Stage::InFlight(holder) if holder == generation)
        })
    }

    /// Ends every event whose deadline has passed: those in flight as timed out, those queued as rejected.
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
                self.finish(key, Outcome::TimedOut, Some(generation), due);
            } else {
                self.queued -= 1;
                self.finish(key, Outcome::Rejected(Rejection::WaitedTooLong), None, due);
            }
        }
        self.trim();
    }

    /// Drops ids at the front of the queues whose entries are gone. Otherwise a queue without a generation would grow by
    /// the events that expire in it.
    fn trim(&mut self) {
        while self.queue.front().is_some_and(|id| !self.is_queued(*id)) {
            self.queue.pop_front();
        }
        while self.again.front().is_some_and(|id| !self.is_queued(*id)) {
            self.again.pop_front();
        }
    }

    /// Rejects every event that waits for a generation, because none will come.
    pub fn reject_queued(&mut self, why: Rejection, due: &mut impl FnMut(Ended<E>)) {
        let waiting = std::mem::take(&mut self.again).into_iter().chain(std::mem::take(&mut self.queue));
        for id in waiting {
            if self.is_queued(id) {
                self.queued -= 1;
                self.finish(index(id), Outcome::Rejected(why), None, due);
            }
        }
    }

    /// Takes back the events of a generation that ended, in the order of acceptance and before all queued events.
    ///
    /// `blame` is `None` when the host itself ended the generation. Returns the events that must become dead letters.
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
        // It ended by itself, and none of its events was executing: one of them caused it all the same.
        let unexplained =
            blame.is_some_and(|blame| blame.own_doing && !ids.iter().any(|id| blame.executing.contains(id)));
        // Backwards, so that `push_front` leaves them in the order of acceptance.
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

    /// Ends a quarantined event whose dead letter is durable.
    pub fn buried(&mut self, id: u64, due: &mut impl FnMut(Ended<E>)) {
        let quarantined = |entry: &Entry<E>| entry.id == id && matches!(entry.stage, Stage::Quarantined);
        if self.entries.get(index(id)).is_some_and(quarantined) {
            self.finish(index(id), Outcome::DeadLettered, None, due);
        }
    }

    /// The event with this id, and the time of its acceptance, while it is in this flow.
    pub fn get(&self, id: u64) -> Option<(&E, Instant)> {
        self.entries.get(index(id)).filter(|entry| entry.id == id).map(|entry| (&entry.event, entry.accepted))
    }

    fn finish(&mut self, key: usize, outcome: Outcome, by: Option<u64>, due: &mut impl FnMut(Ended<E>)) {
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

    /// Hands out the outcome of the first entry of a chain, and of the entries behind it that only waited for it.
    fn release(&mut self, key: usize, outcome: Outcome, by: Option<u64>, due: &mut impl FnMut(Ended<E>)) {
        let mut step = Some((key, outcome, by));
        while let Some((key, outcome, generation)) = step.take() {
            let entry = self.entries.remove(key);
            self.ledger.ended(&outcome);
            if entry.next == NONE {
                entry.order_key.map(|order_key| self.tails.remove(&order_key));
            } else {
                let next = &mut self.entries[entry.next as usize];
                next.is_head = true;
                if let Stage::Answered(how) = &mut next.stage {
                    let (outcome, by) = std::mem::replace(&mut **how, (Outcome::Ignored, None));
                    step = Some((entry.next as usize, outcome, by));
                }
            }
            let (id, accepted) = (Some(entry.id), entry.accepted);
            due(Ended { event: entry.event, id, outcome, accepted, generation });
        }
    }

    fn count_in_flight(&mut self, generation: u64, change: isize) {
        match self.in_flight.iter_mut().find(|(holder, _)| *holder == generation) {
            Some((_, count)) => *count = count.saturating_add_signed(change),
            None => self.in_flight.push((generation, usize::try_from(change).unwrap_or(0))),
        }
    }

    /// Events that this generation has and has not answered, without those that timed out.
    pub fn in_flight_in(&self, generation: u64) -> usize {
        self.in_flight.iter().find(|(holder, _)| *holder == generation).map_or(0, |(_, count)| *count)
    }

    /// Forgets a generation that ended with nothing in flight.
    pub fn forget(&mut self, generation: u64) {
        self.in_flight.retain(|(holder, count)| *holder != generation || *count > 0);
    }

    /// Events that wait for a generation.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Events that left the queue and have no outcome yet, or whose outcome waits for its chain.
    pub fn in_flight(&self) -> usize {
        self.entries.len() - self.queued
    }

    /// Whether the flow has no event.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The counts of all events so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// When the oldest event was accepted.
    pub fn oldest(&self) -> Option<Instant> {
        self.entries.iter().map(|(_, entry)| entry.accepted).min()
    }
}

/// What caused the end of a generation.
#[derive(Debug, Clone, Copy)]
pub struct Blame<'a> {
    /// The events that it was executing when it died, as far as the host knows.
    pub executing: &'a [u64],
    /// What happened, for the dead letter.
    pub cause: &'a str,
    /// Whether the process ended by itself. Then one of its events caused it, even if the host does not know which.
    pub own_doing: bool,
}

fn index(id: u64) -> usize {
    (id & ((1 << INDEX_BITS) - 1)) as usize
}

mod commit;
#[cfg(test)]
mod tests;
