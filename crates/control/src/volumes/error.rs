//! What can go wrong with volumes, by operation.

use pitlane_model::{MountError, VolumeId, VolumeName, VolumeState};
use pitlane_store::WriteError;

use crate::{Forbidden, NoRandomness};

/// Why there is no such volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindVolumeError {
    /// The caller's organization has no such volume.
    #[error("there is no volume {id_or_name:?}")]
    NotFound {
        /// What was asked for.
        id_or_name: String,
    },
}

/// Why a volume was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateVolumeError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Choose another name, or delete the volume that has it.
    #[error("a volume named {name} exists already")]
    NameTaken {
        /// The name.
        name: VolumeName,
    },
    /// Delete some.
    #[error("an organization has at most {count} volumes")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The server is ending: try again when it is back.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// No id could be made.
    #[error("cannot make an id")]
    Random(#[from] NoRandomness),
    /// It was not written.
    #[error("cannot keep volume {name}")]
    Store {
        /// The volume.
        name: VolumeName,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why a volume is not on its way out.
#[derive(Debug, thiserror::Error)]
pub enum DeleteVolumeError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error(transparent)]
    Find(#[from] FindVolumeError),
    /// Wait until it is ready.
    #[error("volume {name} is {}; only one that is ready or in error can be deleted", state.as_str())]
    State {
        /// Its name.
        name: VolumeName,
        /// Where it stands.
        state: VolumeState,
    },
    /// Delete the sandboxes that have it.
    #[error("volume {name} is in use by {count} sandbox(es)")]
    InUse {
        /// Its name.
        name: VolumeName,
        /// How many.
        count: usize,
    },
    /// The server is ending: try again when it is back.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// It was not written.
    #[error("cannot note that volume {id} is to go")]
    Store {
        /// The volume.
        id: VolumeId,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why a sandbox cannot have volumes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimVolumeError {
    /// The sandbox's organization has no such volume.
    #[error("there is no volume {id_or_name:?}")]
    NotFound {
        /// What was asked for.
        id_or_name: String,
    },
    /// Wait until it is ready.
    #[error("volume {name} is {}, not ready", state.as_str())]
    NotReady {
        /// Its name.
        name: VolumeName,
        /// Where it stands.
        state: VolumeState,
    },
    /// Mount them elsewhere.
    #[error(transparent)]
    Mount(#[from] MountError),
}
