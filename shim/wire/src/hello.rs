//! The first frame in each direction. Its layout never changes, whatever [`crate::VERSION`] says.

use serde::{Deserialize, Serialize};

/// How a shim introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// [`MAGIC`], so that the host can distinguish an old shim from another program on the socket.
    pub magic: [u8; 8],
    /// The oldest protocol version the shim speaks.
    pub min_version: u16,
    /// The newest protocol version the shim speaks.
    pub max_version: u16,
    /// The one-time token that the host wrote to the shim's standard input.
    pub token: &'a str,
    /// The shim's own version, for messages to people.
    pub shim_version: &'a str,
}

/// First bytes of every [`Hello`].
pub const MAGIC: [u8; 8] = *b"roseyshm";

/// The host's answer to a [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer<'a> {
    /// The host accepts the shim, and chose this protocol version.
    Welcome {
        /// The version, which both sides speak.
        version: u16,
    },
    /// The host refuses the shim.
    Refused {
        /// The reason, for the operator.
        reason: &'a str,
    },
}

/// The newest version in both ranges, or `None` when the ranges do not overlap.
pub fn negotiate(ours: (u16, u16), theirs: (u16, u16)) -> Option<u16> {
    let newest = ours.1.min(theirs.1);
    (newest >= ours.0 && newest >= theirs.0).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_wins() {
        assert_eq!(negotiate((1, 3), (2, 5)), Some(3));
        assert_eq!(negotiate((2, 5), (1, 3)), Some(3));
        assert_eq!(negotiate((1, 1), (1, 1)), Some(1));
        assert_eq!(negotiate((1, 2), (3, 4)), None);
        assert_eq!(negotiate((3, 4), (1, 2)), None);
    }
}
