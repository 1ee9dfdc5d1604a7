//! What the host tells the program that started it, by the protocol of systemd: datagrams to the socket `NOTIFY_SOCKET`.

use std::{
    ffi::{OsStr, OsString},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// The socket of the supervisor, if there is one.
pub(super) struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// The longest silence that the supervisor takes for a sign of life.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Reads the environment.
    pub fn of_environment() -> Self {
        let path = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        let socket = path.and_then(|path| {
            let address = address(&path)?;
            let socket = UnixDatagram::unbound().and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
            match socket {
                Ok(socket) => Some((socket, address)),
                Err(error) => {
                    tracing::warn!("NOTIFY_SOCKET cannot be used: {error}");
                    None
                }
            }
        });
        let watchdog =
            watchdog(std::env::var_os("WATCHDOG_USEC"), std::env::var_os("WATCHDOG_PID"), std::process::id());
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// Sends lines such as `READY=1`. A supervisor that does not read them decides for itself.
    pub fn tell(&self, lines: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(lines.as_bytes(), address)
        {
            tracing::debug!("the supervisor does not take {lines:?}: {error}");
        }
    }

    /// Gives signs of life for ever. Call it on the thread that moves events: if that hangs, the supervisor notices.
    pub async fn give_signs_of_life(&self) {
        let Some(silence) = self.watchdog else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(silence / 2);
        loop {
            ticks.tick().await;
            self.tell("WATCHDOG=1");
        }
    }
}

/// The address that a path names; `@` at its beginning stands for an abstract name.
fn address(path: &OsStr) -> Option<SocketAddr> {
    match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(path),
    }
    .inspect_err(|error| tracing::warn!("NOTIFY_SOCKET is no address of a socket: {error}"))
    .ok()
}

/// The time in the environment, if it is meant for this process.
fn watchdog(micros: Option<OsString>, process: Option<OsString>, me: u32) -> Option<Duration> {
    let number = |text: &OsString| text.to_str()?.parse::<u64>().ok();
    if process.is_some_and(|process| number(&process) != Some(me.into())) {
        return None;
    }
    number(&micros?).filter(|micros| *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_of_another_process_is_not_fed() {
        let text = |text: &str| Some(OsString::from(text));
        assert_eq!(watchdog(text("30000000"), text("7"), 7), Some(Duration::from_secs(30)));
        assert_eq!(watchdog(text("30000000"), None, 7), Some(Duration::from_secs(30)));
        assert_eq!(watchdog(text("30000000"), text("8"), 7), None);
        for nothing in [None, text("0"), text("soon")] {
            assert_eq!(watchdog(nothing, None, 7), None);
        }
    }

    #[test]
    fn a_name_in_the_file_system_and_an_abstract_one_are_addresses() {
        assert!(address(OsStr::new("/run/notify")).is_some_and(|address| address.as_pathname().is_some()));
        assert!(address(OsStr::new("@notify")).is_some_and(|address| address.as_abstract_name() == Some(b"notify")));
    }
}
