//! `rosey.db`: one SQLite file that an operator can open. This module owns the connection; each room owns its SQL.
//!
//! One thread does all writes, and the reads that go with them, in the order of the requests. So there is no lock, and no
//! event loop blocks. A second thread reads for plugins, so that a read does not wait until the disk has what was written.

pub mod version;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait for a thread. Each is one small transaction of about a millisecond.
const QUEUE: usize = 1024;

/// Most files that SQLite has open at a time: for each of two threads the database and those beside it, and one in between.
const FILES: usize = 7;

/// Time for another program that has locked the file, such as a backup, to release it.
const LOCKED_WITHIN: Duration = Duration::from_secs(5);

/// The largest file that is searched for damage at the start, in bytes. That takes about a second from a disk.
const CHECKED: u64 = 256 << 20;

/// Statements that stay prepared: all that an event can need, with room for more.
const STATEMENTS: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Access to the database. Cheap to clone; the file is closed with the last clone.
#[derive(Debug, Clone)]
pub struct Database {
    jobs: mpsc::Sender<Job>,
    reads: mpsc::Sender<Job>,
    files: Arc<Files>,
    /// Why the last write failed.
    trouble: Arc<Mutex<Option<String>>>,
    /// The damaged file, if this is an empty one in its place.
    in_place_of: Option<Arc<Path>>,
}

/// Errors of `rosey.db`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite reports an error.
    #[error("rosey.db: {}", explain(.0))]
    Sqlite(rusqlite::Error),
    /// The content of the file is not what SQLite wrote.
    #[error(
        "{path} is damaged. Put back a copy of it, or move it away to start without its audit, dead letters and history; \
         see \"rosey.db is damaged\" in docs/OPERATIONS.md", path = .0.display()
    )]
    Damaged(PathBuf),
    /// A newer Rosey wrote the file.
    #[error(
        "{path} has version {version}, and rosey {} reads up to version {}: run the newer rosey, or restore a backup from \
         before it", env!("CARGO_PKG_VERSION"), version::VERSION, path = .path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version that the file has.
        version: i64,
    },
    /// The open file is not the one that the next start would read.
    #[error(
        "{path} was removed or replaced while Rosey runs, so what is written would be lost; restart Rosey", path = .0.display()
    )]
    Gone(PathBuf),
    /// The file cannot be created or made private.
    #[error("{path} cannot be opened: {source}", path = .path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// The system's or SQLite's reason.
        source: io::Error,
    },
    /// The thread cannot be started.
    #[error("cannot start the database's thread: {0}")]
    Thread(#[source] io::Error),
    /// Too many jobs wait, or the thread is gone.
    #[error("rosey.db is too slow")]
    Busy,
}

impl StoreError {
    /// The error of SQLite about the file at `path`.
    pub fn of(error: rusqlite::Error, path: &Path) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(path.to_owned()),
            _ => Self::Sqlite(error),
        }
    }

    /// Whether the tables are not as Rosey made them, while the file itself is fine.
    pub fn is_of_the_tables(&self) -> bool {
        matches!(self, Self::Sqlite(_)) && !is_of_the_file(self)
    }

    /// Whether the cause may go away while the file stays as it is: the disk is full, or another program holds the
    /// file.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ),
            Self::Open { source, .. } => is_for_want_of_room(source),
            Self::Damaged(_) | Self::Newer { .. } | Self::Gone(_) | Self::Thread(_) | Self::Busy => false,
        }
    }
}

/// Whether the disk, or the user's quota of it, is full.
pub fn is_for_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// SQLite's error in words that say what to do.
fn explain(error: &rusqlite::Error) -> String {
    let text = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "its disk is full; make room",
        Some(ErrorCode::ReadOnly) => "it cannot be written to; is it, or its folder, read-only?",
        Some(ErrorCode::SystemIoFailure) => "the disk cannot be read or written; look at the system's log",
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "it cannot be opened; may this user read and write it?"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program holds it; close that one",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "it is damaged; see: rosey db check",
        _ => return error.to_string(),
    };
    text.to_owned()
}

