//! The task of one slot: takes what arrives, asks the pure parts for a decision, and carries it out.
//!
//! One task does all I/O of a slot. So an event goes from the inbox to the socket, and its answer from the socket to
//! the connector, without another task in between. Each turn takes whatever has arrived (a batch), then sends, then
//! writes once.

use crate::slot::{
    Setup,
    account::Account,
    command::{Command, Report},
    commits::Commits,
    cooldown::Cooldowns,
    crash::Cause,
    lifecycle::LifecycleKind,
    live::Live,
    migration::Migrations,
    pace::Pace,
    timers::Timers,
};
use crate::{
    event::{self, Event, Form},
    process::{
        memory, output,
        spawn::Exit,
        start::{StartError, StartedGeneration},
    },
    slot::{
        dead_letter::{self, DeadLetter},
        failures::Failures,
        startup::StartupChoice,
    },
};
use rosey_core::{
    flow::{Blame, Ended, Flow, is_probe},
    restart::Restart,
    state::{ChangeError, ChangeKind, Done, GenerationId, PluginState, State, StoreFormat, Ticket},
};
use rosey_core::{
    hash::Hash,
    outcome::{Outcome, Rejection},
};
use rosey_wire::{
    effect::Style,
    event::Kind,
    manifest::Manifest,
    message::{ToHost, ToShim},
};
use std::{
    cell::Cell,
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
    time::Sleep,
};

use crate::slot::{
    effects::ending,
    inbound::{Inbound, outcome},
    order::Orders,
};

/// Most messages that one turn takes before it sends. Large enough to fill a write, small enough that a busy slot
/// leaves the thread to others every few hundred microseconds.
const BATCH: usize = 256;

/// Pause before the next try to save to `rosey.db`: a full disk is not emptied within a second.
pub(super) const SAVE_RETRY: Duration = Duration::from_secs(1);

/// Interval at which the slot checks deadlines and signs of life while anything is under way.
const LOOK_EVERY: Duration = Duration::from_millis(250);

thread_local! {
    /// Where a turn puts the events from its inbox. It is empty between two turns, so all slots share it, and it stays
    /// in the processor's caches.
    static ARRIVING: Cell<Vec<(Instant, Event)>> = const { Cell::new(Vec::new()) };
}

/// The state of a slot's task.
pub(super) struct Task {
    pub(super) setup: Arc<Setup>,
    pub(super) inbox: mpsc::Receiver<(Instant, Event)>,
    pub(super) commands: mpsc::Receiver<Command>,
    /// Signals that a view may show a change other than traffic.
    pub(super) changes: watch::Sender<()>,
    pub(super) flow: Flow<Event>,
    pub(super) state: State,
    pub(super) live: Vec<Live>,
    pub(super) starting: Vec<(GenerationId, Hash, AbortHandle)>,
    pub(super) manifest: Option<Arc<Manifest>>,
    pub(super) startup: Option<Arc<StartupChoice>>,
    pub(super) tickets: HashMap<Ticket, PendingRequest>,
    pub(super) next_ticket: Ticket,
    pub(super) reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    pub(super) timer: Pin<Box<Sleep>>,
    pub(super) timer_at: Option<Instant>,
    pub(super) look_at: Option<Instant>,
    pub(super) why_reject: Rejection,
    /// Whether `rosey.db` lacks the last change.
    pub(super) unsaved: bool,
    /// Whether a write to `rosey.db` is under way.
    pub(super) saving: bool,
    /// Stops that only wait for that write.
    pub(super) parting: Vec<(PendingRequest, Result<Done, ChangeError>)>,
    pub(super) pace: Pace,
    pub(super) commits: Commits,
    pub(super) cooldowns: Cooldowns,
    pub(super) orders: Orders,
    pub(super) timers: Timers,
    pub(super) migrations: Migrations,
    pub(super) account: Account,
}

/// The kind of a request to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    Start,
    Stop,
    Change(ChangeKind),
}

/// A request under way.
pub(super) struct PendingRequest {
    pub(super) kind: RequestKind,
    pub(super) began: Instant,
    pub(super) answer: oneshot::Sender<Result<Done, ChangeError>>,
}

