//! The launcher: a small process that makes sandboxes' first processes and outlives the server.
//!
//! The server is large and has threads: forking it is slow and unsafe. The launcher has one thread and little memory.
//! It holds what must survive the server: its children (whose exits it records) and the router's namespace. It opens
//! no file of the host after its start: its root is an empty file system, and everything else comes as descriptors.

mod attach;
mod child;
mod client;
mod process;
mod protocol;
mod seccomp;

pub(crate) use attach::AttachFailure;
pub(crate) use client::{FirstProcess, Launcher, LauncherError, ROUTER};
pub use process::{LauncherArguments, run};
pub(crate) use protocol::{EndedAs, GENERATION, LaunchDescriptors};
