//! Changes of a plugin: proposed, confirmed by a person, and carried out between two records of the audit.

use super::{
    Action, Actor, Admin, Refusal,
    audit::{AuditRecord, Stage},
    build_change::{Build, BuildChange},
    command::ALL,
    second::Yes,
    work::{Completed, Work},
};
use crate::{
    plugins::{Candidate, NewPlugin, PluginError, wishes},
    router::listed,
    slot::{dead_letter::DeadLetter, view::View},
    text::clean,
};
use rosey_core::{
    hash::Hash,
    state::{ChangeError, ExpectedState, PluginState},
};
use rosey_wire::manifest::Manifest;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Instant};

/// Bytes of a dead letter's line that an answer shows.
pub(super) const LINE: usize = 200;

/// An action that makes sense and waits for a yes.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The text for the person; it says what a yes will do.
    pub question: String,
    /// What a yes will do.
    pub action: Action,
    /// The plugin that it changes.
    pub plugin: String,
    /// The builds before and after.
    pub builds: BuildChange,
    /// The state of the plugin at the question. If it has changed by the time of the yes, the person must ask again.
    pub(super) expected: ExpectedState,
    /// The build that was inspected. Exactly this one is loaded.
    pub(super) candidate: Option<Candidate>,
    /// The plugin that is to be loaded, if it does not belong to the set yet.
    pub(super) new: Option<NewPlugin>,
    /// Which yes of two persons its yes is.
    pub(super) yes: Yes,
}

impl Proposal {
    /// The text at the beginning of the action: `Reloading dice-roller 1.0.0 → 1.1.0 …`
    pub fn progress(&self) -> String {
        if self.yes == Yes::First {
            return "Noting your yes …".to_owned();
        }
        format!("{} {} …", self.action.verbs().1, self.subject())
    }

    /// The command as the audit records it.
    pub(super) fn command(&self) -> String {
        self.action.in_full() + &self.library_words()
    }

    /// Whether a yes to the other one would do the same.
    pub(super) fn is_same_change(&self, other: &Self) -> bool {
        let artifact = |proposal: &Self| proposal.candidate.as_ref().map(|candidate| candidate.artifact);
        self.command() == other.command()
            && (&self.plugin, &self.builds, self.expected) == (&other.plugin, &other.builds, other.expected)
            && artifact(self) == artifact(other)
    }

    /// ` from PATH`, if the operator named a library.
    fn library_words(&self) -> String {
        let library = self.new.as_ref().and_then(|new| new.library.as_ref());
        library.map(|library| format!(" from {}", clean(&library.display().to_string(), LINE))).unwrap_or_default()
    }

    fn subject(&self) -> String {
        match self.action {
            Action::Replay(ALL) | Action::Discard(ALL) => format!("all dead letters of {}", self.plugin),
            Action::Replay(id) | Action::Discard(id) => format!("dead letter {id} of {}", self.plugin),
            Action::CancelTimer(id) => format!("timer {id} of {}", self.plugin),
            _ if self.new.is_some() => {
                let version = self.builds.to.as_ref().map(|build| format!(" {}", build.short())).unwrap_or_default();
                format!("{}{version}{}", self.plugin, self.library_words())
            }
            _ => self.builds.of(&self.plugin),
        }
    }
}

impl Admin {
    /// Checks permission and rate, checks that the action makes sense, and inspects the new build. The proposal says
    /// what a yes will do.
    ///
    /// # Errors
    /// [`Refusal`], which is recorded.
    pub async fn propose(&self, actor: &Actor, action: Action, plugin: &str) -> Result<Proposal, Refusal> {
        self.propose_with(actor, action, plugin, None).await
    }

    /// The same with the library that the operator names for [`Action::LoadFrom`].
    ///
    /// # Errors
    /// [`Refusal`], which is recorded.
    pub async fn propose_with(
        &self,
        actor: &Actor,
        action: Action,
        plugin: &str,
        library: Option<PathBuf>,
    ) -> Result<Proposal, Refusal> {
        self.allow(actor, &action.in_full(), Some(plugin), action.needs()).await?;
        let mut builds = BuildChange::default();
        if self.is_stopping() {
            return Err(self.refuse(actor, action, plugin, &builds, Refusal::Stopping).await);
        }
        if let Err(refusal) = self.in_time(actor, &self.changes) {
            return Err(self.refuse_often(actor, &action.in_full(), plugin, refusal).await);
        }
        self.sensible(actor, action, plugin, library, &mut builds).await
    }

