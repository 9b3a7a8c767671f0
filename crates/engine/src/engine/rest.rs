//! What is done to sandboxes that rest: their disks grow, are packed away and come back. Everything here blocks.

use std::cmp::Ordering;
use std::path::PathBuf;

use pitlane_driver::{ArchiveError, Cause, ResizeError, RestoreError};
use pitlane_model::{Limits, SandboxId};

use super::{Inner, Sandbox, lock};
use crate::disk::{self, DiskError};
use crate::prepared::DiskFile;
use crate::slot::IDS_PER_SANDBOX;

impl Inner {
    /// Changes limits, those of one that runs too.
    pub(super) fn resize(
        &self,
        id: SandboxId,
        sandbox: &Sandbox,
        limits: Limits,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), ResizeError> {
        let host = |cause: Cause| ResizeError::Host { id, cause };
        let parts = lock(&sandbox.parts);
        let (Some(slot), Some(disk)) = (parts.slot.clone(), parts.disk.as_ref()) else {
            return Err(ResizeError::NotFound { id });
        };
        let path = disk.path().to_owned();
        let size = disk::size_gib(&path).map_err(|cause| host(cause.into()))?;
        if let Some(running) = &parts.running {
            match limits.disk_gib().cmp(&size) {
                Ordering::Less => return Err(ResizeError::DiskShrinks { id }),
                Ordering::Greater => return Err(ResizeError::DiskInUse { id }),
                Ordering::Equal => {}
            }
            return running.groups.limit(limits).map_err(|cause| host(cause.into()));
        }
        drop(parts);
        match limits.disk_gib().cmp(&size) {
            Ordering::Less => Err(ResizeError::DiskShrinks { id }),
            Ordering::Equal => Ok(()),
            Ordering::Greater => {
                let growth = limits.disk_gib().saturating_sub(size);
                if !self.room.promise(u64::from(growth) << 30) {
                    return Err(ResizeError::DiskFull { id });
                }
                // The last of the sandbox's own ids: nobody inside has it, and it owns nothing outside.
                let user = slot.first_id().saturating_add(IDS_PER_SANDBOX - 1);
                let disks = &self.preparer.disks;
                let grown = disks.grow(&path, limits.disk_gib(), user, is_given_up);
                grown.map_err(|cause| match cause.is_for_want_of_room() {
                    true => ResizeError::DiskFull { id },
                    false => host(cause.into()),
                })
            }
        }
    }

    /// Packs the disk away and gives the slot back.
    pub(super) fn archive(
        &self,
        id: SandboxId,
        sandbox: &Sandbox,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), ArchiveError> {
        let path = {
            let parts = lock(&sandbox.parts);
            match (&parts.running, &parts.disk, &parts.archive) {
                (Some(_), _, _) => return Err(ArchiveError::Running { id }),
                (None, Some(disk), _) => disk.path().to_owned(),
                (None, None, Some(_)) => return Ok(()),
                (None, None, None) => return Err(ArchiveError::NotFound { id }),
            }
        };
        let archive = self
            .preparer
            .disks
            .pack(&path, id, is_given_up)
            .map_err(|cause| ArchiveError::Host { id, cause: cause.into() })?;
        let mut parts = lock(&sandbox.parts);
        parts.archive = Some(archive);
        parts.disk = None;
        parts.slot = None;
        Ok(())
    }

    /// Brings the disk back, for another slot.
    pub(super) fn restore(
        &self,
        id: SandboxId,
        sandbox: &Sandbox,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), RestoreError> {
        let archive = {
            let parts = lock(&sandbox.parts);
            match (&parts.disk, &parts.archive) {
                (Some(_), _) => return Ok(()),
                (None, Some(archive)) => archive.clone(),
                (None, None) => return Err(RestoreError::NotFound { id }),
            }
        };
        // What is packed does not tell how large it becomes.
        if !self.room.promise(0) {
            return Err(RestoreError::Full);
        }
        let slot = self.slots.take().ok_or(RestoreError::Full)?;
        let path = self
            .preparer
            .disks
            .unpack(&archive, id, slot.number(), is_given_up)
            .map_err(|cause| RestoreError::Host { id, cause: cause.into() })?;
        let mut parts = lock(&sandbox.parts);
        parts.slot = Some(slot);
        parts.disk = Some(DiskFile::owned(path));
        parts.archive = None;
        Ok(())
    }

    /// Takes over the disks that an earlier server packed away, after those in use.
    pub(super) fn find_archives(&self) -> Result<(), DiskError> {
        let mut sandboxes = lock(&self.sandboxes);
        for (id, path) in self.preparer.disks.list_archives()? {
            if sandboxes.contains_key(&id) {
                tracing::info!(sandbox = %id, "removing an archive whose disk is here");
                disk::remove(&path)?;
                continue;
            }
            sandboxes.insert(id, std::sync::Arc::new(Sandbox::archived(path)));
        }
        Ok(())
    }
}

impl Sandbox {
    fn archived(archive: PathBuf) -> Self {
        Self::new(super::Parts { archive: Some(archive), ..super::Parts::default() })
    }
}
