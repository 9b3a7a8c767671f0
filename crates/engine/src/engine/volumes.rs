//! Volumes: made, removed, and put into sandboxes. Everything here blocks.

use pitlane_driver::{
    Cause, CreateError, CreateVolumeError, DeleteVolumeError, LaunchSpec, StartError,
};
use pitlane_model::{SandboxId, VolumeId};

use super::Inner;
use crate::launcher::LauncherError;
use crate::volume::{CreateObjectsError, MountVolumeError};
use crate::waiting::{AttachError, Waiting};

/// Why a sandbox does not have its volumes.
#[derive(Debug)]
pub(super) enum NoVolumes {
    /// They cannot be mounted as they were asked for; says why, for whoever asked.
    Refused(String),
    /// The launcher, or the sandbox's process 1, ended meanwhile: another try finds another one.
    Ended(LauncherError),
    /// The machine failed.
    Failed(Cause),
}

impl NoVolumes {
    pub(super) fn into_cause(self) -> Cause {
        match self {
            Self::Refused(reason) => reason.into(),
            Self::Ended(cause) => Box::new(cause),
            Self::Failed(cause) => cause,
        }
    }

    pub(super) fn of_create(self, id: SandboxId) -> CreateError {
        match self {
            Self::Refused(reason) => CreateError::Mount { id, reason },
            failure => CreateError::Host { id, cause: failure.into_cause() },
        }
    }

    pub(super) fn of_start(self, id: SandboxId) -> StartError {
        match self {
            Self::Refused(reason) => StartError::Mount { id, reason },
            failure => StartError::Host { id, cause: failure.into_cause() },
        }
    }
}

impl From<MountVolumeError> for NoVolumes {
    fn from(failure: MountVolumeError) -> Self {
        match failure {
            MountVolumeError::Gone { .. }
            | MountVolumeError::Subpath { .. }
            | MountVolumeError::Unconfigured { .. }
            | MountVolumeError::Elsewhere { .. } => Self::Refused(failure.to_string()),
            MountVolumeError::Disk(_)
            | MountVolumeError::Mount { .. }
            | MountVolumeError::Process { .. } => Self::Failed(Box::new(failure)),
        }
    }
}

impl From<AttachError> for NoVolumes {
    fn from(failure: AttachError) -> Self {
        match failure {
            AttachError::Refused { why } => Self::Refused(why),
            AttachError::Launcher(cause @ (LauncherError::Died | LauncherError::Absent)) => {
                Self::Ended(cause)
            }
            failure => Self::Failed(Box::new(failure)),
        }
    }
}

impl Inner {
    /// Puts its volumes into a sandbox that waits, if it has any.
    pub(super) fn mount_volumes(
        &self,
        waiting: &Waiting,
        spec: &LaunchSpec,
    ) -> Result<(), NoVolumes> {
        if spec.volumes.is_empty() {
            return Ok(());
        }
        // What the sandbox has of its own went into its process 1.
        let users = self
            .launcher
            .user_namespace(waiting.first_id())
            .map_err(|cause| NoVolumes::Failed(Box::new(cause)))?;
        let mut mounts = Vec::with_capacity(spec.volumes.len());
        for wanted in &spec.volumes {
            let mount = self.volumes.mount(wanted, &users, waiting.slot())?;
            mounts.push((wanted.path.to_string(), mount));
        }
        pitlane_fault::point("volumes.assembled");
        Ok(waiting.attach(&mounts)?)
    }

    pub(super) fn create_volume(&self, id: VolumeId) -> Result<(), CreateVolumeError> {
        if !self.volumes.has(id) && !self.room.promise(self.volumes.size_bytes()) {
            return Err(CreateVolumeError::Full);
        }
        self.volumes.create(id).map_err(|failure| match failure {
            CreateObjectsError::Disk(failure) if failure.is_for_want_of_room() => {
                tracing::warn!(volume = %id, failure = &failure as &dyn std::error::Error, "no room for a volume");
                CreateVolumeError::Full
            }
            failure @ (CreateObjectsError::Disk(_) | CreateObjectsError::Closing) => {
                CreateVolumeError::Host { id, cause: Box::new(failure) }
            }
            CreateObjectsError::Storage(failure) => {
                CreateVolumeError::Storage { reason: failure.to_string() }
            }
        })
    }

    pub(super) fn delete_volume(&self, id: VolumeId) -> Result<(), DeleteVolumeError> {
        self.volumes.delete(id).map_err(|cause| DeleteVolumeError::Host { id, cause })
    }
}
