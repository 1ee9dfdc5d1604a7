//! Troubles: what is wrong, in sentences, the worst first. The page's verdict, its rows and filter, and JSON use the
//! same rules. Pure.

use super::{Plugin, Snapshot, mark::Severity};
use rosey_core::state::PluginState;
use serde::Serialize;
use std::cmp::Ordering;

/// Events that must have ended before a share of failures means anything.
const SAMPLE: u64 = 10;

/// Share of events ending badly that an operator should look at: twice that of the alert, over the same time.
const FAILING: f64 = 0.1;

/// Share at which most users are affected.
const FAILING_BADLY: f64 = 0.5;

/// Share of the queue's limit at which rejections are near.
const QUEUE: f64 = 0.5;

/// Seconds for a reply (p95) that people in chat notice; the alert has the same.
const SLOW: f64 = 3.0;

/// Kinds of troubles, the worst first. This order applies everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A plugin is down and stays down.
    Failed,
    /// A plugin is down, and the host will start it again.
    Crashed,
    /// A plugin does not answer.
    Unhealthy,
    /// A connector is down.
    NoChat,
    /// Rosey cannot write to `rosey.db`.
    Database,
    /// A plugin is starting.
    Starting,
    /// Too many events of a plugin end badly.
    Failing,
    /// The queue of a plugin fills.
    Queue,
    /// Replies of a plugin take long.
    Slow,
    /// There are new dead letters.
    DeadLetters,
    /// The host rolled a plugin back by itself.
    RolledBack,
    /// A change was refused.
    Refused,
    /// A plugin crashed, and runs again.
    Crashes,
    /// An operator stopped a plugin.
    Stopped,
}

/// One entry of the trouble list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The rule that found it.
    pub kind: Kind,
    /// An error if users get no answers, else a warning.
    pub severity: Severity,
    /// The plugin, if the trouble concerns one.
    pub plugin: Option<String>,
    /// The sentence.
    pub text: String,
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// The text without its full stop, so that more can follow.
fn clause(text: &str) -> &str {
    text.trim_end_matches('.')
}

/// The troubles of one plugin.
pub fn of_plugin(plugin: &Plugin) -> Vec<Trouble> {
    let name = &plugin.name;
    let mut found = Vec::new();
    let mut add = |kind: Kind, severity, text: String| {
        found.push(Trouble { kind, severity, plugin: Some(name.clone()), text });
    };
    let cause = plugin.last_crash.as_ref().map(|crash| clause(&crash.cause));
    let why = plugin.explanation.as_deref().map(clause);
    let both: Vec<&str> = cause.into_iter().chain(why).collect();
    let because = |parts: &[&str]| if parts.is_empty() { ".".to_owned() } else { format!(": {}.", parts.join("; ")) };
    match plugin.state {
        // The reason of the failure already names the last crash.
        PluginState::Failed => {
            let why: Vec<&str> = why.or(cause).into_iter().collect();
            add(Kind::Failed, Severity::Error, format!("{name} is down and stays down{}", because(&why)));
        }
        PluginState::Crashed => add(Kind::Crashed, Severity::Error, format!("{name} is down{}", because(&both))),
        PluginState::Unhealthy => add(Kind::Unhealthy, Severity::Error, format!("{name} does not answer.")),
        PluginState::Starting => add(Kind::Starting, Severity::Warning, format!("{name} is starting.")),
        PluginState::Stopped => add(Kind::Stopped, Severity::Warning, format!("{name} was stopped.")),
        _ => {}
    }
    let lately = &plugin.lately;
    let share = lately.failed as f64 / lately.ended.max(1) as f64;
    if lately.ended >= SAMPLE && share >= FAILING {
        let severity = if share >= FAILING_BADLY { Severity::Error } else { Severity::Warning };
        let text = format!("{} of the last {} events of {name} ended badly.", lately.failed, lately.ended);
        add(Kind::Failing, severity, text);
    }
    if plugin.queue_limit > 0 && plugin.queued as f64 >= plugin.queue_limit as f64 * QUEUE {
        let (queued, limit) = (plugin.queued, plugin.queue_limit);
        let text = format!("{queued} events wait for {name}; beyond {limit} they are rejected.");
        add(Kind::Queue, Severity::Warning, text);
    }
    if let Some(p95) = plugin.response_p95.filter(|p95| *p95 > SLOW && lately.timed >= SAMPLE) {
        add(Kind::Slow, Severity::Warning, format!("{name} takes {p95:.1} s for a reply (p95)."));
    }
    if lately.dead_letters > 0 && plugin.dead_letters > 0 {
        let text = match lately.dead_letters {
            1 => format!("An event that crashed {name} twice is a dead letter now."),
            count => format!("{count} events that crashed {name} twice each are dead letters now."),
        };
        add(Kind::DeadLetters, Severity::Warning, text);
    }
    if let Some(why) = &lately.rolled_back {
        let text = format!("Rosey rolled {name} back to its earlier build: {}.", clause(why));
        add(Kind::RolledBack, Severity::Warning, text);
    }
    if let Some(why) = &lately.refused {
        add(Kind::Refused, Severity::Warning, format!("A change of {name} was refused: {}.", clause(why)));
    }
    if lately.crashes > 0 && !matches!(plugin.state, PluginState::Failed | PluginState::Crashed) {
        let crashed = times(lately.crashes);
        add(
            Kind::Crashes,
            Severity::Warning,
            format!("{name} crashed {crashed} within the last hour{}", because(&cause.into_iter().collect::<Vec<_>>())),
        );
    }
    found.sort_by_key(|trouble| trouble.kind);
    found
}

