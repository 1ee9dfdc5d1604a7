//! `rosey` without a configuration: builds what is missing if cargo started it, and greets the user.

use crate::{artifact::profile_options, config::Config};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// The packages that the built-in default runs besides the host, built by one command. They and the host use the same features
/// of their common dependencies, so a later `cargo build -p dice-roller` builds only the dice roller, and the same library.
pub const PARTS: [&str; 3] = ["rosey-shim", "dice-roller", "eight-ball"];

/// A build that takes longer is announced, because people begin to wonder.
const SILENCE: Duration = Duration::from_secs(1);

/// Builds the shim and the plugins if `cargo run` started this, because that builds only the host.
///
/// # Errors
/// What to do, when the build failed.
pub fn build_parts() -> Result<(), String> {
    let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) else { return Ok(()) };
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    // The first time cargo shows its progress. Later it mostly has nothing to do.
    let is_first = !executable.with_file_name(PARTS[0]).exists();
    let (done, waiting) = mpsc::sync_channel::<()>(0);
    let announcer = thread::spawn(move || {
        let silence = if is_first { Duration::ZERO } else { SILENCE };
        if waiting.recv_timeout(silence) == Err(RecvTimeoutError::Timeout) {
            let parts = PARTS.join(", ");
            eprintln!("Building {parts}: `cargo run` builds the host alone, and these run in processes of their own.");
        }
    });
    let mut cargo = cargo();
    cargo.arg("build").current_dir(manifest.parent().unwrap_or(Path::new(".")));
    cargo.args((!is_first).then_some("--quiet")).args(profile_options(&executable));
    cargo.args(PARTS.iter().flat_map(|package| ["-p", package]));
    let built = match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{} could not be built; cargo says above why", PARTS.join(" or "))),
        Err(error) => Err(format!("cargo cannot be started to build {}: {error}", PARTS.join(" and "))),
    };
    drop(done);
    // The thread only writes a line.
    let _ = announcer.join();
    built
}

/// Cargo: the one that started this process, or the one in the path.
#[expect(clippy::disallowed_methods, reason = "the compiler needs the user's environment, and is waited for")]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    leave_package(&mut command);
    command
}

/// Takes away what cargo says of the package of this process: a build script that reads it would build again each time.
pub fn leave_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"CARGO_PKG_") || bytes.starts_with(b"CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
}

/// Prints three lines: what to type, where the dashboard is, how to stop.
pub fn greet(config: &Config, dashboard: Option<SocketAddr>) {
    let user = config.connect.console.as_ref().map_or("nobody", |console| &console.user);
    println!("Hello {user}. Type !roll 2d6+3, !8ball will it work?, !help, or !admin help: you are the owner here.");
    show_dashboard(dashboard);
    println!("Ctrl-D stops Rosey. State is kept in {}.", config.state_dir.display());
}

/// Prints where the dashboard is.
pub fn show_dashboard(dashboard: Option<SocketAddr>) {
    match dashboard {
        Some(address) => println!("Dashboard: http://{address}/"),
        None => println!("The dashboard did not start; the warning above says why."),
    }
}
