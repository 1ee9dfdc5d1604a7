//! A bot whose plugin keeps books, while a test kills the plugin and the *host* at random, migrates its store and puts
//! it back. At the end the books must agree, to the event: each accepted command counts once, each line is said once, each
//! timer fires once. A rollback takes back what the newer build has entered, and nothing else.

use crate::{
    bot::{Bot, Folder, runs, signal_process},
    build,
    rig::PATIENCE,
};
use rosey::commit;
use rusqlite::Connection;
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

/// What the test does, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The seed of all random decisions.
    pub seed: u64,
    /// Time in which processes are killed.
    pub lasts: Duration,
    /// Commands that wait for their answer at a time.
    pub window: u64,
}

/// The counts of a run that met all conditions.
#[derive(Debug, Default)]
pub struct Account {
    /// Commands typed.
    pub typed: u64,
    /// Commands in the books.
    pub entered: u64,
    /// How often the test killed the host.
    pub host_kills: u64,
    /// Kills of other processes of the bot.
    pub plugin_kills: u64,
    /// Requested restarts of the plugin.
    pub restarts: u64,
    /// Requested reloads, to the build with the newer store if the other one serves.
    pub reloads: u64,
    /// Requested rollbacks.
    pub rollbacks: u64,
    /// Commands that the newer build has answered. A rollback takes back some of what they entered.
    pub newer: u64,
    /// Commands whose entries were taken back.
    pub taken_back: u64,
    /// Lines and answers said again, because the host was killed while they were on their way.
    pub said_again: u64,
    /// Timers that fired.
    pub fired: u64,
}

/// Lines that may wait to be said before the test types no further command.
const BEHIND: usize = 100;

const SETTINGS: &str = "
[limits]
backoff_first = \"1ms\"
backoff_max = \"50ms\"
crash_loop_starts = 1000
crash_loop_hour = 100000
bake = 3600
lines = 100000
lines_per_minute = 1000000
timers = 1000000
store_keys = 10000000

[admin]
per_minute = 10000
cooldown = 0

[plugins.books]
library = 'plugins/libbooks.so'
journal = true
";

/// Plays the plan.
///
/// # Panics
///
/// A condition does not hold.
pub fn play(plan: Plan) -> Account {
    let folder = Folder::new(&[]);
    put(&folder, "books-1");
    let (mut account, mut random) = (Account::default(), fastrand::Rng::with_seed(plan.seed));
    let mut heard = Heard::default();
    let began = Instant::now();
    while began.elapsed() < plan.lasts {
        let mut bot = folder.start(SETTINGS);
        let until = Instant::now() + Duration::from_millis(random.u64(300..3000));
        talk(&folder, &mut bot, until, &plan, &mut random, &mut account, &mut heard);
        signal_process(bot.pid(), Signal::KILL);
        account.host_kills += 1;
        bot.rest().iter().for_each(|line| heard.hear(line));
    }
    let database = folder.path().join("state/rosey.db");
    let mut bot = folder.start(SETTINGS);
    let (mut left, mut end) = (u64::MAX, Instant::now() + PATIENCE);
    while waiting(&database) > 0 {
        if waiting(&database) < left {
            (left, end) = (waiting(&database), Instant::now() + PATIENCE);
        }
        assert!(Instant::now() < end, "{left} rows wait for ever; the log:\n{}", bot.log());
        bot.answer_within(Duration::from_millis(50)).iter().for_each(|line| heard.hear(line));
    }
    assert!(bot.end().success(), "{}", bot.log());
    bot.rest().iter().for_each(|line| heard.hear(line));

    check(&database, &heard, &mut account);
    account
}

/// Types commands and kills processes, until it is time to kill the host.
fn talk(
    folder: &Folder,
    bot: &mut Bot,
    until: Instant,
    plan: &Plan,
    random: &mut fastrand::Rng,
    account: &mut Account,
    heard: &mut Heard,
) {
    let first = account.typed;
    while Instant::now() < until {
        // Each line costs a sync of the disk, so lines are said more slowly than commands are answered.
        let is_behind = heard.entered.len() > heard.said.len() + BEHIND;
        while !is_behind && account.typed - first < heard.answers + plan.window {
            bot.say(&format!("!entry {}", account.typed));
            account.typed += 1;
        }
        bot.answer_within(Duration::from_millis(20)).iter().for_each(|line| heard.hear(line));
        match random.u32(0..100) {
            0..5 => {
                // Any of them: the plugin, the spare, or the keeper.
                let all = children(bot.pid());
                if let Some(pid) = random.choice(all).filter(|pid| runs(*pid)) {
                    account.plugin_kills += 1;
                    let _ = std::panic::catch_unwind(|| signal_process(pid, Signal::KILL));
                }
            }
            5..7 => {
                account.restarts += 1;
                bot.say("!admin restart books");
                bot.say("yes");
            }
            7..10 => {
                account.reloads += 1;
                put(folder, if heard.newest_serves { "books-1" } else { "books-2" });
                bot.say("!admin reload books force");
                bot.say("yes");
            }
            10..12 => {
                account.rollbacks += 1;
                bot.say("!admin rollback books");
                bot.say("yes");
            }
            _ => {}
        }
    }
    heard.answers = 0;
}

