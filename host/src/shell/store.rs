//! `rosey store`: reads the data of plugins in the state directory, whether the bot runs or not, and has the running bot
//! change it.

use super::{
    control::{Manner, ask},
    db, fail, say,
};
use crate::{
    admin::socket::{Request, StoreRequest},
    cli::{StoreCommand, exit},
    commit::{self, GLOBAL, Kept},
    config::Config,
    text::visible,
};
use rusqlite::Connection;
use std::{
    fs::File,
    io::{self, BufReader, BufWriter},
    path::Path,
};
use tempfile::NamedTempFile;

/// Runs `usage`, `list`, `get` or `export`, or asks the bot for an import or a deletion.
pub fn store(config: &Config, config_given: bool, command: &StoreCommand) -> u8 {
    match command {
        StoreCommand::Import { plugin, file, yes } => import(config, config_given, plugin, file, *yes),
        StoreCommand::Delete { plugin, prefix, yes } => {
            let change = StoreRequest::Delete { prefix: prefix.clone() };
            let request = Request::Store { plugin: plugin.clone(), change };
            ask(config, config_given, &request, None, Manner { yes: *yes, json: false })
        }
        command => db::with(config, config_given, |_, connection| read(connection, command)),
    }
}

fn read(connection: &mut Connection, command: &StoreCommand) -> rusqlite::Result<u8> {
    match command {
        StoreCommand::Usage => {
            let lines = commit::all_usage(connection)?.into_iter().map(|(plugin, usage)| {
                format!("{plugin:20} {:>10} keys {:>14} bytes {:>10} commits\n", usage.keys, usage.bytes, usage.commits)
            });
            let text: String = lines.collect();
            Ok(say(if text.is_empty() { "No plugin has a value in the store.\n" } else { &text }))
        }
        StoreCommand::List { plugin, prefix, limit } => {
            let kept = commit::kept(connection, plugin, prefix.as_deref().unwrap_or_default(), *limit)?;
            let lines = kept.iter().map(|Kept { scope, key, value }| {
                let scope = if scope.is_empty() { GLOBAL } else { scope };
                format!("{}\t{}\t{}\n", visible(scope), visible(key), visible(value))
            });
            Ok(say(&lines.collect::<String>()))
        }
        StoreCommand::Get { plugin, key, scope } => {
            let scope = if scope == GLOBAL { "" } else { scope };
            match commit::kept_value(connection, plugin, scope, key)? {
                Some(value) => Ok(say(&format!("{}\n", visible(&value)))),
                None => Ok(fail(exit::FAILED, &format!("{plugin} has no value under that key and scope"))),
            }
        }
        StoreCommand::Export { plugin, file } => {
            let written = if is_standard(file) {
                commit::export(connection, plugin, &mut BufWriter::new(io::stdout().lock()))?
            } else {
                export(connection, plugin, file)?
            };
            Ok(match written {
                Ok(Some(_)) => exit::OK,
                Ok(None) => fail(
                    exit::FAILED,
                    &format!("{plugin} has no data; rosey store usage names the plugins that have some"),
                ),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe && is_standard(file) => exit::OK,
                Err(error) => fail(exit::FAILED, &format!("{} cannot be written: {error}", file.display())),
            })
        }
        StoreCommand::Import { .. } | StoreCommand::Delete { .. } => unreachable!("the bot does these"),
    }
}

/// Writes a file so that it is whole or does not exist. Only its owner may read it, like `rosey.db`.
fn export(connection: &mut Connection, plugin: &str, path: &Path) -> rusqlite::Result<io::Result<Option<u64>>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = match NamedTempFile::new_in(folder) {
        Ok(file) => BufWriter::new(file),
        Err(error) => return Ok(Err(error)),
    };
    let keys = match commit::export(connection, plugin, &mut file)? {
        Ok(Some(keys)) => keys,
        other => return Ok(other),
    };
    let persist = |file: NamedTempFile| {
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(Some(keys))
    };
    Ok(file.into_inner().map_err(io::IntoInnerError::into_error).and_then(persist))
}

fn import(config: &Config, config_given: bool, plugin: &str, path: &Path, yes: bool) -> u8 {
    let request = Request::Store { plugin: plugin.to_owned(), change: StoreRequest::Import };
    let manner = Manner { yes, json: false };
    if is_standard(path) {
        return ask(config, config_given, &request, Some(&mut BufReader::new(io::stdin())), manner);
    }
    match File::open(path) {
        Ok(file) => ask(config, config_given, &request, Some(&mut BufReader::new(file)), manner),
        Err(error) => fail(exit::FAILED, &format!("{} cannot be read: {error}", path.display())),
    }
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}
