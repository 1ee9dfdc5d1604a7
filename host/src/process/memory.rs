//! The memory of processes, as the kernel counts it.

use crate::process::orphans;
use std::fs;

/// Processes of one generation that are counted: the shim and the processes that it started.
const MOST_PROCESSES: usize = 256;

/// This process, all of its descendants, and those of its session that left it for this host.
pub fn family(root: u32) -> Vec<u32> {
    let (mut found, mut at) = (vec![root], 0);
    found.extend(orphans::left_behind_in(root));
    while at < found.len() && found.len() < MOST_PROCESSES {
        let tasks = fs::read_dir(format!("/proc/{}/task", found[at])).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        at += 1;
    }
    found
}

/// The memory of a process and its descendants in bytes, if it is above the limit. Cheap below the limit: the kernel
/// knows resident memory without counting, and that is never less than the proportional set size.
pub fn used_beyond(root: u32, limit: u64) -> Option<u64> {
    let family = family(root);
    let sum = |of: fn(u32) -> Option<u64>| family.iter().filter_map(|pid| of(*pid)).sum::<u64>();
    (sum(resident_bytes) > limit).then(|| sum(used_bytes)).filter(|used| *used > limit)
}

/// The memory in bytes that the machine would regain if the process ended. Pages that it shares with others count in
/// part (proportional set size), so pages that many forks share count once. Where the kernel does not report that, the
/// resident memory; `None` when the process is gone.
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

/// The value of `Pss:     1234 kB` in a `smaps_rollup`, in bytes.
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
        // Other tests allocate memory between the two measurements.
        assert!(used > 1 << 20 && used < resident + (64 << 20), "{used} {resident}");
        assert!(used_beyond(me, 1 << 20).is_some_and(|used| used > 1 << 20));
        assert_eq!(used_beyond(me, u64::MAX), None);
        assert_eq!((used_bytes(u32::MAX / 2), resident_bytes(u32::MAX / 2)), (None, None));
    }

    #[test]
    fn the_kernels_summary_is_read() {
        let summary = "55d0-7ffe ---p 0 00:00 0  [rollup]\nRss:    3300 kB\nPss:     412 kB\nPss_Dirty:  100 kB\n";
        assert_eq!(proportional(summary), Some(412 << 10));
        assert_eq!((proportional(""), proportional("Pss: many")), (None, None));
    }
}
