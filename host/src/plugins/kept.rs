//! What an operator does with the data of plugins.

use super::{PluginError, Plugins};
use crate::{
    commit::{self, Import, Quota, Usage},
    slot::command::Command,
};

impl Plugins {
    /// The quota of a plugin.
    ///
    /// # Errors
    ///
    /// There is no such plugin.
    pub fn quota(&self, name: &str) -> Result<Quota, PluginError> {
        let config = self.config(name)?;
        let limits = &config.limits;
        Ok(Quota { keys: limits.store_keys, bytes: limits.store_bytes, lines: limits.lines })
    }

    /// The usage of the store by a plugin, and the number of its keys with this prefix. The plugin need not be in the
    /// configuration any more.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub async fn kept(&self, name: &str, prefix: &str) -> Result<(Usage, u64), PluginError> {
        let (name, prefix) = (name.to_owned(), prefix.to_owned());
        let read = self.database.run(move |connection| {
            Ok((commit::usage(connection, &name)?, commit::count_keys(connection, &name, &prefix)?))
        });
        Ok(read.await?)
    }

    /// Replaces all data of a plugin with an import.
    ///
    /// # Errors
    ///
    /// There is no such plugin, or the database refuses the import; then nothing has changed.
    pub async fn import(&self, name: &str, import: Import) -> Result<Usage, PluginError> {
        self.member(name)?;
        let usage = self.database.run(move |connection| import.apply(connection)).await?;
        self.tell(name, usage).await?;
        Ok(usage)
    }

    /// Deletes the keys of a plugin with this prefix, in all scopes. Returns how many keys it deleted, and the usage
    /// after that.
    ///
    /// # Errors
    ///
    /// The database refuses the deletion; then nothing has changed.
    pub async fn delete_kept(&self, name: &str, prefix: &str) -> Result<(u64, Usage), PluginError> {
        let (owner, prefix) = (name.to_owned(), prefix.to_owned());
        let done = self.database.run(move |connection| commit::delete(connection, &owner, &prefix)).await?;
        self.tell(name, done.1).await?;
        Ok(done)
    }

    async fn tell(&self, name: &str, usage: Usage) -> Result<(), PluginError> {
        // There is no slot to update for a plugin without configuration.
        if let Ok(member) = self.member(name) {
            let owner = name.to_owned();
            let versions = self.database.run(move |connection| commit::versions(connection, &owner)).await?;
            member.handle.tell(Command::Keeps(usage, versions)).await?;
        }
        Ok(())
    }
}
