//! The state machines that decide about a plugin, without the code that carries their decisions out.
//!
//! [`flow`] has a plugin's events from acceptance to outcome, [`state`] has its generations, and [`restart`] decides
//! when to start again and when to give up. Each is a plain value: its inputs are methods that take the time, and it
//! returns what must be done. Nothing here reads a clock, does I/O or needs a runtime, so property tests run it
//! millions of times. The crate imports rosey-wire for the types of a manifest, and never the host.
#![forbid(unsafe_code)]

pub mod hash;
pub mod limits;
pub mod outcome;

pub mod flow;
pub mod histogram;
pub mod ledger;
pub mod restart;
pub mod state;
