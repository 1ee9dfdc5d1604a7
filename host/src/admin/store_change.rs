//! Changing what a plugin keeps. As a change of its build, it is proposed, confirmed, and carried out between two records of
//! the audit.

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

/// It cannot be taken back.
const NEEDS: Role = Role::Owner;

/// What is to be done to what a plugin keeps.
#[derive(Debug)]
pub enum StoreChange {
    /// This takes the place of all of it.
    Import(Import),
    /// The keys that begin like this go.
    Delete {
        /// The beginning, in all scopes.
        prefix: String,
    },
}

impl StoreChange {
    /// As the audit has it.
    fn words(&self) -> String {
        match self {
            Self::Import(_) => IMPORT.to_owned(),
            Self::Delete { prefix } => delete(prefix),
        }
    }
}

/// What an import is called in the audit.
const IMPORT: &str = "store import";

/// What a delete is called in the audit.
fn delete(prefix: &str) -> String {
    format!("store delete {}", clean(prefix, MAX_KEY)).trim_end().to_owned()
}

/// A change that was found to make sense, and waits for a yes.
#[derive(Debug)]
pub struct StoreProposal {
    /// What a yes would do.
    pub question: String,
    plugin: String,
    change: StoreChange,
}

impl Admin {
    /// Checks whether this person may import something into a plugin now, before the file is read. Gives how much the plugin may
    /// keep.
    ///
    /// # Errors
    /// [`Refusal`], which is recorded.
    pub async fn may_import(&self, actor: &Actor, plugin: &str) -> Result<Quota, Refusal> {
        self.may_change_store(actor, IMPORT, plugin).await?;
        match self.look(plugin).await {
            Ok(_) => self.plugins.quota(plugin).map_err(|error| failed(plugin, &error)),
            Err(refusal) => Err(self.refuse_store(actor, IMPORT, plugin, refusal).await),
        }
    }

    /// What a yes to an import would do. `import` is what was read, or why it cannot be used.
    ///
    /// # Errors
    /// [`Refusal`], which is recorded.
    pub async fn propose_import(
        &self,
        actor: &Actor,
        plugin: &str,
        import: Result<Import, String>,
    ) -> Result<StoreProposal, Refusal> {
        match self.import_makes_sense(plugin, import).await {
            Ok(proposal) => Ok(proposal),
            Err(refusal) => Err(self.refuse_store(actor, IMPORT, plugin, refusal).await),
        }
    }

    async fn import_makes_sense(&self, plugin: &str, import: Result<Import, String>) -> Result<StoreProposal, Refusal> {
        let refused = |why| Refusal::Store { plugin: plugin.to_owned(), why };
        let import = import.map_err(|why| refused(format!("the file cannot be imported: {why}")))?;
        let view = self.look(plugin).await?;
        let runs = view.manifest.as_ref().filter(|_| view.active().is_some());
        if let Some(manifest) = runs.filter(|manifest| manifest.store_version != import.store_version()) {
            let (version, ours, theirs) = (&manifest.version, manifest.store_version, import.store_version());
            return Err(refused(format!(
                "the file has version {theirs} of its store, and {version}, which runs, reads version {ours}. Stop it, import, \
                 and start it with a build that reads or migrates version {theirs}"
            )));
        }
        let (usage, _) = self.plugins.kept(plugin, "").await.map_err(|error| failed(plugin, &error))?;
        let (old, new) = (counted(usage.keys, "key"), counted(import.keys(), "key"));
        let question = format!("Import {new} into {plugin}, in place of the {old} that it keeps now?");
        Ok(StoreProposal { question, plugin: plugin.to_owned(), change: StoreChange::Import(import) })
    }

    /// What a yes to a delete would do. The plugin may be one that is not configured any more.
    ///
    /// # Errors
    /// [`Refusal`], which is recorded.
    pub async fn propose_delete(&self, actor: &Actor, plugin: &str, prefix: &str) -> Result<StoreProposal, Refusal> {
        let words = delete(prefix);
        self.may_change_store(actor, &words, plugin).await?;
        match self.delete_makes_sense(plugin, prefix).await {
            Ok(proposal) => Ok(proposal),
            Err(refusal) => Err(self.refuse_store(actor, &words, plugin, refusal).await),
        }
    }

