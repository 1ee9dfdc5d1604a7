//! The store, timers and lines of a plugin under test, in memory.

use super::cron::Cron;
use crate::{Error, Result, effects::TimerInfo, journal::sum, random::Random};
use rosey_wire::{
    call::{Call, Returned, TimerInfo as WireTimer, WalkedKey},
    effect::{Effect, Effects, Read, Scope, Target, When},
    frame::{decode, pack},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

thread_local! {
    /// The memory that answers the calls of the handler that this thread polls.
    static CURRENT: RefCell<Option<Arc<Memory>>> = const { RefCell::new(None) };
}

/// The memory that answers calls on this thread, in place of a host.
pub(crate) fn current() -> Option<Arc<Memory>> {
    CURRENT.with_borrow(Clone::clone)
}

/// While it lives, calls of this thread go to a memory.
pub(super) struct Entered(Option<Arc<Memory>>);

impl Entered {
    pub(super) fn new(memory: &Arc<Memory>) -> Self {
        Self(CURRENT.replace(Some(Arc::clone(memory))))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// The person and the channel of an event: its scopes.
#[derive(Clone, Default)]
pub(super) struct Place {
    pub(super) user: String,
    pub(super) channel: String,
}

/// A line that a handler said besides its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentLine {
    /// The readers: the channel, the person, or `connector:channel` for another channel.
    pub to: String,
    /// The text, which may have several lines.
    pub text: String,
}

#[derive(Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Clone)]
struct State {
    /// The clock, in whole milliseconds. It stands still until a test presses it forward.
    now: SystemTime,
    /// When the bot was made, by the clock of the day and by that of the process.
    began: (SystemTime, Instant),
    /// The values by scope, owner within it, and key.
    values: BTreeMap<(Scope, String, String), Value>,
    last_version: u64,
    /// What a migration under way has changed so far: each an encoded effect.
    staged: Vec<Vec<u8>>,
    /// The events that are being handled: where each happened, and its seed.
    events: HashMap<u64, (Place, u64)>,
    timers: BTreeMap<String, Timer>,
    sent: Vec<SentLine>,
    published: Vec<(String, String)>,
}

#[derive(Clone)]
struct Value {
    version: u64,
    json: String,
    until: Option<SystemTime>,
}

impl Default for State {
    fn default() -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(since_1970(SystemTime::now()));
        Self {
            now,
            began: (now, Instant::now()),
            values: BTreeMap::new(),
            last_version: 0,
            staged: Vec::new(),
            events: HashMap::new(),
            timers: BTreeMap::new(),
            sent: Vec::new(),
            published: Vec::new(),
        }
    }
}

#[derive(Clone)]
pub(super) struct Timer {
    pub(super) due: SystemTime,
    pub(super) cron: String,
    pub(super) payload: Vec<u8>,
    pub(super) place: Place,
}

/// The result of a commit that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Commit {
    Applied,
    Conflict,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a call as the host does.
    pub(crate) fn answer(&self, event: u64, request: &[u8]) -> Result<Vec<u8>> {
        let mut state = self.lock();
        let place = state.events.get(&event).map(|(place, _)| place.clone()).unwrap_or_default();
        Ok(match decode(request)? {
            Call::Get { scope, key } => {
                let value = state.get(scope, &place, key);
                pack(&match value {
                    Some(value) => Returned::Value { version: value.version, value: &value.json },
                    None => Returned::Value { version: 0, value: "" },
                })?
            }
            Call::List { scope, prefix, limit, after } => {
                let all = state.under(scope, &place, prefix);
                let (count, version) = seen(&all);
                let left: Vec<_> = all.into_iter().filter(|(key, _)| *key > after).collect();
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let more = left.len() > limit;
                let entries = left.into_iter().take(limit).map(|(key, value)| (key, value.json.as_str())).collect();
                pack(&Returned::Page { entries, more, count, version })?
            }
            Call::Timers => {
                let timers = state.timers.iter().map(|(name, timer)| WireTimer {
                    name,
                    due_ms: since_1970(timer.due),
                    cron: &timer.cron,
                });
                pack(&Returned::Timers(timers.collect()))?
            }
            Call::Transaction(effects) => match state.commit(&place, &effects) {
                Ok(Commit::Applied) => pack(&Returned::Done)?,
                Ok(Commit::Conflict) => pack(&Returned::Conflict)?,
                Err(why) => pack(&Returned::Failed(&why))?,
            },
            Call::Walk { scope, key, limit } => state.walk((scope, key), limit)?,
            Call::Stage(effects) => {
                for effect in &effects.changes {
                    state.staged.push(pack(effect)?);
                }
                pack(&Returned::Done)?
            }
        })
    }

    pub(super) fn begin(&self, event: u64, place: &Place, seed: u64) {
        let mut state = self.lock();
        state.staged.clear();
        state.events.insert(event, (place.clone(), seed));
    }

    /// A seed for an event that is being handled, another one at each call.
    pub(crate) fn seed(&self, event: u64) -> u64 {
        let mut state = self.lock();
        let Some((_, seed)) = state.events.get_mut(&event) else { return event };
        let mut random = Random::seeded(*seed);
        *seed = random.next_u64();
        random.next_u64()
    }

    /// The time of the bot's clock.
    pub(crate) fn now(&self) -> SystemTime {
        self.lock().now
    }

    /// The same by the clock of the process.
    pub(super) fn instant(&self) -> Instant {
        let state = self.lock();
        let (began, instant) = state.began;
        instant + state.now.duration_since(began).unwrap_or_default()
    }

    pub(super) fn set_now(&self, time: SystemTime) {
        let mut state = self.lock();
        state.now = SystemTime::UNIX_EPOCH + Duration::from_millis(since_1970(time));
        // A clock that is set back is another beginning.
        if state.now < state.began.0 {
            state.began.0 = state.now;
        }
    }

    pub(super) fn end(&self, event: u64) {
        self.lock().events.remove(&event);
    }

    /// Applies a handler's effects, all of them or none.
    pub(super) fn commit(&self, place: &Place, effects: &[u8]) -> Result<Commit> {
        self.lock().commit(place, &decode(effects)?).map_err(Error::internal)
    }

    pub(super) fn sent(&self) -> Vec<SentLine> {
        self.lock().sent.clone()
    }

    pub(super) fn take_sent(&self) -> Vec<SentLine> {
        std::mem::take(&mut self.lock().sent)
    }

    pub(super) fn published(&self) -> Vec<(String, String)> {
        self.lock().published.clone()
    }

    pub(super) fn stored(&self, scope: &str, key: &str) -> Option<String> {
        let (scope, owner) = scope_of(scope);
        let state = self.lock();
        let value = state.values.get(&(scope, owner, key.to_owned()));
        value.filter(|value| value.lives(state.now)).map(|value| value.json.clone())
    }

    pub(super) fn timers(&self) -> Vec<TimerInfo> {
        let info = |(name, timer): (&String, &Timer)| TimerInfo {
            name: name.clone(),
            due: timer.due,
            cron: Some(timer.cron.clone()).filter(|cron| !cron.is_empty()),
        };
        self.lock().timers.iter().map(info).collect()
    }

    /// Fires a timer now. A timer that fires once is then removed; another one is due at its next time.
    pub(super) fn fire(&self, name: &str) -> Option<Timer> {
        let mut state = self.lock();
        let now = state.now;
        let timer = state.timers.get_mut(name)?;
        let fired = timer.clone();
        match next(&timer.cron, now.max(timer.due)) {
            Ok(Some(due)) if !timer.cron.is_empty() => timer.due = due,
            _ => drop(state.timers.remove(name)),
        }
        Some(fired)
    }
}

