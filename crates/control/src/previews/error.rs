//! Why a preview is not open, or cannot be opened.

use pitlane_model::SandboxId;
use pitlane_store::WriteError;

use crate::{ConnectError, FindError, Forbidden, NoRandomness};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such sandbox.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Ask for another time.
    #[error("a preview is signed for 1 to 86400 seconds")]
    Lifetime,
    /// Wait until some have expired, or revoke some.
    #[error("the sandbox has {maximum} signed previews that have not expired")]
    TooMany {
        /// How many it may have.
        maximum: usize,
    },
    /// The machine has none: try again.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// It could not be written down: try again.
    #[error("cannot keep what opens previews of sandbox {id}")]
    Store {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why a token was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum ExpirePreviewError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such sandbox.
    #[error(transparent)]
    Find(#[from] FindError),
    /// No such token opens this port, or none any more.
    #[error("no such token opens this port")]
    NotFound,
    /// It opens nothing any more; that was not written down, so that a restart of the server could bring it back.
    #[error("cannot keep that a preview of sandbox {id} was revoked")]
    Store {
        /// The sandbox.
        id: SandboxId,
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why a visitor is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// Nothing was shown that opens it, if there is anything: show a token or a key.
    #[error("no valid key or token was shown")]
    Refused,
    /// The key's organization has no such sandbox.
    #[error("there is no sandbox {id}")]
    NotFound {
        /// What was asked for.
        id: SandboxId,
    },
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// Why a visitor that was let in is not connected.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// Try again when some have left.
    #[error("sandbox {id} has as many visitors as it may have")]
    Full {
        /// The sandbox.
        id: SandboxId,
    },
    /// The sandbox cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}
