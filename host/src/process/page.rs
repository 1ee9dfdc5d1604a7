//! The page of memory that host and shim share. It names the events that a generation executes, and outlives its
//! process.
//!
//! It has no name in any folder, and no process can change its size. So nothing that a plugin does to files reaches it,
//! and reading it never waits.

use crate::{process::start::StartError, report};
use rosey_wire::message::PAGE_BYTES;
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::{Errno, pread},
};
use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::fd::OwnedFd,
    path::PathBuf,
};

/// The page of one shim.
#[derive(Debug)]
pub struct Page {
    memory: File,
}

impl Page {
    /// Creates an empty page. The line with the token follows it, and is what a shim reads first from
    /// [`Page::as_input`].
    ///
    /// # Errors
    /// When the system has no more descriptors or memory.
    pub fn create(token: &str) -> Result<Self, StartError> {
        let made = memory().and_then(|memory| {
            let mut memory = File::from(memory);
            memory.write_all(&[0; PAGE_BYTES])?;
            memory.write_all(format!("{token}\n").as_bytes())?;
            memory.seek(SeekFrom::Start(PAGE_BYTES as u64))?;
            fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
            Ok(Self { memory })
        });
        made.map_err(|error| StartError::Prepare(PathBuf::from("shared memory"), report::os(&error)))
    }

    /// The memory, for a process to inherit.
    ///
    /// # Errors
    /// When this process has no more descriptors.
    pub fn as_input(&self) -> io::Result<OwnedFd> {
        Ok(self.memory.try_clone()?.into())
    }

    /// The event that each lane executes now, or executed when the process died; 0 for none.
    pub fn lanes(&self) -> Vec<u64> {
        let mut bytes = [0; PAGE_BYTES];
        // Memory of a fixed size: this neither fails nor waits.
        let read = pread(&self.memory, &mut bytes, 0).unwrap_or_default();
        let (lanes, _) = bytes[..read].as_chunks::<8>();
        lanes.iter().map(|lane| u64::from_le_bytes(*lane)).collect()
    }

    /// The events among [`Page::lanes`].
    pub fn executing(&self) -> Vec<u64> {
        self.lanes().into_iter().filter(|id| *id != 0).collect()
    }
}

/// Memory that can be sealed, and from which nothing can be executed where the kernel knows that.
fn memory() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create("rosey-page", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(memfd_create("rosey-page", flags)?),
        made => Ok(made?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, os::unix::fs::FileExt};

    #[test]
    fn a_page_keeps_its_size_whatever_its_process_does() {
        let page = Page::create("secret").expect("there is memory");
        let mut theirs = File::from(page.as_input().expect("a descriptor"));
        let mut token = String::new();
        theirs.read_to_string(&mut token).expect("text");
        assert_eq!(token, "secret\n");
        theirs.write_all_at(&7u64.to_le_bytes(), 8).expect("it may write");
        assert_eq!((page.lanes().len(), page.executing()), (8, vec![7]));
        assert!(theirs.set_len(0).is_err() && theirs.set_len(3 << 30).is_err());
        assert!(theirs.write_all_at(b"x", 1 << 20).is_err());
        assert_eq!(page.executing(), [7]);
    }
}