/// Whether an error concerns the file and its disk, rather than the request.
fn is_of_the_file(error: &StoreError) -> bool {
    use ErrorCode as Code;
    match error {
        StoreError::Sqlite(error) => matches!(
            error.sqlite_error_code(),
            Some(
                Code::DiskFull
                    | Code::ReadOnly
                    | Code::SystemIoFailure
                    | Code::CannotOpen
                    | Code::PermissionDenied
                    | Code::DatabaseBusy
                    | Code::DatabaseLocked
            )
        ),
        StoreError::Damaged(_) | StoreError::Gone(_) => true,
        StoreError::Open { .. } | StoreError::Newer { .. } | StoreError::Thread(_) | StoreError::Busy => false,
    }
}

impl Database {
    /// Opens or creates the file, readable by this user alone. Runs `schema`, the `CREATE TABLE IF NOT EXISTS …` of all rooms
    /// and the `ALTER TABLE … ADD COLUMN …` for later columns; it passes over a column that exists. Brings an older file to
    /// [`version::VERSION`], and keeps a copy of it beside it.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a database, is from a newer Rosey, or another host locks it for more than five
    /// seconds.
    pub fn open(path: &Path, schema: &[&str]) -> Result<Self, StoreError> {
        prepare(path)?;
        has_room_for_files(path)?;
        let mut connection = connect(path).map_err(|error| StoreError::of(error, path))?;
        // Before the first write to the file.
        version::of(&connection, path)?;
        prepare_writes(&mut connection).map_err(|error| StoreError::of(error, path))?;
        version::migrate(&mut connection, path, schema)?;
        let reader = connect_to_read(path).map_err(|error| StoreError::of(error, path))?;
        let files = Files::of(path);
        let (jobs, reads) = (work("rosey-db", connection)?, work("rosey-db-read", reader)?);
        Ok(Self { jobs, reads, trouble: Arc::default(), files: Arc::new(files), in_place_of: None })
    }

    /// Opens an empty file at `path` in place of the damaged one, so that the host serves what needs no database. It can be
    /// read as an empty database by the host; each write and each read by a plugin fails with [`StoreError::Damaged`].
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open_in_place_of(damaged: &Path, path: &Path, schema: &[&str]) -> Result<Self, StoreError> {
        let database = Self::open(path, schema)?;
        let why = StoreError::Damaged(damaged.to_owned()).to_string();
        Ok(Self { in_place_of: Some(damaged.into()), trouble: Arc::new(Mutex::new(Some(why))), ..database })
    }

    /// Looks for damage in a file of up to 256 MiB, without changing it. In a larger file the first access finds it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]. Any other error is for [`Database::open`] to find.
    pub fn check(path: &Path) -> Result<(), StoreError> {
        match fs::metadata(path) {
            Ok(meta) if meta.len() > 0 && meta.len() <= CHECKED => {}
            _ => return Ok(()),
        }
        let found = connect(path)
            .and_then(|connection| connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)));
        match found.map_err(|error| StoreError::of(error, path)) {
            Ok(fine) if fine == "ok" => Ok(()),
            Ok(_) => Err(StoreError::Damaged(path.to_owned())),
            Err(error @ StoreError::Damaged(_)) => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// Runs a job and waits for its result. Cancellation does not stop the job.
    ///
    /// # Errors
    /// Those of SQLite; [`StoreError::Gone`] when a later start could not find what the job wrote; [`StoreError::Busy`]
    /// when the thread is gone.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run_on(&self.jobs, job).await
    }

    /// As [`Database::run`], for a job that only reads. It sees what finished jobs have written, and does not wait for
    /// the others.
    ///
    /// # Errors
    /// As [`Database::run`].
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        if let Some(damaged) = &self.in_place_of {
            return Err(StoreError::Damaged(damaged.to_path_buf()));
        }
        self.run_on(&self.reads, |connection| job(connection)).await
    }

    async fn run_on<T: Send + 'static>(
        &self,
        thread: &mpsc::Sender<Job>,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let (files, trouble) = (Arc::clone(&self.files), Arc::clone(&self.trouble));
        let in_place_of = self.in_place_of.clone();
        let job: Job = Box::new(move |connection| {
            let before = connection.total_changes();
            let mut result = job(connection)
                .map_err(|error| StoreError::of(error, &files.path))
                .and_then(|done| if files.are_there() { Ok(done) } else { Err(StoreError::Gone(files.path.clone())) });
            let wrote = connection.total_changes() != before;
            if let (true, Some(damaged)) = (wrote, in_place_of) {
                result = Err(StoreError::Damaged(damaged.to_path_buf()));
            }
            track_trouble(&trouble, result.as_ref().map(|_| wrote));
            // The caller may have gone.
            let _ = answer.send(result);
        });
        thread.send(job).await.map_err(|_| StoreError::Busy)?;
        answered.await.map_err(|_| StoreError::Busy)?
    }

    /// Whether this is an empty database in place of a damaged one.
    pub fn is_in_place_of_another(&self) -> bool {
        self.in_place_of.is_some()
    }

    /// Why Rosey cannot write to the file, as a clause; `None` if the last write succeeded.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tries to write again after a failed write, so that [`Database::trouble`] ends with its cause.
    pub async fn retry(&self) {
        if self.trouble().is_none() || self.in_place_of.is_some() {
            return;
        }
        let written = self.run(|connection| {
            let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            connection.pragma_update(None, "user_version", version)
        });
        let result = written.await;
        track_trouble(&self.trouble, result.as_ref().map(|()| true));
    }

    /// Waits until all requests before this are done and in the one file, so that a copy of it is complete.
    pub async fn flush(&self) {
        let checkpoint = |connection: &mut Connection| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        };
        match self.run(checkpoint).await {
            Ok(0) => {}
            Ok(_) => tracing::warn!("another program reads rosey.db, so a copy of it needs rosey.db-wal too"),
            Err(error) => tracing::warn!("the last writes stay in rosey.db-wal: {error}"),
        }
    }
}

