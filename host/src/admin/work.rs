//! One action under way: what happens after the yes, and what is reported.

use super::{
    Action, Actor, Proposal, Refusal,
    audit::{Audit, AuditRecord, Stage},
    build_change::{Build, BuildChange},
    change::LINE,
    command::ALL,
    limit::Cooldown,
};
use crate::{
    plugins::{NewPlugin, PluginError, Plugins},
    slot::{lifecycle::left, view::View},
    text::clean,
};
use rosey_core::{
    hash::Hash,
    state::{ChangeError, ChangeRequest, Done, GenerationId},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;

/// The result of an action that was carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completed {
    /// The text for people.
    pub text: String,
    /// The builds before and after.
    pub builds: BuildChange,
    /// The generation that serves now.
    pub generation: Option<GenerationId>,
    /// The duration of each step, in order.
    pub steps: Vec<(&'static str, Duration)>,
    /// The whole duration.
    pub took: Duration,
}

/// One action.
pub(super) struct Work {
    pub plugins: Arc<Plugins>,
    pub audit: Audit,
    pub cooldown: Arc<Cooldown>,
    pub proposal: Proposal,
    pub under_way: OwnedSemaphorePermit,
}

impl Work {
    /// Carries the action out between two records.
    pub async fn record(self, actor: Actor) -> Result<Completed, Refusal> {
        let Proposal { action, plugin, builds, .. } = &self.proposal;
        let (from, to) = builds.texts();
        let agreed = self.proposal.yes.words();
        let command = self.proposal.command() + &agreed;
        let before = AuditRecord::new(Stage::Before, &actor, &command, Some(plugin)).between(from, to);
        let before = match self.audit.begin(before).await {
            Ok(before) => before,
            Err(error) => {
                tracing::error!(%plugin, "{} not done: {error}", action.word());
                return Err(Refusal::Audit(error));
            }
        };
        let began = Instant::now();
        let mut result = self.apply().await;
        let took = began.elapsed();
        self.cooldown.mark(plugin, Instant::now());
        let (ok, text, (from, to)) = match &mut result {
            Ok(completed) => {
                completed.took = took;
                (true, completed.text.clone(), completed.builds.texts())
            }
            Err(refusal) => (false, refusal.to_string(), builds.texts()),
        };
        if ok {
            tracing::info!(%plugin, user = %actor.user, via = %actor.via, "{}{agreed}: {text}", action.word());
        } else {
            actor.log_refusal(Some(plugin), &text);
        }
        let after = before.after(ok, &text, Some(took)).between(from, to);
        if let Err(error) = self.audit.write(after).await {
            tracing::error!(%plugin, "the end of the action cannot be recorded: {error}");
            result = match result {
                Ok(mut completed) => {
                    completed.text += &format!(" (The end of the action could not be recorded: {error})");
                    Ok(completed)
                }
                Err(refusal) => Err(Refusal::Unrecorded { refusal: Box::new(refusal), error }),
            };
        }
        drop(self.under_way);
        result
    }

    async fn apply(&self) -> Result<Completed, Refusal> {
        let Proposal { action, plugin, candidate, expected, builds, new, .. } = &self.proposal;
        if let (Some(new), Some(candidate)) = (new, candidate) {
            return self.load(new.clone(), candidate.artifact).await;
        }
        let request = match (action, candidate) {
            (Action::Reload | Action::ForceReload, Some(candidate)) => {
                ChangeRequest::Reload { to: candidate.artifact, force: *action == Action::ForceReload }
            }
            (Action::Reload | Action::ForceReload, None) => unreachable!("a reload is proposed with a build"),
            (Action::Rollback, _) => ChangeRequest::Rollback,
            (Action::Restart, _) => ChangeRequest::Restart,
            (Action::Load | Action::LoadFrom, _) => unreachable!("a load is proposed with a build"),
            (Action::Start | Action::Enable, _) => return self.start().await,
            (Action::Stop | Action::Disable | Action::Unload, _) => return self.stop().await,
            (Action::Replay(id), _) => {
                let text = self.replay(*id).await?;
                return Ok(Completed { text, builds: builds.clone(), ..Completed::default() });
            }
            (Action::Discard(id), _) => {
                let number = Some(*id).filter(|id| *id != ALL);
                let letters = self.plugins.discard(plugin, number).await.map_err(|error| self.failed(error))?;
                let text = match (number, &letters[..]) {
                    (Some(id), [letter]) => {
                        format!("dead letter {id} of {plugin} is discarded: {}.", clean(&letter.line, LINE))
                    }
                    _ => format!("all {} dead letters of {plugin} are discarded.", letters.len()),
                };
                return Ok(Completed { text, builds: builds.clone(), ..Completed::default() });
            }
            (Action::CancelTimer(id), _) => {
                let timer = self.plugins.cancel_timer(plugin, *id).await.map_err(|error| self.failed(error))?;
                let text = format!("timer {id} of {plugin} is cancelled: {}.", clean(&timer.name, LINE));
                return Ok(Completed { text, builds: builds.clone(), ..Completed::default() });
            }
        };
        match self.plugins.change(plugin, request, Some(*expected)).await {
            Ok(done) => Ok(self.completed(done).await),
            Err(PluginError::Change(ChangeError::Changed)) => Err(self.changed(&*self.view().await?)),
            Err(error) => Err(self.not_changed(error).await),
        }
    }

    /// Delivers one dead letter again, or all of them, the oldest first. The text says what is done.
    async fn replay(&self, id: i64) -> Result<String, Refusal> {
        let plugin = &self.proposal.plugin;
        if id != ALL {
            let letter = self.plugins.replay(plugin, id).await.map_err(|error| self.failed(error))?;
            let line = clean(&letter.line, LINE);
            return Ok(format!("{plugin} gets dead letter {id} again: {line}. Rosey drops its answer."));
        }
        let letters = self.plugins.letters(plugin, None).await.map_err(|error| self.failed(error))?;
        for (done, letter) in letters.iter().rev().enumerate() {
            match self.plugins.replay(plugin, letter.id).await {
                Ok(_) => {}
                Err(error) if done == 0 => return Err(self.failed(error)),
                Err(error) => {
                    return Ok(format!("{plugin} gets {done} of {} dead letters again; then: {error}.", letters.len()));
                }
            }
        }
        Ok(format!("{plugin} gets {} dead letters again. Rosey drops their answers.", letters.len()))
    }

    async fn view(&self) -> Result<Box<View>, Refusal> {
        self.plugins.view(&self.proposal.plugin).await.map_err(|error| self.failed(error))
    }

    /// The refusal of a change, with the version that serves now.
    async fn not_changed(&self, source: PluginError) -> Refusal {
        let Proposal { action, plugin, .. } = &self.proposal;
        let view = self.plugins.view(plugin).await.ok();
        let active = view.as_ref().and_then(|view| Some(Build::of(view, view.active()?.artifact)));
        Refusal::failed(action.word(), plugin, source, active.as_ref().map(Build::short))
    }

    fn failed(&self, source: PluginError) -> Refusal {
        let Proposal { action, plugin, builds, .. } = &self.proposal;
        Refusal::failed(action.word(), plugin, source, builds.from.as_ref().map(Build::short))
    }

    /// The refusal when the plugin has changed since the question.
    fn changed(&self, view: &View) -> Refusal {
        let now = match view.current.map(|artifact| Build::of(view, artifact)) {
            None => "it is stopped now".to_owned(),
            Some(build) if Some(build.artifact) == self.proposal.expected.current => {
                "a rollback would now go to another build".to_owned()
            }
            Some(build) => {
                let builds = BuildChange { from: self.proposal.builds.from.clone(), to: Some(build) };
                format!("it runs {} now", builds.texts().1.unwrap_or_default())
            }
        };
        Refusal::Changed { plugin: self.proposal.plugin.clone(), now }
    }

    /// The result according to the slot.
    async fn completed(&self, done: Done) -> Completed {
        let Proposal { action, plugin, builds, .. } = &self.proposal;
        let view = self.view().await.ok();
        let build = |artifact| {
            let known =
                [&builds.from, &builds.to].into_iter().flatten().find(|build| build.artifact == artifact).cloned();
            known.or_else(|| view.as_deref().map(|view| Build::of(view, artifact)))
        };
        // `done.from` may be the build that ran last, which need not have been running.
        let from = builds.from.as_ref().and(done.from).and_then(build);
        let to = if *action == Action::Restart { None } else { done.to.and_then(build) };
        let builds = BuildChange { from, to };
        let steps = steps(&done.steps);
        let text = match (action, done.generation) {
            (Action::Restart, Some(generation)) => {
                format!("{plugin} restarted: generation {generation} is active{steps}.")
            }
            (_, Some(generation)) => {
                let left = left(done.state, done.store);
                format!("{}: generation {generation} is active{steps}{left}.", builds.of(plugin))
            }
            (_, None) => format!("{}: it is starting{}.", builds.of(plugin), left(done.state, done.store)),
        };
        Completed { text, builds, generation: done.generation, steps: done.steps, took: Duration::ZERO }
    }

    /// Stops the plugin; disables or unloads it, if that is the action.
    async fn stop(&self) -> Result<Completed, Refusal> {
        let Proposal { action, plugin, builds, .. } = &self.proposal;
        let view = self.view().await?;
        let (stopped, text) = match action {
            Action::Unload => {
                let text = format!("{plugin} is unloaded. Its data stays; to delete it: rosey store delete {plugin}");
                (self.plugins.unload(plugin).await, text)
            }
            Action::Disable => (self.plugins.disable(plugin).await, format!("{plugin} is disabled.")),
            _ => (self.plugins.stop(plugin).await.map(|_| ()), format!("{plugin} is stopped.")),
        };
        stopped.map_err(|error| self.failed(error))?;
        let from = view.current.map(|artifact| Build::of(&view, artifact)).or_else(|| builds.from.clone());
        Ok(Completed { text, builds: BuildChange { from, to: None }, ..Completed::default() })
    }

    /// Adds the plugin to the set.
    async fn load(&self, new: NewPlugin, artifact: Hash) -> Result<Completed, Refusal> {
        let plugin = &self.proposal.plugin;
        let done = self.plugins.load(new, artifact).await.map_err(|error| self.failed(error))?;
        let builds = BuildChange { from: None, to: self.proposal.builds.to.clone() };
        let version = builds.to.as_ref().map(Build::short).unwrap_or_default();
        let generation = done.generation.unwrap_or_default();
        let (steps, left) = (steps(&done.steps), left(done.state, done.store));
        let text = format!("{plugin} {version} is loaded: generation {generation} is active{steps}{left}.");
        Ok(Completed { text, builds, generation: done.generation, steps: done.steps, took: Duration::ZERO })
    }

    /// Starts the plugin; enables it, if that is the action.
    async fn start(&self) -> Result<Completed, Refusal> {
        let plugin = &self.proposal.plugin;
        let not_up = |why| Err(Refusal::NotUp { plugin: plugin.clone(), why });
        let started = match self.proposal.action {
            Action::Enable => self.plugins.enable(plugin).await,
            _ => self.plugins.start(plugin).await,
        };
        let done = match started {
            Ok(done) => done,
            Err(PluginError::Change(ChangeError::Start(why))) => return not_up(why),
            Err(PluginError::Change(ChangeError::Stopped)) => return not_up("it was stopped meanwhile".to_owned()),
            Err(error) => return Err(self.failed(error)),
        };
        let view = self.view().await?;
        let to = done.to.map(|artifact| Build::of(&view, artifact));
        let version = to.as_ref().map(Build::short).unwrap_or_default();
        let generation = done.generation.unwrap_or_default();
        let text = format!("{plugin} {version} is running: generation {generation}.");
        let builds = BuildChange { from: None, to };
        Ok(Completed { text, builds, generation: done.generation, ..Completed::default() })
    }
}

/// ` (start 9.1 ms, probe 0.3 ms, swap 0.0 ms; 9.4 ms in all)`
fn steps(steps: &[(&'static str, Duration)]) -> String {
    let all = millis(steps.iter().map(|(_, took)| *took).sum());
    let each = steps.iter().map(|(step, took)| format!("{step} {}", millis(*took))).collect::<Vec<_>>().join(", ");
    match steps.len() {
        0 => String::new(),
        1 => format!(" ({each})"),
        _ => format!(" ({each}; {all} in all)"),
    }
}

fn millis(took: Duration) -> String {
    crate::time::short(took)
}
