//! A generation with a process, as the slot holds it.

use crate::slot::{
    command::Report,
    crash::{Cause, Crash},
    intake::Intake,
    view::GenerationView,
};
use crate::{
    event::Event,
    process::{
        link::Link,
        memory,
        output::{Records, Tail},
        page::Page,
        sandbox::RuleReport,
        spare::StartGuard,
        spawn::Exit,
        start::StartedGeneration,
    },
    time::unix_millis,
};
use rosey_core::hash::Hash;
use rosey_core::state::{GenerationId, Role};
use rosey_wire::{event::Event as WireEvent, manifest::Manifest, message::ToShim};
use rustix::process::Signal;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    sync::{Notify, mpsc},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval_at},
};

/// Checks without an answer to a ping after which a generation counts as unhealthy: half a second.
const UNHEALTHY: u32 = 2;

/// Interval between two measurements of a generation's memory. A plugin that allocates a gigabyte a second has three by
/// then, which most machines have.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Bytes that may wait for a shim to read them. Events stop far below that; answers to calls follow what it asks for.
const MOST_WAITING: usize = 64 << 20;

/// A generation between its start and its end.
#[derive(Debug)]
pub struct Live {
    pub generation: GenerationId,
    pub artifact: Hash,
    pub manifest: Arc<Manifest>,
    pub link: Link,
    pub intake: Intake,
    pub page: Page,
    pub tail: Tail,
    pub records: Records,
    pub sandbox: Arc<[RuleReport]>,
    pub pid: u32,
    pub ready: Instant,
    pub ready_at: SystemTime,
    pub start_took: Duration,
    /// The slot reads nothing more; the process is ending.
    pub closed: bool,
    /// Why the host ended it, if that counts as a crash.
    pub cause: Option<Cause>,
    /// Whether the host ended it for reasons of its own.
    pub dismissed: bool,
    /// Checks since a ping without an answer.
    pub unanswered: Option<u32>,
    /// The event that each lane was executing at the last checks, and at how many of them.
    pub executing: Vec<(u64, u32)>,
    /// The attempt of the probe under way.
    pub probing: Option<u32>,
    /// Whether that probe is a message, which needs no answer.
    pub probes_message: bool,
    /// Whether it got its start event.
    pub has_start: bool,
    start: Option<StartGuard>,
    end: Arc<Notify>,
}

impl Live {
    /// Takes over a generation that has started, and watches its process: each measurement arrives as
    /// [`Report::Looked`], its end as [`Report::Exited`].
    pub fn new(
        generation: GenerationId,
        artifact: Hash,
        started: StartedGeneration,
        memory_limit: u64,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let StartedGeneration { mut process, link, manifest, tail, records, page, sandbox, took, start } = started;
        let end = Arc::new(Notify::new());
        let told = Arc::clone(&end);
        let (pid, last_words) = (process.pid(), tail.clone());
        tokio::spawn(async move {
            let mut looks = interval_at((Instant::now() + LOOK_EVERY).into(), LOOK_EVERY);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let exit = loop {
                tokio::select! {
                    exit = process.exited() => break exit,
                    _ = looks.tick() => {
                        let beyond = spawn_blocking(move || memory::used_beyond(pid, memory_limit)).await;
                        // Fails only when the slot has ended.
                        let _ = reports.send(Report::Looked(generation, beyond.ok().flatten())).await;
                    }
                    () = told.notified() => {
                        // Fails only when the process has ended already, which the next turn sees.
                        let _ = process.kill(Signal::KILL);
                    }
                }
            };
            last_words.ended().await;
            // Fails only when the slot has ended.
            let _ = reports.send(Report::Exited(generation, exit)).await;
        });
        Self {
            generation,
            artifact,
            manifest,
            link,
            intake: Intake::default(),
            page,
            tail,
            records,
            sandbox,
            pid,
            ready: Instant::now(),
            ready_at: SystemTime::now(),
            start_took: took,
            closed: false,
            cause: None,
            dismissed: false,
            unanswered: None,
            executing: Vec::new(),
            probing: None,
            probes_message: false,
            has_start: false,
            start,
            end,
        }
    }

    /// Whether it has not answered the last ping.
    pub fn is_silent(&self) -> bool {
        self.unanswered.is_some_and(|looks| looks >= UNHEALTHY)
    }

