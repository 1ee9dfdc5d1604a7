//! Since when each plugin is in its state, and how long it did not serve.

use crate::{time, view::StateSpan};
use rosey_core::state::PluginState;
use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

/// States kept for each plugin, the present one included.
const KEPT: usize = 50;

/// Whether a plugin in this state answers its users.
pub fn is_serving(state: PluginState) -> bool {
    matches!(state, PluginState::Running | PluginState::Reloading | PluginState::Draining)
}

/// One state, from its beginning to its end.
#[derive(Debug)]
struct Span {
    state: PluginState,
    since: SystemTime,
    began: Instant,
    /// `None` while it lasts.
    lasted: Option<Duration>,
}

/// The states of one plugin since the host started, the oldest first.
#[derive(Debug, Default)]
pub struct States {
    spans: VecDeque<Span>,
    down: f64,
    seen: Option<Instant>,
}

impl States {
    /// Takes the state of a new board.
    pub fn see(&mut self, state: PluginState, now: Instant, clock: SystemTime) {
        let passed = self.seen.replace(now).map_or(Duration::ZERO, |seen| now.saturating_duration_since(seen));
        let is_only = self.spans.len() == 1;
        if let Some(last) = self.spans.back_mut() {
            // A start of Rosey is no failure of its plugins.
            let is_first_start = is_only && last.state == PluginState::Starting;
            if !is_serving(last.state) && !is_first_start {
                self.down += passed.as_secs_f64();
            }
            if last.state == state {
                return;
            }
            last.lasted = Some(now.saturating_duration_since(last.began));
        }
        if self.spans.len() >= KEPT {
            self.spans.pop_front();
        }
        self.spans.push_back(Span { state, since: clock, began: now, lasted: None });
    }

    /// Counts a time in which the host itself stood still: no plugin served in it.
    pub fn stood_still(&mut self, span: Duration) {
        if self.spans.back().is_some_and(|last| is_serving(last.state)) {
            self.down += span.as_secs_f64();
        }
    }

    /// Seconds since the host started in which the plugin did not serve.
    pub fn down(&self) -> f64 {
        self.down
    }

    /// When the present state began, RFC 3339 in UTC; `None` before the first board.
    pub fn since(&self) -> Option<String> {
        self.spans.back().map(|last| time::rfc3339(last.since))
    }

    /// The states, the newest first.
    pub fn newest_first(&self) -> Vec<StateSpan> {
        let one = |span: &Span| {
            let lasted = span.lasted.unwrap_or_else(|| span.began.elapsed());
            StateSpan {
                state: span.state,
                since: time::rfc3339(span.since),
                seconds: (lasted.as_secs_f64() * 10.0).round() / 10.0,
                is_over: span.lasted.is_some(),
            }
        };
        self.spans.iter().rev().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_a_beginning_and_a_length_and_what_does_not_serve_is_down() {
        let (mut states, began) = (States::default(), Instant::now());
        let mut see = |state, seconds: u64| {
            let passed = Duration::from_secs(seconds);
            states.see(state, began + passed, SystemTime::UNIX_EPOCH + passed);
        };
        see(PluginState::Starting, 0);
        see(PluginState::Running, 2);
        see(PluginState::Running, 10);
        see(PluginState::Crashed, 11);
        see(PluginState::Running, 14);
        states.stood_still(Duration::from_secs(7));
        assert!((states.down() - 10.0).abs() < 0.001, "{}", states.down());
        assert_eq!(states.since().as_deref(), Some("1970-01-01T00:00:14.000Z"));
        let shown = states.newest_first();
        let before: Vec<_> = shown.iter().skip(1).map(|span| (span.state, span.seconds, span.is_over)).collect();
        let expected = [(PluginState::Crashed, 3.0), (PluginState::Running, 9.0), (PluginState::Starting, 2.0)];
        assert_eq!(before, expected.map(|(state, seconds)| (state, seconds, true)));
        assert!(shown[0].state == PluginState::Running && !shown[0].is_over);
    }

    #[test]
    fn a_flapping_plugin_is_bounded() {
        let (mut states, now) = (States::default(), Instant::now());
        for at in 0..1000 {
            let state = if at % 2 == 0 { PluginState::Crashed } else { PluginState::Running };
            states.see(state, now, SystemTime::UNIX_EPOCH);
        }
        assert_eq!(states.newest_first().len(), KEPT);
    }
}
