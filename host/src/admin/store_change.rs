//! Changes of the data of a plugin: an import or a deletion. Each is proposed, confirmed and carried out between two
//! audit records, like a change of the build.

use super::{
    Actor, Admin, Refusal,
    audit::{AuditRecord, Stage},
    permission::Role,
    show::counted,
};
use crate::{
    commit::{Import, MAX_KEY, Quota, Usage},
    plugins::{PluginError, Plugins},
    text::clean,
};
use std::{sync::Arc, time::Instant};

/// Only the owner may do it, because it cannot be undone.
const NEEDS: Role = Role::Owner;

/// A change of the data of a plugin.
#[derive(Debug)]
pub enum StoreChange {
    /// Replaces all data of the plugin.
    Import(Import),
    /// Deletes keys by their prefix.
    Delete {
        /// The prefix, in all scopes; empty for all keys.
        prefix: String,
    },
}

impl StoreChange {
    /// The command as the audit records it.
    fn words(&self) -> String {
        match self {
            Self::Import(_) => IMPORT.to_owned(),
            Self::Delete { prefix } => delete(prefix),
        }
    }
}

/// An import, as the audit records it.
const IMPORT: &str = "store import";

/// A deletion, as the audit records it.
fn delete(prefix: &str) -> String {
    format!("store delete {}", clean(prefix, MAX_KEY)).trim_end().to_owned()
}

/// A change that can be done, and waits for a yes.
#[derive(Debug)]
pub struct StoreProposal {
    /// What the bot asks the person to confirm.
    pub question: String,
    plugin: String,
    change: StoreChange,
}

impl Admin {
    /// Checks, before the file is read, whether this person may import data for the plugin now. Returns the quota of
    /// the plugin.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], which the audit has.
    pub async fn may_import(&self, actor: &Actor, plugin: &str) -> Result<Quota, Refusal> {
        self.may_change_store(actor, IMPORT, plugin).await?;
        match self.view_of(plugin).await {
            Ok(_) => self.plugins.quota(plugin).map_err(|error| failed(plugin, &error)),
            Err(refusal) => Err(self.refuse_store(actor, IMPORT, plugin, refusal).await),
        }
    }

    /// Checks an import and asks for a yes. `import` is the content of the file, or the reason why it cannot be used.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], which the audit has.
    pub async fn propose_import(
        &self,
        actor: &Actor,
        plugin: &str,
        import: Result<Import, String>,
    ) -> Result<StoreProposal, Refusal> {
        match self.checked_import(plugin, import).await {
            Ok(proposal) => Ok(proposal),
            Err(refusal) => Err(self.refuse_store(actor, IMPORT, plugin, refusal).await),
        }
    }

    async fn checked_import(&self, plugin: &str, import: Result<Import, String>) -> Result<StoreProposal, Refusal> {
        let refused = |why| Refusal::Store { plugin: plugin.to_owned(), why };
        let import = import.map_err(|why| refused(format!("the file cannot be imported: {why}")))?;
        let view = self.view_of(plugin).await?;
        let runs = view.manifest.as_ref().filter(|_| view.active().is_some());
        if let Some(manifest) = runs.filter(|manifest| manifest.store_version != import.store_version()) {
            let (version, ours, theirs) = (&manifest.version, manifest.store_version, import.store_version());
            return Err(refused(format!(
                "the file has store version {theirs}, and the running build {version} reads version {ours}. Stop the plugin, \
                 import, and start it with a build that reads or migrates version {theirs}"
            )));
        }
        let (usage, _) = self.plugins.kept(plugin, "").await.map_err(|error| failed(plugin, &error))?;
        let (old, new) = (counted(usage.keys, "key"), counted(import.keys(), "key"));
        let question = format!("Replace the {old} that {plugin} has now with {new} from the file?");
        Ok(StoreProposal { question, plugin: plugin.to_owned(), change: StoreChange::Import(import) })
    }

    /// Checks a deletion and asks for a yes. The plugin need not be in the configuration any more.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], which the audit has.
    pub async fn propose_delete(&self, actor: &Actor, plugin: &str, prefix: &str) -> Result<StoreProposal, Refusal> {
        let words = delete(prefix);
        self.may_change_store(actor, &words, plugin).await?;
        match self.checked_delete(plugin, prefix).await {
            Ok(proposal) => Ok(proposal),
            Err(refusal) => Err(self.refuse_store(actor, &words, plugin, refusal).await),
        }
    }

