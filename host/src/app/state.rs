//! The state directory: its owner, the life phase of the host that uses it, and the path of its sockets.
//!
//! Rosey deletes files and changes modes only in a directory that has its mark ([`MARKER`]).

use super::AppError;
use crate::backup::UNFINISHED;
use rustix::fs::OFlags;
use std::{
    cell::RefCell,
    convert::Infallible,
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// The longest path of the run directory: that of a Unix socket, minus the longest file name in it.
pub(super) const LONGEST_RUN_DIR: usize = 107 - "/18446744073709551615.sock".len();

/// The file in the state directory that a host locks while it lives, and that contains its life phase.
pub const LOCK: &str = "lock";

/// The file that marks a directory as Rosey's.
pub const MARKER: &str = "rosey-state";

const MARKER_TEXT: &str = "Rosey keeps its state in this directory. It empties run/ at each start, and removes builds from \
                           artifacts/ that no plugin needs any more. Keep nothing of your own here.\n";

/// A file system creates this in each of its roots, so an empty volume has it too.
const OF_THE_FILE_SYSTEM: &str = "lost+found";

/// The life phase of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Plugins start.
    Starting,
    /// The host serves.
    Running,
    /// Plugins stop.
    Stopping,
}

impl Life {
    /// The name of the phase.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}

/// What the lock file says about the host that uses a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The life phase.
    pub life: Life,
    /// The process id.
    pub pid: String,
    /// The directory of its sockets. Another program cannot compute it, because it may depend on the host's
    /// environment.
    pub run_dir: PathBuf,
}

impl Host {
    /// Reads what the last host wrote into the lock file of a state directory. That host may have been killed since:
    /// see [`Host::lives`].
    ///
    /// # Errors
    /// When the file cannot be read: [`io::ErrorKind::PermissionDenied`] for that of another user, and
    /// [`io::ErrorKind::NotFound`] also when no host uses the directory.
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

    /// Whether a host uses the state directory now.
    pub fn lives(directory: &Path) -> bool {
        // If this takes a lock, it releases it at once.
        let is_locked =
            |path| File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
        is_locked(directory.join(LOCK)) || is_locked(directory.to_owned())
    }

    /// Whether the process with this id is the host of the state directory. The kernel says who holds the lock of the
    /// directory; where it does not, what the lock file says must do.
    pub fn is_process(&self, pid: u32, directory: &Path) -> bool {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let inode = fs::metadata(directory).map(|meta| meta.ino()).unwrap_or_default();
        let mut holders = holders(&locks, inode).peekable();
        if holders.peek().is_some() { holders.any(|holder| holder == pid) } else { self.pid == pid.to_string() }
    }
}

/// The processes that hold a lock of the file with this inode, by what `/proc/locks` says.
fn holders(locks: &str, inode: u64) -> impl Iterator<Item = u32> {
    locks.lines().filter_map(move |line| {
        let mut words = line.split_whitespace().skip(1);
        let is_whole = words.next() == Some("FLOCK") && words.nth(1) == Some("WRITE");
        let pid = words.next()?.parse().ok().filter(|pid| is_whole && *pid > 0)?;
        let file = words.next()?.rsplit(':').next()?.parse() == Ok(inode);
        file.then_some(pid)
    })
}

/// The state directory, locked for as long as this lives.
pub(super) struct State {
    path: PathBuf,
    pub run_dir: PathBuf,
    /// The lock file and the phase in it.
    lock: RefCell<(File, Life)>,
    /// Locked as well, because another program may remove the lock file.
    _directory: File,
}

