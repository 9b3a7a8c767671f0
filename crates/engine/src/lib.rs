//! The Linux driver: sandboxes made of namespaces, an overlay on a disk of their own, control groups and a link.
//!
//! [`Engine`] implements [`pitlane_driver::Driver`]. It knows neither organizations nor HTTP and takes its
//! configuration as values, so it can be used as a library; the program that uses it must lead its launch command to
//! [`run_launcher`] before it has threads.
#![forbid(unsafe_code)]

mod config;
mod disk;
mod engine;
mod image;
mod launcher;
mod layer;
mod pool;
mod prepared;
mod room;
mod running;
mod slot;
mod volume;
mod waiting;

use std::path::{Path, PathBuf};

pub use config::{EngineConfig, LaunchCommand};
pub use engine::{Engine, StartEngineError, unpackers_first_id, volume_files_first_id};
pub use launcher::{LauncherArguments, run as run_launcher};
pub use room::{RESERVE_BYTES, Room};
pub use volume::ObjectVolumes;

/// What the launcher has to say, in a run-time folder.
fn log_path(run: &Path) -> PathBuf {
    run.join(format!("launcher-{}.log", launcher::GENERATION))
}

/// The launcher's socket in a run-time folder.
fn socket_path(run: &Path) -> PathBuf {
    run.join(format!("launcher-{}.sock", launcher::GENERATION))
}
