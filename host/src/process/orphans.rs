//! What plugins start besides their own process, and leave behind: it ends with the process that started it.
//!
//! Every process of a plugin inherits a mark in its environment that names the shim it comes from. The host is the
//! subreaper of all of them, so whatever loses its parent becomes the host's own child. There it is reaped when it has
//! ended, kept while its shim lives, and killed when that is gone. Should the host itself be killed, the keeper (a second
//! small process, see the shim's `keeper`) kills whatever bears a mark of that host.
//!
//! What sheds its mark and leaves its parent at the same time escapes the keeper, and as process 1 the host too: such a
//! process looks like one that somebody else has started.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal, set_child_subreaper,
        waitid,
    },
};
use std::{
    collections::HashMap,
    fs, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::signal::unix::{SignalKind, signal};

/// The variable in the environment of every process of a plugin: `HOST-SHIM`.
pub const MARK: &str = "ROSEY_PROCESS";

/// For a process to end that was killed. One that waits for a disk takes longer, and is left to the next look.
const ENDS_WITHIN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// All processes that this host has started. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Family(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What all marks begin with; no other host has it.
    host: String,
    members: Mutex<Members>,
    /// Says that it is worth a look; nothing where no orphans come.
    look: Option<SyncSender<()>>,
}

/// The processes that have not been reaped, by the numbers in their marks.
#[derive(Debug, Default)]
pub struct Members {
    next: u64,
    processes: HashMap<u64, Pid>,
}

/// The membership of one process, from its start until it is reaped.
#[derive(Debug)]
pub struct Member {
    number: u64,
    family: Family,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.family.members().processes.remove(&self.number);
        self.family.look();
    }
}

impl Family {
    /// One whose orphans are somebody else's: for tests, which have children of their own.
    pub fn without_orphans() -> Self {
        Self(Arc::new(Inner { host: host(), members: Mutex::default(), look: None }))
    }

    /// One whose orphans come to this process, and are ended with those they come from. On a runtime, which is told of the
    /// ends of children.
    ///
    /// # Errors
    /// When the system has no more of what it takes.
    pub fn adopt_orphans() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let (look, looks) = sync_channel(1);
        let family = Self(Arc::new(Inner { host: host(), members: Mutex::default(), look: Some(look) }));
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

    /// What all marks of this host begin with.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// To be held while a process is started: until it is a member, it looks like an orphan.
    pub fn members(&self) -> MutexGuard<'_, Members> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a process that was started with the mark `mark` a member.
    pub fn join(&self, members: &mut Members, pid: Pid) -> Member {
        members.processes.insert(members.next, pid);
        members.next += 1;
        Member { number: members.next - 1, family: self.clone() }
    }

    /// The mark of the next process.
    pub fn mark(&self, members: &Members) -> String {
        format!("{}-{}", self.0.host, members.next)
    }

    fn look(&self) {
        if let Some(look) = &self.0.look {
            // Full when a look is due in any case.
            let _ = look.try_send(());
        }
    }

    /// Reaps and ends orphans until none is left. Always true.
    fn end_orphans(&self) -> bool {
        let mut more = true;
        while more {
            let orphans: Vec<Pid> = {
                let members = self.members();
                let is_member = |pid: &Pid| members.processes.values().any(|member| member == pid);
                children().into_iter().filter(|pid| !is_member(pid)).collect()
            };
            // What one of them leaves behind comes to this process in turn.
            more = orphans.into_iter().filter(|pid| is_over(*pid) || (!self.is_wanted(*pid) && end(*pid))).count() > 0;
        }
        true
    }

    /// Whether an orphan's plugin still runs, or nobody knows whose it is.
    fn is_wanted(&self, pid: Pid) -> bool {
        let number = mark(pid).and_then(|mark| mark.strip_prefix(&self.0.host)?.strip_prefix('-')?.parse().ok());
        match number {
            Some(number) => self.members().processes.contains_key::<u64>(&number),
            // All orphans of a container come to process 1, those of an operator's shell too.
            None => getpid() == Pid::INIT,
        }
    }
}

/// Looks whenever it is worth it, until there is nobody to look for.
fn watch(looks: &Receiver<()>, mut look: impl FnMut() -> bool) {
    for () in looks {
        if !look() {
            return;
        }
    }
}

/// A name for this host that no other has had.
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

/// The children of this process, those that have ended too.
fn children() -> Vec<Pid> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>())
        .collect()
}

/// Reaps a child that has ended. False while it runs.
fn is_over(pid: Pid) -> bool {
    matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(Some(_)))
}

/// Kills a child and reaps it. False when it is still there.
fn end(pid: Pid) -> bool {
    let kill = |process: OwnedFd| {
        pidfd_send_signal(&process, Signal::KILL)?;
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&ENDS_WITHIN))
    };
    // Nobody else reaps it, so the process id is still its own.
    match pidfd_open(pid, PidfdFlags::empty()).and_then(kill) {
        Ok(_) => is_over(pid),
        Err(error) => {
            tracing::debug!("process {} is left over from a plugin and cannot be ended: {error}", pid.as_raw_nonzero());
            false
        }
    }
}
