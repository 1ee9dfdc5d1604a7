//! Records in the audit what Rosey changes by itself: a rollback during a trial has no person who asked.

use super::{
    Actor, Admin, Via,
    audit::{AuditRecord, Stage},
    build_change::{Build, BuildChange},
};
use crate::{
    event::{Identity, User},
    slot::lifecycle::{LifecycleEvent, LifecycleKind, left},
};
use rosey_core::state::StateEvent;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

impl Actor {
    /// Rosey itself.
    pub(super) fn host() -> Self {
        let user = User { name: "rosey".to_owned(), identity: Identity::System("rosey".to_owned()) };
        Self { user: user.into(), via: Via::Host, place: String::new() }
    }
}

impl Admin {
    /// Records rollbacks until the plugins are gone.
    pub async fn record_own_rollbacks(self: Arc<Self>) {
        let mut followed = self.plugins.follow();
        loop {
            match followed.recv().await {
                Ok(event) => self.record_rollback(event).await,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!("the audit may lack a rollback: {missed} lifecycle events came too fast");
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn record_rollback(&self, event: LifecycleEvent) {
        let LifecycleKind::State(StateEvent::RolledBack { from, to, why, state, store, .. }) = event.kind else {
            return;
        };
        let plugin = &*event.plugin;
        let Ok(view) = self.view_of(plugin).await else { return };
        let builds = BuildChange { from: Some(Build::of(&view, from)), to: Some(Build::of(&view, to)) };
        let text = format!("{} by itself, because {why}{}", builds.of(plugin), left(state, store));
        let (from, to) = builds.texts();
        let record = AuditRecord::new(Stage::After, &Actor::host(), "rollback", Some(plugin)).between(from, to);
        let record = AuditRecord { verified: "host".to_owned(), ..record.ended(true, &text, None) };
        if let Err(error) = self.audit.write(record).await {
            tracing::error!(plugin, "the rollback cannot be recorded in the audit: {error}");
        }
    }
}
