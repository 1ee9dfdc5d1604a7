//! What the host keeps for one plugin: its queue, its generations, its account.
//!
//! Other rooms reach a slot through [`handle::Handle`]; one task (`actor`) owns everything else. `rosey_core::flow`
//! decides about events and `rosey_core::state` about generations. The actor carries out what they decide (`effects`),
//! and `commits` connects it to the store
//! (`migration` brings that to another version). Messages of shims come in through `inbound`, and `intake` bounds them;
//! [`view`] and [`lifecycle`] are for people. Knows nothing of connectors, admin or HTTP.

mod actor;
mod commits;
mod effects;
mod gather;
mod inbound;
mod intake;
mod live;
mod migration;
mod order;
mod questions;
mod record;
mod timers;
mod timing;

pub mod account;
pub mod command;
pub mod cooldown;
pub mod crash;
pub mod dead_letter;
pub mod failures;
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
    flow::FlowLimits,
    limits::Limits,
    restart::RestartPolicy,
    state::{BuildHistory, Policy, ReloadMode, StoreVersions},
};
use rosey_wire::{manifest::Manifest, sandbox::SandboxPolicy};
use std::{sync::Arc, time::Duration};

/// Time between the stop of a generation and its kill. Its events are answered by then.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What an operator configures of a slot. It may change while the slot runs; a process keeps the own settings and the
/// sandbox that it started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Limits in force.
    pub limits: Limits,
    /// The reload mode, when the operator set one.
    pub reload: Option<ReloadMode>,
    /// The probe, when the operator set one.
    pub probe: Option<String>,
    /// Whether the slot stores commands before it accepts them, so that they outlive the host.
    pub journal: bool,
    /// The channels, besides those of its events, in which the plugin may speak, as `CONNECTOR:CHANNEL`.
    pub speaks_in: Vec<String>,
    /// The plugin's own settings.
    pub config: Arc<OwnSettings>,
    /// What it may do.
    pub sandbox: Arc<SandboxPolicy>,
}

/// Everything that a slot is made of.
#[derive(Clone)]
pub struct Setup {
    /// The plugin's name.
    pub name: Arc<str>,
    /// What the operator configures.
    pub settings: Settings,
    /// Where lines and events for other plugins go.
    pub outlets: Arc<dyn Outlets>,
    /// Parts that all plugins share.
    pub starter: Arc<Starter>,
    /// Decides when a slot wakes its shim; all plugins share it.
    pub pacer: Arc<Pacer>,
    /// The database for dead letters, the history of builds and the plugin's data.
    pub database: Database,
    /// The history that the host before this one left.
    pub history: BuildHistory,
    /// The waits of cooldowns under way, as [`cooldown::load`] reads them.
    pub waits: Vec<(u64, u64)>,
    /// The number of timers that were set.
    pub timers: u64,
    /// The clock for the time of the day.
    pub clock: Clock,
    /// The manifest that the host before this one knew.
    pub manifest: Option<Arc<Manifest>>,
    /// The plugin's usage of the store.
    pub kept: Usage,
    /// Which versions of that there are.
    pub store: StoreVersions,
    /// Takes lifecycle events. Called on the slot's task: it must not block.
    pub happened: Arc<dyn Fn(LifecycleEvent) + Send + Sync>,
}

impl std::ops::Deref for Setup {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl Setup {
    /// Whether the operator lets the plugin speak unasked in this place.
    fn may_speak(&self, place: &Place) -> bool {
        let name = format!("{}:{}", place.connector, place.channel);
        self.speaks_in.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
    }

    fn flow_limits(&self) -> FlowLimits {
        let limits = &self.limits;
        FlowLimits { queue: limits.queue, in_flight: limits.in_flight, deadline: limits.event_deadline }
    }

    fn policy(&self) -> Policy {
        let limits = &self.limits;
        Policy {
            probe_timeout: limits.probe_timeout,
            probe_attempts: limits.probe_attempts,
            drain_timeout: limits.drain_timeout,
            stop_grace: STOP_GRACE,
            handoff_timeout: limits.handoff_timeout,
            migration_timeout: limits.migration_timeout,
            bake: limits.bake,
            bake_min_events: limits.bake_min_events,
            bake_failure_rate: limits.bake_failure_rate,
            stable_after: limits.stable_after,
            artifacts_kept: limits.artifacts_kept,
        }
    }

    /// The memory limit of a generation, in bytes.
    fn memory_limit(&self) -> u64 {
        self.limits.memory_mb << 20
    }

    fn restart_policy(&self) -> RestartPolicy {
        RestartPolicy::from(&self.limits)
    }

    /// The command line that probes a generation with this manifest.
    fn probe(&self, manifest: &Manifest) -> Option<String> {
        self.probe.clone().or_else(|| manifest.probe.clone())
    }
}