/// Puts a build where the bot looks for one, as a linker does.
fn put(folder: &Folder, package: &str) {
    let (library, beside) = (folder.library("books"), folder.path().join("plugins/new"));
    std::fs::copy(build::library(package), &beside).expect("it is built");
    std::fs::rename(beside, library).expect("our directory");
}

/// The answers and lines of the bot, by their numbers.
#[derive(Debug, Default)]
struct Heard {
    answers: u64,
    entered: BTreeMap<u64, u64>,
    said: BTreeMap<u64, u64>,
    fired: BTreeMap<u64, u64>,
    /// What the newer build has entered, and the timers that have fired in it.
    entered_newer: BTreeSet<u64>,
    fired_newer: BTreeSet<u64>,
    /// Whether the last line was of the newer build.
    newest_serves: bool,
}

impl Heard {
    fn hear(&mut self, line: &str) {
        let Some(number) = line.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok()) else {
            // An answer of the host: the plugin restarts, or cannot restart now.
            self.answers += u64::from(line.starts_with("books "));
            return;
        };
        let counts = match line.rsplit(' ').nth(3) {
            Some("entered") => {
                self.answers += 1;
                &mut self.entered
            }
            Some("said") => &mut self.said,
            Some("fired") => &mut self.fired,
            _ => return,
        };
        let is_timer = line.starts_with("fired");
        *counts.entry(number).or_default() += 1;
        self.newest_serves = line.contains(" by two ");
        if self.newest_serves {
            (if is_timer { &mut self.fired_newer } else { &mut self.entered_newer }).insert(number);
        }
    }
}

/// The number of things that still wait to happen.
fn waiting(database: &Path) -> u64 {
    let count = |table: &str| {
        let connection = Connection::open(database).expect("it is there");
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, u64>(0)).unwrap_or(1)
    };
    count("accepted") + count("line") + count("timer")
}

fn check(database: &Path, heard: &Heard, account: &mut Account) {
    let connection = Connection::open(database).expect("it is there");
    let kept = commit::kept(&connection, "books", "", u32::MAX).expect("readable");
    let number = |value: &str| value.parse::<u64>().expect("a number");
    let of = |prefix: &str| -> BTreeMap<u64, u64> {
        let found =
            kept.iter().filter_map(|kept| Some((kept.key.strip_prefix(prefix)?.parse().ok()?, number(&kept.value))));
        found.collect()
    };
    let (entries, fired) = (of("entry/"), of("fired/"));
    account.entered = entries.len() as u64;
    account.fired = fired.len() as u64;
    for (number, times) in &entries {
        assert_eq!(*times, 1, "{number} was entered {times} times");
        assert!(heard.said.contains_key(number), "the line of {number} was not said");
    }
    // Only what the newer build has entered can be taken back.
    let all: BTreeSet<u64> = heard.said.keys().chain(heard.entered.keys()).copied().collect();
    let taken_back: Vec<u64> = all.into_iter().filter(|number| !entries.contains_key(number)).collect();
    for number in &taken_back {
        assert!(heard.entered_newer.contains(number), "{number} was said and not entered");
    }
    (account.taken_back, account.newer) = (taken_back.len() as u64, heard.entered_newer.len() as u64);
    let total = |key: &str| kept.iter().find(|kept| kept.key == key).map(|kept| number(&kept.value));
    let versions = commit::versions(&connection, "books").expect("readable");
    let (here, elsewhere) = if versions.now == Some(2) { ("sum", "total") } else { ("total", "sum") };
    let sums = (total(here), total("mine"), total(elsewhere));
    assert_eq!(sums, (Some(account.entered), Some(account.entered), None), "the sums and the entries, {versions:?}");
    let said = heard.said.values().chain(heard.fired.values());
    // The answer to a command that the host took up again after its start is a line too.
    account.said_again = said.chain(heard.entered.values()).map(|times| times - 1).sum();
    // Only one line is on its way at a time, because all are in one channel.
    assert!(account.said_again <= account.host_kills, "{} lines were said again", account.said_again);
    let was_entered = |number: &u64| entries.contains_key(number) || taken_back.contains(number);
    for number in entries.keys() {
        let times = fired.get(number).copied().unwrap_or(0);
        let is_cancelled = was_entered(&(number + 1)) && (number + 1) % 3 == 0;
        // A rollback takes back the count of a timer that has fired, too.
        let missing = is_cancelled || heard.fired_newer.contains(number);
        assert!(times == 1 || (times == 0 && missing), "the timer of {number} fired {times} times");
    }
    assert!(fired.keys().all(was_entered), "a timer fired of an event that was not entered");
}

/// The running processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let is_child = |pid: &u32| {
        let found = stat(*pid);
        let after = found.as_deref().and_then(|stat| stat.rsplit(')').next());
        after.and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok()) == Some(parent)
    };
    let all = std::fs::read_dir("/proc").expect("it is mounted").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}
