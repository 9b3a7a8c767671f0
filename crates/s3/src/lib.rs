//! The S3 rim: what clients upload build contexts with.
//!
//! A subset of S3, path style, in one bucket: what the SDKs call, and what other clients need beside it. The library `s3s`
//! reads requests, checks signatures and writes answers; what is ours decides whose request it is, what it may name, and
//! how much of it is taken. What the library would do beyond that is turned away before it: older signatures, addresses
//! that are signed, forms, and chunks so large that a few of them fill the memory.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod access;
mod admission;
pub mod chunks;
mod gate;
mod listing;
mod objects;
mod patience;
mod reading;
mod receipt;
mod refusal;
mod sums;

pub use axum::Router;
pub use gate::router;

/// The one bucket. Its name is the first segment of every path.
pub const BUCKET: &str = "pitlane-contexts";

/// The region that clients are told to sign for; there is one.
pub const REGION: &str = "us-east-1";