/// Interval at which a host looks whether its lock file and its run directory are still there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl State {
    /// Creates the directory, or checks that it is Rosey's, and locks it.
    pub fn open(path: &Path) -> Result<Self, AppError> {
        let path = claim(path)?;
        let problem = |source| AppError::State { path: path.clone(), source };
        let lock = lock_file(&path).map_err(problem)?;
        take(&lock).map_err(|error| match error {
            TryLockError::WouldBlock => AppError::Taken(path.clone()),
            TryLockError::Error(error) => problem(error),
        })?;
        let directory = File::open(&path).map_err(problem)?;
        // Some network file systems lock no directories.
        if let Err(TryLockError::WouldBlock) = take(&directory) {
            return Err(AppError::Taken(path));
        }
        let run_dir = run_dir(&path);
        private_dir(&run_dir).and_then(|()| empty(&run_dir)).map_err(problem)?;
        let lock = RefCell::new((lock, Life::Starting));
        let state = Self { path, run_dir, lock, _directory: directory };
        state.say(Life::Starting);
        Ok(state)
    }

    /// Writes the life phase, the process id and the run directory into the lock file.
    pub fn say(&self, life: Life) {
        let host = Host { life, pid: std::process::id().to_string(), run_dir: self.run_dir.clone() };
        let line = host.line();
        let mut lock = self.lock.borrow_mut();
        lock.1 = life;
        // Shortened after the write, so that no reader finds it empty.
        let written = lock.0.write_all_at(&line, 0).and_then(|()| lock.0.set_len(line.len() as u64));
        if let Err(error) = written {
            tracing::warn!(
                "{} cannot be written, so rosey admin will not find this bot: {error}",
                self.path.join(LOCK).display()
            );
        }
    }

    /// Makes the lock file and the run directory again whenever another program has removed them, for ever.
    pub async fn keep_whole(&self) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.make_whole() {
                tracing::warn!("{} is not whole, and cannot be mended: {error}", self.path.display());
            }
        }
    }

    fn make_whole(&self) -> io::Result<()> {
        private_dir(&self.run_dir)?;
        let (path, life) = (self.path.join(LOCK), self.lock.borrow().1);
        let mine = self.lock.borrow().0.metadata()?.ino();
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.ino() == mine) {
            return Ok(());
        }
        tracing::warn!("{} was removed or replaced; it is made again", path.display());
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        let lock = lock_file(&self.path)?;
        take(&lock)?;
        self.lock.borrow_mut().0 = lock;
        self.say(life);
        Ok(())
    }

    /// The folder with the working directories of the plugins.
    pub fn data_dir(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The error for a problem with this directory.
    pub fn problem(&self, source: io::Error) -> AppError {
        AppError::State { path: self.path.clone(), source }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // The next start removes files that are left over.
        let _ = empty(&self.run_dir).and_then(|()| self.lock.borrow().0.set_len(0));
        if !self.run_dir.starts_with(&self.path) {
            let _ = fs::remove_dir(&self.run_dir);
        }
    }
}

/// Opens or creates the lock file.
fn lock_file(directory: &Path) -> io::Result<File> {
    // Not truncated, because it may describe the host that uses the directory. No pipe is waited for.
    let mut lock = OpenOptions::new();
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let lock =
        lock.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(directory.join(LOCK))?;
    if lock.metadata()?.is_file() { Ok(lock) } else { Err(io::Error::other("its file lock is no file; remove it")) }
}

/// Locks a file. A shell that asks whether a host lives holds the lock for a moment.
fn take(file: &File) -> Result<(), TryLockError> {
    for _ in 0..10 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            done => return done,
        }
    }
    file.try_lock()
}

/// The directory of the sockets: in the state directory, unless its path is too long for a socket. The path must be
/// canonical.
fn run_dir(state: &Path) -> PathBuf {
    let inside = state.join("run");
    if inside.as_os_str().len() <= LONGEST_RUN_DIR {
        return inside;
    }
    use std::hash::BuildHasher;
    std::env::temp_dir().join(format!("rosey-{:016x}", rustc_hash::FxBuildHasher.hash_one(state)))
}