    /// Whether it became silent at this check.
    pub fn fell_silent(&self) -> bool {
        !self.closed && self.unanswered == Some(UNHEALTHY)
    }

    /// Records an answer. True if it was silent before.
    pub fn answers(&mut self) -> bool {
        let was_silent = self.is_silent();
        self.unanswered = None;
        was_silent
    }

    /// Records the end of its start: the probe succeeded, or none was needed.
    pub fn came_up(&mut self) {
        self.start = None;
    }

    /// Ends the process at once.
    pub fn kill(&self) {
        self.end.notify_one();
    }

    /// Ends the process for a reason that counts as a crash. The first reason counts.
    pub fn kill_for(&mut self, cause: Cause) {
        if !self.dismissed {
            self.cause.get_or_insert(cause);
        }
        self.kill();
    }

    /// Checks for signs of life: an answer to the last ping, and handlers that end. True when there was none for this
    /// many checks. It counts checks and not time, because a host that was suspended must not blame the plugin.
    pub fn is_hung(&mut self, patience: u32) -> bool {
        let lanes = self.page.lanes();
        self.executing.resize(lanes.len(), (0, 0));
        let mut longest = 0;
        for (lane, (event, looks)) in lanes.into_iter().zip(&mut self.executing) {
            // A handler that only waits is not executing.
            *looks = if lane != 0 && lane == *event { *looks + 1 } else { 0 };
            *event = lane;
            longest = longest.max(*looks);
        }
        if let Some(looks) = &mut self.unanswered {
            *looks += 1;
            longest = longest.max(*looks);
        }
        longest > patience
    }

    /// Whether it must be checked again, whatever its events do.
    pub fn is_watched(&self) -> bool {
        self.unanswered.is_some() || self.executing.iter().any(|(event, _)| *event != 0)
    }

    /// Sends a message that needs an answer, unless one is due already.
    pub fn ask(&mut self, question: &ToShim<'_>) {
        if self.unanswered.is_none() {
            self.unanswered = Some(0);
            self.push(question);
        }
    }

    /// Puts an event into the output. False, without effect, when this build has no handler for it.
    pub fn deliver(&mut self, id: u64, left: Duration, event: &Event) -> bool {
        let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        let Some(event) = event.for_build(&self.manifest, id, deadline_ms, unix_millis) else { return false };
        self.intake.delivered();
        self.push_event(&event);
        true
    }

    /// Puts an event into the output.
    pub fn push_event(&mut self, event: &WireEvent<'_>) {
        // The texts are bounded where they come in, so a frame has room for them.
        if let Err(error) = self.link.push_event(event) {
            self.kill_for(Cause::Protocol(error.to_string()));
        }
    }

    /// Puts a message into the output.
    pub fn push(&mut self, message: &ToShim<'_>) {
        if self.link.waiting() > MOST_WAITING {
            return self.kill_for(Cause::Protocol("it does not read the answers to its calls".to_owned()));
        }
        // All messages but a state are far below the limit of a frame, and a state came in a frame.
        if let Err(error) = self.link.push(message) {
            self.kill_for(Cause::Protocol(error.to_string()));
        }
    }

    /// The full record of its end. `events` are those that it was executing.
    pub fn crash(&self, now: Instant, exit: Exit, events: &[&Event]) -> Crash {
        Crash {
            at: SystemTime::now(),
            generation: self.generation,
            artifact: self.artifact,
            version: self.manifest.version.clone(),
            uptime: now.saturating_duration_since(self.ready),
            cause: self.cause.clone().unwrap_or(Cause::Exited(exit)),
            executing: events.iter().map(|event| event.text().into_owned()).collect(),
            by: events.iter().map(|event| event.user.name.clone()).collect(),
            stderr: self.tail.lines(),
        }
    }

    /// Its view for people.
    pub fn view(&self, role: Role, in_flight: usize) -> GenerationView {
        GenerationView {
            number: self.generation,
            artifact: self.artifact,
            version: self.manifest.version.clone(),
            pid: self.pid,
            role,
            since: self.ready_at,
            start_took: self.start_took,
            in_flight,
            sandbox: Arc::clone(&self.sandbox),
        }
    }
}
