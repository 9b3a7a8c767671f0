//! Snapshots of sandboxes, taken.

use std::sync::Arc;

use pitlane_driver::{Cause, SnapshotError};
use pitlane_model::{DesiredState, Sandbox, SandboxState, Snapshot, Transition};

use super::super::entry::Entry;
use super::super::{ChangeError, SnapshotSandboxError};
use super::Owner;
use super::changes::{reason, within};
use crate::chain::Chain;

impl Owner {
    /// Takes a snapshot that has been decided; the sandbox is then what it was before, whatever became of the snapshot.
    pub(super) async fn snapshot(
        &self,
        entry: &Arc<Entry>,
        snapshot: &Snapshot,
        is_running: bool,
    ) -> Result<Arc<Sandbox>, SnapshotSandboxError> {
        let id = entry.id;
        let row = entry.desk().row();
        if row.sandbox.state != SandboxState::Snapshotting {
            self.platform.snapshots.abandon(snapshot).await;
            return Err(ChangeError::Deleted { id }.into());
        }
        // A row that cannot be written keeps nobody from working; the flush tries again.
        drop(self.save(entry, row).await);
        pitlane_fault::point("snapshot.sandbox-written");
        let patience = self.platform.policy.patience.archive;
        let made = within(patience, self.platform.driver.snapshot(id, &snapshot.reference)).await;
        pitlane_fault::point("snapshot.image-made");
        let is_gone = matches!(made, Ok(Err(SnapshotError::NotFound { .. })));
        let outcome = match made {
            Ok(Ok(image)) => match self.platform.snapshots.taken(snapshot.id, image).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(SnapshotSandboxError::Deleted { name: snapshot.name.clone() }),
                Err(error) => Err(SnapshotSandboxError::Keep(error)),
            },
            Ok(Err(SnapshotError::Full { .. })) => Err(SnapshotSandboxError::DiskFull),
            Ok(Err(error @ SnapshotError::TooManyLayers { most, .. })) => {
                tracing::warn!(sandbox = %id, error = %Chain(&error), "no snapshot");
                Err(SnapshotSandboxError::TooManyLayers { most })
            }
            Ok(Err(SnapshotError::Host { cause, .. })) | Err(cause) => Err(failed(id, cause)),
            Ok(Err(error @ (SnapshotError::NotFound { .. } | SnapshotError::Archived { .. }))) => {
                Err(failed(id, error.into()))
            }
        };
        pitlane_fault::point("snapshot.row-active");
        if let Err(error) = &outcome {
            tracing::error!(sandbox = %id, error = %Chain(error), "no snapshot was taken");
            self.platform.snapshots.abandon(snapshot).await;
        }
        if is_gone {
            self.fail(entry, Sandbox::DISK_IS_GONE).await;
        } else if is_running {
            self.rest(entry, Transition::Ready, DesiredState::Started, told(&outcome)).await;
        } else {
            self.rest(entry, Transition::Ended, DesiredState::Stopped, told(&outcome)).await;
        }
        outcome.map(|()| entry.view())
    }
}

fn failed(id: pitlane_model::SandboxId, cause: Cause) -> SnapshotSandboxError {
    ChangeError::Host { id, transition: Transition::Snapshot, cause }.into()
}

/// What whoever looks at the sandbox later is told of a failure: the SDKs wait for its state and see nothing else.
fn told(outcome: &Result<(), SnapshotSandboxError>) -> Option<String> {
    match outcome {
        Ok(()) => None,
        Err(SnapshotSandboxError::Change(ChangeError::Host { cause, .. })) => {
            Some(reason("the machine could not take a snapshot of it", cause))
        }
        Err(error) => Some(error.to_string()),
    }
}
