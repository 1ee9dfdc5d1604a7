//! The keeper: a small process beside the host that waits for the end of the host, and then ends all processes that
//! plugins left behind.
//!
//! A host that is killed cannot end the daemons that its plugins started. They have the host's mark in their
//! environment, by which the keeper finds them. The keeper learns of the end by its standard input, whose other end the
//! host holds.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::{
    fs,
    io::{self, Read},
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::Duration,
};

/// Passes over all processes, at most. Each pass ends every process that it finds; only processes that keep starting
/// others need more than two.
const LOOKS: usize = 200;

/// Pause between two passes.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits for the end of the host, and ends every process with a mark that begins with `mark` (`ROSEY_PROCESS=HOST-`).
pub fn keep(mark: &str) {
    // Fails only for a process that already leads its group.
    let _ = setsid();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // If this fails, a signal may end the keeper before the host. That does no harm while the host lives.
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    let _ = std::env::set_current_dir("/");
    // The host writes nothing, so this returns when the host ends.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    for _ in 0..LOOKS {
        if !end_marked(mark.as_bytes()) {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// Ends all processes with the mark. Returns false when it found none.
fn end_marked(mark: &[u8]) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?));
    pids.filter(|pid| end(*pid, mark)).count() > 0
}

fn end(pid: Pid, mark: &[u8]) -> bool {
    if !is_marked(pid, mark) {
        return false;
    }
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    // Checked again, because another process may have taken the id before it was opened.
    is_marked(pid, mark) && pidfd_send_signal(&process, Signal::KILL).is_ok()
}

fn is_marked(pid: Pid, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark))
}
