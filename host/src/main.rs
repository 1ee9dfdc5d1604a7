//! `rosey`: arguments → application → exit code.
#![forbid(unsafe_code)]

use clap::Parser;
use rosey::{
    app,
    cli::{Cli, Command, exit},
    config::Config,
    log, quick_start, report,
};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match (cli.command, cli.config) {
        (None, None) => quick(),
        (None | Some(Command::Run), config) => run(config),
        (Some(Command::Check), config) => check(config),
    };
    ExitCode::from(code)
}

fn quick() -> u8 {
    log::start("warn");
    if let Err(problem) = quick_start::build_parts() {
        return fail(exit::FAILED, &problem);
    }
    start(Config::embedded(&beside_me()), quick_start::greet)
}

fn run(file: Option<PathBuf>) -> u8 {
    log::start("info");
    match load(file) {
        Ok(config) => start(config, |_, _| tracing::info!("ready")),
        Err(problem) => fail(exit::CONFIG, &problem),
    }
}

fn check(file: Option<PathBuf>) -> u8 {
    match load(file) {
        Ok(config) => {
            print!("{}", config.summary());
            exit::OK
        }
        Err(problem) => fail(exit::CONFIG, &problem),
    }
}

fn start(config: Config, greet: impl FnOnce(&Config, Option<SocketAddr>)) -> u8 {
    match app::run(config, greet) {
        Ok(()) => exit::OK,
        Err(error) => fail(exit::FAILED, &report::chain(&error)),
    }
}

fn load(file: Option<PathBuf>) -> Result<Config, String> {
    match file {
        Some(file) => Config::load(&file).map_err(|error| error.to_string()),
        None => Ok(Config::embedded(&beside_me())),
    }
}

fn beside_me() -> PathBuf {
    std::env::current_exe().ok().and_then(|executable| executable.parent().map(PathBuf::from)).unwrap_or_default()
}

fn fail(code: u8, problem: &str) -> u8 {
    eprintln!("rosey: {problem}");
    code
}
