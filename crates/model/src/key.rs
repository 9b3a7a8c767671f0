//! API keys: what proves who a caller is.

use crate::{KeyId, OrganizationId, Timestamp};

/// SHA-256 of a key's text. A key has 256 random bits, so an unsalted hash cannot be searched.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Create and change sandboxes.
    WriteSandboxes,
    /// Delete sandboxes.
    DeleteSandboxes,
    /// Create snapshots.
    WriteSnapshots,
    /// Delete snapshots.
    DeleteSnapshots,
    /// Read volumes.
    ReadVolumes,
    /// Create volumes.
    WriteVolumes,
    /// Delete volumes.
    DeleteVolumes,
    /// Add and change registries of images, with their passwords, which nobody is shown again.
    WriteRegistries,
    /// Delete registries.
    DeleteRegistries,
    /// Create, list and revoke keys of the organization.
    ManageKeys,
    /// Create and delete organizations, and manage the keys of all of them: the operator's.
    ManageOrganizations,
}

impl Permission {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::WriteSandboxes,
        Self::DeleteSandboxes,
        Self::WriteSnapshots,
        Self::DeleteSnapshots,
        Self::ReadVolumes,
        Self::WriteVolumes,
        Self::DeleteVolumes,
        Self::WriteRegistries,
        Self::DeleteRegistries,
        Self::ManageKeys,
        Self::ManageOrganizations,
    ];

    /// Its word, the same in the API, in the database and on the command line: `write:sandboxes`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WriteSandboxes => "write:sandboxes",
            Self::DeleteSandboxes => "delete:sandboxes",
            Self::WriteSnapshots => "write:snapshots",
            Self::DeleteSnapshots => "delete:snapshots",
            Self::ReadVolumes => "read:volumes",
            Self::WriteVolumes => "write:volumes",
            Self::DeleteVolumes => "delete:volumes",
            Self::WriteRegistries => "write:registries",
            Self::DeleteRegistries => "delete:registries",
            Self::ManageKeys => "manage:keys",
            Self::ManageOrganizations => "manage:organizations",
        }
    }

    /// The permission of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == word)
    }
}

/// An API key as it is kept: its text is shown once and never again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Names the key without proving anything.
    pub id: KeyId,
    /// Whose key it is.
    pub organization: OrganizationId,
    /// What its owner calls it, unique in its organization.
    pub name: String,
    /// Finds and proves the key.
    pub hash: KeyHash,
    /// The first and last characters, for lists: `dtn_ab…yz`.
    pub hint: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When a caller last showed it; `None` while nobody has.
    pub last_used_at: Option<Timestamp>,
}

/// Whoever sandboxes, snapshots and keys belong to: nothing of one exists for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name, unique among all.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}
