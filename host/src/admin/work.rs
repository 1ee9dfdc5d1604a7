//! One action under way: what is done after a yes, and what is told of it.

use super::{
    Action, Actor, Proposal, Refusal,
    audit::{Audit, AuditRecord, Stage},
    build_change::{Build, BuildChange},
    change::LINE,
    limit::Cooldown,
};
use crate::{
    plugins::{PluginError, Plugins},
    slot::{lifecycle::left, view::View},
    text::clean,
};
use rosey_core::state::{ChangeError, ChangeRequest, Done, GenerationId};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;

/// An action that was carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completed {
    /// What came of it.
    pub text: String,
    /// From which build to which, as it was and is.
    pub ends: BuildChange,
    /// The generation that serves now.
    pub generation: Option<GenerationId>,
    /// How long each step took, in order.
    pub steps: Vec<(&'static str, Duration)>,
    /// How long all of it took.
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
    /// Does it between two records.
    pub async fn record(self, actor: Actor) -> Result<Completed, Refusal> {
        let Proposal { action, plugin, ends, .. } = &self.proposal;
        let (from, to) = ends.texts();
        let before = AuditRecord::new(Stage::Before, &actor, &action.in_full(), Some(plugin)).between(from, to);
        let before = match self.audit.begin(before).await {
            Ok(before) => before,
            Err(error) => {
                tracing::error!(%plugin, "{} not done: {error}", action.word());
                return Err(Refusal::Audit(error));
            }
        };
        let began = Instant::now();
        let mut result = self.perform().await;
        let took = began.elapsed();
        self.cooldown.mark(plugin, Instant::now());
        let (ok, text, (from, to)) = match &mut result {
            Ok(completed) => {
                completed.took = took;
                (true, completed.text.clone(), completed.ends.texts())
            }
            Err(refusal) => (false, refusal.to_string(), ends.texts()),
        };
        if ok {
            tracing::info!(%plugin, user = %actor.user, via = %actor.via, "{}: {text}", action.word());
        } else {
            actor.log_refusal(Some(plugin), &text);
        }
        let after = before.after(ok, &text, Some(took)).between(from, to);
        if let Err(error) = self.audit.write(after).await {
            tracing::error!(%plugin, "its end cannot be recorded: {error}");
            result = match result {
                Ok(mut completed) => {
                    completed.text += &format!(" (Its end could not be recorded: {error})");
                    Ok(completed)
                }
                Err(refusal) => Err(Refusal::Unrecorded { refusal: Box::new(refusal), error }),
            };
        }
        drop(self.under_way);
        result
    }

    async fn perform(&self) -> Result<Completed, Refusal> {
        let Proposal { action, plugin, candidate, seen, ends, .. } = &self.proposal;
        let wish = match (action, candidate) {
            (Action::Reload | Action::ForceReload, Some(candidate)) => {
                ChangeRequest::Reload { to: candidate.artifact, force: *action == Action::ForceReload }
            }
            (Action::Reload | Action::ForceReload, None) => unreachable!("a reload is proposed with a build"),
            (Action::Rollback, _) => ChangeRequest::Rollback,
            (Action::Restart, _) => ChangeRequest::Restart,
            (Action::Start, _) => return self.start().await,
            (Action::Stop, _) => {
                let runs = self.look().await?.current;
                self.plugins.stop(plugin).await.map_err(|error| self.failed(error))?;
                let from = match runs {
                    Some(artifact) => Some(Build::of(&*self.look().await?, artifact)),
                    None => ends.from.clone(),
                };
                let text = format!("{plugin} is stopped.");
                return Ok(Completed { text, ends: BuildChange { from, to: None }, ..Completed::default() });
            }
            (Action::Replay(id), _) => {
                let letter = self.plugins.replay(plugin, *id).await.map_err(|error| self.failed(error))?;
                let line = clean(&letter.line, LINE);
                let text = format!("{plugin} has dead letter {id} again: {line}. Nobody is sent its answer.");
                return Ok(Completed { text, ends: ends.clone(), ..Completed::default() });
            }
            (Action::CancelTimer(id), _) => {
                let timer = self.plugins.cancel_timer(plugin, *id).await.map_err(|error| self.failed(error))?;
                let text = format!("timer {id} of {plugin} is cancelled: {}.", clean(&timer.name, LINE));
                return Ok(Completed { text, ends: ends.clone(), ..Completed::default() });
            }
        };
        match self.plugins.change(plugin, wish, Some(*seen)).await {
            Ok(done) => Ok(self.completed(done).await),
            Err(PluginError::Change(ChangeError::Changed)) => Err(self.changed(&*self.look().await?)),
            Err(error) => Err(self.not_changed(error).await),
        }
    }

    async fn look(&self) -> Result<Box<View>, Refusal> {
        self.plugins.view(&self.proposal.plugin).await.map_err(|error| self.failed(error))
    }

    /// A change was refused, or has failed: says what serves now, if anything does.
    async fn not_changed(&self, source: PluginError) -> Refusal {
        let Proposal { action, plugin, .. } = &self.proposal;
        let view = self.plugins.view(plugin).await.ok();
        let active = view.as_ref().and_then(|view| Some(Build::of(view, view.active()?.artifact)));
        Refusal::failed(action.word(), plugin, source, active.as_ref().map(Build::short))
    }

    fn failed(&self, source: PluginError) -> Refusal {
        let Proposal { action, plugin, ends, .. } = &self.proposal;
        Refusal::failed(action.word(), plugin, source, ends.from.as_ref().map(Build::short))
    }

    /// It is not as it was when the question was put.
    fn changed(&self, view: &View) -> Refusal {
        let now = match view.current.map(|artifact| Build::of(view, artifact)) {
            None => "it is stopped now".to_owned(),
            Some(build) if Some(build.artifact) == self.proposal.seen.current => {
                "a rollback would go elsewhere now".to_owned()
            }
            Some(build) => {
                let ends = BuildChange { from: self.proposal.ends.from.clone(), to: Some(build) };
                format!("it runs {} now", ends.texts().1.unwrap_or_default())
            }
        };
        Refusal::Changed { plugin: self.proposal.plugin.clone(), now }
    }

    /// What the slot says was done.
    async fn completed(&self, done: Done) -> Completed {
        let Proposal { action, plugin, ends, .. } = &self.proposal;
        let view = self.look().await.ok();
        let build = |artifact| {
            let known = [&ends.from, &ends.to].into_iter().flatten().find(|build| build.artifact == artifact).cloned();
            known.or_else(|| view.as_deref().map(|view| Build::of(view, artifact)))
        };
        // What ran last is not what was running.
        let from = ends.from.as_ref().and(done.from).and_then(build);
        let to = if *action == Action::Restart { None } else { done.to.and_then(build) };
        let ends = BuildChange { from, to };
        let steps = steps(&done.steps);
        let text = match (action, done.generation) {
            (Action::Restart, Some(generation)) => {
                format!("{plugin} restarted: generation {generation} is active{steps}.")
            }
            (_, Some(generation)) => {
                format!("{}: generation {generation} is active{steps}{}.", ends.of(plugin), left(done.state))
            }
            (_, None) => format!("{}: it is being started{}.", ends.of(plugin), left(done.state)),
        };
        Completed { text, ends, generation: done.generation, steps: done.steps, took: Duration::ZERO }
    }

    /// Starts it.
    async fn start(&self) -> Result<Completed, Refusal> {
        let plugin = &self.proposal.plugin;
        let not_up = |why| Err(Refusal::NotUp { plugin: plugin.clone(), why });
        let done = match self.plugins.start(plugin).await {
            Ok(done) => done,
            Err(PluginError::Change(ChangeError::Start(why))) => return not_up(why),
            Err(PluginError::Change(ChangeError::Stopped)) => return not_up("it was stopped meanwhile".to_owned()),
            Err(error) => return Err(self.failed(error)),
        };
        let view = self.look().await?;
        let to = done.to.map(|artifact| Build::of(&view, artifact));
        let version = to.as_ref().map(Build::short).unwrap_or_default();
        let generation = done.generation.unwrap_or_default();
        let text = format!("{plugin} {version} is running: generation {generation}.");
        let ends = BuildChange { from: None, to };
        Ok(Completed { text, ends, generation: done.generation, ..Completed::default() })
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
