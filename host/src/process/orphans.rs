//! Ends the processes that plugins start and leave behind, together with the plugin's own process.
//!
//! Every process of a plugin is in the session of its shim, which the sandbox lets it not leave, and inherits a mark in
//! its environment that names its shim. The host is the subreaper of all of them, so a process that loses its parent
//! becomes the host's child. The host reaps it when it has ended, lets it live while its shim lives, and then kills it. If
//! the host itself is killed, the keeper (a second small process, see the shim's `keeper`) kills every process in a
//! session that the host named to it, and every process with a mark of that host.
//!
//! Where system calls cannot be filtered, a process that leaves its session, its parent and its mark at the same time
//! escapes the keeper, and if the host is process 1, also the host: it looks like a process that an operator started.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    fs::{OFlags, fcntl_setfl},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal, set_child_subreaper,
        waitid,
    },
};
use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    process::ChildStdin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::signal::unix::{SignalKind, signal};

/// The environment variable of every process of a plugin: `HOST-SHIM`.
pub const MARK: &str = "ROSEY_PROCESS";

/// Time for a killed process to end. One that waits for a disk takes longer, and the next pass ends it.
const ENDS_WITHIN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// All processes that this host has started. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Family(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The beginning of all marks of this host, unique to it.
    host: String,
    members: Mutex<Members>,
    /// Requests a pass over the orphans; `None` where no orphans come.
    look: Option<SyncSender<()>>,
    /// Where the keeper reads which sessions there are.
    keeper: OnceLock<ChildStdin>,
}

/// The processes that have not been reaped, by the numbers in their marks.
#[derive(Debug, Default)]
pub struct Members {
    next: u64,
    processes: HashMap<u64, Pid>,
    /// The sessions that have ended since the last pass over the orphans.
    ended: Vec<Pid>,
}

/// The membership of one process, from its start until it is reaped.
#[derive(Debug)]
pub struct Member {
    number: u64,
    family: Family,
}

impl Drop for Member {
    fn drop(&mut self) {
        let ended = {
            let mut members = self.family.members();
            let ended = members.processes.remove(&self.number);
            if self.family.0.look.is_some() {
                members.ended.extend(ended);
            }
            ended
        };
        if let Some(session) = ended {
            self.family.tell_keeper('-', session);
        }
        self.family.look();
    }
}

impl Family {
    /// A family that leaves orphans alone. For tests, which have other children.
    pub fn without_orphans() -> Self {
        Self(Arc::new(Inner { host: host(), members: Mutex::default(), look: None, keeper: OnceLock::new() }))
    }

