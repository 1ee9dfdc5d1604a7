//! The history of six hours, a day and a week: for each of them a coarser point, made at the poll that ends it. The points
//! are in `rosey.db` alone and outlive the host. Only the points that are not over stay in memory.

use super::{now_seconds, show};
use crate::{
    slot::view::View,
    store::{Database, StoreError},
    view::Point,
};
use rosey_core::{histogram::Histogram, outcome::OUTCOMES};
use rusqlite::{Connection, Row, Transaction, params};
use std::time::Duration;

/// The table. A host that starts again within a point adds to it.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS history (
    plugin   TEXT NOT NULL,       -- empty for the host and all plugins together
    step     INTEGER NOT NULL,    -- seconds that a point stands for
    at       INTEGER NOT NULL,    -- when it begins, seconds since 1970
    seconds  REAL NOT NULL,       -- seconds of these that Rosey ran
    events   INTEGER NOT NULL,    -- events accepted
    replied  INTEGER NOT NULL,
    ignored  INTEGER NOT NULL,
    failed   INTEGER NOT NULL,
    timed_out INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    dead_lettered INTEGER NOT NULL,
    crashes  INTEGER NOT NULL,
    p50      REAL,                -- seconds; NULL without events
    p95      REAL,
    cpu      REAL NOT NULL,       -- the greatest, in percent of one core
    memory   REAL NOT NULL,       -- the greatest, in MiB
    queued   INTEGER NOT NULL,    -- the most
    in_flight INTEGER NOT NULL,   -- the most
    PRIMARY KEY (plugin, step, at)
) STRICT, WITHOUT ROWID;";

/// The column of a later Rosey: seconds of these in which the plugin did not serve; NULL where that is unknown.
pub const DOWN: &str = "ALTER TABLE history ADD COLUMN down REAL";

/// The name of the host in the table.
pub const HOST: &str = "";

/// Seconds that a point stands for, and seconds that it is kept. Each range has about 300 points.
const STEPS: [(u64, u64); 3] = [(60, 6 * 3600), (300, 24 * 3600), (1800, 7 * 24 * 3600)];

/// The longest time that the history goes back.
pub const LONGEST: Duration = Duration::from_secs(STEPS[2].1);

/// Seconds between the points of a history of this length.
pub fn step_of(length: Duration) -> u64 {
    STEPS.into_iter().find(|(_, kept)| *kept >= length.as_secs()).map_or(STEPS[2].0, |(step, _)| step)
}

/// The counts of one poll, since the host started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Events accepted.
    pub accepted: u64,
    /// Events by outcome.
    pub outcomes: [u64; OUTCOMES.len()],
    /// Response times.
    pub response: Histogram,
    /// Crashes of the plugin.
    pub crashes: u64,
    /// Seconds in which the plugin did not serve.
    pub down: f64,
}

impl Counts {
    /// The counts of a slot, which did not serve for `down` seconds.
    pub fn of(view: &View, down: f64) -> Self {
        let (ledger, account) = (&view.ledger, &view.account);
        Self {
            accepted: ledger.accepted,
            outcomes: ledger.outcomes,
            response: account.response,
            crashes: account.crash_count,
            down,
        }
    }

    /// Adds those of another plugin, without response times.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.crashes += other.crashes;
        for (sum, count) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += count;
        }
    }
}

/// A point that is not over.
#[derive(Debug, Clone, Copy)]
struct Open {
    at: u64,
    since: u64,
    first: Counts,
    cpu: f32,
    memory: f32,
    queued: u32,
    in_flight: u32,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    plugin: String,
    step: u64,
    at: u64,
    seconds: f64,
    down: f64,
    events: u64,
    outcomes: [u64; OUTCOMES.len()],
    crashes: u64,
    response: [Option<f64>; 2],
    cpu: f32,
    memory: f32,
    queued: u32,
    in_flight: u32,
}

/// The open points of one plugin.
#[derive(Debug, Default)]
pub struct Rollup {
    open: [Option<Open>; STEPS.len()],
    last: Counts,
}

impl Rollup {
    /// Takes a poll: its newest point and counts. Returns the points that are over.
    pub fn poll(&mut self, plugin: &str, point: &Point, counts: Counts) -> Vec<Entry> {
        let mut over = Vec::new();
        for ((step, _), open) in STEPS.into_iter().zip(&mut self.open) {
            let at = point.at / step * step;
            if let Some(open) = open.take_if(|open| open.at != at) {
                over.push(open.entry(plugin, step, point.at, &self.last));
            }
            let first = self.last;
            let open = open.get_or_insert_with(|| Open {
                at,
                since: point.at,
                first,
                cpu: 0.0,
                memory: 0.0,
                queued: 0,
                in_flight: 0,
            });
            (open.cpu, open.memory) = (open.cpu.max(point.cpu), open.memory.max(point.memory));
            (open.queued, open.in_flight) = (open.queued.max(point.queued), open.in_flight.max(point.in_flight));
        }
        self.last = counts;
        over
    }

