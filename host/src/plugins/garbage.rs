//! Removes artifacts that no plugin needs any more.

use crate::store::Database;
use crate::{
    plugins::{member::Members, views},
    process::start::Starter,
    slot::history,
};
use std::sync::Arc;

/// What is needed to decide which artifacts are garbage.
pub(super) struct Garbage {
    pub members: Arc<Members>,
    pub starter: Arc<Starter>,
    pub database: Database,
}

impl Garbage {
    /// Removes artifacts that no plugin runs or could go back to. Keeps those of plugins that do not belong
    /// to the set now.
    pub async fn collect(self) {
        let views = views(&self.members).await;
        if views.len() < self.members.len() {
            // The host is stopping, so the needs of the other plugins are unknown.
            return;
        }
        let mine = self.members.keys().cloned().collect();
        let mut keep = match history::artifacts_of_others(&self.database, mine).await {
            Ok(others) => others,
            Err(error) => {
                return tracing::warn!(
                    "old artifacts are kept, because the database does not say which are needed: {error}"
                );
            }
        };
        keep.extend(views.into_iter().flat_map(|view| view.artifacts));
        let collected = tokio::task::spawn_blocking(move || self.starter.store.collect(&keep)).await;
        if let Ok(Err(error)) = collected {
            tracing::warn!("old artifacts cannot be removed: {error}");
        }
    }
}
