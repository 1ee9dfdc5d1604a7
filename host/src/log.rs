//! The host's log: standard error, one line for each record. Chat goes to standard output and never here.
//!
//! A separate thread writes, so that a reader that does not read the log delays no other thread. Records without room
//! are counted, and the count is logged when there is room again.

use std::{
    io::{self, IsTerminal, Write},
    mem,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{self, MakeWriter},
};

/// Records that wait to be written: those of a second in which the host logs a lot, in a megabyte.
const WAITING: usize = 4096;

/// Time to write the last records at the end. A stalled reader loses them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The environment variable that selects what is logged.
const VARIABLE: &str = "ROSEY_LOG";

/// The levels, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

static RECORDS: OnceLock<SyncSender<Job>> = OnceLock::new();
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

enum Job {
    Write(Vec<u8>),
    /// Answer when all records before this are written.
    Flush(SyncSender<()>),
}

/// Starts logging. `level` applies unless `ROSEY_LOG` says otherwise (`debug`, `rosey=trace`, …). Call it once in a
/// process.
pub fn start(level: &str) {
    let (records, waiting) = sync_channel(WAITING);
    let writes = thread::Builder::new().name("rosey-log".to_owned()).spawn(move || write(&waiting));
    if writes.is_ok() {
        // A second call changes nothing.
        let _ = RECORDS.set(records);
    }
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let understood = filter(&wanted);
    let is_understood = wanted.is_empty() || understood.is_some();
    let filter = understood.unwrap_or_else(|| EnvFilter::new(level));
    let format = fmt::fmt()
        .with_env_filter(filter)
        .with_writer(Records)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_timer(fmt::time::SystemTime);
    // Fails only when another logger was started before, as in tests.
    let _ = format.try_init();
    if !is_understood {
        tracing::warn!(
            "{VARIABLE} is not valid, so the level is {level}; write {VARIABLE}=debug, or {VARIABLE}=rosey=trace"
        );
    }
}

/// The filter for what should be logged; `None` for an unknown level. The crate would take that for the name of a
/// module, and log nothing.
fn filter(wanted: &str) -> Option<EnvFilter> {
    let is_level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    let fits = |part: &str| part.split_once('=').map_or(is_level(part), |(_, level)| is_level(level));
    let fits = wanted.split(',').all(fits);
    EnvFilter::try_new(wanted).ok().filter(|_| fits)
}

/// Waits until all records are written, for a second at most.
pub fn finish() {
    let (done, written) = sync_channel(1);
    let Some(records) = RECORDS.get() else { return };
    if records.try_send(Job::Flush(done)).is_ok() {
        // An error means that the reader is stalled.
        let _ = written.recv_timeout(LAST_WORDS);
    }
}

fn write(waiting: &Receiver<Job>) {
    for job in waiting {
        // An error cannot be reported anywhere else: this is where errors go.
        match job {
            Job::Write(record) => drop(io::stderr().write_all(&record)),
            Job::Flush(done) => drop(done.try_send(())),
        }
        let left_out = LEFT_OUT.swap(0, Relaxed);
        if left_out > 0 {
            let _ = writeln!(io::stderr(), "{left_out} records are left out here: the reader of the log is too slow");
        }
    }
}

/// Makes one [`Record`] for each event.
struct Records;

impl MakeWriter<'_> for Records {
    type Writer = Record;

    fn make_writer(&self) -> Record {
        Record(Vec::with_capacity(256))
    }
}

/// One record, sent to the thread when it is complete.
struct Record(Vec<u8>);

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
        if RECORDS.get().is_none_or(|records| records.try_send(record).is_err()) {
            LEFT_OUT.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_misspelled_is_not_taken_for_a_module() {
        for good in ["debug", "INFO", "rosey=trace", "warn,rosey=debug", "off"] {
            assert!(filter(good).is_some(), "{good}");
        }
        for bad in ["", "debgu", "rosey", "rosey=loud", "rosey=debug,", "=="] {
            assert!(filter(bad).is_none(), "{bad}");
        }
    }
}
