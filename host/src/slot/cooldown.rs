//! How soon a command may be called again: by the same person, in the same channel, by anyone. Checked before a process is woken.
//!
//! A wait counts from the call that began it, by the clock of the day, so that it goes on across reloads, crashes and
//! restarts of the host. Long ones are written down, a moment after they began.

use super::{
    actor::{Task, finish},
    command::Report,
};
use crate::{
    commit::scope,
    event::{Event, PREFIX, Place, User},
    store::{Database, StoreError},
    time::span,
};
use rosey_core::outcome::Outcome;
use rosey_wire::{effect::Scope, manifest::Manifest};
use rusqlite::{Connection, params};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

/// The table. A wait is known by a hash of command and scope alone.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS cooldown (
    plugin TEXT NOT NULL,
    wait   INTEGER NOT NULL,   -- a hash of the command, and of whom or what it is about
    until  INTEGER NOT NULL,   -- milliseconds since 1970
    PRIMARY KEY (plugin, wait)
) STRICT, WITHOUT ROWID;";

/// Waits that are remembered: 256 KiB. Of more than these the ones that would end first are forgotten.
const REMEMBERED: usize = 8192;

/// Cooldowns from this on are written down. A shorter one is over before a host has started again.
const LONG: u64 = 5000;

/// Between the beginning of a wait and its being written down, so that a busy bot writes once a second.
const SAVE_AFTER: Duration = Duration::from_secs(1);

/// The first version of `plugin-api` whose plugins leave the cooldown of a person to the host.
const LEFT_TO_HOST: semver::Version = semver::Version::new(1, 1, 0);

/// The cooldowns of one plugin, and the waits that are under way.
#[derive(Debug, Default)]
pub struct Cooldowns {
    /// Of each name of a command that has any: the command's own name, and its cooldowns.
    commands: HashMap<String, (String, Lengths)>,
    /// Until when each wait lasts, in milliseconds since 1970.
    until: HashMap<u64, u64>,
    /// What began since it was last written down.
    unsaved: Vec<(u64, u64)>,
    /// When that is written down.
    save_at: Option<Instant>,
    /// It is being written down.
    saving: bool,
}

/// How long a person, a channel, and everyone waits, in milliseconds; 0 for not at all.
type Lengths = [(Scope, u64); 3];

/// The waits that begin when a call is accepted: which, and for how long.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pass(Vec<(u64, u64)>);

impl Cooldowns {
    /// With the waits that were written down before.
    pub fn recall(before: Vec<(u64, u64)>) -> Self {
        Self { until: before.into_iter().collect(), ..Self::default() }
    }

    /// Goes by this manifest from now on. Waits that have begun go on.
    pub fn go_by(&mut self, manifest: &Manifest) {
        // Plugins that were built before see to a person's cooldown themselves.
        let is_older = semver::Version::parse(&manifest.api).is_ok_and(|api| api < LEFT_TO_HOST);
        self.commands.clear();
        for command in &manifest.commands {
            let person = if is_older { 0 } else { command.cooldown_ms };
            let lengths = [
                (Scope::User, person.into()),
                (Scope::Channel, command.channel_cooldown_ms.into()),
                (Scope::Global, command.global_cooldown_ms.into()),
            ];
            if lengths.iter().any(|(_, length)| *length > 0) {
                let names = std::iter::once(&command.name).chain(&command.aliases);
                self.commands.extend(names.map(|name| (name.clone(), (command.name.clone(), lengths))));
            }
        }
    }

    /// Whether the plugin has none, so that nothing has to be checked.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Whether a command may be called at this time, in milliseconds since 1970.
    ///
    /// # Errors
    /// How long has to be waited.
    pub fn check(&self, command: &str, place: &Place, user: &User, now: u64) -> Result<Pass, Duration> {
        let Some((name, lengths)) = self.commands.get(command) else { return Ok(Pass::default()) };
        let (mut begin, mut longest) = (Vec::with_capacity(lengths.len()), 0);
        for &(scope, length) in lengths.iter().filter(|(_, length)| *length > 0) {
            let mut wait = DefaultHasher::new();
            (name, scope::name(scope, Some((place, user)))).hash(&mut wait);
            let wait = wait.finish();
            let left = self.until.get(&wait).map_or(0, |until| until.saturating_sub(now));
            // A wait for longer than it ever lasts is of a clock that was set back since.
            if left <= length {
                longest = longest.max(left);
            }
            begin.push((wait, length));
        }
        if longest > 0 { Err(Duration::from_millis(longest)) } else { Ok(Pass(begin)) }
    }

    /// Has the waits of a call begin that was accepted. `clock` is the time in milliseconds since 1970.
    pub fn begin(&mut self, pass: Pass, clock: u64, now: Instant) {
        for (wait, length) in pass.0 {
            if self.until.len() >= REMEMBERED && !self.until.contains_key(&wait) {
                self.make_room(clock);
            }
            let until = clock.saturating_add(length);
            self.until.insert(wait, until);
            if length >= LONG && self.unsaved.len() < REMEMBERED {
                self.unsaved.push((wait, until));
                self.save_at.get_or_insert(now + SAVE_AFTER);
            }
        }
    }

