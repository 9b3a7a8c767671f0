//! What an unpacker says in the end: one line of JSON.

use serde::{Deserialize, Serialize};

/// How an unpacker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The layer is there.
    Done(Applied),
    /// It is not.
    Failed(Failure),
}

/// What became of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Applied {
    /// Entries that were made.
    pub(crate) entries: u64,
    /// Bytes of files that were written.
    pub(crate) bytes: u64,
    /// Entries that no sandbox may have: device nodes.
    pub(crate) dropped: u64,
    /// Folders that hide what lower layers have in them, relative to the layer.
    pub(crate) opaque: Vec<Vec<u8>>,
    /// SHA-256 of the archive as it is without compression, in hexadecimal digits.
    pub(crate) digest: String,
}

/// Why there is no layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// For a person; may contain names from the archive.
    pub(crate) reason: String,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FailureKind {
    /// The archive's.
    Archive,
    /// It holds more than it may.
    Limit,
    /// The disk is full.
    Full,
    /// This machine's.
    Host,
}

/// Longer than any text for a person.
const MAX_REASON: usize = 500;

impl Failure {
    /// Says why, with everything that a terminal could take for a command made visible.
    pub(crate) fn new(kind: FailureKind, reason: &str) -> Self {
        let visible = reason.chars().flat_map(|c| {
            let is_plain = !c.is_control();
            let plain = is_plain.then_some(c).into_iter();
            let escaped = (!is_plain).then(|| c.escape_default()).into_iter().flatten();
            plain.chain(escaped)
        });
        Self { kind, reason: visible.take(MAX_REASON).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_short_and_harmless() {
        let failure = Failure::new(FailureKind::Archive, "entry \"\u{1b}[2Jé\"");
        assert_eq!(failure.reason, "entry \"\\u{1b}[2Jé\"");
        assert_eq!(Failure::new(FailureKind::Host, &"x".repeat(9000)).reason.len(), MAX_REASON);
    }
}
