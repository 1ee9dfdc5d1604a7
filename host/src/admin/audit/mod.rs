//! The audit: who did what with the bot, in `rosey.db` and optionally in a file of JSON lines.
//!
//! The host records an action before it begins and after it ended, and does not carry out an action that it cannot
//! record first.

pub mod chain;
pub mod file;
pub mod record;

pub use record::{AuditRecord, Stage};

use crate::store::{Database, StoreError};
use chain::Head;
use file::AuditFile;
use rusqlite::Connection;
use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// Called with each record once it is written. It must not block.
pub type Listener = Box<dyn Fn(&AuditRecord) + Send + Sync>;

/// Why a record cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// In the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// In the file.
    #[error("the audit file {} cannot be written: {source}", .path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Access to the audit. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    database: Database,
    file: Option<(PathBuf, Arc<Mutex<AuditFile>>)>,
    /// The end of the chain, as far as this host has written it. Locked only on the thread of the database.
    head: Arc<Mutex<Head>>,
    listeners: Arc<Mutex<Vec<Listener>>>,
}

impl Audit {
    /// Opens the audit, brings the file up to date, and records the end of actions that an earlier host did not finish.
    /// Where another program changed the tables so that nothing can be recorded, a new chain begins.
    ///
    /// # Errors
    /// When a record cannot be read, or the file cannot be opened.
    pub async fn open(database: Database, file: Option<PathBuf>) -> Result<Self, AuditError> {
        match Self::go_on(database.clone(), file.clone()).await {
            Err(AuditError::Store(error)) if error.is_of_the_tables() => {
                let why = error.to_string();
                let alarm = database.run(move |connection| chain::begin_anew(connection, &why)).await?;
                tracing::error!("AUDIT: {}", alarm.result.as_deref().unwrap_or_default());
                Self::go_on(database, file).await
            }
            opened => opened,
        }
    }

    /// Opens the audit that is there.
    async fn go_on(database: Database, file: Option<PathBuf>) -> Result<Self, AuditError> {
        let head = database.run(|connection| chain::head(connection)).await?;
        let file = match file {
            None => None,
            Some(path) => match AuditFile::open(&path, &head) {
                Ok(file) => Some((path, Arc::new(Mutex::new(file)))),
                Err(source) => return Err(AuditError::File { path, source }),
            },
        };
        let audit = Self { database, file, head: Arc::new(Mutex::new(head)), listeners: Arc::default() };
        audit.check_end().await?;
        for before in audit.database.run(|connection| chain::open(connection)).await? {
            // On a full disk the bot still answers, and refuses actions until there is room.
            if let Err(error) = audit.write(before.after(false, "the host ended before this action did", None)).await {
                tracing::error!("the audit cannot be written: {error}");
            }
        }
        audit.log_head();
        Ok(audit)
    }

    /// Checks that the table ends where the last host left it, and writes the records that the file lacks.
    async fn check_end(&self) -> Result<(), AuditError> {
        let (head, file) = (Arc::clone(&self.head), self.file.as_ref().map(|(_, file)| Arc::clone(file)));
        let (alarm, written) = self
            .database
            .run(move |connection| {
                let mut head = head.lock().unwrap_or_else(PoisonError::into_inner);
                let mut file = file.as_ref().map(|file| file.lock().unwrap_or_else(PoisonError::into_inner));
                let transaction = connection.transaction()?;
                let mut end = head.clone();
                if let Some(file) = file.as_ref().filter(|file| file.end().count > end.count) {
                    end = file.end().clone();
                }
                let mut alarm = chain::check(&transaction, &mut end)?;
                if let (None, Some(file)) = (&alarm, &file)
                    && file.end().count > 0
                    && chain::one(&transaction, file.end().count)?.map(|record| record.hash).as_ref()
                        != Some(&file.end().hash)
                {
                    let text = format!("rosey.db has another record {} than the audit file", file.end().count);
                    alarm = Some(chain::alarm(&transaction, &mut end, &text)?);
                }
                transaction.commit()?;
                *head = end;
                Ok((alarm, file.as_mut().map_or(Ok(()), |file| file.catch_up(connection))))
            })
            .await?;
        self.cry(alarm.as_ref());
        if let (Err(source), Some((path, _))) = (written, &self.file) {
            // As above: the bot still answers.
            tracing::error!("the audit file {} cannot be written: {source}", path.display());
        }
        Ok(())
    }

