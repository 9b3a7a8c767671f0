//! The commands that talk to a server, one file each.

pub(crate) mod completion;
pub(crate) mod daytona;
mod execution;
pub(crate) mod image;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod mcp;
mod one_by_one;
pub(crate) mod pool;
pub(crate) mod registry;
pub(crate) mod run;
pub(crate) mod sandbox;
pub(crate) mod snapshot;
pub(crate) mod version;
pub(crate) mod volume;

use crate::failure::Failure;

/// Waits for one command's work, on this thread. What still reads or writes for it does not keep the process.
fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worked = runtime.block_on(work);
    runtime.shutdown_background();
    worked
}
