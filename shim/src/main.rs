//! `rosey-shim`: loads one plugin library and serves it to the host that spawned it.
//!
//! One executable for every plugin. Its life: bind itself to the host's life (`life`), connect and prove itself
//! (`link`), then read frames until told to stop (`serve`), the first of which says what to load (`load`).
//! It has one thread, the main one, which sleeps in `read`; a plugin that awaits gets a second from its own library.
//!
//! One more of it runs beside each host as its `keeper`.
//!
//! It knows nothing of chat, of restarts, or of other plugins, and it keeps no state beyond the plugin's.

mod keeper;
mod life;
mod link;
mod load;
mod page;
mod serve;

use std::process::ExitCode;

/// Exit codes of the shim; the host shows them by these names.
mod exit {
    /// The host said stop, or went away.
    pub const DONE: u8 = 0;
    /// Not started by a host.
    pub const USAGE: u8 = 64;
    /// The connection to the host failed, or the host refused this shim.
    pub const LINK: u8 = 69;
    /// The host sent something that is not the protocol.
    pub const PROTOCOL: u8 = 76;
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let code = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--version"] => {
            println!("rosey-shim {} (protocol {})", env!("CARGO_PKG_VERSION"), rosey_wire::VERSION);
            exit::DONE
        }
        ["--keeper", mark] => {
            keeper::keep(mark);
            exit::DONE
        }
        [socket, host] => run(socket, host),
        _ => {
            eprintln!("rosey-shim is started by rosey, once for each plugin; there is nothing to run by hand");
            exit::USAGE
        }
    };
    ExitCode::from(code)
}

fn run(socket: &str, host: &str) -> u8 {
    if let Err(problem) = life::bind_to(host) {
        eprintln!("rosey-shim: {problem}");
        return exit::USAGE;
    }
    if let Err(problem) = link::open(socket) {
        eprintln!("rosey-shim: {problem}");
        return exit::LINK;
    }
    match serve::serve() {
        Ok(()) => exit::DONE,
        Err(problem) => {
            eprintln!("rosey-shim: {problem}");
            exit::PROTOCOL
        }
    }
}
