//! Making sandboxes and bringing stopped ones back. Everything here blocks, but for waking one that waits.

use std::sync::Arc;
use std::time::Duration;

use pitlane_driver::{Cause, CreateError, Hello, LaunchSpec, StartError};
use pitlane_model::SandboxId;
use tokio::runtime::Handle;

use super::volumes::NoVolumes;
use super::{Inner, Parts, Run, Sandbox, hello_of, lock};
use crate::disk::{self, DiskError};
use crate::launcher::LauncherError;
use crate::prepared::{PrepareError, Recipe};
use crate::waiting::{LaunchError, Waiting, Woken};

/// What a new sandbox is made of and by.
struct Begun {
    spec: LaunchSpec,
    recipe: Recipe,
    sandbox: Arc<Sandbox>,
    /// One that waited.
    claimed: Option<Waiting>,
}

/// The most bytes of variables that are told without a thread of their own: together with all else they fit into a pipe.
const FEW_BYTES: usize = 32 * 1024;

impl Inner {
    /// Makes a sandbox. One that waits is only told who it is, by a few system calls that never block; everything else is
    /// done on a thread that may.
    pub(super) async fn create(self: Arc<Self>, spec: LaunchSpec) -> Result<Hello, CreateError> {
        let id = spec.id;
        let host = |cause: Cause| CreateError::Host { id, cause };
        // Until the disk's name tells that the image is needed.
        let held = match self.images.try_hold() {
            Ok(None) => {
                let images = self.images.clone();
                let held = tokio::task::spawn_blocking(move || images.hold()).await;
                held.map_err(|cause| host(Box::new(cause)))?
            }
            Ok(Some(held)) => Ok(held),
            Err(cause) => Err(cause),
        };
        let _held = held.map_err(|cause| host(Box::new(cause)))?;
        let mut begun = self.begin(spec)?;
        let sandbox = Arc::clone(&begun.sandbox);
        let _turn =
            Arc::clone(&sandbox.turn).try_acquire_owned().map_err(|cause| host(Box::new(cause)))?;
        let made = match self.wake_at_once(&mut begun).await {
            Some(woken) => Ok(self.settle(id, &sandbox, woken)),
            None => {
                let (inner, handle) = (Arc::clone(&self), Handle::current());
                let made = tokio::task::spawn_blocking(move || {
                    let _context = handle.enter();
                    inner.make(begun)
                });
                made.await.unwrap_or_else(|cause| Err(host(Box::new(cause))))
            }
        };
        if made.is_err() {
            // The parts that were made were dropped on the way, the disk included.
            lock(&self.sandboxes).remove(&id);
            self.pools.refill();
        }
        made
    }

    /// Takes the id, and a sandbox that waits if there is one.
    fn begin(&self, spec: LaunchSpec) -> Result<Begun, CreateError> {
        let id = spec.id;
        let Some(image) = self.images.find(&spec.image) else {
            return Err(CreateError::NoImage { image: spec.image });
        };
        if !self.room.promise(u64::from(spec.limits.disk_gib()) << 30) {
            return Err(CreateError::DiskFull);
        }
        let sandbox = Arc::new(Sandbox::new(Parts::default()));
        {
            let mut sandboxes = lock(&self.sandboxes);
            if sandboxes.contains_key(&id) {
                return Err(CreateError::Exists { id });
            }
            sandboxes.insert(id, Arc::clone(&sandbox));
        }
        let recipe = Recipe::of(image, spec.limits, spec.network);
        let claimed = self.pools.claim(&spec.pools, &spec.image, &recipe);
        Ok(Begun { spec, recipe, sandbox, claimed })
    }