impl Task {
    pub(super) fn new(
        setup: Arc<Setup>,
        inbox: mpsc::Receiver<(Instant, Event)>,
        commands: mpsc::Receiver<Command>,
        changes: watch::Sender<()>,
    ) -> Self {
        let flow = Flow::new(setup.flow_limits());
        let restart = Restart::new(setup.restart_policy(), fastrand::Rng::new());
        let mut state = State::new(setup.policy(), restart, setup.history.clone());
        state.know_store(setup.store);
        let mut cooldowns = Cooldowns::recall(setup.waits.clone());
        let mut orders = Orders::default();
        if let Some(manifest) = &setup.manifest {
            cooldowns.go_by(manifest);
            orders.go_by(manifest);
        }
        Self {
            inbox,
            commands,
            changes,
            flow,
            state,
            live: Vec::new(),
            starting: Vec::new(),
            manifest: setup.manifest.clone(),
            startup: None,
            tickets: HashMap::new(),
            next_ticket: 0,
            reports: mpsc::channel(64),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            timer_at: None,
            look_at: None,
            why_reject: Rejection::NotRunning,
            unsaved: false,
            saving: false,
            parting: Vec::new(),
            commits: Commits::default(),
            cooldowns,
            orders,
            timers: Timers::with(setup.timers),
            migrations: Migrations::default(),
            pace: Pace::new(Arc::clone(&setup.pacer)),
            account: Account::of(setup.kept),
            setup,
        }
    }

    /// Runs until the last handle to the slot is dropped.
    pub(super) async fn run(mut self) {
        while std::future::poll_fn(|cx| self.poll_turn(cx)).await {}
    }

