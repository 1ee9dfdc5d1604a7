//! Backups: one tar file with the database, the artifacts and the data folders of a state directory.
//!
//! The archive begins with `ABOUT` and ends with `SUMS`, which has the SHA-256 of each other file. So it can be
//! checked without Rosey, too: `tar xf`, then `sha256sum -c SHA256SUMS`. The database is that of one moment, and all artifacts
//! that it names are in the archive, because artifacts never change. The files of plugins are copied as they are.

mod restore;
mod write;

pub use restore::{Restored, UNFINISHED, restore};
pub use write::{Written, write};

use crate::store::StoreError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// The first file of an archive: what it is, and who made it when.
const ABOUT: &str = "rosey-backup.json";

/// The last file of an archive: the hash and the path of each other file.
const SUMS: &str = "SHA256SUMS";

/// The form of the archives that this Rosey writes and reads.
const FORMAT: u32 = 1;

/// The database, in the state directory and in an archive.
const DATABASE: &str = "rosey.db";

/// The content of [`ABOUT`].
#[derive(Debug, Serialize, Deserialize)]
struct About {
    format: u32,
    /// The version of the Rosey that made the archive.
    rosey: String,
    /// The moment of the database.
    created: String,
}

/// Why a backup cannot be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The path of the file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file lies in what it is to be a copy of.
    #[error("{} lies in the state directory, so each backup would have the ones before; name a file elsewhere", .0.display())]
    Inside(PathBuf),
    /// The database cannot be copied.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive is no backup, or not whole.
    #[error("{path} is not a whole backup: {why}. Nothing was restored; take another copy of it", path = .path.display())]
    NotWhole {
        /// The archive.
        path: PathBuf,
        /// The first difference that was found.
        why: String,
    },
    /// The archive has a form that this Rosey does not know.
    #[error("{path} is a backup of rosey {rosey} in form {format}, and this rosey reads form {FORMAT}: use that rosey",
        path = .path.display())]
    Newer {
        /// The archive.
        path: PathBuf,
        /// The Rosey that made it.
        rosey: String,
        /// The form of the archive.
        format: u32,
    },
    /// The state directory has something in it.
    #[error("the state directory {path} is not empty: it holds {name}. Stop Rosey, move the directory away, and restore again",
        path = .path.display())]
    NotEmpty {
        /// The state directory.
        path: PathBuf,
        /// A file in it.
        name: String,
    },
}

/// Copies everything, and returns the SHA-256 in hexadecimal and the number of bytes.
fn copy_hashing(source: &mut impl Read, target: &mut impl Write) -> io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(bytes) => {
                hasher.update(&chunk[..bytes]);
                target.write_all(&chunk[..bytes])?;
                size += bytes as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((hex(&hasher.finalize()), size))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// For `map_err`: the error about this path.
fn about(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}

/// The hash that the name of an artifact states, if the path is that of one.
fn artifact_hash(path: &str) -> Option<&str> {
    path.strip_prefix("artifacts/")?.strip_suffix(".so")
}

#[cfg(test)]
mod tests;
