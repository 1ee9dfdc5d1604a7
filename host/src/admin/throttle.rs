//! Recording what was not done, without letting anybody fill the audit: the first few of a person are recorded one by one,
//! and those beyond as one record a minute that says how many.

use super::{
    Actor, Admin, Refusal,
    audit::{AuditRecord, Stage},
    limit::{PerMinute, Tally},
    permission,
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// AuditThrottle that are answered and recorded one by one, in a minute: of each person, and of all whose name nobody verified
/// together. A new nick costs nothing; a verified name is never hidden by them.
const DENIALS: (u32, u32) = (3, 30);

/// After this long what was counted is recorded.
const MINUTE: Duration = Duration::from_secs(60);

/// What is recorded one by one, and what is counted.
#[derive(Debug)]
pub(super) struct AuditThrottle {
    verified: PerMinute,
    nicks: PerMinute,
    all_nicks: PerMinute,
    refused: PerMinute,
    tally: Tally,
    /// The first of each that is counted, for the record of all.
    first: Mutex<HashMap<String, AuditRecord>>,
}

impl Default for AuditThrottle {
    fn default() -> Self {
        Self {
            verified: PerMinute::new(DENIALS.0),
            nicks: PerMinute::new(DENIALS.0),
            all_nicks: PerMinute::new(DENIALS.1),
            refused: PerMinute::new(1),
            tally: Tally::default(),
            first: Mutex::default(),
        }
    }
}

impl AuditThrottle {
    /// Whether another one of this person is one too many.
    fn is_too_many(&self, actor: &Actor, now: Instant) -> bool {
        let key = permission::key(&actor.user);
        match actor.user.identity.is_verified() {
            true => self.verified.take(&key, now).is_err(),
            false => self.nicks.take(&key, now).is_err() || self.all_nicks.take("", now).is_err(),
        }
    }

    /// The records of all that was counted under these keys.
    fn take(&self, keys: impl IntoIterator<Item = String>) -> Vec<AuditRecord> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = Vec::new();
        for key in keys {
            if let (Some(counted), Some(record)) = (self.tally.take(&key), first.remove(&key)) {
                let what = record.stage.name();
                let text = format!("{} more {what} within a minute, of {}", counted.count, counted.names.join(", "));
                records.push(record.ended(false, &text, None));
            }
        }
        records
    }

    fn keys(&self) -> Vec<String> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

impl Admin {
    /// Records and logs that somebody may not. True when it was one of so many that it is only counted.
    pub(super) async fn deny(&self, actor: &Actor, word: &str, plugin: Option<&str>, why: &str) -> bool {
        let record = AuditRecord::new(Stage::Denied, actor, word, plugin).ended(false, why, None);
        if self.denials.is_too_many(actor, Instant::now()) {
            // Nicks are one crowd.
            let nick = !actor.user.identity.is_verified();
            let key = if nick { "nick".to_owned() } else { permission::key(&actor.user) };
            self.count(key, record).await;
            return true;
        }
        actor.log_refusal(None, &format!("{word} denied"));
        self.note(record).await;
        false
    }

    /// Records that a change came too often: the first time in a minute, and then how often.
    pub(super) async fn refuse_often(&self, actor: &Actor, words: &str, plugin: &str, refusal: Refusal) -> Refusal {
        let key = permission::key(&actor.user);
        let record = AuditRecord::new(Stage::Refused, actor, words, Some(plugin));
        let record = record.ended(false, &refusal.to_string(), None);
        match self.denials.refused.take(&key, Instant::now()) {
            Ok(()) => self.note(record).await,
            Err(_) => self.count(format!("often {key}"), record).await,
        }
        refusal
    }

    /// Counts it; after a minute one record says how many there were.
    async fn count(&self, key: String, record: AuditRecord) {
        let Some(key) = self.denials.tally.add(&key, &record.user) else { return };
        self.denials.first.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), record);
        let Some(admin) = self.me.upgrade() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(MINUTE).await;
            for record in admin.denials.take([key]) {
                admin.note(record).await;
            }
        });
    }

    /// Records what was counted and is not recorded yet.
    pub(super) async fn note_counted(&self) {
        for record in self.denials.take(self.denials.keys()) {
            self.note(record).await;
        }
    }
}
