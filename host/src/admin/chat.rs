//! The admin in chat: lines in, answers out, and questions that wait for a yes in between.
//!
//! The lines of one person are taken in their order: a `yes` right behind the command that it is meant for waits until
//! the question was put. Once an action is under way, their next line is taken.

use super::{
    Action, Actor, Admin, Proposal, Refusal, Via,
    build_change::{Build, BuildChange},
    grammar,
    grammar::ParsedLine,
    permission,
};
use crate::{
    event::{Outgoing, Place, User},
    router::AdminLine,
    slot::lifecycle::{LifecycleEvent, LifecycleKind, left},
};
use rosey_core::state::{GenerationId, StateEvent};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, broadcast::Receiver, mpsc, oneshot};

/// Lines that may wait.
pub const QUEUE: usize = 64;

/// Lines taken at a time, those included that wait for another of the same person.
const AT_ONCE: usize = 256;

/// How long a question waits for its answer: long enough to read it and ask a colleague.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

/// When a look at a new build takes longer than this, that is said: people begin to wonder.
const SOON: Duration = Duration::from_secs(1);

/// A question that waits.
pub(super) type Question = Proposal;

/// Held by the line whose turn it is; the next line of the same person follows when it is dropped.
type Turn = oneshot::Sender<()>;

impl Admin {
    /// Takes lines until all senders are gone.
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
            ParsedLine::Yes => match self.pending.take(&who, chat.place.key) {
                Some(question) => {
                    chat.say(question.progress()).await;
                    drop(turn);
                    self.confirmed(&chat, question).await;
                }
                None if self.pending.came_late(&who, chat.place.key) => {
                    chat.say("Too late: the question is over, and nothing was done. Ask again.".to_owned()).await;
                }
                None => {}
            },
            ParsedLine::No => {
                if let Some(question) = self.pending.take(&who, chat.place.key) {
                    self.drop_question(&chat.actor, &question, "answered no").await;
                    chat.say(format!("{} {}: left as it is.", question.action.word(), question.plugin)).await;
                }
            }
            ParsedLine::Change(action, plugin) => self.change(chat, who, action, &plugin).await,
            ParsedLine::Query(query, plugin) => match self.query(&chat.actor, query, plugin.as_deref()).await {
                Ok(answer) => chat.say(answer.text).await,
                Err(refusal) => chat.refuse(&refusal, "").await,
            },
            ParsedLine::Unclear(text) => match self.unclear(&chat.actor, text).await {
                Refusal::Unclear(text) => chat.say(text).await,
                refusal => chat.refuse(&refusal, "").await,
            },
        }
    }

    /// Does what was confirmed, and tells later when it did not last.
    async fn confirmed(self: &Arc<Self>, chat: &Chat, question: Proposal) {
        let (action, plugin) = (question.action, question.plugin.clone());
        let followed = self.plugins.follow();
        match self.carry_out(&chat.actor, question).await {
            Ok(completed) => {
                chat.say(completed.text).await;
                let (build, generation) = (completed.ends.to, completed.generation);
                if let (Some(build), Some(generation), true) = (build, generation, action.is_reload()) {
                    let new = New { build, generation };
                    tokio::spawn(Arc::clone(self).watch_bake(chat.weak(), followed, plugin, new));
                }
            }
            Err(refusal) => chat.refuse(&refusal, "").await,
        }
    }

    /// Tells who reloaded when the slot goes back by itself.
    async fn watch_bake(
        self: Arc<Self>,
        chat: WeakChat,
        mut followed: Receiver<LifecycleEvent>,
        plugin: String,
        new: New,
    ) {
        let mut serves = false;
        // An error is having missed something, or the end of the host.
        while let Ok(LifecycleEvent { plugin: other, kind, .. }) = followed.recv().await {
            let LifecycleKind::State(event) = kind else { continue };
            match event {
                _ if *other != *plugin => {}
                StateEvent::Active { generation, .. } if generation == new.generation => serves = true,
                // What ended before it was active was the bake of the build before.
                _ if !serves => {}
                StateEvent::RolledBack { from, to: back, why, state, .. } if from == new.build.artifact => {
                    let (Some(chat), Ok(view)) = (chat.upgrade(), self.look(&plugin).await) else { return };
                    let back = BuildChange { from: Some(new.build), to: Some(Build::of(&view, back)) };
                    let text =
                        format!("{} by itself, for {why}{}. See !admin logs {plugin}", back.of(&plugin), left(state));
                    return chat.say(text).await;
                }
                _ => return,
            }
        }
    }

    /// Puts a question, in place of the one that may still wait: whatever comes of the new one, the old one is over.
    async fn change(self: Arc<Self>, chat: Chat, who: String, action: Action, plugin: &str) {
        let old = self.pending.withdraw(&who);
        if let Some(old) = &old {
            self.drop_question(&chat.actor, old, "another command came instead of an answer").await;
        }
        let proposal = {
            let proposing = self.propose(&chat.actor, action, plugin);
            tokio::pin!(proposing);
            tokio::select! {
                proposal = &mut proposing => proposal,
                () = tokio::time::sleep(SOON), if action.is_reload() => {
                    chat.say(format!("Looking at the new build of {plugin} …")).await;
                    proposing.await
                }
            }
        };
        match (proposal, old) {
            (Ok(proposal), old) => self.ask(chat, who, proposal, old).await,
            (Err(refusal), None) => chat.refuse(&refusal, "").await,
            (Err(refusal), Some(old)) => {
                chat.refuse(&refusal, &format!(" (Withdrawn: {} Ask again if you want that.)", old.question)).await;
            }
        }
    }

    /// Puts the question, and says so when no answer comes in time.
    async fn ask(self: Arc<Self>, chat: Chat, who: String, proposal: Proposal, old: Option<Proposal>) {
        let mut text = format!("{} Type 'yes' to confirm ({} s)", proposal.question, CONFIRM_WITHIN.as_secs());
        if let Some(old) = old.filter(|old| old.question != proposal.question) {
            text += &format!(" (Instead of: {})", old.question);
        }
        let (number, _) = self.pending.ask(who.clone(), chat.place.key, proposal);
        chat.say(text).await;
        // Weak: a question that waits does not keep a connector from closing.
        let (weak, actor) = (chat.weak(), chat.actor.clone());
        tokio::spawn(async move {
            tokio::time::sleep(CONFIRM_WITHIN).await;
            let Some(question) = self.pending.expire(&who, number) else { return };
            let seconds = CONFIRM_WITHIN.as_secs();
            if let Some(chat) = weak.upgrade() {
                chat.say(format!("{} No answer within {seconds} s: left as it is.", question.question)).await;
            }
            self.drop_question(&actor, &question, &format!("no answer within {seconds} s")).await;
        });
    }
}

