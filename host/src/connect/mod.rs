//! Connectors: they bring chat lines to the router and answers back. May import `router` and `event`.

pub mod console;
