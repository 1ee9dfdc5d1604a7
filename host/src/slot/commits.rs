//! The slot's connection to the store: effects that wait to be applied, and requests that wait for an answer.
//!
//! The slot sends all pending changes to the store as one batch. While the store works on it, further changes collect for
//! the next batch. Reads (`questions`) go separately and do not wait for changes. So each plugin causes at most one sync of
//! the disk at a time.

use super::{
    Setup,
    account::Account,
    actor::{Task, finish, judge_and_finish},
    command::Report,
    gather::Gather,
    questions::{CallId, Questions},
    record::{self, Cause},
};
use crate::{
    commit::{
        self, Applied, Batch, CommitError, NewEvent, Quota, Record, Results,
        pending::{self, restore},
        timers::TimerQuota,
        values::Values,
    },
    event::{ConnectorId, Event, Occurrence, ReplyTo, origin},
    text::clean,
};
use rosey_core::{
    flow::{Flow, RUNS},
    outcome::{Outcome, Rejection},
    state::{GenerationId, StoreVersions},
};
use rosey_wire::call::Returned;
use rustc_hash::FxHashSet;
use std::{sync::Arc, time::Instant};

/// What waits for the store, and what the store does now.
#[derive(Debug, Default)]
pub(super) struct Commits {
    /// Events that must be stored before the slot accepts them.
    accepts: Vec<(Instant, Event)>,
    records: Vec<(Owner, Record)>,
    /// Requests that read.
    pub(super) questions: Questions,
    /// The values that the plugin used last.
    pub(super) values: Values,
    /// The batch that the store has now, in its order.
    under_way: Option<UnderWay>,
    /// What the next batch waits for.
    pub(super) gather: Gather,
    /// Events that this slot has and that are also rows of the table `accepted`.
    held: FxHashSet<i64>,
    /// Removals of such rows that the store refused; tried again.
    later: Vec<(Owner, Record)>,
    /// Events with a row for which the queue had no room.
    again: Vec<Event>,
}

#[derive(Debug)]
struct UnderWay {
    accepts: Vec<(Instant, Event)>,
    records: Vec<(Owner, Leads)>,
    since: Instant,
}

/// What waits for a record.
#[derive(Debug)]
enum Owner {
    /// An event that ends with this outcome once its effects are applied.
    Event(u64, Outcome),
    /// A transaction of the plugin's own.
    Call(CallId),
    /// The removal of a stored event.
    End,
}

/// What to do after a record is applied: wake connectors, deliver signals, release the row.
#[derive(Debug, Default)]
struct Leads {
    connectors: Vec<ConnectorId>,
    signals: Vec<NewEvent>,
    ends_row: Option<i64>,
}

impl Leads {
    fn of(record: &Record) -> Self {
        let mut connectors: Vec<_> = record.lines.iter().map(|line| line.connector.clone()).collect();
        connectors.dedup();
        Self { connectors, signals: record.signals.clone(), ends_row: record.ends_row }
    }
}

