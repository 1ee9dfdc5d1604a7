//! The headline of a page: what is worst, why, and what to do next. Pure.

use super::pages::encoded;
use crate::view::{
    Plugin, Snapshot,
    mark::Severity,
    trouble::{self, Kind, Trouble},
};
use rosey_core::state::PluginState;

/// What a page says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, as a clause without its full stop.
    pub what: String,
    /// Why, if that is known.
    pub why: Option<String>,
    /// The next step.
    pub next: Option<Next>,
}

/// A link to the place where an operator goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The address, from the root of the dashboard.
    pub link: String,
    /// What a person finds or does there.
    pub words: &'static str,
}

impl Headline {
    /// The headline of the overview.
    pub fn of_all(snapshot: &Snapshot) -> Self {
        let verdict = trouble::verdict(snapshot, &snapshot.system.troubles);
        match verdict.about {
            Some(about) => {
                let next = next(&about);
                Self { severity: verdict.severity, next, what: about.what, why: about.why.as_deref().map(short) }
            }
            None => Self {
                severity: verdict.severity,
                what: verdict.text.trim_end_matches('.').to_owned(),
                why: None,
                next: None,
            },
        }
    }
}

/// A cause without what a signal's name means: `killed by signal 6 (SIGABRT)`.
pub fn short(cause: &str) -> String {
    let named = cause.split_once("(SIG").and_then(|(before, rest)| {
        let (name, rest) = rest.split_once(':')?;
        let (_, after) = rest.split_once(')')?;
        Some(format!("{before}(SIG{name}){after}"))
    });
    named.unwrap_or_else(|| cause.to_owned())
}

/// Where an operator goes on with a trouble.
pub fn next(trouble: &Trouble) -> Option<Next> {
    let (place, words) = match trouble.kind {
        Kind::Failed => ("#actions", "Reload it or roll back"),
        Kind::Unhealthy => ("#actions", "Restart it"),
        Kind::Stopped => ("#actions", "Start it"),
        Kind::Crashed | Kind::Crashing | Kind::Crashes => ("#crashes", "See the crashes"),
        Kind::Failing => ("#failures", "See the failures"),
        Kind::Queue | Kind::Slow => ("#charts", "See its charts"),
        Kind::DeadLetters => ("#letters", "See the dead letters"),
        Kind::RolledBack | Kind::Refused => ("#changes", "See the change"),
        Kind::NoChat => ("events?kind=connector", "See its events"),
        Kind::Database | Kind::Starting => return None,
    };
    let link = match &trouble.plugin {
        Some(plugin) => format!("plugin/{}{place}", encoded(plugin)),
        None => place.to_owned(),
    };
    Some(Next { link, words })
}

/// The state of a plugin: its class in the style, and the words.
pub fn state(plugin: &Plugin) -> (&'static str, String) {
    match trouble::is_failing(plugin) {
        true => ("failing", format!("{} · failing", PluginState::Running.word())),
        false => (plugin.state.word(), plugin.state.word().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Lately;

    fn snapshot(state: PluginState, lately: Lately) -> Snapshot {
        let mut plugin = Plugin { name: "a b".into(), state, lately, ..Plugin::default() };
        plugin.troubles = trouble::of_plugin(&plugin);
        let mut all = Snapshot { timestamp: "now".into(), plugins: vec![plugin], ..Snapshot::default() };
        all.system.troubles = trouble::of_all(&all);
        all
    }

    #[test]
    fn a_cause_is_short() {
        assert_eq!(
            short("mostly killed by signal 6 (SIGABRT: abort, or a panic)"),
            "mostly killed by signal 6 (SIGABRT)"
        );
        assert_eq!(short("exit status 3; next start in 2 s"), "exit status 3; next start in 2 s");
    }

    #[test]
    fn a_headline_leads_to_the_next_step() {
        let failing = snapshot(PluginState::Running, Lately { ended: 100, failed: 36, ..Lately::default() });
        let headline = Headline::of_all(&failing);
        assert_eq!(headline.what, "36 of the last 100 events of a b ended badly");
        let next = headline.next.expect("a next step");
        assert_eq!((next.link.as_str(), next.words), ("plugin/a%20b#failures", "See the failures"));
        assert_eq!(state(&failing.plugins[0]), ("failing", "running · failing".to_owned()));
        let well = snapshot(PluginState::Running, Lately::default());
        let headline = Headline::of_all(&well);
        assert_eq!((headline.what.as_str(), headline.next), ("All is well", None));
        assert_eq!(state(&well.plugins[0]), ("running", "running".to_owned()));
    }
}
