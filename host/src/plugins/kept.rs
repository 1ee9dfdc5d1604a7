//! What plugins keep, as an operator looks at it and changes it.

use super::{PluginError, Plugins};
use crate::{
    commit::{self, Import, Quota, Usage},
    slot::command::Command,
};

impl Plugins {
    /// How much a plugin may keep.
    ///
    /// # Errors
    /// When there is no such plugin.
    pub fn quota(&self, name: &str) -> Result<Quota, PluginError> {
        let limits = &self.slot(name)?.config.limits;
        Ok(Quota { keys: limits.store_keys, bytes: limits.store_bytes, lines: limits.lines })
    }

    /// What a plugin keeps, in figures, and how many of its keys begin with `prefix`. It may be one that is not configured now.
    ///
    /// # Errors
    /// As the database says.
    pub async fn kept(&self, name: &str, prefix: &str) -> Result<(Usage, u64), PluginError> {
        let (name, prefix) = (name.to_owned(), prefix.to_owned());
        let read = self.database.run(move |connection| {
            Ok((commit::usage(connection, &name)?, commit::count_keys(connection, &name, &prefix)?))
        });
        Ok(read.await?)
    }

    /// Puts an import in place of all that a plugin keeps.
    ///
    /// # Errors
    /// When there is no such plugin, and as the database says; nothing has changed then.
    pub async fn import(&self, name: &str, import: Import) -> Result<Usage, PluginError> {
        self.slot(name)?;
        let usage = self.database.run(move |connection| import.apply(connection)).await?;
        self.tell(name, usage).await;
        Ok(usage)
    }

    /// Removes the keys of a plugin that begin with `prefix`, in all scopes. Gives how many those were, and what is left.
    ///
    /// # Errors
    /// As the database says; nothing has changed then.
    pub async fn delete_kept(&self, name: &str, prefix: &str) -> Result<(u64, Usage), PluginError> {
        let (owner, prefix) = (name.to_owned(), prefix.to_owned());
        let done = self.database.run(move |connection| commit::delete(connection, &owner, &prefix)).await?;
        self.tell(name, done.1).await;
        Ok(done)
    }

    async fn tell(&self, name: &str, usage: Usage) {
        // Of a plugin that is not configured there is nobody to tell, and at the end of the host neither.
        if let Ok(slot) = self.slot(name) {
            let _ = slot.handle.tell(Command::Keeps(usage)).await;
        }
    }
}
