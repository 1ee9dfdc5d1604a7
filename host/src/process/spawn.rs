//! The processes of plugins: one thread starts them, and the host watches and ends them through pidfds, and always
//! reaps them.
//!
//! The kernel binds the parent-death signal of a process to the *thread* that started it, so one thread that lives as
//! long as the host starts all of them. No code here signals a bare process id, which might already belong to another
//! process.

use crate::{
    process::orphans::{Family, MARK, Member},
    report,
};
use rustix::{
    fd::{AsFd, OwnedFd},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid},
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc as blocking,
    thread,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, oneshot},
};

/// Starts that may wait for the thread. Each takes about a millisecond.
const QUEUE: usize = 1024;

/// A process to start.
#[derive(Debug)]
pub struct SpawnRequest {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Its standard input. Secrets go there, because every user can read arguments.
    pub input: OwnedFd,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The operating system reports an error.
    #[error("{program}: {}", report::os(.source), program = .program.display())]
    Os {
        /// The executable.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The host is stopping.
    #[error("no more processes are started")]
    Closed,
}

type Job = (SpawnRequest, oneshot::Sender<Result<Spawned, SpawnError>>);

/// Starts processes. Dropping it ends the thread, and with it every process that still runs.
#[derive(Debug)]
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// Starts the thread, without care for the processes that its processes leave behind.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start() -> io::Result<Self> {
        Self::of(Family::without_orphans(), None)
    }

    /// Starts the thread. The processes that its processes leave behind end with them. They also end with this host,
    /// because a keeper outlives it. Needs a runtime. Call it once in a process.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start_with_keeper(keeper: PathBuf) -> io::Result<Self> {
        Self::of(Family::adopt_orphans()?, Some(keeper))
    }

    fn of(family: Family, keeper: Option<PathBuf>) -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
        thread::Builder::new().name("rosey-spawn".to_owned()).spawn(move || {
            let reaper = Reaper::start();
            // Held for the life of this process, which the keeper outlives.
            let _keeper = keeper.and_then(|program| match start_keeper(&program, &family) {
                Ok(keeper) => Some(std::mem::ManuallyDrop::new(keeper)),
                Err(error) => {
                    let why = report::os(&error);
                    tracing::warn!(
                        "there is no keeper, so processes that plugins start may survive a killed Rosey: {}: {why}",
                        program.display()
                    );
                    None
                }
            });
            while let Some((request, answer)) = waiting.blocking_recv() {
                // The caller may have gone. Then the dropped answer ends the process.
                let _ = answer.send(spawn(request, &family, &reaper));
            }
        })?;
        Ok(Self { jobs })
    }

    /// Starts a process. Cancellation ends a process that has started meanwhile.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub async fn spawn(&self, request: SpawnRequest) -> Result<Process, SpawnError> {
        let program = request.program.clone();
        let (answer, answered) = oneshot::channel();
        self.jobs.send((request, answer)).await.map_err(|_| SpawnError::Closed)?;
        let Spawned { mut child, stdout, stderr } = answered.await.map_err(|_| SpawnError::Closed)??;
        let watched = child.fd.take().ok_or(SpawnError::Closed)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps its number for as long as it is registered"
        )]
        let watched = AsyncFd::with_interest(watched, Interest::READABLE);
        let watched = watched.map_err(|source| SpawnError::Os { program, source })?;
        Ok(Process { watched, child, stdout: Some(stdout), stderr: Some(stderr) })
    }
}

/// A process that has just started. Dropping it ends and reaps it.
#[derive(Debug)]
struct Spawned {
    child: Child,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// Ends and reaps a process when dropped, unless it was reaped.
#[derive(Debug)]
struct Child {
    pid: Pid,
    fd: Option<OwnedFd>,
    /// The reaper's own handle.
    own: Option<(OwnedFd, Member)>,
    reaper: Reaper,
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some((fd, member)) = self.own.take() {
            // Fails only when the process has ended.
            let _ = pidfd_send_signal(&fd, Signal::KILL);
            self.reaper.reap(fd, member);
        }
    }
}

