//! Why a request about a plugin was not carried out.

use crate::{artifact, process::start::StartError, slot::handle::Gone};
use rosey_core::state::ChangeError;

/// Why a request about a plugin was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// There is no plugin with this name.
    #[error("there is no plugin {name}{}", suggest(.nearest))]
    Unknown {
        /// The name in the request.
        name: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// The build cannot be copied into the store.
    #[error(transparent)]
    Intake(#[from] artifact::IntakeError),
    /// The artifact to start is damaged or gone.
    #[error(transparent)]
    Artifact(#[from] artifact::VerifyError),
    /// The build cannot run.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The build wants more of its sandbox than the operator grants.
    #[error("it wants {wants}, which is not granted. To grant it, write {write} into the configuration and apply it")]
    NotGranted {
        /// What is not granted.
        wants: String,
        /// The lines to write.
        write: String,
    },
    /// The slot refuses or fails the change.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// There is no dead letter with this number.
    #[error("{plugin} has no dead letter {id}; deadletters {plugin} numbers them")]
    NoLetter {
        /// The plugin that the request names.
        plugin: String,
        /// The number in the request.
        id: i64,
    },
    /// There is no timer with this number.
    #[error("{plugin} has no timer {id}; timers {plugin} numbers them")]
    NoTimer {
        /// The plugin that the request names.
        plugin: String,
        /// The number in the request.
        id: i64,
    },
    /// The slot did not accept a dead letter.
    #[error("{0} does not take events now; start it, or wait until its queue is shorter. The letter is kept")]
    NotAccepted(String),
    /// The plugin belongs to the set already.
    #[error("it is loaded already")]
    Loaded,
    /// The plugin is disabled.
    #[error("it is disabled; enable it first")]
    Disabled,
    /// The plugin is not disabled.
    #[error("it is not disabled")]
    Enabled,
    /// The database reports an error.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The host is stopping.
    #[error(transparent)]
    Gone(#[from] Gone),
}

fn suggest(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}