    /// All points that are not over, at the end of the host.
    pub fn finish(&mut self, plugin: &str) -> Vec<Entry> {
        let now = now_seconds();
        let last = self.last;
        let entry = |((step, _), open): ((u64, u64), &mut Option<Open>)| {
            open.take().map(|open| open.entry(plugin, step, now, &last))
        };
        STEPS.into_iter().zip(&mut self.open).filter_map(entry).collect()
    }

    /// The point that is not over, of a history with this step.
    pub fn open(&self, step: u64) -> Option<Point> {
        Some(Point { at: now_seconds(), ..self.open_entry(step)?.point() })
    }

    /// When that point begins, its seconds so far, and those in which the plugin did not serve.
    pub fn open_served(&self, step: u64) -> Option<(u64, Served)> {
        let entry = self.open_entry(step)?;
        Some((entry.at, Served { seconds: entry.seconds, down: entry.down }))
    }

    fn open_entry(&self, step: u64) -> Option<Entry> {
        let open = STEPS.into_iter().zip(self.open).find(|((known, _), _)| *known == step)?.1?;
        Some(open.entry("", step, now_seconds(), &self.last))
    }
}

impl Open {
    fn entry(&self, plugin: &str, step: u64, now: u64, last: &Counts) -> Entry {
        let mut outcomes = last.outcomes;
        for (count, before) in outcomes.iter_mut().zip(self.first.outcomes) {
            *count = count.saturating_sub(before);
        }
        let response = last.response.since(&self.first.response);
        let seconds = (now.min(self.at + step).saturating_sub(self.since)).max(1) as f64;
        Entry {
            plugin: plugin.to_owned(),
            step,
            at: self.at,
            seconds,
            down: (last.down - self.first.down).clamp(0.0, seconds),
            events: last.accepted.saturating_sub(self.first.accepted),
            outcomes,
            crashes: last.crashes.saturating_sub(self.first.crashes),
            response: [0.5, 0.95].map(|share| response.quantile(share).map(show::rounded)),
            cpu: self.cpu,
            memory: self.memory,
            queued: self.queued,
            in_flight: self.in_flight,
        }
    }
}

impl Entry {
    /// The row as a point of a chart, at its end.
    fn point(&self) -> Point {
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let [p50, p95] = self.response.map(|time| time.map_or(f32::NAN, |time| time as f32));
        let rate = self.events as f64 / self.seconds.max(1.0);
        Point {
            at: self.at + self.step,
            cpu: self.cpu,
            memory: self.memory,
            events_per_second: (rate * 1000.0).round() as f32 / 1000.0,
            response_p50: p50,
            response_p95: p95,
            outcomes: self.outcomes.map(small),
            crashes: small(self.crashes),
            queued: self.queued,
            in_flight: self.in_flight,
            generation: 0,
        }
    }
}

/// Writes rows, and removes rows of the same plugins that are too old.
pub fn write(transaction: &Transaction<'_>, entries: &[Entry]) -> rusqlite::Result<()> {
    for entry in entries {
        let [replied, ignored, failed, timed_out, rejected, dead_lettered] = entry.outcomes.map(u64::cast_signed);
        let mut insert = transaction.prepare_cached(
            "INSERT INTO history (plugin, step, at, seconds, events, replied, ignored, failed, timed_out, rejected, dead_lettered,
             crashes, p50, p95, cpu, memory, queued, in_flight, down)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
             ON CONFLICT DO UPDATE SET seconds = min(step, seconds + excluded.seconds), events = events + excluded.events,
             replied = replied + excluded.replied, ignored = ignored + excluded.ignored,
             failed = failed + excluded.failed, timed_out = timed_out + excluded.timed_out,
             rejected = rejected + excluded.rejected, dead_lettered = dead_lettered + excluded.dead_lettered,
             crashes = crashes + excluded.crashes, p50 = coalesce(max(p50, excluded.p50), p50, excluded.p50),
             p95 = coalesce(max(p95, excluded.p95), p95, excluded.p95), cpu = max(cpu, excluded.cpu),
             memory = max(memory, excluded.memory), queued = max(queued, excluded.queued),
             in_flight = max(in_flight, excluded.in_flight), down = coalesce(down, 0) + excluded.down",
        )?;
        insert.execute(params![
            entry.plugin,
            entry.step.cast_signed(),
            entry.at.cast_signed(),
            entry.seconds,
            entry.events.cast_signed(),
            replied,
            ignored,
            failed,
            timed_out,
            rejected,
            dead_lettered,
            entry.crashes.cast_signed(),
            entry.response[0],
            entry.response[1],
            entry.cpu,
            entry.memory,
            entry.queued,
            entry.in_flight,
            entry.down
        ])?;
        let kept = STEPS.into_iter().find(|(step, _)| *step == entry.step).map_or(0, |(_, kept)| kept);
        let mut delete =
            transaction.prepare_cached("DELETE FROM history WHERE plugin = ?1 AND step = ?2 AND at < ?3")?;
        let oldest = entry.at.saturating_sub(kept);
        delete.execute(params![entry.plugin, entry.step.cast_signed(), oldest.cast_signed()])?;
    }
    Ok(())
}

