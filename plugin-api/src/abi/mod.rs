//! The boundary between a plugin library and the shim. Authors of plugins do not need it.
//!
//! `module` is the contract, and `first` the contract of plugin-api 1.0. `object` builds a library's side of it for a
//! [`Plugin`](crate::Plugin), and `glue` has its functions. `runtime` runs handlers that are not ready at once, `calls` sends
//! their calls to the host, and `log` forwards `tracing` events. Nothing here unwinds into the shim, and nothing here knows
//! about sockets.

pub(crate) mod calls;
pub mod first;
pub(crate) mod glue;
pub(crate) mod log;
pub mod module;
pub(crate) mod object;
pub(crate) mod runtime;
