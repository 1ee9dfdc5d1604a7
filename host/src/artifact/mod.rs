//! The artifact store: immutable copies of plugin libraries, named by their content.
//!
//! Rosey copies a library before it loads it, so `cargo build` may overwrite the original at any time. It never writes
//! to the copy again. Before each load it hashes the copy again, unless the inode shows that the file has not changed
//! since the last hash.

mod build;
pub mod elf;
mod error;

pub use build::{make, profile_options};
pub use error::{IntakeError, VerifyError};

use rosey_core::hash::Hash;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The largest library that the store accepts. Ten times a debug build of a large plugin.
const MAX_SIZE: u64 = 256 << 20;

/// How often the store tries again when a library changes while it is copied, or is not whole yet. All tries together
/// take a second, and a linker writes for less.
const TRIES: u32 = 5;

/// How old a file's last change must be for its hash to be trusted later. The kernel's file clock moves in steps of up
/// to 10 ms, so a write right after the hash could have the same time as the one before it.
const SETTLED: Duration = Duration::from_millis(50);

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// The symbol of a plugin library.
const SYMBOL: &[u8] = b"_1as_0lib_1header_0root_bmodule_bloader";

/// Whether a file looks like the library of a plugin: it has the symbol in a table of names. Reads the whole file, and
/// so blocks. False for a file that cannot be read.
pub fn is_plugin(path: &Path) -> bool {
    if !fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_SIZE) {
        return false;
    }
    let Ok(file) = File::open(path) else { return false };
    let (mut file, mut name) = (BufReader::new(file), Vec::new());
    loop {
        name.clear();
        match file.read_until(0, &mut name) {
            Ok(1..) if name.strip_suffix(&[0]) == Some(SYMBOL) => return true,
            Ok(1..) => {}
            Ok(0) | Err(_) => return false,
        }
    }
}

/// A copy of a library in the store. Rosey never writes to it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The SHA-256 of its bytes.
    pub hash: Hash,
    /// The path of the copy.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// The store: one directory.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    copies: AtomicU64,
    /// Artifacts that were found whole, with their inode at that time.
    verified: Mutex<HashMap<Hash, Stamp>>,
}

