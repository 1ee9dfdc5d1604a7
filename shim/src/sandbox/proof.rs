//! Tries from inside what each rule forbids. A rule that does not hold is told as such: what counts is what the kernel
//! does, and not what it was asked for.

use super::{
    Found,
    calls::{may_connect, may_start_processes},
    files::Landlock,
    process::{bounds, foreign_descriptors},
};
use rosey_wire::sandbox::{Network, Profile, Rule, RuleState, SandboxPolicy};
use rustix::{
    io::Errno,
    process::{getppid, getrlimit, test_kill_process},
    thread::{capabilities, move_into_link_name_space, no_new_privs},
};
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    net::{TcpStream, UdpSocket},
    os::{fd::AsFd, unix::net::UnixDatagram},
    process::{Command, Stdio},
};

/// Tries everything. `no_filter` says why there is no filter for system calls, if there is none.
pub fn prove(policy: &SandboxPolicy, landlock: &Landlock, no_filter: Option<String>) -> Vec<Found> {
    Rule::ALL
        .into_iter()
        .map(|rule| {
            let (state, detail) = match rule {
                Rule::Privileges => holds(has_no_privileges(), "it keeps rights of root"),
                Rule::Limits => holds(is_limited(policy), "a bound could not be set"),
                Rule::Descriptors => holds(foreign_descriptors().is_empty(), "further descriptors are open"),
                Rule::Files => files(policy, landlock),
                Rule::Network => network(policy, landlock),
                Rule::Sockets => sockets(policy),
                Rule::Signals => holds(
                    is_refused(getppid().map_or(Ok(()), test_kill_process)),
                    "this kernel cannot keep signals inside of a plugin; Linux 6.12 can",
                ),
                Rule::Processes => processes(policy),
                Rule::Calls => calls(no_filter.as_deref()),
            };
            Found { rule, state, detail }
        })
        .collect()
}

type Verdict = (RuleState, String);

fn holds(holds: bool, otherwise: &str) -> Verdict {
    if holds { enforced("") } else { (RuleState::Unavailable, otherwise.to_owned()) }
}

fn enforced(detail: impl Into<String>) -> Verdict {
    (RuleState::Enforced, detail.into())
}

fn off(detail: &str) -> Verdict {
    (RuleState::Off, detail.to_owned())
}

/// Whether a call was refused by a rule, and not for another reason.
fn is_refused<T>(result: Result<T, Errno>) -> bool {
    matches!(result, Err(Errno::PERM | Errno::ACCESS))
}

fn is_refused_io<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::PermissionDenied)
}

fn has_no_privileges() -> bool {
    no_new_privs().unwrap_or_default() && capabilities(None).is_ok_and(|sets| sets.permitted.is_empty())
}

fn is_limited(policy: &SandboxPolicy) -> bool {
    bounds(policy).into_iter().all(|(resource, most)| getrlimit(resource).maximum.is_some_and(|bound| bound <= most))
}

fn files(policy: &SandboxPolicy, landlock: &Landlock) -> Verdict {
    if policy.profile == Profile::Open {
        return off("by the profile open");
    }
    // The folder of all plugins' folders, a file there, and the environment of the host.
    let others = fs::read_dir("..").map(drop);
    let made = File::create("../rosey-sandbox-proof").map(drop);
    let host = getppid().map_or(0, |host| host.as_raw_nonzero().get());
    let secrets = fs::read(format!("/proc/{host}/environ")).map(drop);
    if made.is_ok() {
        let _ = fs::remove_file("../rosey-sandbox-proof");
    }
    if [others, made, secrets].iter().all(is_refused_io) {
        return enforced(format!("landlock {}", landlock.version));
    }
    (RuleState::Unavailable, "this kernel has no landlock; Linux has it since 5.13, where it is turned on".to_owned())
}

fn network(policy: &SandboxPolicy, landlock: &Landlock) -> Verdict {
    if policy.profile == Profile::Open {
        return off("by the profile open");
    }
    if !may_connect(policy) {
        return holds(is_refused_io(&UdpSocket::bind("127.0.0.1:0")), "this kernel cannot filter system calls");
    }
    let Network::Ports(ports) = &policy.network else { return off("all is granted") };
    // Nothing listens there. Landlock refuses before anybody is asked.
    let forbidden = (1..).find(|port| !ports.contains(port)).unwrap_or(1);
    let named = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    match landlock.ports && is_refused_io(&TcpStream::connect(("127.0.0.1", forbidden))) {
        true => enforced(format!("TCP only to port {named}; UDP is open, for name resolution")),
        false => (RuleState::Unavailable, "this kernel cannot restrict ports; Linux can since 6.7".to_owned()),
    }
}

fn sockets(policy: &SandboxPolicy) -> Verdict {
    if policy.profile == Profile::Open {
        return off("by the profile open");
    }
    holds(is_refused_io(&UnixDatagram::unbound()), "this kernel cannot filter system calls")
}

fn processes(policy: &SandboxPolicy) -> Verdict {
    if may_start_processes(policy) {
        let why = if policy.profile == Profile::Open { "by the profile open" } else { "they are granted" };
        return off(why);
    }
    // A folder is no program. So even where this is not refused, nothing runs.
    #[expect(clippy::disallowed_methods, reason = "it tries that this fails")]
    let started = Command::new("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match started {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => enforced(""),
        _ => holds(false, "this kernel cannot filter system calls"),
    }
}

fn calls(no_filter: Option<&str>) -> Verdict {
    if let Some(why) = no_filter {
        return (RuleState::Unavailable, format!("this machine cannot filter system calls: {why}"));
    }
    // Without a filter, the kernel says of this file that it is no namespace.
    let asked = File::open("/dev/null").map(|null| move_into_link_name_space(null.as_fd(), None));
    holds(matches!(asked, Ok(Err(Errno::PERM))), "this kernel cannot filter system calls")
}
