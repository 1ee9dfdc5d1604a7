//! The page shared with the host. It names the events that the plugin executes, and the host can read it after this
//! process died.

use memmap2::MmapOptions;
use rosey_wire::message::{PAGE_BYTES, PAGE_LANES};
use rustix::fs::{SealFlags, fcntl_get_seals};
use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::FileExt},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The longest token line accepted, in bytes. The host sends 32 hex digits.
const MAX_TOKEN: usize = 256;

static LANES: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Maps the page, and returns what follows it in the same memory: the line with the token. A shim does this once.
///
/// # Errors
/// A text for the operator.
pub fn map() -> Result<String, String> {
    let problem = |error: io::Error| format!("the standard input: {error}");
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(problem)?);
    let length = input.metadata().map_err(problem)?.len();
    let seals = fcntl_get_seals(&input).map_err(|error| problem(error.into()))?;
    if length < PAGE_BYTES as u64 || !seals.contains(SealFlags::SHRINK) {
        return Err("the standard input is not the memory that the host shares".to_owned());
    }
    let mut rest = [0; MAX_TOKEN];
    let read = input.read_at(&mut rest, PAGE_BYTES as u64).map_err(problem)?;
    // SAFETY: the kernel refuses to shorten this file, by the seal that was checked above, and it is at least as long as the
    // mapping. So no access in the mapping can fault.
    let map = unsafe { MmapOptions::new().len(PAGE_BYTES).map_mut(&input) }.map_err(problem)?;
    let map = Box::leak(Box::new(map));
    // SAFETY: the mapping is page-aligned, at least PAGE_LANES * 8 bytes long, leaked and thus valid for ever, and from
    // here on reached only through these atomics. Every bit pattern is a valid u64.
    let lanes = unsafe { std::slice::from_raw_parts(map.as_ptr().cast::<AtomicU64>(), PAGE_LANES) };
    LANES.set(lanes).map_err(|_| "the page is mapped already".to_owned())?;
    let token = rest[..read].split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8(token.to_vec()).map_err(|_| "the token is not text".to_owned())
}

/// Records that `lane` executes `event` now, or nothing (0). A plain store is enough, because the kernel keeps the page
/// after SIGKILL.
pub fn executing(lane: u32, event: u64) {
    if let Some(cell) = LANES.get().and_then(|lanes| lanes.get(lane as usize)) {
        cell.store(event, Ordering::Relaxed);
    }
}
