//! How soon the same person, the same channel or anyone may call a command again. Checked before a process is woken.
//!
//! A wait counts from the call that began it, by the clock of the day, so it continues across reloads, crashes and
//! restarts of the host. The slot saves long waits a moment after they begin.

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
use rosey_wire::{
    effect::Scope,
    event::Kind,
    manifest::{Command, Manifest},
};
use rusqlite::{Connection, params};
use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

/// The table. A wait is stored only as a hash of command and scope.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS cooldown (
    plugin TEXT NOT NULL,
    wait   INTEGER NOT NULL,   -- a hash of the command, and of whom or what it is about
    until  INTEGER NOT NULL,   -- milliseconds since 1970
    PRIMARY KEY (plugin, wait)
) STRICT, WITHOUT ROWID;";

/// Most waits in memory: 256 KiB. Beyond that the slot forgets the waits that would end first.
const REMEMBERED: usize = 8192;

/// Shortest cooldown that is saved, in milliseconds. A shorter one ends before a host has started again.
const LONG: u64 = 5000;

/// Delay before a wait is saved, so that a busy bot writes once a second.
const SAVE_AFTER: Duration = Duration::from_secs(1);

/// The first version of `plugin-api` whose plugins leave the cooldown of a person to the host.
const LEFT_TO_HOST: semver::Version = semver::Version::new(1, 1, 0);

/// The cooldowns of one plugin, and the waits under way.
#[derive(Debug, Default)]
pub struct Cooldowns {
    /// For each name of a command with cooldowns: the command's own name, and its cooldowns.
    commands: HashMap<String, (String, Lengths)>,
    /// For each name of a command with subcommands of which it or one has a cooldown: that command.
    with_subcommands: HashMap<String, Command>,
    /// The end of each wait, in milliseconds since 1970.
    until: HashMap<u64, u64>,
    /// Waits that began since the last save.
    unsaved: Vec<(u64, u64)>,
    /// Time of the next save.
    save_at: Option<Instant>,
    /// Whether a save is under way.
    saving: bool,
}

/// The wait of a person, of a channel, and of everyone, in milliseconds; 0 for none.
type Lengths = [(Scope, u64); 3];

/// The waits that begin when a call is accepted: their keys and lengths.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pass(Vec<(u64, u64)>);

impl Cooldowns {
    /// Begins with the saved waits.
    pub fn recall(before: Vec<(u64, u64)>) -> Self {
        Self { until: before.into_iter().collect(), ..Self::default() }
    }

    /// Uses the cooldowns of this manifest from now on. Waits that have begun continue.
    pub fn go_by(&mut self, manifest: &Manifest) {
        let is_older = semver::Version::parse(&manifest.api).is_ok_and(|api| api < LEFT_TO_HOST);
        self.commands.clear();
        self.with_subcommands.clear();
        for command in &manifest.commands {
            let names = std::iter::once(&command.name).chain(&command.aliases);
            let own = lengths(command, is_older);
            if has_any(&own) {
                self.commands.extend(names.clone().map(|name| (name.clone(), (command.name.clone(), own))));
            }
            // A subcommand without a cooldown does not have that of its command.
            if has_any(&own) && !command.subcommands.is_empty()
                || command.subcommands.iter().any(|it| has_any(&lengths(it, false)))
            {
                self.with_subcommands.extend(names.map(|name| (name.clone(), command.clone())));
            }
        }
    }

    /// Whether the plugin has no cooldowns, so that no check is needed.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.with_subcommands.is_empty()
    }

    /// The cooldowns of a command, or those of its subcommand in place of them. The name tells waits apart.
    fn of(&self, command: &str, args: &str) -> Option<(Cow<'_, str>, Lengths)> {
        let subcommand = self.with_subcommands.get(command).and_then(|it| Some((it, it.subcommand(args)?)));
        match subcommand {
            Some((command, it)) => Some((format!("{} {}", command.name, it.name).into(), lengths(it, false))),
            None => self.commands.get(command).map(|(name, lengths)| (name.as_str().into(), *lengths)),
        }
    }

    /// Checks whether a command may be called with these arguments at this time, in milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// The time to wait.
    pub fn check(&self, called: (&str, &str), place: &Place, user: &User, now: u64) -> Result<Pass, Duration> {
        let Some((name, lengths)) = self.of(called.0, called.1) else { return Ok(Pass::default()) };
        let (mut begin, mut longest) = (Vec::with_capacity(lengths.len()), 0);
        for (scope, length) in lengths.into_iter().filter(|(_, length)| *length > 0) {
            let mut wait = DefaultHasher::new();
            (name.as_ref(), scope::name(scope, Some((place, user)))).hash(&mut wait);
            let wait = wait.finish();
            let left = self.until.get(&wait).map_or(0, |until| until.saturating_sub(now));
            // A wait longer than its cooldown comes from a clock that was set back since.
            if left <= length {
                longest = longest.max(left);
            }
            begin.push((wait, length));
        }
        if longest > 0 { Err(Duration::from_millis(longest)) } else { Ok(Pass(begin)) }
    }

    /// Begins the waits of an accepted call. `clock` is the time in milliseconds since 1970.
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

    /// Forgets waits that are over. If that frees too little, forgets the eighth that ends first.
    fn make_room(&mut self, now: u64) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= REMEMBERED {
            let mut ends: Vec<_> = self.until.values().copied().collect();
            let (_, &mut last, _) = ends.select_nth_unstable(REMEMBERED / 8);
            self.until.retain(|_, until| *until > last);
        }
    }

    /// Time of the next save, if there is something to save.
    pub fn save_at(&self) -> Option<Instant> {
        self.save_at.filter(|_| !self.saving)
    }

    /// Whether a wait has begun and is not saved yet.
    pub fn is_unsaved(&self) -> bool {
        self.saving || !self.unsaved.is_empty()
    }

    /// Takes the waits to save now.
    fn take_unsaved(&mut self) -> Vec<(u64, u64)> {
        (self.saving, self.save_at) = (true, None);
        std::mem::take(&mut self.unsaved)
    }

    /// Records the end of a save. `lost` are the waits to save again.
    fn saved(&mut self, lost: Vec<(u64, u64)>, now: Instant) {
        self.saving = false;
        self.unsaved.extend(lost);
        if !self.unsaved.is_empty() {
            self.save_at = Some(now + SAVE_AFTER);
        }
    }
}

