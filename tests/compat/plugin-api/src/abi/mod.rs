//! The boundary between a plugin library and the shim. Plugin authors never look here.
//!
//! `module` is the contract. `object` makes a library's side of it for a [`Plugin`](crate::Plugin), `glue` are the
//! functions themselves, `runtime` is where a handler goes that is not ready at once, and `log` is where `tracing` goes.
//! Nothing here unwinds into the shim, and nothing here knows a socket.

pub(crate) mod glue;
pub(crate) mod log;
pub mod module;
pub(crate) mod object;
pub(crate) mod runtime;
