//! Passwords as they are kept: encrypted by a key that is made from the server's own secret.
//!
//! A password is sealed for one registry of one organization, and opens for no other: whoever can write to the database
//! cannot have it sent somewhere else.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{NoRandomness, Random, ServerSecret};

/// What the key is made for, so that the server's secret makes nothing twice.
const PURPOSE: &[u8] = b"pitlane registry password 1";

/// Seals and opens passwords.
#[derive(Debug)]
pub(super) struct Sealer(LessSafeKey);

/// What was sealed cannot be opened: it was changed, or sealed by another server's secret or for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password of a registry cannot be read with this server's secret")]
pub(super) struct Unreadable;

impl Sealer {
    pub(super) fn new(secret: &ServerSecret) -> Option<Self> {
        let key = secret.derive(PURPOSE, &[]);
        UnboundKey::new(&CHACHA20_POLY1305, &key).ok().map(LessSafeKey::new).map(Self)
    }

    /// Encrypts a password for `purpose`: what it was encrypted with once, then what came of it.
    pub(super) fn seal(
        &self,
        random: &Random,
        purpose: &[u8],
        password: &str,
    ) -> Result<Vec<u8>, SealError> {
        let once: [u8; NONCE_LEN] = random.bytes()?;
        let mut text = password.as_bytes().to_vec();
        let nonce = Nonce::assume_unique_for_key(once);
        let sealed = self.0.seal_in_place_append_tag(nonce, Aad::from(purpose), &mut text);
        sealed.map_err(|ring::error::Unspecified| SealError::TooLong)?;
        Ok([once.as_slice(), text.as_slice()].concat())
    }

    /// Reads back what [`Self::seal`] gave for the same purpose.
    pub(super) fn open(&self, purpose: &[u8], sealed: &[u8]) -> Result<String, Unreadable> {
        let (once, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unreadable)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*once);
        let opened = self.0.open_in_place(nonce, Aad::from(purpose), &mut text);
        let opened = opened.map_err(|ring::error::Unspecified| Unreadable)?;
        String::from_utf8(opened.to_vec()).map_err(|_odd| Unreadable)
    }
}

/// Why a password was not sealed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error("the password is longer than can be encrypted")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_for_the_same_purpose_and_secret_alone() {
        let sealer = Sealer::new(&ServerSecret::new([1; 32])).unwrap();
        let other = Sealer::new(&ServerSecret::new([2; 32])).unwrap();
        let random = Random::system();
        let sealed = sealer.seal(&random, b"a", "s3cret").unwrap();
        let again = sealer.seal(&random, b"a", "s3cret").unwrap();
        assert_ne!(sealed, again, "equal passwords do not look equal");
        assert!(!sealed.windows(6).any(|part| part == b"s3cret"));
        assert_eq!(sealer.open(b"a", &sealed).as_deref(), Ok("s3cret"));
        assert_eq!(sealer.open(b"b", &sealed), Err(Unreadable));
        assert_eq!(other.open(b"a", &sealed), Err(Unreadable));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(sealer.open(b"a", &changed), Err(Unreadable), "byte {place}");
        }
        for short in [&[][..], &sealed[..12], &sealed[..20]] {
            assert_eq!(sealer.open(b"a", short), Err(Unreadable));
        }
    }

    /// What an earlier version kept must open for ever.
    #[test]
    fn a_row_of_an_earlier_version_opens() {
        let sealer = Sealer::new(&ServerSecret::new([7; 32])).unwrap();
        let kept = [
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x90, 0xe0, 0xde, 0xc7, 0x4a, 0x5e, 0xa6, 0x7d,
            0x69, 0x33, 0x73, 0x18, 0x62, 0xb6, 0x0a, 0x54, 0x8f, 0x76, 0xc2, 0x41,
        ];
        assert_eq!(sealer.open(b"purpose", &kept).as_deref(), Ok("word"));
    }
}