/// Creates the state directory and marks it, or checks that it is Rosey's. Does not change the mode of an existing
/// directory. Returns its canonical path, because it may be a link.
fn claim(path: &Path) -> Result<PathBuf, AppError> {
    let problem = |source| AppError::State { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => problem(no_directory()),
        _ => problem(error),
    })?;
    let path = path.canonicalize().map_err(problem)?;
    let meta = fs::metadata(&path).map_err(problem)?;
    if meta.mode() & 0o002 != 0 {
        tracing::warn!("every user may write to {0}; to prevent that: chmod o-w {0}", path.display());
    }
    match kind_of(&path)? {
        DirectoryKind::Marked => return Ok(path),
        DirectoryKind::Earlier => {
            tracing::info!("{} is a state directory of an earlier Rosey; it has a mark now", path.display());
        }
        DirectoryKind::Empty => {}
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

/// A directory that may hold Rosey's state.
enum DirectoryKind {
    Marked,
    /// The state directory of an earlier Rosey, which did not mark it.
    Earlier,
    Empty,
}

fn is_mine(meta: &Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw()
}

/// The problem of a state directory that belongs to another user: what this user writes there, that one cannot read.
pub fn of_another_user(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok().filter(|meta| !is_mine(meta))?;
    Some(format!("{} belongs to the user with the number {}; run this as that user", path.display(), meta.uid()))
}

/// Whether a directory may hold Rosey's state. Changes nothing.
fn kind_of(path: &Path) -> Result<DirectoryKind, AppError> {
    let problem = |source| AppError::State { path: path.to_owned(), source };
    let meta = fs::metadata(path).ok().filter(Metadata::is_dir).ok_or_else(|| problem(no_directory()))?;
    if !is_mine(&meta) {
        return Err(problem(io::Error::other(
            "it belongs to another user; run Rosey as that user, or set another state_dir",
        )));
    }
    if path.join(UNFINISHED).exists() {
        return Err(AppError::HalfRestored(path.to_owned()));
    }
    if path.join(MARKER).symlink_metadata().is_ok_and(|meta| meta.is_file()) {
        return Ok(DirectoryKind::Marked);
    }
    match first_entry(path).map_err(problem)? {
        None => Ok(DirectoryKind::Empty),
        Some(_) if is_of_a_rosey_before(path) => Ok(DirectoryKind::Earlier),
        Some(name) => Err(AppError::NotOurs { path: path.to_owned(), name: name.to_string_lossy().into_owned() }),
    }
}

/// Why an existing directory cannot be the state directory. Changes nothing.
pub(super) fn refusal(path: &Path) -> Option<AppError> {
    if path.symlink_metadata().is_err() {
        return None;
    }
    kind_of(path).err()
}

fn first_entry(directory: &Path) -> io::Result<Option<OsString>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| name != OF_THE_FILE_SYSTEM).min())
}

/// Whether this is the unmarked state directory of an earlier Rosey: it has a database or artifacts.
fn is_of_a_rosey_before(directory: &Path) -> bool {
    let is_artifact = |name: &OsStr| {
        let hash = name.to_str().and_then(|name| name.strip_suffix(".so"));
        hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let is_file = |path: PathBuf| path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    let mut artifacts = fs::read_dir(directory.join("artifacts")).into_iter().flatten().flatten();
    is_file(directory.join(super::DATABASE)) || artifacts.any(|entry| is_artifact(&entry.file_name()))
}

/// Creates a directory that only this user can read, or checks that it is one.
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

/// Removes everything that an earlier host left in its run directory. Follows no links. Logs what it cannot remove, and
/// goes on.
fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{} of an earlier host cannot be removed; remove it yourself: {error}", path.display());
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
    fn the_kernel_names_who_holds_a_lock() {
        let locks = "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF\n2: POSIX  ADVISORY  WRITE 12 fe:00:131 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 fe:00:131 0 EOF\n3: FLOCK  ADVISORY  READ 14 fe:00:131 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 fe:00:131 0 EOF\nnonsense\n";
        assert_eq!(holders(locks, 131).collect::<Vec<_>>(), [4711]);
        let directory = tempfile::tempdir().expect("a directory");
        let host = Host { life: Life::Running, pid: "1".into(), run_dir: directory.path().into() };
        assert!(host.is_process(1, directory.path()), "no one holds it, so what the file says must do");
        let file = File::open(directory.path()).expect("ours");
        file.lock().expect("no process has it");
        assert!(host.is_process(std::process::id(), directory.path()) && !host.is_process(1, directory.path()));
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
