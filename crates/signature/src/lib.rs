//! Signatures of requests to object storage: what shows it who asks, and that nobody has changed the request.
//!
//! AWS Signature Version 4 for the service `s3`, in headers: [`sign`] adds them to what is about to be sent. Knows no
//! connections and no operations, and verifies nothing.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod encoding;
mod signing;

pub use encoding::{digest_of, encode_path, encode_query};
pub use signing::{SignError, Signable, Signer, sign};
