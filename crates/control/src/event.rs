//! What happened, for whoever watches.

use std::sync::Arc;

use pitlane_model::{OrganizationId, Sandbox, SandboxState};

/// Something that happened to a sandbox. Those of one sandbox arrive in the order in which they happened.
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
}

impl Event {
    /// Whose event it is; nobody else may see it.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        self.sandbox().spec.organization
    }

    /// The sandbox that it happened to, as it was then.
    #[must_use]
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        match self {
            Self::SandboxCreated { sandbox }
            | Self::SandboxStateUpdated { sandbox, .. }
            | Self::MemoryRanOut { sandbox, .. } => sandbox,
        }
    }
}
