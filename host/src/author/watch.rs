//! Notices that the files of packages are saved.

use super::package::Package;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant},
};

/// Quiet time after which a save is complete: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(30);

/// Longest wait for that, for a program that writes without a pause.
const PATIENCE: Duration = Duration::from_millis(500);

/// Saves that wait. More are for the same packages, which are built from what is on the disk by then.
const WAITING: usize = 256;

/// Watches packages, by their place in a list.
#[derive(Debug)]
pub struct Watch {
    saves: Receiver<usize>,
    /// Held, because the watch ends with it.
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches all packages from now on.
    ///
    /// # Errors
    /// The folder that cannot be watched, and why.
    pub fn start(packages: &[Package]) -> Result<Self, String> {
        let (saves, waiting) = sync_channel(WAITING);
        let known = packages.to_vec();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if let Ok(event) = event {
                report(&known, &event, &saves);
            }
        });
        let mut watcher = watcher.map_err(|error| format!("files cannot be watched: {error}"))?;
        let folders: BTreeSet<(PathBuf, bool)> = packages.iter().flat_map(folders).collect();
        for (folder, is_deep) in folders {
            let mode = if is_deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            watcher.watch(&folder, mode).map_err(|error| format!("{} cannot be watched: {error}", folder.display()))?;
        }
        Ok(Self { saves: waiting, _watcher: watcher })
    }

    /// Waits for a save. Returns the packages that were saved, and when the first of them was; `None` when the watch has ended.
    pub fn next(&self) -> Option<(BTreeSet<usize>, Instant)> {
        let mut saved = BTreeSet::from([self.saves.recv().ok()?]);
        let first = Instant::now();
        while first.elapsed() < PATIENCE {
            match self.saves.recv_timeout(QUIET) {
                Ok(package) => drop(saved.insert(package)),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        Some((saved, first))
    }
}

/// The folders to watch for a package, and whether with all within: its target folder may be among them, and has
/// thousands of files.
fn folders(package: &Package) -> Vec<(PathBuf, bool)> {
    let mut all = Vec::new();
    for source in &package.sources {
        all.push((source.clone(), false));
        let within = std::fs::read_dir(source).into_iter().flatten().flatten().map(|entry| entry.path());
        let wanted = within
            .filter(|path| path.is_dir() && !is_hidden(path) && !path.ends_with("target") && *path != package.target);
        all.extend(wanted.map(|folder| (folder, true)));
    }
    all
}

fn report(packages: &[Package], event: &Event, saves: &SyncSender<usize>) {
    if matches!(event.kind, EventKind::Access(_)) {
        return;
    }
    for (at, package) in packages.iter().enumerate() {
        if event.paths.iter().any(|path| is_source(package, path)) {
            // When it is full, this package or the others are built soon anyway.
            let _ = saves.try_send(at);
        }
    }
}

/// Whether a package is built from this file. Editors' own files are none.
fn is_source(package: &Package, path: &Path) -> bool {
    let within = package.sources.iter().any(|source| path.starts_with(source));
    let is_built = path.starts_with(&package.target) || path.file_name().is_some_and(|name| name == "Cargo.lock");
    let is_temporary = path.extension().is_some_and(|end| end == "swp" || end == "swx" || end == "tmp")
        || path.to_string_lossy().ends_with('~');
    within && !is_built && !is_temporary && !is_hidden(path)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_package_is_built_from_is_a_save() {
        let package = Package {
            name: "p".into(),
            manifest: "/p/Cargo.toml".into(),
            library: "/p/target/debug/libp.so".into(),
            sources: vec!["/p".into(), "/api".into()],
            target: "/p/target".into(),
        };
        for (path, is) in [
            ("/p/src/lib.rs", true),
            ("/p/Cargo.toml", true),
            ("/api/src/args.rs", true),
            ("/p/words.txt", true),
            ("/p/target/debug/x.rs", false),
            ("/p/Cargo.lock", false),
            ("/p/src/.lib.rs.swp", false),
            ("/p/src/lib.rs~", false),
            ("/q/src/lib.rs", false),
        ] {
            assert_eq!(is_source(&package, Path::new(path)), is, "{path}");
        }
    }

    #[test]
    fn saves_in_quick_succession_are_one() {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path().canonicalize().expect("it is there");
        std::fs::create_dir(root.join("src")).expect("empty");
        let package = Package {
            name: "p".into(),
            manifest: root.join("Cargo.toml"),
            library: root.join("target/debug/libp.so"),
            sources: vec![root.clone()],
            target: root.join("target"),
        };
        let watch = Watch::start(&[package]).expect("it can be watched");
        for text in ["one", "two"] {
            std::fs::write(root.join("src/new.rs"), text).expect("ours");
        }
        // As editors save: a file beside it, and then in its place.
        std::fs::write(root.join("src/.new.rs.1"), "three").expect("ours");
        std::fs::rename(root.join("src/.new.rs.1"), root.join("src/new.rs")).expect("ours");
        assert_eq!(watch.next().map(|(saved, _)| saved), Some(BTreeSet::from([0])));
        assert!(watch.saves.try_recv().is_err(), "all of them were one");
    }
}
