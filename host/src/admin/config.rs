//! The configuration while Rosey runs: what has changed in it, and how that is taken over, plugin by plugin.
//!
//! Before the question, each plugin that changes was tried in a throw-away process. If a step fails after the yes, the
//! steps before it are undone: a configuration is taken over as a whole, or not at all.

use super::{
    Actor, Admin, AdminConfig, Answer, Refusal, Via,
    audit::{AuditRecord, Stage},
    change::alike,
    series::{Series, SeriesDone, Steps},
    socket,
};
use crate::{
    event::{Identity, User},
    plugins::{Candidate, Catalog, NewPlugin, Planned, PluginConfig, Step, name_problem, wishes},
};
use rosey_core::hash::Hash;
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, PoisonError},
    time::Instant,
};
use tokio::sync::mpsc;

/// A configuration as the file has it now.
#[derive(Debug, Clone)]
pub struct NewConfig {
    /// What it says of the set of plugins.
    pub catalog: Catalog,
    /// The settings of the admin.
    pub admin: AdminConfig,
    /// The settings that differ from those at the start, and that only a restart takes over.
    pub restart: Vec<String>,
}

/// Reads the configuration again, or returns each problem with its place. Blocks for a moment.
pub type ReadConfig = Box<dyn Fn() -> Result<NewConfig, String> + Send + Sync>;

/// The way to read the configuration.
pub(super) struct Source(pub ReadConfig);

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Source")
    }
}

/// Takes a step back.
enum Undo {
    Configure(String, Arc<PluginConfig>),
    Load(Box<NewPlugin>, Option<Hash>),
    Unload(String),
}

/// What a person who may change plugins reads of the difference between the configuration and what is in force.
struct Plan {
    new: NewConfig,
    steps: Vec<Planned>,
    at_once: Vec<String>,
    decided: Vec<String>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.at_once.is_empty()
    }

    /// What taking it over does, in a sentence.
    fn words(&self) -> String {
        let mut parts: Vec<_> = self.steps.iter().map(Planned::words).collect();
        if !self.at_once.is_empty() {
            parts.push(format!("change {} at once", self.at_once.join(", ")));
        }
        parts.join("; ")
    }

    fn restart(&self) -> Option<String> {
        let keys = &self.new.restart;
        (!keys.is_empty()).then(|| format!("Needs a restart of Rosey: {}.", keys.join(", ")))
    }

    fn text(&self) -> String {
        let does = match self.is_empty() {
            true => "Nothing to take over while Rosey runs.".to_owned(),
            false => format!("config reload would {}.", self.words()),
        };
        let decided = self.decided.iter().map(|text| format!("{text}."));
        let all: Vec<_> = std::iter::once(does).chain(self.restart()).chain(decided).collect();
        all.join(" ")
    }
}

impl AdminConfig {
    /// The settings that differ, by their names in the configuration.
    fn differences(&self, new: &Self) -> Vec<String> {
        let differs = [
            ("owner", self.owner != new.owner),
            ("admins", self.admins != new.admins),
            ("roles", self.roles != new.roles),
            ("admin.trust_nicks", self.trust_nicks != new.trust_nicks),
            ("admin.two_person", self.two_person != new.two_person),
            ("admin.per_minute", self.per_minute != new.per_minute),
            ("admin.cooldown", self.cooldown != new.cooldown),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
    }
}

impl Admin {
    /// Sets how the configuration is read again. Before that, it cannot be reloaded.
    pub fn set_config_source(&self, read: ReadConfig) {
        // A second call changes nothing.
        let _ = self.source.set(Source(read));
    }

    /// Takes the configuration over because of a signal.
    pub async fn reload_config(self: &Arc<Self>) {
        let name = socket::user_name(rustix::process::geteuid().as_raw());
        let user = User { name: name.clone(), identity: Identity::System(name) };
        let actor = Actor { user: user.into(), via: Via::Host, place: "SIGHUP".to_owned() };
        // The log has all results.
        let (results, _) = mpsc::channel(1);
        let done = match self.propose_series(&actor, Series::Config).await {
            Ok(proposal) => self.carry_out_series(&actor, proposal, results).await.map(|_| ()),
            Err(refusal) => Err(refusal),
        };
        match done {
            Ok(()) => {}
            Err(refusal @ Refusal::NothingToDo(_)) => tracing::info!("SIGHUP: {refusal}"),
            Err(refusal) => tracing::error!("SIGHUP: {refusal}"),
        }
    }

