//! Processes that a running, multi-threaded program starts, watches and ends.
//!
//! [`Reaper`] starts them and is the only one that waits for children, so an exit is never lost or taken for another's.
//! [`CommandGroups`] and [`descendants`] end whole trees. [`UserThreads`] touch files with a user's own rights.

mod command_group;
pub mod descendants;
mod identity;
mod inherited;
mod reaper;
mod spawn;
mod termination;
mod user_threads;

pub use command_group::{CommandGroup, CommandGroups};
pub use identity::Identity;
pub use inherited::claim_inherited;
pub use reaper::Reaper;
pub use spawn::{Program, SpawnError};
pub use termination::{Requester, TerminationRequests};
pub use user_threads::{UserThreads, UserThreadsError};

#[cfg(test)]
mod tests;
