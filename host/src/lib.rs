//! Rosey, the plugin host.
#![forbid(unsafe_code)]

pub mod admin;
pub mod connect;
pub mod event;
pub mod plugin;
pub mod report;
pub mod router;
pub mod store;
