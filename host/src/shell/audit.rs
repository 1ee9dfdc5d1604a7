//! `rosey audit`: reads the audit in the state directory, whether the bot runs or not.

use super::{db, fail, say};
use crate::{
    admin::audit::{
        AuditRecord,
        chain::{self, Verified},
        file,
    },
    cli::{AuditCommand, exit},
    config::Config,
    text::nearest,
    time::{parse_time, rfc3339},
};
use rusqlite::Connection;
use std::{
    io::{self, BufWriter, Write},
    thread,
    time::{Duration, SystemTime},
};

/// A record goes to the database first and then to the file. A reader in between looks again after this time.
const BETWEEN: Duration = Duration::from_millis(200);

/// The fewest digits of a noted hash: 48 bits, like the short name of an artifact.
const LEAST_HASH: usize = 12;

/// The forms of `--since`.
const SINCE: &str = "30m, 1h, 7d, 2w, or a date like 2026-03-01 or 2026-03-01T12:00:00Z";

/// Runs `verify` or `list`.
pub fn audit(config: &Config, config_given: bool, command: &AuditCommand) -> u8 {
    db::with(config, config_given, |_, connection| match command {
        AuditCommand::Verify { head } => verify(config, connection, head.as_deref()),
        AuditCommand::List { plugin, since, json, limit } => {
            let since = match since.as_deref().map(|since| moment(since, SystemTime::now())).transpose() {
                Ok(since) => since,
                Err(problem) => return Ok(fail(exit::USAGE, &problem)),
            };
            if let Some(unknown) = plugin.as_deref().and_then(|plugin| unknown(config, connection, plugin)) {
                return Ok(fail(exit::FAILED, &unknown));
            }
            list(connection, plugin.as_deref(), since.as_deref(), *json, *limit)
        }
    })
}

fn verify(config: &Config, connection: &mut Connection, noted: Option<&str>) -> rusqlite::Result<u8> {
    let noted = match noted.map(head).transpose() {
        Ok(noted) => noted,
        Err(problem) => return Ok(fail(exit::USAGE, &problem)),
    };
    let mut found = look(config, connection, noted.as_ref())?;
    if !found.problems.is_empty() {
        thread::sleep(BETWEEN);
        found = look(config, connection, noted.as_ref())?;
    }
    let mut text = match found.head.as_str() {
        "" => format!("{} records\n", found.count),
        head => format!(
            "{} records, the last hash is {head}\nNote it elsewhere, and give it the next time: --head {head}@{}\n",
            found.count, found.count
        ),
    };
    for id in &found.open {
        text +=
            &format!("record {id} begins an action without a recorded end: it is under way, or the host was killed\n");
    }
    for note in &found.notes {
        text += &format!("{note}\n");
    }
    if found.problems.is_empty() {
        return Ok(say(&(text + "No edit, no deletion.\n")));
    }
    say(&text);
    for problem in &found.problems {
        eprintln!("rosey: {problem}");
    }
    Ok(exit::TAMPERED)
}

fn look(config: &Config, connection: &mut Connection, noted: Option<&Noted>) -> rusqlite::Result<Verified> {
    let mut found = chain::verify(connection)?;
    if let Some((hash, count)) = noted {
        found.expect(hash, *count);
    }
    if let Some(path) = &config.admin.audit_file
        && let Err(error) = file::verify(path, connection, &mut found)
    {
        found.problems.push(format!("{} cannot be read: {error}", path.display()));
    }
    Ok(found)
}

/// A noted hash, and the number of records at that time.
type Noted = (String, Option<i64>);

fn head(text: &str) -> Result<Noted, String> {
    let (hash, count) = match text.split_once('@') {
        Some((hash, count)) => (hash, Some(count.parse().ok().filter(|count| *count > 0))),
        None => (text, None),
    };
    let is_hash = hash.len() >= LEAST_HASH && hash.chars().all(|c| c.is_ascii_hexdigit());
    match count {
        _ if !is_hash => Err(format!("--head {text}: HASH@COUNT as verify prints it, or the hash alone")),
        Some(None) => Err(format!("--head {text}: behind the @ is the number of records")),
        count => Ok((hash.to_ascii_lowercase(), count.flatten())),
    }
}

