//! The audit: who did what with the bot, in `rosey.db` and if wanted in a file of JSON lines.
//!
//! An action is recorded before it begins and after it ended; one whose beginning cannot be recorded is not carried out.

pub mod chain;
pub mod file;
pub mod record;

pub use record::{AuditRecord, Stage};

use crate::store::{Database, StoreError};
use file::AuditFile;
use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// Called with each record when it is kept. It must not block.
pub type Listener = Box<dyn Fn(&AuditRecord) + Send + Sync>;

/// Why something cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// In the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// In the file.
    #[error("the audit file {} cannot be written: {source}", .path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The way into the audit. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    database: Database,
    file: Option<(PathBuf, Arc<Mutex<AuditFile>>)>,
    listeners: Arc<Mutex<Vec<Listener>>>,
}

impl Audit {
    /// Opens it, and notes the end of actions that a host before this one did not live to see.
    ///
    /// # Errors
    /// When a record cannot be read or written.
    pub async fn open(database: Database, file: Option<PathBuf>) -> Result<Self, AuditError> {
        let file = match file {
            None => None,
            Some(path) => match AuditFile::open(&path) {
                Ok(file) => Some((path, Arc::new(Mutex::new(file)))),
                Err(source) => return Err(AuditError::File { path, source }),
            },
        };
        let audit = Self { database, file, listeners: Arc::default() };
        for before in audit.database.run(|connection| chain::open(connection)).await? {
            audit.write(before.after(false, "the host ended before this did", None)).await?;
        }
        Ok(audit)
    }

    /// Has every record from now on told to `listener`.
    pub fn on_record(&self, listener: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Keeps a record. When this returns it survives the host, and the machine. Cancelled, it is kept all the same.
    ///
    /// # Errors
    /// [`AuditError`]; a record that only the file did not take follows there with the next one.
    pub async fn write(&self, record: AuditRecord) -> Result<AuditRecord, AuditError> {
        let file = self.file.as_ref().map(|(_, file)| Arc::clone(file));
        let (record, written) = self
            .database
            .run(move |connection| {
                let record = chain::append(connection, record)?;
                let mut file = file.as_ref().map(|file| file.lock().unwrap_or_else(PoisonError::into_inner));
                Ok((record, file.as_mut().map_or(Ok(()), |file| file.catch_up(connection))))
            })
            .await?;
        self.tell(&record);
        match (written, &self.file) {
            (Err(source), Some((path, _))) => Err(AuditError::File { path: path.clone(), source }),
            _ => Ok(record),
        }
    }

    /// Tells the listeners, and keeps nothing.
    pub fn tell(&self, record: &AuditRecord) {
        for listener in &*self.listeners.lock().unwrap_or_else(PoisonError::into_inner) {
            listener(record);
        }
    }
}

#[cfg(test)]
mod tests;
