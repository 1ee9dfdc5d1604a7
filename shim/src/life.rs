//! Ends the shim with its host, and for no other reason.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::{Arc, atomic::AtomicBool};

/// Binds this process to the life of the host. A shim dies when its host dies, however that happens, and ignores the
/// signals that a terminal or a service manager sends to everyone: the host decides when a plugin stops. The shim
/// normally notices the end of the host by the end of the socket. The parent-death signal covers a plugin that never
/// returns to reading.
///
/// # Errors
/// A text for the operator, when this process is not a child of the host with this process id.
pub fn bind_to(host: &str) -> Result<(), String> {
    let host = host.parse().ok().and_then(Pid::from_raw).ok_or_else(|| format!("{host:?} is not a process id"))?;
    // Fails only for a process that already leads its group, such as one that a person started in a debugger.
    let _ = setsid();
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .map_err(|error| format!("cannot ignore signal {signal}: {error}"))?;
    }
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| format!("prctl: {error}"))?;
    // The host may have died before the line above took effect.
    if getppid() == Some(host) { Ok(()) } else { Err(format!("the host {} is gone", host.as_raw_nonzero())) }
}
