//! Who is asking, as far as this rim knows.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A caller: whoever has a certain key. Says nothing of the key itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Caller([u8; 32]);

impl Caller {
    /// Whoever has this key.
    pub(crate) fn with(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// What a call's state is bound to.
    pub(crate) fn binding(&self, call: &str) -> String {
        let digest = self.0.iter().take(16).fold(String::new(), |mut text, byte| {
            text.push_str(&format!("{byte:02x}"));
            text
        });
        format!("{digest} {call}")
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller(…)")
    }
}
