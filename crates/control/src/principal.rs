//! Who is asking.

use std::sync::Arc;

use pitlane_model::{KeyId, OrganizationId, Permission};

/// A caller whose key has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The organization it acts for: nothing of another one exists for it.
    pub organization: OrganizationId,
    /// The key it showed.
    pub key: KeyId,
    /// What that key may do.
    pub permissions: Arc<[Permission]>,
}

/// The caller's key lacks a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key lacks the permission {}", missing.as_str())]
pub struct Forbidden {
    /// What it would need.
    pub missing: Permission,
}

impl Principal {
    /// Whether the key may do something.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// Checks that the key may do something.
    ///
    /// # Errors
    ///
    /// [`Forbidden`]: use another key.
    pub fn require(&self, permission: Permission) -> Result<(), Forbidden> {
        if self.may(permission) { Ok(()) } else { Err(Forbidden { missing: permission }) }
    }
}
