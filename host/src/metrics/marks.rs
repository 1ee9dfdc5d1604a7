//! Marks: the events of the host and its plugins, on the charts and in the list of events.

use crate::{
    slot::lifecycle::{LifecycleEvent, LifecycleKind, left, reload, restarting},
    text::bounded,
    time,
    view::{
        Lately,
        mark::{Mark, MarkKind, Severity},
    },
};
use rosey_core::state::{StateEvent, Verdict};
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tracing::Level;

/// Marks kept in all: months of a quiet bot. The oldest are removed first.
pub const KEPT: usize = 5000;

/// Marks kept of one kind for one plugin, so that a crash loop does not push out other marks.
pub const KEPT_OF_A_KIND: usize = 100;

/// The time that counts as recent: the hour that the charts show.
pub const LATELY: Duration = Duration::from_secs(3600);

/// Bytes of a person's name.
const PERSON: usize = 100;

/// The newest marks, the oldest first.
#[derive(Debug, Default)]
pub struct Marks {
    marks: VecDeque<Mark>,
    counts: HashMap<(Option<String>, MarkKind), usize>,
    count: u64,
}

impl Marks {
    /// Adds a mark, and returns it with its number.
    pub fn push(
        &mut self,
        at: SystemTime,
        plugin: Option<&str>,
        person: Option<&str>,
        (kind, severity): (MarkKind, Severity),
        text: &str,
    ) -> Mark {
        let mark = Mark {
            number: self.count + 1,
            at: time::rfc3339(at),
            at_seconds: at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            plugin: plugin.map(str::to_owned),
            kind,
            severity,
            person: person.map(|person| bounded(person, PERSON)),
            text: bounded(text, 500),
        };
        self.keep(mark.clone());
        mark
    }

    /// Adds a mark that already has a number.
    pub fn keep(&mut self, mark: Mark) {
        let key = (mark.plugin.clone(), mark.kind);
        let of_its_kind = |one: &Mark| one.kind == mark.kind && one.plugin == mark.plugin;
        if self.counts.get(&key).is_some_and(|count| *count >= KEPT_OF_A_KIND) {
            let oldest = self.marks.iter().position(of_its_kind);
            self.forget(oldest.unwrap_or_default());
        } else if self.marks.len() >= KEPT {
            self.forget(0);
        }
        *self.counts.entry(key).or_default() += 1;
        self.count = self.count.max(mark.number);
        self.marks.push_back(mark);
    }

    fn forget(&mut self, at: usize) {
        let Some(mark) = self.marks.remove(at) else { return };
        let key = (mark.plugin, mark.kind);
        if let Some(count) = self.counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }

    /// Adds a mark for a lifecycle event, if it deserves one.
    pub fn happened(&mut self, event: &LifecycleEvent) -> Option<Mark> {
        let (kind, severity, text) = describe(event)?;
        let person = match &event.kind {
            LifecycleKind::Crash(crash) => crash.by.first().map(String::as_str),
            _ => None,
        };
        Some(self.push(event.at, Some(&event.plugin), person, (kind, severity), &text))
    }

    /// The marks of one plugin or of all, the newest first.
    pub fn newest(&self, plugin: Option<&str>, limit: usize) -> Vec<Mark> {
        let of_it = |mark: &&Mark| plugin.is_none() || mark.plugin.as_deref() == plugin;
        self.marks.iter().rev().filter(of_it).take(limit).cloned().collect()
    }

    /// The marks that `passes` accepts, the newest first.
    pub fn passing(&self, passes: impl Fn(&Mark) -> bool, limit: usize) -> Vec<Mark> {
        self.marks.iter().rev().filter(|mark| passes(mark)).take(limit).cloned().collect()
    }

