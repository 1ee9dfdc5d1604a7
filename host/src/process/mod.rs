//! The processes of plugins, from spawn to end. Each runs one library.
//!
//! `start` brings a generation up: `launch` starts a shim (or takes the one of `spare`), `link` connects to it,
//! `manifest` checks the plugin's description of itself. `spawn` owns the process through its pidfd, `page` is the
//! memory shared with it, `sandbox` what it may do, `output` reads what it prints, `memory` measures it, and `orphans` ends the processes that it
//! leaves behind. Knows nothing about queues, routes or people.

pub mod launch;
pub mod link;
pub mod manifest;
pub mod memory;
pub mod orphans;
pub mod output;
pub mod page;
pub mod sandbox;
pub mod spare;
pub mod spawn;
pub mod start;