    /// Wakes what was claimed, if that takes no thread of its own. What does not wake is still there, to be freed.
    async fn wake_at_once(&self, begun: &mut Begun) -> Option<Woken> {
        let Begun { spec, recipe, claimed, .. } = begun;
        let variables = spec.environment.iter().chain(&recipe.config.environment);
        let bytes: usize = variables.map(|(name, value)| name.len() + value.len()).sum();
        if !spec.volumes.is_empty() || bytes > FEW_BYTES {
            return None;
        }
        let mut waiting = claimed.take()?;
        let heard = match waiting.tell(spec, &recipe.config, &self.preparer.sockets) {
            Ok(()) => waiting.said_something().await,
            Err(cause) => Err(cause),
        };
        let heard = heard.and_then(|()| waiting.hear(Duration::ZERO)).map_err(Cause::from);
        match heard.and_then(|hello| self.own(&mut waiting, spec, recipe).map(|()| hello)) {
            Ok(hello) => Some(waiting.woken(hello)),
            Err(cause) => {
                tell_of_sleep(spec.id, &*cause);
                // Freeing it takes a while.
                drop(tokio::task::spawn_blocking(move || drop(waiting)).await);
                None
            }
        }
    }

    /// Makes a sandbox of what was claimed, else of nothing. Blocks.
    fn make(self: &Arc<Self>, begun: Begun) -> Result<Hello, CreateError> {
        let Begun { spec, recipe, sandbox, claimed } = begun;
        let (spec, recipe, sandbox) = (&spec, &recipe, &sandbox);
        let id = spec.id;
        let host = |cause: Cause| CreateError::Host { id, cause };
        if let Some(waiting) = claimed {
            let woken = match self.mount_volumes(&waiting, spec) {
                Ok(()) => self.wake(waiting, spec, recipe),
                Err(refused @ NoVolumes::Refused(_)) => return Err(refused.of_create(id)),
                Err(failure) => Err(failure.into_cause()),
            };
            match woken {
                Ok(woken) => return Ok(self.settle(id, sandbox, woken)),
                Err(cause) => tell_of_sleep(id, &*cause),
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
        let mut waiting = made.map_err(|cause| match cause.is_for_want_of_room() {
            true => CreateError::DiskFull,
            false => host(Box::new(cause)),
        })?;
        let mut mounted = self.mount_volumes(&waiting, spec);
        if let Err(NoVolumes::Ended(cause)) = &mounted {
            tracing::warn!(sandbox = %id, %cause, "it ended before it had its volumes; trying once more");
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
        let hello = waiting.wake(spec, &recipe.config, &self.preparer.sockets)?;
        self.own(&mut waiting, spec, recipe)?;
        Ok(waiting.woken(hello))
    }

    /// Makes the disk of a fresh sandbox its owner's, which comes last: after a crash, a sandbox is what has a disk.
    fn own(&self, waiting: &mut Waiting, spec: &LaunchSpec, recipe: &Recipe) -> Result<(), Cause> {
        let (disks, slot) = (&self.preparer.disks, waiting.slot());
        let owned = disks.own(waiting.disk().path(), spec.id, slot, &recipe.fingerprint)?;
        // Not yet the sandbox's own: a failed launch removes it.
        waiting.disk().set_path(owned);
        Ok(())
    }

    /// Keeps what was woken. The task that watches it has the pools refilled, so that its caller need not wait for that.
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
        let mut waiting = self
            .preparer
            .again(slot, &recipe, spec.limits, &path)
            .map_err(|cause| host(Box::new(cause)))?;
        self.mount_volumes(&waiting, spec).map_err(|failure| failure.of_start(id))?;
        let hello = waiting.wake(spec, &recipe.config, &self.preparer.sockets);
        let hello = hello.map_err(|cause| host(Box::new(cause)))?;
        Ok(self.settle(id, sandbox, waiting.woken(hello)))
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

/// One that waited is none any more; the caller gets another.
fn tell_of_sleep(id: SandboxId, cause: &(dyn std::error::Error + Send + Sync + 'static)) {
    let cause = cause as &dyn std::error::Error;
    tracing::warn!(sandbox = %id, cause, "a sandbox that waited did not wake; making another");
}
