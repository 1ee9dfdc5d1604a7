//! What an operator may do, from wherever they say it. Every privileged action passes through here.
//!
//! May import `router`, `plugin`, `event`, `store`, `metrics` and `report`; knows nothing of HTTP.

mod confirm;
mod grammar;

use crate::{
    event::{Identity, Outgoing, Place, User},
    plugin::{Candidate, PluginError, Plugins, slot::message::View},
    report,
    router::AdminLine,
};
use confirm::Pending;
use grammar::{Action, Request};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Lines that may wait. Each is taken at once; what takes long runs on its own.
pub const QUEUE: usize = 64;

/// How long a question waits for its answer (PRD).
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub struct AdminConfig {
    /// Names of those who may.
    pub admins: HashSet<String>,
    /// Where the dashboard is, for `!admin metrics`.
    pub dashboard: Option<String>,
}

/// The admin room.
pub struct Admin {
    config: AdminConfig,
    plugins: Arc<Plugins>,
    pending: Pending<Question>,
}

/// An action that waits for its yes.
struct Question {
    action: Action,
    plugin: String,
    candidate: Option<Candidate>,
    from: Option<String>,
}

impl Admin {
    /// The admin of these plugins.
    pub fn new(config: AdminConfig, plugins: Arc<Plugins>) -> Arc<Self> {
        Arc::new(Self { config, plugins, pending: Pending::default() })
    }

    /// Takes lines until nobody can send any more, each in a task of its own.
    pub async fn run(self: Arc<Self>, mut lines: mpsc::Receiver<AdminLine>) {
        while let Some(line) = lines.recv().await {
            tokio::spawn(Arc::clone(&self).take(line));
        }
    }

    async fn take(self: Arc<Self>, line: AdminLine) {
        let chat = Chat { user: line.user, place: line.place, outgoing: line.outgoing };
        match grammar::parse(&line.line) {
            Request::Yes => {
                if let Some(question) = self.pending.take(&chat.user, &chat.place, Instant::now()) {
                    self.act(question, &chat).await;
                }
            }
            Request::No => {
                if let Some(question) = self.pending.take(&chat.user, &chat.place, Instant::now()) {
                    chat.say(format!("{} {}: left as it is.", question.action.word(), question.plugin)).await;
                }
            }
            _ if !self.may(&chat.user) => chat.say("Admin permission required.".to_owned()).await,
            Request::Unclear(text) => chat.say(text).await,
            Request::Help => chat.say(grammar::HELP.to_owned()).await,
            Request::Metrics => chat.say(self.metrics()).await,
            Request::List => chat.say(self.list().await).await,
            Request::Status(None) => chat.say(self.list().await).await,
            Request::Status(Some(plugin)) => match self.plugins.view(&plugin).await {
                Ok(view) => chat.say(status(&view)).await,
                Err(error) => chat.fail("status", &plugin, &error).await,
            },
            Request::Change(action, plugin) => self.propose(action, plugin, &chat).await,
        }
    }

    fn may(&self, user: &User) -> bool {
        let name = match &user.identity {
            Identity::Unverified => return false,
            Identity::Console => &user.name,
            Identity::System(name) | Identity::Account(name) => name,
        };
        self.config.admins.contains(name)
    }

    /// Checks that the action can be done, and asks whether it shall.
    async fn propose(&self, action: Action, plugin: String, chat: &Chat) {
        if plugin == "admin" {
            return chat.say("admin is part of the host: restart Rosey to update it.".to_owned()).await;
        }
        let view = match self.plugins.view(&plugin).await {
            Ok(view) => view,
            Err(error) => return chat.fail(action.word(), &plugin, &error).await,
        };
        let from = view.active().map(|active| active.version.clone());
        let mut candidate = None;
        let question = match action {
            Action::Start => {
                return match self.plugins.start(&plugin).await {
                    Ok(()) => chat.say(format!("{plugin} is being started.")).await,
                    Err(error) => chat.fail("start", &plugin, &error).await,
                };
            }
            Action::Reload => match self.plugins.inspect(&plugin).await {
                Ok(seen) => {
                    let question = match &from {
                        Some(from) => format!("Reload {plugin} {from} → {}?", seen.manifest.version),
                        None => format!("Load {plugin} {}?", seen.manifest.version),
                    };
                    candidate = Some(seen);
                    question
                }
                Err(error) => return chat.fail("reload", &plugin, &error).await,
            },
            Action::Rollback => format!("Roll {plugin} back from {}?", from.as_deref().unwrap_or("nothing")),
            Action::Restart => format!("Restart {plugin}?"),
            Action::Stop => format!("Stop {plugin}?"),
        };
        let question_text = format!("{question} Type 'yes' to confirm ({} s)", CONFIRM_WITHIN.as_secs());
        let question = Question { action, plugin, candidate, from };
        self.pending.ask(&chat.user, &chat.place, Instant::now() + CONFIRM_WITHIN, question);
        chat.say(question_text).await;
    }

