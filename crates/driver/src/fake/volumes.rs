//! Volumes of the driver in memory: names, and nothing in them.

use pitlane_model::VolumeId;

use super::{FakeDriver, Fault, Machine, Moment, Operation, told};
use crate::{CreateVolumeError, DeleteVolumeError, LaunchSpec};

impl FakeDriver {
    /// Every volume there is, by id.
    #[must_use]
    pub fn existing_volumes(&self) -> Vec<VolumeId> {
        self.machine().volumes.iter().copied().collect()
    }

    /// Takes a volume away, as a disk failure would.
    pub fn lose_volume(&self, id: VolumeId) {
        self.machine().volumes.remove(&id);
    }

    pub(super) async fn make_volume(&self, id: VolumeId) -> Result<(), CreateVolumeError> {
        self.pass(Operation::CreateVolume, Moment::Before, None).await;
        match self.fault(Operation::CreateVolume) {
            None => {}
            Some(Fault::Full) => return Err(CreateVolumeError::Full),
            Some(_) => return Err(CreateVolumeError::Host { id, cause: told() }),
        }
        self.machine().volumes.insert(id);
        self.pass(Operation::CreateVolume, Moment::After, None).await;
        Ok(())
    }

    pub(super) async fn remove_volume(&self, id: VolumeId) -> Result<(), DeleteVolumeError> {
        self.pass(Operation::DeleteVolume, Moment::Before, None).await;
        if self.fault(Operation::DeleteVolume).is_some() {
            return Err(DeleteVolumeError::Host { id, cause: told() });
        }
        self.machine().volumes.remove(&id);
        self.pass(Operation::DeleteVolume, Moment::After, None).await;
        Ok(())
    }
}

impl Machine {
    /// Why a sandbox cannot have its volumes.
    pub(super) fn cannot_mount(&self, spec: &LaunchSpec) -> Option<String> {
        let missing = spec.volumes.iter().find(|mount| !self.volumes.contains(&mount.volume))?;
        Some(format!("volume {} is not there", missing.volume))
    }
}
