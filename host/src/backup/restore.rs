//! Restores a backup into an empty state directory.

use super::{ABOUT, About, BackupError, DATABASE, FORMAT, SUMS, about, artifact_hash, copy_hashing};
use crate::store::{Database, version};
use rusqlite::{Connection, OpenFlags};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// The folder in the state directory in which a restore works. While it is there, the directory is not whole.
pub const UNFINISHED: &str = "restore.part";

/// The largest [`SUMS`], in bytes: that of some 600,000 files.
const MOST_SUMS: u64 = 64 << 20;

/// The block of a tar file, in bytes. Each file begins at one, and two empty ones end the archive.
const BLOCK: u64 = 512;

/// What was restored.
#[derive(Debug, PartialEq, Eq)]
pub struct Restored {
    /// Number of files.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// The version of the Rosey that made the backup.
    pub rosey: String,
    /// The moment of the database.
    pub created: String,
}

/// Restores a whole backup into a state directory that is empty or does not exist, or changes nothing. If the machine stops
/// meanwhile, [`UNFINISHED`] stays in the directory, and no host uses it.
///
/// # Errors
/// When the archive is no whole backup or from a newer Rosey, the directory is not empty, or a file cannot be written.
pub fn restore(archive: &Path, state: &Path) -> Result<Restored, BackupError> {
    let file = File::open(archive).map_err(about(archive))?;
    let existed = state.exists();
    DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(about(state))?;
    let restored = restore_into(file, archive, state);
    if restored.is_err() && !existed {
        // Only if it is empty.
        let _ = fs::remove_dir(state);
    }
    restored
}

fn restore_into(file: File, archive: &Path, state: &Path) -> Result<Restored, BackupError> {
    for entry in fs::read_dir(state).map_err(about(state))? {
        let name = entry.map_err(about(state))?.file_name();
        if name != "lost+found" {
            return Err(BackupError::NotEmpty { path: state.to_owned(), name: name.to_string_lossy().into_owned() });
        }
    }
    let part = state.join(UNFINISHED);
    DirBuilder::new().mode(0o700).create(&part).map_err(about(&part))?;
    let mut reading =
        Reading { archive, part: &part, found: BTreeMap::new(), folders: vec![part.clone()], about: None };
    let restored = reading.read(file).and_then(|restored| reading.check_content().map(|()| restored));
    if restored.is_err() {
        fs::remove_dir_all(&part).map_err(about(&part))?;
        return restored;
    }
    for folder in reading.folders.iter().rev() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(about(folder))?;
    }
    for entry in fs::read_dir(&part).map_err(about(&part))? {
        let path = entry.map_err(about(&part))?.path();
        let target = state.join(path.file_name().unwrap_or_default());
        fs::rename(&path, &target).map_err(about(&target))?;
    }
    let sync = || File::open(state).and_then(|folder| folder.sync_all());
    sync().map_err(about(state))?;
    fs::remove_dir(&part).and_then(|()| sync()).map_err(about(&part))?;
    restored
}

/// An archive that is being read into a folder.
struct Reading<'a> {
    archive: &'a Path,
    part: &'a Path,
    /// The hashes of the files so far.
    found: BTreeMap<String, String>,
    /// The folders that were created.
    folders: Vec<PathBuf>,
    about: Option<About>,
}