/// The moment of `1h` ago, of a date, or of the beginning of one.
fn moment(since: &str, now: SystemTime) -> Result<String, String> {
    let weeks = since.strip_suffix('w').and_then(|weeks| weeks.parse::<u32>().ok());
    let ago = weeks.map(|weeks| Duration::from_secs(u64::from(weeks) * 7 * 86_400)).or_else(|| parse_time(since));
    if let Some(then) = ago.and_then(|ago| now.checked_sub(ago)) {
        return Ok(rfc3339(then));
    }
    // Compared as text: as much of a date as the user gives, with each part in its place.
    let fits = |c: char, place: char| if place == '0' { c.is_ascii_digit() } else { c == place };
    let form = "0000-00-00T00:00:00.000Z";
    let is_date = [10, 16, 19, 23].contains(&since.trim_end_matches('Z').len())
        && since.trim_end_matches('Z').chars().zip(form.chars()).all(|(c, place)| fits(c, place));
    let part = |at: usize| since.get(at..at + 2).and_then(|part| part.parse::<u8>().ok());
    let in_range = part(5).is_some_and(|month| (1..=12).contains(&month))
        && part(8).is_some_and(|day| (1..=31).contains(&day))
        && part(11).is_none_or(|hour| hour < 24);
    if is_date && in_range {
        // Without the zone this is a prefix of all later times, including those with fractions of a second.
        return Ok(since.trim_end_matches('Z').to_owned());
    }
    Err(format!("--since {since}: {SINCE}"))
}

/// The hint about a plugin that is neither configured nor in any record.
fn unknown(config: &Config, connection: &Connection, plugin: &str) -> Option<String> {
    let known = config.plugins.contains_key(plugin)
        || plugin == "admin"
        || chain::list(connection, Some(plugin), None, 1).is_ok_and(|records| !records.is_empty());
    let meant = nearest(plugin, config.plugins.keys().map(String::as_str));
    let meant = meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    (!known).then(|| format!("there is no plugin {plugin}, and no record of one{meant}"))
}

fn list(
    connection: &Connection,
    plugin: Option<&str>,
    since: Option<&str>,
    json: bool,
    limit: u32,
) -> rusqlite::Result<u8> {
    let mut output = BufWriter::new(io::stdout().lock());
    for record in chain::list(connection, plugin, since, limit)? {
        let line = if json { serde_json::to_string(&record).unwrap_or_default() } else { line(&record) };
        if writeln!(output, "{line}").is_err() {
            // The reader has closed the pipe, as `head` does.
            return Ok(exit::OK);
        }
    }
    let _ = output.flush();
    Ok(exit::OK)
}

/// One record as a line: time, user, place, command, result.
fn line(record: &AuditRecord) -> String {
    let AuditRecord { id, at, stage, user, verified, nick, via, place, command, .. } = record;
    // As the log has it.
    let who = match nick {
        Some(nick) => format!("{nick} ({verified} {user})"),
        None => format!("{user} ({verified})"),
    };
    let mut line = format!("{id:>5} {at} {stage:<7} {who} {via} {place}: {command}");
    for part in [&record.plugin, &record.from] {
        line += &part.as_ref().map(|part| format!(" {part}")).unwrap_or_default();
    }
    line += &record.to.as_ref().map(|to| format!(" → {to}")).unwrap_or_default();
    line += &record.result.as_ref().map(|result| format!(" — {result}")).unwrap_or_default();
    line + &record.took_us.map(|took| format!(" [{:.1} ms]", took as f64 / 1e3)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn since_is_a_time_ago_or_a_date_and_nothing_else() {
        let now = UNIX_EPOCH + Duration::from_secs(1_772_366_400);
        let since = |text| moment(text, now).map_err(|_| ());
        assert_eq!(since("1h"), Ok("2026-03-01T11:00:00.000Z".to_owned()));
        assert_eq!(since("1w"), Ok("2026-02-22T12:00:00.000Z".to_owned()));
        for date in ["2026-03-01", "2026-03-01T12:00", "2026-03-01T12:00:00", "2026-03-01T12:00:00.250"] {
            assert_eq!(since(date), Ok(date.to_owned()));
        }
        assert_eq!(since("2026-03-01T12:00:00Z"), Ok("2026-03-01T12:00:00".to_owned()));
        for bad in ["5", "1hour", "1 week", "garbage", "2026", "2026-13-01", "2026-03-41", "yesterday", "", "1x", "-1h"]
        {
            assert_eq!(since(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_head_is_a_hash_with_or_without_a_count() {
        assert_eq!(head("0b80712b1842@9"), Ok(("0b80712b1842".to_owned(), Some(9))));
        assert_eq!(head("0B80712B1842"), Ok(("0b80712b1842".to_owned(), None)));
        for bad in ["", "0b80", "0b80712b1842@", "0b80712b1842@x", "0b80712b1842@0", "not a hash at all"] {
            assert!(head(bad).is_err(), "{bad}");
        }
    }
}