impl State {
    fn get(&self, scope: Scope, place: &Place, key: &str) -> Option<&Value> {
        self.values.get(&full(scope, place, key)).filter(|value| value.lives(self.now))
    }

    fn under(&self, scope: Scope, place: &Place, prefix: &str) -> Vec<(&str, &Value)> {
        let owner = owner(scope, place);
        self.values
            .iter()
            .filter(|((s, o, key), value)| {
                (*s, o) == (scope, &owner) && key.starts_with(prefix) && value.lives(self.now)
            })
            .map(|((_, _, key), value)| (key.as_str(), value))
            .collect()
    }

    fn commit(&mut self, place: &Place, effects: &Effects<'_>) -> Result<Commit, String> {
        let holds = |read: &Read<'_>| match *read {
            Read::Key { scope, key, version } => self.get(scope, place, key).map_or(0, |it| it.version) == version,
            Read::Prefix { scope, prefix, count, version } => {
                seen(&self.under(scope, place, prefix)) == (count, version)
            }
        };
        if !effects.reads.iter().all(holds) {
            return Ok(Commit::Conflict);
        }
        let mut next = self.clone();
        for staged in std::mem::take(&mut next.staged) {
            next.apply(place, &decode(&staged).map_err(|error| error.to_string())?)?;
        }
        for effect in &effects.changes {
            next.apply(place, effect)?;
        }
        *self = next;
        Ok(Commit::Applied)
    }

    fn apply(&mut self, place: &Place, effect: &Effect<'_>) -> Result<(), String> {
        match *effect {
            Effect::Put { scope, key, value, ttl_ms } => {
                let until = Some(ttl_ms).filter(|ms| *ms > 0);
                let until = until.and_then(|ms| self.now.checked_add(Duration::from_millis(ms)));
                self.put(scope, place, key, value.to_owned(), until);
            }
            Effect::Delete { scope, key } => {
                self.values.remove(&full(scope, place, key));
            }
            Effect::Add { scope, key, by } => {
                let before = self.get(scope, place, key);
                let until = before.and_then(|value| value.until);
                let sum = sum(key, before.map(|value| value.json.as_str()), by)?;
                self.put(scope, place, key, sum, until);
            }
            Effect::Say { to, text, .. } => {
                let to = match to {
                    Target::Here => place.channel.clone(),
                    Target::Privately => place.user.clone(),
                    Target::Channel { connector, channel } => format!("{connector}:{channel}"),
                };
                self.sent.push(SentLine { to, text: text.to_owned() });
            }
            Effect::SetTimer { name, when, payload } => {
                let (due, cron) = match when {
                    When::After(ms) => (self.now.checked_add(Duration::from_millis(ms)), ""),
                    When::At(ms) => (SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)), ""),
                    When::Every { cron, .. } => (next(cron, self.now)?, cron),
                };
                let due = due.ok_or_else(|| format!("the timer {name:?} is set to a time beyond the clock's range"))?;
                let (cron, payload, place) = (cron.to_owned(), payload.to_owned(), place.clone());
                self.timers.insert(name.to_owned(), Timer { due, cron, payload, place });
            }
            Effect::CancelTimer { name } => {
                self.timers.remove(name);
            }
            Effect::Rewrite { scope, key, value, .. } => {
                let (scope, owner) = scope_of(scope);
                match value {
                    Some(value) => {
                        self.last_version += 1;
                        let until = self.values.get(&(scope, owner.clone(), key.to_owned())).and_then(|it| it.until);
                        let value = Value { version: self.last_version, json: value.to_owned(), until };
                        self.values.insert((scope, owner, key.to_owned()), value);
                    }
                    None => drop(self.values.remove(&(scope, owner, key.to_owned()))),
                }
            }
            Effect::Publish { topic, payload } => {
                self.published.push((topic.to_owned(), String::from_utf8_lossy(payload).into_owned()));
            }
        }
        Ok(())
    }

    /// A page of all keys of all scopes.
    fn walk(&self, after: (&str, &str), limit: u32) -> Result<Vec<u8>> {
        let mut all: Vec<_> = self.values.iter().filter(|(_, value)| value.lives(self.now)).collect();
        let names: Vec<_> = all.iter().map(|((scope, owner, _), _)| name_of(*scope, owner)).collect();
        let mut entries: Vec<_> = names
            .iter()
            .zip(all.drain(..))
            .map(|(name, ((_, _, key), value))| WalkedKey { scope: name, key, value: &value.json, expires_ms: 0 })
            .collect();
        entries.sort_by_key(|entry| (entry.scope, entry.key));
        entries.retain(|entry| (entry.scope, entry.key) > after);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok(pack(&Returned::Walked { entries, more })?)
    }

    fn put(&mut self, scope: Scope, place: &Place, key: &str, json: String, until: Option<SystemTime>) {
        self.last_version += 1;
        let value = Value { version: self.last_version, json, until };
        self.values.insert(full(scope, place, key), value);
    }
}

