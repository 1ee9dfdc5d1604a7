//! The state directory: whose it is, where in its life the host is that has it, and where sockets lie.
//!
//! Rosey deletes files and changes modes only in a directory that is marked as its own ([`MARKER`]).

use super::AppError;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

/// The longest path of a Unix socket, less the longest name that is made in the run directory.
pub(super) const LONGEST_RUN_DIR: usize = 107 - "/18446744073709551615.sock".len();

/// The file in the state directory that a host locks while it lives, and in which it says where in its life it is.
pub const LOCK: &str = "lock";

/// The file that marks a directory as Rosey's.
pub const MARKER: &str = "rosey-state";

const MARKER_TEXT: &str = "Rosey keeps its state in this directory. It empties run/ at each start, and removes builds from \
                           artifacts/ that no plugin needs any more. Keep nothing of your own here.\n";

/// What a file system puts into each of its roots, and an empty volume thus holds.
const OF_THE_FILE_SYSTEM: &str = "lost+found";

/// Where in its life a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Plugins are coming up.
    Starting,
    /// It serves.
    Running,
    /// Plugins are going down.
    Stopping,
}

impl Life {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// What the host that has a state directory says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Where in its life it is.
    pub life: Life,
    /// Its process.
    pub pid: String,
    /// Where its sockets lie. Another program cannot work that out: it may depend on the host's environment.
    pub run_dir: PathBuf,
}

impl Host {
    /// What the last host wrote into a state directory and has not taken back. It may have been killed since: see
    /// [`Host::lives`].
    ///
    /// # Errors
    /// When the file cannot be read: [`io::ErrorKind::PermissionDenied`] for another user's, and
    /// [`io::ErrorKind::NotFound`] also when no host has the directory.
    pub fn of(directory: &Path) -> io::Result<Self> {
        Self::parse(&fs::read(directory.join(LOCK))?).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let line = text.split(|byte| *byte == b'\n').next()?;
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (word, pid, run_dir) = (parts.next()?, parts.next()?, parts.next()?);
        let life =
            [Life::Starting, Life::Running, Life::Stopping].into_iter().find(|life| life.word().as_bytes() == word)?;
        let pid = str::from_utf8(pid).ok()?.to_owned();
        Some(Self { life, pid, run_dir: OsString::from_vec(run_dir.to_owned()).into() })
    }

    fn line(&self) -> Vec<u8> {
        let head = format!("{} {} ", self.life.word(), self.pid);
        [head.as_bytes(), self.run_dir.as_os_str().as_bytes(), b"\n"].concat()
    }

    /// Whether a host has the state directory now.
    pub fn lives(directory: &Path) -> bool {
        // A lock that is taken here is let go of at once.
        File::open(directory.join(LOCK))
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// The state directory, locked for as long as this lives.
pub(super) struct State {
    path: PathBuf,
    pub run_dir: PathBuf,
    lock: File,
}

impl State {
    /// Makes the directory, or checks that it is Rosey's, and locks it.
    pub fn open(path: &Path) -> Result<Self, AppError> {
        let path = claim(path)?;
        let problem = |source| AppError::State { path: path.clone(), source };
        // Not emptied: it may say something of the host that has it.
        let mut lock = OpenOptions::new();
        let lock = lock.write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK)).map_err(problem)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => AppError::Taken(path.clone()),
            TryLockError::Error(error) => problem(error),
        })?;
        let run_dir = run_dir(&path);
        private_dir(&run_dir).and_then(|()| empty(&run_dir)).map_err(problem)?;
        let state = Self { path, run_dir, lock };
        state.say(Life::Starting);
        Ok(state)
    }

    /// Says where the host is in its life, who it is, and where it listens.
    pub fn say(&self, life: Life) {
        let host = Host { life, pid: std::process::id().to_string(), run_dir: self.run_dir.clone() };
        let line = host.line();
        // Shortened after it is written, so that no reader finds it empty.
        let written = self.lock.write_all_at(&line, 0).and_then(|()| self.lock.set_len(line.len() as u64));
        if let Err(error) = written {
            tracing::warn!(
                "{} cannot be written, so rosey admin will not find this bot: {error}",
                self.path.join(LOCK).display()
            );
        }
    }

    /// Where each plugin has its working directory.
    pub fn data_dir(&self) -> PathBuf {
        self.path.join("data")
    }

    /// What is wrong with it.
    pub fn problem(&self, source: io::Error) -> AppError {
        AppError::State { path: self.path.clone(), source }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // What is left over is removed at the next start.
        let _ = empty(&self.run_dir).and_then(|()| self.lock.set_len(0));
        if !self.run_dir.starts_with(&self.path) {
            let _ = fs::remove_dir(&self.run_dir);
        }
    }
}

/// Where sockets lie: in the state directory, unless its path is too long for a socket. The path must be canonical.
fn run_dir(state: &Path) -> PathBuf {
    let inside = state.join("run");
    if inside.as_os_str().len() <= LONGEST_RUN_DIR {
        return inside;
    }
    use std::hash::BuildHasher;
    std::env::temp_dir().join(format!("rosey-{:016x}", rustc_hash::FxBuildHasher.hash_one(state)))
}

