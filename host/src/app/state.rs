//! The state directory: whose it is, where in its life the host is that has it, and where sockets lie.

use super::AppError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// The longest path of a Unix socket, less the longest name that is made in the run directory.
const LONGEST_RUN_DIR: usize = 107 - "/18446744073709551615.sock".len();

/// The file in the state directory that a host locks while it lives, and says in where in its life it is.
pub const LOCK: &str = "lock";

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

/// The state directory, locked for as long as this lives.
pub(super) struct State {
    path: PathBuf,
    pub run_dir: PathBuf,
    lock: File,
}

impl State {
    /// Makes the directory private and locks it.
    pub fn open(path: &Path) -> Result<Self, AppError> {
        let problem = |source| AppError::State { path: path.to_owned(), source };
        private_dir(path).map_err(problem)?;
        let path = path.canonicalize().map_err(problem)?;
        // Not emptied: it may say something of the host that has it.
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).open(path.join(LOCK)).map_err(problem)?;
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

    /// Says where the host is in its life, and who it is: for a shell that finds nobody on the socket.
    pub fn say(&self, life: Life) {
        let text = format!("{} {}\n", life.word(), std::process::id());
        if let Err(error) = self.lock.set_len(0).and_then(|()| self.lock.write_all_at(text.as_bytes(), 0)) {
            tracing::debug!("{LOCK}: {error}");
        }
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
    }
}

/// Where sockets lie: in the state directory, unless its path is too long for a socket. The path must be canonical.
pub fn run_dir(state: &Path) -> PathBuf {
    let inside = state.join("run");
    if inside.as_os_str().len() <= LONGEST_RUN_DIR {
        return inside;
    }
    use std::hash::BuildHasher;
    std::env::temp_dir().join(format!("rosey-{:016x}", rustc_hash::FxBuildHasher.hash_one(state)))
}

/// Makes a directory that only this user may look into, or checks that it is one.
fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{} belongs to somebody else", path.display())));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

/// Removes the files of a host before this one.
fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
