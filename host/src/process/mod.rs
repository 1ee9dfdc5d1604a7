//! Processes that run one plugin library each, from spawn to end.
//!
//! `start` brings one up: `launch` starts a shim (or takes the warm one of `spare`), `link` talks to it, `manifest` checks
//! what the plugin says of itself. `spawn` has the process itself by its pidfd, `page` the memory shared with it, `output`
//! what it prints, `memory` what it uses, `orphans` what it leaves behind. Knows nothing of queues, routes or people.

pub mod launch;
pub mod link;
pub mod manifest;
pub mod memory;
pub mod orphans;
pub mod output;
pub mod page;
pub mod spare;
pub mod spawn;
pub mod start;
