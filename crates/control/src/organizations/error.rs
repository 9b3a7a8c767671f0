//! What can go wrong with organizations, by operation.

use pitlane_store::WriteError;

use crate::{Forbidden, NoRandomness};

/// Why no organization was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateOrganizationError {
    /// Use an operator's key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Give a name of 1 to 255 characters.
    #[error("an organization's name has 1 to 255 characters and no control characters")]
    Name,
    /// Choose another name.
    #[error("an organization named {name:?} exists already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// No id could be made.
    #[error("cannot make an id")]
    Random(#[from] NoRandomness),
    /// It was not written.
    #[error("cannot keep the organization")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why there is no such organization.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindOrganizationError {
    /// There is none of this id that the caller may know of.
    #[error("there is no organization {id:?}")]
    NotFound {
        /// What was asked for.
        id: String,
    },
}

/// Why a caller cannot act for another organization.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// Use an operator's key, or one of that organization's own.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error(transparent)]
    Find(#[from] FindOrganizationError),
}

/// Why an organization is still there.
#[derive(Debug, thiserror::Error)]
pub enum DeleteOrganizationError {
    /// Use an operator's key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is none.
    #[error(transparent)]
    Find(#[from] FindOrganizationError),
    /// Use a key of another organization.
    #[error("a key cannot delete the organization it belongs to")]
    Own,
    /// Delete its sandboxes and snapshots first, and wait until they are gone.
    #[error("organization {name:?} still has sandboxes or snapshots")]
    InUse {
        /// Its name.
        name: String,
    },
    /// It was not written.
    #[error("cannot delete the organization")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}
