//! The slot as others see it.

use super::{
    live::Live,
    message::{GenerationView, View, What},
    state::{Generation, Phase, ReloadMode, Stay},
    task::Task,
};
use crate::plugin::pick::Pick;
use std::{sync::Arc, time::Instant};

impl Task {
    /// Everything at this moment.
    pub(super) fn view(&self, now: Instant) -> View {
        View {
            plugin: Arc::clone(&self.setup.name),
            state: self.word(),
            explanation: self.explanation(now),
            pick: self.pick.clone(),
            manifest: self.manifest.clone(),
            reload: self.reload_mode(),
            standing: self.state.standing(),
            earlier: self.state.earlier(),
            artifacts: self.state.artifacts(),
            generations: self.generations(),
            ledger: *self.flow.ledger(),
            queued: self.flow.queued(),
            in_flight: self.flow.in_flight(),
            account: self.account.clone(),
            memory: self.state.memory().clone(),
            bake_left: self.state.bake().map(|bake| bake.until.saturating_duration_since(now)),
        }
    }

    /// How it is reloaded: as the operator says, or else as the plugin does.
    pub(super) fn reload_mode(&self) -> ReloadMode {
        self.setup.reload.or(self.manifest.as_ref().map(|manifest| manifest.reload)).unwrap_or_default()
    }

    /// What to know about the state, in words.
    fn explanation(&self, now: Instant) -> Option<String> {
        if let Some(change) = self.state.change() {
            let since = now.saturating_duration_since(change.began).as_secs_f32();
            return Some(format!("{} for {since:.1} s", change.kind.word()));
        }
        match self.state.phase() {
            Phase::Failed { why } => Some(why.clone()),
            Phase::Backoff { until, .. } => {
                Some(format!("next start in {:.1} s", until.saturating_duration_since(now).as_secs_f32()))
            }
            Phase::Running { .. } => self.pick.as_ref().map(|pick| pick.text(&format!("reload {}", self.setup.name))),
            Phase::Stopped | Phase::Starting { .. } | Phase::Replacing => None,
        }
    }

    /// Takes note of why something else runs than the newest build.
    pub(super) fn picked(&mut self, pick: Arc<Pick>) {
        if self.state.standing() == Some(pick.artifact) {
            self.happened(What::Picked(Arc::clone(&pick)));
            self.pick = Some(pick);
        }
    }

    /// The state in the PRD's words. `unhealthy` is a generation that serves and has not answered the last ping.
    fn word(&self) -> &'static str {
        let silent = |generation| {
            let live = self.live.iter().find(|live| live.generation == generation);
            live.is_some_and(Live::is_silent)
        };
        match self.state.active() {
            Some(generation) if self.state.change().is_none() && silent(generation) => "unhealthy",
            _ => self.state.word(),
        }
    }

    /// A generation gives a sign of life.
    pub(super) fn hear(&mut self, at: usize) {
        if self.live[at].answers() {
            self.tell_health(self.live[at].generation, true);
        }
    }

    /// Says that the active generation answers no more, or does again.
    pub(super) fn tell_health(&self, generation: Generation, answers: bool) {
        if self.state.active() == Some(generation) {
            self.happened(What::Health { answers });
        }
    }

    fn generations(&self) -> Vec<GenerationView> {
        let mut views: Vec<_> = self
            .live
            .iter()
            .map(|live| live.view(self.role(live.generation), self.flow.in_flight_in(live.generation)))
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.number));
        views
    }

    fn role(&self, generation: Generation) -> &'static str {
        if self.state.active() == Some(generation) {
            return "active";
        }
        if self.state.staged() == Some(generation) {
            return "staged";
        }
        match self.state.old().iter().find(|old| old.generation == generation).map(|old| old.stay) {
            Some(Stay::Draining { .. }) => "draining",
            Some(Stay::Parked) => "parked",
            _ => "retiring",
        }
    }
}