    async fn read_plan(&self) -> Result<Plan, Refusal> {
        let problem = |why: &dyn fmt::Display| Refusal::Configuration(why.to_string());
        let me = self.me.upgrade().ok_or(Refusal::Stopping)?;
        let read = move || me.source.get().map(|source| source.0());
        let read = tokio::task::spawn_blocking(read).await.map_err(|error| problem(&error))?;
        let new = read.ok_or(Refusal::Stopping)?.map_err(Refusal::Configuration)?;
        let steps = self.plugins.plan(&new.catalog).await.map_err(|error| problem(&error))?;
        let decided = self.plugins.decided_otherwise(&new.catalog).await.map_err(|error| problem(&error))?;
        let at_once = self.config.lock().unwrap_or_else(PoisonError::into_inner).differences(&new.admin);
        Ok(Plan { new, steps, at_once, decided })
    }

    /// The answer to `config plan`.
    pub(super) async fn config_plan(&self) -> Result<Answer, Refusal> {
        let plan = self.read_plan().await?;
        let steps: Vec<_> = plan.steps.iter().map(Planned::words).collect();
        let data = serde_json::json!({
            "plugins": steps, "at_once": plan.at_once, "restart": plan.new.restart, "decided_by_operators": plan.decided,
        });
        Ok(Answer { text: plan.text(), data })
    }

    /// Reads the configuration, and tries each plugin with it.
    pub(super) async fn config_steps(&self) -> Result<(String, Steps), Refusal> {
        let plan = self.read_plan().await?;
        if plan.is_empty() {
            let restart = plan.restart().unwrap_or_else(|| "the configuration is the one in force".to_owned());
            return Err(Refusal::NothingToDo(restart));
        }
        let is_left = |planned: &&Planned| matches!(planned.step, Step::Unload);
        let leaving: BTreeSet<_> = plan.steps.iter().filter(is_left).map(|planned| planned.plugin.clone()).collect();
        for planned in &plan.steps {
            let tried = match &planned.step {
                Step::Unload => Ok(()),
                Step::Load(new) => self.check_new(&planned.plugin, new, &leaving).await.map(|_| ()),
                Step::Configure { process, .. } if process.is_empty() => Ok(()),
                Step::Configure { config, .. } => {
                    let tried = self.plugins.try_settings(&planned.plugin, config).await;
                    tried.map_err(|error| Refusal::failed("config reload", &planned.plugin, error, None))
                }
            };
            tried.map_err(|refusal| Refusal::Configuration(refusal.to_string()))?;
        }
        let restart = plan.restart().map(|text| format!(" {text}")).unwrap_or_default();
        let question = format!("Take over the configuration: {}?{restart}", plan.words());
        Ok((question, Steps::Config(Box::new(plan.new))))
    }

    /// Inspects a plugin that is to join the set, and refuses it if a plugin that stays has one of its commands.
    pub(super) async fn check_new(
        &self,
        plugin: &str,
        new: &NewPlugin,
        leaving: &BTreeSet<String>,
    ) -> Result<Candidate, Refusal> {
        let refused = |why: &str| Refusal::NotLoaded { plugin: plugin.to_owned(), why: why.to_owned() };
        if let Some(why) = name_problem(plugin) {
            return Err(refused(why));
        }
        let candidate = self.plugins.inspect_new(new).await;
        let candidate = candidate.map_err(|source| Refusal::failed("load", plugin, source, None))?;
        let granted = wishes::check(&candidate.manifest.wishes, &new.config);
        granted.map_err(|source| Refusal::failed("load", plugin, source, None))?;
        let name = &candidate.manifest.name;
        if !alike(name, plugin) {
            let library = new.config.library.display();
            return Err(refused(&format!("{library} is the plugin {name}; load it by that name")));
        }
        match self.router.get().and_then(|router| router.taken(plugin, &candidate.manifest, leaving)) {
            Some(why) => Err(refused(&why)),
            None => Ok(candidate),
        }
    }

    /// Takes a configuration over. If a step fails, undoes those before it.
    pub(super) async fn take_over(&self, actor: &Actor, new: NewConfig, results: &mpsc::Sender<String>) -> SeriesDone {
        let mut done = SeriesDone::default();
        let steps = match self.plugins.plan(&new.catalog).await {
            Ok(steps) => steps,
            Err(error) => {
                done.add("", "refused", format!("Nothing was changed: {error}."));
                return done;
            }
        };
        let (before, mut undo) = (self.plugins.set_catalog(new.catalog.clone()), Vec::new());
        for planned in steps {
            match self.take_step(actor, &planned).await {
                Ok((text, back)) => {
                    // The person may have gone, or reads slowly.
                    let _ = results.try_send(text.clone());
                    done.add(&planned.plugin, "done", text);
                    undo.extend(back);
                }
                Err(text) => {
                    done.parts.clear();
                    done.add(&planned.plugin, "refused", text);
                    self.plugins.set_catalog(Catalog::clone(&before));
                    let failed = self.take_back(undo).await;
                    let all = "Everything else is as before: the configuration in force has not changed.".to_owned();
                    done.notes.push(if failed.is_empty() { all } else { failed.join(" ") });
                    return done;
                }
            }
        }
        let at_once = self.set_config(new.admin);
        if !at_once.is_empty() {
            done.notes.push(format!("Changed at once: {}.", at_once.join(", ")));
        }
        if !new.restart.is_empty() {
            done.notes.push(format!("Needs a restart of Rosey: {}.", new.restart.join(", ")));
        }
        done
    }

