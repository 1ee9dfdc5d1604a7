//! Times, figures and changes in words.

use super::chart::escape;
use crate::{
    time,
    view::{Change, Crash, Plugin, Store},
};
use rosey_core::limits::{Limits, Value};
use rosey_core::state::PluginState;
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds since 1970 of a time in the form of [`time::rfc3339`].
fn seconds_of(at: &str) -> Option<u64> {
    let number = |from: usize, to: usize| at.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Years begin in March, as in `time`.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = (365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day).checked_sub(719_469)?;
    Some(days * DAY + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?)
}

/// How far away a time is: `6 s ago`, `2 min ago`, `3 h ago`, `5 d ago`; one that is still to come is `in 3 h`.
pub fn ago(at: &str, now: u64) -> String {
    let Some(at) = seconds_of(at) else { return String::new() };
    let span = match at.abs_diff(now) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..DAY => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / DAY),
    };
    if at > now { format!("in {span}") } else { format!("{span} ago") }
}

/// A time as HTML: `03:28:34 · 2 min ago`, with the date if it is more than a day away, and in full as a title.
pub fn when(at: &str) -> String {
    let now = now();
    let is_far = seconds_of(at).is_some_and(|then| now.abs_diff(then) >= DAY);
    let clock = at.get(11..19).unwrap_or(at);
    let short = if is_far { format!("{} {clock}", at.get(..10).unwrap_or_default()) } else { clock.to_owned() };
    let (at, short, ago) = (escape(at), escape(&short), ago(at, now));
    format!(
        "<time class=\"nowrap\" datetime=\"{at}\" title=\"{at}\">{short} <span class=\"quiet\">· {ago}</span></time>"
    )
}

/// How long ago a time is, as a duration, with the time in full as a title.
pub fn lasts(since: &str) -> String {
    let Some(then) = seconds_of(since) else { return String::new() };
    let at = escape(since);
    format!("<time datetime=\"{at}\" title=\"{at}\" data-lasts>{}</time>", span(now().saturating_sub(then)))
}

/// How long a state lasted: `0.4 s`, `12 s`, `3 m 4 s`.
pub fn lasted(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { span(seconds as u64) }
}

/// The time of day alone: `03:28:34`.
pub fn clock(at: &str) -> &str {
    at.get(11..19).unwrap_or(at)
}

/// The parts, joined, or `none`.
pub fn list(parts: Vec<String>) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// Events by outcome, without outcomes that have none.
pub fn outcomes(counts: &BTreeMap<&'static str, u64>) -> String {
    let counted = counts.iter().filter(|(_, count)| **count > 0);
    list(counted.map(|(name, count)| format!("{count} {}", kind(name))).collect())
}

/// A kind of mark as people write it: `dead letter`.
pub fn kind(word: &str) -> String {
    word.replace('_', " ")
}

/// A response time.
pub fn response(seconds: Option<f64>) -> String {
    let short = |seconds| Duration::try_from_secs_f64(seconds).map_or_else(|_| "–".to_owned(), time::short);
    seconds.map_or_else(|| "–".to_owned(), short)
}

/// A duration.
pub fn span(seconds: u64) -> String {
    time::span(Duration::from_secs(seconds))
}

/// A count with its noun.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A limit with its unit.
pub fn limit(name: &str, value: f64) -> String {
    let row = Limits::rows().into_iter().find(|row| row.name == name);
    match row.map(|row| (row.default, row.unit)) {
        Some((Value::Time(_), _)) => response(Some(value)).replace("0 µs", "0 s"),
        Some((Value::Share(_), _)) => format!("{:.0} % of the events", value * 100.0),
        Some((Value::Count(_), unit)) => format!("{value} {unit}"),
        None => value.to_string(),
    }
}

/// The data of a plugin: `12 keys, 3.4 KiB (at most 100000 and 64.0 MiB); 80 commits, 2 conflicts, p50 1.2 ms, p99 3.4 ms`.
pub fn store(store: &Store) -> String {
    if store.commits == 0 {
        return "nothing".to_owned();
    }
    let times = match store.commit_p50 {
        Some(_) => format!(", p50 {}, p99 {}", response(store.commit_p50), response(store.commit_p99)),
        None => String::new(),
    };
    format!(
        "{}, {} (at most {} and {}); {}, {}{times}",
        counted(store.keys, "key", "keys"),
        size(store.bytes),
        store.keys_limit,
        size(store.bytes_limit),
        counted(store.commits, "commit", "commits"),
        counted(store.conflicts, "conflict", "conflicts"),
    )
}

/// Bytes for people: `512 B`, `3.4 KiB`, `64.0 MiB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// The versions before and after a change; if they are equal, the builds.
pub fn versions(change: &Change) -> String {
    let build =
        |artifact: &Option<String>| artifact.as_deref().and_then(|artifact| artifact.get(..8)).map(str::to_owned);
    match (&change.from, &change.to) {
        (None, None) => String::new(),
        (Some(from), None) => from.clone(),
        (None, Some(to)) if change.ok => format!("started {to}"),
        (None, Some(to)) => to.clone(),
        (Some(from), Some(to)) if from != to => format!("{from} → {to}"),
        (Some(from), Some(_)) => match (build(&change.from_artifact), build(&change.to_artifact)) {
            (Some(before), Some(after)) if before != after => format!("{from}, build {before} → {after}"),
            (Some(_), Some(_)) => format!("{from}, the same build"),
            _ => from.clone(),
        },
    }
}