/// Starts the keeper, which ends the processes that a killed host leaves behind.
fn start_keeper(program: &Path, family: &Family) -> io::Result<Member> {
    let mut members = family.members();
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    let mut command = Command::new(program);
    command.arg("--keeper").arg(format!("{MARK}={}-", family.host())).env_clear();
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = i32::try_from(keeper.id()).ok().and_then(Pid::from_raw);
    let member = pid.map(|pid| family.join(&mut members, pid));
    let (pipe, member) = keeper.stdin.take().zip(member).ok_or_else(|| io::Error::other("it has no input"))?;
    family.set_keeper(pipe)?;
    Ok(member)
}

fn spawn(request: SpawnRequest, family: &Family, reaper: &Reaper) -> Result<Spawned, SpawnError> {
    let program = request.program.clone();
    let problem = |source| SpawnError::Os { program: program.clone(), source };
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    let mut command = Command::new(&request.program);
    // The environment has the operator's secrets, such as chat passwords. A plugin gets its configuration instead.
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "RUST_BACKTRACE" || name == "TZ"));
    command.args(&request.args).current_dir(&request.directory);
    command.stdin(request.input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut members = family.members();
    command.env(MARK, family.mark(&members));
    let mut process = command.spawn().map_err(problem)?;
    let raw = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let pid = raw.ok_or_else(|| problem(io::Error::other("it has no process id")))?;
    let member = family.join(&mut members, pid);
    drop(members);
    // The process is not reaped yet, so the id still belongs to it.
    let fd = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|error| problem(error.into()))?;
    // Not a clone: the reaper must block, and a clone would share the non-blocking mode.
    let own = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| problem(error.into()))?;
    let child = Child { pid, fd: Some(fd), own: Some((own, member)), reaper: reaper.clone() };
    match (process.stdout.take(), process.stderr.take()) {
        (Some(stdout), Some(stderr)) => Ok(Spawned { child, stdout: stdout.into(), stderr: stderr.into() }),
        _ => Err(problem(io::Error::other("it has no output"))),
    }
}

/// A running process. Dropping it ends it, and reaps it in the background.
#[derive(Debug)]
pub struct Process {
    watched: AsyncFd<OwnedFd>,
    child: Child,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Process {
    /// The process id, for people and for comparison with a socket's peer. Never signal it.
    pub fn pid(&self) -> u32 {
        self.child.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Its standard output and standard error. They can be taken once.
    pub fn take_output(&mut self) -> Option<(OwnedFd, OwnedFd)> {
        self.stdout.take().zip(self.stderr.take())
    }

    /// Waits for its end, and reaps it. Cancellation loses nothing. Call it to its end only once.
    pub async fn exited(&mut self) -> Exit {
        loop {
            let Ok(mut ready) = self.watched.readable().await else { return Exit::Unknown };
            match waitid(WaitId::PidFd(self.watched.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                Ok(Some(status)) => {
                    self.child.own = None;
                    return match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Exit::Code(code),
                        (None, Some(signal)) => Exit::Signal(signal),
                        (None, None) => Exit::Unknown,
                    };
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => ready.clear_ready(),
                Err(_) => {
                    self.child.own = None;
                    return Exit::Unknown;
                }
            }
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(self.watched.get_ref(), signal)?)
    }
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// Another process reaped it.
    Unknown,
}

impl Exit {
    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        if let Self::Signal(signal) = self { Some(*signal) } else { None }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(out, "exit status {code}"),
            Self::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(out, "killed by signal {signal} ({name})"),
                None => write!(out, "killed by signal {signal}"),
            },
            Self::Unknown => out.write_str("ended for an unknown reason"),
        }
    }
}