/// Records the result of a job: why it failed, or that it has written.
fn track_trouble(trouble: &Mutex<Option<String>>, result: Result<bool, &StoreError>) {
    let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
    match result {
        Ok(true) => *trouble = None,
        Err(error) if is_of_the_file(error) => *trouble = Some(error.to_string()),
        Ok(false) | Err(_) => {}
    }
}

/// The files that SQLite creates beside the database: the write-ahead log, and an index of it.
fn beside(path: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|suffix| {
        let mut name = OsString::from(path);
        name.push(suffix);
        name.into()
    })
}

/// Opens a file to append to it, or creates it for this user alone.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Creates the file, and makes it and its companions readable by this user alone.
fn prepare(path: &Path) -> Result<(), StoreError> {
    let problem = |source| StoreError::Open { path: path.to_owned(), source };
    let [wal, shm] = beside(path);
    let is_empty = |path: &Path| fs::metadata(path).map(|meta| meta.len() == 0);
    if is_empty(path).unwrap_or(false) && !is_empty(&wal).unwrap_or(true) {
        // SQLite would take it for a new file, and discard the latest writes.
        return Err(StoreError::Damaged(path.to_owned()));
    }
    private(path).map_err(problem)?;
    for file in [path, &wal, &shm] {
        if fs::metadata(file).is_ok_and(|meta| meta.mode() & 0o077 != 0) {
            fs::set_permissions(file, Permissions::from_mode(0o600)).map_err(problem)?;
        }
    }
    Ok(())
}

/// Makes sure that SQLite can open what it needs. It does not tell a limit of this process from a file that it may not open.
fn has_room_for_files(path: &Path) -> Result<(), StoreError> {
    let opened: io::Result<Vec<File>> = (0..FILES).map(|_| File::open(path)).collect();
    opened.map(drop).map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(LOCKED_WITHIN)?;
    Ok(connection)
}

fn prepare_writes(connection: &mut Connection) -> rusqlite::Result<()> {
    // One that reads first and then finds another program writing would not wait for it.
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A dead letter that counts as durable must survive a power cut.
    connection.pragma_update(None, "synchronous", "FULL")
}

fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Shows whether the files are still those that were opened.
#[derive(Debug)]
struct Files {
    path: PathBuf,
    opened: Vec<(PathBuf, (u64, u64))>,
}

impl Files {
    fn of(path: &Path) -> Self {
        let [wal, _] = beside(path);
        let opened = [path.to_owned(), wal].into_iter().filter_map(|file| inode(&file).map(|inode| (file, inode)));
        Self { path: path.to_owned(), opened: opened.collect() }
    }