    /// Proposes a change that is a part of a larger one, whose rate was checked.
    pub(super) async fn propose_part(&self, actor: &Actor, action: Action, plugin: &str) -> Result<Proposal, Refusal> {
        self.allow(actor, &action.in_full(), Some(plugin), action.needs()).await?;
        self.sensible(actor, action, plugin, None, &mut BuildChange::default()).await
    }

    async fn sensible(
        &self,
        actor: &Actor,
        action: Action,
        plugin: &str,
        library: Option<PathBuf>,
        builds: &mut BuildChange,
    ) -> Result<Proposal, Refusal> {
        let joins = action.is_load() || action == Action::Enable && self.plugins.may_join(plugin);
        let proposal = match joins {
            true => self.make_load(action, plugin, library, builds).await,
            false => self.make_sense(action, plugin, builds).await,
        };
        match proposal {
            Ok(mut proposal) => {
                self.ask_for_two(actor, &mut proposal);
                Ok(proposal)
            }
            Err(refusal) => Err(self.refuse(actor, action, plugin, builds, refusal).await),
        }
    }

    /// Stores the builds that it finds in `builds`, also when it returns an error.
    async fn make_sense(&self, action: Action, plugin: &str, builds: &mut BuildChange) -> Result<Proposal, Refusal> {
        let view = self.view_of(plugin).await?;
        if action.cools() {
            let checked = self.cooldown.check(plugin, Instant::now());
            checked.map_err(|wait| Refusal::Cooling { plugin: plugin.to_owned(), wait })?;
        }
        let running = view.current.filter(|_| view.state != PluginState::Failed);
        builds.from = running.map(|artifact| Build::of(&view, artifact));
        let goes_on = view.active().map(|active| active.version.clone());
        let plugin = plugin.to_owned();
        let fail = |source| Refusal::failed(action.word(), &plugin, source, goes_on.clone());
        let already = |state| Err(fail(ChangeError::Already(state).into()));
        let is_disabled = self.plugins.is_disabled(&plugin);
        let runs = action.is_reload() || matches!(action, Action::Rollback | Action::Restart | Action::Start);
        if is_disabled && (runs || action == Action::Disable) {
            return Err(fail(PluginError::Disabled));
        }
        let (mut candidate, mut extra) = (None, String::new());
        match action {
            Action::Start | Action::Enable if view.active().is_some() => return already(PluginState::Running),
            Action::Enable if !is_disabled => return Err(fail(PluginError::Enabled)),
            Action::Stop if view.state == PluginState::Stopped => return already(PluginState::Stopped),
            Action::Reload | Action::ForceReload => {
                let inspected = self.inspect(&plugin).await.map_err(fail)?;
                let version = Some(inspected.manifest.version.clone());
                builds.to = Some(Build { version, artifact: inspected.artifact });
                if action == Action::Reload {
                    is_new(&view, &plugin, &inspected.manifest.version, inspected.artifact)?;
                    self.is_its_own(&view, &plugin, &inspected.manifest.name)?;
                }
                extra = gone(view.manifest.as_deref(), &inspected.manifest) + &wants(&inspected.manifest);
                if let Some(router) = self.router.get() {
                    extra.extend(router.clashing(&plugin, &inspected.manifest).map(|text| format!(" {text}")));
                }
                candidate = Some(inspected);
            }
            Action::Rollback => {
                let to = view.rollback_target.ok_or_else(|| fail(ChangeError::NoEarlier.into()))?;
                builds.to = Some(Build::of(&view, to));
            }
            Action::Replay(id) | Action::Discard(id) => {
                let letters = self.plugins.letters(&plugin, Some(id).filter(|id| *id != ALL)).await.map_err(fail)?;
                extra = newest(id, &letters);
            }
            Action::CancelTimer(id) => {
                let timer = self.plugins.timer(&plugin, id).await.map_err(fail)?;
                extra = format!(": {}", super::timers::line(&timer, view.manifest.as_deref()));
            }
            Action::Unload => extra = " Its commands go; its data, timers and dead letters stay.".to_owned(),
            Action::Disable => extra = " It stays stopped, also after a restart of Rosey.".to_owned(),
            Action::Start | Action::Stop | Action::Restart | Action::Enable | Action::Load | Action::LoadFrom => {}
        }
        let mut proposal = Proposal {
            question: String::new(),
            action,
            plugin,
            builds: builds.clone(),
            expected: ExpectedState { current: view.current, rollback_target: view.rollback_target },
            candidate,
            new: None,
            yes: Yes::default(),
        };
        proposal.question = match action {
            Action::Replay(_) | Action::Discard(_) | Action::CancelTimer(_) => {
                format!("{} {}{extra}?", action.verbs().0, proposal.subject())
            }
            _ => format!("{} {}?{extra}", action.verbs().0, proposal.subject()),
        };
        Ok(proposal)
    }

