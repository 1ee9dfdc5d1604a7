//! What an operator does with dead letters and timers of plugins.

use super::{PluginError, Plugins};
use crate::{
    commit::timers::{self, Listed},
    slot::{
        command::Command,
        dead_letter::{self, DeadLetter},
    },
};

impl Plugins {
    /// Delivers a dead letter again, and drops its answer. The letter is removed after the slot has accepted it. So a
    /// host that is killed in between delivers it twice rather than never.
    ///
    /// # Errors
    /// [`PluginError`]; the letter is kept.
    pub async fn replay(&self, name: &str, id: i64) -> Result<DeadLetter, PluginError> {
        let slot = self.slot(name)?;
        let found = dead_letter::find(&self.database, name, id).await?;
        let letter = found.ok_or_else(|| PluginError::NoLetter { plugin: name.to_owned(), id })?;
        if !slot.handle.offer(letter.event()).await? {
            return Err(PluginError::NotAccepted(name.to_owned()));
        }
        dead_letter::remove(&self.database, id).await?;
        Ok(letter)
    }

    /// The timers of a plugin that fire next, at most `most`.
    ///
    /// # Errors
    ///
    /// There is no such plugin, or the database cannot be read.
    pub async fn timers(&self, name: &str, most: u32) -> Result<Vec<Listed>, PluginError> {
        let plugin = self.slot(name)?.handle.name().to_string();
        Ok(self.database.run(move |connection| timers::list(connection, &plugin, most)).await?)
    }

    /// One timer of a plugin.
    ///
    /// # Errors
    ///
    /// There is no such plugin or timer, or the database cannot be read.
    pub async fn timer(&self, name: &str, id: i64) -> Result<Listed, PluginError> {
        let plugin = self.slot(name)?.handle.name().to_string();
        let found = self.database.run(move |connection| timers::find(connection, &plugin, id)).await?;
        found.ok_or_else(|| PluginError::NoTimer { plugin: name.to_owned(), id })
    }

    /// Cancels a timer, and returns it. If its event is under way, that event goes on.
    ///
    /// # Errors
    ///
    /// There is no such plugin or timer, or the database cannot be written.
    pub async fn cancel_timer(&self, name: &str, id: i64) -> Result<Listed, PluginError> {
        let timer = self.timer(name, id).await?;
        let plugin = name.to_owned();
        let left = self.database.run(move |connection| timers::cancel(connection, &plugin, id)).await?;
        let left = left.ok_or_else(|| PluginError::NoTimer { plugin: name.to_owned(), id })?;
        self.slot(name)?.handle.tell(Command::TimersLeft(left)).await?;
        Ok(timer)
    }
}
