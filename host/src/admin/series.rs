//! Changes of several plugins, one after another. Each is a change of its own, with its inspection, its probe, its trial
//! and its records; around them stands a pair of records of the whole.

use super::{
    Action, Actor, Admin, Refusal,
    audit::{AuditRecord, Stage},
    config::NewConfig,
    permission::Role,
};
use crate::slot::lifecycle::{LifecycleEvent, LifecycleKind};
use rosey_core::state::StateEvent;
use std::{collections::BTreeSet, sync::Arc, time::Instant};
use tokio::sync::{broadcast::Receiver, mpsc};

/// Results that may wait for the person who reads them as they come. All of them stand in the last text anyway.
pub(super) const RESULTS: usize = 256;

/// A change of several plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Change each plugin to the build in the plugin folder.
    Reload {
        /// Leave out plugins that do not run, and those whose build there is blocked.
        only_changed: bool,
        /// Go on after a refusal.
        keep_going: bool,
    },
    /// Take over what has changed in the configuration.
    Config,
}

impl Series {
    /// The command as the audit records it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Reload { only_changed: false, keep_going: false } => "reload --all",
            Self::Reload { only_changed: false, keep_going: true } => "reload --all --keep-going",
            Self::Reload { only_changed: true, keep_going: false } => "reload --changed",
            Self::Reload { only_changed: true, keep_going: true } => "reload --changed --keep-going",
            Self::Config => "config reload",
        }
    }
}

/// A series that can be done, and waits for a yes.
#[derive(Debug)]
pub struct SeriesProposal {
    /// What the bot asks the person to confirm.
    pub question: String,
    /// The change.
    pub series: Series,
    pub(super) steps: Steps,
}

/// What a series does.
#[derive(Debug)]
pub(super) enum Steps {
    /// Reloads these plugins.
    Reload(Vec<String>),
    /// Takes this configuration over.
    Config(Box<NewConfig>),
}

impl SeriesProposal {
    /// The text at the beginning.
    pub fn progress(&self) -> &'static str {
        match self.series {
            Series::Reload { .. } => "Reloading one after another …",
            Series::Config => "Taking over the configuration …",
        }
    }
}

/// What became of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The plugin of the series that it is about.
    pub plugin: String,
    /// `done`, `unchanged`, `refused` or `left_out`.
    pub outcome: &'static str,
    /// The result, as chat reads it.
    pub text: String,
}

/// The end of a series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesDone {
    /// What became of each plugin, in order.
    pub parts: Vec<Part>,
    /// What else was done, or was not.
    pub notes: Vec<String>,
}

impl SeriesDone {
    /// Whether nothing was refused.
    pub fn is_ok(&self) -> bool {
        self.parts.iter().all(|part| part.outcome != "refused")
    }

    /// The results for people: those of plugins that were changed or refused, and the names of the others.
    pub fn text(&self) -> String {
        let told = self.parts.iter().filter(|part| matches!(part.outcome, "done" | "refused"));
        let mut texts: Vec<_> = told.map(|part| part.text.clone()).collect();
        for (outcome, head) in [("unchanged", "Nothing to change"), ("left_out", "Not tried")] {
            let of_it = self.parts.iter().filter(|part| part.outcome == outcome);
            let names: Vec<_> = of_it.map(|part| part.plugin.as_str()).collect();
            if !names.is_empty() {
                texts.push(format!("{head}: {}.", names.join(", ")));
            }
        }
        texts.extend(self.notes.iter().cloned());
        if texts.is_empty() { "Nothing to do.".to_owned() } else { texts.join("\n") }
    }

    /// The results for programs.
    pub fn data(&self, series: Series) -> serde_json::Value {
        let part =
            |part: &Part| serde_json::json!({ "plugin": part.plugin, "outcome": part.outcome, "text": part.text });
        let parts: Vec<_> = self.parts.iter().map(part).collect();
        serde_json::json!({ "action": series.words(), "ok": self.is_ok(), "plugins": parts, "notes": self.notes })
    }

    pub(super) fn add(&mut self, plugin: &str, outcome: &'static str, text: String) {
        self.parts.push(Part { plugin: plugin.to_owned(), outcome, text });
    }
}

impl Admin {
    /// Checks permission and rate, and what there is to do. The proposal says what a yes will do.
    ///
    /// # Errors
    /// [`Refusal`], which is recorded.
    pub async fn propose_series(&self, actor: &Actor, series: Series) -> Result<SeriesProposal, Refusal> {
        self.allow(actor, series.words(), None, Role::Operator).await?;
        if self.is_stopping() {
            return Err(self.refuse_series(actor, series, Refusal::Stopping).await);
        }
        if let Err(refusal) = self.in_time(actor, &self.changes) {
            return Err(self.refuse_often(actor, series.words(), "", refusal).await);
        }
        if matches!(series, Series::Reload { .. }) && self.needs_two(Action::Reload) {
            return Err(self.refuse_series(actor, series, Refusal::NotInSeries(Action::Reload.word())).await);
        }
        let proposed = match series {
            Series::Reload { only_changed, keep_going } => self.reload_steps(only_changed, keep_going).await,
            Series::Config => self.config_steps().await,
        };
        match proposed {
            Ok((question, steps)) => Ok(SeriesProposal { question, series, steps }),
            Err(refusal) => Err(self.refuse_series(actor, series, refusal).await),
        }
    }

