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
}

impl Event {
    /// Whose event it is; nobody else may see it.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        match self {
            Self::SandboxCreated { sandbox } | Self::SandboxStateUpdated { sandbox, .. } => {
                sandbox.spec.organization
            }
        }
    }
}