    async fn checked_delete(&self, plugin: &str, prefix: &str) -> Result<StoreProposal, Refusal> {
        let (usage, count) = self.plugins.kept(plugin, prefix).await.map_err(|error| failed(plugin, &error))?;
        if usage == Usage::default() {
            // A wrong name is refused as for any other command.
            self.view_of(plugin).await?;
        }
        let which = if prefix.is_empty() { String::new() } else { format!(" that begins with {prefix:?}") };
        if count == 0 {
            return Err(Refusal::Store { plugin: plugin.to_owned(), why: format!("the plugin has no key{which}") });
        }
        let which = which.replace("begins", if count == 1 { "begins" } else { "begin" });
        let question = format!("Delete {} of {plugin}{which}?", counted(count, "key"));
        let change = StoreChange::Delete { prefix: prefix.to_owned() };
        Ok(StoreProposal { question, plugin: plugin.to_owned(), change })
    }

    /// Carries the change out, with an audit record before and after. Returns the result. The change goes on when the
    /// caller drops this future.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; then nothing has changed.
    pub async fn change_store(&self, actor: &Actor, proposal: StoreProposal) -> Result<(String, Usage), Refusal> {
        let words = proposal.change.words();
        self.allow(actor, &words, Some(&proposal.plugin), NEEDS).await?;
        let under_way = Arc::clone(&self.under_way).acquire_owned().await.ok().filter(|_| !self.is_stopping());
        let Some(under_way) = under_way else {
            return Err(self.refuse_store(actor, &words, &proposal.plugin, Refusal::Stopping).await);
        };
        let (plugins, audit, actor) = (Arc::clone(&self.plugins), self.audit.clone(), actor.clone());
        // The caller may disconnect, and the audit needs the result all the same: hence a task of its own.
        let work = async move {
            let StoreProposal { plugin, change, .. } = proposal;
            let before = AuditRecord::new(Stage::Before, &actor, &words, Some(&plugin));
            let before = audit.begin(before).await.map_err(Refusal::Audit)?;
            let began = Instant::now();
            let result = apply(&plugins, &plugin, change).await;
            let (ok, text) = match &result {
                Ok((text, _)) => (true, text.clone()),
                Err(refusal) => (false, refusal.to_string()),
            };
            tracing::info!(%plugin, user = %actor.user, via = %actor.via, "{words}: {text}");
            let recorded = audit.write(before.after(ok, &text, Some(began.elapsed()))).await;
            drop(under_way);
            match (recorded, result) {
                (Ok(_), result) => result,
                (Err(error), Ok((text, usage))) => {
                    tracing::error!(%plugin, "the audit cannot record the result: {error}");
                    Ok((format!("{text} (The audit could not record this result: {error})"), usage))
                }
                (Err(error), Err(refusal)) => Err(Refusal::Unrecorded { refusal: Box::new(refusal), error }),
            }
        };
        tokio::spawn(work).await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Records that the person did not answer yes.
    pub(super) async fn drop_store_change(&self, actor: &Actor, proposal: &StoreProposal, why: &str) {
        let record = AuditRecord::new(Stage::Dropped, actor, &proposal.change.words(), Some(&proposal.plugin));
        self.record_not_done(record.ended(false, why, None)).await;
    }

    async fn may_change_store(&self, actor: &Actor, words: &str, plugin: &str) -> Result<(), Refusal> {
        self.allow(actor, words, Some(plugin), NEEDS).await?;
        if self.is_stopping() {
            return Err(self.refuse_store(actor, words, plugin, Refusal::Stopping).await);
        }
        match self.in_time(actor, &self.changes) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.refuse_often(actor, words, plugin, refusal).await),
        }
    }

    async fn refuse_store(&self, actor: &Actor, words: &str, plugin: &str, refusal: Refusal) -> Refusal {
        let record = AuditRecord::new(Stage::Refused, actor, words, Some(plugin));
        self.record_not_done(record.ended(false, &refusal.to_string(), None)).await;
        refusal
    }
}

async fn apply(plugins: &Plugins, plugin: &str, change: StoreChange) -> Result<(String, Usage), Refusal> {
    let done = match change {
        StoreChange::Import(import) => {
            let usage = plugins.import(plugin, import).await;
            usage.map(|usage| (format!("Imported {} into {plugin}.", counted(usage.keys, "key")), usage))
        }
        StoreChange::Delete { prefix } => {
            let done = plugins.delete_kept(plugin, &prefix).await;
            done.map(|(gone, usage)| {
                let (gone, left) = (counted(gone, "key"), counted(usage.keys, "key"));
                (format!("Deleted {gone} of {plugin}; {left} left."), usage)
            })
        }
    };
    done.map_err(|error| failed(plugin, &error))
}

fn failed(plugin: &str, error: &PluginError) -> Refusal {
    Refusal::Store { plugin: plugin.to_owned(), why: error.to_string() }
}
