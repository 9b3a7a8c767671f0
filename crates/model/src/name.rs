//! Names of sandboxes.

use std::fmt;

use crate::SandboxId;

/// A sandbox's name: unique among the live sandboxes of its organization.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SandboxName(String);

/// Why a text cannot be a sandbox's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("name must not be empty")]
    Empty,
    /// Longer than [`SandboxName::MAX_CHARACTERS`].
    #[error("name must be at most {} characters long", SandboxName::MAX_CHARACTERS)]
    TooLong,
    /// A control character or a slash, which would not survive a path or a terminal.
    #[error("name must not contain control characters or slashes")]
    Character,
}

impl SandboxName {
    /// The longest name, in characters.
    pub const MAX_CHARACTERS: usize = 255;

    /// Takes a name of 1 to 255 characters without control characters and slashes.
    ///
    /// # Errors
    ///
    /// [`NameError`] says what the caller has to change.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.chars().count() > Self::MAX_CHARACTERS {
            return Err(NameError::TooLong);
        }
        if name.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
            return Err(NameError::Character);
        }
        Ok(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SandboxId> for SandboxName {
    /// The name of a sandbox that was given none.
    fn from(id: SandboxId) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for SandboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