    /// Forgets what is over, and where that is too little the eighth that ends first.
    fn make_room(&mut self, now: u64) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= REMEMBERED {
            let mut ends: Vec<_> = self.until.values().copied().collect();
            let (_, &mut last, _) = ends.select_nth_unstable(REMEMBERED / 8);
            self.until.retain(|_, until| *until > last);
        }
    }

    /// When there is something to write down.
    pub fn save_at(&self) -> Option<Instant> {
        self.save_at.filter(|_| !self.saving)
    }

    /// Whether something that began is not written down yet.
    pub fn is_unsaved(&self) -> bool {
        self.saving || !self.unsaved.is_empty()
    }

    /// Takes what is to be written down now.
    fn take_unsaved(&mut self) -> Vec<(u64, u64)> {
        (self.saving, self.save_at) = (true, None);
        std::mem::take(&mut self.unsaved)
    }

    /// It is written down; or these could not be, and are tried again.
    fn saved(&mut self, lost: Vec<(u64, u64)>, now: Instant) {
        self.saving = false;
        self.unsaved.extend(lost);
        if !self.unsaved.is_empty() {
            self.save_at = Some(now + SAVE_AFTER);
        }
    }
}

impl Task {
    /// Accepts an event, unless whoever wants it has to wait: then that is its answer, and no process is woken.
    pub(super) fn admit_in_turn(&mut self, now: Instant, at: Instant, event: Event) {
        let command = event.command().filter(|_| !self.cooldowns.is_empty() && self.state.will_run());
        let Some(command) = command.map(|command| command.name().to_owned()) else {
            self.admit(now, at, event);
            return;
        };
        let clock = self.setup.clock.now();
        match self.cooldowns.check(&command, &event.place, &event.user, clock) {
            Ok(pass) => {
                if self.admit(now, at, event) {
                    self.cooldowns.begin(pass, clock, now);
                }
            }
            Err(left) => {
                let (key, text) = (event.order_key(), refusal(&command, left));
                let Self { flow, setup, account, commits, .. } = self;
                account.cooled += 1;
                flow.admit_ended(at, key, event, Outcome::Replied(text), &mut |ended| {
                    finish(setup, account, commits, now, ended)
                });
            }
        }
    }

    /// Has the waits written down that began.
    pub(super) fn save_cooldowns(&mut self) {
        let (setup, reports) = (std::sync::Arc::clone(&self.setup), self.reports.0.clone());
        let began = self.cooldowns.take_unsaved();
        tokio::spawn(async move {
            let saved = save(&setup.database, &setup.name, began.clone(), setup.clock.now()).await;
            // That the database takes nothing is a trouble of its own.
            let lost = if saved.is_ok() { Vec::new() } else { began };
            // Fails only when the slot is gone.
            let _ = reports.send(Report::CooldownsSaved { lost }).await;
        });
    }

    /// The waits are written down, or could not be. Whoever stops the host does not wait for a disk that is full.
    pub(super) fn cooldowns_saved(&mut self, now: Instant, lost: Vec<(u64, u64)>) {
        let failed = !lost.is_empty();
        self.cooldowns.saved(lost, now);
        if failed || self.is_written() {
            self.answer_stops();
        }
    }
}

/// What a person is told who has to wait before a command.
pub fn refusal(command: &str, left: Duration) -> String {
    let left = if left < Duration::from_secs(1) {
        "a moment".to_owned()
    } else {
        // Rounded up: whoever waits so long has waited enough.
        span(left + Duration::from_millis(999))
    };
    format!("Wait {left} before {PREFIX}{command}.")
}

/// Writes waits down, and forgets those that are over.
///
/// # Errors
/// As the database says.
pub async fn save(database: &Database, plugin: &str, began: Vec<(u64, u64)>, now: u64) -> Result<(), StoreError> {
    let plugin = plugin.to_owned();
    let write = move |connection: &mut Connection| {
        let transaction = connection.transaction()?;
        transaction
            .prepare_cached("DELETE FROM cooldown WHERE plugin = ?1 AND until <= ?2")?
            .execute(params![plugin, now])?;
        let mut statement = transaction.prepare_cached(
            "INSERT INTO cooldown (plugin, wait, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (plugin, wait) DO UPDATE SET until = ?3",
        )?;
        for (wait, until) in began {
            statement.execute(params![plugin, wait.cast_signed(), until])?;
        }
        drop(statement);
        transaction.commit()
    };
    database.run(write).await
}