    /// Inspects the build in the plugin folder, and refuses it if it wants more than is granted.
    async fn inspect(&self, plugin: &str) -> Result<Candidate, PluginError> {
        let inspected = self.plugins.inspect(plugin).await?;
        wishes::check(&inspected.manifest.wishes, &*self.plugins.config(plugin)?)?;
        Ok(inspected)
    }

    /// Inspects a plugin that does not belong to the set, and refuses it if another plugin has one of its commands.
    async fn make_load(
        &self,
        action: Action,
        plugin: &str,
        library: Option<PathBuf>,
        builds: &mut BuildChange,
    ) -> Result<Proposal, Refusal> {
        let fail = |source| Refusal::failed(action.word(), plugin, source, None);
        let new = self.plugins.to_load(plugin, library).map_err(fail)?;
        let checked = self.cooldown.check(plugin, Instant::now());
        checked.map_err(|wait| Refusal::Cooling { plugin: plugin.to_owned(), wait })?;
        let candidate = self.check_new(plugin, &new, &BTreeSet::new()).await?;
        let manifest = &candidate.manifest;
        builds.to = Some(Build { version: Some(manifest.version.clone()), artifact: candidate.artifact });
        let commands: Vec<_> = manifest.commands.iter().map(|command| &command.name).collect();
        let brings = if commands.is_empty() { String::new() } else { format!(" It brings {}.", listed(&commands)) };
        let brings = brings + &wants(manifest);
        let expected = ExpectedState { current: None, rollback_target: None };
        let mut proposal = Proposal {
            question: String::new(),
            action,
            plugin: plugin.to_owned(),
            builds: builds.clone(),
            expected,
            candidate: Some(candidate),
            new: Some(new),
            yes: Yes::default(),
        };
        proposal.question = format!("{} {}?{brings}", action.verbs().0, proposal.subject());
        Ok(proposal)
    }

    /// Refuses the library of another plugin: one that declares another name than the build before, or, if no build has
    /// run, another name than the configuration.
    fn is_its_own(&self, view: &View, plugin: &str, found: &str) -> Result<(), Refusal> {
        let before = view.manifest.as_ref().map(|manifest| manifest.name.clone());
        if alike(found, before.as_deref().unwrap_or(plugin)) {
            return Ok(());
        }
        let library = self.plugins.config(plugin).map(|config| config.library.clone()).unwrap_or_default();
        Err(Refusal::OtherPlugin { plugin: plugin.to_owned(), library, found: found.to_owned(), before })
    }

    /// Carries the action out, with a record before and after. Cancellation does not stop it.
    ///
    /// # Errors
    /// [`Refusal`]; the build before goes on.
    pub async fn carry_out(&self, actor: &Actor, mut proposal: Proposal) -> Result<Completed, Refusal> {
        let (action, plugin) = (&proposal.action.clone(), &proposal.plugin.clone());
        self.allow(actor, &action.in_full(), Some(plugin), action.needs()).await?;
        let under_way = Arc::clone(&self.under_way).acquire_owned().await.ok().filter(|_| !self.is_stopping());
        let Some(under_way) = under_way else {
            return Err(self.refuse(actor, *action, plugin, &proposal.builds, Refusal::Stopping).await);
        };
        if let Some(refusal) = self.clash(&proposal) {
            return Err(self.refuse(actor, *action, plugin, &proposal.builds, refusal).await);
        }
        match self.agreed(actor, &proposal) {
            Ok(yes) => proposal.yes = yes,
            Err(refusal) => return Err(self.refuse(actor, *action, plugin, &proposal.builds, refusal).await),
        }
        let now = Instant::now();
        if !action.cools() {
            self.cooldown.mark(plugin, now);
        } else if let Err(wait) = self.cooldown.take(plugin, now) {
            let refusal = Refusal::Cooling { plugin: plugin.clone(), wait };
            return Err(self.refuse(actor, *action, plugin, &proposal.builds, refusal).await);
        }
        let work = Work {
            plugins: Arc::clone(&self.plugins),
            audit: self.audit.clone(),
            cooldown: Arc::clone(&self.cooldown),
            proposal,
            under_way,
        };
        // In its own task: the caller may go away, and the end must still be recorded.
        tokio::spawn(work.record(actor.clone())).await.unwrap_or(Err(Refusal::Stopping))
    }

