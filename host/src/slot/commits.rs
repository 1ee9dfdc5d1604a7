//! What a plugin keeps, seen from its slot: effects that wait to be applied, and questions that wait for an answer.
//!
//! Whatever comes in one turn goes to the store together, and while that is under way the rest collects. So a plugin pays
//! for one sync of the disk at a time, however many events wait for it.

use super::{
    Setup,
    account::Account,
    actor::{Task, finish, judge_and_finish},
    command::Report,
    live::Live,
    record::{self, Cause, no_scope, unreadable},
};
use crate::{
    commit::{
        self, Answer, Applied, Batch, CommitError, NewEvent, Question, Quota, Record, Results,
        pending::{self, restore},
        scope,
        timers::{Listed, TimerQuota},
    },
    event::{ConnectorId, Event, Occurrence, ReplyTo, origin},
    text::clean,
};
use rosey_core::{
    flow::{Flow, RUNS, is_probe},
    outcome::{Outcome, Rejection},
    state::GenerationId,
};
use rosey_wire::{
    call::{Call, Returned, TimerInfo},
    frame::{decode, pack},
    message::ToShim,
};
use rustc_hash::FxHashSet;
use std::{sync::Arc, time::Instant};

/// Questions of one plugin that may wait for an answer. Beyond it they are answered with a refusal, so that a plugin that
/// floods the host with questions slows only itself.
const MAX_CALLS: usize = 4096;

/// What waits for the store, and what it is doing.
#[derive(Debug, Default)]
pub(super) struct Commits {
    /// Events that are not accepted before they are written down.
    accepts: Vec<(Instant, Event)>,
    records: Vec<(Owner, Record)>,
    questions: Vec<(CallId, Question)>,
    /// What is with the store now, in the order of the batch.
    under_way: Option<UnderWay>,
    /// Rows of `accepted` whose events this slot has.
    held: FxHashSet<i64>,
    /// Ends that could not be written down.
    later: Vec<(Owner, Record)>,
    /// Events with a row for which there was no room.
    again: Vec<Event>,
}

#[derive(Debug)]
struct UnderWay {
    accepts: Vec<(Instant, Event)>,
    records: Vec<(Owner, Leads)>,
    questions: Vec<CallId>,
    since: Instant,
}

/// Who waits for a record.
#[derive(Debug)]
enum Owner {
    /// An event that ends like this once its effects are applied.
    Event(u64, Outcome),
    /// A transaction of the plugin's own.
    Call(CallId),
    /// It is only removed from what has not ended.
    End,
}

/// What a record leads to once it is applied.
#[derive(Debug, Default)]
struct Leads {
    connectors: Vec<ConnectorId>,
    signals: Vec<NewEvent>,
    settles: Option<i64>,
}

impl Leads {
    fn of(record: &Record) -> Self {
        let mut connectors: Vec<_> = record.lines.iter().map(|line| line.connector.clone()).collect();
        connectors.dedup();
        Self { connectors, signals: record.signals.clone(), settles: record.settles }
    }
}

/// A call, and the process that waits for its answer.
#[derive(Debug, Clone, Copy)]
struct CallId {
    generation: GenerationId,
    call: u64,
}

impl Commits {
    /// Whether the end of an event still waits for the store.
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some() || !self.records.is_empty() || !self.accepts.is_empty()
    }

    /// Whether there is something to be tried again.
    pub fn retries(&self) -> bool {
        !self.later.is_empty() || !self.again.is_empty()
    }

    /// Takes an event that may begin only when it is written down. Handed back when too many wait for that.
    pub fn accept(&mut self, at: Instant, event: Event, most: usize) -> Option<Event> {
        let waiting = self.accepts.len() + self.under_way.as_ref().map_or(0, |under_way| under_way.accepts.len());
        if waiting >= most {
            return Some(event);
        }
        self.accepts.push((at, event));
        None
    }

    /// Notes that the slot has an event with a row. False when it has it already.
    pub fn hold(&mut self, row: i64) -> bool {
        self.held.insert(row)
    }

    /// Takes the answer to an event and what it wants changed. Returns the outcome where the event ends at once.
    pub fn take(
        &mut self,
        (setup, account): (&Setup, &mut Account),
        flow: &mut Flow<Event>,
        (id, generation): (u64, GenerationId),
        mut outcome: Outcome,
        effects: &[u8],
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
                Ok(read) => record = read,
                Err(detail) => outcome = Outcome::Failed { text: String::new(), detail },
            }
        }
        record.settles = row;
        if matches!(event.reply_to, ReplyTo::Line) {
            let said = match &outcome {
                Outcome::Replied(text) => Some(text.clone()),
                _ if event.command().is_some() => outcome.clone().into_chat(&setup.name, accepted.elapsed()),
                _ => None,
            };
            record.lines.extend(said.and_then(|text| record::answer(setup, account, event, &text)));
        }
        if !must_commit && matches!(outcome, Outcome::Failed { .. }) {
            return Some(outcome);
        }
        // Not when the answer comes too late: then nothing of it is applied.
        if flow.begin_commit(id, generation) {
            self.records.push((Owner::Event(id, outcome), record));
        }
        None
    }

    /// Sees to an event with a row that ended without a commit: it is removed, or tried again where there was no room for it.
    /// Gives back what is left to do about the event, if anything is.
    pub fn ended(&mut self, event: Event, outcome: &Outcome) -> Option<Event> {
        let Some(row) = event.occurrence().and_then(|occurrence| occurrence.row) else { return Some(event) };
        if !self.held.remove(&row) {
            // Its commit has removed it.
            return Some(event);
        }
        match outcome {
            Outcome::Rejected(_) if event.command().is_some() && !matches!(event.reply_to, ReplyTo::Line) => {}
            Outcome::Rejected(Rejection::QueueFull | Rejection::WaitedTooLong) => {
                self.again.push(event);
                return None;
            }
            // It is handled after the next start.
            Outcome::Rejected(_) => return Some(event),
            _ => {}
        }
        self.records.push((Owner::End, Record { settles: Some(row), ..Record::default() }));
        Some(event)
    }
}

