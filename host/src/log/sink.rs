//! The thread that writes the log. Records without room are counted, and the count is logged when there is room again.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Records that wait to be written: those of a second in which the host logs a lot, in a megabyte.
const WAITING: usize = 4096;

/// Time to write the last records at the end. A stalled reader loses them.
const LAST_WORDS: Duration = Duration::from_secs(1);

static JOBS: OnceLock<SyncSender<Job>> = OnceLock::new();
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

enum Job {
    Write(Vec<u8>),
    /// Open the file under its name again.
    Reopen,
    /// Answer when all records before this are written.
    Flush(SyncSender<()>),
}

/// Starts the thread, which writes to the file, or to standard error.
pub(super) fn start(path: Option<PathBuf>) -> io::Result<()> {
    let output = match path {
        Some(path) => Output::File { file: open(&path)?, path },
        None => Output::StandardError,
    };
    let (jobs, waiting) = sync_channel(WAITING);
    let work = thread::Builder::new().name("rosey-log".to_owned()).spawn(move || work(&waiting, output));
    if work.is_ok() {
        // A second call changes nothing.
        let _ = JOBS.set(jobs);
    }
    Ok(())
}

/// Opens the file of the log under its name again, after a program like logrotate has renamed it.
pub fn reopen() {
    if let Some(jobs) = JOBS.get() {
        // The thread has stopped only when the host has.
        let _ = jobs.send(Job::Reopen);
    }
}

/// Waits until all records are written, for a second at most.
pub fn finish() {
    let (done, written) = sync_channel(1);
    let Some(jobs) = JOBS.get() else { return };
    if jobs.try_send(Job::Flush(done)).is_ok() {
        // An error means that the reader is stalled.
        let _ = written.recv_timeout(LAST_WORDS);
    }
}

/// Only its user reads it: the log quotes what people typed.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

enum Output {
    StandardError,
    File { path: PathBuf, file: File },
}

impl Output {
    fn write(&mut self, bytes: &[u8]) {
        // An error cannot be reported anywhere else: this is where errors go.
        let _ = match self {
            Self::StandardError => io::stderr().write_all(bytes),
            Self::File { file, .. } => file.write_all(bytes),
        };
    }

    fn reopen(&mut self) {
        let Self::File { path, file } = self else { return };
        match open(path) {
            Ok(opened) => *file = opened,
            // The old file still takes records.
            Err(error) => drop(writeln!(io::stderr(), "the log {} cannot be opened again: {error}", path.display())),
        }
    }
}

fn work(waiting: &Receiver<Job>, mut output: Output) {
    for job in waiting {
        match job {
            Job::Write(record) => output.write(&record),
            Job::Reopen => output.reopen(),
            Job::Flush(done) => drop(done.try_send(())),
        }
        let left_out = LEFT_OUT.swap(0, Relaxed);
        if left_out > 0 {
            output
                .write(format!("{left_out} records are left out here: the reader of the log is too slow\n").as_bytes());
        }
    }
}

/// Makes one [`Record`] for each event.
pub(super) struct Records;

impl MakeWriter<'_> for Records {
    type Writer = Record;

    fn make_writer(&self) -> Record {
        Record(Vec::with_capacity(256))
    }
}

/// One record, sent to the thread when it is complete.
pub(super) struct Record(Vec<u8>);

impl Write for Record {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let record = Job::Write(mem::take(&mut self.0));
        if JOBS.get().is_none_or(|jobs| jobs.try_send(record).is_err()) {
            LEFT_OUT.fetch_add(1, Relaxed);
        }
    }
}
