//! Writes a backup, while a host may run.

use super::{ABOUT, About, BackupError, DATABASE, FORMAT, SUMS, about, artifact_hash, copy_hashing, hex};
use crate::{
    store::{StoreError, version},
    time::rfc3339,
};
use rusqlite::{Connection, OpenFlags};
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::{self, File, Metadata},
    io::{self, BufWriter, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tempfile::NamedTempFile;

/// How often a file of a plugin is copied again that changes meanwhile.
const COPIES: usize = 3;

/// Folders and files of a state directory that belong to the host that runs, or that a restore makes itself.
const NOT_KEPT: [&str; 4] = ["run", "lock", super::UNFINISHED, "lost+found"];

/// What a backup has.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Number of files.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that are not in it, or not of one moment, each with the reason.
    pub notes: Vec<String>,
}

/// Writes a backup of a state directory into a file, which only this user may read. The file is whole, or the one before
/// it stays.
///
/// # Errors
/// When a file cannot be read or written, or the database is damaged.
pub fn write(state: &Path, file: &Path) -> Result<Written, BackupError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = |path: &Path| path.canonicalize().map_err(about(path));
    if real(folder)?.starts_with(real(state)?) {
        return Err(BackupError::Inside(file.to_owned()));
    }
    let part = NamedTempFile::new_in(folder).map_err(about(file))?;
    let workspace = tempfile::tempdir_in(folder).map_err(about(file))?;
    // The host may remove an artifact at any time after the copy of the database, but never a new one: it waits a minute.
    let mut artifacts = open_artifacts(state)?;
    let database = workspace.path().join(DATABASE);
    copy_database(state, &database)?;
    for (path, opened) in open_artifacts(state)? {
        artifacts.entry(path).or_insert(opened);
    }
    let output = BufWriter::new(part.as_file());
    let mut archive =
        Archive { tar: tar::Builder::new(output), file, sums: String::new(), written: Written::default() };
    let about_it =
        About { format: FORMAT, rosey: env!("CARGO_PKG_VERSION").into(), created: rfc3339(SystemTime::now()) };
    let text = serde_json::to_vec_pretty(&about_it).unwrap_or_default();
    archive.add(ABOUT, Kind::Private, &mut &text[..], text.len() as u64)?;
    let mut copy = File::open(&database).map_err(about(&database))?;
    let size = copy.metadata().map_err(about(&database))?.len();
    archive.add(DATABASE, Kind::Private, &mut copy, size)?;
    for (path, (mut opened, size)) in artifacts {
        archive.add_artifact(&path, &mut opened, size)?;
    }
    archive.add_others(state, workspace.path())?;
    let written = archive.finish()?;
    part.as_file().sync_all().map_err(about(file))?;
    part.persist(file).map_err(|error| about(file)(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(about(file))?;
    Ok(written)
}

fn copy_database(state: &Path, target: &Path) -> Result<(), BackupError> {
    let path = state.join(DATABASE);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(|error| StoreError::of(error, &path))?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(|error| StoreError::of(error, &path))?;
    version::of(&connection, &path)?;
    Ok(version::copy_into(&connection, &path, target)?)
}

/// The artifacts by their path in the archive, opened, so that one that is removed can still be read.
fn open_artifacts(state: &Path) -> Result<BTreeMap<String, (File, u64)>, BackupError> {
    let folder = state.join("artifacts");
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.map_err(about(&folder))?,
    };
    let mut opened = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(about(&folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".so")) else {
            continue;
        };
        match File::open(&path).and_then(|file| file.metadata().map(|meta| (file, meta.len()))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => drop(opened.insert(format!("artifacts/{name}"), found.map_err(about(&path))?)),
        }
    }
    Ok(opened)
}

/// How a file is restored.
#[derive(Clone, Copy)]
enum Kind {
    /// Only its user reads and writes it.
    Private,
    /// Its user reads it.
    ReadOnly,
    /// As the plugin has made it, for its user.
    Plugin {
        mode: u32,
        modified: i64,
    },
    Folder,
}

/// An archive that is being written.
struct Archive<'a> {
    tar: tar::Builder<BufWriter<&'a File>>,
    file: &'a Path,
    sums: String,
    written: Written,
}