    /// The refusal of a plugin that another one, loaded since the question, keeps from its commands.
    fn clash(&self, proposal: &Proposal) -> Option<Refusal> {
        let (router, candidate) = (self.router.get()?, proposal.candidate.as_ref()?);
        let why = proposal
            .new
            .as_ref()
            .and_then(|_| router.taken(&proposal.plugin, &candidate.manifest, &BTreeSet::new()))?;
        Some(Refusal::NotLoaded { plugin: proposal.plugin.clone(), why })
    }

    /// Records that a question got no yes.
    pub(super) async fn drop_change(&self, actor: &Actor, proposal: &Proposal, why: &str) {
        let (from, to) = proposal.builds.texts();
        let record = AuditRecord::new(Stage::Dropped, actor, &proposal.command(), Some(&proposal.plugin));
        self.record_not_done(record.between(from, to).ended(false, why, None)).await;
    }

    /// Records a refusal.
    async fn refuse(
        &self,
        actor: &Actor,
        action: Action,
        plugin: &str,
        builds: &BuildChange,
        refusal: Refusal,
    ) -> Refusal {
        let (from, to) = builds.texts();
        if let Refusal::Failed { .. } = refusal {
            actor.log_refusal(Some(plugin), &refusal.to_string());
        }
        if refusal.is_of_the_build() && (action.is_reload() || matches!(action, Action::Rollback | Action::Restart)) {
            self.metrics.change_refused(plugin, action.word());
        }
        let record = AuditRecord::new(Stage::Refused, actor, &action.in_full(), Some(plugin));
        self.record_not_done(record.between(from, to).ended(false, &refusal.to_string(), None)).await;
        refusal
    }

    /// The view of one plugin, or the refusal when there is none.
    pub(super) async fn view_of(&self, plugin: &str) -> Result<Box<View>, Refusal> {
        if plugin == "admin" {
            return Err(Refusal::PartOfHost);
        }
        match self.plugins.view(plugin).await {
            Ok(view) => Ok(view),
            Err(PluginError::Gone(_)) => Err(Refusal::Stopping),
            Err(_) if self.plugins.offered().await.iter().any(|name| name == plugin) => {
                Err(Refusal::Offered(plugin.to_owned()))
            }
            Err(error) => Err(Refusal::Unknown(Box::new(error))),
        }
    }
}

/// The newest of these dead letters, for the question about one or all of them.
fn newest(id: i64, letters: &[DeadLetter]) -> String {
    let newest = letters.first().map(|letter| format!("{} by {}", clean(&letter.line, LINE), letter.user));
    let newest = newest.unwrap_or_default();
    if id == ALL { format!(": {}, the newest {newest}", letters.len()) } else { format!(": {newest}") }
}

/// Whether two names of a plugin are the same: cargo writes `_` where people write `-`.
pub(super) fn alike(one: &str, other: &str) -> bool {
    one.replace('_', "-") == other.replace('_', "-")
}

/// Refuses a build that runs already or was rolled back.
fn is_new(view: &View, plugin: &str, version: &str, artifact: Hash) -> Result<(), Refusal> {
    let (plugin, version) = (plugin.to_owned(), version.to_owned());
    if view.active().is_some_and(|active| active.artifact == artifact) {
        return Err(Refusal::SameBuild { plugin, version, artifact: artifact.short() });
    }
    if view.history.blocked.contains(&artifact) {
        return Err(Refusal::Blocked { plugin, version, artifact: artifact.short() });
    }
    Ok(())
}

/// What the build wants of its sandbox, for the question: ` It wants the network: *:443.`
fn wants(manifest: &Manifest) -> String {
    let wishes = wishes::text(&manifest.wishes);
    if wishes.is_empty() { wishes } else { format!(" It wants {wishes}.") }
}

/// The commands that the new build lacks, for the question: ` It no longer has !x.`
fn gone(old: Option<&Manifest>, new: &Manifest) -> String {
    let names = |manifest: &Manifest| -> BTreeSet<String> {
        manifest.commands.iter().flat_map(|c| std::iter::once(&c.name).chain(&c.aliases).cloned()).collect()
    };
    let gone = old.map(|old| &names(old) - &names(new)).unwrap_or_default();
    let gone: Vec<_> = gone.iter().collect();
    if gone.is_empty() { String::new() } else { format!(" It no longer has {}.", listed(&gone)) }
}
