//! System calls of processes, counted by `perf stat`, where that is installed and allowed.

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
    orders: File,
    answers: File,
    _directory: tempfile::TempDir,
}

impl Count {
    /// Counts from now on what these processes, with all their threads, ask of the kernel. `None` where there is no `perf`,
    /// or it may not.
    pub fn of(pids: &[u32]) -> Option<Self> {
        let directory = tempfile::tempdir().ok()?;
        let [orders, answers] = ["orders", "answers"].map(|name| directory.path().join(name));
        let (orders_pipe, answers_pipe) = (pipe(&orders)?, pipe(&answers)?);
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        let perf = Command::new("perf")
            .args(["stat", "-x,", "-D-1", "-e", "raw_syscalls:sys_enter", "-p", &pids.join(",")])
            .arg(format!("--control=fifo:{},{}", orders.display(), answers.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut count = Self { perf, orders: orders_pipe, answers: answers_pipe, _directory: directory };
        count.order("enable").then_some(count)
    }

    /// How many there were.
    pub fn end(mut self) -> Option<u64> {
        self.order("disable");
        kill_process(Pid::from_child(&self.perf), Signal::INT).ok()?;
        let mut said = String::new();
        self.perf.stderr.take()?.read_to_string(&mut said).ok()?;
        said.lines().find(|line| line.contains("sys_enter"))?.split(',').next()?.parse().ok()
    }

    fn order(&mut self, what: &str) -> bool {
        if writeln!(self.orders, "{what}").is_err() {
            return false;
        }
        // As both ends of the pipe are open here, there is no end of file when `perf` ends without an answer.
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
        // It may have ended.
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

/// A pipe with a name, open at both ends, so that nobody waits for the other side.
fn pipe(path: &Path) -> Option<File> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).ok()?;
    OpenOptions::new().read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path).ok()
}