/// Makes the state directory and marks it, or checks that it is Rosey's. The mode of one that was there stays. Returns its
/// canonical path: a link may lead to it.
fn claim(path: &Path) -> Result<PathBuf, AppError> {
    let problem = |source| AppError::State { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => problem(no_directory()),
        _ => problem(error),
    })?;
    let path = path.canonicalize().map_err(problem)?;
    let meta = fs::metadata(&path).map_err(problem)?;
    if meta.mode() & 0o002 != 0 {
        tracing::warn!("every user may write to {0}; take that away with: chmod o-w {0}", path.display());
    }
    match standing(&path)? {
        Standing::Marked => return Ok(path),
        Standing::Earlier => {
            tracing::info!("{} is a state directory of an earlier Rosey, and is marked as one now", path.display());
        }
        Standing::Empty => {}
    }
    let marker = path.join(MARKER);
    let mut marker_file = OpenOptions::new();
    let written = marker_file.write(true).create(true).truncate(true).mode(0o600).open(&marker);
    written.and_then(|mut file| file.write_all(MARKER_TEXT.as_bytes())).map_err(problem)?;
    Ok(path)
}

fn no_directory() -> io::Error {
    io::Error::other("it is a file, or a link that leads nowhere")
}

/// What a directory is that may hold Rosey's state.
enum Standing {
    Marked,
    /// Of a Rosey that did not mark its own.
    Earlier,
    Empty,
}

/// Whether a directory may hold Rosey's state. Changes nothing.
fn standing(path: &Path) -> Result<Standing, AppError> {
    let problem = |source| AppError::State { path: path.to_owned(), source };
    let meta = fs::metadata(path).ok().filter(Metadata::is_dir).ok_or_else(|| problem(no_directory()))?;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(problem(io::Error::other(
            "it belongs to another user; run Rosey as that user, or set another state_dir",
        )));
    }
    if path.join(MARKER).symlink_metadata().is_ok_and(|meta| meta.is_file()) {
        return Ok(Standing::Marked);
    }
    match first_entry(path).map_err(problem)? {
        None => Ok(Standing::Empty),
        Some(_) if is_of_a_rosey_before(path) => Ok(Standing::Earlier),
        Some(name) => Err(AppError::NotOurs { path: path.to_owned(), name: name.to_string_lossy().into_owned() }),
    }
}

/// Why a directory cannot be the state directory, if it is there already. Changes nothing.
pub(super) fn refusal(path: &Path) -> Option<AppError> {
    if path.symlink_metadata().is_err() {
        return None;
    }
    standing(path).err()
}

fn first_entry(directory: &Path) -> io::Result<Option<OsString>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| name != OF_THE_FILE_SYSTEM).min())
}

/// Whether this is a state directory of a Rosey that did not mark its own: it has a database, or artifacts.
fn is_of_a_rosey_before(directory: &Path) -> bool {
    let is_artifact = |name: &OsStr| {
        let hash = name.to_str().and_then(|name| name.strip_suffix(".so"));
        hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let is_file = |path: PathBuf| path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    let mut artifacts = fs::read_dir(directory.join("artifacts")).into_iter().flatten().flatten();
    is_file(directory.join(super::DATABASE)) || artifacts.any(|entry| is_artifact(&entry.file_name()))
}

/// Makes a directory that only this user may look into, or checks that it is one.
fn private_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        let text = format!("{} is not a directory of this user; remove it", path.display());
        return Err(io::Error::other(text));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

/// Removes all that a host before this one left in its run directory. Follows no links. What cannot be removed is named,
/// and keeps nothing from starting.
fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{} is left over and cannot be removed; remove it by hand: {error}", path.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_of_itself_is_read_back_and_nothing_else_is() {
        let host = Host { life: Life::Running, pid: "42".into(), run_dir: "/a dir/with blanks/run".into() };
        assert_eq!(Host::parse(&host.line()), Some(host.clone()));
        let behind_it = [host.line(), b"of a longer line before\n".to_vec()].concat();
        assert_eq!(Host::parse(&behind_it), Some(host));
        for nonsense in ["", "\n", "running\n", "running 42\n", "dancing 42 /run\n"] {
            assert_eq!(Host::parse(nonsense.as_bytes()), None, "{nonsense}");
        }
    }

    #[test]
    fn what_is_left_over_goes_and_what_a_link_leads_to_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let (run, elsewhere) = (directory.path().join("run"), directory.path().join("elsewhere"));
        fs::create_dir_all(run.join("cache/deep")).expect("ours");
        fs::create_dir(&elsewhere).expect("ours");
        for file in [run.join("1.page"), run.join("cache/deep/file"), elsewhere.join("kept")] {
            fs::write(file, "").expect("ours");
        }
        std::os::unix::fs::symlink(&elsewhere, run.join("link")).expect("ours");
        std::os::unix::fs::symlink(&elsewhere, run.join("cache/link")).expect("ours");
        empty(&run).expect("readable");
        assert_eq!(fs::read_dir(&run).expect("it stays").count(), 0);
        assert!(elsewhere.join("kept").exists());
    }
}
