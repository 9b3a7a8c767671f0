//! Snapshots that are taken of sandboxes.
//!
//! The row comes first, `building`, and names the image that is to be made; then the image; then the row is active. A
//! deletion goes the other way, and its row says so meanwhile. So what a crash leaves always has a row that tells what
//! was meant: [`Snapshots::settle`] finishes what was made, and removes the rest.

use std::sync::Arc;

use pitlane_driver::{PreparedImage, RemoveImageError};
use pitlane_model::{
    ImageReference, OrganizationId, Permission, Sandbox, Snapshot, SnapshotId, SnapshotState,
};
use pitlane_store::WriteError;

use super::change::{MAX_OWN, activate, check_name};
use super::{ChangeSnapshotError, CreateSnapshotError, Snapshots};
use crate::Principal;
use crate::chain::Chain;

/// Why a snapshot is in state error whose deletion has begun.
const BEING_DELETED: &str = "it is being deleted";

/// What images of sandboxes are called, before their ids.
const KIND: &str = "snapshots";

impl Snapshots {
    /// Refuses a name that no snapshot of the caller's can have, before anything is done.
    pub(crate) fn check_new(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<(), CreateSnapshotError> {
        principal.require(Permission::WriteSnapshots)?;
        check_name(name)?;
        self.check_taken(principal.organization, name)
    }

    fn check_taken(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<(), CreateSnapshotError> {
        let known = self.read();
        let mut own = known.values().filter(|row| row.organization == Some(organization));
        if own.clone().count() >= MAX_OWN {
            return Err(CreateSnapshotError::TooMany { count: MAX_OWN });
        }
        match own.any(|row| row.name == name) {
            true => Err(CreateSnapshotError::NameTaken { name: name.to_owned() }),
            false => Ok(()),
        }
    }

    /// Writes down that a snapshot of a sandbox is about to be taken, and under which name its image is to be made.
    pub(crate) async fn reserve(
        &self,
        name: &str,
        sandbox: &Sandbox,
        entrypoint: Vec<String>,
    ) -> Result<Snapshot, CreateSnapshotError> {
        let spec = &sandbox.spec;
        let _turn = self.turn.lock().await;
        self.check_taken(spec.organization, name)?;
        let id = SnapshotId::from_random(self.random.bytes()?);
        let reference = ImageReference::own(KIND, &id.to_string())
            .map_err(|_never| CreateSnapshotError::Name)?;
        let now = self.clock.now();
        let snapshot = Snapshot {
            id,
            organization: Some(spec.organization),
            name: name.to_owned(),
            reference,
            source_sandbox: Some(spec.id),
            build: None,
            image: None,
            entrypoint,
            user: Some(spec.user.clone()),
            state: SnapshotState::Building,
            limits: spec.limits,
            size_bytes: None,
            error_reason: None,
            created_at: now,
            updated_at: now,
            last_used_at: None,
        };
        match self.store.save_snapshot(snapshot.clone()).await {
            Ok(()) => {}
            Err(WriteError::Taken) => {
                return Err(CreateSnapshotError::NameTaken { name: name.to_owned() });
            }
            Err(cause) => return Err(CreateSnapshotError::Store { cause }),
        }
        self.write().insert(id, snapshot.clone());
        Ok(snapshot)
    }

    /// Lets sandboxes start from a snapshot whose image has been made; false if it was deleted meanwhile.
    pub(crate) async fn taken(
        &self,
        id: SnapshotId,
        image: PreparedImage,
    ) -> Result<bool, ChangeSnapshotError> {
        let _turn = self.turn.lock().await;
        let present = self.read().get(&id).cloned();
        let Some(mut snapshot) = present.filter(|row| row.state == SnapshotState::Building) else {
            return Ok(false);
        };
        let user = snapshot.user.take();
        activate(&mut snapshot, image);
        snapshot.user = user;
        self.change(snapshot).await?;
        tracing::info!(snapshot = %id, "took a snapshot of a sandbox");
        Ok(true)
    }

    /// Removes a snapshot that was not taken, and whatever there is of its image.
    pub(crate) async fn abandon(&self, snapshot: &Snapshot) {
        let _turn = self.turn.lock().await;
        if let Err(error) = self.remove_taken(snapshot.clone()).await {
            tracing::error!(
                snapshot = %snapshot.id, error = %Chain(&error),
                "remains of a snapshot that was not taken; they are removed later"
            );
            self.abandon_later(snapshot.clone());
        }
    }

    /// Removes a snapshot that was taken of a sandbox, and its image. The caller has the turn.
    pub(super) async fn remove_taken(
        &self,
        mut snapshot: Snapshot,
    ) -> Result<(), ChangeSnapshotError> {
        snapshot.state = SnapshotState::Error;
        snapshot.error_reason = Some(BEING_DELETED.to_owned());
        let snapshot = self.change(snapshot).await?;
        pitlane_fault::point("snapshot.row-doomed");
        self.driver.remove_image(&snapshot.reference).await.map_err(|error| match error {
            RemoveImageError::Host { cause, .. } => {
                ChangeSnapshotError::Host { name: snapshot.name.clone(), cause }
            }
        })?;
        pitlane_fault::point("snapshot.image-removed");
        self.store
            .delete_snapshot(snapshot.id)
            .await
            .map_err(|cause| ChangeSnapshotError::Store { cause })?;
        pitlane_fault::point("snapshot.row-deleted");
        self.write().remove(&snapshot.id);
        self.tell_needs().await;
        Ok(())
    }

    /// Finishes or undoes what an earlier server had begun, in a task of its own.
    pub(super) fn settle(self: &Arc<Self>) {
        let is_begun = |row: &&Snapshot| {
            row.source_sandbox.is_some()
                && (row.state == SnapshotState::Building || is_being_deleted(row))
        };
        let begun: Vec<Snapshot> = self.read().values().filter(is_begun).cloned().collect();
        if begun.is_empty() {
            return;
        }
        let snapshots = Arc::clone(self);
        self.tasks.spawn(async move {
            for snapshot in begun {
                let made = match is_being_deleted(&snapshot) {
                    true => None,
                    false => snapshots.driver.find_image(&snapshot.reference).await,
                };
                match made {
                    Some(image) => {
                        if let Err(error) = snapshots.taken(snapshot.id, image).await {
                            tracing::error!(
                                snapshot = %snapshot.id, error = %Chain(&error), "not written"
                            );
                        }
                    }
                    None => snapshots.abandon(&snapshot).await,
                }
            }
        });
    }
}

fn is_being_deleted(row: &Snapshot) -> bool {
    row.state == SnapshotState::Error && row.error_reason.as_deref() == Some(BEING_DELETED)
}
