//! Carries out what the state machine decides.

use crate::slot::actor::{PendingRequest, RequestKind, SAVE_RETRY, Task, finish};
use crate::{
    event::{CommandLine, Event, Occurrence, Place, ReplyTo, User, What},
    process::{
        manifest,
        start::{self, StartSpec},
    },
    slot::{
        command::Report,
        crash::Cause,
        history,
        lifecycle::{LifecycleEvent, LifecycleKind, left},
        live::Live,
    },
};
use rosey_core::{
    flow::{Ended, probe_id},
    hash::Hash,
    state::{ChangeError, Done, Effect, Ending, GenerationId, Snapshot, StateEvent, Ticket},
};
use rosey_wire::{
    event::{Body, Event as WireEvent, Kind},
    message::ToShim,
};
use rustc_hash::FxBuildHasher;
use std::{
    hash::BuildHasher,
    sync::Arc,
    time::{Instant, SystemTime},
};
use tokio::sync::oneshot;

/// What the end of an event says about its generation.
pub(super) fn ending(ended: &Ended<Event>) -> Ending {
    let failed = ended.outcome.speaks_against_build();
    // The trial counts the people only of events that failed.
    let person = if failed { ended.event.user.identity.key(&ended.event.user.name) } else { 0 };
    let kind = match ended.event.occurrence() {
        Some(occurrence) => FxBuildHasher.hash_one((occurrence.what.kind(), &occurrence.pattern)),
        None => FxBuildHasher.hash_one(ended.event.command().map(CommandLine::name)),
    };
    Ending { failed, kind, person }
}

impl Task {
    /// Carries out the effects of the state machine until it has no more.
    pub(super) fn apply_effects(&mut self, now: Instant) {
        loop {
            if !self.state.old().is_empty() || self.state.change().is_some() {
                self.record_drained(now);
            }
            let effects = self.state.effects();
            if effects.is_empty() {
                break;
            }
            self.changes.send_replace(());
            for effect in effects {
                self.apply(now, effect);
            }
        }
        if self.state.change().is_none() {
            self.live.iter_mut().for_each(Live::came_up);
        }
        if !self.state.will_run() && self.flow.queued() > 0 {
            let Self { flow, setup, account, commits, why_reject, .. } = self;
            flow.reject_queued(*why_reject, &mut |ended| finish(setup, account, commits, now, ended));
        }
        if self.unsaved && !self.saving {
            self.save();
        }
    }

    /// Saves the history of builds, trying until it succeeds. A change meanwhile is saved after that.
    fn save(&mut self) {
        (self.unsaved, self.saving) = (false, true);
        let (setup, reports) = (Arc::clone(&self.setup), self.reports.0.clone());
        let (memory, manifest) = (self.state.history().clone(), self.manifest.clone());
        // Together with what says that nothing goes back to it.
        let unneeded = self.state.store().before.filter(|_| !self.state.keeps_store_before());
        if unneeded.is_some() {
            self.state.store_before_gone();
        }
        tokio::spawn(async move {
            let mut logged = false;
            while let Err(error) =
                history::save(&setup.database, &setup.name, memory.clone(), manifest.as_deref(), unneeded).await
            {
                // Logged once; the trouble of the database says it until it is over.
                if !std::mem::replace(&mut logged, true) {
                    tracing::error!(plugin = %setup.name, "which build is good cannot be written down, trying again: {error}");
                }
                // As below.
                let _ = reports.send(Report::Saved(false)).await;
                tokio::time::sleep(SAVE_RETRY).await;
            }
            // Fails only when the slot has ended.
            let _ = reports.send(Report::Saved(true)).await;
        });
    }

    /// Records the end of a save. A stop of the host waits for a save, but not for a full disk.
    pub(super) fn saved(&mut self, written: bool) {
        self.saving &= !written;
        if self.is_written() || (!written && !self.commits.is_busy()) {
            self.answer_stops();
        }
    }

    /// Whether nothing waits to be saved.
    pub(super) fn is_written(&self) -> bool {
        !self.unsaved && !self.saving && !self.commits.is_busy() && !self.cooldowns.is_unsaved()
    }