    async fn reload_steps(&self, only_changed: bool, keep_going: bool) -> Result<(String, Steps), Refusal> {
        let mut names = Vec::new();
        for name in self.plugins.names() {
            let is_wanted = match only_changed {
                true => self.plugins.has_new_build(&name).await,
                false => !self.plugins.is_disabled(&name),
            };
            names.extend(is_wanted.then_some(name));
        }
        if names.is_empty() {
            return Err(Refusal::NothingToDo("no plugin has a new build in the plugin folder".to_owned()));
        }
        let then = if keep_going { "and go on after a refusal" } else { "and stop at the first refusal" };
        Ok((format!("Reload {}, one after another, {then}?", names.join(", ")), Steps::Reload(names)))
    }

    /// Carries the series out. Each result also goes to `results` as soon as it is there. Cancellation does not stop it.
    ///
    /// # Errors
    /// [`Refusal`], when nothing was done or not all of it; its text has all results.
    pub async fn carry_out_series(
        self: &Arc<Self>,
        actor: &Actor,
        proposal: SeriesProposal,
        results: mpsc::Sender<String>,
    ) -> Result<SeriesDone, Refusal> {
        let series = proposal.series;
        self.allow(actor, series.words(), None, Role::Operator).await?;
        let under_way = Arc::clone(&self.under_way).acquire_owned().await.ok().filter(|_| !self.is_stopping());
        let Some(under_way) = under_way else {
            return Err(self.refuse_series(actor, series, Refusal::Stopping).await);
        };
        let (admin, actor) = (Arc::clone(self), actor.clone());
        let work = async move {
            let before = AuditRecord::new(Stage::Before, &actor, series.words(), None);
            let before = admin.audit.begin(before).await.map_err(Refusal::Audit)?;
            let began = Instant::now();
            let done = match proposal.steps {
                Steps::Reload(names) => {
                    let keep_going = matches!(series, Series::Reload { keep_going: true, .. });
                    admin.reload_each(&actor, names, keep_going, &results).await
                }
                Steps::Config(new) => admin.take_over(&actor, *new, &results).await,
            };
            let text = done.text();
            tracing::info!(user = %actor.user, via = %actor.via, "{}: {}", series.words(), text.replace('\n', " · "));
            let recorded = admin.audit.write(before.after(done.is_ok(), &text, Some(began.elapsed()))).await;
            drop(under_way);
            let result = if done.is_ok() { Ok(done) } else { Err(Refusal::Series(Box::new(done))) };
            match (recorded, result) {
                (Ok(_), result) => result,
                (Err(error), Ok(mut done)) => {
                    done.notes.push(format!("(The end of the action could not be recorded: {error})"));
                    Ok(done)
                }
                (Err(error), Err(refusal)) => Err(Refusal::Unrecorded { refusal: Box::new(refusal), error }),
            }
        };
        tokio::spawn(work).await.unwrap_or(Err(Refusal::Stopping))
    }

    async fn reload_each(
        &self,
        actor: &Actor,
        names: Vec<String>,
        keep_going: bool,
        results: &mpsc::Sender<String>,
    ) -> SeriesDone {
        let (mut done, mut followed) = (SeriesDone::default(), self.plugins.follow());
        for name in names {
            if !keep_going && !done.is_ok() {
                done.add(&name, "left_out", String::new());
                continue;
            }
            match self.reload_one(actor, &name).await {
                Ok(Some(text)) => done.add(&name, "done", text),
                Ok(None) => done.add(&name, "unchanged", String::new()),
                Err(refusal) => done.add(&name, "refused", refusal.to_string()),
            }
            // A plugin of this series whose trial has ended badly meanwhile counts as refused.
            notice_rollbacks(&mut done, &mut followed);
            if let Some(part) = done.parts.last().filter(|part| !part.text.is_empty()) {
                // The person may have gone, or reads slowly.
                let _ = results.try_send(part.text.clone());
            }
        }
        done
    }

    /// Reloads one plugin; `None` when it runs the build in the plugin folder already.
    async fn reload_one(&self, actor: &Actor, name: &str) -> Result<Option<String>, Refusal> {
        if self.plugins.runs_newest(name).await {
            return Ok(None);
        }
        let proposal = self.propose_part(actor, Action::Reload, name).await?;
        Ok(Some(self.carry_out(actor, proposal).await?.text))
    }

    /// Records that a question about a series got no yes.
    pub(super) async fn drop_series(&self, actor: &Actor, proposal: &SeriesProposal, why: &str) {
        let record = AuditRecord::new(Stage::Dropped, actor, proposal.series.words(), None);
        self.record_not_done(record.ended(false, why, None)).await;
    }

    async fn refuse_series(&self, actor: &Actor, series: Series, refusal: Refusal) -> Refusal {
        let record = AuditRecord::new(Stage::Refused, actor, series.words(), None);
        self.record_not_done(record.ended(false, &refusal.to_string(), None)).await;
        refusal
    }
}

fn notice_rollbacks(done: &mut SeriesDone, followed: &mut Receiver<LifecycleEvent>) {
    let mut back = BTreeSet::new();
    // An error means that there is nothing more, or that events were missed.
    while let Ok(LifecycleEvent { plugin, kind, .. }) = followed.try_recv() {
        if let LifecycleKind::State(StateEvent::RolledBack { why, .. }) = kind {
            back.insert((plugin, why));
        }
    }
    for (plugin, why) in back {
        let of_it = done.parts.iter_mut().find(|part| *part.plugin == *plugin && part.outcome == "done");
        if let Some(part) = of_it {
            (part.outcome, part.text) = ("refused", format!("{plugin} was rolled back by itself, because {why}."));
        }
    }
}
