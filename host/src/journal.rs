//! The last lines of each plugin: its output, its log records, and the events of its life. For people, and bounded.

use crate::text::bounded;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use tokio::sync::broadcast;

/// Lines kept for each plugin: up to four screens.
const LINES: usize = 200;

/// Bytes kept of each line. With [`LINES`] a plugin has at most 100 KB.
const MAX_LINE: usize = 500;

/// Lines that wait for a follower that reads them slowly.
const FOLLOWED: usize = 1024;

/// A line of a plugin, or about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The plugin that logged it.
    pub plugin: Arc<str>,
    /// The time at which the host read it.
    pub at: SystemTime,
    /// The text, cleaned and bounded.
    pub text: String,
}

/// The lines of all plugins. Cheap to clone; all clones share the lines.
#[derive(Debug, Clone)]
pub struct Journal {
    plugins: Arc<Mutex<HashMap<Arc<str>, Lines>>>,
    followers: broadcast::Sender<Line>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { plugins: Arc::default(), followers: broadcast::Sender::new(FOLLOWED) }
    }
}

#[derive(Debug, Default)]
struct Lines {
    last: VecDeque<Line>,
    left_out: u64,
}

impl Journal {
    /// Adds a line, and removes the oldest one if there are too many.
    pub fn push(&self, plugin: &str, text: &str) {
        self.with(plugin, |name, lines| {
            let line = Line { plugin: Arc::clone(name), at: SystemTime::now(), text: bounded(text, MAX_LINE) };
            if self.followers.receiver_count() > 0 {
                // The last follower may have gone meanwhile.
                let _ = self.followers.send(line.clone());
            }
            if lines.last.len() >= LINES {
                lines.last.pop_front();
            }
            lines.last.push_back(line);
        });
    }

    /// Every line from now on. A follower that is slow misses lines, and learns how many.
    pub fn follow(&self) -> broadcast::Receiver<Line> {
        self.followers.subscribe()
    }

    /// Counts a line that was left out, because the plugin printed too many within a second.
    pub fn leave_out(&self, plugin: &str) {
        self.with(plugin, |_, lines| lines.left_out += 1);
    }

    /// The number of lines of a plugin that were left out.
    pub fn left_out(&self, plugin: &str) -> u64 {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.get(plugin).map_or(0, |lines| lines.left_out)
    }

    fn with(&self, plugin: &str, change: impl FnOnce(&Arc<str>, &mut Lines)) {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let name = plugins.get_key_value(plugin).map_or_else(|| plugin.into(), |(name, _)| Arc::clone(name));
        change(&name, plugins.entry(Arc::clone(&name)).or_default());
    }

    /// The last lines of all plugins together, the newest last.
    pub fn last_of_all(&self) -> Vec<Line> {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<_> = plugins.values().flat_map(|lines| lines.last.iter().cloned()).collect();
        lines.sort_by_key(|line| line.at);
        lines.split_off(lines.len().saturating_sub(LINES))
    }

    /// The last `most` lines of a plugin, the newest last.
    pub fn last(&self, plugin: &str, most: usize) -> Vec<Line> {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = plugins.get(plugin) else { return Vec::new() };
        lines.last.iter().skip(lines.last.len().saturating_sub(most)).cloned().collect()
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
        let last = journal.last_of_all();
        assert_eq!((last.len(), &*last[LINES - 1].plugin, &*last[LINES - 2].plugin), (LINES, "y", "x"));
        journal.leave_out("x");
        assert_eq!((journal.left_out("x"), journal.left_out("z")), (1, 0));
    }
}