    /// Answers the stops that only waited for a save.
    pub(super) fn answer_stops(&mut self) {
        for (ask, result) in self.parting.drain(..) {
            // The caller may have stopped waiting.
            let _ = ask.answer.send(result);
        }
    }

    fn record_drained(&mut self, now: Instant) {
        let route = self.state.route();
        // Nothing is delivered while events are held, so what is on its way into the store comes to an end.
        if route.is_none() && self.commits.is_busy() {
            return;
        }
        for live in &self.live {
            if Some(live.generation) != route && self.flow.in_flight_in(live.generation) == 0 {
                self.state.drained(now, live.generation);
            }
        }
    }

    fn apply(&mut self, now: Instant, effect: Effect) {
        match effect {
            Effect::Spawn { generation, artifact, restore } => self.spawn(generation, artifact, restore),
            Effect::Probe { generation, attempt } => self.probe(generation, attempt),
            Effect::TakeSnapshot { generation } => self.push(generation, &ToShim::Snapshot),
            Effect::Restore { generation, snapshot } => {
                self.push(generation, &ToShim::Restore { version: snapshot.version, state: &snapshot.bytes });
            }
            Effect::Migrate { generation, from } => self.migrate(generation, from),
            Effect::ApplyMigration { generation, from, to } => self.apply_migration(generation, from, to),
            Effect::PutBack => self.put_back(),
            Effect::Retire { generation } => {
                self.dismiss(generation);
                self.push(generation, &ToShim::Stop);
            }
            Effect::Kill { generation, why } => self.kill(generation, why),
            Effect::Finish { ticket, result } => self.answer(now, ticket, result),
            Effect::Persist => self.unsaved = true,
            Effect::Emit(event) => self.emit(now, event),
        }
    }

    fn spawn(&mut self, generation: GenerationId, artifact: Hash, restore: Option<Arc<Snapshot>>) {
        let order = StartSpec {
            plugin: Arc::clone(&self.setup.name),
            generation,
            artifact,
            config: Arc::clone(&self.setup.config),
            sandbox: Arc::clone(&self.setup.sandbox),
            inspect: false,
            restore,
            timeout: self.setup.limits.start_timeout,
            log_lines: self.setup.limits.log_lines,
        };
        let (starter, reports) = (Arc::clone(&self.setup.starter), self.reports.0.clone());
        let task = tokio::spawn(async move {
            let result = start::start(starter, order).await;
            // Fails only when the slot has ended; dropping the result then ends the process.
            let _ = reports.send(Report::Started(generation, Box::new(result))).await;
        });
        self.starting.push((generation, artifact, task.abort_handle()));
    }

    fn probe(&mut self, generation: GenerationId, attempt: u32) {
        let Some(live) = self.live.iter_mut().find(|live| live.generation == generation) else { return };
        live.probing = Some(attempt);
        let probe = self.setup.probe(&live.manifest);
        let Some(line) = probe else {
            // Without a probe command, the answer to a ping must do.
            live.push(&ToShim::Ping(u64::from(attempt)));
            return;
        };
        let (id, limit) = (probe_id(u64::from(attempt)), self.setup.limits.probe_timeout);
        let deadline_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        live.probes_message = manifest::message_probe(&live.manifest, &line).is_some();
        let (command, args) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let (handler, body) = match manifest::message_probe(&live.manifest, &line) {
            Some(handler) => (handler, Body::Message { text: &line }),
            None => (0, Body::Command { name: command.trim_start_matches(crate::event::PREFIX), args: args.trim() }),
        };
        let (user, channel, connector, traceparent) = ("rosey", "probe", "probe", "");
        live.push_event(&WireEvent {
            id,
            probe: true,
            deadline_ms,
            handler,
            user,
            channel,
            connector,
            traceparent,
            body,
        });
    }

    pub(super) fn push(&mut self, generation: GenerationId, message: &ToShim<'_>) {
        if let Some(live) = self.live.iter_mut().find(|live| live.generation == generation) {
            live.push(message);
        }
    }

    fn dismiss(&mut self, generation: GenerationId) {
        if let Some(live) = self.live.iter_mut().find(|live| live.generation == generation) {
            live.dismissed = true;
        }
    }

