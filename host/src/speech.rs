//! Sends the lines that plugins say beside their answers: those that wait in `rosey.db`, each to its connector, in the
//! order of each channel, and within the rate of its plugin.
//!
//! A line is removed when its connector has said it. If the host is killed between the two, it says the line again
//! after its next start. With `repeat_lines = false` the line is removed before it goes to the connector, and a killed
//! host does not say it again.

use crate::{
    commit::pending::{self, Line},
    event::{ConnectorId, Outgoing},
    journal::Journal,
    store::{Database, StoreError},
    time::unix_millis,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};

/// Lines that a plugin may say at once.
const BURST: u32 = 10;

/// Time after which a line that waits is dropped.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// Pause before another try in a channel that did not take a line.
const RETRY: Duration = Duration::from_secs(5);

/// Interval between two searches for lines that are too old.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Most channels of one connector in which a line is on its way at one time.
const AT_ONCE: usize = 64;

/// Counts of a plugin's lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines that a connector has said.
    pub said: u64,
    /// Lines dropped because they were too old.
    pub dropped: u64,
    /// Number of times that a line waited because the plugin says too much.
    pub throttled: u64,
}

/// The sender of lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Speech(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    database: Database,
    journal: Journal,
    repeats: bool,
    /// The time between two lines of a plugin, by its name.
    intervals: Mutex<BTreeMap<String, Duration>>,
    /// Signals by connector that lines wait.
    wake: Mutex<BTreeMap<ConnectorId, Arc<Notify>>>,
    counts: Mutex<BTreeMap<String, LineCounts>>,
}

impl Speech {
    /// `intervals` has the time between two lines for each plugin. With `repeats` a line that was on its way when the
    /// host was killed is said again.
    pub fn new(database: Database, journal: Journal, intervals: BTreeMap<String, Duration>, repeats: bool) -> Self {
        let (wake, counts, intervals) = (Mutex::default(), Mutex::default(), Mutex::new(intervals));
        Self(Arc::new(Shared { database, journal, repeats, intervals, wake, counts }))
    }

    /// Sets the time between two lines of a plugin.
    pub fn set_interval(&self, plugin: &str, interval: Duration) {
        self.intervals().insert(plugin.to_owned(), interval);
    }

    /// Sets it, unless it is known.
    pub fn expect_interval(&self, plugin: &str, interval: Duration) {
        self.intervals().entry(plugin.to_owned()).or_insert(interval);
    }

    /// Forgets a plugin that was unloaded. Lines of it that wait are said all the same.
    pub fn forget(&self, plugin: &str) {
        self.intervals().remove(plugin);
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin);
    }

    fn intervals(&self) -> MutexGuard<'_, BTreeMap<String, Duration>> {
        self.0.intervals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports that lines wait for a connector.
    pub fn lines_wait(&self, connector: &ConnectorId) {
        self.notify(connector).notify_one();
    }

    /// The counts of each plugin's lines, by its name.
    pub fn counts(&self) -> BTreeMap<String, LineCounts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends the lines of one connector from now on, on the current runtime. Ends with the connector.
    pub fn serve(&self, connector: &ConnectorId, outgoing: mpsc::Sender<Outgoing>) {
        let speaker = Speaker {
            shared: Arc::clone(&self.0),
            connector: connector.clone(),
            wake: self.notify(connector),
            // Held weakly, because the connector waits until its last sender is gone.
            outgoing: outgoing.downgrade(),
            busy: HashSet::new(),
            retry_at: HashMap::new(),
            ready_at: HashMap::new(),
            under_way: JoinSet::new(),
            forget_at: Instant::now(),
        };
        tokio::spawn(speaker.run());
    }

    fn notify(&self, connector: &ConnectorId) -> Arc<Notify> {
        let mut wake = self.0.wake.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wake.entry(connector.clone()).or_default())
    }
}

impl Shared {
    fn count(&self, plugin: &str, change: impl FnOnce(&mut LineCounts)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(plugin.to_owned()).or_default());
    }
}

/// The lines of one connector.
struct Speaker {
    shared: Arc<Shared>,
    connector: ConnectorId,
    wake: Arc<Notify>,
    outgoing: mpsc::WeakSender<Outgoing>,
    /// Channels in which a line is on its way.
    busy: HashSet<String>,
    /// The time of the next try in a channel that did not take a line.
    retry_at: HashMap<String, Instant>,
    /// The time at which a plugin's allowance is full again.
    ready_at: HashMap<String, Instant>,
    under_way: JoinSet<(Line, bool)>,
    /// When lines that are too old are dropped next.
    forget_at: Instant,
}

