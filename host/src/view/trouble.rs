//! Troubles: what is wrong, in sentences, the worst first. The page's verdict, its rows and filter, and JSON use the
//! same rules. Pure.

use super::{DISABLED, Plugin, Snapshot, mark::Severity};
use rosey_core::state::PluginState;
use serde::Serialize;
use std::cmp::{Ordering, Reverse};

/// Events that must have ended before a share of failures means anything.
const SAMPLE: u64 = 10;

/// Share of events ending badly that an operator should look at: twice that of the alert, over the same time.
const FAILING: f64 = 0.1;

/// Share at which most users are affected.
const FAILING_BADLY: f64 = 0.5;

/// Share of the queue's limit at which rejections are near.
const QUEUE: f64 = 0.5;

/// Crashes within an hour that are not an accident; the alert has as many within ten minutes.
const OFTEN: u64 = 3;

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
    /// A plugin runs, and crashed often.
    Crashing,
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
    /// The sentence: what is wrong, and why.
    pub text: String,
    /// What is wrong, as a clause without its full stop.
    #[serde(skip)]
    pub what: String,
    /// Why, if that is known, as a clause.
    #[serde(skip)]
    pub why: Option<String>,
}

impl Trouble {
    fn new(kind: Kind, severity: Severity, plugin: Option<&str>, what: String, why: Option<String>) -> Self {
        let text = match &why {
            Some(why) => format!("{what}: {}.", clause(why)),
            None => format!("{what}."),
        };
        Self { kind, severity, plugin: plugin.map(str::to_owned), text, what, why }
    }
}

/// Whether all is well, and if not, what is worst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The sentence.
    pub text: String,
    /// How bad it is.
    pub severity: Severity,
    /// The trouble that the sentence is about; `None` if it is about none or several.
    pub about: Option<Trouble>,
}

/// Whether a plugin runs, and yet fails much or crashed often.
pub fn is_failing(plugin: &Plugin) -> bool {
    let fails = |trouble: &Trouble| matches!(trouble.kind, Kind::Failing | Kind::Crashing);
    plugin.state == PluginState::Running && plugin.troubles.iter().any(fails)
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
    let mut add = |kind: Kind, severity, what: String, why: Option<&str>| {
        found.push(Trouble::new(kind, severity, Some(name), what, why.map(|why| clause(why).to_owned())));
    };
    let cause = plugin.last_crash.as_ref().map(|crash| clause(&crash.cause));
    let why = plugin.explanation.as_deref().map(clause);
    match plugin.state {
        // The reason of the failure already names the last crash.
        PluginState::Failed => {
            add(Kind::Failed, Severity::Error, format!("{name} is down and stays down"), why.or(cause));
        }
        PluginState::Crashed => {
            let new = cause.filter(|cause| why.is_none_or(|why| !why.contains(cause)));
            let both: Vec<&str> = new.into_iter().chain(why).collect();
            let both = Some(both.join("; ")).filter(|both| !both.is_empty());
            add(Kind::Crashed, Severity::Error, format!("{name} is down"), both.as_deref());
        }
        PluginState::Unhealthy => add(Kind::Unhealthy, Severity::Error, format!("{name} does not answer"), None),
        PluginState::Starting => add(Kind::Starting, Severity::Warning, format!("{name} is starting"), None),
        // An operator wants a disabled plugin to be stopped.
        PluginState::Stopped if plugin.explanation.as_deref() == Some(DISABLED) => {}
        PluginState::Stopped => add(Kind::Stopped, Severity::Warning, format!("{name} was stopped"), None),
        _ => {}
    }
    let lately = &plugin.lately;
    let share = lately.failed as f64 / lately.ended.max(1) as f64;
    if lately.ended >= SAMPLE && share >= FAILING {
        let severity = if share >= FAILING_BADLY { Severity::Error } else { Severity::Warning };
        let what = format!("{} of the last {} events of {name} ended badly", lately.failed, lately.ended);
        let last = plugin.last_failure.as_ref().map(|last| last.text.as_str());
        add(Kind::Failing, severity, what, lately.failure.as_deref().or(last));
    }
    if plugin.queue_limit > 0 && plugin.queued as f64 >= plugin.queue_limit as f64 * QUEUE {
        let (queued, limit) = (plugin.queued, plugin.queue_limit);
        let what = format!("{queued} events wait for {name}; beyond {limit} they are rejected");
        add(Kind::Queue, Severity::Warning, what, None);
    }
    if let Some(p95) = plugin.response_p95.filter(|p95| *p95 > SLOW && lately.timed >= SAMPLE) {
        add(Kind::Slow, Severity::Warning, format!("{name} takes {p95:.1} s for a reply (p95)"), None);
    }
    if lately.dead_letters > 0 && plugin.dead_letters > 0 {
        let what = match lately.dead_letters {
            1 => format!("An event that crashed {name} twice is a dead letter now"),
            count => format!("{count} events that crashed {name} twice each are dead letters now"),
        };
        add(Kind::DeadLetters, Severity::Warning, what, None);
    }
    if let Some(why) = &lately.rolled_back {
        add(Kind::RolledBack, Severity::Warning, format!("Rosey rolled {name} back to its earlier build"), Some(why));
    }
    if let Some(why) = &lately.refused {
        add(Kind::Refused, Severity::Warning, format!("A change of {name} was refused"), Some(why));
    }
    if lately.crashes > 0 && !matches!(plugin.state, PluginState::Failed | PluginState::Crashed) {
        let kind = if lately.crashes >= OFTEN { Kind::Crashing } else { Kind::Crashes };
        let what = format!("{name} crashed {} within the last hour", times(lately.crashes));
        add(kind, Severity::Warning, what, lately.crash_cause.as_deref().map(clause).or(cause));
    }
    found.sort_by_key(|trouble| trouble.kind);
    found
}

