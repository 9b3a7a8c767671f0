//! What can go wrong with snapshots, by operation.

use pitlane_driver::PrepareImageError;
use pitlane_model::{ImageReference, LimitError, SnapshotState};
use pitlane_store::{ReadError, WriteError};

use super::CreateSnapshot;
use crate::{Crowded, Forbidden, NoRandomness};

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

/// Why a snapshot was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateSnapshotError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Choose another name.
    #[error(
        "the name of a snapshot has 1 to {} letters, digits, dots, underscores, colons, dashes and slashes, and is no id",
        CreateSnapshot::MAX_NAME_BYTES
    )]
    Name,
    /// Choose another name, or delete the snapshot that has it.
    #[error("a snapshot named {name} exists already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Say which version of the image is meant.
    #[error(
        "image {image} needs a tag other than latest, or a digest: a snapshot stays what it is"
    )]
    Tag {
        /// The image asked for.
        image: ImageReference,
    },
    /// Change what it is to be built from.
    #[error("{reason}")]
    Build {
        /// What is wrong with it.
        reason: String,
    },
    /// Try again when some images have come.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// Ask for other limits.
    #[error(transparent)]
    Limits(#[from] LimitError),
    /// Delete some, then try again.
    #[error("an organization has at most {count} snapshots")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// No id could be made.
    #[error("cannot make an id")]
    Random(#[from] NoRandomness),
    /// The store failed.
    #[error("cannot keep the snapshot")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why there is no log of a build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotLogError {
    /// There is no such snapshot.
    #[error(transparent)]
    Find(#[from] FindSnapshotError),
    /// Its image was there without a build.
    #[error("the image of snapshot {name} was not built")]
    NotBuilt {
        /// Its name.
        name: String,
    },
}

/// Why a snapshot was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeSnapshotError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error(transparent)]
    Find(#[from] FindSnapshotError),
    /// It belongs to everybody: only the operator changes it.
    #[error("snapshot {name} is there for everybody and stays as it is")]
    General {
        /// Its name.
        name: String,
    },
    /// Try again when some images have come.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// The machine failed to remove its image: try again.
    #[error("cannot remove the image of snapshot {name}")]
    Host {
        /// Its name.
        name: String,
        /// What failed.
        #[source]
        cause: pitlane_driver::Cause,
    },
    /// Its state does not allow that.
    #[error("snapshot {name} is {}", state.as_str())]
    State {
        /// Its name.
        name: String,
        /// Where it stands.
        state: SnapshotState,
    },
    /// The store failed.
    #[error("cannot keep the change")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}
