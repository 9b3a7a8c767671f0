//! What can go wrong in a driver, by operation.
//!
//! `Host` variants carry the cause for the log; their text is for operators, never for callers of the API.

use std::error::Error as StdError;

use pitlane_model::{ImageName, SandboxId, VolumeId};

/// The cause of a failure that only an operator can act on.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why an image is not on this machine.
#[derive(Debug, thiserror::Error)]
pub enum PrepareImageError {
    /// The driver knows no way to get it.
    #[error("image {image} is unknown")]
    Unknown {
        /// The image asked for.
        image: String,
    },
    /// It cannot be had from where it is, or not be used.
    #[error("image {image} cannot be had: {reason}")]
    Refused {
        /// The image asked for.
        image: String,
        /// Why, for whoever asked.
        reason: String,
    },
    /// The machine's disk has no room for it.
    #[error("this machine's disk has no room for image {image}")]
    Full {
        /// The image asked for.
        image: String,
    },
    /// The machine failed to make it.
    #[error("cannot prepare image {image}")]
    Host {
        /// The image asked for.
        image: String,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why there is no image of a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It has no disk here.
    #[error("sandbox {id} does not exist")]
    NotFound {
        /// The id asked for.
        id: SandboxId,
    },
    /// Its disk is packed away.
    #[error("sandbox {id} is archived")]
    Archived {
        /// The sandbox.
        id: SandboxId,
    },
    /// Its own image has as many layers as an image can have.
    #[error("the image of sandbox {id} has {most} layers, and no image has more")]
    TooManyLayers {
        /// The sandbox.
        id: SandboxId,
        /// How many an image can have.
        most: usize,
    },
    /// The machine's disk has no room for it.
    #[error("this machine's disk has no room for an image of sandbox {id}")]
    Full {
        /// The sandbox.
        id: SandboxId,
    },
    /// The machine failed.
    #[error("cannot make an image of sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why an image did not get another name and other words.
#[derive(Debug, thiserror::Error)]
pub enum DeriveImageError {
    /// The image is not on this machine.
    #[error("image {image} is not on this machine")]
    NoImage {
        /// The image asked for.
        image: ImageName,
    },
    /// The machine failed.
    #[error("cannot derive from image {image}")]
    Host {
        /// The image asked for.
        image: ImageName,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a name of an image is not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum RemoveImageError {
    /// The machine failed.
    #[error("cannot remove image {image}")]
    Host {
        /// The name.
        image: String,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a sandbox was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Its image is not on this machine.
    #[error("image {image} is not on this machine")]
    NoImage {
        /// The image asked for.
        image: ImageName,
    },
    /// The driver has a sandbox of this id.
    #[error("sandbox {id} exists already")]
    Exists {
        /// The id asked for.
        id: SandboxId,
    },
    /// The image has no such user.
    #[error("the image has no user {user:?}")]
    NoUser {
        /// The user asked for.
        user: String,
    },
    /// The machine has no room for another sandbox.
    #[error("this machine has no room for another sandbox")]
    Full,
    /// The machine's disk has no room for another sandbox's.
    #[error("this machine's disk has no room for another sandbox")]
    DiskFull,
    /// A volume cannot be mounted as it was asked for.
    #[error("cannot mount a volume in sandbox {id}: {reason}")]
    Mount {
        /// The sandbox.
        id: SandboxId,
        /// Why, for whoever asked.
        reason: String,
    },
    /// The machine failed.
    #[error("cannot create sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a stopped sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It has no disk here.
    #[error("sandbox {id} does not exist")]
    NotFound {
        /// The id asked for.
        id: SandboxId,
    },
    /// A volume cannot be mounted as it was asked for.
    #[error("cannot mount a volume in sandbox {id}: {reason}")]
    Mount {
        /// The sandbox.
        id: SandboxId,
        /// Why, for whoever asked.
        reason: String,
    },
    /// The machine failed.
    #[error("cannot start sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why there is no connection to a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It does not run.
    #[error("sandbox {id} is not running")]
    NotRunning {
        /// The id asked for.
        id: SandboxId,
    },
    /// It runs, and its daemon cannot be reached.
    #[error("cannot connect to sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a sandbox was not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// There is no such sandbox.
    #[error("sandbox {id} does not exist")]
    NotFound {
        /// The id asked for.
        id: SandboxId,
    },
    /// The machine failed.
    #[error("cannot stop sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a sandbox has the limits it had.
#[derive(Debug, thiserror::Error)]
pub enum ResizeError {
    /// It has no disk here.
    #[error("sandbox {id} does not exist")]
    NotFound {
        /// The id asked for.
        id: SandboxId,
    },
    /// The machine's disk has no room for a larger one.
    #[error("this machine's disk has no room for a larger disk of sandbox {id}")]
    DiskFull {
        /// The id asked for.
        id: SandboxId,
    },
    /// A disk grows only while nothing runs on it.
    #[error("the disk of sandbox {id} is in use")]
    DiskInUse {
        /// The sandbox.
        id: SandboxId,
    },
    /// A disk never gets smaller.
    #[error("the disk of sandbox {id} cannot shrink")]
    DiskShrinks {
        /// The sandbox.
        id: SandboxId,
    },
    /// The machine failed.
    #[error("cannot resize sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a sandbox's disk is not packed away.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It has no disk here.
    #[error("sandbox {id} does not exist")]
    NotFound {
        /// The id asked for.
        id: SandboxId,
    },
    /// It runs.
    #[error("sandbox {id} is running")]
    Running {
        /// The sandbox.
        id: SandboxId,
    },
    /// The machine failed.
    #[error("cannot archive sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a sandbox's disk is not back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is not here, neither packed away nor otherwise.
    #[error("sandbox {id} does not exist")]
    NotFound {
        /// The id asked for.
        id: SandboxId,
    },
    /// The machine has no room for another disk.
    #[error("this machine has no room for another disk")]
    Full,
    /// The machine failed.
    #[error("cannot restore sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a sandbox still holds something.
#[derive(Debug, thiserror::Error)]
pub enum DestroyError {
    /// The machine failed.
    #[error("cannot destroy sandbox {id}")]
    Host {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a driver cannot say what it has.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The machine failed.
    #[error("cannot list sandboxes")]
    Host {
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a volume was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateVolumeError {
    /// The machine's disk has no room for another volume.
    #[error("this machine's disk has no room for another volume")]
    Full,
    /// Volumes are kept in object storage, and that did not take one.
    #[error("{reason}")]
    Storage {
        /// Why, for whoever asked.
        reason: String,
    },
    /// The machine failed.
    #[error("cannot make volume {id}")]
    Host {
        /// The volume.
        id: VolumeId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

/// Why a volume is still there.
#[derive(Debug, thiserror::Error)]
pub enum DeleteVolumeError {
    /// The machine failed.
    #[error("cannot remove volume {id}")]
    Host {
        /// The volume.
        id: VolumeId,
        /// What failed.
        #[source]
        cause: Cause,
    },
}
