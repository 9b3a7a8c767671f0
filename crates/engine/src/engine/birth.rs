//! Making sandboxes and bringing stopped ones back. Everything here blocks.

use std::sync::Arc;

use pitlane_driver::{Cause, CreateError, Hello, LaunchSpec, StartError};
use pitlane_model::SandboxId;

use super::{Inner, Parts, Sandbox, hello_of, lock};
use crate::disk::{self, DiskError};
use crate::prepared::{Prepared, Recipe};
use crate::running::{self, LaunchError, Launched};

/// What must be free on the state folder's file system for another sandbox to be made.
const DISK_RESERVE_BYTES: u64 = 1 << 30;

impl Inner {
    pub(super) fn create(self: &Arc<Self>, spec: &LaunchSpec) -> Result<Hello, CreateError> {
        let id = spec.id;
        let host = |cause: Cause| CreateError::Host { id, cause };
        let Some(image) = self.images.find(&spec.image) else {
            return Err(CreateError::NoImage { image: spec.image.clone() });
        };
        if self.is_disk_full() {
            return Err(CreateError::Full);
        }
        let sandbox = Arc::new(Sandbox::new(Parts::default()));
        let _turn = sandbox.turn.try_acquire().map_err(|cause| host(Box::new(cause)))?;
        {
            let mut sandboxes = lock(&self.sandboxes);
            if sandboxes.contains_key(&id) {
                return Err(CreateError::Exists { id });
            }
            sandboxes.insert(id, Arc::clone(&sandbox));
        }
        let recipe = Self::recipe(image, spec.limits, spec.network);
        let made = self.make(spec, &recipe, &sandbox);
        if made.is_err() {
            // The parts that were made were dropped on the way, the disk included.
            lock(&self.sandboxes).remove(&id);
        }
        made
    }

    fn make(
        self: &Arc<Self>,
        spec: &LaunchSpec,
        recipe: &Recipe,
        sandbox: &Arc<Sandbox>,
    ) -> Result<Hello, CreateError> {
        let id = spec.id;
        let host = |cause: Cause| CreateError::Host { id, cause };
        let mut prepared = match self.pool.claim(recipe) {
            Some(prepared) => prepared,
            None => {
                let slot = self.slots.take().ok_or(CreateError::Full)?;
                self.preparer.fresh(slot, recipe).map_err(|cause| host(Box::new(cause)))?
            }
        };
        let owned = self
            .preparer
            .disks
            .own(prepared.disk.path(), id, prepared.slot.number(), &recipe.fingerprint)
            .map_err(|cause| host(Box::new(cause)))?;
        // Not yet the sandbox's own: a failed launch removes it.
        prepared.disk.set_path(owned);
        let launched = self.launch(prepared, spec).map_err(|cause| host(Box::new(cause)))?;
        Ok(self.settle(id, sandbox, launched))
    }

    fn launch(&self, prepared: Prepared, spec: &LaunchSpec) -> Result<Launched, LaunchError> {
        running::launch(prepared, spec, &self.launcher, &self.daemon, &self.sockets)
    }

    fn settle(
        self: &Arc<Self>,
        id: SandboxId,
        sandbox: &Arc<Sandbox>,
        launched: Launched,
    ) -> Hello {
        let Launched { running, slot, mut disk } = launched;
        disk.keep();
        let hello = hello_of(&running);
        let process = Arc::clone(&running.process);
        *lock(&sandbox.parts) =
            Parts { slot: Some(slot), disk: Some(disk), running: Some(running) };
        self.watch(id, sandbox, process);
        hello
    }

    pub(super) fn start_again(
        self: &Arc<Self>,
        spec: &LaunchSpec,
        sandbox: &Arc<Sandbox>,
    ) -> Result<Hello, StartError> {
        let id = spec.id;
        let host = |cause: Cause| StartError::Host { id, cause };
        let (slot, path) = {
            let parts = lock(&sandbox.parts);
            if let Some(running) = &parts.running {
                return Ok(hello_of(running));
            }
            let (Some(slot), Some(disk)) = (parts.slot.clone(), parts.disk.as_ref()) else {
                return Err(StartError::NotFound { id });
            };
            (slot, disk.path().to_owned())
        };
        // Another build of the image is another image: what the disk changes or removes may not be there.
        let fingerprint = disk::fingerprint(&path).unwrap_or_default();
        let image = self
            .images
            .find_build(&spec.image, fingerprint)
            .ok_or_else(|| host(Box::new(CreateError::NoImage { image: spec.image.clone() })))?;
        let recipe = Self::recipe(image, spec.limits, spec.network);
        let launched = self
            .preparer
            .again(slot, &recipe, &path)
            .map_err(|cause| -> Cause { Box::new(cause) })
            .and_then(|prepared| {
                self.launch(prepared, spec).map_err(|cause| -> Cause { Box::new(cause) })
            });
        launched.map(|launched| self.settle(id, sandbox, launched)).map_err(host)
    }

    /// Frees a sandbox whose processes have ended.
    pub(super) fn free(&self, id: SandboxId, sandbox: &Sandbox) -> Result<(), DiskError> {
        let mut parts = lock(&sandbox.parts);
        drop(parts.running.take());
        if let Some(disk) = &parts.disk {
            disk::remove(disk.path())?;
        }
        parts.disk = None;
        parts.slot = None;
        drop(parts);
        lock(&self.sandboxes).remove(&id);
        Ok(())
    }

    fn is_disk_full(&self) -> bool {
        rustix::fs::statvfs(&self.state).is_ok_and(|status| {
            status.f_bavail.saturating_mul(status.f_frsize) < DISK_RESERVE_BYTES
        })
    }
}