impl Store {
    /// Opens or creates the directory, and removes unfinished copies.
    ///
    /// # Errors
    /// When the directory cannot be created or read.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if is_part(&path) {
                remove(&path)?;
            }
        }
        Ok(Self { directory, copies: AtomicU64::new(0), verified: Mutex::default() })
    }

    /// Copies a library into the store, under its hash. Blocks for the time of the copy, and for up to a second more
    /// while another program writes the library.
    ///
    /// # Errors
    /// [`IntakeError`]; the store stays as it was.
    pub fn intake(&self, plugin: &str, library: &Path) -> Result<Artifact, IntakeError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match self.copy(plugin, library) {
                Err(IntakeError::Changing(_) | IntakeError::NotALibrary { .. })
                    if left > 0 && self.is_recent(library) =>
                {
                    thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
    }

    /// Whether a file changed within the last few seconds, so that it makes sense to wait for its writer.
    fn is_recent(&self, library: &Path) -> bool {
        let age = fs::metadata(library).and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        age.is_none_or(|age| age < Duration::from_secs(3))
    }

    fn copy(&self, plugin: &str, library: &Path) -> Result<Artifact, IntakeError> {
        let problem = |source| IntakeError::Io { path: library.to_owned(), source };
        let mut source = open(library).map_err(|error| match error.kind() {
            // Cargo leaves this beside the place where the library would be.
            io::ErrorKind::NotFound if library.with_extension("rlib").exists() => {
                IntakeError::NotCdylib { plugin: plugin.to_owned(), path: library.to_owned() }
            }
            io::ErrorKind::NotFound => IntakeError::Missing { plugin: plugin.to_owned(), path: library.to_owned() },
            _ => problem(error),
        })?;
        let meta = source.metadata().map_err(problem)?;
        if !meta.is_file() {
            return Err(IntakeError::NotAFile { plugin: plugin.to_owned(), path: library.to_owned() });
        }
        let before = Stamp::of(&meta);
        if before.size > MAX_SIZE {
            return Err(IntakeError::TooLarge { path: library.to_owned(), size: before.size });
        }
        let number = self.copies.fetch_add(1, Ordering::Relaxed);
        let part = Part(self.directory.join(format!("{}-{number}.part", std::process::id())));
        let mut target =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o444).open(&part.0).map_err(problem)?;
        let (hash, size) = copy_hashing(&mut source, &mut target).map_err(problem)?;
        if Stamp::of(&source.metadata().map_err(problem)?) != before || size != before.size {
            return Err(IntakeError::Changing(library.to_owned()));
        }
        elf::check(&mut target, size).map_err(|error| match error {
            elf::CheckError::Bad(problem) => {
                IntakeError::NotALibrary { plugin: plugin.to_owned(), path: library.to_owned(), problem }
            }
            elf::CheckError::Io(error) => problem(error),
        })?;
        let path = self.path(&hash);
        // The same bytes may be there already. This copy replaces a damaged one.
        target.sync_all().map_err(problem)?;
        {
            // So that `collect` does not remove it as the old artifact at this path.
            let _verified = self.verified();
            if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                remove(&path).map_err(problem)?;
            }
            fs::rename(&part.0, &path).map_err(problem)?;
        }
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(problem)?;
        Ok(Artifact { hash, path, size })
    }

    /// An artifact that was verified and whose inode has not changed since. Every write shows in the inode, because
    /// only the kernel can set that time. Costs one `stat`.
    pub fn unchanged(&self, hash: &Hash) -> Option<Artifact> {
        let path = self.path(hash);
        let stamp = Stamp::of(&fs::metadata(&path).ok()?);
        let verified = self.verified().get(hash) == Some(&stamp);
        verified.then_some(Artifact { hash: *hash, path, size: stamp.size })
    }

    /// An artifact, after checking that its content has not changed. Reads the whole file, unless it is
    /// [`Store::unchanged`].
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, hash: &Hash) -> Result<Artifact, VerifyError> {
        if let Some(artifact) = self.unchanged(hash) {
            return Ok(artifact);
        }
        let path = self.path(hash);
        let problem = |source| VerifyError::Unreadable { hash: *hash, source };
        let mut file = open(&path).map_err(problem)?;
        let meta = file.metadata().map_err(problem)?;
        if !meta.is_file() {
            return Err(problem(io::Error::other("it is no file")));
        }
        let (stamp, now) = (Stamp::of(&meta), SystemTime::now());
        let (found, size) = copy_hashing(&mut file, &mut io::sink()).map_err(problem)?;
        if found != *hash {
            return Err(VerifyError::Corrupted { hash: *hash, found });
        }
        if stamp.is_settled(now) {
            self.verified().insert(*hash, stamp);
        }
        Ok(Artifact { hash: *hash, path, size })
    }

    /// Removes every artifact except these and those of the last minute, which may be about to be used. Returns the
    /// number removed.
    ///
    /// # Errors
    /// When the directory cannot be read or a file cannot be removed.
    pub fn collect(&self, keep: &HashSet<Hash>) -> io::Result<usize> {
        let mut removed = 0;
        self.verified().retain(|hash, _| keep.contains(hash));
        for entry in fs::read_dir(&self.directory)? {
            match self.remove_old(&entry?.path(), keep) {
                Ok(is_removed) => removed += usize::from(is_removed),
                // Another process collects at the same time, or a copy took its name.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    fn remove_old(&self, path: &Path, keep: &HashSet<Hash>) -> io::Result<bool> {
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".so")?.parse::<Hash>().ok());
        if name.is_none_or(|hash| keep.contains(&hash)) {
            return Ok(false);
        }
        // So that no copy takes its place between the check and the removal.
        let _verified = self.verified();
        let is_old = fs::symlink_metadata(path)?.modified()?.elapsed().unwrap_or_default() > Duration::from_secs(60);
        if is_old {
            remove(path)?;
        }
        Ok(is_old)
    }

    fn verified(&self) -> MutexGuard<'_, HashMap<Hash, Stamp>> {
        // No code panics while it holds this lock.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, hash: &Hash) -> PathBuf {
        self.directory.join(format!("{hash}.so"))
    }
}