/// The cooldowns that a command declares. A plugin built before [`LEFT_TO_HOST`] keeps that of a person itself.
fn lengths(command: &Command, is_older: bool) -> Lengths {
    let person = if is_older { 0 } else { command.cooldown_ms };
    [
        (Scope::User, person.into()),
        (Scope::Channel, command.channel_cooldown_ms.into()),
        (Scope::Global, command.global_cooldown_ms.into()),
    ]
}

fn has_any(lengths: &Lengths) -> bool {
    lengths.iter().any(|(_, length)| *length > 0)
}

impl Task {
    /// Accepts an event, unless its user has to wait: then the slot answers at once and wakes no process.
    pub(super) fn admit_in_turn(&mut self, now: Instant, at: Instant, event: Event) {
        let has_any = !self.cooldowns.is_empty() && self.state.will_run();
        let Some(command) = event.command().filter(|_| has_any) else {
            self.admit(now, at, event);
            return;
        };
        let clock = self.setup.clock.now();
        match self.cooldowns.check((command.name(), command.args()), &event.place, &event.user, clock) {
            Ok(pass) => {
                if self.admit(now, at, event) {
                    self.cooldowns.begin(pass, clock, now);
                }
            }
            Err(left) => {
                let (key, text) = (self.orders.key(&event), refusal(command.name(), left));
                let Self { flow, setup, account, commits, .. } = self;
                account.cooled += 1;
                account.kinds[Kind::Command as usize] += 1;
                flow.admit_ended(at, key, event, Outcome::Replied(text), &mut |ended| {
                    finish(setup, account, commits, now, ended)
                });
            }
        }
    }

    /// Saves the waits that have begun.
    pub(super) fn save_cooldowns(&mut self) {
        let (setup, reports) = (std::sync::Arc::clone(&self.setup), self.reports.0.clone());
        let began = self.cooldowns.take_unsaved();
        tokio::spawn(async move {
            let saved = save(&setup.database, &setup.name, began.clone(), setup.clock.now()).await;
            // A database that cannot be written is a trouble of its own.
            let lost = if saved.is_ok() { Vec::new() } else { began };
            // Fails only when the slot has ended.
            let _ = reports.send(Report::CooldownsSaved { lost }).await;
        });
    }

    /// Records the end of a save. A stop of the host does not wait for a full disk.
    pub(super) fn cooldowns_saved(&mut self, now: Instant, lost: Vec<(u64, u64)>) {
        let failed = !lost.is_empty();
        self.cooldowns.saved(lost, now);
        if failed || self.is_written() {
            self.answer_stops();
        }
    }
}

/// The answer to a person who has to wait before a command.
pub fn refusal(command: &str, left: Duration) -> String {
    let left = if left < Duration::from_secs(1) {
        "a moment".to_owned()
    } else {
        // Rounded up, so that the wait given is long enough.
        span(left + Duration::from_millis(999))
    };
    format!("Wait {left} before {PREFIX}{command}.")
}

/// Saves waits, and deletes those that are over.
///
/// # Errors
///
/// The database cannot be written.
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

/// The saved waits.
///
/// # Errors
///
/// The database cannot be read.
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

    /// Calls a command, and returns the milliseconds to wait.
    fn call(cooldowns: &mut Cooldowns, command: &str, user: &str, channel: &str, now: u64) -> u128 {
        let user = User { name: user.into(), identity: Identity::System(user.into()) };
        match cooldowns.check(command.split_once(' ').unwrap_or((command, "")), &Place::new("irc", channel), &user, now)
        {
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
    fn a_subcommand_has_a_cooldown_of_its_own() {
        let named = |name: &str, cooldown_ms| Command { name: name.into(), cooldown_ms, ..Command::default() };
        let quotes = Command { subcommands: vec![named("add", 10_000), named("search", 0)], ..named("quotes", 1000) };
        let mut it = Cooldowns::default();
        it.go_by(&Manifest { api: "1.1.0".into(), commands: vec![quotes], ..Manifest::default() });
        assert_eq!(call(&mut it, "quotes add tea", "ann", "#a", 0), 0);
        assert_eq!(call(&mut it, "quotes ADD milk", "ann", "#a", 1), 9999);
        assert_eq!(call(&mut it, "quotes 7", "ann", "#a", 1), 0);
        assert_eq!(call(&mut it, "quotes 7", "ann", "#a", 2), 999);
        assert_eq!(call(&mut it, "quotes search x", "ann", "#a", 3), 0);
        assert_eq!(call(&mut it, "quotes search x", "ann", "#a", 4), 0);
        let remind = Command { subcommands: vec![named("list", 0)], ..named("remind", 1000) };
        it.go_by(&Manifest { api: "1.1.0".into(), commands: vec![remind], ..Manifest::default() });
        assert_eq!(call(&mut it, "remind 1h tea", "ann", "#a", 5), 0);
        assert_eq!(call(&mut it, "remind list", "ann", "#a", 6), 0);
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
