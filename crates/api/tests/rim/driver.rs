//! A driver whose sandboxes are [`daemon`](crate::daemon)s in this process.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use pitlane_driver::{
    ConnectError, Connection, CreateError, DestroyError, Driver, DriverEvent, Existing, Hello,
    ImageProgress, InventoryError, LaunchSpec, Liveness, PrepareImageError, PreparedImage,
    StartError, StopError,
};
use pitlane_model::{ImageName, SandboxId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::daemon::{self, Seen};

#[derive(Debug)]
pub(crate) struct TestDriver {
    seen: Seen,
    sandboxes: Mutex<HashMap<SandboxId, Liveness>>,
    failure: Mutex<Option<&'static str>>,
    tasks: Mutex<JoinSet<()>>,
}

impl TestDriver {
    pub(crate) fn new(seen: Seen) -> Self {
        Self {
            seen,
            sandboxes: Mutex::default(),
            failure: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    pub(crate) fn fail_next_create(&self, cause: &'static str) {
        *self.failure.lock().unwrap() = Some(cause);
    }

    fn set(&self, id: SandboxId, liveness: Liveness) -> Hello {
        self.sandboxes.lock().unwrap().insert(id, liveness);
        Hello { daemon_version: "0.0.0".to_owned() }
    }
}

#[async_trait]
impl Driver for TestDriver {
    async fn prepare_image(
        &self,
        _image: &ImageName,
        _progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError> {
        Ok(PreparedImage { size_bytes: (1 << 30) + 1 })
    }

    async fn create(&self, spec: &LaunchSpec) -> Result<Hello, CreateError> {
        match self.failure.lock().unwrap().take() {
            Some(cause) => Err(CreateError::Host { id: spec.id, cause: cause.into() }),
            None => Ok(self.set(spec.id, Liveness::Running)),
        }
    }

    async fn start(&self, spec: &LaunchSpec) -> Result<Hello, StartError> {
        Ok(self.set(spec.id, Liveness::Running))
    }

    async fn connect(&self, id: SandboxId) -> Result<Connection, ConnectError> {
        if self.sandboxes.lock().unwrap().get(&id) != Some(&Liveness::Running) {
            return Err(ConnectError::NotRunning { id });
        }
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.tasks.lock().unwrap().spawn(daemon::serve(theirs, self.seen.clone()));
        Ok(Box::new(ours))
    }

    async fn stop(&self, id: SandboxId, _force: bool) -> Result<(), StopError> {
        self.set(id, Liveness::Stopped);
        Ok(())
    }

    async fn destroy(&self, id: SandboxId) -> Result<(), DestroyError> {
        self.sandboxes.lock().unwrap().remove(&id);
        Ok(())
    }

    async fn inventory(&self) -> Result<Vec<Existing>, InventoryError> {
        Ok(Vec::new())
    }

    async fn next_event(&self) -> Option<DriverEvent> {
        std::future::pending().await
    }
}