    /// A family whose orphans become children of this process, and end with the process that they come from. Needs a
    /// runtime, which reports the ends of children.
    ///
    /// # Errors
    /// When the system has no more threads or descriptors.
    pub fn adopt_orphans() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let (look, looks) = sync_channel(1);
        let family = Self(Arc::new(Inner {
            host: host(),
            members: Mutex::default(),
            look: Some(look),
            keeper: OnceLock::new(),
        }));
        let mut ended = signal(SignalKind::child())?;
        let told = Arc::downgrade(&family.0);
        tokio::spawn(async move {
            while ended.recv().await.is_some()
                && let Some(family) = told.upgrade()
            {
                Self(family).look();
            }
        });
        let watched = Arc::downgrade(&family.0);
        thread::Builder::new().name("rosey-orphans".to_owned()).spawn(move || {
            watch(&looks, || watched.upgrade().is_some_and(|family| Self(family).end_orphans()));
        })?;
        Ok(family)
    }

    /// The beginning of all marks of this host.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The lock to hold while a process starts: until the process is a member, it looks like an orphan.
    pub fn members(&self) -> MutexGuard<'_, Members> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a process with the mark `mark` a member.
    pub fn join(&self, members: &mut Members, pid: Pid) -> Member {
        members.processes.insert(members.next, pid);
        members.next += 1;
        self.tell_keeper('+', pid);
        Member { number: members.next - 1, family: self.clone() }
    }

    /// Sets the pipe on which the keeper learns of sessions. The keeper waits for its end, which is that of this process.
    ///
    /// # Errors
    /// When the pipe cannot be made to never block.
    pub fn set_keeper(&self, pipe: ChildStdin) -> io::Result<()> {
        fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        let _ = self.0.keeper.set(pipe);
        Ok(())
    }

    /// Tells the keeper of a session that began (`+`) or ended (`-`).
    fn tell_keeper(&self, what: char, session: Pid) {
        if let Some(mut keeper) = self.0.keeper.get() {
            // A keeper that does not read misses it, and still finds processes by their mark.
            let _ = keeper.write_all(format!("{what}{}\n", session.as_raw_nonzero()).as_bytes());
        }
    }

    /// The mark of the next process.
    pub fn mark(&self, members: &Members) -> String {
        format!("{}-{}", self.0.host, members.next)
    }

    fn look(&self) {
        if let Some(look) = &self.0.look {
            // The channel is full when a pass is due anyway.
            let _ = look.try_send(());
        }
    }

    /// Reaps and ends orphans until none is left. Always returns true.
    fn end_orphans(&self) -> bool {
        let ended = std::mem::take(&mut self.members().ended);
        let mut more = true;
        while more {
            let orphans: Vec<Pid> = {
                let members = self.members();
                let is_member = |pid: &Pid| members.processes.values().any(|member| member == pid);
                children().into_iter().filter(|pid| !is_member(pid)).collect()
            };
            // The children of an ended orphan become children of this process in turn.
            more =
                orphans.into_iter().filter(|pid| is_over(*pid) || (!self.is_wanted(*pid, &ended) && end(*pid))).count()
                    > 0;
        }
        true
    }

    /// Whether an orphan's plugin still runs, or its plugin is unknown. `ended` are sessions of plugins that have ended.
    fn is_wanted(&self, pid: Pid, ended: &[Pid]) -> bool {
        if let Some(session) = session(pid) {
            if self.members().processes.values().any(|member| *member == session) {
                return true;
            }
            if ended.contains(&session) {
                return false;
            }
        }
        let number = mark(pid).and_then(|mark| mark.strip_prefix(&self.0.host)?.strip_prefix('-')?.parse().ok());
        match number {
            Some(number) => self.members().processes.contains_key::<u64>(&number),
            // In a container all orphans become children of process 1, including those of an operator's shell.
            None => getpid() == Pid::INIT,
        }
    }
}

/// Makes a pass at each request, until the family is gone.
fn watch(looks: &Receiver<()>, mut look: impl FnMut() -> bool) {
    for () in looks {
        if !look() {
            return;
        }
    }
}

/// A name for this host that no other host has had.
fn host() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:x}", std::process::id(), since.as_nanos())
}

fn mark(pid: Pid) -> Option<String> {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="));
    String::from_utf8(value?.to_vec()).ok()
}

/// Whether a process belongs to a plugin: the leader of its session is a child of this process. Also true of a process
/// that is gone, because no record says what it was.
pub fn is_of_a_plugin(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return true };
    match session(pid) {
        Some(session) => children().contains(&session),
        None => !fs::exists(format!("/proc/{}", pid.as_raw_nonzero())).unwrap_or_default(),
    }
}

/// The children of this process in the session of `root`, which leads it: their parents have ended.
pub fn left_behind_in(root: u32) -> Vec<u32> {
    let Some(root) = i32::try_from(root).ok().and_then(Pid::from_raw) else { return Vec::new() };
    let left = children().into_iter().filter(|pid| *pid != root && session(*pid) == Some(root));
    left.map(|pid| pid.as_raw_nonzero().get().unsigned_abs()).collect()
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

/// The children of this process, including those that have ended.
fn children() -> Vec<Pid> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>())
        .collect()
}

/// Reaps a child that has ended. Returns false while it runs.
fn is_over(pid: Pid) -> bool {
    matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(Some(_)))
}

/// Kills a child and reaps it. Returns false when it still exists.
fn end(pid: Pid) -> bool {
    let kill = |process: OwnedFd| {
        pidfd_send_signal(&process, Signal::KILL)?;
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&ENDS_WITHIN))
    };
    // Only this thread reaps it, so the process id still belongs to it.
    match pidfd_open(pid, PidfdFlags::empty()).and_then(kill) {
        Ok(_) => is_over(pid),
        Err(error) => {
            tracing::debug!("process {}, which a plugin started, cannot be ended: {error}", pid.as_raw_nonzero());
            false
        }
    }
}
