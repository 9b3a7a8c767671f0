//! The engine as a driver: each call gets its turn at the sandbox and ends even if its caller goes away.

use std::sync::Arc;

use async_trait::async_trait;
use pitlane_driver::{
    ArchiveError, Cause, ConnectError, Connection, CreateError, DestroyError, Driver, DriverEvent,
    Existing, Hello, ImageProgress, InventoryError, LaunchSpec, Liveness, PrepareImageError,
    PreparedImage, ResizeError, RestoreError, StartError, StopError,
};
use pitlane_model::{ImageReference, Limits, NetworkPolicy, SandboxId};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Engine, Inner, end, lock};
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
        let prepared = image::describe(&found);
        // Sandboxes of one image wait for whoever asks: of the server's own, which it prepares before any other.
        if self.inner.kept.get_or_init(|| prepared.image.clone()) == &prepared.image {
            let recipe = Inner::recipe(found.1, Limits::DEFAULT, NetworkPolicy::Open);
            let inner = Arc::clone(&self.inner);
            self.inner.tasks.spawn_blocking(move || inner.pool.keep_ready(recipe));
        }
        Ok(prepared)
    }

    async fn create(&self, spec: &LaunchSpec) -> Result<Hello, CreateError> {
        let id = spec.id;
        let spec = spec.clone();
        let inner = Arc::clone(&self.inner);
        let handle = tokio::runtime::Handle::current();
        let made = self.inner.tasks.spawn_blocking(move || {
            let _context = handle.enter();
            inner.create(&spec)
        });
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

    async fn next_event(&self) -> Option<DriverEvent> {
        // One caller, so nobody waits for this lock.
        self.events.lock().await.recv().await
    }
}