    fn kill(&mut self, generation: GenerationId, why: &'static str) {
        tracing::info!(plugin = %self.setup.name, generation, "ending the process: {why}");
        if let Some(at) = self.starting.iter().position(|(starting, ..)| *starting == generation) {
            // Dropping the start ends the process that it has started.
            self.starting.swap_remove(at).2.abort();
        }
        self.dismiss(generation);
        if let Some(live) = self.live.iter().find(|live| live.generation == generation) {
            live.kill();
        }
    }

    pub(super) fn ask(
        &mut self,
        kind: RequestKind,
        now: Instant,
        answer: oneshot::Sender<Result<Done, ChangeError>>,
    ) -> Ticket {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, PendingRequest { kind, began: now, answer });
        self.next_ticket
    }

    fn answer(&mut self, now: Instant, ticket: Ticket, result: Result<Done, ChangeError>) {
        let Some(ask) = self.tickets.remove(&ticket) else { return };
        if let RequestKind::Change(kind) = ask.kind {
            let took = now.saturating_duration_since(ask.began);
            self.account.changed(result.is_ok(), took);
            self.happened(LifecycleKind::Changed { kind, result: result.clone(), took });
        }
        if ask.kind == RequestKind::Stop && !self.is_written() {
            if self.cooldowns.save_at().is_some() {
                self.save_cooldowns();
            }
            return self.parting.push((ask, result));
        }
        // The caller may have stopped waiting.
        let _ = ask.answer.send(result);
    }

    /// Delivers the start event to a generation that becomes active for the first time.
    fn start_event(&mut self, now: Instant, generation: GenerationId) {
        let Some(live) = self.live.iter_mut().find(|live| live.generation == generation) else { return };
        let start = Kind::Start.name();
        let handler = live.manifest.subscriptions.iter().position(|subscription| subscription.kind == start);
        let Some(handler) = handler.and_then(|at| u16::try_from(at).ok()) else { return };
        if !std::mem::replace(&mut live.has_start, true) {
            let occurrence = Occurrence::new(What::Start, handler, "");
            let (user, place) = (User::nobody().into(), Place::none().into());
            self.admit(now, now, Event::of(occurrence, user, place, ReplyTo::Nowhere));
        }
    }

    fn emit(&mut self, now: Instant, event: StateEvent) {
        match &event {
            StateEvent::Active { generation, artifact } => {
                self.startup.take_if(|choice| choice.artifact != *artifact);
                let manifest = self.live.iter().find(|live| live.generation == *generation).map(|live| &live.manifest);
                if let Some(manifest) = manifest.cloned() {
                    self.manifest = Some(Arc::clone(&manifest));
                    self.cooldowns.go_by(&manifest);
                    self.orders.go_by(&manifest);
                    self.timers.go_by(&manifest, now);
                    self.unsaved = true;
                    self.happened(LifecycleKind::Manifest(manifest));
                }
                self.start_event(now, *generation);
            }
            StateEvent::StartFailed { .. } => self.account.start_failed(),
            StateEvent::Restarting { .. } => self.account.restarting(),
            StateEvent::RolledBack { why, state, store, .. } => {
                self.account.rolled_back(format!("{why}{}", left(*state, *store)));
            }
            _ => {}
        }
        self.happened(LifecycleKind::State(event));
    }

    /// Takes a measurement of a generation. Ends one that uses too much memory, and pings any other, even an idle one.
    pub(super) fn looked_at(&mut self, generation: GenerationId, beyond: Option<u64>) {
        let limit = self.setup.memory_limit();
        let Some(live) = self.live.iter_mut().find(|live| live.generation == generation && !live.closed) else {
            return;
        };
        match beyond {
            Some(used) => live.kill_for(Cause::Memory { used, limit }),
            None => live.ask(&ToShim::Ping(0)),
        }
    }

    pub(in crate::slot) fn happened(&self, kind: LifecycleKind) {
        let event = LifecycleEvent { plugin: Arc::clone(&self.setup.name), at: SystemTime::now(), kind };
        (self.setup.happened)(event);
    }
}
