//! Seccomp: the system calls that the plugin may make.
//!
//! Three filters, of which the strictest answer counts. The first knows what ordinary programs call and answers
//! ENOSYS to the rest, because programs then try an older call. The second does the same for calls that the other filters
//! cannot judge: their arguments are in memory. The third answers EPERM to what harms others. The kernel remembers for
//! each call that is always allowed that it is, so an event costs nothing.

use super::list;
use libc::{
    AF_INET, AF_INET6, AF_NETLINK, CLONE_PARENT, CLONE_THREAD, EPERM, F_SETOWN, SOCK_DGRAM, SOCK_STREAM, c_long,
};
use rosey_wire::sandbox::{Network, Profile, SandboxPolicy};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use std::{collections::BTreeMap, process};

/// Calls with the arguments for which the filter matches; no rule means all.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The low bits of a socket's type: what is above them are flags.
const SOCKET_TYPE: u64 = 0xf;

/// The kinds of sockets that can forge packets, or whose addresses are files: raw, reliable datagrams, sequential packets,
/// DCCP, packet.
const OTHER_TYPES: [u64; 5] = [3, 4, 5, 6, 10];

const F_SETSIG: u64 = 10;
const F_SETOWN_EX: u64 = 15;

/// Requests of `ioctl` that send signals to others, or type into a terminal.
const FORBIDDEN_IOCTLS: [u64; 4] = [0x8901, 0x8902, 0x5412, 0x541c];

/// Requests of `prctl` after which a process would outlive the host.
const PR_SET_PDEATHSIG: u64 = 1;

