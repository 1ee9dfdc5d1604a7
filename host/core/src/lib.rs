//! What the host decides about a plugin, apart from everything that carries a decision out.
//!
//! [`flow`] has a plugin's events from acceptance to outcome, [`state`] its generations, [`restart`] when to try again and
//! when to give up. Each is a plain value: inputs are methods that take the time, and what must be done about them is
//! returned. Nothing here reads a clock, does I/O or needs a runtime, so property tests run it by the million.
//! Imports rosey-wire for the words of a manifest; the host imports this, never the other way round.
#![forbid(unsafe_code)]

pub mod hash;
pub mod limits;
pub mod outcome;

pub mod flow;
pub mod histogram;
pub mod ledger;
pub mod restart;
pub mod state;
