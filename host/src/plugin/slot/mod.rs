//! What the host keeps for one plugin: its queue, its generations, its account.
//!
//! [`Handle`] is the way in; behind it one task (`task`) owns everything. What to do is decided by two pure parts, `flow`
//! for the events and `state` for the generations; the task only performs. May import `event`, `store` and the other
//! modules of `plugin`; knows nothing of connectors, admin or HTTP.

pub mod account;
pub mod crash;
mod flow;
pub mod histogram;
pub mod ledger;
mod live;
pub mod message;
pub mod pace;
pub mod restart;
pub mod state;
mod task;
mod view;

use super::{
    generation::{Forge, OwnSettings},
    limits::Limits,
};
use crate::{event::Event, store::Database};
use message::{Command, Happening, View};
use pace::Pacer;
use restart::RestartPolicy;
use rosey_wire::manifest::Manifest;
use state::{ChangeError, Done, Generation, Memory, Policy, ReloadMode};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{
    mpsc::{
        self,
        error::{SendError, TrySendError},
    },
    oneshot,
};

/// Events on their way to a slot's task, which takes them at once unless it waits for its turn to send them.
const INBOX: usize = 1024;

/// Commands likewise; they are always taken at once.
const COMMANDS: usize = 64;

/// Between asking a generation to stop and killing it. Its events are answered by then.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What a slot is made of.
pub struct Setup {
    /// The plugin's name.
    pub name: Arc<str>,
    /// Limits in force.
    pub limits: Limits,
    /// The reload mode, when the operator set one.
    pub reload: Option<ReloadMode>,
    /// The probe, when the operator set one.
    pub probe: Option<String>,
    /// The plugin's own settings.
    pub config: Arc<OwnSettings>,
    /// What is shared by all plugins.
    pub forge: Arc<Forge>,
    /// Likewise.
    pub pacer: Arc<Pacer>,
    /// Where dead letters and memories go.
    pub database: Database,
    /// What is remembered from the host before this one.
    pub memory: Memory,
    /// What the plugin said of itself then.
    pub manifest: Option<Arc<Manifest>>,
    /// The number of the first generation.
    pub first_generation: Generation,
    /// Who wants to know what happens. Called on the slot's task: it must not block.
    pub happened: Box<dyn Fn(Happening) + Send + Sync>,
}

impl Setup {
    fn policy(&self) -> Policy {
        let limits = &self.limits;
        Policy {
            probe_timeout: limits.probe_timeout,
            probe_attempts: limits.probe_attempts,
            drain_timeout: limits.drain_timeout,
            stop_grace: STOP_GRACE,
            handoff_timeout: limits.handoff_timeout,
            bake: limits.bake,
            bake_min_events: limits.bake_min_events,
            bake_failure_rate: limits.bake_failure_rate,
            stable_after: limits.stable_after,
            artifacts_kept: limits.artifacts_kept,
        }
    }

    fn restart_policy(&self) -> RestartPolicy {
        RestartPolicy::from(&self.limits)
    }

    /// The command line to probe a generation with this manifest.
    fn probe(&self, manifest: &Manifest) -> Option<String> {
        self.probe.clone().or_else(|| manifest.probe.clone())
    }
}

/// The way to a slot. Cheap to clone; the slot ends when the last one is gone.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Ways>);

#[derive(Debug)]
struct Ways {
    name: Arc<str>,
    /// Each with the time it came, from which its deadline counts.
    events: mpsc::Sender<(Instant, Event)>,
    commands: mpsc::Sender<Command>,
}

/// The slot's task is gone. Only at the end of the host.
#[derive(Debug, thiserror::Error)]
#[error("Rosey is stopping")]
pub struct Gone;

impl Handle {
    /// Starts the task of a slot on the current runtime.
    pub fn spawn(setup: Setup) -> Self {
        let (events, inbox) = mpsc::channel(INBOX);
        let (commands, orders) = mpsc::channel(COMMANDS);
        let name = Arc::clone(&setup.name);
        tokio::spawn(task::Task::new(Arc::new(setup), inbox, orders).run());
        Self(Arc::new(Ways { name, events, commands }))
    }

    /// The plugin's name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Hands over an event. Waits only while the slot's task is behind with its inbox, and now and then for a turn of
    /// everybody else on the thread; the slot then accepts it or answers that it is rejected. Cancelled, the event is
    /// dropped unaccepted.
    pub async fn deliver(&self, event: Event) {
        // Whoever has many lets others have the thread now and then.
        tokio::task::consume_budget().await;
        let event = (Instant::now(), event);
        // There is room nearly always, and then nothing has to be made that could wait.
        let event = match self.0.events.try_send(event) {
            Ok(()) => return,
            Err(TrySendError::Full(event) | TrySendError::Closed(event)) => event,
        };
        if let Err(SendError((_, event))) = self.0.events.send(event).await {
            event.reply_to.answer(event.place, event.user, Some(Gone.to_string()));
        }
    }

    /// Hands over an event and says whether the slot accepted it. Cancelled, it may be accepted all the same.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn offer(&self, event: Event) -> Result<bool, Gone> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Offer { event, answer }).await?;
        answered.await.map_err(|_| Gone)
    }

    /// Tells the slot to do something.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn tell(&self, command: Command) -> Result<(), Gone> {
        self.0.commands.send(command).await.map_err(|_| Gone)
    }

    /// Asks for a change and waits for its end. Cancelled, the change goes on.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn change(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<Done, ChangeError>>) -> Command,
    ) -> Result<Result<Done, ChangeError>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.tell(command(answer)).await?;
        answered.await.map_err(|_| Gone)
    }

    /// How the slot is, in figures that belong together.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn view(&self) -> Result<Box<View>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::View(answer)).await?;
        answered.await.map_err(|_| Gone)
    }
}
