//! How other rooms reach a slot.

use crate::event::{Event, Form};
use crate::slot::{Setup, actor::Task, command::Command, view::View};
use rosey_core::state::{ChangeError, Done};
use std::{sync::Arc, time::Instant};
use tokio::sync::{
    mpsc::{
        self,
        error::{SendError, TrySendError},
    },
    oneshot, watch,
};

/// Most events on their way to a slot's task. The task takes them at once, unless it waits for its turn to send them.
const INBOX: usize = 1024;

/// The same for commands; the task always takes them at once.
const COMMANDS: usize = 64;

/// A handle to a slot. Cheap to clone; the slot ends with its last handle.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Channels>);

#[derive(Debug)]
struct Channels {
    name: Arc<str>,
    /// Each event with the time of its arrival, from which its deadline counts.
    events: mpsc::Sender<(Instant, Event)>,
    commands: mpsc::Sender<Command>,
    changes: watch::Receiver<()>,
}

/// The slot's task has ended. Only at the end of the host.
#[derive(Debug, thiserror::Error)]
#[error("Rosey is stopping")]
pub struct Gone;

impl Handle {
    /// Starts the task of a slot on the current runtime.
    pub fn spawn(setup: Setup) -> Self {
        let (events, inbox) = mpsc::channel(INBOX);
        let (commands, requests) = mpsc::channel(COMMANDS);
        let (changed, changes) = watch::channel(());
        let name = Arc::clone(&setup.name);
        tokio::spawn(Task::new(Arc::new(setup), inbox, requests, changed).run());
        Self(Arc::new(Channels { name, events, commands, changes }))
    }

    /// The plugin's name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// Delivers an event. Waits only while the slot's task is behind with its inbox, and now and then to leave the
    /// thread to other tasks. Then the slot accepts the event, or answers that it is rejected. Cancelled, the event is
    /// dropped before acceptance.
    pub async fn deliver(&self, event: Event) {
        // A caller with many events leaves the thread to other tasks now and then.
        tokio::task::consume_budget().await;
        let event = (Instant::now(), event);
        // The inbox has room nearly always; then no future has to be made.
        let event = match self.0.events.try_send(event) {
            Ok(()) => return,
            Err(TrySendError::Full(event) | TrySendError::Closed(event)) => event,
        };
        if let Err(SendError((_, event))) = self.0.events.send(event).await {
            let text = event.command().is_some().then(|| Gone.to_string());
            event.reply_to.answer(event.place, event.user, Form::Answer, text);
        }
    }

    /// Delivers an event, and returns whether the slot accepted it. Cancelled, the slot may accept it all the same.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn offer(&self, event: Event) -> Result<bool, Gone> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Offer { event, answer }).await?;
        answered.await.map_err(|_| Gone)
    }

    /// Sends a command to the slot.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn tell(&self, command: Command) -> Result<(), Gone> {
        self.0.commands.send(command).await.map_err(|_| Gone)
    }

    /// Asks for a change and waits for its end. Cancelled, the change continues.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn change(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<Done, ChangeError>>) -> Command,
    ) -> Result<Result<Done, ChangeError>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.tell(command(answer)).await?;
        answered.await.map_err(|_| Gone)
    }

    /// Signals that a view may show a change other than traffic: a generation, a phase, the end of a process.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.clone()
    }

    /// A view of the slot, whose figures belong together.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn view(&self) -> Result<Box<View>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::View(answer)).await?;
        answered.await.map_err(|_| Gone)
    }
}
