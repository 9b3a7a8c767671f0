//! What can be read by its address: files of sandboxes, and what commands said.
//!
//! `sandbox://ID/files/PATH` and `sandbox://ID/logs/EXECUTION`, with `?offset=N` for what follows byte N. Paths are
//! percent-encoded; one that begins with a slash is absolute, as in `sandbox://ID/files//etc/hosts`.

use bytes::Bytes;

/// Something that was read, or a piece of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The address of the piece.
    pub uri: String,
    /// Its media type, as far as the name tells.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Bytes,
    /// How many bytes there are in all, if known.
    pub total: Option<u64>,
    /// The address of what follows, if anything does.
    pub next: Option<String>,
}

/// Why something cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is no address of this kind.
    #[error("{uri} is not sandbox://ID/files/PATH or sandbox://ID/logs/EXECUTION")]
    Address {
        /// The text as given.
        uri: String,
    },
    /// There is no such thing, or no longer.
    #[error("{uri} was not found: {why}")]
    NotFound {
        /// The address.
        uri: String,
        /// What is missing.
        why: String,
    },
    /// The caller may not.
    #[error("{uri} may not be read: it needs the permission {needed}")]
    Forbidden {
        /// The address.
        uri: String,
        /// What is needed.
        needed: &'static str,
    },
    /// The server did not give it.
    #[error("{uri} cannot be read: {why}")]
    Backend {
        /// The address.
        uri: String,
        /// What the server said.
        why: String,
    },
}

impl Resource {
    /// Its text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}
