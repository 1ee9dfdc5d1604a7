//! The counts of plugins that outlive the host: crashes, restarts, changes, and how events ended. The counts of this run are
//! added to those of the runs before wherever they are shown.

use super::{
    prometheus::{CHANGES, LIMITS},
    show::Measured,
};
use crate::slot::{crash::Cause, view::View};
use rosey_core::outcome::OUTCOMES;
use rosey_wire::event::Kind;
use rusqlite::{Connection, Transaction};
use std::collections::{BTreeMap, HashMap};

/// The table.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS plugin_count (
    plugin TEXT PRIMARY KEY,
    counts TEXT NOT NULL          -- JSON: counts by their names, of all runs of the host
) STRICT;";

/// Counts by their names. A name that a later Rosey does not know is left out.
pub type Counts = BTreeMap<String, u64>;

/// Changes on request by plugin, kind, and whether they succeeded.
pub type Changes = BTreeMap<(String, &'static str, bool), u64>;

/// The counts that last.
#[derive(Debug, Default)]
pub struct Lasting {
    /// Those of earlier runs, by plugin.
    before: HashMap<String, Counts>,
    /// All of them at the last board.
    latest: HashMap<String, Counts>,
}

impl Lasting {
    /// Takes the counts of earlier runs over.
    pub fn recall(&mut self, before: HashMap<String, Counts>) {
        self.before = before;
    }

    /// Adds the counts of earlier runs to those of a slot.
    pub fn add_to(&self, view: &mut View) {
        let Some(before) = self.before.get(&*view.plugin) else { return };
        each(view, |name, count| *count += before.get(name).copied().unwrap_or_default());
        // Events of an earlier run that have not ended are in no count.
        let ended = OUTCOMES.iter().filter_map(|name| before.get(&format!("outcome {name}"))).sum::<u64>();
        view.ledger.accepted += ended;
    }

    /// Adds those of earlier runs to the changes on request.
    pub fn add_changes(&self, changes: &mut Changes) {
        for (plugin, before) in &self.before {
            for (kind, status) in CHANGES {
                let count = before.get(&format!("{kind} {status}")).copied().unwrap_or_default();
                if count > 0 {
                    *changes.entry((plugin.clone(), kind, status == "success")).or_default() += count;
                }
            }
        }
    }

    /// Takes the counts that a board shows. Returns them if they have changed since the last one.
    pub fn take(&mut self, view: &mut View, measured: &Measured, changes: &Changes) -> Option<Counts> {
        let mut counts = Counts::new();
        each(view, |name, count| {
            counts.insert(name.to_owned(), *count);
        });
        for (name, more) in [
            ("reloads refused", measured.reloads_refused),
            ("limit log_lines", measured.lines_left_out),
            ("limit custom_metrics", measured.custom_refused),
        ] {
            *counts.entry(name.to_owned()).or_default() += more;
        }
        for (kind, status) in CHANGES {
            let count = changes.get(&(view.plugin.to_string(), kind, status == "success")).copied();
            counts.extend(count.map(|count| (format!("{kind} {status}"), count)));
        }
        counts.retain(|_, count| *count > 0);
        let is_new = self.latest.get(&*view.plugin) != Some(&counts);
        self.latest.insert(view.plugin.to_string(), counts.clone());
        is_new.then_some(counts)
    }

    /// The plugin leaves the set, and its slot ends. If it comes back, it goes on from the counts of now.
    pub fn leave(&mut self, plugin: &str) {
        if let Some(latest) = self.latest.remove(plugin) {
            self.before.insert(plugin.to_owned(), latest);
        }
    }
}

/// Calls `visit` with each count of a slot that lasts, and its name.
fn each(view: &mut View, mut visit: impl FnMut(&str, &mut u64)) {
    let (ledger, account) = (&mut view.ledger, &mut view.account);
    for (name, count) in OUTCOMES.iter().zip(&mut ledger.outcomes) {
        visit(&format!("outcome {name}"), count);
    }
    for (kind, count) in Kind::ALL.iter().zip(&mut account.kinds) {
        visit(&format!("kind {}", kind.name()), count);
    }
    let causes = Cause::NAMES.into_iter();
    each_of(&mut account.causes, "crash", causes.clone(), &mut visit);
    each_of(&mut account.restarts, "restart", causes.chain(["start"]), &mut visit);
    each_of(&mut account.limit_hits, "limit", LIMITS.into_iter(), &mut visit);
    for (name, count) in [
        ("redelivered", &mut ledger.redelivered),
        ("late", &mut ledger.late),
        ("crashes", &mut account.crash_count),
        ("reloads", &mut account.reloads.0),
        ("reloads refused", &mut account.reloads.1),
        ("rollbacks", &mut account.rollbacks),
        ("conflicts", &mut account.conflicts),
        ("cooled", &mut account.cooled),
    ] {
        visit(name, count);
    }
}

fn each_of(
    counts: &mut BTreeMap<&'static str, u64>,
    group: &str,
    names: impl Iterator<Item = &'static str>,
    visit: &mut impl FnMut(&str, &mut u64),
) {
    for name in names {
        let mut count = counts.get(name).copied().unwrap_or_default();
        visit(&format!("{group} {name}"), &mut count);
        if count > 0 {
            counts.insert(name, count);
        }
    }
}

/// Writes the counts of plugins.
///
/// # Errors
/// Those of the database.
pub fn write(transaction: &Transaction<'_>, counts: &BTreeMap<String, Counts>) -> rusqlite::Result<()> {
    for (plugin, counts) in counts {
        // Names and numbers can always be JSON.
        let json = serde_json::to_string(counts).unwrap_or_default();
        let row =
            "INSERT INTO plugin_count (plugin, counts) VALUES (?1, ?2) ON CONFLICT (plugin) DO UPDATE SET counts = ?2";
        transaction.execute(row, [plugin, &json])?;
    }
    Ok(())
}

/// Reads the counts of all plugins. A row that cannot be read counts as none.
///
/// # Errors
/// Those of the database.
pub fn read(connection: &Connection) -> rusqlite::Result<HashMap<String, Counts>> {
    let mut statement = connection.prepare("SELECT plugin, counts FROM plugin_count")?;
    let rows = statement.query_map([], |row| {
        let counts: String = row.get(1)?;
        Ok((row.get(0)?, serde_json::from_str(&counts).unwrap_or_default()))
    })?;
    rows.collect()
}
