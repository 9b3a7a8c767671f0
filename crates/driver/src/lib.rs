//! What makes sandboxes.
//!
//! [`Driver`] is the narrow waist of Pitlane: everything above it asks for sandboxes through these methods, everything
//! below it makes them real. Above, nothing knows namespaces; below, nothing knows organizations, keys or HTTP.
//! [`conformance`] says what every driver does; the `fake` (a feature) does it in memory.
#![forbid(unsafe_code)]

pub mod conformance;
mod driver;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod launch;
mod pool;

pub use driver::{ByteStream, Connection, Driver, DriverEvent, Existing, Exit, Liveness};
pub use error::{
    ArchiveError, Cause, ConnectError, CreateError, CreateVolumeError, DeleteVolumeError,
    DeriveImageError, DestroyError, InventoryError, PrepareImageError, RemoveImageError,
    ResizeError, RestoreError, SnapshotError, StartError, StopError,
};
pub use launch::{Hello, ImageProgress, LaunchSpec, PreparedImage};
pub use pool::{Claims, NoRoomError, PoolKey, PoolReport, PoolStatus, PoolTrouble, WantedPool};
