//! Volumes in S3-compatible object storage: the client of a bucket, and the process that is one volume's file system.
//!
//! A file is an object, a folder a prefix. What a program has closed or synced is a whole object; what it has not is a
//! file without a name on this machine. Each mount has a process of its own ([`run_volume_files`]), which answers the
//! kernel (FUSE), speaks to the storage and may do nothing else. Nothing that the bucket says is used as a path here.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod bucket;
mod files;
mod fuse;
#[cfg(fuzzing)]
pub mod fuzzing;
mod key;
mod lifecycle;
mod listing;
mod process;
#[cfg(test)]
#[path = "../tests/storage/mod.rs"]
mod served;
mod storage;
mod xml;

/// Tests and the server that they share call this crate by its name.
#[cfg(test)]
extern crate self as pitlane_objects;

pub use bucket::{Bucket, BucketError, Object, OpenBucketError};
pub use key::{KeyFolder, VolumePath, VolumePathError};
pub use lifecycle::{LifecycleError, create, remove};
pub use listing::{ListQuery, Listed, Page};
pub use process::{MountOrder, VOLUME_FILES, run_volume_files};
pub use storage::{Location, ObjectStorage, ObjectStorageError, Secret};