/// A build that serves since a reload.
struct New {
    build: Build,
    generation: GenerationId,
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
        let actor = Actor { user, via: Via::Chat, place: format!("{}/{}", place.connector, place.channel) };
        Self { actor, place, outgoing }
    }

    async fn say(&self, text: String) {
        let (place, user) = (Arc::clone(&self.place), Arc::clone(&self.actor.user));
        // Fails only when the connector is closed.
        let _ = self.outgoing.send(Outgoing { place, user, text: Some(text) }).await;
    }

    async fn refuse(&self, refusal: &Refusal, more: &str) {
        if !matches!(refusal, Refusal::Denied { quietly: true, .. }) {
            self.say(format!("{refusal}{more}")).await;
        }
    }

    fn weak(&self) -> WeakChat {
        let (user, place) = (Arc::clone(&self.actor.user), Arc::clone(&self.place));
        WeakChat { user, place, outgoing: self.outgoing.downgrade() }
    }
}

/// A conversation in which something may be said later. It does not keep the connector from closing.
struct WeakChat {
    user: Arc<User>,
    place: Arc<Place>,
    outgoing: mpsc::WeakSender<Outgoing>,
}

impl WeakChat {
    fn upgrade(&self) -> Option<Chat> {
        let outgoing = self.outgoing.upgrade()?;
        Some(Chat::of(Arc::clone(&self.user), Arc::clone(&self.place), outgoing))
    }
}