/// All troubles, the worst first; among equals, plugins by name.
pub fn of_all(snapshot: &Snapshot) -> Vec<Trouble> {
    let connectors = snapshot.system.connectors.iter().filter_map(|(name, state)| {
        let text = match *state {
            "disconnected" => format!("{name} is not connected, so its users cannot reach the bot."),
            "nowhere" => format!("{name} is in none of its channels; the log says why."),
            _ => return None,
        };
        Some(Trouble { kind: Kind::NoChat, severity: Severity::Error, plugin: None, text })
    });
    let database = snapshot.system.database.as_deref().map(|why| Trouble {
        kind: Kind::Database,
        severity: Severity::Warning,
        plugin: None,
        text: format!("Rosey refuses changes, because it cannot record them: {}.", clause(why)),
    });
    let of_plugins = snapshot.plugins.iter().flat_map(|plugin| plugin.troubles.iter().cloned());
    let mut all: Vec<_> = connectors.chain(database).chain(of_plugins).collect();
    all.sort_by_key(|trouble| trouble.kind);
    all
}

/// Whether all is well, in a sentence, and how bad it is.
pub fn verdict(snapshot: &Snapshot, troubles: &[Trouble]) -> (String, Severity) {
    let is_down = |trouble: &&Trouble| matches!(trouble.kind, Kind::Failed | Kind::Crashed | Kind::Unhealthy);
    let down: Vec<&str> = troubles.iter().filter(is_down).filter_map(|trouble| trouble.plugin.as_deref()).collect();
    let of_kind = |kind: Kind| -> Vec<&str> {
        troubles.iter().filter(|one| one.kind == kind).filter_map(|one| one.plugin.as_deref()).collect()
    };
    let Some(worst) = troubles.first() else {
        return match () {
            () if snapshot.timestamp.is_empty() => ("Starting.".to_owned(), Severity::Warning),
            () if snapshot.plugins.is_empty() => ("No plugins are configured.".to_owned(), Severity::Warning),
            () => ("All is well.".to_owned(), Severity::Good),
        };
    };
    match worst.kind {
        _ if down.len() > 1 => (
            format!("{} of {} plugins are down: {}.", down.len(), snapshot.plugins.len(), some(&down)),
            Severity::Error,
        ),
        Kind::Starting if of_kind(Kind::Starting).len() > 1 => {
            (format!("{} are starting.", some(&of_kind(Kind::Starting))), Severity::Warning)
        }
        Kind::Stopped => (format!("All is well, but {} stopped.", was(&of_kind(Kind::Stopped))), Severity::Warning),
        _ => (worst.text.clone(), worst.severity),
    }
}

fn some(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] if rest.len() > 3 => format!("{first} and {} others", rest.len()),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn was(names: &[&str]) -> String {
    format!("{} {}", some(names), if names.len() == 1 { "was" } else { "were" })
}