impl Commits {
    /// Whether the end of an event still waits for the store.
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some() || !self.records.is_empty() || !self.accepts.is_empty()
    }

    /// Number of records that wait for the next batch.
    pub fn waiting(&self) -> usize {
        self.records.len()
    }

    /// Takes a transaction of the plugin's own.
    pub fn transact(&mut self, call: CallId, record: Record) {
        self.records.push((Owner::Call(call), record));
    }

    /// Whether something must be tried again.
    pub fn retries(&self) -> bool {
        !self.later.is_empty() || !self.again.is_empty()
    }

    /// Takes an event that must be stored before it begins. Returns it when too many wait for that.
    pub fn accept(&mut self, at: Instant, event: Event, most: usize) -> Option<Event> {
        let waiting = self.accepts.len() + self.under_way.as_ref().map_or(0, |under_way| under_way.accepts.len());
        if waiting >= most {
            return Some(event);
        }
        self.accepts.push((at, event));
        None
    }

    /// How many events with a row the slot has.
    pub fn holds(&self) -> usize {
        self.held.len()
    }

    /// Records that the slot has an event with a row. False when it has it already.
    pub fn hold(&mut self, row: i64) -> bool {
        self.held.insert(row)
    }

    /// Takes the answer to an event, and its effects. Returns the outcome if the event ends at once.
    pub fn take(
        &mut self,
        (setup, account): (&Setup, &mut Account),
        flow: &mut Flow<Event>,
        (id, generation): (u64, GenerationId),
        mut outcome: Outcome,
        (effects, store_version): (&[u8], u32),
    ) -> Option<Outcome> {
        let Some((event, accepted)) = flow.get(id) else { return Some(outcome) };
        let row = event.occurrence().and_then(|occurrence| occurrence.row);
        let must_commit = row.is_some() || matches!(event.reply_to, ReplyTo::Line);
        let fails = matches!(outcome, Outcome::Failed { .. });
        if !must_commit && (fails || effects.is_empty()) {
            return Some(outcome);
        }
        let mut record = Record::default();
        if !fails && !effects.is_empty() {
            match record::read(setup, account, effects, &Cause { event: Some(event) }) {
                Ok(read) => record = Record { store_version, ..read },
                Err(detail) => outcome = Outcome::Failed { text: String::new(), detail },
            }
        }
        record.ends_row = row;
        if matches!(event.reply_to, ReplyTo::Line) {
            let text = match &outcome {
                Outcome::Replied(text) => Some(text.clone()),
                _ if event.command().is_some() => outcome.clone().into_chat(&setup.name, accepted.elapsed()),
                _ => None,
            };
            record.lines.extend(text.and_then(|text| record::answer(setup, account, event, &text)));
        }
        if !must_commit && matches!(outcome, Outcome::Failed { .. }) {
            return Some(outcome);
        }
        // A late answer has no effects.
        if flow.begin_commit(id, generation) {
            self.records.push((Owner::Event(id, outcome), record));
        }
        None
    }

    /// Handles the end of an event with a row and without a commit: removes its row, or keeps the event to try again
    /// when the queue had no room. Returns the event if something is left to do about it.
    #[inline]
    pub fn ended(&mut self, event: Event, outcome: &Outcome) -> Option<Event> {
        let Some(row) = event.occurrence().and_then(|occurrence| occurrence.row) else { return Some(event) };
        self.ended_with_row(row, event, outcome)
    }

    fn ended_with_row(&mut self, row: i64, event: Event, outcome: &Outcome) -> Option<Event> {
        if !self.held.remove(&row) {
            // Its commit has removed the row.
            return Some(event);
        }
        match outcome {
            Outcome::Rejected(_) if event.command().is_some() && !matches!(event.reply_to, ReplyTo::Line) => {}
            Outcome::Rejected(Rejection::QueueFull | Rejection::WaitedTooLong) => {
                self.again.push(event);
                return None;
            }
            // It runs after the next start.
            Outcome::Rejected(_) => return Some(event),
            _ => {}
        }
        self.records.push((Owner::End, Record::end(row)));
        Some(event)
    }
}

impl Task {
    /// Sends everything that has collected to the store, unless the store is busy with the last batch.
    pub(super) fn send_commits(&mut self, now: Instant) {
        let commits = &mut self.commits;
        let waiting = commits.records.len() + commits.accepts.len();
        if commits.under_way.is_some() || waiting == 0 || commits.gather.waits(now, waiting) {
            return;
        }
        commits.gather.begins();
        let records = std::mem::take(&mut commits.records).into_iter();
        let (leads, records) =
            records.map(|(owner, record)| ((owner, Leads::of(&record)), record)).unzip::<_, _, Vec<_>, Vec<_>>();
        let accepts = std::mem::take(&mut commits.accepts);
        let written = accepts.iter().filter_map(|(_, event)| {
            let what = crate::event::What::Command(event.command()?.clone());
            let origin = origin::write(&event.user, &event.place);
            Some(NewEvent { plugin: Arc::clone(&self.setup.name), what, pattern: "".into(), origin })
        });
        let limits = &self.setup.limits;
        let active = self.state.active().and_then(|active| self.live.iter().find(|live| live.generation == active));
        let store_version = active.map(|live| live.manifest.store_version);
        let batch = Batch {
            plugin: Arc::clone(&self.setup.name),
            quota: Quota { keys: limits.store_keys, bytes: limits.store_bytes, lines: limits.lines },
            timer_quota: TimerQuota { timers: limits.timers, bytes: limits.timer_bytes },
            clock: self.setup.clock.clone(),
            values: commits.values.clone(),
            store_version,
            accepts: written.collect(),
            records,
        };
        commits.under_way = Some(UnderWay { accepts, records: leads, since: now });
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        tokio::spawn(async move {
            let results = commit::run(&database, batch).await;
            // Fails only when the slot has ended, and with it everything that waits.
            let _ = reports.send(Report::Committed(results)).await;
        });
    }

    /// Reads the stored events that have not ended, when the plugin comes up.
    pub(super) fn load_pending(&self) {
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        let name = Arc::clone(&self.setup.name);
        tokio::spawn(async move {
            let plugin = Arc::clone(&name);
            match database.run(move |connection| pending::accepted(connection, &plugin)).await {
                // Fails only when the slot has ended.
                Ok(events) => drop(reports.send(Report::Pending(events)).await),
                Err(error) => {
                    tracing::error!(plugin = %name, "events that were accepted before cannot be read: {error}")
                }
            }
        });
    }

