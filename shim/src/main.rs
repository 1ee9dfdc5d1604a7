//! `rosey-shim`: loads one plugin library and serves it to the host that spawned it.
//!
//! All plugins use the same executable. It binds itself to the life of the host (`life`), connects and proves itself
//! (`link`), and then reads frames until the host tells it to stop (`serve`). The first frame says what the plugin may do
//! (`sandbox`), the second names the library to load (`load`). The shim has one thread, which sleeps in `poll`; a plugin that awaits gets a second one from its own
//! library.
//!
//! One more rosey-shim runs beside each host as its `keeper`.
//!
//! The shim knows nothing about chat, restarts, or other plugins, and keeps no state except the plugin's.

mod keeper;
mod life;
mod link;
mod load;
mod page;
mod sandbox;
mod serve;

use std::process::ExitCode;

/// Exit codes of the shim; the host shows them by these names.
mod exit {
    /// The host told the shim to stop, or went away.
    pub const DONE: u8 = 0;
    /// No host started this process.
    pub const USAGE: u8 = 64;
    /// The connection to the host failed, or the host refused this shim.
    pub const LINK: u8 = 69;
    /// The host sent a message that is not of the protocol.
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
            eprintln!("rosey starts rosey-shim, once for each plugin; do not start it yourself");
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
    if let Err(problem) = page::map().and_then(|token| link::open(socket, &token)) {
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
