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
#[error("the key may not {}", verb(self.missing))]
pub struct Forbidden {
    /// What it would need.
    pub missing: Permission,
}

impl Principal {
    /// Checks that the key may do something.
    ///
    /// # Errors
    ///
    /// [`Forbidden`]: use another key.
    pub fn require(&self, permission: Permission) -> Result<(), Forbidden> {
        if self.permissions.contains(&permission) {
            Ok(())
        } else {
            Err(Forbidden { missing: permission })
        }
    }
}

const fn verb(permission: Permission) -> &'static str {
    match permission {
        Permission::WriteSandboxes => "create or change sandboxes",
        Permission::DeleteSandboxes => "delete sandboxes",
        Permission::WriteSnapshots => "create snapshots",
        Permission::DeleteSnapshots => "delete snapshots",
        Permission::ReadVolumes => "read volumes",
        Permission::WriteVolumes => "create volumes",
        Permission::DeleteVolumes => "delete volumes",
        Permission::ManageKeys => "manage keys",
        Permission::ManageOrganizations => "manage organizations",
    }
}
