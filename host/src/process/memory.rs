//! How much memory processes use, as the kernel counts it.

use std::fs;

/// What the machine would have more if a process ended, in bytes: pages that it shares with others count in part (its
/// proportional set size), so what many forks share counts once. Where the kernel does not say that, its resident memory;
/// `None` when it is gone.
pub fn used_bytes(pid: u32) -> Option<u64> {
    let summary = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    summary.as_deref().and_then(proportional).or_else(|| resident_bytes(pid))
}

/// The resident memory of a process in bytes, which counts shared pages in full; `None` when it is gone.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let resident: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(resident * rustix::param::page_size() as u64)
}

/// Of a `smaps_rollup`: `Pss:     1234 kB`, in bytes.
fn proportional(summary: &str) -> Option<u64> {
    let kilobytes = summary.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(kilobytes.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_no_more_than_is_resident() {
        let me = std::process::id();
        let (used, resident) = (used_bytes(me).expect("it runs"), resident_bytes(me).expect("it runs"));
        // Other tests take memory between the two.
        assert!(used > 1 << 20 && used < resident + (64 << 20), "{used} {resident}");
        assert_eq!((used_bytes(u32::MAX / 2), resident_bytes(u32::MAX / 2)), (None, None));
    }

    #[test]
    fn the_kernels_summary_is_read() {
        let summary = "55d0-7ffe ---p 0 00:00 0  [rollup]\nRss:    3300 kB\nPss:     412 kB\nPss_Dirty:  100 kB\n";
        assert_eq!(proportional(summary), Some(412 << 10));
        assert_eq!((proportional(""), proportional("Pss: many")), (None, None));
    }
}
