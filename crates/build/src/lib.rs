//! Images from Dockerfiles.
//!
//! A Dockerfile is read without asking anybody ([`Builder::check`]). Building it runs each step that changes files in a
//! sandbox of its own, which starts from what the step before left and ends with a snapshot. Each snapshot is an image
//! whose name says what went into it: so the look-up of a step that was done before is the look-up of an image, and there
//! is no index beside the images that could disagree with them.
//!
//! Nothing that a caller sent is unpacked on the host. Archives are read, entry by entry, and what is copied travels to
//! the daemon of the build sandbox, which writes it inside.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod builder;
mod context;
mod conversation;
mod course;
mod dockerfile;
mod error;
mod key;
mod log;
mod settings;
mod workbench;

pub use builder::{BuildRequest, Builder};
pub use dockerfile::{DockerfileError, Plan};
pub use error::BuildError;
pub use log::Log;
pub use settings::{BuildLimits, BuildSettings, Mirrors};
