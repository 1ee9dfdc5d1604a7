//! The host's log: standard error, one line a record. Chat goes to standard output and never here.
//!
//! A thread of its own writes, so that whoever does not read the log holds up nobody: what finds no room is counted, and
//! the count is logged when there is room again.

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

/// Records that wait to be written: a second of a host that has much to say, in a megabyte.
const WAITING: usize = 4096;

/// For the last records, at the end. A reader that stalls loses them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The environment variable that says what is logged.
const VARIABLE: &str = "ROSEY_LOG";

/// What can be logged, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

static RECORDS: OnceLock<SyncSender<Job>> = OnceLock::new();
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

enum Job {
    Write(Vec<u8>),
    /// Say so when all before this is written.
    Flush(SyncSender<()>),
}

/// Starts logging. `level` holds unless `ROSEY_LOG` says otherwise (`debug`, `rosey=trace`, …). Once in the life of a
/// process.
pub fn start(level: &str) {
    let (records, waiting) = sync_channel(WAITING);
    let writes = thread::Builder::new().name("rosey-log".to_owned()).spawn(move || write(&waiting));
    if writes.is_ok() {
        // The first one stays.
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
    // Fails only when somebody has started logging already, as tests do.
    let _ = format.try_init();
    if !is_understood {
        tracing::warn!(
            "{VARIABLE} is not understood, so {level} holds; write {VARIABLE}=debug, or {VARIABLE}=rosey=trace"
        );
    }
}

/// What is to be logged. The crate takes a word that is no level for the name of a module, and then logs nothing.
fn filter(wanted: &str) -> Option<EnvFilter> {
    let is_level = |word: &str| LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level));
    let fits = |part: &str| part.split_once('=').map_or(is_level(part), |(_, level)| is_level(level));
    let fits = wanted.split(',').all(fits);
    EnvFilter::try_new(wanted).ok().filter(|_| fits)
}

/// Waits until what was logged is written, for a second at most.
pub fn finish() {
    let (done, written) = sync_channel(1);
    let Some(records) = RECORDS.get() else { return };
    if records.try_send(Job::Flush(done)).is_ok() {
        // An error is a reader that stalls.
        let _ = written.recv_timeout(LAST_WORDS);
    }
}

fn write(waiting: &Receiver<Job>) {
    for job in waiting {
        // Of an error nobody could be told: this is where errors are told.
        match job {
            Job::Write(record) => drop(io::stderr().write_all(&record)),
            Job::Flush(done) => drop(done.try_send(())),
        }
        let left_out = LEFT_OUT.swap(0, Relaxed);
        if left_out > 0 {
            let _ = writeln!(io::stderr(), "{left_out} records left out here: nobody read the log fast enough");
        }
    }
}

/// Makes one [`Record`] for each.
struct Records;

impl MakeWriter<'_> for Records {
    type Writer = Record;

    fn make_writer(&self) -> Record {
        Record(Vec::with_capacity(256))
    }
}

/// One record, sent off when it is whole.
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
