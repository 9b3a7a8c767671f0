//! What makes sandboxes.
//!
//! [`Driver`] is the narrow waist of Pitlane: everything above it asks for sandboxes through these methods, everything
//! below it makes them real. Above, nothing knows namespaces; below, nothing knows organizations, keys or HTTP.
#![forbid(unsafe_code)]

mod driver;
mod error;
mod launch;

pub use driver::{ByteStream, Connection, Driver, DriverEvent, Existing, Exit, Liveness};
pub use error::{
    Cause, ConnectError, CreateError, DestroyError, InventoryError, PrepareImageError, StartError,
    StopError,
};
pub use launch::{Hello, ImageProgress, LaunchSpec, PreparedImage};
