//! Decides which build a plugin runs when the host starts: the one that an orderly stop left on trial; else its last
//! good artifact; if the store has lost that, the good one before it; if there is none, the build in the plugin folder.
//! Reports each case in which an operator may expect another build.

use crate::slot::startup::{OtherBuild, StartupChoice};
use crate::{
    artifact::{self, IntakeError},
    plugins::{PluginConfig, Plugins},
    process::start::Starter,
    slot::{
        command::Command,
        handle::{Gone, Handle},
    },
};
use rosey_core::{
    hash::Hash,
    state::{BuildHistory, Fault, HOST_RETRY, StartProblem},
};
use std::sync::Arc;
use tokio::{sync::oneshot, task::spawn_blocking};

/// Starts a plugin with the right build. Does not wait until it is up. Returns false when it was already up.
///
/// # Errors
/// When the host is stopping.
pub async fn start(starter: Arc<Starter>, handle: Handle, config: Arc<PluginConfig>) -> Result<bool, Gone> {
    let tried = try_start(&starter, &handle, &config, false).await?;
    if tried == Tried::Waits {
        tokio::spawn(retry(starter, handle, config));
    }
    Ok(tried != Tried::NotNow)
}

/// The result of a try to start a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// The plugin starts, or has failed.
    Done,
    /// The plugin is already up, or was stopped or changed meanwhile.
    NotNow,
    /// The host lacked something, and tries again.
    Waits,
}

/// Tries until the host lacks nothing any more, or a person decides otherwise.
async fn retry(starter: Arc<Starter>, handle: Handle, config: Arc<PluginConfig>) {
    loop {
        tokio::time::sleep(HOST_RETRY).await;
        // An error means that the host is stopping.
        if !matches!(try_start(&starter, &handle, &config, true).await, Ok(Tried::Waits)) {
            return;
        }
    }
}

async fn try_start(
    starter: &Arc<Starter>,
    handle: &Handle,
    config: &Arc<PluginConfig>,
    retry: bool,
) -> Result<Tried, Gone> {
    let history = handle.view().await?.history;
    let (answer, answered) = oneshot::channel();
    let choice = match choice(starter, config, &history).await {
        Ok(choice) => choice,
        Err(problem) => {
            handle.tell(Command::CannotStart { problem, retry, answer }).await?;
            let waits = answered.await.map_err(|_| Gone)?;
            return Ok(if waits { Tried::Waits } else { Tried::Done });
        }
    };
    let lost = choice.lost.iter().map(|(artifact, _)| *artifact).collect();
    handle.tell(Command::Start { artifact: choice.artifact, lost, retry, answer }).await?;
    let starts = answered.await.map_err(|_| Gone)?;
    // A plugin without a good artifact runs the build in the plugin folder, as every operator expects.
    if starts && history.last_good.is_some() {
        // The start need not wait for the report.
        tokio::spawn(tell(handle.clone(), Arc::clone(config), history, choice));
    }
    Ok(if starts { Tried::Done } else { Tried::NotNow })
}

/// Reports the choice, if an operator may expect another build.
async fn tell(handle: Handle, config: Arc<PluginConfig>, history: BuildHistory, mut choice: StartupChoice) {
    let lies = spawn_blocking(move || artifact::hash_of(&config.library)).await;
    // A library that is missing or unreadable is reported when an operator wants to change to it.
    let other = lies.ok().and_then(Result::ok).filter(|lies| *lies != choice.artifact);
    choice.other = other.map(|artifact| OtherBuild { artifact, blocked: history.blocked.contains(&artifact) });
    if !choice.is_plain() {
        // Fails only when the host is stopping.
        let _ = handle.tell(Command::StartupChosen(Arc::new(choice))).await;
    }
}

async fn choice(
    starter: &Arc<Starter>,
    config: &PluginConfig,
    history: &BuildHistory,
) -> Result<StartupChoice, StartProblem> {
    let unproven = history.active.filter(|active| history.last_good.is_some_and(|good| good != *active));
    let older = history.good.iter().rev().copied().filter(|hash| history.last_good != Some(*hash));
    let chosen = |artifact| StartupChoice::of(artifact, history.versions.clone(), config.limits.bake);
    let mut lost = Vec::new();
    for artifact in history.on_trial.into_iter().chain(history.last_good).chain(older) {
        let on_trial = history.on_trial == Some(artifact);
        let starter = Arc::clone(starter);
        let checked = spawn_blocking(move || starter.store.verify(&artifact)).await;
        match checked.expect("it does not panic, and the runtime waits for it") {
            Err(error) if error.is_lost() => lost.push((artifact, error.to_string())),
            // Any other problem shows at the start, and may be over by the next one.
            _ if on_trial => return Ok(StartupChoice { on_trial, ..chosen(artifact) }),
            _ => return Ok(StartupChoice { lost, unproven, ..chosen(artifact) }),
        }
    }
    let (why, fault) = match take_in(starter, config).await {
        Ok(artifact) if history.blocked.contains(&artifact) => {
            let artifact = artifact.short();
            let why = format!("artifact {artifact} in the plugin folder was rolled back; build a new one");
            (why, Fault::Artifact)
        }
        Ok(artifact) => return Ok(StartupChoice { lost, unproven, ..chosen(artifact) }),
        Err(error) if error.is_of_the_machine() => (error.to_string(), Fault::Host),
        Err(error) => (error.to_string(), Fault::Artifact),
    };
    let why = lost.into_iter().map(|(_, why)| why).chain([why]).collect::<Vec<_>>().join("; ");
    Err(StartProblem { why, fault })
}

impl Plugins {
    /// The artifact that the build in the plugin folder would be; `None` when it cannot be read.
    async fn lying(&self, name: &str) -> Option<Hash> {
        let config = self.config(name).ok()?;
        spawn_blocking(move || artifact::hash_of(&config.library)).await.ok()?.ok()
    }

    /// Whether a plugin serves with the very build that lies in the plugin folder.
    pub async fn runs_newest(&self, name: &str) -> bool {
        let Ok(view) = self.view(name).await else { return false };
        let Some(active) = view.active().map(|active| active.artifact) else { return false };
        self.lying(name).await == Some(active)
    }

    /// Whether a plugin serves, and another build lies in the plugin folder that is not blocked.
    pub async fn has_new_build(&self, name: &str) -> bool {
        let Ok(view) = self.view(name).await else { return false };
        let Some(active) = view.active().map(|active| active.artifact) else { return false };
        let lies = self.lying(name).await;
        lies.is_some_and(|lies| lies != active && !view.history.blocked.contains(&lies))
    }
}

/// Copies the build in the plugin folder into the store.
///
/// # Errors
/// [`IntakeError`].
pub async fn take_in(starter: &Arc<Starter>, config: &PluginConfig) -> Result<Hash, IntakeError> {
    let (starter, name, library) = (Arc::clone(starter), config.name.clone(), config.library.clone());
    let taken = spawn_blocking(move || starter.store.intake(&name, &library)).await;
    taken.expect("intake does not panic, and the runtime waits for it").map(|artifact| artifact.hash)
}
