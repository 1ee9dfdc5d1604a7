//! What a plugin keeps, seen from its slot: effects that wait to be applied, and questions that wait for an answer.
//!
//! Whatever comes in one turn goes to the store together, and while that is under way the rest collects. So a plugin pays
//! for one sync of the disk at a time, however many events wait for it.

use super::{
    Setup,
    actor::{Task, judge_and_finish},
    command::Report,
    live::Live,
};
use crate::{
    commit::{
        self, Answer, Batch, Change, CommitError, Question, Quota, Read, Record, Results, To, scope,
        timers::{Listed, TimerQuota},
    },
    event::{Event, Place, User},
    text::clean,
};
use rosey_core::{
    flow::{Flow, RUNS, is_probe},
    outcome::Outcome,
    state::GenerationId,
};
use rosey_wire::{
    call::{Call, Returned, TimerInfo},
    effect::{self, Effect, Effects},
    frame::{decode, pack},
    message::ToShim,
};
use std::{sync::Arc, time::Instant};

/// Questions of one plugin that may wait for an answer. Beyond it they are answered with a refusal, so that a plugin that
/// floods the host with questions slows only itself.
const MAX_CALLS: usize = 4096;

/// Bytes of effects of one event.
const MAX_EFFECTS: usize = 1 << 20;

/// What waits for the store, and what it is doing.
#[derive(Debug, Default)]
pub(super) struct Commits {
    records: Vec<(Owner, Record)>,
    questions: Vec<(CallId, Question)>,
    /// What is with the store now, in the order of the batch.
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    records: Vec<Owner>,
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
        self.under_way.is_some() || !self.records.is_empty()
    }

    /// Takes the answer to an event and what it wants changed. Returns the outcome where the event ends at once.
    pub fn take(
        &mut self,
        flow: &mut Flow<Event>,
        (id, generation): (u64, GenerationId),
        outcome: Outcome,
        effects: &[u8],
    ) -> Option<Outcome> {
        if matches!(outcome, Outcome::Failed { .. }) {
            return Some(outcome);
        }
        let Some((event, _)) = flow.get(id) else { return Some(outcome) };
        match record(effects, Some((&event.place, &event.user))) {
            Ok(record) => {
                // Not when the answer comes too late: then nothing of it is applied.
                if flow.begin_commit(id, generation) {
                    self.records.push((Owner::Event(id, outcome), record));
                }
                None
            }
            Err(detail) => Some(Outcome::Failed { text: String::new(), detail }),
        }
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

    fn question(&self, event: u64, request: &[u8]) -> Result<Asked, String> {
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
            Call::Transaction(effects) => record_of(&effects, None).map(Asked::Record),
            Call::Timers => Ok(Asked::Question(Question::Timers)),
        }
    }

    /// Sends what has collected to the store, unless that is busy with what came before.
    pub(super) fn send_commits(&mut self, now: Instant) {
        let commits = &mut self.commits;
        if commits.under_way.is_some() || (commits.records.is_empty() && commits.questions.is_empty()) {
            return;
        }
        let (owners, records) = std::mem::take(&mut commits.records).into_iter().unzip();
        let (calls, questions) = std::mem::take(&mut commits.questions).into_iter().unzip();
        commits.under_way = Some(UnderWay { records: owners, questions: calls, since: now });
        let limits = &self.setup.limits;
        let quota = Quota { keys: limits.store_keys, bytes: limits.store_bytes };
        let timer_quota = TimerQuota { timers: limits.timers, bytes: limits.timer_bytes };
        let (plugin, clock) = (Arc::clone(&self.setup.name), self.setup.clock.clone());
        let batch = Batch { plugin, quota, timer_quota, clock, records, questions };
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        tokio::spawn(async move {
            let results = commit::run(&database, batch).await;
            // Fails only when the slot is gone, and with it everyone who waits.
            let _ = reports.send(Report::Committed(results)).await;
        });
    }

    /// The store has done what it was sent.
    pub(super) fn committed(&mut self, now: Instant, results: Results) {
        let Some(UnderWay { records, questions, since }) = self.commits.under_way.take() else { return };
        results.usage.into_iter().for_each(|usage| self.account.keeps(usage));
        for (owner, result) in records.into_iter().zip(results.records) {
            if result.is_ok() {
                self.account.commit_times.observe(now.saturating_duration_since(since));
            }
            match owner {
                Owner::Event(id, outcome) => self.event_committed(now, id, outcome, result),
                Owner::Call(id) => match result {
                    Ok(()) => self.give_back(id, &Returned::Done),
                    Err(CommitError::Conflict) => self.give_back(id, &Returned::Conflict),
                    Err(error) => self.give_back(id, &Returned::Failed(&error.to_string())),
                },
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

    fn event_committed(&mut self, now: Instant, id: u64, outcome: Outcome, result: Result<(), CommitError>) {
        let Self { flow, state, setup, account, .. } = self;
        let outcome = match result {
            Ok(()) => outcome,
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
        flow.committed(id, outcome, &mut |ended| {
            judge_and_finish(state, setup, account, now, ended);
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

fn unreadable() -> String {
    "what the plugin asks of the host cannot be read; build it with a plugin-api of this Rosey or an older one"
        .to_owned()
}

fn no_scope() -> String {
    "only an event has a channel and a person; background work has the global scope".to_owned()
}

fn record(effects: &[u8], event: Option<(&Arc<Place>, &Arc<User>)>) -> Result<Record, String> {
    if effects.len() > MAX_EFFECTS {
        return Err(format!("its effects have {} bytes, and one event may have {MAX_EFFECTS}", effects.len()));
    }
    let effects = decode::<Effects<'_>>(effects).map_err(|_| unreadable())?;
    record_of(&effects, event.map(|(place, user)| (&**place, &**user)))
}

fn record_of(effects: &Effects<'_>, event: Option<(&Place, &User)>) -> Result<Record, String> {
    let of = |kind| scope::name(kind, event).ok_or_else(no_scope);
    let mut record = Record::default();
    for read in &effects.reads {
        record.reads.push(match *read {
            effect::Read::Key { scope, key, version } => Read::Key { scope: of(scope)?, key: key.to_owned(), version },
            effect::Read::Prefix { scope, prefix, count, version } => {
                Read::Prefix { scope: of(scope)?, prefix: prefix.to_owned(), count, version }
            }
        });
    }
    for effect in &effects.changes {
        let (kind, key, to) = match *effect {
            Effect::Put { scope, key, value, ttl_ms } => (scope, key, To::Value(value.to_owned(), ttl_ms)),
            Effect::Delete { scope, key } => (scope, key, To::Nothing),
            Effect::Add { scope, key, by } => (scope, key, To::Sum(by)),
            Effect::Say { .. } => return Err(not_yet("says lines beside its answer")),
            Effect::SetTimer { .. } | Effect::CancelTimer { .. } => return Err(not_yet("has timers")),
            Effect::Publish { .. } => return Err(not_yet("sends signals")),
        };
        record.changes.push(Change { scope: of(kind)?, key: key.to_owned(), to });
    }
    Ok(record)
}

fn not_yet(what: &str) -> String {
    format!("a plugin that {what} needs a newer Rosey than {}", env!("CARGO_PKG_VERSION"))
}
