//! Ties the shim's life to the host's, and to nothing else's.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::{Arc, atomic::AtomicBool};

/// A shim dies when its host dies, however that happens, and of nothing a terminal or a service manager sends to
/// everyone: the host decides when a plugin stops. End of file on the socket is the first line of defence; the parent
/// death signal is the second, for a plugin that never returns to reading.
///
/// # Errors
/// A text for the operator, when this is not a child of the host it was told of.
pub fn bind_to(host: &str) -> Result<(), String> {
    let host = host.parse().ok().and_then(Pid::from_raw).ok_or_else(|| format!("{host:?} is not a process id"))?;
    // Fails only for a process that leads its group already, as when started by hand under a debugger.
    let _ = setsid();
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .map_err(|error| format!("cannot ignore signal {signal}: {error}"))?;
    }
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| format!("prctl: {error}"))?;
    // The host may have died before the line above took hold.
    if getppid() == Some(host) { Ok(()) } else { Err(format!("the host {} is gone", host.as_raw_nonzero())) }
}
