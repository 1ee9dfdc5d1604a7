//! The last lines about each plugin: what it printed and logged, and what happened to it. For people, and bounded.

use super::bounded;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Lines kept for a plugin: a screen or four.
const LINES: usize = 200;

/// Bytes kept of a line; with [`LINES`] that is 100 KB a plugin at most.
const MAX_LINE: usize = 500;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: SystemTime,
    /// What.
    pub text: String,
}

/// The lines of all plugins. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<HashMap<Box<str>, VecDeque<Line>>>>);

impl Journal {
    /// Adds a line; the oldest one goes.
    pub fn push(&self, plugin: &str, text: &str) {
        let line = Line { at: SystemTime::now(), text: bounded(text, MAX_LINE) };
        let mut plugins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = match plugins.get_mut(plugin) {
            Some(lines) => lines,
            None => plugins.entry(plugin.into()).or_default(),
        };
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The last `most` lines of a plugin, the newest last.
    pub fn last(&self, plugin: &str, most: usize) -> Vec<Line> {
        let plugins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = plugins.get(plugin) else { return Vec::new() };
        lines.iter().skip(lines.len().saturating_sub(most)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_stay() {
        let journal = Journal::default();
        for number in 0..LINES + 10 {
            journal.push("x", &number.to_string());
        }
        journal.push("y", &"long ".repeat(1000));
        let texts: Vec<_> = journal.last("x", 2).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, [(LINES + 8).to_string(), (LINES + 9).to_string()]);
        assert_eq!(journal.last("x", usize::MAX).len(), LINES);
        assert!(journal.last("y", 1)[0].text.len() <= MAX_LINE);
        assert!(journal.last("z", 1).is_empty());
    }
}
