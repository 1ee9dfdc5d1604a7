//! Changes of a plugin: proposed, confirmed by a person, and carried out between two records of the audit.

use super::{
    Action, Actor, Admin, Refusal,
    audit::{AuditRecord, Stage},
    build_change::{Build, BuildChange},
    command::ALL,
    work::{Completed, Work},
};
use crate::{
    plugins::{Candidate, PluginError},
    router::listed,
    slot::view::View,
    text::clean,
};
use rosey_core::{
    hash::Hash,
    state::{ChangeError, ExpectedState, PluginState},
};
use rosey_wire::manifest::Manifest;
use std::{collections::BTreeSet, sync::Arc, time::Instant};

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
}

impl Proposal {
    /// The text at the beginning of the action: `Reloading dice-roller 1.0.0 → 1.1.0 …`
    pub fn progress(&self) -> String {
        format!("{} {} …", self.action.verbs().1, self.subject())
    }

    fn subject(&self) -> String {
        match self.action {
            Action::Replay(ALL) | Action::Discard(ALL) => format!("all dead letters of {}", self.plugin),
            Action::Replay(id) | Action::Discard(id) => format!("dead letter {id} of {}", self.plugin),
            Action::CancelTimer(id) => format!("timer {id} of {}", self.plugin),
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
        self.allow(actor, &action.in_full(), Some(plugin), action.needs()).await?;
        let mut builds = BuildChange::default();
        if self.is_stopping() {
            return Err(self.refuse(actor, action, plugin, &builds, Refusal::Stopping).await);
        }
        if let Err(refusal) = self.in_time(actor, &self.changes) {
            return Err(self.refuse_often(actor, &action.in_full(), plugin, refusal).await);
        }
        match self.make_sense(action, plugin, &mut builds).await {
            Ok(proposal) => Ok(proposal),
            Err(refusal) => Err(self.refuse(actor, action, plugin, &builds, refusal).await),
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
        let (mut candidate, mut extra) = (None, String::new());
        match action {
            Action::Start if view.active().is_some() => return already(PluginState::Running),
            Action::Stop if view.state == PluginState::Stopped => return already(PluginState::Stopped),
            Action::Reload | Action::ForceReload => {
                let inspected = self.plugins.inspect(&plugin).await.map_err(fail)?;
                let version = Some(inspected.manifest.version.clone());
                builds.to = Some(Build { version, artifact: inspected.artifact });
                if action == Action::Reload {
                    is_new(&view, &plugin, &inspected.manifest.version, inspected.artifact)?;
                    self.is_its_own(&view, &plugin, &inspected.manifest.name)?;
                }
                extra = gone(view.manifest.as_deref(), &inspected.manifest);
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
                let newest = letters.first().map(|letter| format!("{} by {}", clean(&letter.line, LINE), letter.user));
                let newest = newest.unwrap_or_default();
                extra =
                    if id == ALL { format!(": {}, the newest {newest}", letters.len()) } else { format!(": {newest}") };
            }
            Action::CancelTimer(id) => {
                let timer = self.plugins.timer(&plugin, id).await.map_err(fail)?;
                extra = format!(": {}", super::timers::line(&timer, view.manifest.as_deref()));
            }
            Action::Start | Action::Stop | Action::Restart => {}
        }
        let expected = ExpectedState { current: view.current, rollback_target: view.rollback_target };
        let mut proposal =
            Proposal { question: String::new(), action, plugin, builds: builds.clone(), expected, candidate };
        proposal.question = match action {
            Action::Replay(_) | Action::Discard(_) | Action::CancelTimer(_) => {
                format!("{} {}{extra}?", action.verbs().0, proposal.subject())
            }
            _ => format!("{} {}?{extra}", action.verbs().0, proposal.subject()),
        };
        Ok(proposal)
    }

    /// Refuses the library of another plugin: one that declares another name than the build before, or, if no build has
    /// run, another name than the configuration.
    fn is_its_own(&self, view: &View, plugin: &str, found: &str) -> Result<(), Refusal> {
        let before = view.manifest.as_ref().map(|manifest| manifest.name.clone());
        let alike = |a: &str, b: &str| a.replace('_', "-") == b.replace('_', "-");
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
    pub async fn carry_out(&self, actor: &Actor, proposal: Proposal) -> Result<Completed, Refusal> {
        let Proposal { action, plugin, .. } = &proposal;
        self.allow(actor, &action.in_full(), Some(plugin), action.needs()).await?;
        let under_way = Arc::clone(&self.under_way).acquire_owned().await.ok().filter(|_| !self.is_stopping());
        let Some(under_way) = under_way else {
            return Err(self.refuse(actor, *action, plugin, &proposal.builds, Refusal::Stopping).await);
        };
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

    /// Records that a question got no yes.
    pub(super) async fn drop_change(&self, actor: &Actor, proposal: &Proposal, why: &str) {
        let (from, to) = proposal.builds.texts();
        let record = AuditRecord::new(Stage::Dropped, actor, &proposal.action.in_full(), Some(&proposal.plugin));
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
        self.plugins.view(plugin).await.map_err(|error| match error {
            PluginError::Gone(_) => Refusal::Stopping,
            error => Refusal::Unknown(Box::new(error)),
        })
    }
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

/// The commands that the new build lacks, for the question: ` It no longer has !x.`
fn gone(old: Option<&Manifest>, new: &Manifest) -> String {
    let names = |manifest: &Manifest| -> BTreeSet<String> {
        manifest.commands.iter().flat_map(|c| std::iter::once(&c.name).chain(&c.aliases).cloned()).collect()
    };
    let gone = old.map(|old| &names(old) - &names(new)).unwrap_or_default();
    let gone: Vec<_> = gone.iter().collect();
    if gone.is_empty() { String::new() } else { format!(" It no longer has {}.", listed(&gone)) }
}
