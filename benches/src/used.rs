//! The usage of processes: processor time, context switches, and the allocations of this one.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ops::Sub,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Since each process started.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Processor time of all threads of all processes.
    pub processor: Duration,
    /// Context switches of both kinds, of all threads of all processes.
    pub switches: u64,
    /// Of this process, if [`Counting`] is its allocator.
    pub allocations: u64,
}

impl Used {
    /// The usage of these processes. A process that is gone counts as zero.
    pub fn by(pids: &[u32]) -> Self {
        let (mut processor, mut switches) = (0, 0);
        for pid in pids {
            for thread in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                processor += number(&thread.path().join("schedstat"), "");
                switches += number(&thread.path().join("status"), "\nvoluntary_ctxt_switches:");
                switches += number(&thread.path().join("status"), "nonvoluntary_ctxt_switches:");
            }
        }
        Self { processor: Duration::from_nanos(processor), switches, allocations: ALLOCATIONS.load(Relaxed) }
    }
}

impl Sub for Used {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            processor: self.processor.saturating_sub(before.processor),
            switches: self.switches.saturating_sub(before.switches),
            allocations: self.allocations.saturating_sub(before.allocations),
        }
    }
}

/// The number that follows `name` in a file of the kernel.
fn number(path: &Path, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, with a count of its allocations.
#[derive(Debug)]
pub struct Counting;

// SAFETY: every call goes to the system's allocator as it came, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