    /// Calls `listener` with every record from now on.
    pub fn on_record(&self, listener: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Writes a record. When this returns, the record survives a crash of the host and of the machine. Cancellation
    /// does not stop the write.
    ///
    /// # Errors
    /// [`AuditError`]. A record that only the file lacks is written there before the next one.
    pub async fn write(&self, record: AuditRecord) -> Result<AuditRecord, AuditError> {
        let (record, written) = self.keep(record).await?;
        written.map(|()| record)
    }

    /// Writes the record of an action's beginning. If only the file lacks it, the action must not be done either, and
    /// its recorded end says so.
    ///
    /// # Errors
    /// [`AuditError`]; the action must not be done.
    pub async fn begin(&self, record: AuditRecord) -> Result<AuditRecord, AuditError> {
        let (record, written) = self.keep(record).await?;
        if let Err(error) = &written
            && let Err(error) = self.keep(record.after(false, &format!("not done: {error}"), None)).await
        {
            tracing::error!("the audit cannot be written: {error}");
        }
        written.map(|()| record)
    }

    async fn keep(&self, record: AuditRecord) -> Result<(AuditRecord, Result<(), AuditError>), AuditError> {
        let (head, file) = (Arc::clone(&self.head), self.file.as_ref().map(|(_, file)| Arc::clone(file)));
        let (alarm, record, written) = self
            .database
            .run(move |connection| {
                let mut head = head.lock().unwrap_or_else(PoisonError::into_inner);
                let (alarm, record) = chain::append(connection, record, &mut head)?;
                let mut file = file.as_ref().map(|file| file.lock().unwrap_or_else(PoisonError::into_inner));
                Ok((alarm, record, file.as_mut().map_or(Ok(()), |file| file.catch_up(connection))))
            })
            .await?;
        self.cry(alarm.as_ref());
        self.tell(&record);
        let written = match (written, &self.file) {
            (Err(source), Some((path, _))) => Err(AuditError::File { path: path.clone(), source }),
            _ => Ok(()),
        };
        Ok((record, written))
    }

    /// Opens the file under its name again. A file that is new begins behind the records so far, which the renamed one has.
    ///
    /// # Errors
    /// [`AuditError`]; the old file is still used.
    pub async fn reopen(&self) -> Result<(), AuditError> {
        let Some((path, file)) = &self.file else { return Ok(()) };
        let (to, file, head) = (path.clone(), Arc::clone(file), Arc::clone(&self.head));
        let reopen = move |connection: &mut Connection| {
            let head = head.lock().unwrap_or_else(PoisonError::into_inner);
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = file.catch_up(connection).and_then(|()| AuditFile::open_behind(&to, &head));
            Ok(opened.map(|opened| *file = opened))
        };
        let opened = self.database.run(reopen).await?;
        opened.map_err(|source| AuditError::File { path: path.clone(), source })
    }

    fn cry(&self, alarm: Option<&AuditRecord>) {
        if let Some(alarm) = alarm {
            tracing::error!("AUDIT: {}", alarm.result.as_deref().unwrap_or_default());
            self.tell(alarm);
        }
    }

    /// Logs the head of the chain, so that a copy of it exists outside the state directory.
    pub fn log_head(&self) {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        match head.count {
            0 => tracing::info!("the audit is empty"),
            count => tracing::info!("number of records in the audit: {count}; its head is {head}"),
        }
    }

    /// Calls the listeners with a record, and writes nothing.
    pub fn tell(&self, record: &AuditRecord) {
        for listener in &*self.listeners.lock().unwrap_or_else(PoisonError::into_inner) {
            listener(record);
        }
    }
}

#[cfg(test)]
mod tests;
