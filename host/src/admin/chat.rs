//! The admin in chat: lines in, answers out, and questions that wait for a yes in between.
//!
//! The lines of one person are taken in their order: a `yes` right behind the command that it is meant for waits until
//! the question was put. Once an action is under way, their next line is taken.

use super::{Actor, Admin, Proposal, Refusal, grammar, grammar::Request, permission};
use crate::{
    event::{Outgoing, Place, User},
    router::AdminLine,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Lines that may wait.
pub const QUEUE: usize = 64;

/// Lines taken at a time, those included that wait for another of the same person.
const AT_ONCE: usize = 256;

/// How long a question waits for its answer (PRD).
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

/// A question that waits.
pub(super) type Question = Proposal;

/// Held by the line whose turn it is; the next line of the same person follows when it is dropped.
type Turn = oneshot::Sender<()>;

impl Admin {
    /// Takes lines until nobody can send any more.
    pub async fn run(self: Arc<Self>, mut lines: mpsc::Receiver<AdminLine>) {
        let mut last: HashMap<String, oneshot::Receiver<()>> = HashMap::new();
        let room = Arc::new(Semaphore::new(AT_ONCE));
        while let Some(line) = lines.recv().await {
            let room = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
            last.retain(|_, turn| !is_over(turn));
            let (turn, over) = oneshot::channel();
            let before = last.insert(permission::key(&line.user), over);
            let admin = Arc::clone(&self);
            tokio::spawn(async move {
                if let Some(before) = before {
                    // Never sent, only dropped.
                    let _ = before.await;
                }
                admin.take(line, turn).await;
                drop(room);
            });
        }
    }

    async fn take(self: Arc<Self>, line: AdminLine, turn: Turn) {
        let chat = Chat::of(line.user, line.place, line.outgoing);
        let who = permission::key(&chat.actor.user);
        match grammar::parse(&line.line) {
            Request::Yes => {
                let Some(question) = self.pending.take(&who, chat.place.key) else { return };
                chat.say(question.progress()).await;
                drop(turn);
                match self.carry_out(&chat.actor, question).await {
                    Ok(completed) => chat.say(completed.text).await,
                    Err(refusal) => chat.refuse(&refusal).await,
                }
            }
            Request::No => {
                if let Some(question) = self.pending.take(&who, chat.place.key) {
                    chat.say(format!("{} {}: left as it is.", question.action.word(), question.plugin)).await;
                }
            }
            Request::Change(action, plugin) => match self.propose(&chat.actor, action, &plugin).await {
                Ok(proposal) => self.ask(chat, who, proposal).await,
                Err(refusal) => chat.refuse(&refusal).await,
            },
            Request::Query(query) => match self.query(&chat.actor, &query).await {
                Ok(answer) => chat.say(answer.text).await,
                Err(refusal) => chat.refuse(&refusal).await,
            },
            Request::Unclear(text) => match self.unclear(&chat.actor, text).await {
                Refusal::Unclear(text) => chat.say(text).await,
                refusal => chat.refuse(&refusal).await,
            },
        }
    }

    /// Puts the question, and says so when nobody answers in time.
    async fn ask(self: Arc<Self>, chat: Chat, who: String, proposal: Proposal) {
        let text = format!("{} Type 'yes' to confirm ({} s)", proposal.question, CONFIRM_WITHIN.as_secs());
        let (number, replaced) = self.pending.ask(who.clone(), chat.place.key, proposal);
        let replaced = replaced.map(|old| format!("{} (Instead of: {})", text, old.question));
        chat.say(replaced.unwrap_or(text)).await;
        // Weak: a question that waits does not keep a connector from closing.
        let (weak, user, place) = (chat.outgoing.downgrade(), Arc::clone(&chat.actor.user), Arc::clone(&chat.place));
        tokio::spawn(async move {
            tokio::time::sleep(CONFIRM_WITHIN).await;
            if let (Some(question), Some(outgoing)) = (self.pending.expire(&who, number), weak.upgrade()) {
                let seconds = CONFIRM_WITHIN.as_secs();
                let text = format!("{} No answer within {seconds} s: left as it is.", question.question);
                Chat::of(user, place, outgoing).say(text).await;
            }
        });
    }
}

fn is_over(turn: &mut oneshot::Receiver<()>) -> bool {
    turn.try_recv() == Err(oneshot::error::TryRecvError::Closed)
}

/// The conversation that a line came from.
struct Chat {
    actor: Actor,
    place: Arc<Place>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Chat {
    fn of(user: Arc<User>, place: Arc<Place>, outgoing: mpsc::Sender<Outgoing>) -> Self {
        let actor = Actor { user, via: "chat", place: format!("{}/{}", place.connector, place.channel) };
        Self { actor, place, outgoing }
    }

    async fn say(&self, text: String) {
        let (place, user) = (Arc::clone(&self.place), Arc::clone(&self.actor.user));
        // Fails only when the connector is closed, and nobody is there to read.
        let _ = self.outgoing.send(Outgoing { place, user, text: Some(text) }).await;
    }

    async fn refuse(&self, refusal: &Refusal) {
        if !matches!(refusal, Refusal::Denied { quietly: true, .. }) {
            self.say(refusal.to_string()).await;
        }
    }
}
