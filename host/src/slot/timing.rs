//! Carries timers from the store to events.

use super::{actor::Task, command::Report, timers::MOST};
use crate::{
    commit::timers::{self, Fired},
    event::What,
};
use std::{sync::Arc, time::Instant};

/// Most events with a row in `rosey.db` in the slot; with more, no further timers fire.
const MOST_HELD: usize = 1024;

impl Task {
    /// Time of the next action for timers. No timer fires while the plugin is stopped.
    pub(super) fn timers_wake_at(&self) -> Option<Instant> {
        self.timers.wake_at().filter(|_| self.state.will_run())
    }

    /// Does what is due for timers at this time.
    pub(super) fn tick_timers(&mut self, now: Instant) {
        if self.timers_wake_at().is_none_or(|at| at > now) {
            return;
        }
        if let Some(declared) = self.timers.take_declared(now) {
            let (setup, reports) = (Arc::clone(&self.setup), self.reports.0.clone());
            tokio::spawn(async move {
                let (plugin, clock) = (Arc::clone(&setup.name), setup.clock.now());
                let told = setup.database.run(move |connection| timers::declare(connection, &plugin, &declared, clock));
                // A database that cannot be written is a trouble of its own; the slot tries again.
                let _ = reports.send(Report::TimersTold(told.await.ok())).await;
            });
        }
        let clock = self.setup.clock.now();
        if !self.timers.is_time(now, clock) {
            return;
        }
        if self.commits.holds() >= MOST_HELD {
            return self.timers.wait(now, clock);
        }
        let (setup, reports) = (Arc::clone(&self.setup), self.reports.0.clone());
        let handlers = self.timers.handlers.clone();
        tokio::spawn(async move {
            let (plugin, clock) = (Arc::clone(&setup.name), setup.clock.now());
            let fire = setup.database.run(move |connection| timers::fire(connection, &plugin, &handlers, clock, MOST));
            // As above.
            let _ = reports.send(Report::TimersFired(fire.await.ok())).await;
        });
    }

    /// Begins the events of timers that have fired. They are stored already.
    pub(super) fn timers_fired(&mut self, now: Instant, fired: Option<Fired>) {
        let clock = self.setup.clock.now();
        for event in self.timers.fired(fired, now, clock) {
            if let Some(What::Timer { due_ms, .. }) = event.occurrence().map(|occurrence| &occurrence.what) {
                self.account.fired(*due_ms, clock);
            }
            self.admit(now, now, event);
        }
    }
}
