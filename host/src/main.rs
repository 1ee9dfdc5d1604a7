//! `rosey`: arguments → application → exit code.
#![forbid(unsafe_code)]

use clap::Parser;
use rosey::{
    app, author,
    cli::{Cli, Command, ConfigCommand, exit},
    config::Config,
    log,
    plugins::Plugins,
    quick_start, report, shell,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = log::Options { format: cli.log_format, file: cli.log_file };
    let code = match (cli.command, cli.config) {
        (None, None) => quick(&log),
        (None | Some(Command::Run), config) => run(config, &log),
        (Some(Command::Completions { shell }), _) => shell::completion::print(shell),
        (Some(Command::Man { directory }), _) => shell::man::write(&directory),
        (Some(Command::New { name }), _) => match author::create(Path::new("."), &name) {
            Ok(next) => shell::say(&next),
            Err(problem) => shell::fail(exit::FAILED, &problem),
        },
        (Some(Command::Dev { folders }), _) => dev(&folders, &log),
        (Some(Command::TestPlugin { library, events, json }), _) => test_plugin(&library, events, json, &log),
        (Some(Command::Config(ConfigCommand::Schema)), _) => shell::config::print_schema(),
        (Some(Command::Config(ConfigCommand::Init { file })), config) => {
            shell::init::init(&file.or(config).unwrap_or_else(|| shell::USUAL.into()))
        }
        (Some(Command::Check), Some(file)) => shell::check::check_file(&file),
        (Some(Command::Check), None) => shell::check::check_default(),
        (Some(command), config) => {
            let given = config.is_some();
            with(config, |config| match command {
                Command::Admin(arguments) => shell::control::admin(&config, given, &arguments),
                Command::Backup { file } => shell::backup::write(&config, given, &file),
                Command::Restore { file } => shell::backup::restore(&config, &file),
                Command::Audit(command) => shell::audit::audit(&config, given, &command),
                Command::Db(command) => shell::db::db(&config, given, &command),
                Command::Config(command) => shell::config::config(&config, given, &command),
                Command::Store(command) => shell::store::store(&config, given, &command),
                Command::PluginNames => shell::completion::plugin_names(&config),
                _ => shell::check::check_default(),
            })
        }
    };
    log::finish();
    ExitCode::from(code)
}

fn quick(log: &log::Options) -> u8 {
    if let Err(code) = start_log("warn", log) {
        return code;
    }
    if let Err(problem) = quick_start::build_parts() {
        return shell::fail(exit::FAILED, &problem);
    }
    warn_of_unread();
    match Config::embedded() {
        Ok(config) => start(config, |config, dashboard, _| quick_start::greet(config, dashboard)),
        Err(error) => shell::fail(exit::CONFIG, &error.to_string()),
    }
}

fn dev(folders: &[PathBuf], log: &log::Options) -> u8 {
    if let Err(code) = start_log("info", log) {
        return code;
    }
    let opened = quick_start::build_parts().and_then(|()| {
        let config = Config::embedded().map_err(|error| error.to_string())?;
        Ok((author::Workshop::open(folders)?, config))
    });
    match opened {
        Ok((workshop, config)) => start(workshop.config(config), |_, dashboard, plugins| {
            quick_start::show_dashboard(dashboard);
            workshop.follow(plugins);
        }),
        Err(problem) => shell::fail(exit::FAILED, &problem),
    }
}

fn test_plugin(library: &Path, events: u32, json: bool, log: &log::Options) -> u8 {
    if let Err(code) = start_log("error", log) {
        return code;
    }
    let verdict = match author::try_library(library, &beside_me().join("rosey-shim"), events as usize) {
        Ok(verdict) => verdict,
        Err(problem) => return shell::fail(exit::FAILED, &problem),
    };
    let text = if json { serde_json::json!(verdict).to_string() + "\n" } else { verdict.table() };
    let said = shell::say(&text);
    if verdict.passed { said } else { exit::FAILED }
}

/// Starts the log, or returns the exit code.
fn start_log(level: &str, options: &log::Options) -> Result<(), u8> {
    log::start(level, options).map_err(|error| {
        let file = options.file.as_deref().unwrap_or(Path::new("")).display();
        shell::fail(exit::FAILED, &format!("--log-file {file} cannot be opened: {error}"))
    })
}

fn warn_of_unread() {
    if let Some(unread) = shell::unread() {
        tracing::warn!("{unread}");
    }
}

fn run(file: Option<PathBuf>, log: &log::Options) -> u8 {
    if let Err(code) = start_log("info", log) {
        return code;
    }
    if file.is_none() {
        warn_of_unread();
    }
    with(file, |config| start(config, |_, _, _| tracing::info!("ready")))
}

fn start(config: Config, greet: impl FnOnce(&Config, Option<SocketAddr>, &Arc<Plugins>)) -> u8 {
    match app::run(config, greet) {
        Ok(()) => exit::OK,
        Err(error) => shell::fail(exit::FAILED, &report::chain(&error)),
    }
}

/// Calls `act` with the configuration, or reports what is wrong with it.
fn with(file: Option<PathBuf>, act: impl FnOnce(Config) -> u8) -> u8 {
    let config = match file {
        Some(file) => Config::load(&file),
        None => Config::embedded(),
    };
    match config {
        Ok(config) => act(config),
        Err(error) => shell::fail(exit::CONFIG, &error.to_string()),
    }
}

fn beside_me() -> PathBuf {
    std::env::current_exe().ok().and_then(|executable| executable.parent().map(PathBuf::from)).unwrap_or_default()
}
