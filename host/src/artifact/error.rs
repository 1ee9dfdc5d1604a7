//! Why the store refuses a library, and why an artifact cannot be used.

use super::{MAX_SIZE, build, elf};
use crate::report;
use rosey_core::hash::Hash;
use std::{io, path::PathBuf};

/// Why the store refuses a library. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The library does not exist.
    #[error("{path} does not exist; {next}", path = .path.display(), next = build::make(.plugin, .path))]
    Missing {
        /// The plugin of the library.
        plugin: String,
        /// The path of the library.
        path: PathBuf,
    },
    /// The library does not exist, but cargo built the plugin as something that cannot be loaded.
    #[error(
        "{path} does not exist, but {plugin} was built as a library for Rust code; add crate-type = [\"cdylib\"] under [lib] in \
         its Cargo.toml, and {next}", path = .path.display(), next = build::again(.plugin, .path)
    )]
    NotCdylib {
        /// The plugin of the library.
        plugin: String,
        /// The path of the library.
        path: PathBuf,
    },
    /// The path is a folder, a pipe or a device.
    #[error("{path} is not a file; set plugins.{plugin}.library to the library that cargo builds", path = .path.display())]
    NotAFile {
        /// The plugin of the library.
        plugin: String,
        /// The path of the library.
        path: PathBuf,
    },
    /// The file kept changing while it was copied.
    #[error("{path} changes while it is copied: is cargo still building? Try again when it is done", path = .0.display())]
    Changing(PathBuf),
    /// The file is not a library, or not a whole one.
    #[error("{path} is {problem}; is cargo still building? If not, {next}", path = .path.display(), next = build::again(.plugin, .path))]
    NotALibrary {
        /// The plugin of the library.
        plugin: String,
        /// The path of the library.
        path: PathBuf,
        /// What is wrong with it.
        problem: elf::ElfProblem,
    },
    /// The file has more bytes than a library may have.
    #[error("{path} has {size} bytes, and {MAX_SIZE} are the limit; strip it, or build it with --release", path = .path.display())]
    TooLarge {
        /// The path of the library.
        path: PathBuf,
        /// The size in bytes.
        size: u64,
    },
    /// The file cannot be read, or the copy cannot be written.
    #[error("{path} cannot be copied into the artifact store: {}", report::os(.source), path = .path.display())]
    Io {
        /// The path of the library.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Why an artifact of the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The artifact cannot be read.
    #[error("artifact {hash} cannot be read: {}", unreadable(.source), hash = .hash.short())]
    Unreadable {
        /// The hash that names it.
        hash: Hash,
        /// The system's reason.
        source: io::Error,
    },
    /// The content of the artifact has changed.
    #[error(
        "artifact {hash} is corrupted: its content has the hash {found} now; build the plugin again and reload it",
        hash = .hash.short(), found = .found.short()
    )]
    Corrupted {
        /// The hash that names it.
        hash: Hash,
        /// The hash of its present content.
        found: Hash,
    },
}

impl VerifyError {
    /// Whether the artifact is gone or changed, and will not come back by itself.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Corrupted { .. } => true,
        }
    }
}

impl IntakeError {
    /// Whether the machine is at fault rather than the library, so that another try may succeed.
    pub fn is_of_the_machine(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

fn unreadable(source: &io::Error) -> String {
    let why = report::os(source);
    if source.kind() == io::ErrorKind::NotFound { format!("{why}; build the plugin again and reload it") } else { why }
}
