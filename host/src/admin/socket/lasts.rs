//! Whether a change has lasted until the plugin is at rest.

use crate::{
    admin::{Action, Completed},
    slot::{
        lifecycle::{LifecycleEvent, LifecycleKind, left},
        view::View,
    },
};
use rosey_core::state::StateEvent;
use tokio::sync::broadcast::Receiver;

/// Whether the change still holds; if not, what happened.
pub(super) fn lasts(
    action: Action,
    completed: &Completed,
    view: &View,
    mut followed: Receiver<LifecycleEvent>,
) -> Result<(), String> {
    let active = view.active();
    let generation = active.map(|active| active.number);
    let artifact = active.map(|active| active.artifact);
    let lasts = match (action, completed.generation, &completed.builds.to) {
        (Action::Stop | Action::Disable | Action::Replay(_) | Action::Discard(_) | Action::CancelTimer(_), ..) => true,
        // The build was still starting.
        (_, None, Some(to)) => artifact == Some(to.artifact),
        (_, expected, _) => generation == expected,
    };
    if lasts {
        return Ok(());
    }
    let now = match active {
        Some(active) => format!("{} runs as generation {} now", active.version, active.number),
        None => format!("it is {} now", view.explanation.as_deref().unwrap_or(view.state.word())),
    };
    while let Ok(LifecycleEvent { plugin, kind, .. }) = followed.try_recv() {
        if let LifecycleKind::State(StateEvent::RolledBack { why, state, store, .. }) = kind
            && plugin == view.plugin
        {
            return Err(format!(
                "the change was done and then rolled back, because {why}{}; {now}",
                left(state, store)
            ));
        }
    }
    Err(format!("the change was done and did not last: {now}"))
}
