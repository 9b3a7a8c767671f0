//! The text of a key: what proves who a caller is.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pitlane_model::KeyHash;
use sha2::{Digest as _, Sha256};

use crate::{NoRandomness, Random};

/// A key's text: `dtn_` and 43 base64url characters of 256 random bits. Never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

impl KeyText {
    pub(crate) fn generate(random: &Random) -> Result<Self, NoRandomness> {
        Ok(Self(format!("dtn_{}", URL_SAFE_NO_PAD.encode(random.bytes::<32>()?))))
    }

    /// The text itself, for its owner's eyes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first and last characters, which prove nothing: `dtn_ab…yz`.
    pub(crate) fn hint(&self) -> String {
        let first = self.0.get(..6).unwrap_or_default();
        let last = self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default();
        format!("{first}…{last}")
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// The hash under which a key's text is found.
pub(crate) fn hash_of(text: &str) -> KeyHash {
    KeyHash(Sha256::digest(text.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_256_random_bits_and_shows_them_only_when_asked() {
        let random = Random::new(|buffer| {
            buffer.fill(0xfb);
            Ok(())
        });
        let text = KeyText::generate(&random).expect("bytes are there");
        assert_eq!(text.expose(), "dtn_-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s");
        assert_eq!(text.expose().len(), "dtn_".len() + 43);
        assert_eq!(text.hint(), "dtn_-_…_s");
        assert_eq!(format!("{text:?}"), "KeyText(…)");
    }
}
