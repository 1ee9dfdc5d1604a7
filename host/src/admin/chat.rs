//! The admin in chat: commands, answers, and questions that wait for a yes.
//!
//! The admin takes the lines of one person in order: a `yes` right behind its command waits until the question was
//! asked. Once an action is under way, the admin takes the person's next line.

use super::{
    Action, Actor, Admin, Proposal, Refusal, Via,
    build_change::{Build, BuildChange},
    confirm::{Asked, CONFIRM_WITHIN, Question, TOO_LATE, Unasked},
    grammar,
    grammar::ParsedLine,
    permission,
    series::{Series, SeriesProposal},
    show::LINES,
};
use crate::{
    event::{Outgoing, Place, User},
    router::AdminLine,
    slot::lifecycle::{LifecycleEvent, LifecycleKind, left},
};
use rosey_core::state::{GenerationId, StateEvent};
use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, broadcast::Receiver, mpsc, oneshot};

/// Lines that may wait.
pub const QUEUE: usize = 64;

/// Lines that the admin handles at a time, including those that wait for an earlier line of the same person.
const AT_ONCE: usize = 256;

/// An inspection that takes longer is announced, because people begin to wonder.
const SOON: Duration = Duration::from_secs(1);

/// Held while a line is handled. The next line of the same person follows when it is dropped.
type Turn = oneshot::Sender<()>;