impl Speaker {
    async fn run(mut self) {
        loop {
            let next = match self.speak().await {
                Ok(Some(next)) => next,
                // The connector has ended.
                Ok(None) => return,
                Err(error) => {
                    tracing::error!("lines for {} cannot be read, trying again: {error}", self.connector);
                    RETRY
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(next) => {}
                Some(Ok((line, said))) = self.under_way.join_next() => self.ended(line, said).await,
            }
            if self.outgoing.strong_count() == 0 && self.under_way.is_empty() {
                return;
            }
        }
    }

    /// Sends the lines that may be sent now. Returns the time until the next check; `None` when the connector has
    /// ended.
    async fn speak(&mut self) -> Result<Option<Duration>, StoreError> {
        let now = Instant::now();
        self.retry_at.retain(|_, at| *at > now);
        if self.forget_at <= now {
            self.forget_old().await?;
            self.forget_at = now + FORGET_EVERY;
        }
        let connector = self.connector.clone();
        let first = self.shared.database.run(move |connection| pending::first_lines(connection, &connector)).await?;
        let mut next = FORGET_EVERY;
        for line in first {
            let channel = &line.new.channel;
            if self.busy.contains(channel) || self.busy.len() >= AT_ONCE {
                continue;
            }
            if let Some(at) = self.retry_at.get(channel) {
                next = next.min(at.saturating_duration_since(now));
                continue;
            }
            if let Err(wait) = self.take_turn(&line.plugin, now) {
                next = next.min(wait);
                continue;
            }
            if !self.shared.repeats && !self.remove(line.id).await? {
                continue;
            }
            let Some(outgoing) = self.outgoing.upgrade() else { return Ok(None) };
            self.hand_over(outgoing, line);
        }
        Ok(Some(next))
    }

    /// Takes one of the lines that a plugin may say, or returns the time to wait.
    fn take_turn(&mut self, plugin: &str, now: Instant) -> Result<(), Duration> {
        let known = self.shared.intervals.lock().unwrap_or_else(PoisonError::into_inner).get(plugin).copied();
        let interval = known.unwrap_or(Duration::from_secs(1));
        let full = self.ready_at.entry(plugin.to_owned()).or_insert(now);
        let tolerance = interval * (BURST - 1);
        let wait = full.saturating_duration_since(now).saturating_sub(tolerance);
        if !wait.is_zero() {
            self.shared.count(plugin, |counts| counts.throttled += 1);
            return Err(wait);
        }
        *full = (*full).max(now) + interval;
        Ok(())
    }

    fn hand_over(&mut self, outgoing: mpsc::Sender<Outgoing>, line: Line) {
        self.busy.insert(line.new.channel.clone());
        self.under_way.spawn(async move {
            let (receipt, said) = oneshot::channel();
            let message = Outgoing {
                place: Arc::new(line.place()),
                user: Arc::new(line.user()),
                text: Some(line.new.text.clone()),
                form: line.new.form,
                receipt: Some(receipt),
            };
            let taken = outgoing.send(message).await.is_ok();
            // Dropped, so that a connector that ends sees its last sender gone.
            drop(outgoing);
            (line, taken && said.await.is_ok())
        });
    }

    /// Records that a line was said, or was not taken.
    async fn ended(&mut self, line: Line, said: bool) {
        self.busy.remove(&line.new.channel);
        let (place, plugin) = (format!("{}:{}", line.new.connector, line.new.channel), &line.plugin);
        if said {
            self.shared.count(plugin, |counts| counts.said += 1);
            self.shared.journal.push(plugin, &format!("said in {place}: {}", line.new.text));
        } else if self.shared.repeats {
            self.retry_at.insert(line.new.channel.clone(), Instant::now() + RETRY);
            return;
        } else {
            self.shared.count(plugin, |counts| counts.dropped += 1);
            tracing::warn!(%plugin, "a line for {place} was not said, and is not said again (repeat_lines = false)");
            return;
        }
        if self.shared.repeats
            && let Err(error) = self.remove(line.id).await
        {
            tracing::error!(%plugin, "a line that was said cannot be removed, and may be said again: {error}");
            self.retry_at.insert(line.new.channel.clone(), Instant::now() + RETRY);
        }
    }

    async fn remove(&self, id: i64) -> Result<bool, StoreError> {
        self.shared.database.run(move |connection| pending::remove_line(connection, id)).await
    }

    /// Drops lines that are too old.
    async fn forget_old(&self) -> Result<(), StoreError> {
        let before = unix_millis().saturating_sub(u64::try_from(KEEP.as_millis()).unwrap_or(u64::MAX));
        let connector = self.connector.clone();
        let forgotten =
            self.shared.database.run(move |connection| pending::forget_lines(connection, &connector, before)).await?;
        for plugin in forgotten {
            self.shared.count(&plugin, |counts| counts.dropped += 1);
            tracing::warn!(%plugin, "a line for {} waited for a day and is given up", self.connector);
        }
        Ok(())
    }
}
