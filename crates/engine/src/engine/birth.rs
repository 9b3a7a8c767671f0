//! Making sandboxes and bringing stopped ones back. Everything here blocks.

use std::sync::Arc;

use pitlane_driver::{Cause, CreateError, Hello, LaunchSpec, StartError};
use pitlane_model::SandboxId;

use super::volumes::NoVolumes;
use super::{Inner, Parts, Run, Sandbox, hello_of, lock};
use crate::disk::{self, DiskError};
use crate::launcher::LauncherError;
use crate::prepared::{PrepareError, Recipe};
use crate::waiting::{LaunchError, Waiting, Woken};

impl Inner {
    pub(super) fn create(self: &Arc<Self>, spec: &LaunchSpec) -> Result<Hello, CreateError> {
        let id = spec.id;
        let host = |cause: Cause| CreateError::Host { id, cause };
        // Until the disk's name tells that the image is needed.
        let _held = self.images.hold().map_err(|cause| host(Box::new(cause)))?;
        let Some(image) = self.images.find(&spec.image) else {
            return Err(CreateError::NoImage { image: spec.image.clone() });
        };
        if !self.room.promise(u64::from(spec.limits.disk_gib()) << 30) {
            return Err(CreateError::DiskFull);
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
        let recipe = Recipe::of(image, spec.limits, spec.network);
        let made = self.make(spec, &recipe, &sandbox);
        self.pools.refill();
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
        if let Some(waiting) = self.pools.claim(&spec.pools, &spec.image, recipe) {
            let woken = match self.mount_volumes(&waiting, spec) {
                Ok(()) => self.wake(waiting, spec, recipe),
                Err(refused @ NoVolumes::Refused(_)) => return Err(refused.of_create(id)),
                Err(failure) => Err(failure.into_cause()),
            };
            match woken {
                Ok(woken) => return Ok(self.settle(id, sandbox, woken)),
                Err(cause) => tracing::warn!(
                    sandbox = %id,
                    cause = &*cause as &dyn std::error::Error,
                    "a sandbox that waited did not wake; making another"
                ),
            }
        }
        let fresh = || {
            let slot = self.slots.take().ok_or(CreateError::Full)?;
            Ok(self.preparer.fresh(slot, recipe, spec.limits))
        };
        let mut made = fresh()?;
        if let Err(PrepareError::Launch(LaunchError::Launcher(LauncherError::Died))) = made {
            tracing::warn!(sandbox = %id, "the launcher died meanwhile; trying once more");
            made = fresh()?;
        }
        let mut waiting = made.map_err(|cause| host(Box::new(cause)))?;
        let mut mounted = self.mount_volumes(&waiting, spec);
        if let Err(NoVolumes::LauncherDied) = mounted {
            tracing::warn!(sandbox = %id, "the launcher died meanwhile; trying once more");
            drop(waiting);
            waiting = fresh()?.map_err(|cause| host(Box::new(cause)))?;
            mounted = self.mount_volumes(&waiting, spec);
        }
        mounted.map_err(|failure| failure.of_create(id))?;
        let woken = self.wake(waiting, spec, recipe).map_err(host)?;
        Ok(self.settle(id, sandbox, woken))
    }

    /// Gives a fresh sandbox its owner.
    fn wake(
        &self,
        mut waiting: Waiting,
        spec: &LaunchSpec,
        recipe: &Recipe,
    ) -> Result<Woken, Cause> {
        let (disks, slot) = (&self.preparer.disks, waiting.slot());
        let owned = disks.own(waiting.disk().path(), spec.id, slot, &recipe.fingerprint)?;
        // Not yet the sandbox's own: a failed launch removes it.
        waiting.disk().set_path(owned);
        Ok(waiting.wake(spec, &recipe.config, &self.preparer.sockets)?)
    }

    fn settle(self: &Arc<Self>, id: SandboxId, sandbox: &Arc<Sandbox>, woken: Woken) -> Hello {
        let Woken { running, slot, mut disk } = woken;
        disk.keep();
        let hello = hello_of(&running);
        let process = Arc::clone(&running.process);
        *lock(&sandbox.parts) =
            Parts { slot: Some(slot), disk: Some(disk), running: Some(running), archive: None };
        self.watch(id, sandbox, Run { process, is_new: true });
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
        let recipe = Recipe::of(image, spec.limits, spec.network);
        let waiting = self
            .preparer
            .again(slot, &recipe, spec.limits, &path)
            .map_err(|cause| host(Box::new(cause)))?;
        self.mount_volumes(&waiting, spec).map_err(|failure| failure.of_start(id))?;
        let woken = waiting.wake(spec, &recipe.config, &self.preparer.sockets);
        Ok(self.settle(id, sandbox, woken.map_err(|cause| host(Box::new(cause)))?))
    }

    /// Frees a sandbox whose processes have ended.
    pub(super) fn free(&self, id: SandboxId, sandbox: &Sandbox) -> Result<(), DiskError> {
        let mut parts = lock(&sandbox.parts);
        if let Some(running) = parts.running.take() {
            self.collect(id, &running.name);
            pitlane_fault::point("free.exit-collected");
        }
        pitlane_fault::point("free.ended");
        if let Some(disk) = &parts.disk {
            disk::remove(disk.path())?;
        }
        pitlane_fault::point("free.disk-removed");
        if let Some(archive) = &parts.archive {
            disk::remove(archive)?;
        }
        let disk = parts.disk.take().map(|disk| disk.path().to_owned());
        parts.slot = None;
        let archive = parts.archive.take();
        drop(parts);
        lock(&self.sandboxes).remove(&id);
        if let Some(build) = disk.as_deref().and_then(disk::fingerprint) {
            self.collect_after(build);
        }
        if let Some(build) = archive.as_deref().and_then(disk::fingerprint_of_archive) {
            self.collect_after(build);
        }
        Ok(())
    }
}
