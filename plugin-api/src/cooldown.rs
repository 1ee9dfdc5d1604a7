//! The cooldown of a command for each user, for a Rosey before plugin-api 1.1 and for tests. A newer host keeps it itself.

use crate::Context;
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Cooldowns that are remembered at a time (64 KiB): one for each user and command. When all are in use, further calls
/// pass.
const REMEMBERED: usize = 2048;

/// The end of a user's cooldown, and the event that began it.
struct Wait {
    until: Instant,
    event: u64,
}

/// The cooldowns of users, by command.
#[derive(Default)]
pub(crate) struct Cooldowns {
    /// Keyed by a hash, so that a long user name needs no more memory than a short one.
    until: Mutex<HashMap<u64, Wait>>,
    hasher: RandomState,
}

impl Cooldowns {
    /// Lets the call pass and begins a cooldown, or returns the time that the user must wait. An event that is
    /// delivered again passes again. `command` is the place of the command in the manifest, and of the subcommand in it.
    pub(crate) fn pass(
        &self,
        command: (usize, Option<usize>),
        cooldown_ms: u64,
        cx: &Context,
        now: Instant,
    ) -> Result<(), Duration> {
        let key = self.hasher.hash_one((command, cx.connector(), cx.user()));
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let others = until.get(&key).filter(|wait| wait.event != cx.event());
        if let Some(left) =
            others.and_then(|wait| wait.until.checked_duration_since(now)).filter(|left| !left.is_zero())
        {
            return Err(left);
        }
        if until.len() >= REMEMBERED {
            until.retain(|_, wait| wait.until > now);
        }
        if until.len() < REMEMBERED {
            until.insert(key, Wait { until: now + Duration::from_millis(cooldown_ms), event: cx.event() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_wire::event::{Body, Event};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn by(user: &str) -> Context {
        static EVENTS: AtomicU64 = AtomicU64::new(1);
        let (id, body) = (EVENTS.fetch_add(1, Relaxed), Body::Command { name: "tea", args: "" });
        let (channel, connector, traceparent) = ("", "", "");
        Context::new(&Event {
            id,
            probe: false,
            deadline_ms: 0,
            handler: 0,
            user,
            channel,
            connector,
            traceparent,
            body,
        })
    }

    #[test]
    fn a_user_waits_and_others_do_not() {
        let (cooldowns, start) = (Cooldowns::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(cooldowns.pass((0, None), 1000, &by("ann"), at(0)), Ok(()));
        assert_eq!(cooldowns.pass((0, None), 1000, &by("ann"), at(400)), Err(Duration::from_millis(600)));
        assert_eq!(cooldowns.pass((1, None), 1000, &by("ann"), at(400)), Ok(()));
        assert_eq!(cooldowns.pass((0, None), 1000, &by("bob"), at(400)), Ok(()));
        let again = by("ann");
        assert_eq!(cooldowns.pass((0, None), 1000, &again, at(1000)), Ok(()));
        assert_eq!(cooldowns.pass((0, None), 1000, &again, at(1001)), Ok(()), "the same event, delivered again");
    }

    #[test]
    fn a_crowd_does_not_grow_it() {
        let (cooldowns, now) = (Cooldowns::default(), Instant::now());
        for user in 0..REMEMBERED + 10 {
            assert_eq!(cooldowns.pass((0, None), 1000, &by(&user.to_string()), now), Ok(()));
        }
        assert_eq!(cooldowns.until.lock().expect("no panic above").len(), REMEMBERED);
    }
}
