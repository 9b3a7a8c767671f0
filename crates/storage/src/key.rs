//! What contexts are called.

use std::fmt;
use std::str::FromStr;

use pitlane_model::OrganizationId;

/// The longest hash, in characters.
const MAX_HASH_LENGTH: usize = 128;

/// What every key ends with: the SDKs upload nothing else.
const FILE_NAME: &str = "context.tar";

/// What a client calls the contents of a context: letters, digits, `-` and `_`, at most 128. Nothing is believed of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextHash(Box<str>);

/// Text that is no hash of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hash of a context is of 1 to 128 letters, digits, - and _")]
pub struct ParseContextHashError;

impl ContextHash {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContextHash {
    type Err = ParseContextHashError;

    fn from_str(text: &str) -> Result<Self, ParseContextHashError> {
        let is_hash = (1..=MAX_HASH_LENGTH).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if is_hash { Ok(Self(text.into())) } else { Err(ParseContextHashError) }
    }
}

impl fmt::Display for ContextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose context, and which: `ORGANIZATION/HASH/context.tar`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextKey {
    /// Whose it is.
    pub organization: OrganizationId,
    /// Which one.
    pub hash: ContextHash,
}

/// Text that is no key of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("keys are of the form ORGANIZATION/HASH/context.tar")]
pub struct ParseContextKeyError;

impl FromStr for ContextKey {
    type Err = ParseContextKeyError;

    /// There is one way to write each key, so that no two texts are the same context.
    fn from_str(text: &str) -> Result<Self, ParseContextKeyError> {
        let mut segments = text.split('/');
        let (Some(organization), Some(hash), Some(FILE_NAME), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(ParseContextKeyError);
        };
        let (Ok(organization), Ok(hash)) = (organization.parse(), hash.parse()) else {
            return Err(ParseContextKeyError);
        };
        let key = Self { organization, hash };
        if key.to_string() == text { Ok(key) } else { Err(ParseContextKeyError) }
    }
}

impl fmt::Display for ContextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{FILE_NAME}", self.organization, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORGANIZATION: &str = "0d5c0e0e-6f3c-4a52-9f0e-2b9a3a2f5c11";

    #[test]
    fn only_the_one_form_is_a_key() {
        let hash = "3f8c797171e40ff335a6c3022d6e757a";
        for (text, is_key) in [
            (format!("{ORGANIZATION}/{hash}/context.tar"), true),
            (format!("{ORGANIZATION}/A-b_9/context.tar"), true),
            (format!("{}/{hash}/context.tar", ORGANIZATION.to_uppercase()), false),
            (format!("/{ORGANIZATION}/{hash}/context.tar"), false),
            (format!("{ORGANIZATION}/{hash}/context.tar/"), false),
            (format!("{ORGANIZATION}//context.tar"), false),
            (format!("{ORGANIZATION}/../context.tar"), false),
            (format!("{ORGANIZATION}/{hash}/../context.tar"), false),
            (format!("{ORGANIZATION}/{hash}\0/context.tar"), false),
            (format!("{ORGANIZATION}/{hash}.x/context.tar"), false),
            (format!("{ORGANIZATION}/{hash}/context.tar\0"), false),
            (format!("{ORGANIZATION}/{hash}/other.tar"), false),
            (format!("{ORGANIZATION}/{}/context.tar", "a".repeat(128)), true),
            (format!("{ORGANIZATION}/{}/context.tar", "a".repeat(129)), false),
            (format!("../{hash}/context.tar"), false),
            (String::new(), false),
        ] {
            assert_eq!(text.parse::<ContextKey>().is_ok(), is_key, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_a_key_is_written_as_it_was_read_and_is_safe_on_disk(
            text in prop_oneof![
                ".*",
                "[0-9a-f-]{36}/[^/]{0,8}/context.tar",
                "0d5c0e0e-6f3c-4a52-9f0e-2b9a3a2f5c11/[./\\\\a-zA-Z0-9_\u{0}-]{0,140}/context.tar",
            ]
        ) {
            if let Ok(key) = text.parse::<ContextKey>() {
                prop_assert_eq!(key.to_string(), text);
                let hash = key.hash.as_str();
                prop_assert!(!hash.contains(['/', '.', '\0', '\\']) && !hash.is_empty());
            }
        }
    }
}