impl Archive<'_> {
    fn append(&mut self, path: &str, kind: Kind, source: &mut impl io::Read, size: u64) -> Result<(), BackupError> {
        let mut header = tar::Header::new_gnu();
        let (mode, modified) = match kind {
            Kind::Private => (0o600, 0),
            Kind::ReadOnly => (0o400, 0),
            Kind::Plugin { mode, modified } => (mode & 0o700, modified),
            Kind::Folder => (0o700, 0),
        };
        header.set_mode(mode);
        header.set_mtime(u64::try_from(modified).unwrap_or(0));
        header.set_size(size);
        let is_folder = matches!(kind, Kind::Folder);
        header.set_entry_type(if is_folder { tar::EntryType::Directory } else { tar::EntryType::Regular });
        self.tar.append_data(&mut header, path, source).map_err(about(self.file))
    }

    /// Adds a file whose content does not change while it is read.
    fn add(&mut self, path: &str, kind: Kind, source: &mut impl io::Read, size: u64) -> Result<(), BackupError> {
        let mut hashing = Hashing { source, hash: sha2::Digest::new() };
        self.append(path, kind, &mut hashing, size)?;
        let hash: [u8; 32] = sha2::Digest::finalize(hashing.hash).into();
        let _ = writeln!(self.sums, "{}  {path}", hex(&hash));
        self.written.files += 1;
        self.written.bytes += size;
        Ok(())
    }

    fn add_artifact(&mut self, path: &str, opened: &mut File, size: u64) -> Result<(), BackupError> {
        let (hash, _) = copy_hashing(opened, &mut io::sink()).map_err(about(Path::new(path)))?;
        if artifact_hash(path) != Some(hash.as_str()) {
            self.written.notes.push(format!("{path} is corrupted, so it is left out"));
            return Ok(());
        }
        opened.rewind().map_err(about(Path::new(path)))?;
        self.add(path, Kind::ReadOnly, opened, size)
    }

    /// Adds everything else that lies in the state directory: the data folders of the plugins, and files that Rosey keeps.
    fn add_others(&mut self, state: &Path, workspace: &Path) -> Result<(), BackupError> {
        for (name, path, meta) in entries(state)? {
            if NOT_KEPT.contains(&name.as_str()) || name.starts_with(DATABASE) || name == "artifacts" {
                continue;
            }
            self.add_tree(name, &path, &meta, workspace)?;
        }
        Ok(())
    }

    fn add_tree(&mut self, name: String, path: &Path, meta: &Metadata, workspace: &Path) -> Result<(), BackupError> {
        if meta.is_dir() {
            self.append(&name, Kind::Folder, &mut io::empty(), 0)?;
            for (inner, path, meta) in entries(path)? {
                self.add_tree(format!("{name}/{inner}"), &path, &meta, workspace)?;
            }
            return Ok(());
        }
        if !meta.is_file() {
            self.written.notes.push(format!("{name} is no regular file, so it is left out"));
            return Ok(());
        }
        let copy = workspace.join("file");
        for attempt in 1..=COPIES {
            let (meta, is_still) = match copy_file(path, &copy) {
                // The plugin has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                copied => copied.map_err(about(path))?,
            };
            if is_still || attempt == COPIES {
                if !is_still {
                    self.written.notes.push(format!("{name} changed while it was copied"));
                }
                let mut copy = File::open(&copy).map_err(about(&copy))?;
                let size = copy.metadata().map_err(about(path))?.len();
                let kind = Kind::Plugin { mode: meta.mode(), modified: meta.mtime() };
                return self.add(&name, kind, &mut copy, size);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Written, BackupError> {
        let sums = std::mem::take(&mut self.sums);
        self.append(SUMS, Kind::Private, &mut sums.as_bytes(), sums.len() as u64)?;
        let output = self.tar.into_inner().map_err(about(self.file))?;
        output.into_inner().map_err(|error| about(self.file)(error.into_error()))?;
        Ok(self.written)
    }
}

/// The entries of a folder, by name. A name that is no text is shown as one, and its file is copied under that.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf, Metadata)>, BackupError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(about(folder))? {
        let path = entry.map_err(about(folder))?.path();
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            meta => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.push((name, path.clone(), meta.map_err(about(&path))?));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// Copies a file. Returns its metadata, and whether it stayed as it was meanwhile.
fn copy_file(path: &Path, copy: &Path) -> io::Result<(Metadata, bool)> {
    let mut source = File::open(path)?;
    let before = source.metadata()?;
    io::copy(&mut source, &mut File::create(copy)?)?;
    let after = source.metadata()?;
    let stamp = |meta: &Metadata| (meta.len(), meta.mtime(), meta.mtime_nsec());
    Ok((after.clone(), stamp(&before) == stamp(&after)))
}

/// Hashes what is read.
struct Hashing<'a, R> {
    source: &'a mut R,
    hash: sha2::Sha256,
}

impl<R: io::Read> io::Read for Hashing<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(bytes)?;
        sha2::Digest::update(&mut self.hash, &bytes[..read]);
        Ok(read)
    }
}
