//! What a shim says, owned, cleaned and bounded.

use crate::{
    process::output::{Record, Records},
    slot::account::Account,
    text::{bounded, clean},
};
use rosey_core::{outcome::Outcome, state::Snapshot};
use rosey_wire::message::{Answer, ToHost};
use std::{sync::Arc, time::Instant};

/// Bytes of the plugin's own metrics: 64 metrics of 64 series with labels fit.
const MAX_METRICS: usize = 1 << 20;

/// How an event ended, by the plugin's answer.
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

/// What a shim says besides answers to events, owned.
pub enum Inbound {
    Probe(Result<(), String>),
    SilentProbe,
    Pong,
    State(Snapshot),
    Restored,
    StateFailed(String),
    Metrics(Arc<str>),
    Call { call: u64, event: u64, request: Vec<u8> },
}

impl Inbound {
    pub fn of(message: ToHost<'_>, records: &mut Records, now: Instant) -> Option<Self> {
        match message {
            ToHost::Reply { answer: Answer::Replied(_), .. } | ToHost::ReplyWith { answer: Answer::Replied(_), .. } => {
                Some(Self::Probe(Ok(())))
            }
            ToHost::Reply { answer: Answer::Ignored, .. } | ToHost::ReplyWith { answer: Answer::Ignored, .. } => {
                Some(Self::SilentProbe)
            }
            ToHost::Reply { answer: Answer::Failed { text, detail }, .. }
            | ToHost::ReplyWith { answer: Answer::Failed { text, detail }, .. } => {
                let said = if detail.is_empty() { text } else { detail };
                Some(Self::Probe(Err(clean(said, 500))))
            }
            ToHost::Pong(_) => Some(Self::Pong),
            ToHost::Log { level, target, message } => {
                records.log(now, Record { level, target, message });
                None
            }
            ToHost::State { version, state } => Some(Self::State(Snapshot { version, bytes: state.to_vec() })),
            ToHost::Restored => Some(Self::Restored),
            ToHost::StateFailed { message } => Some(Self::StateFailed(clean(message, 500))),
            // Of a plugin that says more than this nobody could read it either.
            ToHost::Metrics(json) => (json.len() <= MAX_METRICS).then(|| Self::Metrics(json.into())),
            ToHost::Loaded(_) | ToHost::Described(_) | ToHost::LoadFailed { .. } | ToHost::Stopped => None,
            // Taken where the message is read; of a probe nothing is kept.
            ToHost::Call { .. } => None,
        }
    }
}
