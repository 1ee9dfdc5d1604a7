//! Changing a plugin: proposed, confirmed by somebody, carried out between two records of the audit.

use super::{
    Action, Actor, Admin,
    audit::{Audit, AuditError, AuditRecord, Stage},
    limit::Cooldown,
    permission::Role,
};
use crate::plugin::{
    Candidate, PluginError, Plugins,
    artifact::Hash,
    clean, dead_letter,
    slot::message::View,
    slot::state::{ChangeError, Done},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;

/// Bytes of a dead letter's line that are shown.
const LINE: usize = 200;

/// Between two looks at a plugin that is coming up.
const LOOK: Duration = Duration::from_millis(20);

/// An action that was found to make sense, and waits for a yes.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// What a yes would do.
    pub question: String,
    /// What is to be done.
    pub action: Action,
    /// To which plugin.
    pub plugin: String,
    /// The version that runs.
    pub from: Option<String>,
    /// The version that will run.
    pub to: Option<String>,
    /// The build that was looked at; that very one is loaded.
    candidate: Option<Candidate>,
}

impl Proposal {
    /// What is said when it begins: `Reloading dice-roller 1.0.0 → 1.1.0 …`
    pub fn progress(&self) -> String {
        format!("{} {} …", self.action.verbs().1, self.subject())
    }

    fn subject(&self) -> String {
        subject(&self.plugin, self.from.as_deref(), self.to.as_deref())
    }
}

fn subject(plugin: &str, from: Option<&str>, to: Option<&str>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("{plugin} {from} → {to}"),
        (Some(only), None) | (None, Some(only)) => format!("{plugin} {only}"),
        (None, None) => plugin.to_owned(),
    }
}

/// An action that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// What came of it.
    pub text: String,
}

/// Why something was not done. Each text is for whoever asked, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// They may not.
    #[error("Admin permission required{}", role_too_low(*.needs, *.has))]
    Denied {
        /// What it takes.
        needs: Role,
        /// What they have.
        has: Option<Role>,
        /// Whether so many were denied already that this one is not worth an answer in chat.
        quietly: bool,
    },
    /// Too many commands.
    #[error("That was one command too many within a minute; try again in {} s.", seconds(*.wait))]
    TooOften {
        /// How long to wait.
        wait: Duration,
    },
    /// Too soon after another change.
    #[error("{plugin} was changed a moment ago; try again in {} s.", seconds(*.wait))]
    Cooling {
        /// Which.
        plugin: String,
        /// How long to wait.
        wait: Duration,
    },
    /// It has to be said another way.
    #[error("{0}")]
    Unclear(String),
    /// `admin` is no plugin.
    #[error("admin is part of the host: restart Rosey to update it.")]
    PartOfHost,
    /// There is no such plugin.
    #[error("Not done: {}", sentence(.0))]
    Unknown(#[source] Box<PluginError>),
    /// Nothing to do.
    #[error("{plugin} is {state} already.")]
    Already {
        /// Which.
        plugin: String,
        /// How it is.
        state: &'static str,
    },
    /// That build runs.
    #[error(
        "{plugin} runs that very build already ({version}, artifact {artifact}). Build a new one, or add force to \
         replace its process all the same."
    )]
    SameBuild {
        /// Which.
        plugin: String,
        /// Its version.
        version: String,
        /// Its artifact.
        artifact: String,
    },
    /// That build was given up.
    #[error("{plugin} {version} (artifact {artifact}) was rolled back from. Build a new one, or add force.")]
    Condemned {
        /// Which.
        plugin: String,
        /// Its version.
        version: String,
        /// Its artifact.
        artifact: String,
    },
    /// The plugin, or what was built, says no.
    #[error("{what} {plugin} refused: {}{}", sentence(.source), .goes_on.as_ref().map(|version| format!(" {version} goes on.")).unwrap_or_default())]
    Failed {
        /// What was to be done.
        what: &'static str,
        /// To which plugin.
        plugin: String,
        /// Why not.
        source: Box<PluginError>,
        /// The version that serves all the same.
        goes_on: Option<String>,
    },
    /// It did not come up.
    #[error("{plugin} did not come up: {}", sentence(.why))]
    NotUp {
        /// Which.
        plugin: String,
        /// Why not.
        why: String,
    },
    /// It cannot be recorded, so it was not done.
    #[error("Nothing was done, for it cannot be recorded: {}", sentence(.0))]
    Audit(#[from] AuditError),
    /// The host is stopping.
    #[error("Rosey is stopping.")]
    Stopping,
}

