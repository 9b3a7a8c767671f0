//! What happened, for whoever watches.

use std::sync::Arc;

use pitlane_model::{OrganizationId, Sandbox, SandboxState, Volume, VolumeState};

/// Something that happened to a sandbox or a volume. Those of one of them arrive in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A sandbox was accepted.
    SandboxCreated {
        /// As it was accepted.
        sandbox: Arc<Sandbox>,
    },
    /// A sandbox's state changed.
    SandboxStateUpdated {
        /// As it is now.
        sandbox: Arc<Sandbox>,
        /// What it was.
        old: SandboxState,
        /// What it is.
        new: SandboxState,
    },
    /// A sandbox's memory was used up, and the kernel killed some of its processes. It runs on, unless its end follows.
    MemoryRanOut {
        /// As it is now.
        sandbox: Arc<Sandbox>,
        /// How many processes were killed since it was last told.
        killed: u64,
    },
    /// A volume was accepted.
    VolumeCreated {
        /// As it was accepted.
        volume: Arc<Volume>,
    },
    /// A volume's state changed.
    VolumeStateUpdated {
        /// As it is now.
        volume: Arc<Volume>,
        /// What it was.
        old: VolumeState,
        /// What it is.
        new: VolumeState,
    },
}

impl Event {
    /// Whose event it is; nobody else may see it.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        match self {
            Self::SandboxCreated { sandbox }
            | Self::SandboxStateUpdated { sandbox, .. }
            | Self::MemoryRanOut { sandbox, .. } => sandbox.spec.organization,
            Self::VolumeCreated { volume } | Self::VolumeStateUpdated { volume, .. } => {
                volume.organization
            }
        }
    }

    /// The sandbox that it happened to, if it was one, as it was then.
    #[must_use]
    pub fn sandbox(&self) -> Option<&Arc<Sandbox>> {
        match self {
            Self::SandboxCreated { sandbox }
            | Self::SandboxStateUpdated { sandbox, .. }
            | Self::MemoryRanOut { sandbox, .. } => Some(sandbox),
            Self::VolumeCreated { .. } | Self::VolumeStateUpdated { .. } => None,
        }
    }
}
