//! Long bodies on their way from a client to a daemon, past the server's memory.
//!
//! hyper reads the one message and writes the other, as always. But of the body it sees placeholders, as many as there
//! are bytes, while the bytes themselves go from the client's socket through a pipe into the daemon's: splice(2) hands
//! on the kernel's pages and copies nothing.
//!
//! Four parts know of each other. [`Inlet`] is the client's connection; while there is a [`Hold`] on it, hyper gets
//! nothing more to read. Once hyper has asked for more in vain, all that it has read was handed on, and what is left of
//! the body is what is next in the socket: from then on [`Bypassed`], the body, moves it into the [`Pipe`] and shows
//! placeholders. [`Outlet`] is the daemon's connection; it counts what hyper writes, and where the placeholders are it
//! writes the pipe. Whoever serves the client's connection never reads on it again: it ends with the answer.

mod body;
mod inlet;
mod outlet;
mod pipe;

pub(crate) use self::body::Bypassed;
pub(crate) use self::inlet::{Hold, Inlet};
pub(crate) use self::outlet::Outlet;
pub(crate) use self::pipe::Pipe;

/// From how many bytes on a body is worth it. The client's connection ends with it, which costs the client a new one.
pub(crate) const LEAST: u64 = 8 << 20;

#[cfg(test)]
mod tests;
