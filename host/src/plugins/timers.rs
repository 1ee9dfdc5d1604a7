//! The timers of plugins, for whoever runs the bot.

use super::{PluginError, Plugins};
use crate::{
    commit::timers::{self, Listed},
    slot::command::Command,
};

impl Plugins {
    /// The timers of a plugin that fire next, at most so many.
    ///
    /// # Errors
    /// When there is no such plugin, or as the database says.
    pub async fn timers(&self, name: &str, most: u32) -> Result<Vec<Listed>, PluginError> {
        let plugin = self.slot(name)?.handle.name().to_string();
        Ok(self.database.run(move |connection| timers::list(connection, &plugin, most)).await?)
    }

    /// One timer of a plugin.
    ///
    /// # Errors
    /// When there is no such plugin or timer, or as the database says.
    pub async fn timer(&self, name: &str, id: i64) -> Result<Listed, PluginError> {
        let plugin = self.slot(name)?.handle.name().to_string();
        let found = self.database.run(move |connection| timers::find(connection, &plugin, id)).await?;
        found.ok_or_else(|| PluginError::NoTimer { plugin: name.to_owned(), id })
    }

    /// Cancels a timer, and returns what it was. One whose event is under way has fired all the same.
    ///
    /// # Errors
    /// When there is no such plugin or timer, or as the database says.
    pub async fn cancel_timer(&self, name: &str, id: i64) -> Result<Listed, PluginError> {
        let timer = self.timer(name, id).await?;
        let plugin = name.to_owned();
        let left = self.database.run(move |connection| timers::cancel(connection, &plugin, id)).await?;
        let left = left.ok_or_else(|| PluginError::NoTimer { plugin: name.to_owned(), id })?;
        self.slot(name)?.handle.tell(Command::TimersLeft(left)).await?;
        Ok(timer)
    }
}
