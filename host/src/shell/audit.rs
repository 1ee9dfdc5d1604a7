//! `rosey audit`: reads the audit where it lies, whether the bot runs or not.

use super::fail;
use crate::{
    admin::audit::{
        AuditRecord,
        chain::{self, Verified},
        file,
    },
    app,
    cli::{AuditCommand, exit},
    config::Config,
    time::{parse_time, rfc3339},
};
use rusqlite::{Connection, OpenFlags};
use std::{thread, time::Duration, time::SystemTime};

/// A record is written to the database and then to the file; who reads in between looks again after this.
const BETWEEN: Duration = Duration::from_millis(200);

/// Verifies or lists.
pub fn audit(config: &Config, command: &AuditCommand) -> u8 {
    let path = config.state_dir.join(app::DATABASE);
    if !path.is_file() {
        let text = format!("there is no audit yet: {} is not there; see --config", path.display());
        return fail(exit::FAILED, &text);
    }
    let opened = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let result = opened.and_then(|mut connection| {
        connection.busy_timeout(Duration::from_secs(5))?;
        match command {
            AuditCommand::Verify => verify(config, &mut connection),
            AuditCommand::List { plugin, since, json, limit } => {
                let since = since.as_deref().map(moment);
                list(&connection, plugin.as_deref(), since, *json, *limit)
            }
        }
    });
    result.unwrap_or_else(|error| fail(exit::FAILED, &format!("{}: {error}", path.display())))
}

fn verify(config: &Config, connection: &mut Connection) -> rusqlite::Result<u8> {
    let mut found = look(config, connection)?;
    if !found.problems.is_empty() {
        thread::sleep(BETWEEN);
        found = look(config, connection)?;
    }
    println!("{} records, the last hash is {}", found.count, if found.head.is_empty() { "none" } else { &found.head });
    for id in &found.open {
        println!("record {id} began something that has no end: it is under way, or the host was killed");
    }
    for problem in &found.problems {
        eprintln!("rosey: {problem}");
    }
    if found.problems.is_empty() {
        println!("No edit, no deletion.");
        return Ok(exit::OK);
    }
    Ok(exit::TAMPERED)
}

fn look(config: &Config, connection: &mut Connection) -> rusqlite::Result<Verified> {
    let mut found = chain::verify(connection)?;
    if let Some(path) = &config.admin.audit_file
        && let Err(error) = file::verify(path, &mut found)
    {
        found.problems.push(format!("{} cannot be read: {error}", path.display()));
    }
    Ok(found)
}

/// `1h` ago; anything else is a date, or the beginning of one.
fn moment(since: &str) -> String {
    parse_time(since).map_or_else(|| since.to_owned(), |ago| rfc3339(SystemTime::now() - ago))
}

fn list(
    connection: &Connection,
    plugin: Option<&str>,
    since: Option<String>,
    json: bool,
    limit: u32,
) -> rusqlite::Result<u8> {
    if let Some(since) = since.as_deref().filter(|since| !since.starts_with(|c: char| c.is_ascii_digit())) {
        return Ok(fail(exit::USAGE, &format!("--since {since}: 30m, 1h, 7d, or a date like 2026-03-01")));
    }
    for record in chain::list(connection, plugin, since.as_deref(), limit)? {
        match json {
            true => println!("{}", serde_json::to_string(&record).unwrap_or_default()),
            false => println!("{}", line(&record)),
        }
    }
    Ok(exit::OK)
}

/// One record in a line: when, who, where, what, and what came of it.
fn line(record: &AuditRecord) -> String {
    let AuditRecord { id, at, stage, user, verified, via, place, command, .. } = record;
    let mut line = format!("{id:>5} {at} {stage:<7} {user} ({verified}) {via} {place}: {command}");
    for part in [&record.plugin, &record.from] {
        line += &part.as_ref().map(|part| format!(" {part}")).unwrap_or_default();
    }
    line += &record.to.as_ref().map(|to| format!(" → {to}")).unwrap_or_default();
    line += &record.result.as_ref().map(|result| format!(" — {result}")).unwrap_or_default();
    line + &record.took_us.map(|took| format!(" [{:.1} ms]", took as f64 / 1e3)).unwrap_or_default()
}