/// All troubles, the worst first; among equals, plugins by name.
pub fn of_all(snapshot: &Snapshot) -> Vec<Trouble> {
    let connectors = snapshot.system.connectors.iter().filter_map(|(name, state)| {
        let what = match *state {
            "disconnected" => format!("{name} is not connected, so its users cannot reach the bot"),
            "nowhere" => format!("{name} is in none of its channels; the log says why"),
            _ => return None,
        };
        Some(Trouble::new(Kind::NoChat, Severity::Error, None, what, None))
    });
    let database = snapshot.system.database.clone().map(|why| {
        let what = "Rosey refuses changes, because it cannot record them".to_owned();
        Trouble::new(Kind::Database, Severity::Warning, None, what, Some(why))
    });
    let of_plugins = snapshot.plugins.iter().flat_map(|plugin| plugin.troubles.iter().cloned());
    let mut all: Vec<_> = connectors.chain(database).chain(of_plugins).collect();
    all.sort_by_key(|trouble| trouble.kind);
    all
}

/// Whether all is well, in a sentence, and how bad it is.
pub fn verdict(snapshot: &Snapshot, troubles: &[Trouble]) -> Verdict {
    let is_down = |trouble: &&Trouble| matches!(trouble.kind, Kind::Failed | Kind::Crashed | Kind::Unhealthy);
    let down: Vec<&str> = troubles.iter().filter(is_down).filter_map(|trouble| trouble.plugin.as_deref()).collect();
    let of_kind = |kind: Kind| -> Vec<&str> {
        troubles.iter().filter(|one| one.kind == kind).filter_map(|one| one.plugin.as_deref()).collect()
    };
    let of_all = |text: String, severity| Verdict { text, severity, about: None };
    let Some(worst) = troubles.first() else {
        return match () {
            () if snapshot.timestamp.is_empty() => of_all("Starting.".to_owned(), Severity::Warning),
            () if snapshot.plugins.is_empty() => of_all("No plugins are configured.".to_owned(), Severity::Warning),
            () => of_all("All is well.".to_owned(), Severity::Good),
        };
    };
    match worst.kind {
        _ if down.len() > 1 => {
            let (count, all) = (down.len(), snapshot.plugins.len());
            of_all(format!("{count} of {all} plugins are down: {}.", some(&down)), Severity::Error)
        }
        Kind::Starting if of_kind(Kind::Starting).len() > 1 => {
            of_all(format!("{} are starting.", some(&of_kind(Kind::Starting))), Severity::Warning)
        }
        Kind::Stopped => {
            of_all(format!("All is well, but {} stopped.", was(&of_kind(Kind::Stopped))), Severity::Warning)
        }
        _ => Verdict { text: worst.text.clone(), severity: worst.severity, about: Some(worst.clone()) },
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
    // A plugin without trouble comes last. Among those that fail, the larger share of failures comes first.
    let key = |plugin: &Plugin| {
        let worst = plugin.troubles.first();
        let share = plugin.lately.failed * 1000 / plugin.lately.ended.max(1);
        (worst.is_none(), worst.map(|trouble| (trouble.kind, trouble.severity)), Reverse(share))
    };
    key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Crash, Failure, Lately};

    fn plugin(name: &str, state: PluginState, change: impl FnOnce(&mut Plugin)) -> Plugin {
        let mut plugin = Plugin { name: name.into(), state, queue_limit: 100, ..Plugin::default() };
        change(&mut plugin);
        plugin.troubles = of_plugin(&plugin);
        plugin
    }

    fn verdict_of(plugins: Vec<Plugin>) -> (String, Severity) {
        let snapshot = Snapshot { timestamp: "2026-01-01T00:00:00.000Z".into(), plugins, ..Snapshot::default() };
        said(&snapshot)
    }

    fn said(snapshot: &Snapshot) -> (String, Severity) {
        let verdict = verdict(snapshot, &of_all(snapshot));
        (verdict.text, verdict.severity)
    }

    fn running(change: impl FnOnce(&mut Plugin)) -> (String, Severity) {
        verdict_of(vec![plugin("a", PluginState::Running, change)])
    }

    #[test]
    fn all_is_well_only_when_nothing_is_wrong() {
        assert_eq!(running(|_| {}), ("All is well.".into(), Severity::Good));
        assert_eq!(verdict_of(vec![]), ("No plugins are configured.".into(), Severity::Warning));
        assert_eq!(said(&Snapshot::default()), ("Starting.".into(), Severity::Warning));
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
    fn one_cause_is_said_once() {
        let killed = || Some(Crash { cause: "killed by signal 9".into(), ..Crash::default() });
        let crashed = plugin("a", PluginState::Crashed, |it| {
            let why = "5 starts in a row did not stay up; the last one: killed by signal 9; next start in 2.0 s";
            (it.last_crash, it.explanation) = (killed(), Some(why.into()));
        });
        let (text, _) = verdict_of(vec![crashed]);
        assert_eq!(text.matches("killed by signal 9").count(), 1, "{text}");
    }

    #[test]
    fn what_runs_and_fails_or_crashed_often_is_not_simply_running() {
        let lately = |ended, failed, crashes| Lately { ended, failed, crashes, ..Lately::default() };
        let running = |lately| plugin("a", PluginState::Running, |it| it.lately = lately);
        assert!(is_failing(&running(lately(100, 36, 0))) && is_failing(&running(lately(0, 0, 3))));
        assert!(!is_failing(&running(lately(100, 5, 0))) && !is_failing(&running(lately(0, 0, 2))));
        let why = plugin("a", PluginState::Running, |it| {
            it.lately = lately(100, 36, 0);
            it.last_failure = Some(Failure { text: "the disk is full".into(), ..Failure::default() });
        });
        assert_eq!(why.troubles[0].text, "36 of the last 100 events of a ended badly: the disk is full.");
        let (much, more) = (running(lately(100, 36, 0)), running(lately(100, 48, 0)));
        assert_eq!(by_urgency(&more, &much), Ordering::Less, "the worse one comes first");
    }

    #[test]
    fn a_database_that_takes_nothing_is_a_trouble() {
        let mut snapshot = Snapshot { timestamp: "2026-01-01T00:00:00.000Z".into(), ..Snapshot::default() };
        snapshot.plugins = vec![plugin("a", PluginState::Running, |_| {})];
        snapshot.system.database = Some("rosey.db: its disk is full; make room".into());
        let found = said(&snapshot);
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
        assert_eq!(said(&banned), (text, Severity::Error));
        let well = plugin("0", PluginState::Running, |_| {});
        let mut sorted = [&well, &slow, &hung];
        sorted.sort_by(|a, b| by_urgency(a, b));
        assert_eq!(sorted.map(|plugin| plugin.name.as_str()), ["b", "a", "0"]);
    }
}
