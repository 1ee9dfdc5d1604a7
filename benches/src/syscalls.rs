//! System calls of processes, counted by `perf stat`, where it is installed and allowed.

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat},
    process::{Pid, Signal, kill_process},
};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A count under way.
#[derive(Debug)]
pub struct Count {
    perf: Child,
    control: File,
    answers: File,
    _directory: tempfile::TempDir,
}

impl Count {
    /// Counts the system calls of these processes and all their threads from now on. `None` where `perf` is missing or
    /// not allowed.
    pub fn of(pids: &[u32]) -> Option<Self> {
        let directory = tempfile::tempdir().ok()?;
        let [control, answers] = ["control", "answers"].map(|name| directory.path().join(name));
        let (control_pipe, answers_pipe) = (pipe(&control)?, pipe(&answers)?);
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        let perf = Command::new("perf")
            .args(["stat", "-x,", "-D-1", "-e", "raw_syscalls:sys_enter", "-p", &pids.join(",")])
            .arg(format!("--control=fifo:{},{}", control.display(), answers.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut count = Self { perf, control: control_pipe, answers: answers_pipe, _directory: directory };
        count.order("enable").then_some(count)
    }

    /// The count.
    pub fn end(mut self) -> Option<u64> {
        self.order("disable");
        kill_process(Pid::from_child(&self.perf), Signal::INT).ok()?;
        let mut report = String::new();
        self.perf.stderr.take()?.read_to_string(&mut report).ok()?;
        report.lines().find(|line| line.contains("sys_enter"))?.split(',').next()?.parse().ok()
    }

    fn order(&mut self, what: &str) -> bool {
        if writeln!(self.control, "{what}").is_err() {
            return false;
        }
        // Both ends of the pipe are open here, so there is no end of file when `perf` ends without an answer.
        while self.answers.read(&mut [0; 16]).is_err() {
            if !matches!(self.perf.try_wait(), Ok(None)) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

/// A named pipe, open at both ends, so that neither side waits for the other.
fn pipe(path: &Path) -> Option<File> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).ok()?;
    OpenOptions::new().read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path).ok()
}
