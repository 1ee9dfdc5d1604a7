//! Rosey, the plugin host.
//!
//! A connector (`connect`) brings an event in, the `router` passes it to the `slot` of a plugin, and the slot sends it
//! over a link to a shim process (`process::link`). The answer returns on the same path. docs/ARCHITECTURE.md explains
//! the rooms below, and says which may import which.
#![forbid(unsafe_code)]

pub mod event;
pub mod journal;
pub mod report;
pub mod schedule;
pub mod store;
pub mod text;
pub mod time;

pub mod artifact;
pub mod backup;
pub mod commit;
pub mod process;
pub mod slot;

pub mod plugins;
pub mod router;
pub mod settings;
pub mod speech;
pub mod view;

pub mod metrics;

pub mod admin;
pub mod connect;
pub mod dashboard;

pub mod cli;
pub mod config;
pub mod log;
pub mod quick_start;

pub mod app;
pub mod author;
pub mod shell;