/// Compares two plugins for a list with the worst first.
pub fn by_urgency(a: &Plugin, b: &Plugin) -> Ordering {
    // `None` is less than any kind, so a plugin without trouble comes last.
    let key = |plugin: &Plugin| plugin.troubles.first().map_or((1, None), |trouble| (0, Some(trouble.kind)));
    key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Crash, Lately};

    fn plugin(name: &str, state: PluginState, change: impl FnOnce(&mut Plugin)) -> Plugin {
        let mut plugin = Plugin { name: name.into(), state, queue_limit: 100, ..Plugin::default() };
        change(&mut plugin);
        plugin.troubles = of_plugin(&plugin);
        plugin
    }

    fn verdict_of(plugins: Vec<Plugin>) -> (String, Severity) {
        let snapshot = Snapshot { timestamp: "2026-01-01T00:00:00.000Z".into(), plugins, ..Snapshot::default() };
        verdict(&snapshot, &of_all(&snapshot))
    }

    fn running(change: impl FnOnce(&mut Plugin)) -> (String, Severity) {
        verdict_of(vec![plugin("a", PluginState::Running, change)])
    }

    #[test]
    fn all_is_well_only_when_nothing_is_wrong() {
        assert_eq!(running(|_| {}), ("All is well.".into(), Severity::Good));
        assert_eq!(verdict_of(vec![]), ("No plugins are configured.".into(), Severity::Warning));
        assert_eq!(verdict(&Snapshot::default(), &[]), ("Starting.".into(), Severity::Warning));
        let stopped = vec![plugin("a", PluginState::Stopped, |_| {}), plugin("b", PluginState::Running, |_| {})];
        assert_eq!(verdict_of(stopped), ("All is well, but a was stopped.".into(), Severity::Warning));
    }

    #[test]
    fn what_is_down_is_said_with_its_cause() {
        let crash = || Some(Crash { cause: "exit status 3".into(), ..Crash::default() });
        let crashed = plugin("a", PluginState::Crashed, |it| {
            (it.last_crash, it.explanation) = (crash(), Some("next start in 2.0 s".into()));
        });
        assert_eq!(
            verdict_of(vec![crashed]),
            ("a is down: exit status 3; next start in 2.0 s.".into(), Severity::Error)
        );
        let gone = plugin("a", PluginState::Failed, |it| {
            let why = "5 starts in a row did not stay up; the last one: exit status 3";
            (it.last_crash, it.explanation) = (crash(), Some(why.into()));
        });
        let why = "a is down and stays down: 5 starts in a row did not stay up; the last one: exit status 3.";
        assert_eq!(verdict_of(vec![gone]).0, why, "once");
        let all = (0..9).map(|n| plugin(&format!("p{n}"), PluginState::Crashed, |_| {})).collect();
        assert_eq!(verdict_of(all), ("9 of 9 plugins are down: p0 and 8 others.".into(), Severity::Error));
    }

    #[test]
    fn each_trouble_has_its_sentence() {
        let lately = |ended, failed| Lately { ended, failed, ..Lately::default() };
        assert_eq!(running(|it| it.lately = lately(9, 9)).1, Severity::Good, "too few to say anything");
        assert_eq!(running(|it| it.lately = lately(100, 9)).1, Severity::Good);
        assert_eq!(
            running(|it| it.lately = lately(100, 30)),
            ("30 of the last 100 events of a ended badly.".into(), Severity::Warning)
        );
        assert_eq!(running(|it| it.lately = lately(100, 80)).1, Severity::Error);
        assert!(running(|it| it.queued = 50).0.contains("50 events wait for a; beyond 100"));
        assert!(running(|it| (it.response_p95, it.lately.timed) = (Some(4.0), 10)).0.contains("takes 4.0 s"));
        assert_eq!(running(|it| (it.response_p95, it.lately.timed) = (Some(4.0), 1)).1, Severity::Good);
        assert!(running(|it| (it.dead_letters, it.lately.dead_letters) = (1, 1)).0.contains("is a dead letter now"));
        assert_eq!(running(|it| it.dead_letters = 1).1, Severity::Good, "an old one is no news");
        assert!(
            running(|it| it.lately.rolled_back = Some("it crashed".into())).0.contains("earlier build: it crashed.")
        );
        assert!(running(|it| it.lately.refused = Some("no.".into())).0.ends_with("was refused: no."));
        assert_eq!(running(|it| it.lately.crashes = 2).0, "a crashed twice within the last hour.");
    }

    #[test]
    fn a_database_that_takes_nothing_is_a_trouble() {
        let mut snapshot = Snapshot { timestamp: "2026-01-01T00:00:00.000Z".into(), ..Snapshot::default() };
        snapshot.plugins = vec![plugin("a", PluginState::Running, |_| {})];
        snapshot.system.database = Some("rosey.db: its disk is full; make room".into());
        let found = verdict(&snapshot, &of_all(&snapshot));
        let text = "Rosey refuses changes, because it cannot record them: rosey.db: its disk is full; make room.";
        assert_eq!(found, (text.into(), Severity::Warning));
    }

    #[test]
    fn the_worst_comes_first() {
        let slow = plugin("a", PluginState::Running, |it| (it.response_p95, it.lately.timed) = (Some(4.0), 10));
        let hung = plugin("b", PluginState::Unhealthy, |it| it.lately.crashes = 1);
        let mut snapshot = Snapshot { plugins: vec![slow.clone(), hung.clone()], ..Snapshot::default() };
        snapshot.system.connectors.insert("irc".into(), "disconnected");
        let kinds: Vec<_> = of_all(&snapshot).into_iter().map(|trouble| trouble.kind).collect();
        assert_eq!(kinds, [Kind::Unhealthy, Kind::NoChat, Kind::Slow, Kind::Crashes]);
        let mut banned = Snapshot { plugins: vec![plugin("a", PluginState::Running, |_| {})], ..Snapshot::default() };
        banned.timestamp = "now".into();
        banned.system.connectors.insert("irc".into(), "nowhere");
        let text = "irc is in none of its channels; the log says why.".to_owned();
        assert_eq!(verdict(&banned, &of_all(&banned)), (text, Severity::Error));
        let well = plugin("0", PluginState::Running, |_| {});
        let mut sorted = [&well, &slow, &hung];
        sorted.sort_by(|a, b| by_urgency(a, b));
        assert_eq!(sorted.map(|plugin| plugin.name.as_str()), ["b", "a", "0"]);
    }
}