impl Admin {
    /// Handles lines until all senders are gone.
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
                    // Nothing is ever sent here; the sender is only dropped.
                    let _ = before.await;
                }
                admin.take(line, turn).await;
                drop(room);
            });
        }
    }

    async fn take(self: Arc<Self>, line: AdminLine, turn: Turn) {
        let chat = Chat::of(line.user, line.place, line.outgoing);
        match grammar::parse(&line.line) {
            ParsedLine::Yes => match self.confirm(&chat.asked()) {
                Ok(Question::Change(question)) => {
                    chat.say(question.progress()).await;
                    drop(turn);
                    self.confirmed(&chat, *question).await;
                }
                Ok(Question::Each(question)) => {
                    chat.say(question.progress().to_owned()).await;
                    drop(turn);
                    self.each_confirmed(&chat, question).await;
                }
                Err(Unasked::TooLate) => chat.say(TOO_LATE.to_owned()).await,
                Ok(Question::Store(_)) | Err(Unasked::Unknown) => {}
            },
            ParsedLine::No => {
                let what = match self.decline(&chat.actor, &chat.asked(), "answered no").await {
                    Some(Question::Change(question)) => format!("{} {}", question.action.word(), question.plugin),
                    Some(Question::Each(question)) => question.series.words().to_owned(),
                    Some(Question::Store(_)) | None => return,
                };
                chat.say(format!("{what}: nothing was done.")).await;
            }
            ParsedLine::Each(series) => self.each(chat, series).await,
            ParsedLine::Change(action, plugin) => self.change(chat, action, &plugin, None).await,
            ParsedLine::LoadFrom(plugin, library) => {
                self.change(chat, Action::LoadFrom, &plugin, Some(library)).await;
            }
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

    /// Carries out a confirmed action, and later says if its result did not last.
    async fn confirmed(self: &Arc<Self>, chat: &Chat, question: Proposal) {
        let (action, plugin) = (question.action, question.plugin.clone());
        let followed = self.plugins.follow();
        match self.carry_out(&chat.actor, question).await {
            Ok(completed) => {
                chat.say(completed.text).await;
                let (build, generation) = (completed.builds.to, completed.generation);
                if let (Some(build), Some(generation), true) = (build, generation, action.is_reload()) {
                    let new = New { build, generation };
                    tokio::spawn(Arc::clone(self).watch_bake(chat.weak(), followed, plugin, new));
                }
            }
            Err(refusal) => chat.refuse(&refusal, "").await,
        }
    }

    /// Tells the person who reloaded when the slot goes back by itself.
    async fn watch_bake(
        self: Arc<Self>,
        chat: WeakChat,
        mut followed: Receiver<LifecycleEvent>,
        plugin: String,
        new: New,
    ) {
        let mut serves = false;
        // An error means that events were missed, or that the host ends.
        while let Ok(LifecycleEvent { plugin: other, kind, .. }) = followed.recv().await {
            let LifecycleKind::State(event) = kind else { continue };
            match event {
                _ if *other != *plugin => {}
                StateEvent::Active { generation, .. } if generation == new.generation => serves = true,
                // A bake that ended before this generation was active belongs to the build before.
                _ if !serves => {}
                StateEvent::RolledBack { from, to: back, why, state, store, .. } if from == new.build.artifact => {
                    let (Some(chat), Ok(view)) = (chat.upgrade(), self.view_of(&plugin).await) else { return };
                    let back = BuildChange { from: Some(new.build), to: Some(Build::of(&view, back)) };
                    let text = format!(
                        "{} by itself, because {why}{}. See !admin logs {plugin}",
                        back.of(&plugin),
                        left(state, store)
                    );
                    return chat.say(text).await;
                }
                _ => return,
            }
        }
    }

    /// Asks a question in place of the person's last one. That one is withdrawn, also if the new command is refused.
    async fn change(self: Arc<Self>, chat: Chat, action: Action, plugin: &str, library: Option<PathBuf>) {
        let old = self.withdraw(&chat.actor, &chat.asked().who).await.map(|old| old.text().to_owned());
        let proposal = {
            let proposing = self.propose_with(&chat.actor, action, plugin, library);
            tokio::pin!(proposing);
            tokio::select! {
                proposal = &mut proposing => proposal,
                () = tokio::time::sleep(SOON), if action.inspects() => {
                    chat.say(format!("Inspecting the new build of {plugin} …")).await;
                    proposing.await
                }
            }
        };
        self.put_or_refuse(&chat, proposal.map(|proposal| Question::Change(Box::new(proposal))), old).await;
    }

    /// Asks about a change of several plugins, in place of the person's last question.
    async fn each(self: Arc<Self>, chat: Chat, series: Series) {
        let old = self.withdraw(&chat.actor, &chat.asked().who).await.map(|old| old.text().to_owned());
        let proposal = self.propose_series(&chat.actor, series).await;
        self.put_or_refuse(&chat, proposal.map(Question::Each), old).await;
    }

    /// Carries out a confirmed change of several plugins, and says what became of each.
    async fn each_confirmed(self: &Arc<Self>, chat: &Chat, question: SeriesProposal) {
        // The last text has all results.
        let (results, _) = mpsc::channel(1);
        match self.carry_out_series(&chat.actor, question, results).await {
            Ok(done) => chat.say(bounded_lines(&done.text())).await,
            Err(Refusal::Series(done)) => chat.say(bounded_lines(&done.text())).await,
            Err(refusal) => chat.refuse(&refusal, "").await,
        }
    }

    async fn put_or_refuse(&self, chat: &Chat, question: Result<Question, Refusal>, old: Option<String>) {
        let asked = match question {
            Ok(question) => self.put(chat, question, old.as_deref()).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = asked {
            let withdrawn = old.map(|old| format!(" (Withdrawn: {old} Ask again if you want that.)"));
            chat.refuse(&refusal, &withdrawn.unwrap_or_default()).await;
        }
    }

    /// Asks the question, and says so when no answer comes in time.
    async fn put(&self, chat: &Chat, asks: Question, old: Option<&str>) -> Result<(), Refusal> {
        let question = asks.text().to_owned();
        let mut text = format!("{question} Type 'yes' to confirm ({} s)", CONFIRM_WITHIN.as_secs());
        if let Some(old) = old.filter(|old| *old != question) {
            text += &format!(" (Instead of: {old})");
        }
        let expired = self.ask(&chat.actor, chat.asked(), asks).await?;
        chat.say(text).await;
        // Weak, so that a waiting question does not keep a connector from closing.
        let weak = chat.weak();
        tokio::spawn(async move {
            if let (Ok(()), Some(chat)) = (expired.await, weak.upgrade()) {
                let seconds = CONFIRM_WITHIN.as_secs();
                chat.say(format!("{question} No answer within {seconds} s, so nothing was done.")).await;
            }
        });
        Ok(())
    }
}

/// The build that serves since a reload.
struct New {
    build: Build,
    generation: GenerationId,
}

/// The first lines of a result, as many as chat shows.
fn bounded_lines(text: &str) -> String {
    let (shown, left) = (text.lines().take(LINES), text.lines().count().saturating_sub(LINES));
    let more = if left > 0 { format!(" · and {left} more; the audit has all") } else { String::new() };
    shown.collect::<Vec<_>>().join(" · ") + &more
}

fn is_over(turn: &mut oneshot::Receiver<()>) -> bool {
    turn.try_recv() == Err(oneshot::error::TryRecvError::Closed)
}

/// The conversation of a line.
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

    /// Whose answer counts, and where.
    fn asked(&self) -> Asked {
        Asked { who: permission::key(&self.actor.user), place: self.actor.place.clone() }
    }

    async fn say(&self, text: String) {
        let (place, user) = (Arc::clone(&self.place), Arc::clone(&self.actor.user));
        // Fails only when the connector is closed.
        let _ = self.outgoing.send(Outgoing::answer(place, user, text)).await;
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

/// A conversation for later messages. It does not keep the connector from closing.
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
