//! Records denials and refusals without letting anyone fill the audit: the first few of each person get a record each,
//! and all further ones within a minute share one record with their number.

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

/// Denials that are answered and recorded one by one, in a minute: for each person, and for all people with unverified
/// names together. A new nick costs nothing, and nicks never hide a verified name.
const DENIALS: (u32, u32) = (3, 30);

/// Time after which a count is recorded.
const MINUTE: Duration = Duration::from_secs(60);

/// The denials and refusals of the last minute, recorded or counted.
#[derive(Debug)]
pub(super) struct AuditThrottle {
    verified: PerMinute,
    nicks: PerMinute,
    all_nicks: PerMinute,
    refused: PerMinute,
    tally: Tally,
    /// The first record of each count, from which the common record is made.
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
    /// Whether this person has had too many denials.
    fn is_too_many(&self, actor: &Actor, now: Instant) -> bool {
        let key = permission::key(&actor.user);
        match actor.user.identity.is_verified() {
            true => self.verified.take(&key, now).is_err(),
            false => self.nicks.take(&key, now).is_err() || self.all_nicks.take("", now).is_err(),
        }
    }

    /// The common records of all counts with these keys.
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
    /// Records and logs a denial. Returns true when it was only counted.
    pub(super) async fn deny(&self, actor: &Actor, word: &str, plugin: Option<&str>, why: &str) -> bool {
        let record = AuditRecord::new(Stage::Denied, actor, word, plugin).ended(false, why, None);
        if self.throttle.is_too_many(actor, Instant::now()) {
            // All unverified nicks share one count.
            let nick = !actor.user.identity.is_verified();
            let key = if nick { "nick".to_owned() } else { permission::key(&actor.user) };
            self.count(key, record).await;
            return true;
        }
        actor.log_refusal(None, &format!("{word} denied"));
        self.record_not_done(record).await;
        false
    }

    /// Records that changes came too often: the first refusal in a minute, and then the number of further ones.
    pub(super) async fn refuse_often(&self, actor: &Actor, words: &str, plugin: &str, refusal: Refusal) -> Refusal {
        let key = permission::key(&actor.user);
        let record = AuditRecord::new(Stage::Refused, actor, words, Some(plugin));
        let record = record.ended(false, &refusal.to_string(), None);
        match self.throttle.refused.take(&key, Instant::now()) {
            Ok(()) => self.record_not_done(record).await,
            Err(_) => self.count(format!("often {key}"), record).await,
        }
        refusal
    }

    /// Counts a record. After a minute one record has the number.
    async fn count(&self, key: String, record: AuditRecord) {
        let Some(key) = self.throttle.tally.add(&key, &record.user) else { return };
        self.throttle.first.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), record);
        let Some(admin) = self.me.upgrade() else { return };
        tokio::spawn(async move {
            tokio::time::sleep(MINUTE).await;
            for record in admin.throttle.take([key]) {
                admin.record_not_done(record).await;
            }
        });
    }

    /// Records all counts that have no record yet.
    pub(super) async fn record_counted(&self) {
        for record in self.throttle.take(self.throttle.keys()) {
            self.record_not_done(record).await;
        }
    }
}