impl Refusal {
    pub(super) fn failed(what: &'static str, plugin: &str, source: PluginError, goes_on: Option<String>) -> Self {
        Self::Failed { what, plugin: plugin.to_owned(), source: Box::new(source), goes_on }
    }

    /// Whether the same may be done a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::TooOften { .. } | Self::Cooling { .. } | Self::Stopping => true,
            Self::Failed { source, .. } => matches!(**source, PluginError::Change(ChangeError::Busy(_))),
            _ => false,
        }
    }
}

fn role_too_low(needs: Role, has: Option<Role>) -> String {
    has.map_or_else(|| ".".to_owned(), |has| format!(": that needs the role {needs}, and yours is {has}."))
}

/// With a full stop, unless it has one.
fn sentence(text: &impl ToString) -> String {
    let text = text.to_string();
    if text.ends_with(['.', '?', '!']) { text } else { text + "." }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Admin {
    /// Checks permission, rate and sense, inspects the new build; what comes out says what a yes would do.
    ///
    /// # Errors
    /// [`Refusal`], which is recorded.
    pub async fn propose(&self, actor: &Actor, action: Action, plugin: &str) -> Result<Proposal, Refusal> {
        self.allow(actor, action.word(), Some(plugin), action.needs()).await?;
        self.in_time(actor, &self.changes)?;
        let proposal = self.make_sense(action, plugin).await;
        if let Err(refusal) = &proposal {
            let record = AuditRecord::new(Stage::Refused, actor, action.word(), Some(plugin));
            self.note(record.ended(false, &refusal.to_string(), None)).await;
        }
        proposal
    }

    async fn make_sense(&self, action: Action, plugin: &str) -> Result<Proposal, Refusal> {
        let view = self.look(plugin).await?;
        if action.cools() {
            self.cooled(plugin)?;
        }
        let active = view.active();
        let from = active.map(|active| active.version.clone());
        let plugin = plugin.to_owned();
        let already = |state| Err(Refusal::Already { plugin: plugin.clone(), state });
        let fail = |source| Refusal::failed(action.word(), &plugin, source, from.clone());
        let (mut candidate, mut extra) = (None, String::new());
        let to = match action {
            Action::Start if active.is_some() => return already("running"),
            Action::Stop if view.state == "stopped" => return already("stopped"),
            Action::Reload | Action::ForceReload => {
                let seen = self.plugins.inspect(&plugin).await.map_err(fail)?;
                let version = seen.manifest.version.clone();
                if action == Action::Reload {
                    is_new(&view, &plugin, &version, seen.artifact)?;
                }
                candidate = Some(seen);
                Some(version)
            }
            Action::Rollback => Some(earlier(&view).ok_or_else(|| fail(ChangeError::NoEarlier.into()))?),
            Action::Replay(id) => {
                let found = dead_letter::find(self.plugins.database(), &plugin, id).await;
                let letter = found.map_err(|error| fail(error.into()))?;
                let letter = letter.ok_or_else(|| fail(PluginError::NoLetter { plugin: plugin.clone(), id }))?;
                extra = format!(": {} by {}", clean(&letter.line, LINE), letter.user);
                None
            }
            Action::Start | Action::Stop | Action::Restart => None,
        };
        let subject = match action {
            Action::Replay(id) => format!("dead letter {id} of {plugin}"),
            _ => subject(&plugin, from.as_deref(), to.as_deref()),
        };
        let question = format!("{} {subject}{extra}?", action.verbs().0);
        Ok(Proposal { question, action, plugin, from, to, candidate })
    }

    /// Does it, audited before and after. Cancelled, it is done all the same.
    ///
    /// # Errors
    /// [`Refusal`]; what ran before goes on.
    pub async fn carry_out(&self, actor: &Actor, proposal: Proposal) -> Result<Completed, Refusal> {
        let action = proposal.action;
        self.allow(actor, action.word(), Some(&proposal.plugin), action.needs()).await?;
        if action.cools() {
            self.cooled(&proposal.plugin)?;
        }
        let under_way = Arc::clone(&self.under_way).acquire_owned().await.map_err(|_| Refusal::Stopping)?;
        let work = Work {
            plugins: Arc::clone(&self.plugins),
            audit: self.audit.clone(),
            cooldown: Arc::clone(&self.cooldown),
            proposal,
            _under_way: under_way,
        };
        // In a task of its own: whoever asked may go, and the end must be recorded all the same.
        tokio::spawn(work.record(actor.clone())).await.unwrap_or(Err(Refusal::Stopping))
    }

    /// One plugin, or why there is none.
    pub(super) async fn look(&self, plugin: &str) -> Result<Box<View>, Refusal> {
        if plugin == "admin" {
            return Err(Refusal::PartOfHost);
        }
        self.plugins.view(plugin).await.map_err(|error| match error {
            PluginError::Gone(_) => Refusal::Stopping,
            error => Refusal::Unknown(Box::new(error)),
        })
    }

    fn cooled(&self, plugin: &str) -> Result<(), Refusal> {
        let checked = self.cooldown.check(plugin, Instant::now());
        checked.map_err(|wait| Refusal::Cooling { plugin: plugin.to_owned(), wait })
    }
}

/// Refuses a build that runs already, or was rolled back from.
fn is_new(view: &View, plugin: &str, version: &str, artifact: Hash) -> Result<(), Refusal> {
    let (plugin, version) = (plugin.to_owned(), version.to_owned());
    if view.active().is_some_and(|active| active.artifact == artifact) {
        return Err(Refusal::SameBuild { plugin, version, artifact: artifact.short() });
    }
    if view.memory.condemned.contains(&artifact) {
        return Err(Refusal::Condemned { plugin, version, artifact: artifact.short() });
    }
    Ok(())
}

/// Where a rollback goes, as a version if a process of it is still there, else as an artifact.
fn earlier(view: &View) -> Option<String> {
    let active = view.active().map(|active| active.artifact).or(view.memory.active);
    let parked = view.generations.iter().find(|old| old.role == "parked");
    let known = parked.map(|old| old.version.clone());
    known.or_else(|| view.memory.history.iter().rev().find(|hash| Some(**hash) != active).map(|hash| hash.short()))
}

/// One action under way.
struct Work {
    plugins: Arc<Plugins>,
    audit: Audit,
    cooldown: Arc<Cooldown>,
    proposal: Proposal,
    _under_way: OwnedSemaphorePermit,
}

impl Work {
    async fn record(self, actor: Actor) -> Result<Completed, Refusal> {
        let proposal = &self.proposal;
        let mut before = AuditRecord::new(Stage::Before, &actor, proposal.action.word(), Some(&proposal.plugin));
        (before.from, before.to) = (proposal.from.clone(), proposal.to.clone());
        let before = match self.audit.write(before).await {
            Ok(before) => before,
            Err(error) => {
                tracing::error!(plugin = %proposal.plugin, "{} not done: {error}", proposal.action.word());
                return Err(error.into());
            }
        };
        self.cooldown.mark(&proposal.plugin, Instant::now());
        let began = Instant::now();
        let result = self.perform().await;
        self.cooldown.mark(&proposal.plugin, Instant::now());
        let (ok, text) = match &result {
            Ok(completed) => (true, completed.text.clone()),
            Err(refusal) => (false, refusal.to_string()),
        };
        let user = &before.user;
        tracing::info!(plugin = %proposal.plugin, %user, via = actor.via, "{}: {text}", proposal.action.word());
        if let Err(error) = self.audit.write(before.after(ok, &text, Some(began.elapsed()))).await {
            tracing::error!(plugin = %proposal.plugin, "its end cannot be recorded: {error}");
        }
        result
    }

    async fn perform(&self) -> Result<Completed, Refusal> {
        let Proposal { action, plugin, candidate, .. } = &self.proposal;
        let done = match (action, candidate) {
            (Action::Start, _) => return self.start().await,
            (Action::Replay(id), _) => {
                let letter = self.plugins.replay(plugin, *id).await.map_err(|error| self.failed(error))?;
                let line = clean(&letter.line, LINE);
                let text = format!("{plugin} has dead letter {id} again: {line}. Nobody is sent its answer.");
                return Ok(Completed { text });
            }
            (Action::Reload | Action::ForceReload, Some(candidate)) => {
                self.plugins.reload(plugin, candidate.artifact, *action == Action::ForceReload).await
            }
            (Action::Reload | Action::ForceReload, None) => unreachable!("a reload is proposed with a build"),
            (Action::Rollback, _) => self.plugins.rollback(plugin).await,
            (Action::Restart, _) => self.plugins.restart(plugin).await,
            (Action::Stop, _) => self.plugins.stop(plugin).await,
        };
        let done = done.map_err(|error| self.failed(error))?;
        Ok(Completed { text: self.text(&done) })
    }

    fn failed(&self, source: PluginError) -> Refusal {
        let Proposal { action, plugin, from, .. } = &self.proposal;
        Refusal::failed(action.word(), plugin, source, from.clone())
    }

    fn text(&self, done: &Done) -> String {
        let Proposal { action, plugin, from, to, .. } = &self.proposal;
        let steps: Vec<_> = done.steps.iter().map(|(step, took)| format!("{step} {}", millis(*took))).collect();
        let steps = if steps.is_empty() { String::new() } else { format!(" ({})", steps.join(", ")) };
        match (action, done.generation) {
            (Action::Stop, _) => format!("{plugin} is stopped."),
            (Action::Restart, Some(generation)) => {
                format!("{plugin} restarted: generation {generation} is active{steps}.")
            }
            (_, Some(generation)) => {
                let to = to.as_deref().unwrap_or("what ran before");
                let what = from.as_deref().map_or_else(|| format!("started {to}"), |from| format!("{from} → {to}"));
                format!("{plugin} {what}: generation {generation} is active{steps}.")
            }
            (_, None) => format!("{plugin}: {} done, it is being started{steps}.", action.word()),
        }
    }

    /// Starts it, and waits until it is up or is not.
    async fn start(&self) -> Result<Completed, Refusal> {
        let plugin = &self.proposal.plugin;
        self.plugins.start(plugin).await.map_err(|error| self.failed(error))?;
        loop {
            let view = self.plugins.view(plugin).await.map_err(|error| self.failed(error))?;
            match (view.active(), view.state) {
                (Some(active), _) => {
                    let text = format!("{plugin} {} is running: generation {}.", active.version, active.number);
                    return Ok(Completed { text });
                }
                (None, "starting") => tokio::time::sleep(LOOK).await,
                (None, state) => {
                    let why = view.explanation.unwrap_or_else(|| state.to_owned());
                    return Err(Refusal::NotUp { plugin: plugin.clone(), why });
                }
            }
        }
    }
}

fn millis(took: Duration) -> String {
    crate::time::short(took)
}