impl Value {
    fn lives(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// The next time of a cron expression; `None` for an empty one, or one that never comes.
fn next(cron: &str, after: SystemTime) -> Result<Option<SystemTime>, String> {
    if cron.is_empty() {
        return Ok(None);
    }
    let next = Cron::parse(cron)?.next(since_1970(after));
    Ok(next.map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms)))
}

fn seen(values: &[(&str, &Value)]) -> (u64, u64) {
    (values.len() as u64, values.iter().map(|(_, value)| value.version).max().unwrap_or(0))
}

fn full(scope: Scope, place: &Place, key: &str) -> (Scope, String, String) {
    (scope, owner(scope, place), key.to_owned())
}

/// A scope as a migration sees it.
fn name_of(scope: Scope, owner: &str) -> String {
    match scope {
        Scope::Global => String::new(),
        Scope::Channel => format!("channel {owner}"),
        Scope::User => format!("user {owner}"),
        Scope::Member => format!("member {owner}"),
    }
}

fn scope_of(name: &str) -> (Scope, String) {
    let (kind, owner) = name.split_once(' ').unwrap_or((name, ""));
    let scope = match kind {
        "channel" => Scope::Channel,
        "user" => Scope::User,
        "member" => Scope::Member,
        _ => Scope::Global,
    };
    (scope, owner.to_owned())
}

fn owner(scope: Scope, place: &Place) -> String {
    match scope {
        Scope::Global => String::new(),
        Scope::Channel => place.channel.clone(),
        Scope::User => place.user.clone(),
        Scope::Member => format!("{} {}", place.channel, place.user),
    }
}

pub(super) fn since_1970(time: SystemTime) -> u64 {
    crate::store::millis(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
