//! What a plugin that starts runs: its last good artifact; where the store has lost that, the good one before it; where
//! there is none, what the build left. Whoever may have expected another build is told.

use super::{
    PluginConfig,
    artifact::{self, Hash, IntakeError},
    generation::Forge,
    slot::{Gone, Handle, message::Command, state::Memory},
};
use std::sync::Arc;
use tokio::{sync::oneshot, task::spawn_blocking};
use tracing::Level;

/// What is run, and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// What is run.
    pub artifact: Hash,
    /// Good artifacts that the store has lost, the newest first, each with what became of it.
    pub lost: Vec<(Hash, String)>,
    /// What ran last, and was not found good.
    pub unproven: Option<Hash>,
    /// What lies in the build folder, where that is another build.
    pub other: Option<Other>,
}

/// A build in the build folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// It.
    pub artifact: Hash,
    /// Whether it was rolled back from.
    pub condemned: bool,
}

impl Pick {
    /// Whether it is what everybody expects.
    fn is_plain(&self) -> bool {
        self.lost.is_empty() && self.unproven.is_none() && self.other.is_none()
    }

    /// How bad it is.
    pub fn level(&self) -> Level {
        match (self.lost.is_empty(), self.unproven) {
            (false, _) => Level::ERROR,
            (true, Some(_)) => Level::WARN,
            (true, None) => Level::INFO,
        }
    }

    /// Why it is not the newest build that runs. `reload` is the command that changes to that.
    pub fn text(&self, reload: &str) -> String {
        let mut parts: Vec<_> = self.lost.iter().map(|(_, why)| why.clone()).collect();
        if let Some(unproven) = self.unproven {
            parts.push(format!("artifact {}, which ran last, had not passed its bake", unproven.short()));
        }
        match self.other {
            Some(Other { artifact, condemned: true }) => parts.push(format!(
                "what lies in the build folder (artifact {}) was rolled back from; build a new one",
                artifact.short()
            )),
            Some(Other { artifact, .. }) => {
                parts.push(format!("another build lies in the build folder (artifact {}): {reload}", artifact.short()))
            }
            None => {}
        }
        format!("it runs artifact {}: {}", self.artifact.short(), parts.join("; "))
    }
}

/// Starts a plugin with what it is to run. Does not wait until it is up. False when it was up already.
///
/// # Errors
/// When the host is stopping.
pub async fn start(forge: Arc<Forge>, handle: Handle, config: PluginConfig) -> Result<bool, Gone> {
    let memory = handle.view().await?.memory;
    let pick = match pick(&forge, &config, &memory).await {
        Ok(pick) => pick,
        Err(why) => return handle.tell(Command::CannotStart(why)).await.map(|()| true),
    };
    let (answer, starts) = oneshot::channel();
    let lost = pick.lost.iter().map(|(artifact, _)| *artifact).collect();
    handle.tell(Command::Start { artifact: pick.artifact, lost, answer }).await?;
    let starts = starts.await.map_err(|_| Gone)?;
    // On its first day it runs what was built, as everybody expects.
    if starts && memory.last_good.is_some() {
        // It need not wait for that.
        tokio::spawn(tell(handle, config, memory, pick));
    }
    Ok(starts)
}

/// Says what was picked, where that is worth a word.
async fn tell(handle: Handle, config: PluginConfig, memory: Memory, mut pick: Pick) {
    let lies = spawn_blocking(move || artifact::hash_of(&config.library)).await;
    // A library that is not there, or cannot be read, is told when somebody wants to change to it.
    let other = lies.ok().and_then(Result::ok).filter(|lies| *lies != pick.artifact);
    pick.other = other.map(|artifact| Other { artifact, condemned: memory.condemned.contains(&artifact) });
    if !pick.is_plain() {
        // Fails only when the host is stopping.
        let _ = handle.tell(Command::Picked(Arc::new(pick))).await;
    }
}

async fn pick(forge: &Arc<Forge>, config: &PluginConfig, memory: &Memory) -> Result<Pick, String> {
    let unproven = memory.active.filter(|active| memory.last_good.is_some_and(|good| good != *active));
    let older = memory.history.iter().rev().copied().filter(|hash| memory.last_good != Some(*hash));
    let mut lost = Vec::new();
    for artifact in memory.last_good.into_iter().chain(older) {
        let forge = Arc::clone(forge);
        let checked = spawn_blocking(move || forge.store.verify(&artifact)).await;
        match checked.expect("it does not panic, and the runtime waits for it") {
            Err(error) if error.is_lost() => lost.push((artifact, error.to_string())),
            // What else is wrong with it, its start says: that may be over at the next.
            _ => return Ok(Pick { artifact, lost, unproven, other: None }),
        }
    }
    let left = take_in(forge, config).await.map(|artifact| match memory.condemned.contains(&artifact) {
        false => Ok(artifact),
        true => Err(format!("artifact {} in the build folder was rolled back from; build a new one", artifact.short())),
    });
    match left.map_err(|error| error.to_string()).flatten() {
        Ok(artifact) => Ok(Pick { artifact, lost, unproven, other: None }),
        Err(why) => Err(lost.into_iter().map(|(_, why)| why).chain([why]).collect::<Vec<_>>().join("; ")),
    }
}

/// Copies what the build left into the store.
///
/// # Errors
/// [`IntakeError`].
pub async fn take_in(forge: &Arc<Forge>, config: &PluginConfig) -> Result<Hash, IntakeError> {
    let (forge, name, library) = (Arc::clone(forge), config.name.clone(), config.library.clone());
    let taken = spawn_blocking(move || forge.store.intake(&name, &library)).await;
    taken.expect("intake does not panic, and the runtime waits for it").map(|artifact| artifact.hash)
}
