//! Sessions: shells that last, with the commands that are run in them and what those say.
//!
//! A session's shell keeps its folder, variables, functions and aliases from one command to the next. Commands of one
//! session run one after the other, whether their callers wait for them or not, and whether or not those go away. A
//! session has a control group: deleting it ends everything that was ever started in it.
//!
//! What a command says belongs to its own [`log`](log::Log), also what its background processes say later. There is no
//! exit code but the one the shell told or the kernel, and it is never told before the output that came before it.

mod channel;
mod command;
mod entrypoint;
mod follow;
mod log;
mod piece;
mod pump;
mod request;
mod run;
mod shell;
mod spool;
mod state;
mod view;

pub(crate) use entrypoint::start_entrypoint;
pub(crate) use request::{Sessions, route};
