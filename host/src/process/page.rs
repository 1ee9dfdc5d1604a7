//! The page of memory that host and shim share. It names the events that a generation executes, and outlives its
//! process.

use crate::{process::start::StartError, report};
use rosey_wire::message::PAGE_BYTES;
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The file of the page. Dropping this removes it.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
}

impl Page {
    /// Creates an empty page.
    ///
    /// # Errors
    /// When the run directory cannot be written to.
    pub fn create(path: PathBuf) -> Result<Self, StartError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        // From here on the file is removed with `Self`, also if it cannot be written.
        let page = made.map(|file| (file, Self { path: path.clone() }));
        page.and_then(|(mut file, page)| file.write_all(&[0; PAGE_BYTES]).map(|()| page))
            .map_err(|error| StartError::Prepare(path, report::os(&error)))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The event that each lane executes now, or executed when the process died; 0 for none. Empty when the file cannot
    /// be read.
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
        // Fails only if the directory is gone. The next start empties it in any case.
        let _ = std::fs::remove_file(&self.path);
    }
}
