//! The page of memory that host and shim share: it names what a generation is executing, and outlives its process.

use crate::{process::start::StartError, report};
use rosey_wire::message::PAGE_BYTES;
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The file that names what a generation is executing. Removed when dropped.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
}

impl Page {
    /// Makes it, empty.
    ///
    /// # Errors
    /// When the run directory cannot be written to.
    pub fn create(path: PathBuf) -> Result<Self, StartError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        // From here on it is removed with this, also where it cannot be written.
        let page = made.map(|file| (file, Self { path: path.clone() }));
        page.and_then(|(mut file, page)| file.write_all(&[0; PAGE_BYTES]).map(|()| page))
            .map_err(|error| StartError::Prepare(path, report::os(&error)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The event that each lane executes now, or did when the process died; 0 for none. Empty when nobody can tell.
    pub fn lanes(&self) -> Vec<u64> {
        let bytes = std::fs::read(&self.path).unwrap_or_default();
        let (lanes, _) = bytes.as_chunks::<8>();
        lanes.iter().map(|lane| u64::from_le_bytes(*lane)).collect()
    }

    /// The events among [`Page::lanes`].
    pub fn executing(&self) -> Vec<u64> {
        self.lanes().into_iter().filter(|id| *id != 0).collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Left over only if the directory is gone; it is emptied at the next start in any case.
        let _ = std::fs::remove_file(&self.path);
    }
}