    /// The events of each plugin within the last hour, by its marks.
    pub fn lately(&self, now: SystemTime) -> HashMap<&str, Lately> {
        let since = now.checked_sub(LATELY).unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = self.marks.partition_point(|mark| mark.at_seconds < since.as_secs());
        let mut all: HashMap<&str, Lately> = HashMap::new();
        for mark in self.marks.range(first..) {
            let Some(plugin) = mark.plugin.as_deref() else { continue };
            let lately = all.entry(plugin).or_default();
            match (mark.kind, mark.severity) {
                (MarkKind::Crash, _) => lately.crashes += 1,
                (MarkKind::DeadLetter, _) => lately.dead_letters += 1,
                (MarkKind::Rollback, Severity::Error) => lately.rolled_back = Some(mark.text.clone()),
                (MarkKind::Refused, _) => lately.refused = Some(mark.text.clone()),
                (MarkKind::Reload | MarkKind::Rollback | MarkKind::Restart, Severity::Info) => {
                    (lately.rolled_back, lately.refused) = (None, None);
                }
                _ => {}
            }
        }
        all
    }
}

fn describe(event: &LifecycleEvent) -> Option<(MarkKind, Severity, String)> {
    Some(match &event.kind {
        LifecycleKind::Crash(crash) => {
            let executing = crash.executing.first().map(|line| format!(", executing {line}")).unwrap_or_default();
            (
                MarkKind::Crash,
                Severity::Error,
                format!("generation {} crashed: {}{executing}", crash.generation, crash.cause),
            )
        }
        LifecycleKind::Changed { kind, result: Ok(done), took } => {
            let generation =
                done.generation.map(|number| format!(", generation {number} is active")).unwrap_or_default();
            (MarkKind::from(*kind), Severity::Info, format!("{kind} done in {}{generation}", time::short(*took)))
        }
        LifecycleKind::Changed { kind, result: Err(error), .. } => {
            (MarkKind::Refused, Severity::Warning, format!("{kind} refused: {error}"))
        }
        LifecycleKind::Health { answers: true } => (MarkKind::Health, Severity::Info, "answers again".to_owned()),
        LifecycleKind::Health { answers: false } => (MarkKind::Health, Severity::Error, "does not answer".to_owned()),
        LifecycleKind::DeadLetter { text } => {
            (MarkKind::DeadLetter, Severity::Error, format!("set aside after two crashes: {text}"))
        }
        LifecycleKind::StartupChosen(choice) => {
            let severity = match choice.level() {
                Level::ERROR => Severity::Error,
                Level::WARN => Severity::Warning,
                _ => Severity::Info,
            };
            (MarkKind::Active, severity, choice.text(&reload(&event.plugin)))
        }
        LifecycleKind::State(event) => return describe_state(event),
        LifecycleKind::SettingsBack { why } => {
            (MarkKind::Rollback, Severity::Error, format!("new settings taken back: {why}"))
        }
        // The admin's mark says more about these.
        LifecycleKind::Manifest(_)
        | LifecycleKind::Joined
        | LifecycleKind::Leaving
        | LifecycleKind::Left
        | LifecycleKind::Configured => return None,
    })
}

