//! The view of a slot for other rooms.

use crate::process::sandbox::RuleReport;
use crate::slot::account::Account;
use crate::slot::startup::StartupChoice;
use crate::slot::{
    actor::Task,
    lifecycle::{LifecycleKind, reload},
    live::Live,
};
use rosey_core::state::{GenerationId, HOST_RETRY, Phase, PluginState, ReloadMode, Role, StoreTask};
use rosey_core::{hash::Hash, ledger::Ledger, state::BuildHistory};
use rosey_wire::manifest::Manifest;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// A process of the plugin, as people see it.
#[derive(Debug, Clone)]
pub struct GenerationView {
    /// Its number, from 1 in each run of the host.
    pub number: GenerationId,
    /// The artifact that it runs.
    pub artifact: Hash,
    /// The version that the plugin declares.
    pub version: String,
    /// The id of its process.
    pub pid: u32,
    /// Its role for the plugin.
    pub role: Role,
    /// When it was ready.
    pub since: SystemTime,
    /// Time until it was ready.
    pub start_took: Duration,
    /// Events that it has.
    pub in_flight: usize,
    /// What its sandbox holds.
    pub sandbox: Arc<[RuleReport]>,
}

/// A slot at one moment: all figures belong together.
#[derive(Debug, Clone)]
pub struct View {
    /// The NAME of `[plugins.NAME]`.
    pub plugin: Arc<str>,
    /// The state in one word.
    pub state: PluginState,
    /// More about the state: why it failed, when the next start is due, what a change waits for.
    pub explanation: Option<String>,
    /// Why another build than the newest one has run since the start, if so.
    pub startup: Option<Arc<StartupChoice>>,
    /// The manifest of the last good start.
    pub manifest: Option<Arc<Manifest>>,
    /// The reload mode.
    pub reload: ReloadMode,
    /// The artifact that people see as the running one, unless the plugin is stopped.
    pub current: Option<Hash>,
    /// The artifact that a rollback would start.
    pub rollback_target: Option<Hash>,
    /// All artifacts that it runs or could run without a build: the store keeps them.
    pub artifacts: Vec<Hash>,
    /// All generations with a process.
    pub generations: Vec<GenerationView>,
    /// Events that were accepted, that wait, and that ended.
    pub ledger: Ledger,
    /// Events that wait for a generation.
    pub queued: usize,
    /// Events that left the queue and have no outcome yet.
    pub in_flight: usize,
    /// The other counters.
    pub account: Account,
    /// Timers that are set.
    pub timers: u64,
    /// What Rosey remembers across restarts of the host.
    pub history: BuildHistory,
    /// Time left of a bake under way.
    pub bake_left: Option<Duration>,
}

impl View {
    /// The generation that serves.
    pub fn active(&self) -> Option<&GenerationView> {
        self.generations.iter().find(|generation| generation.role == Role::Active)
    }

    /// The version of an artifact, if one of its processes runs or the history has it.
    pub fn version(&self, artifact: Hash) -> Option<&str> {
        let stands = self.generations.iter().find(|generation| generation.artifact == artifact);
        let stands = stands.map(|generation| generation.version.as_str());
        stands.or_else(|| self.history.versions.get(&artifact).map(String::as_str))
    }
}

impl Task {
    /// The view of this moment.
    pub(super) fn view(&self, now: Instant) -> View {
        View {
            plugin: Arc::clone(&self.setup.name),
            state: self.word(),
            explanation: self.explanation(now),
            startup: self.startup.clone(),
            manifest: self.manifest.clone(),
            reload: self.reload_mode(),
            current: self.state.current(),
            rollback_target: self.state.rollback_target(),
            artifacts: self.state.artifacts(),
            generations: self.generations(),
            ledger: *self.flow.ledger(),
            queued: self.flow.queued(),
            in_flight: self.flow.in_flight(),
            account: self.account.clone(),
            timers: self.timers.count,
            history: self.state.history().clone(),
            bake_left: self.state.bake().map(|bake| bake.until.saturating_duration_since(now)),
        }
    }

    /// The reload mode: the operator's, or else the plugin's.
    pub(super) fn reload_mode(&self) -> ReloadMode {
        self.setup.reload.or(self.manifest.as_ref().map(|manifest| manifest.reload)).unwrap_or_default()
    }

    /// More about the state, in words.
    fn explanation(&self, now: Instant) -> Option<String> {
        if let Some(change) = self.state.change() {
            let since = now.saturating_duration_since(change.began).as_secs_f32();
            return Some(format!("{} for {since:.1} s", change.kind));
        }
        match self.state.phase() {
            Phase::Failed { why } => Some(why.clone()),
            Phase::Backoff { until, why, .. } => {
                let next = format!("next start in {:.1} s", until.saturating_duration_since(now).as_secs_f32());
                Some(why.as_ref().map_or(next.clone(), |why| format!("{why}; {next}")))
            }
            Phase::Waiting { why } => Some(format!("{why}; tried again every {} s", HOST_RETRY.as_secs())),
            Phase::Running { .. } => self.startup.as_ref().map(|choice| choice.text(&reload(&self.setup.name))),
            Phase::Preparing { task: StoreTask::PuttingBack, .. } => {
                Some("its store from before is put back".to_owned())
            }
            Phase::Preparing { .. } => Some("its store is migrated".to_owned()),
            Phase::Stopped | Phase::Starting { .. } | Phase::Replacing => None,
        }
    }

    /// Takes the reason why another build than the newest one runs.
    pub(super) fn startup_choice(&mut self, choice: Arc<StartupChoice>) {
        if self.state.current() == Some(choice.artifact) {
            self.happened(LifecycleKind::StartupChosen(Arc::clone(&choice)));
            self.startup = Some(choice);
        }
    }

    /// The state in one word. `unhealthy` means that the active generation has not answered the last ping.
    fn word(&self) -> PluginState {
        let silent = |generation| {
            let live = self.live.iter().find(|live| live.generation == generation);
            live.is_some_and(Live::is_silent)
        };
        match self.state.active() {
            Some(generation) if self.state.change().is_none() && silent(generation) => PluginState::Unhealthy,
            _ => self.state.plugin_state(),
        }
    }

    /// Records a sign of life of a generation.
    pub(super) fn hear(&mut self, at: usize) {
        if self.live[at].answers() {
            self.tell_health(self.live[at].generation, true);
        }
    }

    /// Reports that the active generation does not answer, or answers again.
    pub(super) fn tell_health(&self, generation: GenerationId, answers: bool) {
        if self.state.active() == Some(generation) {
            self.happened(LifecycleKind::Health { answers });
        }
    }

    fn generations(&self) -> Vec<GenerationView> {
        let mut views: Vec<_> = self
            .live
            .iter()
            .map(|live| live.view(self.state.role(live.generation), self.flow.in_flight_in(live.generation)))
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.number));
        views
    }
}
