//! Crashes and dead letters that are alike, as one entry each. Pure.

use super::words;
use crate::view::{Crash, Letter};
use std::collections::BTreeSet;

/// Names that a group lists; further ones are a number.
const NAMES: usize = 3;

/// Crashes by the same cause on the same event, the newest first.
#[derive(Debug)]
pub struct CrashGroup<'a> {
    /// The cause in two or three words.
    pub cause: String,
    /// The event that it was executing, as typed.
    pub line: Option<&'a str>,
    /// The users of these events.
    pub users: String,
    /// Those that are alike, the newest first.
    pub crashes: Vec<&'a Crash>,
}

impl CrashGroup<'_> {
    /// The newest crash.
    pub fn newest(&self) -> &Crash {
        self.crashes[0]
    }

    /// Tells the group apart on the page, whatever comes later: by its oldest crash.
    pub fn id(&self) -> String {
        let oldest = self.crashes[self.crashes.len() - 1];
        format!("crash-{}-{}", oldest.at, oldest.generation)
    }
}

/// The groups of these crashes, by their newest one.
pub fn of_crashes(crashes: &[Crash]) -> Vec<CrashGroup<'_>> {
    let mut groups: Vec<CrashGroup<'_>> = Vec::new();
    for crash in crashes {
        let (cause, line) = (words::sort(crash), crash.executing.first().map(String::as_str));
        match groups.iter_mut().find(|group| group.cause == cause && group.line == line) {
            Some(group) => group.crashes.push(crash),
            None => groups.push(CrashGroup { cause, line, users: String::new(), crashes: vec![crash] }),
        }
    }
    for group in &mut groups {
        group.users = names(group.crashes.iter().filter_map(|crash| crash.by.first()));
    }
    groups
}

/// Dead letters of the same event with the same causes, the newest first.
#[derive(Debug)]
pub struct LetterGroup<'a> {
    /// The users of these events, each once.
    pub users: String,
    /// The causes, each once: `2 × exit status 3`.
    pub causes: Vec<String>,
    /// Those that are alike, the newest first.
    pub letters: Vec<&'a Letter>,
}

impl LetterGroup<'_> {
    /// The newest letter.
    pub fn newest(&self) -> &Letter {
        self.letters[0]
    }

    /// Whether the group is more than one letter.
    pub fn is_several(&self) -> bool {
        self.letters.len() > 1
    }
}

/// The groups of these letters, by their newest one.
pub fn of_letters(letters: &[Letter]) -> Vec<LetterGroup<'_>> {
    let mut groups: Vec<LetterGroup<'_>> = Vec::new();
    for letter in letters {
        let is_alike = |group: &&mut LetterGroup<'_>| {
            let newest = group.newest();
            newest.line == letter.line && newest.causes == letter.causes
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.letters.push(letter),
            None => groups.push(LetterGroup {
                users: String::new(),
                causes: counted(&letter.causes),
                letters: vec![letter],
            }),
        }
    }
    for group in &mut groups {
        group.users = names(group.letters.iter().map(|letter| &letter.user));
    }
    groups
}

/// Each text once, with its number if it comes more often.
fn counted(texts: &[String]) -> Vec<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for text in texts {
        match counts.iter_mut().find(|(known, _)| known == text) {
            Some((_, count)) => *count += 1,
            None => counts.push((text, 1)),
        }
    }
    let one = |(text, count): (&str, usize)| if count > 1 { format!("{count} × {text}") } else { text.to_owned() };
    counts.into_iter().map(one).collect()
}

/// Each name once: `alice, bob, carol and 2 more`.
fn names<'a>(all: impl Iterator<Item = &'a String>) -> String {
    let mut seen = BTreeSet::new();
    let once: Vec<&str> = all.map(String::as_str).filter(|name| !name.is_empty() && seen.insert(*name)).collect();
    let listed = once.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    match once.len().saturating_sub(NAMES) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_crashes_are_one_group_that_keeps_its_name() {
        let crash = |kind: &'static str, line: &str, user: &str, generation| Crash {
            kind,
            cause: "killed by signal 6 (SIGABRT: abort)".into(),
            executing: vec![line.into()],
            by: vec![user.into()],
            at: format!("t{generation}"),
            generation,
            ..Crash::default()
        };
        let mut crashes = vec![crash("signal", "!abort", "bob", 4), crash("exit", "!exit 3", "bob", 3)];
        crashes.extend([crash("signal", "!abort", "alice", 2), crash("signal", "!abort", "bob", 1)]);
        let groups = of_crashes(&crashes);
        let shown: Vec<_> =
            groups.iter().map(|group| (group.crashes.len(), group.cause.as_str(), group.users.as_str())).collect();
        assert_eq!(shown, [(3, "SIGABRT", "bob, alice"), (1, "exit status", "bob")]);
        assert_eq!((groups[0].newest().generation, groups[0].id().as_str()), (4, "crash-t1-1"));
        assert_eq!(of_crashes(&crashes[2..])[0].id(), "crash-t1-1", "with and without later ones");
    }

    #[test]
    fn dead_letters_are_grouped_by_event_and_cause() {
        let letter = |id, line: &str, user: &str| Letter {
            id,
            line: line.into(),
            user: user.into(),
            causes: vec!["exit status 3".into(), "exit status 3".into()],
            ..Letter::default()
        };
        let letters: Vec<_> =
            ["a", "b", "c", "d", "a"].iter().zip(1..).map(|(user, id)| letter(id, "!exit 3", user)).collect();
        let groups = of_letters(&letters);
        assert_eq!((groups.len(), groups[0].letters.len(), groups[0].is_several()), (1, 5, true));
        assert_eq!(
            (groups[0].causes.join(", "), groups[0].users.as_str()),
            ("2 × exit status 3".into(), "a, b, c and 1 more")
        );
        let other = [letter(1, "!abort", "a"), letter(2, "!exit 3", "a")];
        assert_eq!(of_letters(&other).len(), 2);
    }
}