/// The cause of a crash in two or three words, so that equal causes can be counted.
pub fn sort(crash: &Crash) -> String {
    match crash.kind {
        "signal" => {
            let name = crash.cause.split_once('(').map(|(_, rest)| rest);
            let name = name.and_then(|rest| rest.split([':', ')']).next());
            name.unwrap_or(&crash.cause).to_owned()
        }
        "exit" => "exit status".to_owned(),
        "hang" => "hung".to_owned(),
        "protocol" => "broke the protocol".to_owned(),
        "memory" => "too much memory".to_owned(),
        _ => crash.cause.clone(),
    }
}

/// The event that a crash was executing, and its user: `!exit 3 by alice`.
pub fn guilty(crash: &Crash) -> Option<String> {
    let line = crash.executing.first()?;
    let more = crash.executing.len() - 1;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(match crash.by.first() {
        Some(user) => format!("{line} by {user}{more}"),
        None => format!("{line}{more}"),
    })
}

/// Why a plugin crashed, in one line: `3 × exit status, 2 × SIGABRT. Last: !exit 3 by alice, 6 s ago.` The newest crash
/// comes first.
pub fn why(crashes: &[Crash]) -> Option<String> {
    let last = crashes.first()?;
    let mut counts: Vec<(String, usize)> = Vec::new();
    for crash in crashes {
        let sort = sort(crash);
        match counts.iter_mut().find(|(known, _)| *known == sort) {
            Some((_, count)) => *count += 1,
            None => counts.push((sort, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<_> = counts.into_iter().map(|(sort, count)| format!("{count} × {sort}")).collect();
    let guilty = guilty(last).unwrap_or_else(|| "an unknown event".to_owned());
    Some(format!("{}. Last: {guilty}, {}.", counts.join(", "), ago(&last.at, now())))
}

/// The starts that failed, of a plugin that the host gave up: `5 failed starts`.
pub fn failed_starts(plugin: &Plugin) -> Option<String> {
    let failed = (plugin.restarts + 1).saturating_sub(plugin.crash_count);
    (plugin.state == PluginState::Failed && failed > 0).then(|| counted(failed, "failed start", "failed starts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_short_and_in_full() {
        let at = |seconds| time::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        for seconds in [0, 951_782_399, 951_782_400, 1_772_366_400, 4_107_542_400] {
            assert_eq!(seconds_of(&at(seconds)), Some(seconds));
        }
        assert_eq!(
            [ago(&at(94), 100), ago(&at(0), 150), ago(&at(0), 7300), ago(&at(0), 200_000), ago(&at(7300), 0)]
                .join(", "),
            "6 s ago, 2 min ago, 2 h ago, 2 d ago, in 2 h"
        );
        assert!(when("<script>").contains("&lt;script&gt;") && seconds_of("nonsense").is_none());
        assert!(when(&at(0)).contains(">1970-01-01 00:00:00 <"));
    }

    #[test]
    fn why_it_crashed_is_one_line() {
        let crash = |kind, cause: &str| Crash {
            kind,
            cause: cause.into(),
            executing: vec!["!exit 3".into()],
            by: vec!["alice".into()],
            at: time::rfc3339(SystemTime::now() - Duration::from_secs(6)),
            ..Crash::default()
        };
        let exit = crash("exit", "exit status 3");
        let abort = crash("signal", "killed by signal 6 (SIGABRT: abort, or a panic that could not unwind)");
        let text = why(&[exit.clone(), abort.clone(), abort, exit.clone(), exit]).expect("some");
        assert!(text.starts_with("3 × exit status, 2 × SIGABRT. Last: !exit 3 by alice, "), "{text}");
        assert_eq!(why(&[]), None);
    }

    #[test]
    fn what_is_kept_is_said_in_one_line() {
        assert_eq!(store(&Store::default()), "nothing");
        let some = Store {
            keys: 12,
            keys_limit: 100_000,
            bytes: 3500,
            bytes_limit: 64 << 20,
            commits: 80,
            conflicts: 1,
            commit_p50: Some(0.0012),
            commit_p99: Some(0.25),
        };
        assert_eq!(
            store(&some),
            "12 keys, 3.4 KiB (at most 100000 and 64.0 MiB); 80 commits, 1 conflict, p50 1.2 ms, p99 250 ms"
        );
    }

    #[test]
    fn limits_have_units() {
        let text =
            [("queue", 500.0), ("bake", 30.0), ("bake_failure_rate", 0.5), ("backoff_first", 0.25), ("bake", 0.0)];
        let text = text.map(|(name, value)| limit(name, value));
        assert_eq!(text, ["500 events", "30 s", "50 % of the events", "250 ms", "0 s"]);
    }

    #[test]
    fn equal_versions_show_their_builds() {
        let change = |from: Option<&str>, to: Option<&str>, builds: [&str; 2]| Change {
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            from_artifact: Some(builds[0].repeat(32)),
            to_artifact: Some(builds[1].repeat(32)),
            ok: true,
            ..Change::default()
        };
        assert_eq!(versions(&change(Some("1.0"), Some("1.1"), ["ab", "cd"])), "1.0 → 1.1");
        assert_eq!(versions(&change(Some("1.0"), Some("1.0"), ["ab", "cd"])), "1.0, build abababab → cdcdcdcd");
        assert_eq!(versions(&change(Some("1.0"), Some("1.0"), ["ab", "ab"])), "1.0, the same build");
        assert_eq!(versions(&change(None, Some("1.0"), ["ab", "ab"])), "started 1.0");
    }
}