/// Removes all rows that are too old, those of plugins that are gone among them. Once at each start.
pub fn clear(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for (step, kept) in STEPS {
        let oldest = now_seconds().saturating_sub(kept);
        let old = params![step.cast_signed(), oldest.cast_signed()];
        transaction.execute("DELETE FROM history WHERE step = ?1 AND at < ?2", old)?;
    }
    Ok(())
}

/// The points of a plugin with this step since `from`, the oldest first. Their count of crashes begins at 0.
///
/// # Errors
/// Those of the database.
pub async fn read(database: &Database, plugin: &str, step: u64, from: u64) -> Result<Vec<Point>, StoreError> {
    let plugin = plugin.to_owned();
    let mut points: Vec<Point> = database.read(move |connection| select(connection, plugin, step, from)).await?;
    let mut crashes = 0u32;
    for point in &mut points {
        crashes = crashes.saturating_add(point.crashes);
        point.crashes = crashes;
    }
    Ok(points)
}

fn select(connection: &Connection, plugin: String, step: u64, from: u64) -> rusqlite::Result<Vec<Point>> {
    let mut statement = connection.prepare_cached(
        "SELECT at, seconds, events, replied, ignored, failed, timed_out, rejected, dead_lettered, crashes, p50, p95,
         cpu, memory, queued, in_flight FROM history WHERE plugin = ?1 AND step = ?2 AND at + ?2 >= ?3 ORDER BY at",
    )?;
    let point = |row: &Row<'_>| {
        let count = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
        let entry = Entry {
            plugin: String::new(),
            step,
            at: count(0)?,
            seconds: row.get(1)?,
            down: 0.0,
            events: count(2)?,
            outcomes: [count(3)?, count(4)?, count(5)?, count(6)?, count(7)?, count(8)?],
            crashes: count(9)?,
            response: [row.get(10)?, row.get(11)?],
            cpu: row.get(12)?,
            memory: row.get(13)?,
            queued: row.get(14)?,
            in_flight: row.get(15)?,
        };
        Ok(entry.point())
    };
    statement.query_map(params![plugin, step.cast_signed(), from.cast_signed()], point)?.collect()
}

/// How long a plugin served within some part of a range.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Served {
    /// Seconds of it for which that is known; 0 while Rosey did not run.
    pub seconds: f64,
    /// Seconds of these in which the plugin did not serve.
    pub down: f64,
}

impl Served {
    /// Adds another part.
    pub fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.down += other.down;
    }
}

