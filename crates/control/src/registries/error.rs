//! What can go wrong with registries, by operation.

use pitlane_store::WriteError;

use crate::{Forbidden, NoRandomness};

/// Why no registry was added, or why one was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveRegistryError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none of this id.
    #[error(transparent)]
    Find(#[from] FindRegistryError),
    /// Give a name of 1 to 255 characters.
    #[error("a registry's name has 1 to 255 characters and no control characters")]
    Name,
    /// Choose another name.
    #[error("a registry named {name:?} exists already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Give its address.
    #[error(
        "a registry's url is a host with an optional port, such as https://registry.example:5000; what follows belongs to its project"
    )]
    Url,
    /// The operator has to allow it.
    #[error("registry {host} may not be asked: {reason}")]
    Refused {
        /// Where it is.
        host: String,
        /// What forbids it.
        reason: String,
    },
    /// Give the beginning of a path.
    #[error("a registry's project is the beginning of a path in the names of its images")]
    Project,
    /// Give a name of 1 to 255 characters.
    #[error("a registry's username has 1 to 255 characters, no colon and no control characters")]
    User,
    /// Give a password.
    #[error("a registry's password has 1 to 65536 bytes and no control characters")]
    Password,
    /// Give the password as well: what was kept is for another place or user.
    #[error("the password has to be given again with another url or username")]
    PasswordAgain,
    /// Delete some first.
    #[error("an organization has {maximum} registries at most")]
    TooMany {
        /// How many there may be.
        maximum: usize,
    },
    /// No id could be made.
    #[error("cannot make an id")]
    Random(#[from] NoRandomness),
    /// The password could not be encrypted or read.
    #[error("cannot keep the password of a registry: {reason}")]
    Seal {
        /// Why.
        reason: String,
    },
    /// It was not written.
    #[error("cannot keep the registry")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why there is no such registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindRegistryError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller's organization has none of this id.
    #[error("there is no registry {id:?}")]
    NotFound {
        /// What was asked for.
        id: String,
    },
}

/// Why a registry is still there.
#[derive(Debug, thiserror::Error)]
pub enum DeleteRegistryError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error(transparent)]
    Find(#[from] FindRegistryError),
    /// It was not written.
    #[error("cannot delete the registry")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}
