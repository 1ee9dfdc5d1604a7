//! `rosey.db`: one SQLite file that an operator can open. This module owns the connection; each room owns its SQL.
//!
//! One thread does all writing and reading, in the order of asking, so no lock and no blocked event loop.

use rusqlite::Connection;
use std::{path::Path, thread};
use tokio::sync::{mpsc, oneshot};

/// Jobs waiting for the thread. Each is one small transaction of about a millisecond.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The way to the database. Cheap to clone; the file is closed when the last one is gone.
#[derive(Debug, Clone)]
pub struct Database {
    jobs: mpsc::Sender<Job>,
}

/// What can go wrong with `rosey.db`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("rosey.db: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The thread could not be started.
    #[error("cannot start the database's thread: {0}")]
    Thread(#[from] std::io::Error),
    /// Too much is waiting, or the thread is gone.
    #[error("rosey.db does not keep up")]
    Busy,
}

impl Database {
    /// Opens or makes the file. `schema` is run as it is: `CREATE TABLE IF NOT EXISTS …` of all rooms.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a database, or is locked by another host for more than five seconds.
    pub fn open(path: &Path, schema: &[&str]) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A dead letter that is said to be durable survives a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        for part in schema {
            connection.execute_batch(part)?;
        }
        let (jobs, waiting) = mpsc::channel(QUEUE);
        thread::Builder::new().name("rosey-db".to_owned()).spawn(move || work(connection, waiting))?;
        Ok(Self { jobs })
    }

    /// Runs a job and waits for its result. Cancelled, it still runs.
    ///
    /// # Errors
    /// As SQLite says, or [`StoreError::Busy`] when the thread is gone.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(job(connection));
        });
        self.jobs.send(job).await.map_err(|_| StoreError::Busy)?;
        Ok(answered.await.map_err(|_| StoreError::Busy)??)
    }

    /// Waits until all that was asked before is done.
    pub async fn flush(&self) {
        // An error is the thread being gone, and then nothing is left to wait for.
        let _ = self.run(|_| Ok(())).await;
    }
}

fn work(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        job(&mut connection);
    }
}
