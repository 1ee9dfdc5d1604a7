//! The audit as a file of JSON lines, for operators who ship it to another machine. Rosey only appends to it, and it
//! has every record from the first on.

use super::{
    chain::{self, Head, Verified},
    record::AuditRecord,
};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The first line of a file that goes on where another ended, which was renamed: the last record before.
#[derive(Debug, Serialize, Deserialize)]
struct Continues {
    continues_after: i64,
    hash: String,
}

/// The end of the chain behind a line, if it is one of ours.
fn head_behind(line: &[u8]) -> Option<Head> {
    let record = serde_json::from_slice::<AuditRecord>(line).map(|record| Head { count: record.id, hash: record.hash });
    let continues =
        || serde_json::from_slice(line).map(|Continues { continues_after: count, hash }| Head { count, hash });
    record.or_else(|_| continues()).ok().filter(Head::is_plausible)
}

/// The file, and its end.
#[derive(Debug)]
pub(super) struct AuditFile {
    file: File,
    /// The last record of the file.
    end: Head,
    /// Bytes of whole lines; `None` for a file without a length, such as a pipe.
    whole: Option<u64>,
    /// Whether the rest of a line that was not written whole is still there.
    torn: bool,
}

impl AuditFile {
    /// Opens or creates the file. It cuts off an unfinished last line, as a power cut leaves one. A file that is no
    /// regular file gets only records after `head`.
    pub(super) fn open(path: &Path, head: &Head) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        if !file.metadata()?.is_file() {
            return Ok(Self { file, end: head.clone(), whole: None, torn: false });
        }
        let (mut end, mut whole) = (Head::default(), 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            whole += line.len() as u64;
            // `verify` finds lines that are no records. Here only the end of the file matters.
            end = head_behind(&line).unwrap_or(end);
            line.clear();
        }
        let mut opened = Self { file, end, whole: Some(whole), torn: !line.is_empty() };
        opened.mend()?;
        Ok(opened)
    }

    /// As [`AuditFile::open`]; but a file without records gets only those after `head`.
    pub(super) fn open_behind(path: &Path, head: &Head) -> io::Result<Self> {
        let mut opened = Self::open(path, head)?;
        if opened.whole == Some(0) && head.count > 0 {
            let first = Continues { continues_after: head.count, hash: head.hash.clone() };
            let mut line = serde_json::to_vec(&first)?;
            line.push(b'\n');
            opened.add(&line, |mut file, line| file.write_all(line))?;
            opened.end = head.clone();
        }
        Ok(opened)
    }

    /// The last record of the file.
    pub(super) fn end(&self) -> &Head {
        &self.end
    }

    /// Writes the records that the database has and the file lacks.
    pub(super) fn catch_up(&mut self, connection: &Connection) -> io::Result<()> {
        for record in chain::since(connection, self.end.count).map_err(io::Error::other)? {
            self.add(&record.line(), |mut file, line| file.write_all(line))?;
            self.end = Head { count: record.id, hash: record.hash };
        }
        if self.whole.is_some() { self.file.sync_data() } else { Ok(()) }
    }

    /// Appends a line as a whole, or nothing: on a full disk half a line may have been written.
    fn add(&mut self, line: &[u8], write: impl FnOnce(&File, &[u8]) -> io::Result<()>) -> io::Result<()> {
        self.mend()?;
        self.torn = true;
        if let Err(error) = write(&self.file, line) {
            // If this fails too, `add` tries again before the next line.
            let _ = self.mend();
            return Err(error);
        }
        self.torn = false;
        self.whole = self.whole.map(|whole| whole + line.len() as u64);
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        if let (true, Some(whole)) = (self.torn, self.whole) {
            self.file.set_len(whole)?;
        }
        self.torn = false;
        Ok(())
    }
}

/// Compares the file with the database, byte for byte. The file begins with the first record and may lack the last
/// ones.
///
/// # Errors
/// When the file or the database cannot be read.
pub fn verify(path: &Path, connection: &Connection, found: &mut Verified) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Numbered {
        id: i64,
    }
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        found.notes.push(format!("{} is no regular file, and was not looked at", path.display()));
        return Ok(());
    }
    let (mut reader, mut line, mut last, mut number) = (BufReader::new(file), Vec::new(), 0i64, 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        number += 1;
        let at = format!("{}, line {number}", path.display());
        if let (1, Ok(Continues { continues_after, hash })) = (number, serde_json::from_slice(&line)) {
            let before = chain::one(connection, continues_after).ok().flatten();
            if before.is_some_and(|before| before.hash == hash) {
                found.notes.push(format!(
                    "{} goes on behind record {continues_after}, in a file that was renamed",
                    path.display()
                ));
            } else {
                found.problem(format!("{at}: record {continues_after}, which the file goes on behind, is another one"));
            }
            last = continues_after;
            line.clear();
            continue;
        }
        let id = serde_json::from_slice(&line).ok().map(|Numbered { id }| id);
        let written =
            chain::one(connection, id.unwrap_or(last.saturating_add(1))).ok().flatten().map(|record| record.line());
        if !line.ends_with(b"\n") && written.as_ref().is_some_and(|written| written.starts_with(&line)) {
            // An unfinished line, which the next start cuts off.
            break;
        }
        match (id, written) {
            (None, _) => found.problem(format!("{at}: not a record")),
            (Some(id), _) if last == 0 && id != 1 => {
                found.problem(format!("{at}: the file begins with record {id}; what came before was cut off"));
            }
            (Some(id), Some(written)) if id == last.saturating_add(1) && written == line => {}
            (Some(id), _) => found.problem(format!("{at}: record {id} is not as it was written")),
        }
        last = id.unwrap_or(last);
        line.clear();
    }
    let behind = found.count.saturating_sub(last);
    if behind > 0 {
        let text =
            format!("{} is behind rosey.db by {behind}: Rosey writes them at its next record or start", path.display());
        found.notes.push(text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_line_that_did_not_fit_nothing_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("audit.jsonl");
        let mut file = AuditFile::open(&path, &Head::default()).expect("ours");
        file.add(b"{one}\n", |mut file, line| file.write_all(line)).expect("there is room");
        let full = |mut file: &File, line: &[u8]| {
            file.write_all(&line[..3])?;
            Err(io::ErrorKind::StorageFull.into())
        };
        assert_eq!(file.add(b"{two}\n", full).expect_err("full").kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read_to_string(&path).expect("ours"), "{one}\n");
        file.add(b"{three}\n", |mut file, line| file.write_all(line)).expect("there is room again");
        assert_eq!(std::fs::read_to_string(&path).expect("ours"), "{one}\n{three}\n");
    }
}
