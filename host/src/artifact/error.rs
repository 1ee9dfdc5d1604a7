//! Why a library is not taken into the store, and why an artifact of it cannot be used.

use super::{MAX_SIZE, elf};
use crate::report;
use rosey_core::hash::Hash;
use std::{io, path::PathBuf};

/// Why a library was not taken in. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// There is none.
    #[error("{path} is not there; build it with: cargo build --release -p {plugin}", path = .path.display())]
    Missing {
        /// Whose library it was to be.
        plugin: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is none, but it was built as something that cannot be loaded.
    #[error(
        "{path} is not there, but {plugin} was built as a library for Rust code; add crate-type = [\"cdylib\"] under [lib] in \
         its Cargo.toml, and build it again: cargo build --release -p {plugin}", path = .path.display()
    )]
    NotCdylib {
        /// Whose library it was to be.
        plugin: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is a folder, a pipe or a device.
    #[error("{path} is not a file; set plugins.{plugin}.library to the library that cargo builds", path = .path.display())]
    NotAFile {
        /// Whose library it was to be.
        plugin: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It kept changing.
    #[error("{path} changes while it is copied: is cargo still building? Try again when it is done", path = .0.display())]
    Changing(PathBuf),
    /// It is not a library, or not a whole one.
    #[error("{path} is {problem}; is cargo still building? If not, build it again: cargo build --release -p {plugin}", path = .path.display())]
    NotALibrary {
        /// Whose library it was to be.
        plugin: String,
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        problem: elf::ElfProblem,
    },
    /// It has more bytes than a library is allowed.
    #[error("{path} has {size} bytes, and {MAX_SIZE} are the limit; strip it, or build it with --release", path = .path.display())]
    TooLarge {
        /// Where it lies.
        path: PathBuf,
        /// Bytes that it has.
        size: u64,
    },
    /// It cannot be read, or the copy cannot be written.
    #[error("{path} cannot be copied into the artifact store: {}", report::os(.source), path = .path.display())]
    Io {
        /// Where it lies.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Why an artifact of the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("artifact {hash} cannot be read: {}", unreadable(.source), hash = .hash.short())]
    Unreadable {
        /// The hash that it is stored under.
        hash: Hash,
        /// The system's reason.
        source: io::Error,
    },
    /// Its content is not what it was.
    #[error(
        "artifact {hash} is corrupted: its content has the hash {found} now; build the plugin again and reload it",
        hash = .hash.short(), found = .found.short()
    )]
    Corrupted {
        /// The hash that it is stored under.
        hash: Hash,
        /// What it is now.
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
    /// Whether this says something of the machine rather than of the library: it may be over at the next try.
    pub fn is_of_the_machine(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

fn unreadable(source: &io::Error) -> String {
    let why = report::os(source);
    if source.kind() == io::ErrorKind::NotFound { format!("{why}; build the plugin again and reload it") } else { why }
}
