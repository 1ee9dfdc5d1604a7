//! State that outlives a reload: what `#[snapshot]` writes and `#[restore]` reads.
//!
//! The bytes are the plugin's own; these two helpers make them JSON, which a later version can read leniently
//! (`#[serde(default)]` for a new field). Raise `state_version` when the old `restore` could not read the new bytes, and
//! say with `reads_state = 1..=2` which ones the new one reads.

use crate::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};

/// Writes a value for `#[snapshot]`.
///
/// # Errors
/// When `value` is not JSON: a map with keys other than text, for one.
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

/// Reads what [`to_bytes`] wrote.
///
/// # Errors
/// When the bytes are not a `T`.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}

/// Reads the settings for `#[create]`. No bytes at all count as `{}`.
///
/// # Errors
/// When the JSON is not a `T`; the text names the key.
#[doc(hidden)]
pub fn settings<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    let json = if json.is_empty() { b"{}" } else { json };
    serde_json::from_slice(json).map_err(|error| Error::internal(format!("the plugin's config is wrong: {error}")))
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
