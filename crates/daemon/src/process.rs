//! Commands and code: started as the sandbox's user, watched to their end, killed whole.
//!
//! What a request starts belongs to a task of its own and not to the connection: a connection that breaks ends nothing,
//! and only a cancellation or a timeout kills. An exit code is what the kernel said, after all output before it was
//! read; there is no other.

mod cancellation;
mod capture;
mod code;
mod execute;
mod job;
mod json_text;
mod kept;
mod launch;
mod plain;
mod processes;
mod stream;
mod supervise;

pub(crate) use cancellation::{Cancellations, cancel};
pub(crate) use execute::{execute, run_code, update_environment};
pub(crate) use job::exit_code;
pub(crate) use json_text::JsonText;
pub(crate) use kept::{Recordings, list_kept, read_kept};
pub(crate) use launch::{Launch, SHELLS, Surroundings};
pub(crate) use processes::{Processes, StartError, Started};
pub(crate) use stream::stream;
pub(crate) use supervise::{Control, Ending, Kind, Sink, Source, supervise};
