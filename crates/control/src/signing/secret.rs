//! The server's own secret.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// What the server makes other secrets from, so that they need not be kept. Never printed by accident.
#[derive(Clone)]
pub struct ServerSecret(Box<[u8; 32]>);

impl ServerSecret {
    /// Takes over bytes that nobody can guess.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Box::new(bytes))
    }

    /// A secret for one purpose, from parts that each have one length.
    pub(crate) fn derive(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = keyed(&*self.0);
        mac.update(purpose);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret(…)")
    }
}

/// HMAC-SHA256 with a key: of one longer than a block its hash is the key, a shorter one is filled up with zeros.
pub(super) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    match block.get_mut(..key.len()) {
        Some(beginning) => beginning.copy_from_slice(key),
        None => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    Hmac::new(&block.into())
}