    /// Does one step between two records, and returns how to undo it.
    async fn take_step(&self, actor: &Actor, planned: &Planned) -> Result<(String, Option<Undo>), String> {
        let plugin = planned.plugin.as_str();
        let record = AuditRecord::new(Stage::Before, actor, &planned.words(), Some(plugin));
        let before = self.audit.begin(record).await.map_err(|error| Refusal::Audit(error).to_string())?;
        let began = Instant::now();
        let result = self.do_step(planned).await;
        self.cooldown.mark(plugin, Instant::now());
        let text = match &result {
            Ok((text, _)) => text.clone(),
            Err(refusal) => refusal.to_string(),
        };
        if let Err(error) = self.audit.write(before.after(result.is_ok(), &text, Some(began.elapsed()))).await {
            tracing::error!(%plugin, "the end of the action cannot be recorded: {error}");
        }
        result.map_err(|_| text)
    }

    async fn do_step(&self, planned: &Planned) -> Result<(String, Option<Undo>), Refusal> {
        let plugin = planned.plugin.as_str();
        let fail = |source| Refusal::failed("config reload", plugin, source, None);
        match &planned.step {
            Step::Unload => {
                let config = PluginConfig::clone(&*self.plugins.config(plugin).map_err(fail)?);
                let runs = self.plugins.view(plugin).await.map_err(fail)?.current;
                self.plugins.unload(plugin).await.map_err(fail)?;
                let back = Undo::Load(Box::new(NewPlugin { config, library: None }), runs);
                Ok((format!("{plugin} is unloaded."), Some(back)))
            }
            Step::Load(new) => {
                let candidate = self.check_new(plugin, new, &BTreeSet::new()).await?;
                self.plugins.load(new.clone(), candidate.artifact).await.map_err(fail)?;
                let text = format!("{plugin} {} is loaded.", candidate.manifest.version);
                Ok((text, Some(Undo::Unload(plugin.to_owned()))))
            }
            Step::Configure { config, process, at_once } => {
                let before = self.plugins.config(plugin).map_err(fail)?;
                let changed = self.plugins.configure(plugin, config.clone()).await.map_err(fail)?;
                let names: Vec<_> = process.iter().chain(at_once).map(String::as_str).collect();
                let generation = changed.and_then(|done| done.generation);
                let by = generation.map(|number| format!(", by generation {number}")).unwrap_or_default();
                let text = format!("{plugin} goes by the new {}{by}.", names.join(", "));
                Ok((text, Some(Undo::Configure(plugin.to_owned(), before))))
            }
        }
    }

    /// Undoes steps, the last one first. Returns what could not be undone.
    async fn take_back(&self, undo: Vec<Undo>) -> Vec<String> {
        let mut failed = Vec::new();
        for step in undo.into_iter().rev() {
            let (plugin, undone) = match step {
                Undo::Configure(plugin, config) => {
                    let undone = self.plugins.configure(&plugin, PluginConfig::clone(&config)).await.map(|_| ());
                    (plugin, undone)
                }
                Undo::Unload(plugin) => {
                    let undone = self.plugins.unload(&plugin).await;
                    (plugin, undone)
                }
                Undo::Load(new, runs) => {
                    let plugin = new.config.name.clone();
                    let undone = match runs {
                        Some(artifact) => self.plugins.load(*new, artifact).await.map(|_| ()),
                        None => self.plugins.load_newest(*new).await,
                    };
                    (plugin, undone)
                }
            };
            failed.extend(undone.err().map(|error| format!("{plugin} could not be put back: {error}.")));
        }
        failed
    }

    /// Puts other settings of the admin in force. Returns the names of those that changed.
    fn set_config(&self, new: AdminConfig) -> Vec<String> {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = config.differences(&new);
        *self.permissions.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new.permissions());
        self.queries.set(new.per_minute);
        self.changes.set(new.per_minute);
        self.cooldown.set(new.cooldown);
        // The copy of the audit stays where it is until a restart.
        let audit_file = config.audit_file.take();
        *config = AdminConfig { audit_file, ..new };
        changed
    }
}
