//! The protocol between host and shim: plain data and framing. No I/O, no runtime, no policy.
//!
//! A connection begins with one [`hello::Hello`] from the shim and one [`hello::Answer`] from the host. After that the
//! host sends [`message::ToShim`] and the shim [`message::ToHost`], each in one frame (`frame`). Messages are
//! `postcard`: **the order of the variants and fields is the protocol**. New ones go last, with a "since" note, and
//! [`VERSION`] grows.

pub mod call;
pub mod effect;
pub mod event;
pub mod frame;
pub mod hello;
pub mod manifest;
pub mod message;
pub mod sandbox;

/// The version that introduced events of every kind, effects and calls.
pub const EFFECTS_SINCE: u16 = 2;

/// The newest protocol version of this build.
pub const VERSION: u16 = 3;

/// The oldest protocol version that this build still speaks. A shim of an older one applies no sandbox.
pub const MIN_VERSION: u16 = 3;
