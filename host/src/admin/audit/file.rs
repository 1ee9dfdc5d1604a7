//! The audit as a file of JSON lines: only ever added to, for those who ship it elsewhere.

use super::{
    chain::{self, Verified},
    record::AuditRecord,
};
use rusqlite::Connection;
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The file, and the number of the last record in it.
#[derive(Debug)]
pub(super) struct AuditFile {
    file: File,
    last: i64,
}

impl AuditFile {
    /// Opens or makes it. A last line that was never finished, as after a power cut, is cut off.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let (mut last, mut whole) = (0, 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            whole += line.len() as u64;
            // What is no record is found by verify; here it only matters where to go on.
            last = serde_json::from_slice(&line).map_or(last, |record: AuditRecord| record.id);
            line.clear();
        }
        if !line.is_empty() {
            file.set_len(whole)?;
        }
        Ok(Self { file, last })
    }

    /// Writes the records that the database has and the file has not.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> io::Result<()> {
        for record in chain::since(connection, self.last).map_err(io::Error::other)? {
            let mut line = serde_json::to_vec(&record)?;
            line.push(b'\n');
            self.file.write_all(&line)?;
            self.last = record.id;
        }
        self.file.sync_data()
    }
}

/// Holds the file against the database. It may begin later, and must not end earlier.
///
/// # Errors
/// When it cannot be read.
pub fn verify(path: &Path, found: &mut Verified) -> io::Result<()> {
    let mut last: Option<AuditRecord> = None;
    for (at, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        let number = at + 1;
        let Ok(record) = serde_json::from_str::<AuditRecord>(&line?) else {
            found.problem(format!("{}, line {number}: not a record", path.display()));
            continue;
        };
        let in_database = usize::try_from(record.id - 1).ok().and_then(|index| found.hashes.get(index));
        let follows = last.as_ref().is_none_or(|last| last.id + 1 == record.id && last.hash == record.previous);
        if record.digest() != record.hash || !follows || in_database != Some(&record.hash) {
            let text = format!("{}, line {number}: record {} is not as it was written", path.display(), record.id);
            found.problem(text);
        }
        last = Some(record);
    }
    if last.map(|record| record.hash).unwrap_or_default() != found.head {
        found.problem(format!("{}: its last record is not the last of rosey.db", path.display()));
    }
    Ok(())
}
