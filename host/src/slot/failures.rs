//! Why events of a plugin ended badly: equal reasons make one group, with its count and its last event.

use crate::{event::Event, text::bounded};
use rosey_core::{
    flow::Ended,
    outcome::{Outcome, Rejection},
    state::GenerationId,
};
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Groups kept for each plugin. A new reason pushes out the rarest group.
const MOST: usize = 12;

/// Bytes of a reason.
const TEXT: usize = 400;

/// Bytes of a line.
const LINE: usize = 200;

/// The time that counts as recent.
const LATELY: Duration = Duration::from_secs(300);

/// Events that ended badly for the same reason.
#[derive(Debug, Clone)]
pub struct Failure {
    /// How they ended, as in [`rosey_core::outcome::OUTCOMES`].
    pub outcome: &'static str,
    /// The reason of the last one.
    pub text: String,
    /// How many there were since the host started.
    pub count: u64,
    /// When the first one ended.
    pub first: SystemTime,
    /// When the last one ended.
    pub last: SystemTime,
    /// The last event as typed.
    pub line: String,
    /// The person of the last event.
    pub user: String,
    /// The generation that had the last event, if one had it.
    pub generation: Option<GenerationId>,
}

/// The groups of one plugin since the host started.
#[derive(Debug, Clone, Default)]
pub struct Failures {
    groups: Vec<Failure>,
    /// Events of the groups that were pushed out.
    pub others: u64,
}

impl Failures {
    /// The groups, the largest first.
    pub fn largest_first(&self) -> Vec<&Failure> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|group| std::cmp::Reverse((group.count, group.last)));
        groups
    }

    /// The group of the event that ended badly last.
    pub fn newest(&self) -> Option<&Failure> {
        self.groups.iter().max_by_key(|group| group.last)
    }

    /// The largest group that had an event within the last five minutes.
    pub fn frequent(&self, now: SystemTime) -> Option<&Failure> {
        let since = now.checked_sub(LATELY)?;
        self.groups.iter().filter(|group| group.last >= since).max_by_key(|group| (group.count, group.last))
    }

    /// Counts an event, if it ended badly. The groups are shared with views: they are copied at most once for each view.
    #[inline]
    pub fn count(all: &mut Arc<Self>, ended: &Ended<Event>) {
        // Nearly all events.
        if !matches!(ended.outcome, Outcome::Replied(_) | Outcome::Ignored) {
            Self::count_failed(all, ended);
        }
    }

    #[cold]
    fn count_failed(all: &mut Arc<Self>, ended: &Ended<Event>) {
        let Some(why) = reason(&ended.outcome) else { return };
        let (outcome, event) = (ended.outcome.name(), &ended.event);
        Arc::make_mut(all).add(outcome, &why, &event.text(), &event.user.name, ended.generation, SystemTime::now());
    }

    fn add(
        &mut self,
        outcome: &'static str,
        why: &str,
        line: &str,
        user: &str,
        generation: Option<GenerationId>,
        at: SystemTime,
    ) {
        let text = bounded(why, TEXT);
        let is_same = |group: &Failure| group.outcome == outcome && is_alike(&group.text, &text);
        let place = self.groups.iter().position(is_same).unwrap_or_else(|| self.room());
        let line = bounded(line, LINE);
        let new = Failure { outcome, text, count: 1, first: at, last: at, line, user: user.to_owned(), generation };
        match self.groups.get_mut(place) {
            Some(group) => *group = Failure { count: group.count + 1, first: group.first, ..new },
            None => self.groups.push(new),
        }
    }

    /// The place for a new group.
    fn room(&mut self) -> usize {
        if self.groups.len() >= MOST {
            let rarest = (0..self.groups.len()).min_by_key(|at| (self.groups[*at].count, self.groups[*at].last));
            self.others += self.groups.swap_remove(rarest.unwrap_or_default()).count;
        }
        self.groups.len()
    }
}

/// Whether two reasons differ at most in their numbers: `no answer after 503 ms` and `no answer after 507 ms`.
fn is_alike(a: &str, b: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let (mut a, mut b) = (a.bytes().peekable(), b.bytes().peekable());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if is_digit(&one) && is_digit(&other) => {
                while a.next_if(is_digit).is_some() {}
                while b.next_if(is_digit).is_some() {}
            }
            (one, other) if one != other => return false,
            _ => {}
        }
    }
}

/// Why an event ended badly, for the operator; `None` if it ended well.
fn reason(outcome: &Outcome) -> Option<Cow<'_, str>> {
    Some(match outcome {
        Outcome::Replied(_) | Outcome::Ignored => return None,
        Outcome::Failed { text, detail } => Cow::Borrowed(if detail.is_empty() { text } else { detail }),
        Outcome::TimedOut => "it did not answer within limits.event_deadline".into(),
        Outcome::DeadLettered => "it was executing at two crashes".into(),
        Outcome::Rejected(rejection) => match rejection {
            Rejection::QueueFull => "the queue was full (limits.queue)".into(),
            Rejection::WaitedTooLong => "it waited in the queue for limits.event_deadline".into(),
            Rejection::NotRunning => "the plugin was not running".into(),
            Rejection::Stopping => "Rosey was stopping".into(),
            Rejection::NotRecorded => "it could not be written to rosey.db before it ran".into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn filled(reasons: &[&str]) -> Failures {
        let mut failures = Failures::default();
        for (second, why) in (0..).zip(reasons) {
            let at = UNIX_EPOCH + Duration::from_secs(second);
            failures.add("failed", why, &format!("!line {second}"), "alice", Some(1), at);
        }
        failures
    }

    #[test]
    fn equal_reasons_are_one_group_with_its_first_and_last_event() {
        let failures = filled(&["no answer after 503 ms", "the disk is full", "no answer after 7 ms"]);
        let groups = failures.largest_first();
        assert_eq!((groups.len(), groups[0].count, groups[0].text.as_str()), (2, 2, "no answer after 7 ms"));
        assert_eq!((groups[0].first, groups[0].line.as_str()), (UNIX_EPOCH, "!line 2"));
        assert_eq!(failures.newest().map(|group| group.line.as_str()), Some("!line 2"));
        assert!(!is_alike("a 1", "a") && !is_alike("a 1", "b 1") && !is_alike("a", "a1") && is_alike("a 1b", "a 22b"));
    }

    #[test]
    fn the_groups_are_bounded_and_the_frequent_ones_stay() {
        let unlike: Vec<String> =
            ('a'..='z').cycle().take(500).enumerate().map(|(at, c)| c.to_string().repeat(at + 1)).collect();
        let mut reasons = vec!["often"; 3];
        reasons.extend(unlike.iter().map(String::as_str));
        let failures = filled(&reasons);
        assert_eq!(failures.groups.len(), MOST);
        assert_eq!(failures.largest_first()[0].text, "often");
        assert_eq!(failures.groups.iter().map(|group| group.count).sum::<u64>() + failures.others, 503);
        assert!(filled(&["x".repeat(9000).as_str()]).groups[0].text.len() < 2 * TEXT);
    }

    #[test]
    fn each_bad_end_has_a_reason() {
        assert_eq!(reason(&Outcome::Replied("x".into())), None);
        let failed = Outcome::Failed { text: "sorry".into(), detail: String::new() };
        assert_eq!(reason(&failed).as_deref(), Some("sorry"));
        assert!(reason(&Outcome::Rejected(Rejection::QueueFull)).is_some_and(|why| why.contains("limits.queue")));
    }
}
