//! Messages of a shim, owned, cleaned and bounded.

use crate::{
    process::output::{Record, Records},
    slot::account::Account,
    text::{bounded, clean},
};
use rosey_core::{flow::MIGRATION, outcome::Outcome, state::Snapshot};
use rosey_wire::message::{Answer, ToHost};
use std::{sync::Arc, time::Instant};

/// Bytes of the plugin's own metrics: 64 metrics of 64 series with labels fit.
const MAX_METRICS: usize = 1 << 20;

/// The outcome that a plugin's answer means.
pub fn outcome(answer: Answer<'_>, limit: usize, account: &mut Account) -> Outcome {
    match answer {
        Answer::Replied(text) => {
            if text.len() > limit {
                account.hit("reply_bytes");
            }
            Outcome::Replied(bounded(text, limit))
        }
        Answer::Ignored => Outcome::Ignored,
        Answer::Failed { text, detail } => {
            Outcome::Failed { text: clean(text, limit), detail: clean(detail, 4 * 1024) }
        }
    }
}

fn migrated(answer: Answer<'_>, effects: &[u8]) -> Result<Vec<u8>, String> {
    match answer {
        Answer::Replied(_) | Answer::Ignored => Ok(effects.to_vec()),
        Answer::Failed { text, detail } => Err(clean(if detail.is_empty() { text } else { detail }, 500)),
    }
}

/// A message of a shim other than the answer to an event, owned.
pub enum Inbound {
    Probe(Result<(), String>),
    SilentProbe,
    Pong,
    State(Snapshot),
    Restored,
    StateFailed(String),
    Metrics(Arc<str>),
    Call {
        call: u64,
        event: u64,
        request: Vec<u8>,
    },
    /// The end of a migration: its last effects, or why it failed.
    Migrated(Result<Vec<u8>, String>),
}

impl Inbound {
    pub fn of(message: ToHost<'_>, records: &mut Records, now: Instant) -> Option<Self> {
        match message {
            ToHost::Reply { event: MIGRATION, answer } => Some(Self::Migrated(migrated(answer, &[]))),
            ToHost::ReplyWith { event: MIGRATION, answer, effects } => Some(Self::Migrated(migrated(answer, effects))),
            ToHost::Reply { answer: Answer::Replied(_), .. } | ToHost::ReplyWith { answer: Answer::Replied(_), .. } => {
                Some(Self::Probe(Ok(())))
            }
            ToHost::Reply { answer: Answer::Ignored, .. } | ToHost::ReplyWith { answer: Answer::Ignored, .. } => {
                Some(Self::SilentProbe)
            }
            ToHost::Reply { answer: Answer::Failed { text, detail }, .. }
            | ToHost::ReplyWith { answer: Answer::Failed { text, detail }, .. } => {
                let why = if detail.is_empty() { text } else { detail };
                Some(Self::Probe(Err(clean(why, 500))))
            }
            ToHost::Pong(_) => Some(Self::Pong),
            ToHost::Log { level, target, message } => {
                records.log(now, Record { level, target, message });
                None
            }
            ToHost::State { version, state } => Some(Self::State(Snapshot { version, bytes: state.to_vec() })),
            ToHost::Restored => Some(Self::Restored),
            ToHost::StateFailed { message } => Some(Self::StateFailed(clean(message, 500))),
            // A larger text than this is of no use to a reader.
            ToHost::Metrics(json) => (json.len() <= MAX_METRICS).then(|| Self::Metrics(json.into())),
            ToHost::Loaded(_) | ToHost::Described(_) | ToHost::LoadFailed { .. } | ToHost::Stopped => None,
            // Told before the library was open. What comes now comes from the plugin.
            ToHost::Confined(_) => None,
            // The slot takes these where it reads the message; those of a probe are dropped.
            ToHost::Call { .. } => None,
        }
    }
}