impl Task {
    /// Takes a question of a generation.
    pub(super) fn call(&mut self, generation: GenerationId, call: u64, event: u64, request: &[u8]) {
        let id = CallId { generation, call };
        let refusal = match self.question(event, request) {
            Ok(_) if self.commits.records.len() + self.commits.questions.len() >= MAX_CALLS => {
                self.account.hit("calls");
                format!("{MAX_CALLS} questions to the host wait already")
            }
            Ok(Asked::Question(question)) => return self.commits.questions.push((id, question)),
            Ok(Asked::Record(record)) => return self.commits.records.push((Owner::Call(id), record)),
            Err(why) => why,
        };
        self.give_back(id, &Returned::Failed(&refusal));
    }

    fn question(&mut self, event: u64, request: &[u8]) -> Result<Asked, String> {
        let known = self.flow.get(event).map(|(event, _)| (&*event.place, &*event.user));
        if event != 0 && known.is_none() && !is_probe(event) {
            return Err("the event has ended; nothing can be read for it any more".to_owned());
        }
        let of = |kind| scope::name(kind, known).ok_or_else(no_scope);
        match decode::<Call<'_>>(request).map_err(|_| unreadable())? {
            Call::Get { scope, key } => Ok(Asked::Question(Question::Get { scope: of(scope)?, key: key.to_owned() })),
            Call::List { scope, prefix, limit, after } => Ok(Asked::Question(Question::List {
                scope: of(scope)?,
                prefix: prefix.to_owned(),
                limit,
                after: after.to_owned(),
            })),
            Call::Transaction(effects) => {
                record::of(&self.setup, &mut self.account, &effects, &Cause { event: None }).map(Asked::Record)
            }
            Call::Timers => Ok(Asked::Question(Question::Timers)),
        }
    }

    /// Sends what has collected to the store, unless that is busy with what came before.
    pub(super) fn send_commits(&mut self, now: Instant) {
        let commits = &mut self.commits;
        if commits.under_way.is_some()
            || (commits.records.is_empty() && commits.questions.is_empty() && commits.accepts.is_empty())
        {
            return;
        }
        let records = std::mem::take(&mut commits.records).into_iter();
        let (leads, records) =
            records.map(|(owner, record)| ((owner, Leads::of(&record)), record)).unzip::<_, _, Vec<_>, Vec<_>>();
        let (calls, questions) = std::mem::take(&mut commits.questions).into_iter().unzip();
        let accepts = std::mem::take(&mut commits.accepts);
        let written = accepts.iter().filter_map(|(_, event)| {
            let what = crate::event::What::Command(event.command()?.clone());
            let origin = origin::write(&event.user, &event.place);
            Some(NewEvent { plugin: Arc::clone(&self.setup.name), what, pattern: "".into(), origin })
        });
        let limits = &self.setup.limits;
        let batch = Batch {
            plugin: Arc::clone(&self.setup.name),
            quota: Quota { keys: limits.store_keys, bytes: limits.store_bytes, lines: limits.lines },
            timer_quota: TimerQuota { timers: limits.timers, bytes: limits.timer_bytes },
            clock: self.setup.clock.clone(),
            accepts: written.collect(),
            records,
            questions,
        };
        commits.under_way = Some(UnderWay { accepts, records: leads, questions: calls, since: now });
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        tokio::spawn(async move {
            let results = commit::run(&database, batch).await;
            // Fails only when the slot is gone, and with it everyone who waits.
            let _ = reports.send(Report::Committed(results)).await;
        });
    }

    /// Has what was written down and has not ended read, when the plugin comes up.
    pub(super) fn load_pending(&self) {
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        let name = Arc::clone(&self.setup.name);
        tokio::spawn(async move {
            let plugin = Arc::clone(&name);
            match database.run(move |connection| pending::accepted(connection, &plugin)).await {
                // Fails only when the slot is gone.
                Ok(events) => drop(reports.send(Report::Pending(events)).await),
                Err(error) => {
                    tracing::error!(plugin = %name, "events that were accepted before cannot be read: {error}")
                }
            }
        });
    }

    /// Tries again what there was no room for, and what could not be written.
    pub(super) fn retry_commits(&mut self, now: Instant) {
        let later = std::mem::take(&mut self.commits.later);
        self.commits.records.extend(later);
        for event in std::mem::take(&mut self.commits.again) {
            self.admit(now, now, event);
        }
    }

    /// The store has done what it was sent.
    pub(super) fn committed(&mut self, now: Instant, results: Results) {
        let Some(UnderWay { accepts, records, questions, since }) = self.commits.under_way.take() else { return };
        results.usage.into_iter().for_each(|usage| self.account.keeps(usage));
        self.accepted(now, accepts, results.accepts);
        for ((owner, leads), result) in records.into_iter().zip(results.records) {
            if result.is_ok() {
                self.account.commit_times.observe(now.saturating_duration_since(since));
            }
            if let (Some(row), Ok(_) | Err(CommitError::Ended)) = (leads.settles, &result) {
                self.commits.held.remove(&row);
            }
            let result = result.map(|applied| self.happens(&leads, &applied));
            match owner {
                Owner::Event(id, outcome) => self.event_committed(now, id, leads.settles, outcome, result),
                Owner::Call(id) => match result {
                    Ok(()) => self.give_back(id, &Returned::Done),
                    Err(CommitError::Conflict) => self.give_back(id, &Returned::Conflict),
                    Err(error) => self.give_back(id, &Returned::Failed(&error.to_string())),
                },
                Owner::End => {
                    if let (Err(CommitError::Store(_)), Some(row)) = (result, leads.settles) {
                        let record = Record { settles: Some(row), ..Record::default() };
                        self.commits.later.push((Owner::End, record));
                    }
                }
            }
        }
        for (id, answer) in questions.into_iter().zip(results.answers) {
            match &answer {
                Answer::Value { value, version } => {
                    self.give_back(id, &Returned::Value { version: *version, value });
                }
                Answer::Page { entries, more, count, version } => {
                    let entries = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                    let page = Returned::Page { entries, more: *more, count: *count, version: *version };
                    self.give_back(id, &page);
                }
                Answer::Timers(timers) => {
                    self.give_back(id, &Returned::Timers(timers.iter().map(timer_info).collect()));
                }
                Answer::Failed(why) => self.give_back(id, &Returned::Failed(why)),
            }
        }
        if self.is_written() {
            self.answer_stops();
        }
    }

    /// Events were written down, and begin; or could not be, and are turned away.
    fn accepted(&mut self, now: Instant, accepts: Vec<(Instant, Event)>, result: Result<Vec<i64>, CommitError>) {
        match result {
            Ok(rows) => {
                for ((at, event), row) in accepts.into_iter().zip(rows) {
                    self.admit(now, at, event.with_row(row));
                }
            }
            Err(error) => {
                if !accepts.is_empty() {
                    tracing::error!(plugin = %self.setup.name, "commands cannot be written down, and are turned away: {error}");
                }
                for (at, event) in accepts {
                    let ended = self.flow.turn_away(at, event, Rejection::NotRecorded);
                    finish(&self.setup, &mut self.account, &mut self.commits, now, ended);
                }
            }
        }
    }

    /// What a record leads to, now that it is durable.
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
            // In the host before this one. What it says was said.
            Err(CommitError::Ended) => Outcome::Ignored,
            Err(CommitError::Conflict) => {
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
            // Nothing of it was applied, and it is over all the same.
            commits.held.remove(&row);
            let end = (Owner::End, Record { settles: Some(row), ..Record::default() });
            if disk_failed { commits.later.push(end) } else { commits.records.push(end) }
        }
        flow.committed(id, outcome, &mut |ended| {
            judge_and_finish(state, setup, account, commits, now, ended);
        });
    }

    fn give_back(&mut self, id: CallId, answer: &Returned<'_>) {
        let Some(live) = self.live.iter_mut().find(|live: &&mut Live| live.generation == id.generation) else { return };
        // A page is bounded, and everything else is small.
        let bytes = pack(answer).or_else(|_| pack(&Returned::Failed("the answer is too large")));
        if let Ok(bytes) = bytes {
            live.push(&ToShim::Returned { call: id.call, answer: &bytes });
        }
    }
}

fn timer_info(timer: &Listed) -> TimerInfo<'_> {
    TimerInfo { name: &timer.name, due_ms: timer.due, cron: &timer.cron }
}

enum Asked {
    Question(Question),
    Record(Record),
}