    fn are_there(&self) -> bool {
        self.opened.iter().all(|(file, opened)| inode(file) == Some(*opened))
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Starts a thread that does jobs with a connection, until all senders are gone.
fn work(name: &str, mut connection: Connection) -> Result<mpsc::Sender<Job>, StoreError> {
    let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
    let serve = move || {
        while let Some(job) = waiting.blocking_recv() {
            job(&mut connection);
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(serve).map_err(StoreError::Thread)?;
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS line (text TEXT NOT NULL) STRICT;";

    async fn add(database: &Database, text: &'static str) -> Result<usize, StoreError> {
        database.run(move |connection| connection.execute("INSERT INTO line VALUES (?1)", [text])).await
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_a_trouble_until_it_can() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = Database::open(&directory.path().join("rosey.db"), &[SCHEMA]).expect("a database");
        // Like a full disk: no more pages than there are.
        let limit =
            |pages: i64| database.run(move |connection| connection.pragma_update(None, "max_page_count", pages));
        limit(1).await.expect("a setting of the connection");
        let long: &'static str = "x".repeat(100_000).leak();
        let error = add(&database, long).await.expect_err("full");
        assert_eq!(error.to_string(), "rosey.db: its disk is full; make room");
        assert_eq!(database.trouble(), Some(error.to_string()));
        database.run(|connection| connection.query_row("SELECT 1", [], |_| Ok(()))).await.expect("it can be read");
        assert!(database.trouble().is_some(), "what was read proves nothing");
        limit(1_000_000).await.expect("as before");
        database.retry().await;
        assert_eq!(database.trouble(), None);
        add(&database, long).await.expect("there is room");
    }

    #[tokio::test]
    async fn a_file_that_was_removed_takes_nothing_more() {
        for suffix in ["", "-wal"] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("rosey.db");
            let database = Database::open(&path, &[SCHEMA]).expect("a database");
            add(&database, "found again").await.expect("it is there");
            fs::remove_file(directory.path().join(format!("rosey.db{suffix}"))).expect("it is there");
            let error = add(&database, "lost").await.expect_err("it could not be found again");
            assert!(error.to_string().contains("restart Rosey"), "{error}");
            database.retry().await;
            assert!(database.trouble().is_some(), "it stays so");
        }
    }

    #[tokio::test]
    async fn what_is_no_database_is_named_with_what_to_do() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rosey.db");
        let database = Database::open(&path, &[SCHEMA]).expect("a database");
        add(&database, "a line").await.expect("there is room");
        database.flush().await;
        drop(database);
        let whole = fs::read(&path).expect("ours");
        let noise: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for content in [&noise[..], &whole[..whole.len() / 2], &whole[..100]] {
            fs::write(&path, content).expect("ours");
            let error = Database::open(&path, &[SCHEMA]).expect_err("it is damaged").to_string();
            assert!(error.starts_with(&format!("{} is damaged. Put back", path.display())), "{error}");
        }
        fs::write(&path, "").expect("ours");
        fs::write(directory.path().join("rosey.db-wal"), "what was written last").expect("ours");
        assert!(matches!(Database::open(&path, &[SCHEMA]), Err(StoreError::Damaged(_))));
        fs::remove_file(&path).expect("ours");
        Database::open(&path, &[SCHEMA]).expect("an operator who removes it wants a new one");
    }

    #[tokio::test]
    async fn the_file_is_for_its_user_alone_and_whole_after_a_flush() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rosey.db");
        fs::write(&path, "").expect("ours");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("ours");
        let database = Database::open(&path, &[SCHEMA]).expect("a database");
        add(&database, "a line").await.expect("there is room");
        for entry in fs::read_dir(directory.path()).expect("ours").flatten() {
            assert_eq!(entry.metadata().expect("there").mode() & 0o777, 0o600, "{:?}", entry.file_name());
        }
        database.flush().await;
        let copy = directory.path().join("copy.db");
        fs::copy(&path, &copy).expect("ours");
        let lines =
            Connection::open(&copy).and_then(|copy| copy.query_row("SELECT count(*) FROM line", [], |row| row.get(0)));
        assert_eq!(lines, Ok(1));
    }
}
