//! The host's log: one line for each record, on standard error or in a file. Chat goes to standard output and never here.
//!
//! A separate thread writes (`sink`), so that a reader that does not read the log delays no other thread. `levels` decides
//! what is logged, before a record is made; `json` is the form for programs.

mod json;
mod levels;
mod sink;

pub use levels::{LEVELS, Level, level_of, set_level};
pub use sink::{finish, reopen};

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{self, time::SystemTime},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

/// The environment variable that selects what is logged.
const VARIABLE: &str = "ROSEY_LOG";

/// The form of the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line for people: time, level, text, fields.
    #[default]
    Pretty,
    /// A JSON object in each line: `timestamp`, `level`, `message`, and the fields.
    Json,
}

/// Where the log goes, and in which form.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The form of the records.
    pub format: Format,
    /// The file to append to; `None` for standard error.
    pub file: Option<PathBuf>,
}

/// Starts logging. `level` applies unless `ROSEY_LOG` says otherwise (`debug`, `rosey=trace`, …). Call it once in a
/// process.
///
/// # Errors
/// When the file cannot be opened.
pub fn start(level: &str, options: &Options) -> io::Result<()> {
    sink::start(options.file.clone())?;
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let understood = filter(&wanted);
    let is_understood = wanted.is_empty() || understood.is_some();
    let levels = levels::Levels::new(understood.unwrap_or_else(|| EnvFilter::new(level)));
    let is_colored = options.file.is_none() && io::stderr().is_terminal();
    let output = fmt::layer().with_writer(sink::Records).with_ansi(is_colored).with_target(false);
    let output = match options.format {
        Format::Pretty => output.with_timer(SystemTime).boxed(),
        Format::Json => output.fmt_fields(json::NoFields).event_format(json::Json).boxed(),
    };
    // Fails only when another logger was started before, as in tests.
    let _ = registry().with(output).with(levels).try_init();
    if !is_understood {
        tracing::warn!(
            "{VARIABLE} is not valid, so the level is {level}; write {VARIABLE}=debug, or {VARIABLE}=rosey=trace"
        );
    }
    Ok(())
}

/// The filter for what should be logged; `None` for an unknown level. The crate would take that for the name of a
/// module, and log nothing.
fn filter(wanted: &str) -> Option<EnvFilter> {
    let is_level = |word: &str| word.eq_ignore_ascii_case("off") || Level::parse(&word.to_ascii_lowercase()).is_some();
    let fits = |part: &str| part.split_once('=').map_or(is_level(part), |(_, level)| is_level(level));
    let fits = wanted.split(',').all(fits);
    EnvFilter::try_new(wanted).ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_misspelled_is_not_taken_for_a_module() {
        for good in ["debug", "INFO", "rosey=trace", "warn,rosey=debug", "off"] {
            assert!(filter(good).is_some(), "{good}");
        }
        for bad in ["", "debgu", "rosey", "rosey=loud", "rosey=debug,", "=="] {
            assert!(filter(bad).is_none(), "{bad}");
        }
    }
}