impl Reading<'_> {
    fn not_whole(&self, why: impl Into<String>) -> BackupError {
        BackupError::NotWhole { path: self.archive.to_owned(), why: why.into() }
    }

    /// Reads the whole archive into the folder, and compares it with its sums.
    fn read(&mut self, file: File) -> Result<Restored, BackupError> {
        self.check_end(&file)?;
        let mut tar = tar::Archive::new(&file);
        let (mut bytes, mut sums) = (0, None);
        let entries = tar.entries().map_err(|error| self.not_whole(error.to_string()))?;
        for entry in entries {
            let mut entry = entry.map_err(|error| self.not_whole(error.to_string()))?;
            let path = self.path(&entry)?;
            if sums.is_some() {
                return Err(self.not_whole(format!("{path} follows after {SUMS}")));
            }
            let (position, size) = (entry.raw_file_position(), entry.size());
            if path == SUMS {
                let mut text = String::new();
                let read = entry.take(MOST_SUMS).read_to_string(&mut text);
                read.map_err(|error| self.not_whole(format!("{SUMS}: {error}")))?;
                sums = Some(text);
            } else if entry.header().entry_type().is_dir() {
                self.folder(&self.part.join(&path))?;
            } else {
                bytes += self.file(&path, &mut entry)?;
            }
            self.check_padding(&file, position + size)?;
        }
        self.compare(sums.ok_or_else(|| self.not_whole("its end is missing"))?)?;
        let about = self.about.take().ok_or_else(|| self.not_whole(format!("{ABOUT} is missing")))?;
        Ok(Restored { files: self.found.len(), bytes, rosey: about.rosey, created: about.created })
    }

    /// The path of an entry, which leads nowhere but into the folder.
    fn path(&self, entry: &tar::Entry<'_, &File>) -> Result<String, BackupError> {
        let path = entry.path().map_err(|error| self.not_whole(error.to_string()))?;
        let kind = entry.header().entry_type();
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        match path.to_str() {
            Some(text) if is_plain && !text.is_empty() && (kind.is_file() || kind.is_dir()) => {
                Ok(text.trim_end_matches('/').to_owned())
            }
            _ => Err(self.not_whole(format!("{} is not of a backup", path.display()))),
        }
    }

    fn folder(&mut self, path: &Path) -> Result<(), BackupError> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        DirBuilder::new().mode(0o700).create(path).map_err(about(path))?;
        self.folders.push(path.to_owned());
        Ok(())
    }

    fn file(&mut self, path: &str, entry: &mut tar::Entry<'_, &File>) -> Result<u64, BackupError> {
        if path == ABOUT {
            let mut text = String::new();
            entry.take(BLOCK * 8).read_to_string(&mut text).map_err(|error| self.not_whole(error.to_string()))?;
            let read: About =
                serde_json::from_str(&text).map_err(|error| self.not_whole(format!("{ABOUT}: {error}")))?;
            if read.format != FORMAT {
                let (path, rosey) = (self.archive.to_owned(), read.rosey);
                return Err(BackupError::Newer { path, rosey, format: read.format });
            }
            self.about = Some(read);
            let (hash, size) = copy_hashing(&mut text.as_bytes(), &mut io::sink()).map_err(about(self.archive))?;
            self.found.insert(path.to_owned(), hash);
            return Ok(size);
        }
        let target = self.part.join(path);
        if let Some(folder) = target.parent() {
            self.folder(folder)?;
        }
        let (mode, modified) = (entry.header().mode().unwrap_or(0o600) & 0o700, entry.header().mtime().unwrap_or(0));
        let created = OpenOptions::new().write(true).create_new(true).mode(mode | 0o400).open(&target);
        let mut output = created.map_err(about(&target))?;
        let wanted = entry.size();
        let (hash, size) = copy_hashing(entry, &mut output).map_err(about(&target))?;
        if size != wanted {
            return Err(self.not_whole(format!("{path} is cut off")));
        }
        if modified > 0 {
            output.set_modified(UNIX_EPOCH + Duration::from_secs(modified)).map_err(about(&target))?;
        }
        output.sync_all().map_err(about(&target))?;
        self.found.insert(path.to_owned(), hash);
        Ok(size)
    }

    /// Two empty blocks end an archive. A reader of tar does not miss them.
    fn check_end(&self, file: &File) -> Result<(), BackupError> {
        let size = file.metadata().map_err(about(self.archive))?.len();
        let mut end = [1; 2 * BLOCK as usize];
        let is_read = size >= 2 * BLOCK && file.read_exact_at(&mut end, size - 2 * BLOCK).is_ok();
        if is_read && size % BLOCK == 0 && end.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        Err(self.not_whole("its end is missing"))
    }

    /// A file is filled up with zeros to the end of its block.
    fn check_padding(&self, file: &File, end: u64) -> Result<(), BackupError> {
        let mut padding = vec![1; (end.next_multiple_of(BLOCK) - end) as usize];
        file.read_exact_at(&mut padding, end).map_err(|_| self.not_whole("its end is missing"))?;
        if padding.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(self.not_whole("it was altered between two files"))
        }
    }

    fn compare(&self, sums: String) -> Result<(), BackupError> {
        let listed: BTreeMap<&str, &str> =
            sums.lines().filter_map(|line| line.split_once("  ")).map(|(h, p)| (p, h)).collect();
        for (path, hash) in &self.found {
            match listed.get(path.as_str()) {
                None => return Err(self.not_whole(format!("{path} is not in {SUMS}"))),
                Some(listed) if listed != hash => return Err(self.not_whole(format!("{path} was altered"))),
                Some(_) if artifact_hash(path).is_some_and(|name| name != hash) => {
                    return Err(self.not_whole(format!("{path} has the content of another artifact")));
                }
                Some(_) => {}
            }
        }
        match listed.keys().find(|path| !self.found.contains_key(**path)) {
            Some(path) => Err(self.not_whole(format!("{path} is missing"))),
            None => Ok(()),
        }
    }

    /// Whether this Rosey can use the database.
    fn check_content(&self) -> Result<(), BackupError> {
        let path = self.part.join(DATABASE);
        if !path.is_file() {
            return Err(self.not_whole(format!("{DATABASE} is missing")));
        }
        let opened = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let connection = opened.map_err(|error| self.not_whole(format!("{DATABASE}: {error}")))?;
        version::of(&connection, &path)?;
        drop(connection);
        Database::check(&path)?;
        Ok(())
    }
}
