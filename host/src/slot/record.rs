//! Turns the effects of a plugin into a record that the store applies, and refuses what the plugin may not do.

use super::{Setup, account::Account, migration::not_a_migration};
use crate::{
    commit::{
        Change, MAX_CHANGES, NewEvent, NewLine, Read, Record, To, scope,
        timers::{Cron, TimerChange, When},
    },
    event::{Event, Form, Identity, Place, User, What, origin},
    schedule::Schedule,
    text::clean,
};
use rosey_wire::{
    effect::{self, Effect, Effects, Style, Target},
    frame::decode,
};

/// Most bytes of effects of one event.
const MAX_EFFECTS: usize = 1 << 20;

/// Most bytes of a topic.
const MAX_TOPIC: usize = 200;

/// Most bytes of a signal's data.
const MAX_PAYLOAD: usize = 16 << 10;

/// Most signals in a chain. It ends a loop of two plugins that answer each other's signals.
const MAX_DEPTH: u8 = 8;

/// What caused effects.
pub struct Cause<'a> {
    /// The event; `None` for background work.
    pub event: Option<&'a Event>,
}

impl Cause<'_> {
    fn of(&self) -> Option<(&Place, &User)> {
        self.event.map(|event| (&*event.place, &*event.user))
    }

    /// Who and where, as `rosey.db` keeps it.
    fn origin(&self) -> String {
        match self.of() {
            Some((place, user)) => origin::write(user, place),
            None => origin::write(&User::nobody(), &Place::none()),
        }
    }

    /// The number of signals that led to a signal with this cause.
    fn depth(&self) -> u8 {
        match self.event.and_then(Event::occurrence).map(|occurrence| &occurrence.what) {
            Some(What::Signal { depth, .. }) => depth.saturating_add(1),
            _ => 1,
        }
    }
}

