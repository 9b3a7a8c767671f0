//! What can go wrong with warm pools, by operation.

use pitlane_driver::NoRoomError;
use pitlane_model::WarmPool;
use pitlane_store::WriteError;

use super::WarmPools;
use crate::{Forbidden, NoRandomness};

/// Why a pool was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreatePoolError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Ask for fewer, or at least one.
    #[error("pool must be from 1 to {}", WarmPool::MAX_SIZE)]
    Size,
    /// The organization may use no such snapshot.
    #[error("there is no snapshot {name:?}")]
    UnknownSnapshot {
        /// What was asked for.
        name: String,
    },
    /// Change the size of the one there is.
    #[error("there is a warm pool of snapshot {snapshot} in {target} already")]
    Exists {
        /// The snapshot.
        snapshot: String,
        /// The region.
        target: String,
    },
    /// Delete another one first.
    #[error("an organization has at most {} warm pools", WarmPools::MAX_PER_ORGANIZATION)]
    TooMany,
    /// Ask for fewer.
    #[error(transparent)]
    NoRoom(#[from] NoRoomError),
    /// No id could be made.
    #[error("cannot make an id")]
    Random(#[from] NoRandomness),
    /// It was not written.
    #[error("cannot keep a warm pool")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why a pool is as before.
#[derive(Debug, thiserror::Error)]
pub enum ChangePoolError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller's organization has no such pool.
    #[error("there is no warm pool {id:?}")]
    NotFound {
        /// What was asked for.
        id: String,
    },
    /// Ask for fewer.
    #[error("pool must be from 0 to {}", WarmPool::MAX_SIZE)]
    Size,
    /// Ask for fewer.
    #[error(transparent)]
    NoRoom(#[from] NoRoomError),
    /// It was not written.
    #[error("cannot change a warm pool")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}