    /// Tries again what had no room, and what could not be stored.
    pub(super) fn retry_commits(&mut self, now: Instant) {
        let later = std::mem::take(&mut self.commits.later);
        self.commits.records.extend(later);
        for event in std::mem::take(&mut self.commits.again) {
            self.admit(now, now, event);
        }
    }

    /// Takes the results of a batch.
    pub(super) fn committed(&mut self, now: Instant, results: Results) {
        let Some(UnderWay { accepts, records, since }) = self.commits.under_way.take() else { return };
        let (took, waiting) =
            (now.saturating_duration_since(since), self.commits.records.len() + self.commits.accepts.len());
        self.commits.gather.ended(now, took, records.len() + accepts.len(), waiting);
        results.usage.into_iter().for_each(|usage| self.account.keeps(usage));
        results.timers.into_iter().for_each(|pending| self.timers.changed(pending, now));
        if self.state.store().now.is_none() {
            self.state.know_store(StoreVersions { now: results.version, ..self.state.store() });
        }
        self.accepted(now, accepts, results.accepts);
        for ((owner, leads), result) in records.into_iter().zip(results.records) {
            if result.is_ok() {
                self.account.commit_times.observe(took);
            }
            if let (Some(row), Ok(_) | Err(CommitError::Ended)) = (leads.ends_row, &result) {
                self.commits.held.remove(&row);
            }
            let result = result.map(|applied| self.happens(&leads, &applied));
            match owner {
                Owner::Event(id, outcome) => self.event_committed(now, id, leads.ends_row, outcome, result),
                Owner::Call(id) => match result {
                    Ok(()) => self.give_back(id, &Returned::Done),
                    Err(CommitError::Conflict) => self.give_back(id, &Returned::Conflict),
                    Err(error) => self.give_back(id, &Returned::Failed(&error.to_string())),
                },
                Owner::End => {
                    if let (Err(CommitError::Store(_)), Some(row)) = (result, leads.ends_row) {
                        self.commits.later.push((Owner::End, Record::end(row)));
                    }
                }
            }
        }
        if self.is_written() {
            self.answer_stops();
        }
    }

    /// Begins the events that are stored, or rejects them when they could not be.
    fn accepted(&mut self, now: Instant, accepts: Vec<(Instant, Event)>, result: Result<Vec<i64>, CommitError>) {
        match result {
            Ok(rows) => {
                for ((at, event), row) in accepts.into_iter().zip(rows) {
                    self.admit(now, at, event.with_row(row));
                }
            }
            Err(error) => {
                if !accepts.is_empty() {
                    tracing::error!(plugin = %self.setup.name, "commands cannot be stored, so they are rejected: {error}");
                }
                for (at, event) in accepts {
                    let ended = self.flow.turn_away(at, event, Rejection::NotRecorded);
                    finish(&self.setup, &mut self.account, &mut self.commits, now, ended);
                }
            }
        }
    }

    /// Does what follows a record, after it is durable.
    fn happens(&self, leads: &Leads, applied: &Applied) {
        leads.connectors.iter().for_each(|connector| self.setup.outlets.lines_wait(connector));
        for (signal, row) in leads.signals.iter().zip(&applied.signals) {
            let occurrence = Occurrence::new(signal.what.clone(), 0, Arc::clone(&signal.pattern));
            let event = restore(Occurrence { row: Some(*row), ..occurrence }, &signal.origin);
            self.setup.outlets.deliver(&signal.plugin, event);
        }
    }

    fn event_committed(
        &mut self,
        now: Instant,
        id: u64,
        row: Option<i64>,
        outcome: Outcome,
        result: Result<(), CommitError>,
    ) {
        let Self { flow, state, setup, account, commits, .. } = self;
        let disk_failed = matches!(result, Err(CommitError::Store(_)));
        let outcome = match result {
            Ok(()) => outcome,
            // The previous host already answered this event.
            Err(CommitError::Ended) => Outcome::Ignored,
            // The build read a store that was changed or replaced. The event runs again, perhaps in another build.
            Err(CommitError::Conflict | CommitError::OtherVersion { .. }) => {
                account.conflicts += 1;
                if flow.conflicted(id) {
                    return;
                }
                let detail = format!("what it reads was changed by other events while it ran, {RUNS} times");
                Outcome::Failed { text: "That was too busy; try again in a moment.".to_owned(), detail }
            }
            Err(error) => Outcome::Failed { text: String::new(), detail: clean(&error.to_string(), 500) },
        };
        let setup: &Setup = setup;
        if let Some(row) = row.filter(|row| commits.held.contains(row)) {
            // The event has ended, although its effects were not applied.
            commits.held.remove(&row);
            let end = (Owner::End, Record::end(row));
            if disk_failed { commits.later.push(end) } else { commits.records.push(end) }
        }
        flow.committed(id, outcome, &mut |ended| {
            judge_and_finish(state, setup, account, commits, now, ended);
        });
    }
}
