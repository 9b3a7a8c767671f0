//! Why there is no signing key, or no other one.

use pitlane_model::SandboxId;
use pitlane_store::WriteError;

use crate::{FindError, Forbidden, NoRandomness};

/// Why a signing key is not told.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such sandbox.
    #[error(transparent)]
    Find(#[from] FindError),
}

/// Why a signing key was not replaced as it should have been.
#[derive(Debug, thiserror::Error)]
pub enum RotateSigningKeyError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such sandbox.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The machine has none, and the key is what it was: try again.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// It has another key; that was not written down, so that a restart of the server brings the earlier one back: try
    /// again.
    #[error("cannot keep that the signing key of sandbox {id} was rotated")]
    Store {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}
