//! State that outlives a reload: `#[snapshot]` writes it and `#[restore]` reads it.
//!
//! The plugin chooses the bytes, up to 16 MiB. These two helpers use JSON, which a later version can read leniently
//! (`#[serde(default)]` for a new field). Raise `state_version` when the old `restore` cannot read the new bytes, and
//! declare with `reads_state = 1..=2` which versions the new one reads.
//!
//! ```
//! use plugin_api::{prelude::*, state, testing::Bot};
//! use std::sync::Mutex;
//!
//! #[derive(Default)]
//! struct Round(Mutex<Vec<String>>);
//!
//! #[plugin(reload = "handoff")]
//! impl Round {
//!     /// Join the round: `!join`
//!     #[command]
//!     fn join(&self, cx: &Context) -> String {
//!         let mut players = self.0.lock().unwrap();
//!         players.push(cx.user().to_owned());
//!         players.join(", ")
//!     }
//!
//!     #[snapshot]
//!     fn save(&self) -> Result<Vec<u8>> {
//!         state::to_bytes(&*self.0.lock().unwrap())
//!     }
//!
//!     #[restore]
//!     fn load(&self, _version: u32, bytes: &[u8]) -> Result<()> {
//!         *self.0.lock().unwrap() = state::from_bytes(bytes)?;
//!         Ok(())
//!     }
//! }
//!
//! let bot = Bot::<Round>::new();
//! bot.say("!join");
//! let next = bot.reload::<Round>().unwrap();
//! assert_eq!(next.person("bob").say("!join").reply(), "alice, bob");
//! ```

use crate::Result;
use serde::{Serialize, de::DeserializeOwned};

/// Encodes a value for `#[snapshot]`.
///
/// # Errors
/// When `value` is not JSON, such as a map with keys other than text.
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

/// Decodes the bytes of [`to_bytes`].
///
/// # Errors
/// When the bytes are not a `T`.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = to_bytes(&vec![1, 2]).expect("numbers are JSON");
        assert_eq!(from_bytes::<Vec<u8>>(&bytes).expect("just written"), [1, 2]);
        assert!(from_bytes::<String>(&bytes).is_err());
    }
}