/// The waits that were written down.
///
/// # Errors
/// As the database says.
pub async fn load(database: &Database, plugin: &str) -> Result<Vec<(u64, u64)>, StoreError> {
    let plugin = plugin.to_owned();
    let read = move |connection: &mut Connection| {
        let mut statement =
            connection.prepare("SELECT wait, until FROM cooldown WHERE plugin = ?1 ORDER BY until DESC LIMIT ?2")?;
        let rows = statement
            .query_map(params![plugin, REMEMBERED], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)))?;
        rows.collect()
    };
    database.run(read).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Identity;
    use rosey_wire::manifest::Command;

    fn cooldowns(api: &str, (user, channel, all): (u32, u32, u32)) -> Cooldowns {
        let command = Command {
            name: "roll".into(),
            aliases: vec!["r".into()],
            cooldown_ms: user,
            channel_cooldown_ms: channel,
            global_cooldown_ms: all,
            ..Command::default()
        };
        let mut cooldowns = Cooldowns::default();
        cooldowns.go_by(&Manifest { api: api.into(), commands: vec![command], ..Manifest::default() });
        cooldowns
    }

    /// Calls, and says how many milliseconds have to be waited.
    fn call(cooldowns: &mut Cooldowns, command: &str, user: &str, channel: &str, now: u64) -> u128 {
        let user = User { name: user.into(), identity: Identity::System(user.into()) };
        match cooldowns.check(command, &Place::new("irc", channel), &user, now) {
            Ok(pass) => {
                cooldowns.begin(pass, now, Instant::now());
                0
            }
            Err(left) => left.as_millis(),
        }
    }

    #[test]
    fn a_person_a_channel_and_everyone_wait_each_by_itself() {
        let mut it = cooldowns("1.1.0", (10_000, 3000, 1000));
        assert_eq!(call(&mut it, "roll", "ann", "#a", 0), 0);
        assert_eq!(call(&mut it, "r", "ann", "#a", 400), 9600, "the longest, and an alias is the same command");
        assert_eq!(call(&mut it, "roll", "bob", "#a", 400), 2600);
        assert_eq!(call(&mut it, "roll", "bob", "#b", 400), 600);
        assert_eq!(call(&mut it, "roll", "bob", "#b", 1000), 0, "no refusal began a wait");
        assert_eq!(call(&mut it, "roll", "ann", "#a", 9999), 1);
        assert_eq!(call(&mut it, "roll", "ann", "#a", 10_000), 0);
        assert_eq!(call(&mut it, "other", "ann", "#a", 10_000), 0);
    }

    #[test]
    fn a_plugin_of_before_sees_to_the_person_itself() {
        assert!(cooldowns("1.0.0", (10_000, 0, 0)).is_empty());
        let mut it = cooldowns("1.0.0", (10_000, 1000, 0));
        assert_eq!(call(&mut it, "roll", "ann", "#a", 0), 0);
        assert_eq!(call(&mut it, "roll", "ann", "#a", 1), 999);
    }

    #[test]
    fn nobody_waits_longer_because_the_clock_was_set_back() {
        let mut it = cooldowns("1.1.0", (10_000, 0, 0));
        assert_eq!(call(&mut it, "roll", "ann", "#a", 3_600_000), 0);
        assert_eq!(call(&mut it, "roll", "ann", "#a", 0), 0);
    }

    #[test]
    fn a_crowd_has_the_waits_forgotten_that_end_first() {
        let mut it = cooldowns("1.1.0", (10_000, 0, 0));
        let count = u64::try_from(REMEMBERED).expect("few") + 1000;
        for n in 0..count {
            assert_eq!(call(&mut it, "roll", &n.to_string(), "#a", n), 0);
        }
        assert!(it.until.len() <= REMEMBERED && it.unsaved.len() <= REMEMBERED);
        assert_eq!(call(&mut it, "roll", &(count - 1).to_string(), "#a", count), 9999);
        assert_eq!(call(&mut it, "roll", "0", "#a", count), 0);
    }

    #[test]
    fn a_refusal_says_how_long() {
        let text = |millis| refusal("roll", Duration::from_millis(millis));
        assert_eq!(text(999), "Wait a moment before !roll.");
        assert_eq!(text(2001), "Wait 3 s before !roll.");
        assert_eq!(text(120_000), "Wait 2 m 0 s before !roll.");
    }

    #[tokio::test]
    async fn long_waits_outlive_the_host() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = Database::open(&directory.path().join("rosey.db"), &[SCHEMA]).expect("a database");
        let mut it = cooldowns("1.1.0", (10_000, 1000, 0));
        call(&mut it, "roll", "ann", "#a", 0);
        let began = it.take_unsaved();
        assert_eq!(began.len(), 1, "the short one is not worth it");
        save(&database, "p", began, 0).await.expect("there is room");
        let mut again = cooldowns("1.1.0", (10_000, 1000, 0));
        again.until = Cooldowns::recall(load(&database, "p").await.expect("readable")).until;
        assert_eq!(call(&mut again, "roll", "ann", "#b", 4000), 6000);
        save(&database, "p", Vec::new(), 10_000).await.expect("there is room");
        assert_eq!(load(&database, "p").await.expect("readable"), [], "it is over");
    }
}
