//! What is done about volumes, in tasks of their own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use pitlane_model::{OrganizationId, Volume, VolumeId, VolumeState};
use pitlane_store::WriteError;
use tokio::sync::oneshot;

use super::{CreateVolumeError, DeleteVolumeError, MAX_DELETED, MAX_OWN, Volumes};
use crate::chain::Chain;
use crate::{ControlError, Event};

/// How often a volume is tried to be removed before somebody has to look at the machine.
const TRIES: u32 = 5;
/// How long after a failure the next try begins; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

impl Volumes {
    /// Takes the name of a volume that is to be made.
    pub(super) fn reserve(&self, volume: &Volume) -> Result<(), CreateVolumeError> {
        let mut known = self.known();
        if known.named(volume.organization, volume.name.as_str()).is_some() {
            return Err(CreateVolumeError::NameTaken { name: volume.name.clone() });
        }
        let own = known.of(volume.organization);
        if own.filter(|volume| volume.state != VolumeState::Deleted).count() >= MAX_OWN {
            return Err(CreateVolumeError::TooMany { count: MAX_OWN });
        }
        known.volumes.insert(volume.id, volume.clone());
        Ok(())
    }

    /// Decides that a volume goes, if nobody has it.
    pub(super) fn condemn(&self, id: VolumeId) -> Result<Volume, DeleteVolumeError> {
        let mut known = self.known();
        let count = known.users.values().filter(|volumes| volumes.contains(&id)).count();
        let Some(volume) = known.volumes.get_mut(&id) else {
            let gone = super::FindVolumeError::NotFound { id_or_name: id.to_string() };
            return Err(gone.into());
        };
        let (name, state) = (volume.name.clone(), volume.state);
        if !matches!(state, VolumeState::Ready | VolumeState::Error) {
            return Err(DeleteVolumeError::State { name, state });
        }
        if count > 0 {
            return Err(DeleteVolumeError::InUse { name, count });
        }
        volume.state = VolumeState::PendingDelete;
        volume.error_reason = None;
        volume.updated_at = self.around.clock.now();
        Ok(volume.clone())
    }

    /// Makes a volume whose name is taken for it.
    pub(super) async fn make(
        &self,
        volume: Volume,
        reply: oneshot::Sender<Result<(), CreateVolumeError>>,
    ) {
        pitlane_fault::point("volume.decided");
        if let Err(cause) = self.around.store.save_volume(volume.clone()).await {
            self.known().volumes.remove(&volume.id);
            let name = volume.name;
            drop(reply.send(Err(match cause {
                WriteError::Taken => CreateVolumeError::NameTaken { name },
                cause => CreateVolumeError::Store { name, cause },
            })));
            return;
        }
        pitlane_fault::point("volume.row-written");
        // Nobody listening is no failure.
        drop(self.around.events.send(Event::VolumeCreated { volume: Arc::new(volume.clone()) }));
        self.bring(volume.id).await;
        drop(reply.send(Ok(())));
    }

    /// Has the driver make a volume of which there is a row.
    async fn bring(&self, id: VolumeId) {
        let made = self.around.driver.create_volume(id).await;
        pitlane_fault::point("volume.created");
        let (state, reason) = match made {
            Ok(()) => (VolumeState::Ready, None),
            Err(error) => {
                tracing::error!(volume = %id, error = %Chain(&error), "not made");
                let reason = match error {
                    pitlane_driver::CreateVolumeError::Full
                    | pitlane_driver::CreateVolumeError::Storage { .. } => error.to_string(),
                    pitlane_driver::CreateVolumeError::Host { .. } => {
                        "the machine could not make it".to_owned()
                    }
                };
                (VolumeState::Error, Some(reason))
            }
        };
        self.advance(id, state, reason).await;
        tracing::info!(volume = %id, state = state.as_str(), "made a volume");
    }

    /// Removes a volume that is decided to go; what it was before is in `before`.
    pub(super) async fn remove(
        &self,
        before: Volume,
        volume: Volume,
        reply: oneshot::Sender<Result<(), DeleteVolumeError>>,
    ) {
        let id = volume.id;
        if let Err(cause) = self.around.store.save_volume(volume.clone()).await {
            if let Some(volume) = self.known().volumes.get_mut(&id) {
                volume.state = before.state;
                volume.error_reason = before.error_reason;
            }
            drop(reply.send(Err(DeleteVolumeError::Store { id, cause })));
            return;
        }
        pitlane_fault::point("volume.condemned");
        self.tell(&volume, before.state);
        drop(reply.send(Ok(())));
        self.clear(id).await;
    }

