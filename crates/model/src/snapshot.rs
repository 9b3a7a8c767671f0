//! Snapshots: what sandboxes start from.

use std::fmt;
use std::sync::Arc;

use crate::{Build, ImageReference, Limits, OrganizationId, SandboxId, SnapshotId, Timestamp};

/// The name under which a root filesystem is kept on this machine: letters, digits, `.`, `_`, `-`; it is a folder name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName(String);

/// A text that cannot name an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an image name has 1 to 128 letters, digits, dots, underscores and dashes and starts with a letter or digit"
)]
pub struct ImageNameError;

impl ImageName {
    /// Takes a name that is safe as a single path component.
    ///
    /// # Errors
    ///
    /// [`ImageNameError`] says what is allowed.
    pub fn new(name: impl Into<String>) -> Result<Self, ImageNameError> {
        let name = name.into();
        let is_valid = name.len() <= 128
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if is_valid { Ok(Self(name)) } else { Err(ImageNameError) }
    }

    /// The image without a file: what Dockerfiles call `scratch`. Every driver has it.
    #[must_use]
    pub fn scratch() -> Self {
        Self("scratch".to_owned())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a snapshot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotState {
    /// The build of its image waits for its turn.
    Pending,
    /// Its image is being made.
    Building,
    /// Its image is on its way here.
    Pulling,
    /// Sandboxes can start from it.
    Active,
    /// Nothing starts from it until it is activated; its image may be gone from here.
    Inactive,
    /// Its image could not be prepared.
    Error,
    /// Its image could not be built.
    BuildFailed,
}

impl SnapshotState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Building,
        Self::Pulling,
        Self::Active,
        Self::Inactive,
        Self::Error,
        Self::BuildFailed,
    ];

    /// The word of the Daytona API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Building => "building",
            Self::Pulling => "pulling",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Error => "error",
            Self::BuildFailed => "build_failed",
        }
    }
}

/// Something a sandbox starts from: an image with default limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Its owner; `None` for one that every organization may use.
    pub organization: Option<OrganizationId>,
    /// Its name, unique in its organization.
    pub name: String,
    /// The image it stands for, as whoever added it named it.
    pub reference: ImageReference,
    /// The sandbox that it was taken of, if it was taken of one.
    pub source_sandbox: Option<SandboxId>,
    /// How that image is built, if it is not one that was there before.
    pub build: Option<Arc<Build>>,
    /// The root filesystem, once it has been here.
    pub image: Option<ImageName>,
    /// The program, with its arguments, that runs in its sandboxes beside everything else; empty for none. Until the
    /// image has been here, the one that was asked for.
    pub entrypoint: Vec<String>,
    /// The user that its image names, if it names one.
    pub user: Option<String>,
    /// Where it stands.
    pub state: SnapshotState,
    /// The limits of a sandbox that asks for none.
    pub limits: Limits,
    /// Bytes of the root filesystem, once known.
    pub size_bytes: Option<u64>,
    /// Why it is in [`SnapshotState::Error`] or [`SnapshotState::BuildFailed`].
    pub error_reason: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// When a sandbox last started from it.
    pub last_used_at: Option<Timestamp>,
}
