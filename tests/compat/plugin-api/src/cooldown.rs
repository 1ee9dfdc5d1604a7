//! How soon one user may call one command again.

use crate::Context;
use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// At most this many waits are remembered (64 KiB): one per user and command within a cooldown. Beyond it, calls pass.
const REMEMBERED: usize = 2048;

/// Until when each user waits, by command.
#[derive(Default)]
pub(crate) struct Cooldowns {
    /// Keyed by a hash, so that a user with a long name costs no more than any other.
    until: Mutex<HashMap<u64, Instant>>,
    hasher: RandomState,
}

impl Cooldowns {
    /// Lets the call pass and remembers it, or says how long the user has to wait.
    pub(crate) fn pass(&self, command: usize, cooldown_ms: u64, cx: &Context, now: Instant) -> Result<(), Duration> {
        let key = self.hasher.hash_one((command, cx.connector(), cx.user()));
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) =
            until.get(&key).and_then(|end| end.checked_duration_since(now)).filter(|wait| !wait.is_zero())
        {
            return Err(wait);
        }
        if until.len() >= REMEMBERED {
            until.retain(|_, end| *end > now);
        }
        if until.len() < REMEMBERED {
            until.insert(key, now + Duration::from_millis(cooldown_ms));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Incoming;

    fn by(user: &str) -> Context {
        Context::new(&Incoming { user, ..Incoming::default() })
    }

    #[test]
    fn a_user_waits_and_others_do_not() {
        let (cooldowns, start) = (Cooldowns::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(cooldowns.pass(0, 1000, &by("ann"), at(0)), Ok(()));
        assert_eq!(cooldowns.pass(0, 1000, &by("ann"), at(400)), Err(Duration::from_millis(600)));
        assert_eq!(cooldowns.pass(1, 1000, &by("ann"), at(400)), Ok(()));
        assert_eq!(cooldowns.pass(0, 1000, &by("bob"), at(400)), Ok(()));
        assert_eq!(cooldowns.pass(0, 1000, &by("ann"), at(1000)), Ok(()));
    }

    #[test]
    fn a_crowd_does_not_grow_it() {
        let (cooldowns, now) = (Cooldowns::default(), Instant::now());
        for user in 0..REMEMBERED + 10 {
            assert_eq!(cooldowns.pass(0, 1000, &by(&user.to_string()), now), Ok(()));
        }
        assert_eq!(cooldowns.until.lock().expect("no panic above").len(), REMEMBERED);
    }
}
