//! `rosey` without a configuration: builds what is missing when it was started by cargo, and greets.

use crate::config::Config;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// What the built-in default runs besides the host itself.
const PARTS: [&str; 3] = ["rosey-shim", "dice-roller", "eight-ball"];

/// Builds the shim and the plugins when this was started by `cargo run`, which builds only the host.
///
/// # Errors
/// What to do when the build failed.
pub fn build_parts() -> Result<(), String> {
    let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) else { return Ok(()) };
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    #[expect(clippy::disallowed_methods, reason = "cargo is waited for, before anything else is there")]
    let mut build = Command::new(cargo);
    build.arg("build").current_dir(manifest.parent().unwrap_or(Path::new(".")));
    // The first time it takes long enough for somebody to wonder; later it mostly has nothing to say.
    if executable.with_file_name(PARTS[0]).exists() {
        build.arg("--quiet");
    }
    if executable.parent().and_then(Path::file_name).is_some_and(|profile| profile == "release") {
        build.arg("--release");
    }
    for part in PARTS {
        build.args(["-p", part]);
    }
    match build.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the shim or a plugin could not be built; cargo says above why".to_owned()),
        Err(error) => Err(format!("cargo cannot be started to build the shim and the plugins: {error}")),
    }
}

/// Three lines: what to type, where the dashboard is, how to stop.
pub fn greet(config: &Config, dashboard: Option<SocketAddr>) {
    let user = config.connect.console.as_ref().map_or("nobody", |console| &console.user);
    println!("Hello {user}. Type !roll 2d6+3, !8ball will it work?, !help, or !admin help: you are the owner here.");
    match dashboard {
        Some(address) => println!("Dashboard: http://{address}/"),
        None => println!("There is no dashboard this time; the warning above says why."),
    }
    println!("Ctrl-D stops Rosey. State is kept in {}.", config.state_dir.display());
}