/// Shows that a file was not written since.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            size: meta.len(),
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the last change is old enough that another one would have another time.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = (u64::try_from(self.changed.0), u32::try_from(self.changed.1));
        let (Ok(seconds), Ok(nanos)) = (seconds, nanos) else { return false };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanos);
        now.duration_since(changed).is_ok_and(|age| age >= SETTLED)
    }
}

/// Whether a path has the name of a [`Part`]: `PROCESS-NUMBER.part`.
fn is_part(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let numbers = name.and_then(|name| name.strip_suffix(".part")?.split_once('-'));
    numbers.is_some_and(|(process, number)| process.parse::<u32>().is_ok() && number.parse::<u64>().is_ok())
}

/// An unfinished copy. Dropping it removes the file, unless it was renamed.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // After the rename the file is gone.
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes what has a name of the store's, also a folder that another program made. Follows no link.
fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// The hash that a library would have in the store. Reads the whole file.
///
/// # Errors
/// When the file cannot be read, or the store would refuse it.
pub fn hash_of(library: &Path) -> io::Result<Hash> {
    let mut file = open(library)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > MAX_SIZE {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    copy_hashing(&mut file, &mut io::sink()).map(|(hash, _)| hash)
}

/// Opens an operator's path, which may be anything, without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

fn copy_hashing(source: &mut impl Read, target: &mut impl Write) -> io::Result<(Hash, u64)> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        let bytes = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&chunk[..bytes]);
        target.write_all(&chunk[..bytes])?;
        size += bytes as u64;
        if size > MAX_SIZE {
            // The file grows as fast as it is read. The caller notices the new size later.
            break;
        }
    }
    Ok((Hash::from_bytes(hasher.finalize().into()), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library that exists wherever these tests run: one that they are linked to.
    pub(super) fn some_library() -> PathBuf {
        let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
        let line = maps.lines().find(|line| line.contains("libc.so")).expect("linked to libc");
        PathBuf::from(line.split_whitespace().last().expect("a path"))
    }

    #[test]
    fn folders_and_pipes_with_the_names_of_artifacts_are_no_obstacle() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || Store::open(directory.path()).expect("it opens");
        let artifact = open().intake("p", &some_library()).expect("it is a library");
        fs::remove_file(&artifact.path).expect("ours");
        fs::create_dir_all(directory.path().join("7-0.part/deep")).expect("ours");
        fs::create_dir_all(artifact.path.join("deep")).expect("ours");
        let store = open();
        assert!(!directory.path().join("7-0.part").exists());
        assert!(store.verify(&artifact.hash).is_err());
        assert_eq!(store.intake("p", &some_library()).expect("it is a library"), artifact);
        fs::remove_file(&artifact.path).expect("ours");
        rustix::fs::mknodat(rustix::fs::CWD, &artifact.path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .expect("ours");
        assert!(
            store.verify(&artifact.hash).is_err(),
            "no program writes into the pipe, and the store does not wait for one"
        );
        assert_eq!(store.intake("p", &some_library()).expect("it is a library"), artifact);
    }

    fn old(path: &Path) {
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        File::options().append(true).open(path).and_then(|file| file.set_modified(long_ago)).expect("it is ours");
    }

    #[test]
    fn the_same_bytes_are_kept_once_and_a_flipped_one_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path().join("artifacts")).expect("it can be made");
        let first = store.intake("x", &some_library()).expect("a library");
        assert_eq!(store.intake("x", &some_library()).expect("a library"), first);
        assert_eq!(fs::read_dir(dir.path().join("artifacts")).expect("a directory").count(), 1);
        assert_eq!(store.verify(&first.hash).expect("unchanged"), first);
        assert!(first.path.metadata().expect("there").permissions().readonly());

        let mut bytes = fs::read(&first.path).expect("there");
        bytes[5000] ^= 1;
        fs::remove_file(&first.path).expect("ours");
        fs::write(&first.path, bytes).expect("ours");
        assert!(matches!(store.verify(&first.hash), Err(VerifyError::Corrupted { .. })));
        // The next intake repairs it.
        store.intake("x", &some_library()).expect("a library");
        assert_eq!(store.verify(&first.hash).expect("mended"), first);
    }

    #[test]
    fn a_byte_flipped_in_place_is_noticed_though_the_artifact_was_read_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("there");
        let artifact = store.intake("x", &some_library()).expect("a library");
        let stamp = || Stamp::of(&fs::metadata(&artifact.path).expect("there"));
        while !stamp().is_settled(SystemTime::now()) {
            std::thread::yield_now();
        }
        store.verify(&artifact.hash).expect("unchanged");
        assert_eq!(store.verified.lock().expect("no panic").get(&artifact.hash), Some(&stamp()));
        store.verify(&artifact.hash).expect("unchanged");

        let modified = artifact.path.metadata().and_then(|meta| meta.modified()).expect("there");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&artifact.path, mode).expect("ours");
        let file = File::options().write(true).open(&artifact.path).expect("ours");
        std::os::unix::fs::FileExt::write_all_at(&file, b"?", 5000).expect("ours");
        // A person can set this time back on purpose, but not the one that counts.
        file.set_modified(modified).expect("ours");
        assert!(matches!(store.verify(&artifact.hash), Err(VerifyError::Corrupted { .. })));
    }

    #[test]
    fn every_truncation_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path().join("artifacts")).expect("it can be made");
        let whole = fs::read(some_library()).expect("there");
        let cut = dir.path().join("libcut.so");
        for percent in (0..100).step_by(3).chain([99]) {
            fs::write(&cut, &whole[..whole.len() * percent / 100]).expect("ours");
            old(&cut);
            let error = store.intake("cut", &cut).expect_err("truncated");
            assert!(matches!(error, IntakeError::NotALibrary { .. }), "{percent} %: {error}");
            assert!(error.to_string().ends_with("build it again"), "{error}");
        }
        assert_eq!(fs::read_dir(dir.path().join("artifacts")).expect("a directory").count(), 0);
    }

    #[test]
    fn what_is_missing_is_told_with_the_command_that_makes_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("there");
        let error = store.intake("dice-roller", &dir.path().join("libdice_roller.so")).expect_err("not there");
        assert!(error.to_string().ends_with("build dice-roller and copy it there"), "{error}");
        fs::write(dir.path().join("libdice_roller.rlib"), "").expect("ours");
        let error = store.intake("dice-roller", &dir.path().join("libdice_roller.so")).expect_err("not there");
        assert!(error.to_string().contains("add crate-type = [\"cdylib\"] under [lib]"), "{error}");
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path().join("artifacts")).expect("it can be made");
        let pipe = dir.path().join("libpipe.so");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("our directory");
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/zero")] {
            let error = store.intake("x", path).expect_err("no file");
            assert!(matches!(error, IntakeError::NotAFile { .. }), "{error}");
            hash_of(path).expect_err("no file");
        }
    }

    #[test]
    fn garbage_goes_and_what_is_kept_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("there");
        let kept = store.intake("x", &some_library()).expect("a library");
        let other = store.path(&Hash::from_bytes([7; 32]));
        fs::write(&other, "old").expect("ours");
        fs::write(dir.path().join("1-1.part"), "left over").expect("ours");
        for name in ["notes.txt", "mine.part", "1-mine.part"] {
            fs::write(dir.path().join(name), "an operator's").expect("ours");
        }
        assert_eq!(store.collect(&HashSet::from([kept.hash])).expect("readable"), 0, "it is new");
        old(&other);
        assert_eq!(store.collect(&HashSet::from([kept.hash])).expect("readable"), 1);
        assert!(kept.path.exists() && !other.exists());
        Store::open(dir.path()).expect("there");
        let left = fs::read_dir(dir.path()).expect("ours").flatten().map(|entry| entry.file_name());
        let left: HashSet<_> = left.filter(|name| Some(name.as_os_str()) != kept.path.file_name()).collect();
        assert_eq!(left, HashSet::from(["notes.txt", "mine.part", "1-mine.part"].map(Into::into)));
    }
}
