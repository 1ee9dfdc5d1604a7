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
        let member = self.member(name)?;
        let found = dead_letter::find(&self.database, name, id).await?;
        let letter = found.ok_or_else(|| PluginError::NoLetter { plugin: name.to_owned(), id })?;
        if !member.handle.offer(letter.event()).await? {
            return Err(PluginError::NotAccepted(name.to_owned()));
        }
        dead_letter::remove(&self.database, id).await?;
        Ok(letter)
    }

    /// The dead letter of a plugin with this number, or all of them, the newest first.
    ///
    /// # Errors
    ///
    /// There is no such plugin or letter, or the database cannot be read.
    pub async fn letters(&self, name: &str, id: Option<i64>) -> Result<Vec<DeadLetter>, PluginError> {
        let member = self.member(name)?;
        let name = member.handle.name();
        let mut letters = dead_letter::list(&self.database, Some(name), u32::MAX).await?;
        letters.retain(|letter| id.is_none_or(|id| letter.id == id));
        if letters.is_empty() {
            return Err(PluginError::NoLetter { plugin: name.to_string(), id: id.unwrap_or_default() });
        }
        Ok(letters)
    }

    /// Removes the dead letter with this number, or all of them, and returns what was removed.
    ///
    /// # Errors
    ///
    /// As [`Plugins::letters`]; or the database cannot be written.
    pub async fn discard(&self, name: &str, id: Option<i64>) -> Result<Vec<DeadLetter>, PluginError> {
        let letters = self.letters(name, id).await?;
        for letter in &letters {
            dead_letter::remove(&self.database, letter.id).await?;
        }
        Ok(letters)
    }

    /// The timers of a plugin that fire next, at most `most`.
    ///
    /// # Errors
    ///
    /// There is no such plugin, or the database cannot be read.
    pub async fn timers(&self, name: &str, most: u32) -> Result<Vec<Listed>, PluginError> {
        let plugin = self.member(name)?.handle.name().to_string();
        Ok(self.database.run(move |connection| timers::list(connection, &plugin, most)).await?)
    }

    /// One timer of a plugin.
    ///
    /// # Errors
    ///
    /// There is no such plugin or timer, or the database cannot be read.
    pub async fn timer(&self, name: &str, id: i64) -> Result<Listed, PluginError> {
        let plugin = self.member(name)?.handle.name().to_string();
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
        self.member(name)?.handle.tell(Command::TimersLeft(left)).await?;
        Ok(timer)
    }
}
