//! What can go wrong with keys, by operation.

use pitlane_store::WriteError;

use crate::{Forbidden, NoRandomness};

/// Why nobody is proved to be asking. Both look the same from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    /// There is no such key, or it was revoked.
    #[error("unknown key")]
    Unknown,
    /// Its time is over: create another.
    #[error("the key works no more")]
    Expired,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateKeyError {
    /// Use another key; one may give away only what it has.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Choose another name, or revoke the key that has it.
    #[error("a key named {name:?} exists already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Give a name of 1 to 255 characters.
    #[error("a key's name has 1 to 255 characters, no control characters, and is not \"current\"")]
    Name,
    /// Give a time that is still to come.
    #[error("a key cannot end in the past")]
    Past,
    /// Revoke some keys first.
    #[error("an organization has {maximum} keys at most")]
    TooMany {
        /// How many there may be.
        maximum: usize,
    },
    /// No key could be made.
    #[error("cannot make a key")]
    Random(#[from] NoRandomness),
    /// It was not written.
    #[error("cannot keep the key")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why a key still works.
#[derive(Debug, thiserror::Error)]
pub enum RevokeKeyError {
    /// Use another key.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller's organization has no key of this name.
    #[error("there is no key named {name:?}")]
    NotFound {
        /// The name.
        name: String,
    },
    /// It was not written. The key works no more unless the server starts again before it could be: that is tried every
    /// few seconds, and when it is revoked once more.
    #[error("cannot forget the key for good")]
    Store {
        /// What failed.
        #[source]
        cause: WriteError,
    },
}

/// Why there is no first key.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// No key could be made.
    #[error("cannot make the first key")]
    Random(#[from] NoRandomness),
    /// It could not be handed over; nothing was stored.
    #[error("cannot hand over the first key")]
    HandOver(#[source] std::io::Error),
    /// It was not written; what was handed over does not work.
    #[error("cannot keep the first key")]
    Write(#[from] WriteError),
}