    async fn act(&self, question: Question, chat: &Chat) {
        let Question { action, plugin, candidate, from } = question;
        let version = candidate.as_ref().map(|seen| seen.manifest.version.clone());
        let result = match (action, candidate) {
            (Action::Reload, Some(candidate)) => self.plugins.reload(&plugin, candidate.artifact, false).await,
            (Action::Rollback, _) => self.plugins.rollback(&plugin).await,
            (Action::Restart, _) => self.plugins.restart(&plugin).await,
            (Action::Stop, _) => self.plugins.stop(&plugin).await,
            (Action::Start | Action::Reload, _) => return,
        };
        match result {
            Ok(done) => {
                let steps: Vec<_> = done.steps.iter().map(|(step, took)| format!("{step} {}", millis(*took))).collect();
                let steps = if steps.is_empty() { String::new() } else { format!(" ({})", steps.join(", ")) };
                let from = from.unwrap_or_else(|| "nothing".to_owned());
                let text = match (action, done.generation) {
                    (Action::Reload, Some(generation)) => {
                        let version = version.unwrap_or_default();
                        format!("{plugin} {from} → {version}: generation {generation} is active{steps}.")
                    }
                    (Action::Stop, _) => format!("{plugin} is stopped."),
                    (_, Some(generation)) => {
                        format!("{plugin}: {} done, generation {generation} is active{steps}.", action.word())
                    }
                    (_, None) => format!("{plugin}: {} done.", action.word()),
                };
                chat.say(text).await;
            }
            Err(error) => chat.fail(action.word(), &plugin, &error).await,
        }
    }

    fn metrics(&self) -> String {
        match &self.config.dashboard {
            Some(url) => format!("Dashboard: {url}"),
            None => "The dashboard is off; set dashboard.enabled in the configuration.".to_owned(),
        }
    }

    async fn list(&self) -> String {
        let views = self.plugins.views().await;
        let line = |view: &View| match view.active() {
            Some(active) => format!("{} {} {}", view.plugin, active.version, view.state),
            None => format!("{} {}", view.plugin, view.state),
        };
        match views.is_empty() {
            true => "No plugins are configured.".to_owned(),
            false => views.iter().map(line).collect::<Vec<_>>().join(" · "),
        }
    }
}

/// One plugin in a chat line.
fn status(view: &View) -> String {
    let mut line = format!("{}: {}", view.plugin, view.state);
    if let Some(explanation) = &view.explanation {
        line += &format!(" ({explanation})");
    }
    if let Some(active) = view.active() {
        let uptime = active.since.elapsed().unwrap_or_default().as_secs();
        line += &format!(
            ", version {}, generation {}, artifact {}, pid {}, up {uptime} s",
            active.version,
            active.number,
            active.artifact.short(),
            active.pid
        );
    }
    line + &format!(", {} events, {} crashes", view.ledger.accepted, view.crash_count)
}

fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

/// The conversation a request came from.
struct Chat {
    user: Arc<User>,
    place: Arc<Place>,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Chat {
    async fn say(&self, text: String) {
        let answer = Outgoing { place: Arc::clone(&self.place), user: Arc::clone(&self.user), text: Some(text) };
        // Fails only when the connector is closed, and nobody is there to read.
        let _ = self.outgoing.send(answer).await;
    }

    async fn fail(&self, what: &str, plugin: &str, error: &PluginError) {
        tracing::warn!(plugin, user = %self.user.name, "{what} refused: {}", report::chain(error));
        let text = match error {
            PluginError::Unknown { .. } => format!("Not done: {error}."),
            _ => format!("{what} {plugin} refused: {error}."),
        };
        self.say(text).await;
    }
}