/// For each of these plugins, its points with this step since `from`: when each begins, and how long the plugin served.
///
/// # Errors
/// Those of the database.
pub async fn read_served(
    database: &Database,
    plugins: Vec<String>,
    step: u64,
    from: u64,
) -> Result<Vec<(String, Vec<(u64, Served)>)>, StoreError> {
    database
        .read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT at, seconds, down FROM history WHERE plugin = ?1 AND step = ?2 AND at + ?2 >= ?3
                 AND down IS NOT NULL ORDER BY at",
            )?;
            let mut of = |plugin: String| {
                let row = |row: &Row<'_>| {
                    let at = row.get::<_, i64>(0)?.cast_unsigned();
                    Ok((at, Served { seconds: row.get(1)?, down: row.get(2)? }))
                };
                let rows = statement.query_map(params![plugin, step.cast_signed(), from.cast_signed()], row)?;
                let rows: rusqlite::Result<Vec<_>> = rows.collect();
                rows.map(|rows| (plugin, rows))
            };
            plugins.into_iter().map(&mut of).collect()
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn counts(accepted: u64) -> Counts {
        Counts { accepted, outcomes: [accepted, 0, 0, 0, 0, 0], ..Counts::default() }
    }

    fn point(at: u64, cpu: f32) -> Point {
        Point { at, cpu, ..Point::default() }
    }

    #[test]
    fn a_point_is_over_at_the_poll_after_it() {
        let mut rollup = Rollup::default();
        let mut over = Vec::new();
        for at in (6000..6130).step_by(5) {
            over.extend(rollup.poll("a", &point(at, (at % 60) as f32), counts(at - 6000)));
        }
        assert_eq!(over.len(), 2, "two minutes are over");
        assert_eq!((over[0].at, over[0].step, over[0].events, over[0].cpu), (6000, 60, 55, 55.0));
        assert_eq!(over[1].events, 60);
        assert_eq!((over[1].point().at, over[1].point().events_per_second), (6120, 1.0));
        assert_eq!(rollup.finish("a").len(), 3);
        assert!(rollup.finish("a").is_empty());
    }

    #[test]
    fn each_range_has_its_step() {
        let step = |hours: u64| step_of(Duration::from_secs(hours * 3600));
        assert_eq!([step(1), step(6), step(24), step(168), step(1000)], [60, 60, 300, 1800, 1800]);
    }

    fn database(path: &Path) -> Database {
        Database::open(path, &[SCHEMA, DOWN]).expect("a database")
    }

    async fn add(database: &Database, entries: Vec<Entry>) {
        let write = move |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            write(&transaction, &entries)?;
            transaction.commit()
        };
        database.run(write).await.expect("it is written");
    }

    #[tokio::test]
    async fn it_outlives_the_host_adds_up_and_is_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rosey.db");
        let entry = |at: u64| {
            let mut rollup = Rollup::default();
            let down = |accepted: u64, down: f64| Counts { down, ..counts(accepted) };
            rollup.poll("a", &point(at, 3.0), down(0, 0.0));
            rollup.poll("a", &point(at + 30, 5.0), down(30, 12.0));
            rollup.poll("a", &point(at + 60, 1.0), down(30, 12.0)).swap_remove(0)
        };
        add(&database(&path), vec![entry(6000)]).await;
        let later = database(&path);
        add(&later, vec![entry(6000), entry(6060)]).await;
        let points = read(&later, "a", 60, 0).await.expect("it is read");
        assert_eq!(points.iter().map(|point| point.outcomes[0]).collect::<Vec<_>>(), [60, 30], "it adds up");
        assert_eq!((points[0].cpu, points[1].at), (5.0, 6120));
        assert!(points[0].response_p95.is_nan());
        let served = read_served(&later, vec!["a".into(), "b".into()], 60, 0).await.expect("it is read");
        let sums: Vec<_> = served.iter().map(|(name, all)| (name.as_str(), all.len())).collect();
        assert_eq!(sums, [("a", 2), ("b", 0)]);
        assert_eq!(served[0].1[1], (6060, Served { seconds: 60.0, down: 12.0 }));
        for minute in 0..1000 {
            add(&later, vec![entry(12_000 + minute * 60)]).await;
        }
        assert_eq!(read(&later, "a", 60, 0).await.expect("it is read").len(), 361, "six hours");
        assert!(read(&later, "b", 60, 0).await.expect("it is read").is_empty());
        let clear = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            clear(&transaction)?;
            transaction.commit()
        };
        later.run(clear).await.expect("it is cleared");
        assert!(read(&later, "a", 60, 0).await.expect("it is read").is_empty(), "1970 is long ago");
    }

    #[tokio::test]
    async fn a_minute_of_a_hundred_plugins_is_one_transaction() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = database(&folder.path().join("rosey.db"));
        let mut rollups: Vec<Rollup> = (0..100).map(|_| Rollup::default()).collect();
        let mut minute = |at: u64| -> Vec<Entry> {
            let named = rollups.iter_mut().enumerate();
            named.flat_map(|(plugin, it)| it.poll(&plugin.to_string(), &point(at, 1.0), counts(at))).collect()
        };
        assert!(minute(6000).is_empty());
        for at in 1..=60 {
            let entries = minute(6000 + at * 60);
            let (count, began) = (entries.len(), std::time::Instant::now());
            add(&database, entries).await;
            if at == 60 {
                println!("{count} rows in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
            }
        }
        assert_eq!(read(&database, "99", 60, 0).await.expect("it is read").len(), 60);
        assert_eq!(read(&database, "99", 1800, 0).await.expect("it is read").len(), 2);
    }
}
