//! The engine as a driver: each call gets its turn at the sandbox and ends even if its caller goes away.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use pitlane_driver::{
    ArchiveError, Cause, ConnectError, Connection, CreateError, CreateVolumeError,
    DeleteVolumeError, DeriveImageError, DestroyError, Driver, DriverEvent, Existing, Hello,
    ImageProgress, InventoryError, LaunchSpec, Liveness, NoRoomError, PoolReport,
    PrepareImageError, PreparedImage, RemoveImageError, ResizeError, RestoreError, SnapshotError,
    StartError, StopError, WantedPool,
};
use pitlane_image::{Images, PullAs};
use pitlane_model::{
    ImageConfig, ImageName, ImageOwner, ImageReference, Limits, RegistryLogin, SandboxId, VolumeId,
};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Engine, end, lock};
use crate::image;

#[async_trait]
impl Driver for Engine {
    async fn find_image(&self, reference: &ImageReference) -> Option<PreparedImage> {
        let (inner, reference) = (Arc::clone(&self.inner), reference.clone());
        let found = self.inner.tasks.spawn_blocking(move || image::find(&inner.images, &reference));
        found.await.ok().flatten().as_ref().map(image::describe)
    }

    async fn prepare_image(
        &self,
        reference: &ImageReference,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError> {
        let found = image::prepare(&self.inner.images, reference, progress).await?;
        Ok(image::describe(&found))
    }

    fn admits_registry(&self, registry: &str, is_encrypted: bool) -> Result<(), String> {
        self.inner.images.admits_registry(registry, is_encrypted)
    }

    async fn find_owned_image(
        &self,
        owner: ImageOwner,
        reference: &ImageReference,
    ) -> Option<PreparedImage> {
        let (inner, reference) = (Arc::clone(&self.inner), reference.clone());
        let find = move || inner.images.find_owned(owner, &reference);
        let found = self.inner.tasks.spawn_blocking(find);
        found.await.ok().flatten().as_ref().map(image::describe)
    }

    async fn pull_owned_image(
        &self,
        owner: ImageOwner,
        login: &RegistryLogin,
        reference: &ImageReference,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError> {
        let who = PullAs { login: Some(login.clone()), owner: Some(owner) };
        let found = image::pull(&self.inner.images, reference, who, progress).await?;
        Ok(image::describe(&found))
    }

    async fn snapshot(
        &self,
        id: SandboxId,
        reference: &ImageReference,
    ) -> Result<PreparedImage, SnapshotError> {
        let Some(sandbox) = self.inner.get(id) else { return Err(SnapshotError::NotFound { id }) };
        let turn = sandbox.take_turn().await;
        let (inner, reference) = (Arc::clone(&self.inner), reference.clone());
        let given_up = CancellationToken::new();
        let _when_dropped = given_up.clone().drop_guard();
        let made = self.inner.copies.spawn_blocking(move || {
            let is_given_up = || given_up.is_cancelled() || inner.closing.is_cancelled();
            let made = inner.snapshot(id, &sandbox, &reference, &is_given_up);
            drop(turn);
            made
        });
        made.await.unwrap_or_else(|cause| Err(SnapshotError::Host { id, cause: Box::new(cause) }))
    }

    async fn derive_image(
        &self,
        image: &ImageName,
        config: &ImageConfig,
        reference: &ImageReference,
    ) -> Result<PreparedImage, DeriveImageError> {
        let inner = Arc::clone(&self.inner);
        let (of, config, reference) = (image.clone(), config.clone(), reference.clone());
        let derive = move || inner.derive_image(&of, &config, &reference);
        let host = |cause| DeriveImageError::Host { image: image.clone(), cause: Box::new(cause) };
        self.inner.tasks.spawn_blocking(derive).await.unwrap_or_else(|cause| Err(host(cause)))
    }

    async fn remove_image(&self, reference: &ImageReference) -> Result<(), RemoveImageError> {
        let (inner, name) = (Arc::clone(&self.inner), reference.clone());
        let removed = self.inner.tasks.spawn_blocking(move || inner.remove_image(&name)).await;
        let image = || reference.to_string();
        removed.unwrap_or_else(|cause| {
            Err(RemoveImageError::Host { image: image(), cause: Box::new(cause) })
        })
    }

    async fn need_images(&self, needed: BTreeMap<ImageName, Vec<String>>) {
        let state = self.inner.state.clone();
        let noted = self.inner.tasks.spawn_blocking(move || Images::note_needed(&state, &needed));
        if let Ok(Err(cause)) = noted.await {
            tracing::error!(%cause, "cannot note which images are needed");
        }
    }

    async fn create(&self, spec: &LaunchSpec) -> Result<Hello, CreateError> {
        let id = spec.id;
        let made = self.inner.tasks.spawn(Arc::clone(&self.inner).create(spec.clone()));
        made.await.unwrap_or_else(|cause| Err(CreateError::Host { id, cause: Box::new(cause) }))
    }

    async fn start(&self, spec: &LaunchSpec) -> Result<Hello, StartError> {
        let id = spec.id;
        let Some(sandbox) = self.inner.get(id) else { return Err(StartError::NotFound { id }) };
        let turn = sandbox.take_turn().await;
        let spec = spec.clone();
        let inner = Arc::clone(&self.inner);
        let handle = tokio::runtime::Handle::current();
        let started = self.inner.tasks.spawn_blocking(move || {
            let _context = handle.enter();
            let started = inner.start_again(&spec, &sandbox);
            drop(turn);
            started
        });
        started.await.unwrap_or_else(|cause| Err(StartError::Host { id, cause: Box::new(cause) }))
    }

    async fn connect(&self, id: SandboxId) -> Result<Connection, ConnectError> {
        let Some(sandbox) = self.inner.get(id) else { return Err(ConnectError::NotRunning { id }) };
        let path = lock(&sandbox.parts).running.as_ref().map(|running| running.socket.path());
        let Some(path) = path else { return Err(ConnectError::NotRunning { id }) };
        match UnixStream::connect(&*path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(cause) => Err(ConnectError::Host { id, cause: Box::new(cause) }),
        }
    }

    async fn stop(&self, id: SandboxId, force: bool) -> Result<(), StopError> {
        let Some(sandbox) = self.inner.get(id) else { return Err(StopError::NotFound { id }) };
        let inner = Arc::clone(&self.inner);
        let stopped = self.inner.tasks.spawn(async move {
            let turn = sandbox.take_turn().await;
            let process =
                lock(&sandbox.parts).running.as_ref().map(|running| Arc::clone(&running.process));
            let Some(process) = process else { return Ok(()) };
            if !end(&process, force).await? {
                return Err(Cause::from("its processes did not end after SIGKILL"));
            }
            pitlane_fault::point("stop.processes-ended");
            let running = lock(&sandbox.parts).running.take();
            tokio::task::spawn_blocking(move || {
                if let Some(running) = running {
                    let exit = inner.collect(id, &running.name);
                    tracing::debug!(sandbox = %id, ?exit, "stopped");
                }
                drop(turn);
            })
            .await
            .map_err(Cause::from)
        });
        let stopped = stopped.await.unwrap_or_else(|cause| Err(Cause::from(cause)));
        stopped.map_err(|cause| StopError::Host { id, cause })
    }

    async fn resize(&self, id: SandboxId, limits: Limits) -> Result<(), ResizeError> {
        let Some(sandbox) = self.inner.get(id) else { return Err(ResizeError::NotFound { id }) };
        let turn = sandbox.take_turn().await;
        let inner = Arc::clone(&self.inner);
        let given_up = CancellationToken::new();
        let _when_dropped = given_up.clone().drop_guard();
        let resized = self.inner.tasks.spawn_blocking(move || {
            let resized = inner.resize(id, &sandbox, limits, &|| given_up.is_cancelled());
            drop(turn);
            resized
        });
        resized.await.unwrap_or_else(|cause| Err(ResizeError::Host { id, cause: Box::new(cause) }))
    }

    async fn archive(&self, id: SandboxId) -> Result<(), ArchiveError> {
        let Some(sandbox) = self.inner.get(id) else { return Err(ArchiveError::NotFound { id }) };
        let turn = sandbox.take_turn().await;
        let inner = Arc::clone(&self.inner);
        let given_up = CancellationToken::new();
        let _when_dropped = given_up.clone().drop_guard();
        let archived = self.inner.tasks.spawn_blocking(move || {
            let archived = inner.archive(id, &sandbox, &|| given_up.is_cancelled());
            drop(turn);
            archived
        });
        archived
            .await
            .unwrap_or_else(|cause| Err(ArchiveError::Host { id, cause: Box::new(cause) }))
    }

    async fn restore(&self, id: SandboxId) -> Result<(), RestoreError> {
        let Some(sandbox) = self.inner.get(id) else { return Err(RestoreError::NotFound { id }) };
        let turn = sandbox.take_turn().await;
        let inner = Arc::clone(&self.inner);
        let given_up = CancellationToken::new();
        let _when_dropped = given_up.clone().drop_guard();
        let restored = self.inner.tasks.spawn_blocking(move || {
            let restored = inner.restore(id, &sandbox, &|| given_up.is_cancelled());
            drop(turn);
            restored
        });
        restored
            .await
            .unwrap_or_else(|cause| Err(RestoreError::Host { id, cause: Box::new(cause) }))
    }

    async fn destroy(&self, id: SandboxId) -> Result<(), DestroyError> {
        let Some(sandbox) = self.inner.get(id) else { return Ok(()) };
        let inner = Arc::clone(&self.inner);
        let destroyed = self.inner.tasks.spawn(async move {
            let turn = sandbox.take_turn().await;
            let process =
                lock(&sandbox.parts).running.as_ref().map(|running| Arc::clone(&running.process));
            if let Some(process) = &process
                && !end(process, true).await?
            {
                return Err(Cause::from("its processes did not end after SIGKILL"));
            }
            tokio::task::spawn_blocking(move || {
                inner.free(id, &sandbox)?;
                drop(turn);
                Ok(())
            })
            .await
            .unwrap_or_else(|cause| Err(Cause::from(cause)))
        });
        let destroyed = destroyed.await.unwrap_or_else(|cause| Err(Cause::from(cause)));
        destroyed.map_err(|cause| DestroyError::Host { id, cause })
    }

    async fn inventory(&self) -> Result<Vec<Existing>, InventoryError> {
        let sandboxes = lock(&self.inner.sandboxes);
        let existing = sandboxes.iter().map(|(id, sandbox)| {
            let parts = lock(&sandbox.parts);
            let liveness = match (&parts.running, &parts.archive) {
                (Some(_), _) => Liveness::Running,
                (None, Some(_)) => Liveness::Archived,
                (None, None) => Liveness::Stopped,
            };
            Existing { id: *id, liveness }
        });
        Ok(existing.collect())
    }

    async fn room_to_wait(&self, others: u64, more: u64) -> Result<(), NoRoomError> {
        let inner = Arc::clone(&self.inner);
        let checked = self.inner.tasks.spawn_blocking(move || inner.pools.room(others, more));
        // What cannot be measured is not refused for.
        checked.await.unwrap_or(Ok(()))
    }

    fn keep_ready(&self, wanted: Vec<WantedPool>) {
        self.inner.pools.keep_ready(wanted);
    }

    fn pools(&self) -> PoolReport {
        self.inner.pools.report()
    }

    async fn create_volume(&self, id: VolumeId) -> Result<(), CreateVolumeError> {
        let inner = Arc::clone(&self.inner);
        let made = self.inner.tasks.spawn_blocking(move || inner.create_volume(id));
        made.await
            .unwrap_or_else(|cause| Err(CreateVolumeError::Host { id, cause: Box::new(cause) }))
    }

    async fn delete_volume(&self, id: VolumeId) -> Result<(), DeleteVolumeError> {
        let inner = Arc::clone(&self.inner);
        let removed = self.inner.tasks.spawn_blocking(move || inner.delete_volume(id));
        removed
            .await
            .unwrap_or_else(|cause| Err(DeleteVolumeError::Host { id, cause: Box::new(cause) }))
    }

    async fn volumes(&self) -> Result<Vec<VolumeId>, InventoryError> {
        let inner = Arc::clone(&self.inner);
        let listed = self.inner.tasks.spawn_blocking(move || inner.volumes.list());
        let listed = listed.await.map_err(|cause| InventoryError::Host { cause: cause.into() })?;
        listed.map_err(|cause| InventoryError::Host { cause: cause.into() })
    }

    async fn next_event(&self) -> Option<DriverEvent> {
        // One caller, so nobody waits for this lock.
        self.events.lock().await.recv().await
    }
}
