//! What the host keeps for one plugin: its queue, its generations, its account.
//!
//! [`handle::Handle`] is the way in; behind it one task (`actor`) owns everything. `rosey_core::flow` decides about the
//! events and `rosey_core::state` about the generations; the actor applies what they decide (`effects`), and `commits` is the
//! plugin's way to what it keeps. What shims say
//! comes in through `inbound`, what people see goes out through [`view`] and [`lifecycle`].
//! Knows nothing of connectors, admin or HTTP.

mod actor;
mod commits;
mod effects;
mod inbound;
mod live;
mod record;

pub mod account;
pub mod command;
pub mod cooldown;
pub mod crash;
pub mod dead_letter;
pub mod handle;
pub mod history;
pub mod lifecycle;
pub mod outlets;
pub mod pace;
pub mod startup;
pub mod view;

use crate::{
    commit::Usage,
    event::Place,
    process::start::{OwnSettings, Starter},
    store::Database,
    time::Clock,
};
use lifecycle::LifecycleEvent;
use outlets::Outlets;
use pace::Pacer;
use rosey_core::{
    limits::Limits,
    restart::RestartPolicy,
    state::{BuildHistory, Policy, ReloadMode},
};
use rosey_wire::manifest::Manifest;
use std::{sync::Arc, time::Duration};

/// Between asking a generation to stop and killing it. Its events are answered by then.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What a slot is made of.
pub struct Setup {
    /// The plugin's name.
    pub name: Arc<str>,
    /// Limits in force.
    pub limits: Limits,
    /// The reload mode, when the operator set one.
    pub reload: Option<ReloadMode>,
    /// The probe, when the operator set one.
    pub probe: Option<String>,
    /// Whether commands are written down before they are accepted, so that they outlive the host.
    pub journal: bool,
    /// The channels of others that it may speak in, as `CONNECTOR:CHANNEL`.
    pub speaks_in: Vec<String>,
    /// The way of what leaves the slot besides answers.
    pub outlets: Arc<dyn Outlets>,
    /// The plugin's own settings.
    pub config: Arc<OwnSettings>,
    /// What is shared by all plugins.
    pub starter: Arc<Starter>,
    /// Whose turn it is to wake a shim; shared by all plugins.
    pub pacer: Arc<Pacer>,
    /// Where dead letters and the history of builds go.
    pub database: Database,
    /// What is remembered from the host before this one.
    pub history: BuildHistory,
    /// The waits of cooldowns that were under way, as [`cooldown::load`] has them.
    pub waits: Vec<(u64, u64)>,
    /// What says which time of the day it is.
    pub clock: Clock,
    /// What the plugin said of itself then.
    pub manifest: Option<Arc<Manifest>>,
    /// What the plugin keeps.
    pub kept: Usage,
    /// Who wants to know what happens. Called on the slot's task: it must not block.
    pub happened: Box<dyn Fn(LifecycleEvent) + Send + Sync>,
}

impl Setup {
    /// Whether the operator lets the plugin say lines there on its own.
    fn may_speak(&self, place: &Place) -> bool {
        let name = format!("{}:{}", place.connector, place.channel);
        self.speaks_in.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
    }

    fn policy(&self) -> Policy {
        let limits = &self.limits;
        Policy {
            probe_timeout: limits.probe_timeout,
            probe_attempts: limits.probe_attempts,
            drain_timeout: limits.drain_timeout,
            stop_grace: STOP_GRACE,
            handoff_timeout: limits.handoff_timeout,
            bake: limits.bake,
            bake_min_events: limits.bake_min_events,
            bake_failure_rate: limits.bake_failure_rate,
            stable_after: limits.stable_after,
            artifacts_kept: limits.artifacts_kept,
        }
    }

    /// Bytes of memory that a generation may use.
    fn memory_limit(&self) -> u64 {
        self.limits.memory_mb << 20
    }

    fn restart_policy(&self) -> RestartPolicy {
        RestartPolicy::from(&self.limits)
    }

    /// The command line to probe a generation with this manifest.
    fn probe(&self, manifest: &Manifest) -> Option<String> {
        self.probe.clone().or_else(|| manifest.probe.clone())
    }
}