    async fn delete_makes_sense(&self, plugin: &str, prefix: &str) -> Result<StoreProposal, Refusal> {
        let (usage, count) = self.plugins.kept(plugin, prefix).await.map_err(|error| failed(plugin, &error))?;
        if usage == Usage::default() {
            // Perhaps the name is wrong.
            self.look(plugin).await?;
        }
        let which = if prefix.is_empty() { String::new() } else { format!(" that begins with {prefix:?}") };
        if count == 0 {
            return Err(Refusal::Store { plugin: plugin.to_owned(), why: format!("it keeps no key{which}") });
        }
        let which = which.replace("begins", if count == 1 { "begins" } else { "begin" });
        let question = format!("Delete {} of {plugin}{which}?", counted(count, "key"));
        let change = StoreChange::Delete { prefix: prefix.to_owned() };
        Ok(StoreProposal { question, plugin: plugin.to_owned(), change })
    }

    /// Does it, audited before and after. Cancelled, it is done all the same. Gives what came of it.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub async fn change_store(&self, actor: &Actor, proposal: StoreProposal) -> Result<(String, Usage), Refusal> {
        let words = proposal.change.words();
        self.allow(actor, &words, Some(&proposal.plugin), NEEDS).await?;
        let under_way = Arc::clone(&self.under_way).acquire_owned().await.ok().filter(|_| !self.is_stopping());
        let Some(under_way) = under_way else {
            return Err(self.refuse_store(actor, &words, &proposal.plugin, Refusal::Stopping).await);
        };
        let (plugins, audit, actor) = (Arc::clone(&self.plugins), self.audit.clone(), actor.clone());
        // In a task of its own: whoever asked may go, and the end must be recorded all the same.
        let work = async move {
            let StoreProposal { plugin, change, .. } = proposal;
            let before = AuditRecord::new(Stage::Before, &actor, &words, Some(&plugin));
            let before = audit.begin(before).await.map_err(Refusal::Audit)?;
            let began = Instant::now();
            let result = perform(&plugins, &plugin, change).await;
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
                    tracing::error!(%plugin, "its end cannot be recorded: {error}");
                    Ok((format!("{text} (Its end could not be recorded: {error})"), usage))
                }
                (Err(error), Err(refusal)) => Err(Refusal::Unrecorded { refusal: Box::new(refusal), error }),
            }
        };
        tokio::spawn(work).await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Records that a question was not answered with yes.
    pub(super) async fn drop_store_change(&self, actor: &Actor, proposal: &StoreProposal, why: &str) {
        let record = AuditRecord::new(Stage::Dropped, actor, &proposal.change.words(), Some(&proposal.plugin));
        self.note(record.ended(false, why, None)).await;
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
        self.note(record.ended(false, &refusal.to_string(), None)).await;
        refusal
    }
}

async fn perform(plugins: &Plugins, plugin: &str, change: StoreChange) -> Result<(String, Usage), Refusal> {
    let done = match change {
        StoreChange::Import(import) => {
            let usage = plugins.import(plugin, import).await;
            usage.map(|usage| {
                (format!("{plugin} keeps {} now, those of the import.", counted(usage.keys, "key")), usage)
            })
        }
        StoreChange::Delete { prefix } => {
            let done = plugins.delete_kept(plugin, &prefix).await;
            done.map(|(gone, usage)| {
                let (gone, left) = (counted(gone, "key"), counted(usage.keys, "key"));
                (format!("{gone} of {plugin} deleted; it keeps {left} now."), usage)
            })
        }
    };
    done.map_err(|error| failed(plugin, &error))
}

fn failed(plugin: &str, error: &PluginError) -> Refusal {
    Refusal::Store { plugin: plugin.to_owned(), why: error.to_string() }
}
