//! What happened, as an operator asks about it: the marks on the charts, and the list of events.

use crate::{
    plugin::{
        bounded,
        slot::{
            message::{Happening, What},
            state::{Note, Verdict},
        },
    },
    time,
    view::Mark,
};
use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

/// Marks kept in all: some hours of a plugin in a crash loop, months of a quiet bot. The oldest go first.
const KEPT: usize = 2000;

/// The newest marks, the oldest first.
#[derive(Debug, Default)]
pub struct Marks {
    marks: VecDeque<Mark>,
    count: u64,
}

impl Marks {
    /// Adds one.
    pub fn push(
        &mut self,
        at: SystemTime,
        plugin: Option<&str>,
        kind: &'static str,
        severity: &'static str,
        text: &str,
    ) {
        if self.marks.len() >= KEPT {
            self.marks.pop_front();
        }
        self.count += 1;
        self.marks.push_back(Mark {
            number: self.count,
            at: time::rfc3339(at),
            at_seconds: at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            plugin: plugin.map(str::to_owned),
            kind,
            severity,
            text: bounded(text, 500),
        });
    }

    /// Adds what deserves one.
    pub fn happened(&mut self, happening: &Happening) {
        if let Some((kind, severity, text)) = describe(&happening.what) {
            self.push(happening.at, Some(&happening.plugin), kind, severity, &text);
        }
    }

    /// The newest first: those of one plugin or all.
    pub fn newest(&self, plugin: Option<&str>, limit: usize) -> Vec<Mark> {
        let of_it = |mark: &&Mark| plugin.is_none() || mark.plugin.as_deref() == plugin;
        self.marks.iter().rev().filter(of_it).take(limit).cloned().collect()
    }
}

fn describe(what: &What) -> Option<(&'static str, &'static str, String)> {
    Some(match what {
        What::Crash(crash) => {
            let executing = crash.executing.first().map(|line| format!(", executing {line}")).unwrap_or_default();
            ("crash", "error", format!("generation {} crashed: {}{executing}", crash.generation, crash.cause))
        }
        What::Changed { kind, result: Ok(done), took } => {
            let generation =
                done.generation.map(|number| format!(", generation {number} is active")).unwrap_or_default();
            (kind, "info", format!("{kind} done in {:.1} ms{generation}", took.as_secs_f64() * 1e3))
        }
        What::Changed { kind, result: Err(error), .. } => ("refused", "warning", format!("{kind} refused: {error}")),
        What::DeadLetter { text } => ("dead_letter", "error", format!("set aside after two crashes: {text}")),
        What::Note(note) => return describe_note(note),
        What::Manifest(_) => return None,
    })
}

fn describe_note(note: &Note) -> Option<(&'static str, &'static str, String)> {
    Some(match note {
        Note::Active { generation, artifact } => {
            ("active", "info", format!("generation {generation} serves (artifact {})", artifact.short()))
        }
        Note::StartFailed { why, .. } => ("failed", "error", format!("did not start: {why}")),
        Note::Restarting { after, failures } => {
            let after = after.as_secs_f32();
            ("restart", "warning", format!("starting again in {after:.2} s ({failures} in a row did not stay up)"))
        }
        Note::GaveUp { why } => ("failed", "error", format!("failed and stays down: {why}")),
        Note::RolledBack { from, to, why, .. } => {
            ("rollback", "error", format!("rolled back from {} to {}: {why}", from.short(), to.short()))
        }
        Note::BakeOver { verdict: Verdict::Good, events } => {
            ("bake", "info", format!("the new build is good ({events} events)"))
        }
        Note::BakeOver { verdict: Verdict::Inconclusive, events } => {
            ("bake", "info", format!("no crash, and too few events ({events}) to say more: inconclusive"))
        }
        Note::DrainTimedOut { generation } => {
            ("drain", "warning", format!("generation {generation} did not finish its drain in time"))
        }
        Note::Crashed { .. } | Note::BakeOver { verdict: Verdict::Superseded, .. } | Note::OldGone { .. } => {
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
        for number in 0..KEPT + 5 {
            let plugin = if number % 2 == 0 { "even" } else { "odd" };
            marks.push(UNIX_EPOCH, Some(plugin), "admin", "info", &number.to_string());
        }
        assert_eq!(marks.newest(None, usize::MAX).len(), KEPT);
        let newest = marks.newest(Some("even"), 2);
        assert_eq!(newest.iter().map(|mark| mark.text.as_str()).collect::<Vec<_>>(), ["2004", "2002"]);
        assert_eq!(newest[0].number, 2005);
    }
}
