//! Organizations: whose everything is.
//!
//! The first start makes one. An operator, whose key has [`Permission::ManageOrganizations`], makes others, and keys in
//! them; nobody else learns that there are others.

mod error;

use std::sync::Arc;

use pitlane_model::{Organization, OrganizationId, Permission};
use pitlane_store::{Store, WriteError};
use tokio_util::task::TaskTracker;

pub use self::error::{
    ActError, CreateOrganizationError, DeleteOrganizationError, FindOrganizationError,
};
use crate::keys::ring::Ring;
use crate::keys::{finished, is_name};
use crate::{Clock, Principal, Random};

/// All organizations.
#[derive(Debug)]
pub struct Organizations {
    ring: Arc<Ring>,
    store: Store,
    clock: Clock,
    random: Random,
    tasks: TaskTracker,
}

impl Organizations {
    pub(crate) const fn new(
        ring: Arc<Ring>,
        store: Store,
        clock: Clock,
        random: Random,
        tasks: TaskTracker,
    ) -> Self {
        Self { ring, store, clock, random, tasks }
    }

    /// Whether there is such an organization.
    #[must_use]
    pub fn is_there(&self, id: OrganizationId) -> bool {
        self.ring.organization(id).is_some()
    }

    /// Makes an organization that owns nothing yet, not even a key.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`CreateOrganizationError`]: none was made.
    pub async fn create(
        &self,
        principal: &Principal,
        name: String,
    ) -> Result<Organization, CreateOrganizationError> {
        principal.require(Permission::ManageOrganizations)?;
        if !is_name(&name) {
            return Err(CreateOrganizationError::Name);
        }
        let organization = Organization {
            id: OrganizationId::from_random(self.random.bytes()?),
            name,
            created_at: self.clock.now(),
        };
        let (store, ring, row) = (self.store.clone(), Arc::clone(&self.ring), organization.clone());
        let kept = self.tasks.spawn(async move {
            store.insert_organization(row.clone(), None).await?;
            ring.admit_organization(row);
            Ok(())
        });
        match finished(kept).await {
            Ok(()) => Ok(organization),
            Err(WriteError::Taken) => {
                Err(CreateOrganizationError::NameTaken { name: organization.name })
            }
            Err(cause) => Err(CreateOrganizationError::Store { cause }),
        }
    }

    /// The organizations that a caller may know of, the oldest first: all for an operator, else its own.
    #[must_use]
    pub fn list(&self, principal: &Principal) -> Vec<Organization> {
        if principal.may(Permission::ManageOrganizations) {
            return self.ring.organizations();
        }
        self.ring.organization(principal.organization).into_iter().collect()
    }

    /// One of those organizations, by its id.
    ///
    /// # Errors
    ///
    /// [`FindOrganizationError::NotFound`]: there is none that the caller may know of.
    pub fn find(
        &self,
        principal: &Principal,
        id: &str,
    ) -> Result<Organization, FindOrganizationError> {
        let not_found = || FindOrganizationError::NotFound { id: id.to_owned() };
        let id: OrganizationId = id.parse().ok().ok_or_else(not_found)?;
        let is_visible =
            id == principal.organization || principal.may(Permission::ManageOrganizations);
        self.ring.organization(id).filter(|_| is_visible).ok_or_else(not_found)
    }

    /// Lets an operator act for another organization.
    ///
    /// # Errors
    ///
    /// [`ActError`]: nobody else may, or there is no such organization.
    pub fn act_for(&self, principal: &Principal, id: &str) -> Result<Principal, ActError> {
        principal.require(Permission::ManageOrganizations)?;
        let organization = self.find(principal, id)?.id;
        Ok(Principal { organization, ..principal.clone() })
    }

    /// Deletes an organization that owns nothing but keys. They stop working at once.
    ///
    /// Dropping the future does not undo what has begun.
    ///
    /// # Errors
    ///
    /// [`DeleteOrganizationError`]: it is still there, and its keys work.
    pub async fn delete(
        &self,
        principal: &Principal,
        id: &str,
    ) -> Result<(), DeleteOrganizationError> {
        principal.require(Permission::ManageOrganizations)?;
        let Organization { id, name, .. } = self.find(principal, id)?;
        if id == principal.organization {
            return Err(DeleteOrganizationError::Own);
        }
        let (store, ring) = (self.store.clone(), Arc::clone(&self.ring));
        let deleted = self.tasks.spawn(async move {
            store.delete_organization(id).await?;
            ring.expel_organization(id);
            Ok(())
        });
        match finished(deleted).await {
            Ok(()) => Ok(()),
            Err(WriteError::InUse) => Err(DeleteOrganizationError::InUse { name }),
            Err(cause) => Err(DeleteOrganizationError::Store { cause }),
        }
    }
}
