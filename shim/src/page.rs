//! The page shared with the host. It names the events that the plugin executes, and the host can read it after this
//! process died.

use memmap2::MmapOptions;
use rosey_wire::message::{PAGE_BYTES, PAGE_LANES};
use std::{
    fs::OpenOptions,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

static LANES: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// Maps the page. A shim does this once.
///
/// # Errors
/// A text for the operator.
pub fn map(path: &str) -> Result<(), String> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| format!("{path}: {error}"))?;
    let length = file.metadata().map_err(|error| format!("{path}: {error}"))?.len();
    if length < PAGE_BYTES as u64 {
        return Err(format!("{path}: {length} bytes, and a page has {PAGE_BYTES}"));
    }
    // SAFETY: the host made this file for this process alone, in its private directory, and never shortens it; the
    // length was checked above, so no access in the mapping can fault.
    let map =
        unsafe { MmapOptions::new().len(PAGE_BYTES).map_mut(&file) }.map_err(|error| format!("{path}: {error}"))?;
    let map = Box::leak(Box::new(map));
    // SAFETY: the mapping is page-aligned, at least PAGE_LANES * 8 bytes long, leaked and thus valid for ever, and from
    // here on reached only through these atomics. Every bit pattern is a valid u64.
    let lanes = unsafe { std::slice::from_raw_parts(map.as_ptr().cast::<AtomicU64>(), PAGE_LANES) };
    LANES.set(lanes).map_err(|_| "the page is mapped already".to_owned())
}

/// Records that `lane` executes `event` now, or nothing (0). A plain store is enough, because the kernel keeps the page
/// after SIGKILL.
pub fn executing(lane: u32, event: u64) {
    if let Some(cell) = LANES.get().and_then(|lanes| lanes.get(lane as usize)) {
        cell.store(event, Ordering::Relaxed);
    }
}