fn describe_state(event: &StateEvent) -> Option<(MarkKind, Severity, String)> {
    Some(match event {
        StateEvent::Active { generation, artifact } => (
            MarkKind::Active,
            Severity::Info,
            format!("generation {generation} serves (artifact {})", artifact.short()),
        ),
        StateEvent::StartFailed { why, .. } => (MarkKind::Failed, Severity::Error, format!("did not start: {why}")),
        StateEvent::Restarting { after, failures } => {
            (MarkKind::Restart, Severity::Warning, restarting(*after, *failures))
        }
        StateEvent::StartPostponed { why } => {
            (MarkKind::Restart, Severity::Warning, format!("cannot be started yet: {why}"))
        }
        StateEvent::GaveUp { why, .. } => (MarkKind::Failed, Severity::Error, format!("gave up: {why}")),
        StateEvent::RolledBack { from, to, why, state, store, .. } => {
            let (from, to, left) = (from.short(), to.short(), left(*state, *store));
            (MarkKind::Rollback, Severity::Error, format!("rolled back from {from} to {to}: {why}{left}"))
        }
        StateEvent::StorePutBack { lost } => (MarkKind::Rollback, Severity::Warning, lost.to_string()),
        StateEvent::Unblocked { artifact } => (
            MarkKind::Bake,
            Severity::Info,
            format!("artifact {} is no longer blocked: its event caused its crash", artifact.short()),
        ),
        StateEvent::BakeOver { verdict: Verdict::Good, events } => {
            (MarkKind::Bake, Severity::Info, format!("the new build is good ({events} events)"))
        }
        StateEvent::BakeOver { verdict: Verdict::Inconclusive, events } => (
            MarkKind::Bake,
            Severity::Info,
            format!("no crash, and too few events ({events}) to say more: inconclusive"),
        ),
        StateEvent::DrainTimedOut { generation } => {
            (MarkKind::Drain, Severity::Warning, format!("generation {generation} did not finish its drain in time"))
        }
        StateEvent::Crashed { .. }
        | StateEvent::BakeOver { verdict: Verdict::Superseded, .. }
        | StateEvent::OldGone { .. } => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_bounded_and_newest_first() {
        let mut marks = Marks::default();
        for number in 0..KEPT + 500 {
            let plugin = format!("p{}", number % 60);
            marks.push(UNIX_EPOCH, Some(&plugin), None, (MarkKind::Admin, Severity::Info), &number.to_string());
        }
        assert_eq!(marks.newest(None, usize::MAX).len(), KEPT);
        let newest = marks.newest(Some("p1"), 2);
        assert_eq!(newest.iter().map(|mark| mark.text.as_str()).collect::<Vec<_>>(), ["5461", "5401"]);
        assert_eq!(newest[0].number, 5462);
        assert_eq!(marks.counts.values().sum::<usize>(), KEPT);
    }

    #[test]
    fn a_crash_loop_pushes_out_nothing_but_its_own_crashes() {
        let mut marks = Marks::default();
        marks.push(UNIX_EPOCH, Some("quiet"), None, (MarkKind::Reload, Severity::Info), "of yesterday");
        marks.push(UNIX_EPOCH, Some("loop"), None, (MarkKind::Reload, Severity::Info), "of yesterday");
        for number in 0..3 * KEPT {
            marks.push(UNIX_EPOCH, Some("loop"), None, (MarkKind::Crash, Severity::Error), &number.to_string());
        }
        assert_eq!(marks.newest(Some("quiet"), 9).len(), 1);
        let of_loop = marks.newest(Some("loop"), usize::MAX);
        assert_eq!((of_loop.len(), of_loop[KEPT_OF_A_KIND].kind), (KEPT_OF_A_KIND + 1, MarkKind::Reload));
    }

    #[test]
    fn lately_is_an_hour_and_a_good_change_forgives() {
        let (mut marks, now) = (Marks::default(), UNIX_EPOCH + Duration::from_secs(10_000));
        let ago = |seconds| now - Duration::from_secs(seconds);
        marks.push(ago(4000), Some("a"), None, (MarkKind::Crash, Severity::Error), "long ago");
        marks.push(ago(3000), Some("a"), None, (MarkKind::Crash, Severity::Error), "lately");
        marks.push(ago(2000), Some("a"), None, (MarkKind::Rollback, Severity::Error), "back");
        marks.push(ago(1000), Some("b"), None, (MarkKind::Refused, Severity::Warning), "no");
        let lately = marks.lately(now);
        assert_eq!((lately["a"].crashes, lately["a"].rolled_back.as_deref()), (1, Some("back")));
        assert_eq!(lately["b"].refused.as_deref(), Some("no"));
        marks.push(ago(1), Some("a"), None, (MarkKind::Reload, Severity::Info), "done");
        assert_eq!(marks.lately(now)["a"].rolled_back, None);
    }
}
