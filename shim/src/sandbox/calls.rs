//! Seccomp: the system calls that the plugin may make.
//!
//! Two filters, of which the strictest answer counts. One judges the arguments of the few calls that harm only with some
//! of them. The other decides by number (`table`): what ordinary programs call is allowed, what harms others gets EPERM, and the rest
//! gets ENOSYS, because programs then try an older call. So do calls whose arguments are in memory, where no filter sees
//! them. The kernel remembers which calls are always allowed, so an event costs nothing.

use super::{
    list,
    table::{self, Answer},
};
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
    // Both are made before the first one counts. The second one refuses further filters.
    for program in [by_arguments(policy, landlock).map_err(|error| error.to_string())?, by_number(policy, landlock)] {
        apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn by_number(policy: &SandboxPolicy, landlock: u8) -> BpfProgram {
    let is_open = policy.profile == Profile::Open;
    let allowed = list::allowed(policy.profile).filter(|_| !is_open).map(|call| (call, Answer::Allow));
    let unseen = list::UNSEEN.iter().map(|call| (*call, Answer::Fail(libc::ENOSYS)));
    let unseen = unseen.chain((landlock < 3).then_some((libc::SYS_openat2, Answer::Fail(libc::ENOSYS))));
    let refused = harmful(policy, landlock).into_iter().map(|call| (call, Answer::Fail(EPERM)));
    let otherwise = if is_open { Answer::Allow } else { Answer::Fail(libc::ENOSYS) };
    table::program(allowed.chain(unseen).chain(refused), otherwise)
}

/// What harms others, whatever its arguments are.
fn harmful(policy: &SandboxPolicy, landlock: u8) -> Vec<Call> {
    let mut calls = list::HARMFUL.to_vec();
    if !may_start_processes(policy) {
        calls.extend(list::STARTS.iter().chain(&list::SIGNALS));
    }
    if policy.profile != Profile::Open {
        calls.extend((!may_connect(policy)).then_some(libc::SYS_socket));
        // Before landlock 3, it does not keep files from being shortened.
        calls.extend((landlock < 3).then_some(libc::SYS_truncate));
    }
    calls
}

/// What harms others with some arguments.
fn by_arguments(policy: &SandboxPolicy, landlock: u8) -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = harmful_arguments(policy, landlock)?;
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(EPERM.unsigned_abs()), arch)?.try_into()
}

fn harmful_arguments(policy: &SandboxPolicy, landlock: u8) -> Result<Rules, seccompiler::BackendError> {
    let mut rules = Rules::new();
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
