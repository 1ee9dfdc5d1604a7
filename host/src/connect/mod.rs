//! Connectors: they bring chat lines to the router and answers back. May import `router`, `event`, `metrics` and `settings`.

pub mod console;
pub mod irc;
