//! The requests of a plugin that read, or that change the store beside its events.
//!
//! The value of a key that the plugin used last is given back at once. All other questions that have collected go to the
//! thread that reads, as one job; they do not wait for changes.

use super::{
    actor::Task,
    command::Report,
    live::Live,
    migration::not_a_migration,
    record::{self, Cause, no_scope, unreadable},
};
use crate::{
    commit::{
        self, Answer, Question, Record, WalkedEntry, scope,
        timers::Listed,
        values::{Moment, Value},
    },
    event::{Identity, Place, User},
};
use rosey_core::{
    flow::{MIGRATION, is_probe},
    state::GenerationId,
};
use rosey_wire::{
    call::{Call, Returned, TimerInfo, WalkedKey},
    frame::{decode, pack},
    message::ToShim,
};
use std::sync::Arc;

/// Most requests of one plugin that may wait for an answer. The host refuses further ones, so that a plugin that floods
/// the host slows only itself.
const MAX_CALLS: usize = 4096;

/// Requests that wait for the store, and those that it answers now.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: Vec<(CallId, Question)>,
    /// Since when, and in the order of their questions.
    asking: Option<(Moment, Vec<Asking>)>,
}

/// Who asks, and for which value.
type Asking = (CallId, Option<Key>);

/// The scope and the name of a key whose value is asked for.
type Key = (Arc<str>, String);

/// A request of a plugin, and the process that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallId {
    generation: GenerationId,
    call: u64,
}

impl Task {
    /// Takes a request of a generation.
    pub(super) fn call(&mut self, generation: GenerationId, call: u64, event: u64, request: &[u8]) {
        let id = CallId { generation, call };
        if self.commits.waiting() + self.commits.questions.waiting.len() >= MAX_CALLS {
            self.account.hit("calls");
            return self.refuse_call(id, &format!("{MAX_CALLS} questions to the host wait already"));
        }
        let refusal = match self.question(generation, event, request) {
            Ok(Asked::Question(question)) => return self.commits.questions.waiting.push((id, question)),
            Ok(Asked::Record(record)) => {
                let store_version = self.store_version(generation);
                let record = Record { store_version, ..record };
                return self.commits.transact(id, record);
            }
            Ok(Asked::Nothing) => return self.give_back(id, &Returned::Done),
            Ok(Asked::Answered(answer)) => {
                if let Some(live) = self.live.iter_mut().find(|live| live.generation == generation) {
                    live.intake.read();
                    live.push(&ToShim::Returned { call, answer: &answer });
                }
                return;
            }
            Err(why) => why,
        };
        self.refuse_call(id, &refusal);
    }

    fn refuse_call(&mut self, id: CallId, why: &str) {
        if let Some(live) = self.live.iter_mut().find(|live| live.generation == id.generation) {
            live.intake.refused();
        }
        self.give_back(id, &Returned::Failed(why));
    }

    /// The version of the store that a generation reads and writes.
    pub(super) fn store_version(&self, generation: GenerationId) -> u32 {
        let live = self.live.iter().find(|live| live.generation == generation);
        live.map_or(0, |live| live.manifest.store_version)
    }

    fn question(&mut self, generation: GenerationId, event: u64, request: &[u8]) -> Result<Asked, String> {
        // A probe reads the store as a new person would.
        let probe = (is_probe(event) && event != MIGRATION)
            .then(|| (Place::new("probe", "probe"), User { name: "probe".to_owned(), identity: Identity::Console }));
        let known = match &probe {
            Some((place, user)) => Some((place, user)),
            None => self.flow.get(event).map(|(event, _)| (&*event.place, &*event.user)),
        };
        if event != 0 && known.is_none() && !is_probe(event) {
            return Err("the event has ended; nothing can be read for it any more".to_owned());
        }
        let of = |kind| scope::name(kind, known).ok_or_else(no_scope);
        match decode::<Call<'_>>(request).map_err(|_| unreadable())? {
            Call::Get { scope, key } => {
                let scope = of(scope)?;
                let pack = |it: &Value| pack(&Returned::Value { version: it.version, value: &it.text });
                Ok(match self.commits.values.read(&scope, key, pack) {
                    Some(Ok(answer)) => Asked::Answered(answer),
                    _ => Asked::Question(Question::Get { scope, key: key.to_owned() }),
                })
            }
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
            Call::Walk { .. } | Call::Stage(_) if event != MIGRATION || !self.is_migrating(generation) => {
                Err(not_a_migration())
            }
            Call::Walk { scope, key, limit } => {
                let (scope, key) = (scope.to_owned(), key.to_owned());
                Ok(Asked::Question(Question::Walk { scope, key, limit }))
            }
            Call::Stage(effects) => self.stage(&effects).map(|()| Asked::Nothing),
        }
    }

    /// Sends the questions that have collected to the store, unless it is busy with those before.
    pub(super) fn send_questions(&mut self) {
        let commits = &mut self.commits;
        if commits.questions.asking.is_some() || commits.questions.waiting.is_empty() {
            return;
        }
        let questions = std::mem::take(&mut commits.questions.waiting).into_iter();
        let (calls, questions) = questions.map(|(call, question)| ((call, key_of(&question)), question)).unzip();
        commits.questions.asking = Some((commits.values.moment(), calls));
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        let (plugin, now) = (Arc::clone(&self.setup.name), self.setup.clock.now());
        tokio::spawn(async move {
            let answers = commit::ask(&database, plugin, questions, now).await;
            // Fails only when the slot has ended, and with it everything that waits.
            let _ = reports.send(Report::Answered(answers)).await;
        });
    }

    /// Takes the answers to questions.
    pub(super) fn answered(&mut self, answers: Vec<Answer>) {
        let Some((since, calls)) = self.commits.questions.asking.take() else { return };
        for ((id, key), answer) in calls.into_iter().zip(answers) {
            match answer {
                Answer::Value { value, version, expires } => {
                    self.give_back(id, &Returned::Value { version, value: &value });
                    if let Some((scope, key)) = key.filter(|_| !expires) {
                        self.commits.values.learn(since, &scope, &key, Value { text: value, version });
                    }
                }
                Answer::Page { entries, more, count, version } => {
                    let entries = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                    let page = Returned::Page { entries, more, count, version };
                    self.give_back(id, &page);
                }
                Answer::Timers(timers) => {
                    self.give_back(id, &Returned::Timers(timers.iter().map(timer_info).collect()));
                }
                Answer::Walked { entries, more } => {
                    let entries = entries.iter().map(|WalkedEntry { scope, key, value, expires }| WalkedKey {
                        scope,
                        key,
                        value,
                        expires_ms: *expires,
                    });
                    self.give_back(id, &Returned::Walked { entries: entries.collect(), more });
                }
                Answer::Failed(why) => self.give_back(id, &Returned::Failed(&why)),
            }
        }
    }

    pub(super) fn give_back(&mut self, id: CallId, answer: &Returned<'_>) {
        let Some(live) = self.live.iter_mut().find(|live: &&mut Live| live.generation == id.generation) else { return };
        // A page is bounded, and all other answers are small.
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
    /// It is done.
    Nothing,
    /// The answer, encoded.
    Answered(Vec<u8>),
}

fn key_of(question: &Question) -> Option<Key> {
    match question {
        Question::Get { scope, key } => Some((Arc::clone(scope), key.clone())),
        _ => None,
    }
}
