//! The keeper: a small process beside the host that waits for the end of the host, and then ends all processes that
//! plugins left behind.
//!
//! A host that is killed cannot end the daemons that its plugins started. They are in the sessions of the host's shims,
//! and have the host's mark in their environment; the keeper finds them by either. The host writes to the keeper's
//! standard input which sessions begin and end, and the keeper learns of the end of the host by the end of that pipe.

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::{
    collections::HashSet,
    fs,
    io::{self, BufRead},
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
    let sessions = sessions(io::stdin().lock());
    for _ in 0..LOOKS {
        if !end_all(mark.as_bytes(), &sessions) {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// Reads which sessions begin (`+PID`) and end (`-PID`), until the host ends. Returns those that are left.
fn sessions(lines: impl BufRead) -> HashSet<Pid> {
    let mut sessions = HashSet::new();
    for line in lines.lines().map_while(Result::ok) {
        let session = line.get(1..).and_then(|pid| pid.parse::<u32>().ok());
        let session = session.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        match (line.as_bytes().first(), session) {
            (Some(b'+'), Some(session)) => drop(sessions.insert(session)),
            (Some(b'-'), Some(session)) => drop(sessions.remove(&session)),
            _ => {}
        }
    }
    // The keeper leads its own.
    sessions.remove(&getpid());
    sessions
}

/// Ends all processes with the mark or in one of the sessions. Returns false when it found none.
fn end_all(mark: &[u8], sessions: &HashSet<Pid>) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?));
    pids.filter(|pid| end(*pid, mark, sessions)).count() > 0
}

fn end(pid: Pid, mark: &[u8], sessions: &HashSet<Pid>) -> bool {
    let is_meant =
        || pid != getpid() && (session(pid).is_some_and(|session| sessions.contains(&session)) || is_marked(pid, mark));
    if !is_meant() {
        return false;
    }
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    // Checked again, because another process may have taken the id before it was opened.
    is_meant() && pidfd_send_signal(&process, Signal::KILL).is_ok()
}

/// The session of a process; `None` when the process is gone, or its session is that of another PID namespace or of the
/// kernel.
fn session(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name of the program may have spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let session = rest.split_whitespace().nth(3)?.parse().ok().filter(|session| *session > 0)?;
    Pid::from_raw(session)
}

fn is_marked(pid: Pid, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_what_began_and_did_not_end() {
        let left = sessions(&b"+10\n+11\n-10\n\nnonsense\n+-5\n+12\n-12\n+13"[..]);
        let mut left: Vec<_> = left.into_iter().map(|session| session.as_raw_nonzero().get()).collect();
        left.sort_unstable();
        assert_eq!(left, [11, 13]);
    }
}
