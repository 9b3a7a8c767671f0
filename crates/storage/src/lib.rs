//! Build contexts on disk: the archives that clients upload before a build, each under its organization and hash.
//!
//! What is acknowledged is whole, synced and has its name; what is not is gone after a restart. Bytes go to disk as they
//! come, so memory does not depend on sizes. Names on disk are made of an id, a checked hash and digests, never of what a
//! client wrote. Knows neither HTTP nor who may ask, and does not trust a hash to say what is in an archive.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod context;
mod contexts;
mod draft;
mod error;
mod etag;
mod intake;
mod key;
mod limits;
mod room;
mod scratch;
mod upload;

pub use context::Context;
pub use contexts::{Contexts, Tidied};
pub use draft::Draft;
pub use error::{
    CompleteError, FinishError, OpenContextsError, ReceiveError, RemoveContextError, UploadError,
};
pub use etag::{Etag, ParseEtagError};
pub use key::{ContextHash, ContextKey, ParseContextHashError, ParseContextKeyError};
pub use limits::ContextLimits;
pub use upload::{NamedPart, Part, PartDraft, Verification};