/// The signals that end processes in practice.
fn signal_name(signal: i32) -> Option<&'static str> {
    const NAMES: [(Signal, &str); 12] = [
        (Signal::ABORT, "SIGABRT: abort, or a panic that could not unwind"),
        (Signal::SEGV, "SIGSEGV: invalid memory access, or stack overflow"),
        (Signal::BUS, "SIGBUS: a mapped file got shorter"),
        (Signal::ILL, "SIGILL: a trap, or built for another processor"),
        (Signal::FPE, "SIGFPE: division by zero"),
        (Signal::KILL, "SIGKILL: by an operator, or the kernel was out of memory"),
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::SYS, "SIGSYS: a system call that is not allowed"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::XCPU, "SIGXCPU: too much processor time"),
    ];
    NAMES.iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| *name)
}

/// A thread that reaps processes that no task waits for any more.
#[derive(Debug, Clone)]
struct Reaper {
    ending: Option<blocking::SyncSender<(OwnedFd, Member)>>,
}

impl Reaper {
    fn start() -> Self {
        let (ending, waiting) = blocking::sync_channel::<(OwnedFd, Member)>(QUEUE);
        let thread = thread::Builder::new().name("rosey-reap".to_owned()).spawn(move || {
            for (fd, _member) in waiting {
                // The process was already killed, so this takes microseconds.
                while matches!(waitid(WaitId::PidFd(fd.as_fd()), WaitIdOptions::EXITED), Err(rustix::io::Errno::INTR)) {
                }
            }
        });
        Self { ending: thread.is_ok().then_some(ending) }
    }

    fn reap(&self, fd: OwnedFd, member: Member) {
        if let Some(ending) = &self.ending {
            // Full only after a thousand ends at once; then it is right to wait. Closed only at the end of the host.
            let _ = ending.send((fd, member));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::page::Page;
    use std::path::Path;

    async fn sh(spawner: &Spawner, script: &str) -> Process {
        let request = SpawnRequest {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            directory: std::env::temp_dir(),
            input: Page::create("secret").expect("there is memory").as_input().expect("a descriptor"),
        };
        spawner.spawn(request).await.expect("there is a shell")
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_told_as_it_was() {
        let spawner = Spawner::start().expect("a thread");
        assert_eq!(sh(&spawner, "exit 3").await.exited().await, Exit::Code(3));
        assert_eq!(sh(&spawner, "kill -ABRT $$").await.exited().await, Exit::Signal(6));
        assert_eq!(sh(&spawner, "read token; test \"$token\" = secret").await.exited().await, Exit::Code(0));
        assert_eq!(sh(&spawner, "test -z \"$HOME$CARGO_HOME\"").await.exited().await, Exit::Code(0));
        let mut sleeper = sh(&spawner, "exec sleep 600").await;
        sleeper.kill(Signal::KILL).expect("it sleeps");
        assert_eq!(
            sleeper.exited().await.to_string(),
            "killed by signal 9 (SIGKILL: by an operator, or the kernel was out of memory)"
        );
    }

    #[tokio::test]
    async fn dropped_processes_are_ended_and_reaped() {
        let spawner = Spawner::start().expect("a thread");
        let mut sleepers = Vec::new();
        for _ in 0..20 {
            sleepers.push(sh(&spawner, "exec sleep 600").await);
        }
        let entries: Vec<_> = sleepers.iter().map(|sleeper| format!("/proc/{}", sleeper.pid())).collect();
        drop(sleepers);
        while entries.iter().any(|entry| Path::new(entry).exists()) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_named() {
        let spawner = Spawner::start().expect("a thread");
        let request = SpawnRequest {
            program: "/nonexistent/shim".into(),
            args: vec![],
            directory: std::env::temp_dir(),
            input: std::fs::File::open("/dev/null").expect("it is always there").into(),
        };
        let error = spawner.spawn(request).await.expect_err("it is not there");
        assert!(error.to_string().contains("/nonexistent/shim"), "{error}");
    }
}
