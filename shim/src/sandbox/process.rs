//! Privileges, bounds and descriptors of this process.

use crate::link;
use rosey_wire::sandbox::SandboxPolicy;
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
    stdio::dup2_stdin,
    thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs},
};
use signal_hook::consts::SIGXFSZ;
use std::{
    fs::{self, File},
    os::fd::{FromRawFd, OwnedFd, RawFd},
    sync::{Arc, atomic::AtomicBool},
};

/// Open descriptors. Enough for a plugin that talks to hundreds of servers.
pub const MOST_DESCRIPTORS: u64 = 1024;

/// Bytes in one file. A plugin that fills a disk must at least make many files.
pub const LARGEST_FILE: u64 = 1 << 30;

/// The bounds, with the value of each.
pub fn bounds(policy: &SandboxPolicy) -> [(Resource, u64); 4] {
    [
        (Resource::Core, 0),
        (Resource::Nofile, MOST_DESCRIPTORS),
        (Resource::Fsize, LARGEST_FILE),
        (Resource::Data, policy.data_bytes),
    ]
}

/// Sets the bounds, as far as the machine lets it. `proof` reads them back.
pub fn limit(policy: &SandboxPolicy) {
    umask(Mode::RWXG | Mode::RWXO);
    for (resource, most) in bounds(policy) {
        // Where the host itself is bound more, so is this process.
        let most = getrlimit(resource).maximum.map_or(most, |bound| bound.min(most));
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
    // A write beyond the bound is an error then, and not the end of the process.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// No program that this process starts has more rights than this process, and this process has none of root's.
pub fn drop_privileges() {
    let _ = set_no_new_privs(true);
    // Only root has any. The bounding set first, because its removal needs one of them.
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if remove_capability_from_bounding_set(capability).is_err() {
            break;
        }
    }
    let none = CapabilitySet::empty();
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
}

/// The descriptors of this process that are neither its output nor the connection to the host.
pub fn foreign_descriptors() -> Vec<RawFd> {
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<RawFd> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The list has the descriptor of the folder itself, which is closed by now.
    let stays = |fd: &RawFd| fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_ok();
    numbers.into_iter().filter(|fd| *fd > 2 && Some(*fd) != link::descriptor()).filter(stays).collect()
}

/// Closes what a careless parent of the host left open for its children, and the standard input.
pub fn close_descriptors() {
    for fd in foreign_descriptors() {
        // SAFETY: no code of this process has opened this descriptor, because the link is the only one that the shim keeps,
        // and no other thread and no library runs yet. So nothing else owns it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    if let Ok(null) = File::open("/dev/null") {
        let _ = dup2_stdin(&null);
    }
}