/// Reads effects from a frame.
///
/// # Errors
///
/// The mistake in them, for the operator.
pub fn read(setup: &Setup, account: &mut Account, bytes: &[u8], cause: &Cause<'_>) -> Result<Record, String> {
    if bytes.len() > MAX_EFFECTS {
        return Err(format!("its effects have {} bytes, and one event may have {MAX_EFFECTS}", bytes.len()));
    }
    of(setup, account, &decode::<Effects<'_>>(bytes).map_err(|_| unreadable())?, cause)
}

/// The record for these effects.
///
/// # Errors
///
/// The mistake in them, for the operator.
pub fn of(setup: &Setup, account: &mut Account, effects: &Effects<'_>, cause: &Cause<'_>) -> Result<Record, String> {
    if effects.changes.len() > MAX_CHANGES {
        let count = effects.changes.len();
        return Err(format!("it wants {count} things done, and one event may want {MAX_CHANGES}"));
    }
    let scope = |kind| scope::name(kind, cause.of()).ok_or_else(no_scope);
    let mut record = Record::default();
    for read in &effects.reads {
        record.reads.push(match *read {
            effect::Read::Key { scope: of, key, version } => {
                Read::Key { scope: scope(of)?, key: key.to_owned(), version }
            }
            effect::Read::Prefix { scope: of, prefix, count, version } => {
                Read::Prefix { scope: scope(of)?, prefix: prefix.to_owned(), count, version }
            }
        });
    }
    for effect in &effects.changes {
        let (kind, key, to) = match *effect {
            Effect::Put { scope, key, value, ttl_ms } => (scope, key, To::Value(value.to_owned(), ttl_ms)),
            Effect::Delete { scope, key } => (scope, key, To::Nothing),
            Effect::Add { scope, key, by } => (scope, key, To::Sum(by)),
            Effect::Say { to, style, text } => {
                record.lines.extend(line(setup, account, to, style, text, cause)?);
                continue;
            }
            Effect::Publish { topic, payload } => {
                record.signals.extend(signals(setup, account, topic, payload, cause)?);
                continue;
            }
            Effect::Rewrite { .. } => return Err(not_a_migration()),
            Effect::SetTimer { name, when, payload } => {
                record.timers.push(timer(name, when, payload, cause)?);
                continue;
            }
            Effect::CancelTimer { name } => {
                record.timers.push(TimerChange::Cancel { name: name.to_owned() });
                continue;
            }
        };
        record.changes.push(Change { scope: scope(kind)?, key: key.to_owned(), to });
    }
    Ok(record)
}

/// The record of a line; `None` for a text without anything visible.
fn line(
    setup: &Setup,
    account: &mut Account,
    to: Target<'_>,
    style: Style,
    text: &str,
    cause: &Cause<'_>,
) -> Result<Option<NewLine>, String> {
    let form = Form::Line(style);
    let line = match (to, cause.event) {
        (Target::Channel { connector, channel }, event) => {
            let there = Place::new(connector, channel);
            let is_own = event.is_some_and(|event| *event.place == there);
            if !is_own && !setup.may_speak(&there) {
                return Err(format!(
                    "it may not speak in {connector}:{channel}; to allow it, add \"{connector}:{channel}\" to \
                     plugins.{}.speaks_in",
                    setup.name
                ));
            }
            new_line(setup, account, &there, "", form, text)
        }
        (Target::Here, Some(event)) if !event.place.channel.is_empty() => {
            new_line(setup, account, &event.place, "", form, text)
        }
        (Target::Privately, Some(event)) if event.user.identity != Identity::Nobody => {
            new_line(setup, account, &privately(event), &event.user.name, form, text)
        }
        (Target::Here, _) => return Err("it says a line here, and this event belongs to no channel".to_owned()),
        (Target::Privately, _) => {
            return Err("it says a line to the person of the event, and no person has caused this one".to_owned());
        }
    };
    Ok(line)
}

/// The record of an answer that is a line of its own.
pub fn answer(setup: &Setup, account: &mut Account, event: &Event, text: &str) -> Option<NewLine> {
    let (user, form) = match event.command() {
        Some(_) => (event.user.name.as_str(), Form::Answer),
        None => ("", Form::Line(Style::Plain)),
    };
    if event.place.channel.is_empty() {
        return None;
    }
    new_line(setup, account, &event.place, user, form, text)
}

fn new_line(
    setup: &Setup,
    account: &mut Account,
    place: &Place,
    user: &str,
    form: Form,
    text: &str,
) -> Option<NewLine> {
    if text.chars().all(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    if text.len() > setup.limits.reply_bytes {
        account.hit("reply_bytes");
    }
    Some(NewLine {
        connector: place.connector.clone(),
        channel: place.channel.clone(),
        user: user.to_owned(),
        form,
        text: crate::text::bounded(text, setup.limits.reply_bytes),
    })
}

/// The place where only the person of an event reads: on a network, the conversation with that nick.
fn privately(event: &Event) -> Place {
    match &event.user.identity {
        Identity::Nick { network } | Identity::Account { network, .. } => {
            Place::new(&network.id, network.case.lower(&event.user.name))
        }
        _ => Place::new(&event.place.connector, event.place.channel.as_str()),
    }
}

/// A timer that is set. Whoever has caused the event sets it, and there.
fn timer(name: &str, when: effect::When<'_>, payload: &[u8], cause: &Cause<'_>) -> Result<TimerChange, String> {
    let when = match when {
        effect::When::After(delay) => When::After(delay),
        effect::When::At(time) => When::At(time),
        effect::When::Every { cron, zone } => {
            let schedule = Schedule::parse(cron, zone);
            let schedule =
                schedule.map_err(|error| format!("the timer {:?} cannot be set: {error}", clean(name, 64)))?;
            When::Every(Box::new(Cron { cron: cron.to_owned(), zone: zone.to_owned(), schedule }))
        }
    };
    let (name, payload, origin) = (name.to_owned(), payload.into(), cause.origin().into());
    Ok(TimerChange::Set { name, when, payload, origin })
}

/// An event for each plugin that hears the signal.
fn signals(
    setup: &Setup,
    account: &mut Account,
    topic: &str,
    payload: &[u8],
    cause: &Cause<'_>,
) -> Result<Vec<NewEvent>, String> {
    if topic.is_empty() || topic.len() > MAX_TOPIC {
        return Err(format!("a topic has 1 to {MAX_TOPIC} bytes, and this one has {}", topic.len()));
    }
    if payload.len() > MAX_PAYLOAD {
        return Err(format!("a signal has at most {MAX_PAYLOAD} bytes, and this one has {}", payload.len()));
    }
    let depth = cause.depth();
    if depth > MAX_DEPTH {
        account.hit("signal_depth");
        return Ok(Vec::new());
    }
    let (from, topic) = (std::sync::Arc::clone(&setup.name), topic.into());
    let what = What::Signal { from, topic, payload: payload.into(), depth };
    let origin = cause.origin();
    let event = |(plugin, occurrence): (std::sync::Arc<str>, crate::event::Occurrence)| NewEvent {
        plugin,
        what: occurrence.what,
        pattern: occurrence.pattern,
        origin: origin.clone(),
    };
    Ok(setup.outlets.hearers(&what).into_iter().map(event).collect())
}

/// The error for effects or a request that this host cannot read.
pub fn unreadable() -> String {
    "what the plugin asks of the host cannot be read; build it with a plugin-api of this Rosey or an older one"
        .to_owned()
}

/// The error for a scope without a channel or a person.
pub fn no_scope() -> String {
    "this event has no channel or no person to keep something for; the global scope is there always".to_owned()
}