/// Flags of `clone` for a child that belongs to the host, or that lives in a world of its own.
const FORBIDDEN_CLONES: [u64; 8] =
    [CLONE_PARENT as u64, 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// Filters the system calls of this process, for ever. `landlock` is the version of landlock in force.
///
/// # Errors
/// A text for the operator, when this machine cannot do it.
pub fn filter(policy: &SandboxPolicy, landlock: u8) -> Result<(), String> {
    // Everything is compiled before the first filter counts.
    for program in programs(policy, landlock).map_err(|error| error.to_string())? {
        apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn programs(policy: &SandboxPolicy, landlock: u8) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    let mut filters = Vec::new();
    if policy.profile != Profile::Open {
        let allowed = list::allowed(policy.profile).map(|call| (call, vec![])).collect();
        filters.push(SeccompFilter::new(allowed, refuse(libc::ENOSYS), SeccompAction::Allow, arch)?);
    }
    filters.push(SeccompFilter::new(opaque(landlock), SeccompAction::Allow, refuse(libc::ENOSYS), arch)?);
    filters.push(SeccompFilter::new(harmful(policy, landlock)?, SeccompAction::Allow, refuse(EPERM), arch)?);
    filters.into_iter().map(BpfProgram::try_from).collect()
}

fn opaque(landlock: u8) -> Rules {
    let mut calls =
        vec![libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    if landlock < 3 {
        calls.push(libc::SYS_openat2);
    }
    calls.into_iter().map(|call| (call, vec![])).collect()
}

/// What harms other processes, the machine, or the host.
fn harmful(policy: &SandboxPolicy, landlock: u8) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = list::HARMFUL.iter().map(|call| (*call, vec![])).collect();
    let is_open = policy.profile == Profile::Open;
    let me = u64::from(process::id());
    // Each of them changes another process where its first argument names one.
    for call in [
        libc::SYS_prlimit64,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setattr,
    ] {
        rules.insert(call, vec![all(&[is_not(0, 0)?, is_not(0, me)?])?]);
    }
    for call in [libc::SYS_setpriority, libc::SYS_ioprio_set] {
        rules.insert(call, vec![all(&[is_not(1, 0)?, is_not(1, me)?])?]);
    }
    rules.insert(libc::SYS_fcntl, each(1, &[F_SETOWN as u64, F_SETSIG, F_SETOWN_EX])?);
    rules.insert(libc::SYS_ioctl, each(1, &FORBIDDEN_IOCTLS)?);
    if may_start_processes(policy) {
        rules.insert(
            libc::SYS_clone,
            FORBIDDEN_CLONES.iter().map(|flag| all(&[has(0, *flag)?])).collect::<Result<_, _>>()?,
        );
    } else {
        rules.extend(list::STARTS.iter().chain(&list::SIGNALS).map(|call| (*call, vec![])));
        rules.insert(libc::SYS_clone, vec![all(&[lacks(0, CLONE_THREAD as u64)?])?]);
        rules.insert(libc::SYS_prctl, each(0, &[PR_SET_PDEATHSIG])?);
        for call in [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo] {
            rules.insert(call, vec![all(&[is_not(0, me)?])?]);
        }
    }
    if !is_open {
        rules.extend(sockets(policy)?);
        // Before landlock 3, opening a file to read could empty it.
        if landlock < 3 {
            rules.insert(libc::SYS_truncate, vec![]);
            let empties = (libc::O_TRUNC | libc::O_ACCMODE) as u64;
            rules.insert(libc::SYS_openat, vec![all(&[masked(2, empties, libc::O_TRUNC as u64)?])?]);
            #[cfg(target_arch = "x86_64")]
            rules.insert(libc::SYS_open, vec![all(&[masked(1, empties, libc::O_TRUNC as u64)?])?]);
        }
    }
    Ok(rules)
}

/// Unix sockets reach the control socket and other services of this machine. A pair is only connected to itself.
fn sockets(policy: &SandboxPolicy) -> Result<Rules, seccompiler::BackendError> {
    let pair = vec![all(&[is_not(0, libc::AF_UNIX as u64)?])?];
    let no_stream = [SOCK_DGRAM as u64].iter().chain(&OTHER_TYPES);
    let no_stream = no_stream.map(|kind| all(&[masked(1, SOCKET_TYPE, *kind)?])).collect::<Result<Vec<_>, _>>()?;
    let mut rules = Rules::from([(libc::SYS_socketpair, pair.into_iter().chain(no_stream).collect())]);
    if !may_connect(policy) {
        rules.insert(libc::SYS_socket, vec![]);
        return Ok(rules);
    }
    let families = [AF_INET, AF_INET6, AF_NETLINK].map(|family| is_not(0, family as u64));
    let mut socket = vec![all(&families.into_iter().collect::<Result<Vec<_>, _>>()?)?];
    for kind in OTHER_TYPES {
        // Name resolution asks netlink with a raw socket, which there is an ordinary one.
        socket.push(all(&[is_not(0, AF_NETLINK as u64)?, masked(1, SOCKET_TYPE, kind)?])?);
    }
    socket.push(all(&[is(0, AF_NETLINK as u64)?, is_not(2, 0)?])?);
    // Older than TCP's ports: nothing else than TCP may have streams.
    for family in [AF_INET, AF_INET6] {
        let stream = masked(1, SOCKET_TYPE, SOCK_STREAM as u64)?;
        socket.push(all(&[is(0, family as u64)?, stream, is_not(2, 0)?, is_not(2, libc::IPPROTO_TCP as u64)?])?);
    }
    rules.insert(libc::SYS_socket, socket);
    Ok(rules)
}

/// Whether the plugin may start processes.
pub fn may_start_processes(policy: &SandboxPolicy) -> bool {
    match policy.profile {
        Profile::Open => true,
        Profile::Standard => policy.processes,
        Profile::Strict => false,
    }
}

/// Whether the plugin may have sockets.
pub fn may_connect(policy: &SandboxPolicy) -> bool {
    policy.profile == Profile::Open || (policy.profile == Profile::Standard && policy.network != Network::None)
}

type Condition = Result<SeccompCondition, seccompiler::BackendError>;

fn compare(argument: u8, operator: SeccompCmpOp, value: u64) -> Condition {
    // Every argument that is compared here is an int, or has only flags below 32 bits.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn is(argument: u8, value: u64) -> Condition {
    compare(argument, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: u64) -> Condition {
    compare(argument, SeccompCmpOp::Ne, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Condition {
    compare(argument, SeccompCmpOp::MaskedEq(mask), value)
}

fn has(argument: u8, flag: u64) -> Condition {
    masked(argument, flag, flag)
}

fn lacks(argument: u8, flag: u64) -> Condition {
    masked(argument, flag, 0)
}

fn all(conditions: &[SeccompCondition]) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions.to_vec())
}

fn each(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    values.iter().map(|value| all(&[is(argument, *value)?])).collect()
}

/// The type of a system call's number.
pub type Call = c_long;
