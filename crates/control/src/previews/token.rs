//! The texts of tokens.

use std::num::NonZeroU16;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pitlane_model::SandboxId;
use pitlane_store::PreviewSecret;
use sha2::{Digest as _, Sha256};

use crate::{NoRandomness, Random};

/// The token that a sandbox's secret makes for a port. All that is hashed has one length, so that nobody can go on from
/// one token to that of something longer.
pub(super) fn of(secret: PreviewSecret, sandbox: SandboxId, port: NonZeroU16) -> String {
    let mut hash = Sha256::new();
    hash.update(secret.0);
    hash.update(b"pitlane preview");
    hash.update(sandbox.to_bytes());
    hash.update(port.get().to_be_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// A token of 256 random bits.
pub(super) fn random(random: &Random) -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(random.bytes::<32>()?))
}

/// As what a token is kept and compared.
pub(super) fn hash_of(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Compares without telling by its time how much is the same.
pub(super) fn is_same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_sandbox_one_port_and_one_secret() {
        let (one, other) = (SandboxId::from_random([1; 16]), SandboxId::from_random([2; 16]));
        let port = |number| NonZeroU16::new(number).unwrap();
        let tokens = [
            of(PreviewSecret([1; 32]), one, port(80)),
            of(PreviewSecret([2; 32]), one, port(80)),
            of(PreviewSecret([1; 32]), other, port(80)),
            of(PreviewSecret([1; 32]), one, port(81)),
        ];
        let distinct: std::collections::BTreeSet<&String> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len());
        assert_eq!(tokens[0], of(PreviewSecret([1; 32]), one, port(80)));
        assert_eq!(tokens[0].len(), 43);
    }

    #[test]
    fn only_the_same_is_the_same() {
        assert!(is_same(&[7; 32], &[7; 32]));
        for place in 0..32 {
            let mut other = [7; 32];
            other[place] ^= 0x80;
            assert!(!is_same(&[7; 32], &other));
        }
    }
}
