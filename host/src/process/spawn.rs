//! Processes of plugins: started by one thread, watched and ended through pidfds, always reaped.
//!
//! The parent death signal of a process is bound to the *thread* that started it, so all are started by one thread that
//! lives as long as the host. Nothing here ever signals a bare process id, which might be somebody else's by then.

use crate::{
    process::orphans::{Family, MARK, Member},
    report,
};
use rustix::{
    fd::{AsFd, OwnedFd},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid},
};
use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::mpsc as blocking,
    thread,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, oneshot},
};

/// Starts that may wait for the thread; each takes about a millisecond.
const QUEUE: usize = 1024;

/// What to start.
#[derive(Debug, Clone)]
pub struct SpawnRequest {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Written to its standard input as one line, which then ends. Not an argument: those can be read by everyone.
    pub token: String,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The operating system says no.
    #[error("{program}: {}", report::os(.source), program = .program.display())]
    Os {
        /// What was to be started.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The host is stopping.
    #[error("no more processes are started")]
    Closed,
}

type Job = (SpawnRequest, oneshot::Sender<Result<Spawned, SpawnError>>);

/// Starts processes. The thread ends when this is dropped, and with it every process that is still there.
#[derive(Debug)]
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
}

impl Spawner {
    /// Starts the thread. What its processes leave behind is somebody else's.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start() -> io::Result<Self> {
        Self::of(Family::without_orphans(), None)
    }

    /// Starts the thread. What its processes leave behind ends with them, and with this process, for which a keeper is
    /// started that outlives it. On a runtime. Once in a process.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start_with_keeper(keeper: PathBuf) -> io::Result<Self> {
        Self::of(Family::adopt_orphans()?, Some(keeper))
    }

    fn of(family: Family, keeper: Option<PathBuf>) -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE);
        thread::Builder::new().name("rosey-spawn".to_owned()).spawn(move || {
            let reaper = Reaper::start();
            // Held for as long as this process lives: its end is what the keeper waits for.
            let _keeper = keeper.and_then(|program| match start_keeper(&program, &family) {
                Ok(keeper) => Some(std::mem::ManuallyDrop::new(keeper)),
                Err(error) => {
                    let why = report::os(&error);
                    tracing::warn!(
                        "should Rosey be killed, what its plugins started may live on: {}: {why}",
                        program.display()
                    );
                    None
                }
            });
            while let Some((request, answer)) = waiting.blocking_recv() {
                // Whoever asked may have stopped waiting; the process then ends with the answer.
                let _ = answer.send(spawn(&request, &family, &reaper));
            }
        })?;
        Ok(Self { jobs })
    }

    /// Starts a process. Cancelled, a process that was started meanwhile is ended.
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

/// A process just started; ended and reaped when dropped.
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
    /// For the reaper.
    own: Option<(OwnedFd, Member)>,
    reaper: Reaper,
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some((fd, member)) = self.own.take() {
            // Fails only when it has ended.
            let _ = pidfd_send_signal(&fd, Signal::KILL);
            self.reaper.reap(fd, member);
        }
    }
}

/// Starts the process that ends what is left behind by one that is killed. Gives what it waits for the end of.
fn start_keeper(program: &Path, family: &Family) -> io::Result<(ChildStdin, Member)> {
    let mut members = family.members();
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    let mut command = Command::new(program);
    command.arg("--keeper").arg(format!("{MARK}={}-", family.host())).env_clear();
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = i32::try_from(keeper.id()).ok().and_then(Pid::from_raw);
    let member = pid.map(|pid| family.join(&mut members, pid));
    keeper.stdin.take().zip(member).ok_or_else(|| io::Error::other("it has no input"))
}

fn spawn(request: &SpawnRequest, family: &Family, reaper: &Reaper) -> Result<Spawned, SpawnError> {
    let problem = |source| SpawnError::Os { program: request.program.clone(), source };
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    let mut command = Command::new(&request.program);
    // The environment holds the operator's secrets, chat passwords among them. A plugin gets its configuration instead.
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "RUST_BACKTRACE" || name == "TZ"));
    command.args(&request.args).current_dir(&request.directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut members = family.members();
    command.env(MARK, family.mark(&members));
    let mut process = command.spawn().map_err(problem)?;
    let raw = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let pid = raw.ok_or_else(|| problem(io::Error::other("it has no process id")))?;
    let member = family.join(&mut members, pid);
    drop(members);
    // Not reaped yet, so the id is still its own.
    let fd = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|error| problem(error.into()))?;
    // Not a clone: the reaper must block, and whether waiting blocks belongs to what a clone would share.
    let own = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| problem(error.into()))?;
    let child = Child { pid, fd: Some(fd), own: Some((own, member)), reaper: reaper.clone() };
    if let Some(mut input) = process.stdin.take() {
        // A pipe holds a line; a process that is gone already shows in its exit.
        let _ = input.write_all(format!("{}\n", request.token).as_bytes());
    }
    match (process.stdout.take(), process.stderr.take()) {
        (Some(stdout), Some(stderr)) => Ok(Spawned { child, stdout: stdout.into(), stderr: stderr.into() }),
        _ => Err(problem(io::Error::other("it has no output"))),
    }
}

/// A running process. Dropped, it is ended and reaped in the background.
#[derive(Debug)]
pub struct Process {
    watched: AsyncFd<OwnedFd>,
    child: Child,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Process {
    /// Its process id, for people and for comparison with a socket's peer; not for signals.
    pub fn pid(&self) -> u32 {
        self.child.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Its output, once: standard output and standard error.
    pub fn take_output(&mut self) -> Option<(OwnedFd, OwnedFd)> {
        self.stdout.take().zip(self.stderr.take())
    }

    /// Waits for its end, and reaps it. Cancelled, nothing is lost. To be called once.
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
    /// When it has ended.
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(self.watched.get_ref(), signal)?)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Somebody else reaped it.
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
            Self::Unknown => out.write_str("ended, nobody knows how"),
        }
    }
}

/// The signals that end a process in practice.
fn signal_name(signal: i32) -> Option<&'static str> {
    const NAMES: [(Signal, &str); 12] = [
        (Signal::ABORT, "SIGABRT: abort, or a panic that could not unwind"),
        (Signal::SEGV, "SIGSEGV: access to memory that is not there, or stack overflow"),
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

/// A thread that waits for processes nobody else waits for.
#[derive(Debug, Clone)]
struct Reaper {
    ending: Option<blocking::SyncSender<(OwnedFd, Member)>>,
}

impl Reaper {
    fn start() -> Self {
        let (ending, waiting) = blocking::sync_channel::<(OwnedFd, Member)>(QUEUE);
        let thread = thread::Builder::new().name("rosey-reap".to_owned()).spawn(move || {
            for (fd, _member) in waiting {
                // Already killed, so this is a matter of microseconds.
                while matches!(waitid(WaitId::PidFd(fd.as_fd()), WaitIdOptions::EXITED), Err(rustix::io::Errno::INTR)) {
                }
            }
        });
        Self { ending: thread.is_ok().then_some(ending) }
    }

    fn reap(&self, fd: OwnedFd, member: Member) {
        if let Some(ending) = &self.ending {
            // Full only after a thousand at once, and then waiting is right; closed only at the end of the host.
            let _ = ending.send((fd, member));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    async fn sh(spawner: &Spawner, script: &str) -> Process {
        let request = SpawnRequest {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            directory: std::env::temp_dir(),
            token: "secret".into(),
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
            token: String::new(),
        };
        let error = spawner.spawn(request).await.expect_err("it is not there");
        assert!(error.to_string().contains("/nonexistent/shim"), "{error}");
    }
}