    /// Has the driver remove a volume. Gives up when the server ends, and then the next one goes on.
    async fn clear(&self, id: VolumeId) {
        self.advance(id, VolumeState::Deleting, None).await;
        let mut pause = FIRST_PAUSE;
        for _ in 0..TRIES {
            // Much may be in it; what is left is the next server's.
            let removed = tokio::select! {
                removed = self.around.driver.delete_volume(id) => removed,
                () = self.around.ending.cancelled() => return,
            };
            match removed {
                Ok(()) => {
                    pitlane_fault::point("volume.deleted");
                    self.advance(id, VolumeState::Deleted, None).await;
                    tracing::info!(volume = %id, "removed a volume");
                    self.forget_old(id).await;
                    return;
                }
                Err(error) => {
                    tracing::warn!(volume = %id, error = %Chain(&error), "not removed yet");
                }
            }
            tokio::select! {
                () = self.around.ending.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause *= 2;
        }
        let reason = "the machine could not remove it; delete it again".to_owned();
        self.advance(id, VolumeState::Error, Some(reason)).await;
    }

    /// Goes on with what an earlier server had begun, and finds out what is lost.
    pub(super) async fn go_on(self: &Arc<Self>) -> Result<(), ControlError> {
        let present: HashSet<VolumeId> = self.around.driver.volumes().await?.into_iter().collect();
        let rows: Vec<(VolumeId, VolumeState)> =
            self.known().volumes.values().map(|volume| (volume.id, volume.state)).collect();
        for id in &present {
            let is_known =
                rows.iter().any(|(known, state)| known == id && *state != VolumeState::Deleted);
            if !is_known {
                // Perhaps the database is an old copy. What may be somebody's only copy is not removed.
                tracing::warn!(volume = %id, "a volume that no organization has stays where it is");
            }
        }
        for (id, state) in rows {
            let task = Arc::clone(self);
            match state {
                VolumeState::PendingCreate | VolumeState::Creating => {
                    drop(self.around.tasks.spawn(async move { task.bring(id).await }));
                }
                VolumeState::PendingDelete | VolumeState::Deleting => {
                    drop(self.around.tasks.spawn(async move { task.clear(id).await }));
                }
                VolumeState::Ready if !present.contains(&id) => {
                    tracing::error!(volume = %id, "what was in it is gone");
                    let reason = "what was in it is gone".to_owned();
                    self.advance(id, VolumeState::Error, Some(reason)).await;
                }
                VolumeState::Ready | VolumeState::Deleted | VolumeState::Error => {}
            }
        }
        Ok(())
    }

    /// Notes and tells where a volume stands now. A row that cannot be written keeps nothing from happening: the next
    /// server finds out.
    async fn advance(&self, id: VolumeId, state: VolumeState, reason: Option<String>) {
        let changed = {
            let mut known = self.known();
            let Some(volume) = known.volumes.get_mut(&id) else { return };
            let old = std::mem::replace(&mut volume.state, state);
            volume.error_reason = reason;
            volume.updated_at = self.around.clock.now();
            (volume.clone(), old)
        };
        let (volume, old) = changed;
        if let Err(error) = self.around.store.save_volume(volume.clone()).await {
            tracing::error!(volume = %id, error = %Chain(&error), "volume not written");
        }
        self.tell(&volume, old);
    }

    fn tell(&self, volume: &Volume, old: VolumeState) {
        let (volume, new) = (Arc::new(volume.clone()), volume.state);
        // Nobody listening is no failure.
        drop(self.around.events.send(Event::VolumeStateUpdated { volume, old, new }));
    }

    /// Forgets the oldest of the deleted volumes of an organization, so that they do not grow without end.
    async fn forget_old(&self, id: VolumeId) {
        let forgotten = {
            let mut known = self.known();
            let owner: Option<OrganizationId> =
                known.volumes.get(&id).map(|volume| volume.organization);
            let Some(owner) = owner else { return };
            let mut deleted: Vec<_> = known
                .of(owner)
                .filter(|volume| volume.state == VolumeState::Deleted)
                .map(|volume| (volume.updated_at, volume.id))
                .collect();
            deleted.sort_unstable();
            let excess = deleted.len().saturating_sub(MAX_DELETED);
            let forgotten: Vec<VolumeId> =
                deleted.into_iter().take(excess).map(|(_, id)| id).collect();
            for id in &forgotten {
                known.volumes.remove(id);
            }
            forgotten
        };
        if !forgotten.is_empty()
            && let Err(error) = self.around.store.forget_volumes(forgotten).await
        {
            tracing::warn!(error = %Chain(&error), "deleted volumes are remembered longer");
        }
    }
}
