//! What can go wrong with snapshots, by operation.

use pitlane_driver::PrepareImageError;
use pitlane_store::{ReadError, WriteError};

use crate::NoRandomness;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddSnapshotError {
    /// No id could be made.
    #[error("cannot make an id")]
    Random(#[from] NoRandomness),
    /// Its image could not be prepared; the snapshot is in state error. Add it again.
    #[error("cannot prepare the image of snapshot {name:?}")]
    Prepare {
        /// The snapshot.
        name: String,
        /// What failed.
        #[source]
        cause: PrepareImageError,
    },
    /// It was not written.
    #[error("cannot keep snapshot {name:?}")]
    Store {
        /// The snapshot.
        name: String,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why there is no such snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindSnapshotError {
    /// The caller's organization may use no such snapshot.
    #[error("there is no snapshot {id_or_name:?}")]
    NotFound {
        /// What was asked for.
        id_or_name: String,
    },
}

/// Why a list of snapshots was not read.
#[derive(Debug, thiserror::Error)]
pub enum ListSnapshotsError {
    /// The store failed.
    #[error("cannot list snapshots")]
    Store {
        /// What failed.
        #[source]
        cause: ReadError,
    },
}