    /// One turn. Ready when there may be more to do; false when the slot has ended.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let now = Instant::now();
        let mut more = self.poll_links(cx, now);
        let command = self.commands.poll_recv(cx);
        let has_turn = self.has_turn(cx, now);
        // While the slot waits for its turn, events fill the inbox without waking it. A command finds all earlier
        // events.
        if has_turn || !self.pace.waits() || command.is_ready() {
            more |= self.poll_inbox(cx, now);
        }
        match command {
            Poll::Ready(Some(command)) => {
                self.command(now, command);
                more = true;
            }
            Poll::Ready(None) => {
                // No handle is left. What came before the last one went gets its answer: the slot is stopped.
                while self.poll_inbox(cx, now) {}
                return Poll::Ready(false);
            }
            Poll::Pending => {}
        }
        while let Poll::Ready(Some(report)) = self.reports.1.poll_recv(cx) {
            self.report(cx, now, report);
            more = true;
        }
        more |= self.poll_timer(cx, now);
        self.tick_timers(now);
        self.apply_effects(now);
        self.send_questions();
        self.send_commits(now);
        self.pump(cx, now, has_turn);
        self.poll_flush(cx);
        more |= self.set_timer(cx, now);
        if more { Poll::Ready(true) } else { Poll::Pending }
    }

    /// Whether there are events to send, and it is this slot's turn to do so.
    fn has_turn(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let events = self.flow.queued() + self.inbox.len();
        let can_send = |live: &Live| !live.closed && !live.link.is_full() && self.flow.has_room(live.generation);
        let route = self.state.route();
        if events == 0 || !self.live.iter().any(|live| Some(live.generation) == route && can_send(live)) {
            self.pace.cancel(now);
            return false;
        }
        self.pace.is_turn(cx, now, events)
    }

    /// Takes as many events as one turn may. True when there may be more.
    fn poll_inbox(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let (mut room, mut batch) = (BATCH, ARRIVING.take());
        while room > 0
            && let Poll::Ready(count @ 1..) = self.inbox.poll_recv_many(cx, &mut batch, room)
        {
            room -= count;
            event::prefetch(batch.iter().map(|(_, event)| event));
            for (at, event) in batch.drain(..) {
                self.admit_in_turn(now, at, event);
            }
        }
        ARRIVING.set(batch);
        room == 0
    }

    /// Accepts an event; false when it is rejected.
    pub(super) fn admit(&mut self, now: Instant, at: Instant, event: Event) -> bool {
        let (key, kind) = (self.orders.key(&event), event.kind());
        let will_run = self.state.will_run();
        if !will_run && kind != Kind::Command {
            // No person waits for an answer, so a stopped plugin misses nothing. An event with a row runs after the
            // next start.
            return false;
        }
        if let Some(occurrence) = event.occurrence()
            && occurrence.row.is_some_and(|row| !self.commits.hold(row))
        {
            return true;
        }
        let event = match event {
            event if self.setup.journal && will_run && event.occurrence().is_none() => {
                match self.commits.accept(at, event, self.setup.limits.queue) {
                    Some(event) => {
                        let ended = self.flow.turn_away(at, event, Rejection::QueueFull);
                        finish(&self.setup, &mut self.account, &mut self.commits, now, ended);
                        return false;
                    }
                    None => return true,
                }
            }
            event => event,
        };
        self.account.kinds[kind as usize] += 1;
        let ended = if will_run {
            self.flow.admit(at, key, event)
        } else {
            Some(self.flow.turn_away(at, event, self.why_reject))
        };
        let accepted = ended.is_none();
        if let Some(ended) = ended {
            finish(&self.setup, &mut self.account, &mut self.commits, now, ended);
        }
        accepted
    }

    /// Reads from all links. True when there may be more.
    fn poll_links(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut more = false;
        for at in 0..self.live.len() {
            if self.live[at].intake.rests() {
                continue;
            }
            // The second read mostly finds nothing. It costs no system call, and makes the next arrival wake this task.
            more |= self.poll_link(cx, now, at) && self.poll_link(cx, now, at);
        }
        more
    }

    fn poll_link(&mut self, cx: &mut Context<'_>, now: Instant, at: usize) -> bool {
        if self.live[at].closed {
            return false;
        }
        match self.live[at].link.poll_read(cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) => self.pace.release(now),
            // The process ends next, and its end says more.
            Poll::Ready(Err(_)) => {
                self.live[at].closed = true;
                self.live[at].kill();
                return true;
            }
        }
        let Self { live, flow, state, setup, account, commits, .. } = self;
        let live = &mut live[at];
        let generation = live.generation;
        let mut rest = Vec::new();
        let problem = loop {
            let message = live.link.next_message().map_err(|error| crate::report::chain(&error));
            match message.and_then(|message| message.map(|message| live.intake.take(message)).transpose()) {
                Ok(None) => break None,
                Ok(Some(ToHost::Reply { event, answer })) if !is_probe(event) => {
                    let outcome = outcome(answer, setup.limits.reply_bytes, account);
                    let outcome = if commits.holds() == 0 {
                        // Nearly every event changes nothing and has no row.
                        outcome
                    } else {
                        match commits.take((setup, account), flow, (event, generation), outcome, (&[], 0)) {
                            Some(outcome) => outcome,
                            None => continue,
                        }
                    };
                    flow.answered(event, generation, outcome, &mut |ended| {
                        judge_and_finish(state, setup, account, commits, now, ended);
                    });
                }
                Ok(Some(ToHost::ReplyWith { event, answer, effects })) if !is_probe(event) => {
                    let outcome = outcome(answer, setup.limits.reply_bytes, account);
                    let effects = (effects, live.manifest.store_version);
                    let taken = commits.take((setup, account), flow, (event, generation), outcome, effects);
                    let Some(outcome) = taken else { continue };
                    flow.answered(event, generation, outcome, &mut |ended| {
                        judge_and_finish(state, setup, account, commits, now, ended);
                    });
                }
                Ok(Some(ToHost::Call { call, event, request })) => {
                    rest.push(Inbound::Call { call, event, request: request.to_owned() });
                }
                Ok(Some(other)) => rest.extend(Inbound::of(other, &mut live.records, now)),
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = problem {
            live.closed = true;
            live.kill_for(Cause::Protocol(error));
        }
        for inbound in rest {
            self.inbound(now, at, inbound);
        }
        true
    }

    /// Handles any message of a shim other than the answer to an event.
    fn inbound(&mut self, now: Instant, at: usize, inbound: Inbound) {
        let generation = self.live[at].generation;
        match inbound {
            Inbound::SilentProbe => {
                let silence = Err("it gave no answer to the probe".to_owned());
                let result = if self.live[at].probes_message { Ok(()) } else { silence };
                self.inbound(now, at, Inbound::Probe(result));
            }
            Inbound::Probe(result) => {
                if let Some(attempt) = self.live[at].probing.take() {
                    let result = result.and_then(|()| self.check_memory(at));
                    self.state.probed(now, generation, attempt, result);
                }
            }
            Inbound::Pong => {
                self.hear(at);
                let probes = self.setup.probe(&self.live[at].manifest).is_some();
                if !probes && let Some(attempt) = self.live[at].probing.take() {
                    let result = self.check_memory(at);
                    self.state.probed(now, generation, attempt, result);
                }
            }
            Inbound::State(snapshot) => self.state.snapshot_taken(now, generation, Ok(snapshot)),
            Inbound::Metrics(json) => {
                self.hear(at);
                self.account.custom = (generation, json);
            }
            Inbound::Call { call, event, request } => self.call(generation, call, event, &request),
            Inbound::Migrated(said) => self.migration_said(now, generation, said),
            Inbound::Restored => self.state.restored(now, generation, Ok(())),
            // Only one of the two can be awaited.
            Inbound::StateFailed(why) => {
                self.state.snapshot_taken(now, generation, Err(why.clone()));
                self.state.restored(now, generation, Err(why));
            }
        }
    }

    fn check_memory(&self, at: usize) -> Result<(), String> {
        let limit = self.setup.memory_limit();
        match memory::used_beyond(self.live[at].pid, limit) {
            Some(used) => Err(format!("it uses {} MiB of memory; its limit is {} MiB", used >> 20, limit >> 20)),
            None => Ok(()),
        }
    }

    fn report(&mut self, cx: &mut Context<'_>, now: Instant, report: Report) {
        self.changes.send_replace(());
        match report {
            Report::Started(generation, result) => self.started(now, generation, *result),
            Report::Exited(generation, exit) => self.exited(cx, now, generation, exit),
            Report::Looked(generation, beyond) => self.looked_at(generation, beyond),
            Report::Saved(written) => self.saved(written),
            Report::Committed(results) => self.committed(now, results),
            Report::Answered(answers) => self.answered(answers),
            Report::TimersTold(count) => self.timers.told(count, now),
            Report::TimersFired(fired) => self.timers_fired(now, fired),
            Report::CooldownsSaved { lost } => self.cooldowns_saved(now, lost),
            Report::Pending(events) => {
                for event in events {
                    self.admit(now, now, event);
                }
            }
            Report::Migrated(generation, result) => self.migrated(now, generation, result),
            Report::PutBack(result) => self.was_put_back(now, result),
            Report::Buried(id) => {
                let Self { flow, setup, account, commits, .. } = self;
                flow.buried(id, &mut |ended| finish(setup, account, commits, now, ended));
            }
        }
    }

    fn started(&mut self, now: Instant, generation: GenerationId, result: Result<StartedGeneration, StartError>) {
        let Some(at) = self.starting.iter().position(|(starting, ..)| *starting == generation) else { return };
        let (_, artifact, _) = self.starting.swap_remove(at);
        let result = match result {
            Ok(started) => {
                self.state.learn(artifact, &started.manifest.version);
                let Manifest { store_version: version, migrates, .. } = *started.manifest;
                self.live.push(Live::new(
                    generation,
                    artifact,
                    started,
                    self.setup.memory_limit(),
                    self.reports.0.clone(),
                ));
                Ok(StoreFormat { version, migrates })
            }
            Err(error) => Err(error.problem()),
        };
        self.state.started(now, generation, result);
    }

    fn exited(&mut self, cx: &mut Context<'_>, now: Instant, generation: GenerationId, exit: Exit) {
        let Some(at) = self.live.iter().position(|live| live.generation == generation) else { return };
        // What the process wrote before it died still counts.
        while self.poll_link(cx, now, at) && !self.live[at].closed {}
        let live = self.live.swap_remove(at);
        let wanted = live.dismissed && live.cause.is_none();
        let executing = live.page.executing();
        let events: Vec<_> = executing.iter().filter_map(|id| self.flow.get(*id)).map(|(event, _)| event).collect();
        let crash = live.crash(now, exit, &events);
        let (mut text, own_doing) = (crash.cause.to_string(), crash.cause.is_own_doing());
        let blame = (!wanted).then_some(Blame { executing: &executing, cause: &text, own_doing });
        let quarantined = self.flow.lost(generation, blame);
        if self.state.staged() == Some(generation) {
            // Not counted as a crash: the person who asked for the change gets the full text.
            text += &output::last_words(&crash.stderr);
        } else if !wanted {
            let crash = Arc::new(crash);
            self.account.crashed(&crash);
            self.happened(LifecycleKind::Crash(crash));
        }
        let is_poison = !quarantined.is_empty();
        for dead in quarantined {
            if let Some((event, _)) = self.flow.get(dead.id) {
                let text = event.text().into_owned();
                self.happened(LifecycleKind::DeadLetter { text });
            }
            self.bury(dead.id, dead.causes);
        }
        if is_poison {
            self.state.poisoned(now, generation, &text);
        } else {
            self.state.exited(now, generation, &text);
        }
        self.flow.forget(generation);
    }

    /// Writes a dead letter, and releases the event when that is durable.
    fn bury(&mut self, id: u64, causes: Vec<String>) {
        let Some((event, accepted)) = self.flow.get(id) else { return };
        let letter = DeadLetter::new(&self.setup.name, event, accepted, causes);
        let (database, reports) = (self.setup.database.clone(), self.reports.0.clone());
        tokio::spawn(async move {
            dead_letter::bury(&database, letter).await;
            let _ = reports.send(Report::Buried(id)).await;
        });
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Start { artifact, lost, retry, answer } => {
                let starts = (!retry || self.state.is_waiting()) && self.state.start(artifact);
                if starts {
                    self.startup = None;
                    self.state.lost(&lost);
                    self.load_pending();
                }
                // The caller may have stopped waiting.
                let _ = answer.send(starts);
            }
            Command::WhenStarted(answer) => {
                let ticket = self.ask(RequestKind::Start, now, answer);
                self.state.when_started(ticket);
            }
            Command::StartupChosen(choice) => self.startup_choice(choice),
            Command::CannotStart { problem, retry, answer } => {
                if !retry || self.state.is_waiting() {
                    self.state.cannot_start(problem);
                }
                // As above.
                let _ = answer.send(self.state.is_waiting());
            }
            Command::Change { request, expected, answer } => {
                let (ticket, mode) = (self.ask(RequestKind::Change(request.kind()), now, answer), self.reload_mode());
                if self.state.is_stopped() {
                    self.load_pending();
                }
                self.state.change_to(now, ticket, request, mode, expected);
            }
            Command::Stop { host_stops, answer } => {
                let ticket = self.ask(RequestKind::Stop, now, answer);
                if !host_stops && self.state.is_stopped() {
                    return self.state.refuse(ticket, ChangeError::Already(PluginState::Stopped));
                }
                self.why_reject = if host_stops { Rejection::Stopping } else { Rejection::NotRunning };
                self.state.stop(now, ticket);
            }
            Command::Offer { event, answer } => {
                // The caller may have stopped waiting.
                let _ = answer.send(self.admit(now, now, event));
            }
            Command::View(answer) => {
                // The caller may have stopped waiting.
                let _ = answer.send(Box::new(self.view(now)));
            }
            Command::Keeps(usage, store) => {
                self.commits.values.forget();
                self.account.keeps(usage);
                self.state.know_store(store);
            }
            Command::Configure { settings, answer } => {
                let setup = Setup { settings: *settings, ..Setup::clone(&self.setup) };
                let before = std::mem::replace(&mut self.setup, Arc::new(setup));
                self.flow.set_limits(self.setup.flow_limits());
                self.state.set_policy(self.setup.policy(), self.setup.restart_policy());
                // The caller may have stopped waiting.
                let _ = answer.send(Box::new(before.settings.clone()));
            }
            Command::TimersLeft(count) => self.timers.count = count,
            Command::Collect => {
                let active = self.state.active();
                if let Some(live) = self.live.iter_mut().find(|live| Some(live.generation) == active) {
                    // This is also a sign of life, from a plugin that has nothing to do.
                    live.ask(&ToShim::Collect);
                }
            }
        }
    }

    /// Sends what may be sent.
    fn pump(&mut self, cx: &mut Context<'_>, now: Instant, has_turn: bool) {
        // Since the last check the turn may have come: there are new events, or a new generation.
        if !has_turn && (self.pace.waits() || !self.has_turn(cx, now)) {
            return;
        }
        let (route, deadline) = (self.state.route(), self.setup.limits.event_deadline);
        let (mut sent, mut unheard) = (false, Vec::new());
        if let Some(live) = self.live.iter_mut().find(|live| Some(live.generation) == route && !live.closed) {
            while !live.link.is_full() {
                let Some((id, accepted, event)) = self.flow.next_for(live.generation) else { break };
                let left = deadline.saturating_sub(now.saturating_duration_since(accepted));
                if live.deliver(id, left, event) {
                    sent = true;
                } else {
                    unheard.push((id, live.generation));
                }
            }
        }
        if !sent {
            self.pace.release(now);
        }
        // The build before subscribed to these, and this one does not.
        for (id, generation) in unheard {
            let Self { flow, setup, account, commits, .. } = self;
            flow.answered(id, generation, Outcome::Ignored, &mut |ended| finish(setup, account, commits, now, ended));
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        for live in &mut self.live {
            if !live.closed
                && let Poll::Ready(Err(_)) = live.link.poll_flush(cx)
            {
                // The slot reads what the process wrote before, when its end is reported.
                live.kill();
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        // In each turn: a poll after this task's budget was used up has not registered the timer.
        if self.timer_at.is_none() || self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer_at = None;
        self.state.tick(now);
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            self.look(now);
        }
        if self.cooldowns.save_at().is_some_and(|at| at <= now) {
            self.save_cooldowns();
        }
        true
    }

    /// Checks deadlines and signs of life.
    fn look(&mut self, now: Instant) {
        self.retry_commits(now);
        let Self { flow, state, setup, account, commits, .. } = self;
        flow.expire(now, &mut |ended| {
            if let (Outcome::TimedOut, Some(by)) = (&ended.outcome, ended.generation) {
                state.outcome(now, by, ending(&ended));
            }
            finish(setup, account, commits, now, ended);
        });
        let patience = u32::try_from(self.setup.limits.hang_timeout.as_millis() / LOOK_EVERY.as_millis()).unwrap_or(1);
        let old_enough = |oldest| now.saturating_duration_since(oldest) >= self.setup.limits.heartbeat;
        let asks = self.flow.oldest().is_some_and(old_enough);
        for live in self.live.iter_mut().filter(|live| !live.closed) {
            if live.intake.renew() {
                self.account.hit("frames");
            }
            let asks = asks && self.flow.in_flight_in(live.generation) > 0;
            if (asks || live.is_watched()) && live.is_hung(patience) {
                live.kill_for(Cause::Hung(self.setup.limits.hang_timeout));
            }
            if asks {
                live.ask(&ToShim::Ping(0));
            }
        }
        let silent: Vec<_> = self.live.iter().filter(|live| live.fell_silent()).map(|live| live.generation).collect();
        silent.into_iter().for_each(|generation| self.tell_health(generation, false));
    }

    /// Sets the timer for the next deadline. True when that is now.
    fn set_timer(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let waits = !self.flow.is_empty() || self.commits.retries() || self.live.iter().any(Live::is_watched);
        let waits = waits || self.live.iter().any(|live| live.intake.counts());
        if waits && self.look_at.is_none() {
            self.look_at = Some(now + LOOK_EVERY);
        }
        let gathered = self.commits.gather.until();
        let next = [self.look_at, self.state.next_tick(), self.cooldowns.save_at(), self.timers_wake_at(), gathered]
            .into_iter()
            .flatten()
            .min();
        // Sets only an earlier time. With a later one the timer fires too early, which costs less than to set it for
        // each event.
        if let Some(next) = next
            && self.timer_at.is_none_or(|at| next < at)
        {
            self.timer_at = Some(next);
            self.timer.as_mut().reset(next.into());
            return self.timer.as_mut().poll(cx).is_ready();
        }
        false
    }
}

/// Tells the trial of a new build how an event ended in a generation, and finishes the event.
pub(super) fn judge_and_finish(
    state: &mut State,
    setup: &Setup,
    account: &mut Account,
    commits: &mut Commits,
    now: Instant,
    ended: Ended<Event>,
) {
    if let Some(by) = ended.generation {
        state.outcome(now, by, ending(&ended));
    }
    finish(setup, account, commits, now, ended);
}

/// Gives an outcome to the user, and records the time that it took.
pub(super) fn finish(setup: &Setup, account: &mut Account, commits: &mut Commits, now: Instant, ended: Ended<Event>) {
    let waited = now.saturating_duration_since(ended.accepted);
    // A reply of the host in the plugin's name says nothing about the plugin's speed.
    if ended.generation.is_some() || !matches!(ended.outcome, Outcome::Replied(_)) {
        account.ended(&ended.outcome, waited);
    }
    Failures::count(&mut account.failures, &ended);
    if let Outcome::Failed { detail, .. } = &ended.outcome {
        let (user, line) = (&ended.event.user.name, &*ended.event.text());
        tracing::warn!(plugin = %setup.name, generation = ended.generation, event = ended.id, %user, line, "failed: {detail}");
    }
    let Ended { event, outcome, .. } = ended;
    let Some(event) = commits.ended(event, &outcome) else { return };
    let is_command = event.command().is_some();
    let (form, text) = match outcome {
        outcome if is_command => (Form::Answer, outcome.into_chat(&setup.name, waited)),
        // A person who only talks has asked for nothing, and gets no error text.
        Outcome::Replied(text) => (Form::Line(Style::Plain), Some(text)),
        _ => (Form::Line(Style::Plain), None),
    };
    let Event { reply_to, place, user, .. } = event;
    reply_to.answer(place, user, form, text);
}
